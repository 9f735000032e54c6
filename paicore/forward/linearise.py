"""Path linearisation: the network whose output is the sum over its paths.

A path runs from one input through one weight of each layer to one output. Setting
every weight to its modulus, dropping biases and activations and folding batch norm in
eval mode leaves a network that is linear in its input, and whose output for the input
of ones is the sum over all paths of the product of the moduli along them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from paicore.forward.batch_norm import replace_modules
from paicore.forward.private import run
from paicore.forward.weights import LAYERS

# Left out in a linearised network, as a module or as a function: on its positive
# inputs ReLU and leaky ReLU are then exact, and the curved ones have no path form.
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU,
    nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Tanh, nn.Hardtanh, nn.Sigmoid,
    nn.Hardsigmoid, nn.LogSigmoid, nn.Hardswish, nn.Softsign, nn.Tanhshrink,
    nn.Softshrink, nn.Hardshrink, nn.Threshold,
)  # fmt: skip
FUNCTIONS = re.compile(
    "(relu|relu6|leaky_relu|prelu|rrelu|elu|selu|celu|gelu|silu|mish|softplus|tanh|"
    "hardtanh|sigmoid|hardsigmoid|logsigmoid|hardswish|softsign|tanhshrink|softshrink|"
    "hardshrink|threshold)_?"
)
COUPLED = (
    nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.MultiheadAttention,
    nn.Softmax, nn.LogSoftmax, nn.Bilinear, nn.RNNBase, nn.RMSNorm,
    nn.modules.instancenorm._InstanceNorm,
)  # fmt: skip
COUPLED_FUNCTIONS = re.compile(
    "(layer|group|instance|local_response|rms)_norm|normalize|(log_)?softmax|softmin|"
    "bilinear|scaled_dot_product_attention|multi_head_attention_forward"
)
NO_PATHS = (
    "has no path form; scores on paths take Linear, Conv, BatchNorm, pooling, "
    "elementwise activations and residual adds"
)


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


class Linear(TorchFunctionMode):
    """While active, activation functions are left out and coupling ones refused."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Return the first argument of an activation; run everything else."""
        name = getattr(func, "__name__", "")
        if FUNCTIONS.fullmatch(name):
            return args[0] if args else (kwargs or {})["input"]
        if COUPLED_FUNCTIONS.fullmatch(name):
            raise ValueError(f"net: the function {name} {NO_PATHS}")
        return func(*args, **(kwargs or {}))


class PathLinear(nn.Module):
    """A linearised network: what its forward pass calls is linear as well.

    Attributes:
        twin: The private copy inside.
        calls: The mode that its calls run under.
    """

    def __init__(self, twin: nn.Module, calls) -> None:
        super().__init__()
        self.twin, self.calls = twin, calls
        object.__setattr__(self, "originals", getattr(twin, "originals", {}))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, *in_shape) to (n, k)."""
        with self.calls:
            return self.twin(x)


def linearised(
    twin: nn.Module, in_shape: Sequence[int], *, bias: str = "zero"
) -> PathLinear:
    r"""Turn a private copy into its path-linear network.

    .. math:: f(1) = \sum_p \prod_{j \in p} |\theta_j|

    Conventions: eval-mode batch norm becomes its factor abs(gamma) / sqrt(var + eps);
    mean and beta count as biases. Activations are left out, as modules and as
    functions. Max pooling stays a maximum; inside `MeanPooling` all of its window
    counts. What couples channels or samples otherwise is refused by name, and so is a
    network whose result is not homogeneous, f(2x) = 2 f(x).

    Args:
        twin: Private copy with `batch_norm="eval"`; changed in place.
        in_shape: Shape of one input.
        bias: "zero" leaves biases out, as above; "abs" is SynFlow's own code: moduli
            of all that is stored, biases, beta and means too, and activations kept.

    Returns:
        The network around the same modules.

    Raises:
        ValueError: an option is unknown, or the network has no path form.

    Cost: three forward passes for a single input.

    Source: Tanaka et al. (2020), section 6. Differs from ganguli-lab/Synaptic-Flow
    Pruners/pruners.py (here `bias="abs"`): there biases and every activation are kept,
    and moduli are taken of the caller's own tensors and put back afterwards.
    """
    if bias not in ("zero", "abs"):
        raise ValueError(f"bias: expected 'zero' or 'abs', got {bias!r}")
    for path, module in twin.named_modules():
        if isinstance(module, COUPLED):
            raise ValueError(f"net: {type(module).__name__} {path!r} {NO_PATHS}")
    first = next(twin.parameters())
    ones = torch.ones(1, *in_shape, dtype=first.dtype, device=first.device)
    with torch.no_grad():
        for tensor in twin.parameters():
            tensor.abs_()
        if bias == "abs":
            _keep_moduli(twin)
        else:
            _drop_biases(twin)
    if bias == "zero":
        _fold_batch_norm(twin, _layers_before(twin, ones))
    for module in twin.modules():
        if isinstance(getattr(module, "factor", None), float):
            module.factor = abs(module.factor)  # a constant on every path through it
    if bias == "abs":
        return PathLinear(twin, nullcontext())
    replace_modules(twin, ACTIVATIONS, lambda path, module: nn.Identity())
    net = PathLinear(twin, Linear())
    _check_homogeneous(net, ones)
    return net


def _check_homogeneous(net: PathLinear, ones: Tensor) -> None:
    """Refuse a network with an operation that has no path form and no name here."""
    once, twice = (run(net, scale * ones).detach() for scale in (1, 2))
    if torch.isfinite(twice).all() and not torch.allclose(twice, 2 * once, rtol=1e-4):
        raise ValueError(
            "net: it is not linear in its input without its activations and biases "
            "(a clamp, an exponential, a constant that is added?), so it " + NO_PATHS
        )


def _keep_moduli(twin: nn.Module) -> None:
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.abs_()


def _drop_biases(twin: nn.Module) -> None:
    for module in twin.modules():
        if isinstance(module, LAYERS) and module.bias is not None:
            module.bias.zero_()


@torch.no_grad()
def _fold_batch_norm(twin: nn.Module, before: dict[str, str]) -> None:
    """Put each batch norm's factor into the layer before it, where that is exact.

    A score theta * dR/dtheta does not notice: it is the same for c * theta.
    """
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


class _Uses(TorchFunctionMode):
    """Count how often each tensor goes into another; reading a size does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()
        self.alive: list = []  # so that no identity is used again

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if any(isinstance(each, Tensor) for each in tree_flatten(out)[0]):
            flat, _ = tree_flatten((args, kwargs or {}))
            self.alive += flat
            self.counts.update({id(each) for each in flat if isinstance(each, Tensor)})
        return out


def _layers_before(twin: nn.Module, ones: Tensor) -> dict[str, str]:
    """Batch norm path -> path of the layer that feeds it and nothing else.

    Read off one run: the norm's input is the layer's output, that tensor is used once,
    and each of the two is called once and shares no weight.

    Returns:
        dict norm -> layer.
    """
    made: dict[int, str] = {}  # tensor -> layer that made it
    fed: dict[str, tuple[str, Tensor]] = {}  # norm -> layer, tensor between them
    calls: Counter[str] = Counter()

    def after(path: str, module: nn.Module, inputs, output) -> None:
        calls[path] += 1
        if isinstance(module, LAYERS):
            made[id(output)] = path
        elif id(inputs[0]) in made:
            fed[path] = (made[id(inputs[0])], inputs[0])

    hooks = [
        module.register_forward_hook(partial(after, path))
        for path, module in twin.named_modules()
        if isinstance(module, (*LAYERS, _BatchNorm))
    ]
    with _Uses() as uses:
        run(twin, ones)
    for hook in hooks:
        hook.remove()
    owners = Counter(id(m.weight) for m in twin.modules() if isinstance(m, LAYERS))
    return {
        norm: layer
        for norm, (layer, between) in fed.items()
        if calls[norm] == calls[layer] == uses.counts[id(between)] == 1
        and owners[id(twin.get_submodule(layer).weight)] == 1
    }
