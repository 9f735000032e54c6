r"""Initial weights and biases, all drawn from one CPU generator in float64.

Conventions: fan_in = inputs per output unit (channels per group times kernel size),
fan_out = output channels times kernel size. All weights are drawn first, in module
order, then all biases; activations, biases, batch norm, dropout and the branch factor
therefore leave the weights of one seed as they are. Draws are cast to the network's
type, so that float32 and float64 networks of one seed agree. Batch norm starts at
gamma 1, beta 0, mean 0, variance 1.
"""

from collections.abc import Callable
from math import erf, prod, sqrt

import torch
from torch import Tensor, nn

from paicore.nets import checks

Draw = Callable[[torch.Size, tuple[int, int], torch.Generator], Tensor]
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

# Standard deviation of a unit normal cut off at two: a draw is divided by it, so that
# the truncated weights have the asked variance.
TRUNCATED_SD = 0.87962566


def _normal(variance: Callable[[int, int], float]) -> Draw:
    """Return draws from N(0, variance(fan_in, fan_out))."""

    def draw(shape, fans, generator):
        sd = sqrt(variance(*fans))
        return torch.randn(shape, generator=generator, dtype=torch.float64) * sd

    return draw


def _torch(shape: torch.Size, fans: tuple[int, int], generator: torch.Generator):
    """Draw uniformly from +-1/sqrt(fan_in), PyTorch's default for Linear and Conv."""
    unit = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (2 * unit - 1) / sqrt(fans[0])


def _glorot_truncated(
    shape: torch.Size, fans: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw Glorot normal cut off at two, by the inverse of the distribution."""
    unit = torch.rand(shape, generator=generator, dtype=torch.float64)
    inside = erf(sqrt(2))  # probability of |z| <= 2; erfinv wants (-inside, inside)
    z = sqrt(2) * torch.erfinv(inside * (2 * unit - 1))
    return z.clamp(-2, 2) * sqrt(2 / sum(fans)) / TRUNCATED_SD


def _orthogonal(
    shape: torch.Size, fans: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw orthonormal rows of (out, rest), or columns where there are more rows."""
    out, rest = shape[0], prod(shape[1:])
    size = (max(out, rest), min(out, rest))
    gauss = torch.randn(size, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gauss)
    q = q * r.diagonal().sign()  # makes the draw uniform over orthogonal matrices
    return (q if out >= rest else q.T).reshape(shape)


def _zero(shape: torch.Size, fans: tuple[int, int], generator: torch.Generator):
    """Return zeros; nothing is drawn."""
    return torch.zeros(shape, dtype=torch.float64)


WEIGHTS: dict[tuple, Draw] = {
    ("he",): _normal(lambda fan_in, fan_out: 2 / fan_in),
    ("he", "fan_in"): _normal(lambda fan_in, fan_out: 2 / fan_in),
    ("he", "fan_out"): _normal(lambda fan_in, fan_out: 2 / fan_out),
    ("glorot",): _normal(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    ("glorot_truncated",): _glorot_truncated,
    ("lecun",): _normal(lambda fan_in, fan_out: 1 / fan_in),
    ("orthogonal",): _orthogonal,
    ("torch",): _torch,
}
BIASES: dict[str, Draw] = {
    "zero": _zero,
    "torch": _torch,
    "normal": _normal(lambda fan_in, fan_out: 0.01**2),
}


def _gaussian(key: tuple, bias_init: str | None) -> tuple[Draw, Draw]:
    """Return the draws of ("gaussian", sigma_w, sigma_b), mean-field convention.

    Raises:
        ValueError: No two numbers, or `bias_init` is given as well.
    """
    numbers = [s for s in key[1:] if isinstance(s, (int, float)) and 0 <= s < torch.inf]
    if len(key) != 3 or len(numbers) != 2:
        raise ValueError(
            f'init: expected ("gaussian", sigma_w, sigma_b) with two finite numbers '
            f"of at least 0, got {key!r}"
        )
    if bias_init is not None:
        raise ValueError(
            f"bias_init: sigma_b of init={key!r} already decides the biases; leave it "
            f"out, got {bias_init!r}"
        )
    sigma_w, sigma_b = numbers
    weight = _normal(lambda fan_in, fan_out: sigma_w**2 / fan_in)
    return weight, _normal(lambda fan_in, fan_out: sigma_b**2)


def draws(init: str | tuple, bias_init: str | None) -> tuple[Draw, Draw]:
    """Return how weights and biases are drawn, before anything is drawn.

    Raises:
        ValueError: `init` or `bias_init` is not known.
    """
    key = tuple(init) if isinstance(init, (tuple, list)) else (init,)
    if key[:1] == ("gaussian",):
        return _gaussian(key, bias_init)
    if key not in list(WEIGHTS):
        known = [repr(k if len(k) > 1 else k[0]) for k in WEIGHTS]
        raise ValueError(
            f'init: expected one of {", ".join(known)} or ("gaussian", sigma_w, '
            f"sigma_b), got {init!r}"
        )
    if bias_init is None:
        bias_init = "torch" if key == ("torch",) else "zero"
    if bias_init not in list(BIASES):
        raise ValueError(
            f"bias_init: expected one of {', '.join(BIASES)}, got {bias_init!r}"
        )
    return WEIGHTS[key], BIASES[bias_init]


def _fans(module: nn.Module) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a Linear or Conv layer."""
    weight = module.weight
    kernel = prod(weight.shape[2:])
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def _check(net: nn.Module) -> None:
    """Refuse a network with a parameter or buffer that nothing here would write.

    Raises:
        TypeError: It holds other things than Linear, Conv and batch norm.
    """
    for name, module in net.named_modules():
        owns = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if owns and not isinstance(module, (*LAYERS, *NORMS)):
            raise TypeError(
                f"net: expected Linear, Conv and batch norm where there are "
                f"parameters, got {type(module).__name__} at {name!r}"
            )


@torch.no_grad()
def fill_(net: nn.Module, weight: Draw, bias: Draw, generator: torch.Generator) -> None:
    """Write every parameter and buffer with given draws; refuses before it writes."""
    _check(net)
    layers = [m for m in net.modules() if isinstance(m, LAYERS)]
    for norm in (m for m in net.modules() if isinstance(m, NORMS)):
        norm.reset_parameters()  # the running statistics too
    with torch.device("cpu"):  # whatever the caller's default device
        for layer in layers:
            layer.weight.copy_(weight(layer.weight.shape, _fans(layer), generator))
        for layer in (m for m in layers if m.bias is not None):
            layer.bias.copy_(bias(layer.bias.shape, _fans(layer), generator))


def initialise_(
    net: nn.Module,
    *,
    init: str | tuple = "he",
    bias_init: str | None = None,
    generator: torch.Generator,
) -> None:
    """Write every parameter and buffer of a network in place.

    Conventions: see the module; nothing is drawn or written when an argument is
    refused.

    Args:
        net: Modules of any kind, on any device; only Linear, Conv and batch norm may
            hold parameters or buffers.
        init: Weights, as in `paicore.nets.build`.
        bias_init: Biases, as in `paicore.nets.build`.
        generator: Source of all draws, on the CPU.
    """
    checks.generator(generator)
    fill_(net, *draws(init, bias_init), generator)
