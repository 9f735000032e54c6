"""Path linearisation: the network whose output is the sum over its paths.

A path runs from one input through one weight of each layer to one output. Setting
every weight to its modulus, dropping biases and activations and folding batch norm in
eval mode leaves a network that is linear in its input, and whose output for the input
of ones is the sum over all paths of the product of the moduli along them.
"""

import re

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from paicore.forward.batch_norm import replace_modules
from paicore.forward.weights import LAYERS

# Each maps positive numbers to positive numbers, so on the positive inputs of a
# linearised network it is left out; ReLU and leaky ReLU are then exact.
ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Tanh, nn.Softplus, nn.Sigmoid, nn.Hardtanh, nn.ReLU6, nn.Hardswish,
)  # fmt: skip
COUPLED = (
    nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.MultiheadAttention,
    nn.Softmax, nn.LogSoftmax, nn.Bilinear, nn.RNNBase, nn.RMSNorm,
    nn.modules.instancenorm._InstanceNorm,
)  # fmt: skip
UNTRACEABLE = (TypeError, ValueError, RuntimeError, AttributeError, KeyError)


class ChannelScale(nn.Module):
    """Multiply each channel of (n, channels, ...) by its constant."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, x: Tensor) -> Tensor:
        """Return x times the factors, shape kept."""
        return x * self.factors.view(1, -1, *[1] * (x.dim() - 2))


class MeanPooling(TorchFunctionMode):
    """While active, max pooling averages: every path through a window counts.

    Works on the call, so that ``F.max_pool2d`` and ``nn.MaxPool2d`` are both seen.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Replace the calls of max pooling; everything else runs as it is."""
        name = getattr(func, "__name__", "")
        if re.fullmatch(r"(adaptive_)?max_pool[123]d(_with_indices)?", name):
            return _averaged(name, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _averaged(
    name, x, size, stride=None, padding=0, dilation=1, ceil_mode=False, **ignored
) -> Tensor:
    """Average over the windows of a max pooling."""
    if ignored.get("return_indices") or "indices" in name:
        raise ValueError(f"net: expected max pooling without indices, got {name}")
    if bool((torch.as_tensor(dilation) != 1).any()):
        raise ValueError(f"net: expected max pooling without dilation, got {dilation}")
    pool = getattr(functional, name.replace("max", "avg"))
    if name.startswith("adaptive"):
        return pool(x, size)
    return pool(x, size, stride or size, padding, ceil_mode)


def linearised(twin: nn.Module, *, bias: str = "zero") -> nn.Module:
    r"""Turn a private copy into its path-linear network, in place.

    .. math:: f(1) = \sum_p \prod_{j \in p} |\theta_j|

    Conventions: eval-mode batch norm becomes its factor abs(gamma) / sqrt(var + eps);
    mean and beta count as biases. Activations are left out. Max pooling stays a
    maximum; inside `MeanPooling` all of its window counts. Modules that couple channels
    or samples otherwise are refused by name.

    Args:
        twin: Private copy with `batch_norm="eval"`.
        bias: "zero" leaves biases out; "abs" keeps the moduli of biases, beta and
            stored means, as SynFlow's own code does.

    Returns:
        The same module.

    Raises:
        ValueError: an option is unknown, or a module has no path form.

    Source: Tanaka et al. (2020), section 6. Differs from ganguli-lab/Synaptic-Flow
    Pruners/pruners.py: there moduli are taken of the caller's own tensors and put
    back afterwards, and biases are kept (here `bias="abs"`).
    """
    if bias not in ("zero", "abs"):
        raise ValueError(f"bias: expected 'zero' or 'abs', got {bias!r}")
    for path, module in twin.named_modules():
        if isinstance(module, COUPLED):
            raise ValueError(
                f"net: {type(module).__name__} {path!r} has no path form; scores on "
                "paths take Linear, Conv, BatchNorm, pooling and residual adds"
            )
    with torch.no_grad():
        for tensor in twin.parameters():
            tensor.abs_()
        if bias == "abs":
            _keep_moduli(twin)
        else:
            _fold_batch_norm(twin)
            _drop_biases(twin)
    for module in twin.modules():
        if isinstance(getattr(module, "factor", None), float):
            module.factor = abs(module.factor)  # a constant on every path through it
    replace_modules(twin, ACTIVATIONS, lambda path, module: nn.Identity())
    return twin


def _keep_moduli(twin: nn.Module) -> None:
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.abs_()


def _drop_biases(twin: nn.Module) -> None:
    for module in twin.modules():
        if isinstance(module, LAYERS) and module.bias is not None:
            module.bias.zero_()


def _fold_batch_norm(twin: nn.Module) -> None:
    """Put each batch norm's factor into the layer before it, where that is exact.

    A score theta * dR/dtheta does not notice: it is the same for c * theta.
    """
    before = _layers_before(twin)
    factors: dict[str, Tensor] = {}

    def replacement(path: str, norm: _BatchNorm) -> nn.Module:
        factor = (norm.running_var + norm.eps).rsqrt()
        if norm.weight is not None:
            factor = factor * norm.weight
        if path not in before:
            return ChannelScale(factor)
        factors[before[path]] = factor
        return nn.Identity()

    replace_modules(twin, _BatchNorm, replacement)
    for path, factor in factors.items():
        weight = twin.get_submodule(path).weight
        weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))


def _layers_before(twin: nn.Module) -> dict[str, str]:
    """Batch norm path -> path of the layer that feeds it and nothing else.

    Empty if the forward pass cannot be traced; then nothing is folded.
    """
    try:
        graph = fx.symbolic_trace(twin).graph
    except UNTRACEABLE:
        return {}
    modules = dict(twin.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    weights = [id(each.weight) for each in modules.values() if isinstance(each, LAYERS)]
    pairs = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], _BatchNorm):
            continue
        (source,) = node.all_input_nodes
        if (
            source.op == "call_module"
            and isinstance(modules[source.target], LAYERS)
            and len(source.users) == 1
            and calls.count(source.target) == calls.count(node.target) == 1
            and weights.count(id(modules[source.target].weight)) == 1
        ):
            pairs[node.target] = source.target
    return pairs
