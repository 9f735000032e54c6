"""Proposition 1 at initialisation: what pruning and rescaling do to signals.

The method is an activation, the variant a mask and a factor, for example "sbp row" or
"shuffled row". "shuffled" has SBP's layer densities and its places drawn anew inside
every layer, so that mask and activity are independent: the assumption of the algebra.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cache
from math import log10, nan

import torch
from torch import Tensor, nn
from torch.nn import functional

from paicore import Masks, nets, rescale
from paicore.experiments import Config, grid
from paicore.experiments.trainable_depth_nets import (
    Batch,
    activation,
    draws,
    edge,
    rescaled,
    sbp,
)
from paicore.forward import prunable
from paicore.kernels import meanfield

SIGNAL_VALUES = ("q", "share", "log_share", "c", "g", "log_g", "rise", "heard")
PROFILE_VALUES = ("q", "share", "gap", "gap_theory")
VARIANTS = (
    "sbp none", "sbp literal", "sbp row", "sbp layer", "sbp activity",
    "sbp calibrated", "shuffled none", "shuffled literal", "shuffled row",
)  # fmt: skip


@dataclass(frozen=True)
class Signals(Config):
    """Deep networks at initialisation, on the edge of chaos before pruning.

    Attributes:
        methods: Activations; "tanh0" is tanh without biases.
        variants: Mask and factor.
        densities: Fractions kept.
        depth: Number of weight layers.
        width: Of every hidden layer.
        inputs: Number of Gaussian inputs.
        batch: Samples that are scored and measured.
        middle: Layer whose variance is measured.
        far: Layer of correlations and of the upper gradient.
        low: Layer of the lower gradient.
    """

    methods: tuple[str, ...] = ("tanh", "tanh0", "elu", "relu")
    variants: tuple[str, ...] = VARIANTS
    densities: tuple[float, ...] = (0.5, 0.2, 0.1)
    depth: int = 50
    width: int = 200
    inputs: int = 784
    batch: int = 100
    middle: int = 26
    far: int = 46
    low: int = 3


def cells(config: Signals) -> list[dict]:
    """Every activation, density and variant, for every seed."""
    return grid(config)


def together(config: Signals, cell: dict) -> Hashable:
    """Runs of one activation, density and seed share their masks."""
    return cell["method"], cell["density"], cell["seed"]


def dense(config: Signals, method: str, seed: int) -> tuple[nn.Module, Batch]:
    """Draw the unpruned network and the batch."""
    net = nets.build(
        "mlp", in_shape=(config.inputs,), width=config.width, depth=config.depth,
        activation=activation(method), init=("gaussian", *edge(method)),
        dtype=torch.float64, generator=draws(seed, "signal", "init"),
    )  # fmt: skip
    g = draws(seed, "signal", "batch")
    x = torch.randn(config.batch, config.inputs, generator=g, dtype=torch.float64)
    return net, (x, torch.randint(10, (config.batch,), generator=g))


def masks_of(
    config: Signals, method: str, seed: int, density: float
) -> tuple[nn.Module, Batch, Callable[[str], Masks]]:
    """Return network, batch, and a function from a mask's name to the masks."""
    net, batch = dense(config, method, seed)
    masks = sbp(net, density, batch)

    @cache
    def named(name: str) -> Masks:
        g = draws(seed, "signal", "shuffle", f"{density:g}")
        return masks if name == "sbp" else masks.shuffled(g)

    return net, batch, named


def run_signals(config: Signals, group: list[dict]) -> list[list[dict]]:
    """Measure every variant of one activation, density and seed."""
    method, density, seed = together(config, group[0])
    net, batch, named = masks_of(config, method, seed, density)
    wanted = float(theory(config, method).q[config.middle - 1])

    @cache
    def slope(variant: str) -> float:
        mask, factor = variant.split()
        new = rescaled(net, named(mask), factor, batch[0])
        return gradient_ratio(config, new, batch)

    louder = cache(lambda mask: heard(net, named(mask), batch[0]))
    found = []
    for variant in (cell["variant"] for cell in group):
        mask, factor = variant.split()
        new = rescaled(net, named(mask), factor, batch[0])
        q, c = (each[k - 1] for each, k in zip(
            correlations(layers(new, batch[0])), (config.middle, config.far),
            strict=True))  # fmt: skip
        g, plain = _log10(slope(variant)), _log10(slope(f"{mask} none"))
        found.append([{
            "step": 0, "q": q, "share": q / wanted, "log_share": _log10(q / wanted),
            "c": c,
            "g": slope(variant), "log_g": g, "rise": g - plain, "heard": louder(mask),
        }])  # fmt: skip
    return found


def _log10(value: float) -> float:
    """Return the logarithm; nan of what has vanished."""
    return log10(value) if value > 0 else nan


@torch.no_grad()
def layers(net: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the pre-activations (n, N) of every weight layer."""
    found = []
    for module in net:
        x = module(x)
        if isinstance(module, nn.Linear):
            found.append(x)
    return found


def correlations(found: list[Tensor]) -> tuple[list[float], list[float]]:
    """Return mean squares, and mean cosines of samples 1 and 2, 3 and 4, ..., by layer.

    Args:
        found: Pre-activations (n, N), n even; of any size, also far below rounding.
            Pairs with a sample that is all zeros have no cosine and do not count.
    """
    q, c = [], []
    for y in found:
        q.append(float(y.square().mean()))
        unit = y / y.abs().amax(1, keepdim=True)  # squares of small ones underflow
        unit = unit / unit.norm(dim=1, keepdim=True)
        c.append(float((unit[::2] * unit[1::2]).sum(1).nanmean()))
    return q, c


def gradient_ratio(config: Signals, net: nn.Module, batch: Batch) -> float:
    """Return how large the gradient of a low layer is beside that of a far one."""
    theta = list(prunable(net).values())
    loss = functional.cross_entropy(net(batch[0]), batch[1])
    ends = theta[config.low - 1], theta[config.far - 1]
    low, far = torch.autograd.grad(loss, ends)
    return float(low.norm() / far.norm()) if far.any() else nan


def heard(net: nn.Module, masks: Masks, x: Tensor) -> float:
    r"""Return how much louder the kept inputs are than all inputs, before pruning.

    .. math:: \frac{\sum_{ij} W_{ij}^2 m_{ij} E[\phi_j^2] / \text{mean}_j E[\phi_j^2]}
        {\sum_{ij} W_{ij}^2 m_{ij}}

    Conventions: averaged over all layers but the first and the readout; 1 if mask and
    activity are independent.

    Args:
        net: Dense.
        masks: By name.
        x: Inputs (n, d).

    Returns:
        The mean ratio.
    """
    ones = {"gain": 1.0, "per": "layer"}
    plain = rescale.rescaling_factors(net, masks, **ones)
    active = rescale.activity_factors(net, masks, x, source="dense", **ones)
    inner = list(masks)[1:-1]
    ratios = [float((plain[k][0] / active[k][0]) ** 2) for k in inner]
    return sum(ratios) / len(ratios)


def theory(config: Signals, method: str) -> meanfield.Signal:
    """Return variances and gaps 1 - c of the unpruned network in theory, by layer.

    Conventions: two orthogonal inputs of mean square one, as long Gaussian ones are.
    """
    return meanfield.signal(
        activation(method), config.depth, *edge(method), q0=1.0, c0=0.0
    )


def run_profiles(config: Signals, group: list[dict]) -> list[list[dict]]:
    """Follow variance and correlation through the layers, every fifth of them."""
    method, density, seed = together(config, group[0])
    net, batch, named = masks_of(config, method, seed, density)
    wanted = theory(config, method)
    shown = range(0, config.depth - 1, 5)
    found = []
    for cell in group:
        mask, factor = cell["variant"].split()
        new = net if mask == "dense" else rescaled(net, named(mask), factor, batch[0])
        q, c = correlations(layers(new, batch[0]))
        found.append([
            {"step": k + 1, "q": q[k], "share": q[k] / float(wanted.q[k]),
             "gap": 1 - c[k], "gap_theory": float(wanted.gap[k])} for k in shown
        ])  # fmt: skip
    return found


SIGNALS = Signals(seeds=5)
PROFILES = replace(
    SIGNALS,
    seeds=3,
    methods=("tanh", "elu", "relu"),
    variants=("dense none", "sbp none", "sbp row", "sbp activity", "shuffled row"),
    densities=(0.2,),
)
SMALL = {"seeds": 1, "depth": 12, "width": 24, "inputs": 30, "batch": 20,
         "middle": 7, "far": 10, "low": 3}  # fmt: skip
