r"""The surrogate against the exact trace of the tangent kernel, at given weights.

Frozen batch norm, as in the score: the statistics of the unperturbed network hold for
the trace and for both branches. Every perturbation is used at every epsilon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paicore import Masks, prune
from paicore.experiments.saliency_nets import Setting, draws
from paicore.experiments.saliency_surrogate import built, surrogate_cells
from paicore.forward import private_copy, prunable
from paicore.kernels import ntk

EXACT_VALUES = ("epsilon", "trace", "ratio", "away", "error")


@dataclass(frozen=True)
class Exact(Setting):
    """D / epsilon over the exact trace; a seed draws weights, inputs, perturbations.

    Attributes:
        widths: As in `Surrogate`; a density below 1 stands for a random mask.
        in_shape: As in `Surrogate`.
        epsilons: Variances of the perturbation, falling; the first is the paper's.
        number: Of perturbations.
        number_wide: The same for VGG-16, where they spread less and cost more.
    """

    methods: tuple[str, ...] = ("mlp", "resnet20", "vgg16_bn")
    widths: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("mlp", (64, 256, 1024)), ("resnet20", (4, 16)), ("vgg16_bn", (8, 32, 64)),
    )  # fmt: skip
    in_shape: tuple[int, ...] = (3, 32, 32)
    epsilons: tuple[float, ...] = (1e-4, 2.5e-5, 1e-5, 1e-6, 1e-8)
    number: int = 48
    number_wide: int = 12
    samples: int = 8


exact_cells = surrogate_cells


def run_exact(config: Exact, cell: dict) -> list[dict]:
    """Compare the mean of D / epsilon with the trace; a row an epsilon.

    Returns:
        Rows: "ratio" is the mean over the trace, "away" its distance from 1, "error"
        the ratio's standard error over the perturbations.
    """
    name, seed, density = cell["method"], cell["seed"], cell["density"]
    net, in_shape = built(cell, config.in_shape, "exact")
    masks = Masks.dense(net)
    if density < 1:
        masks = prune(
            net, "random", density=density, generator=draws(seed, "exact", name, "mask")
        )
    g = draws(seed, "exact", name, "inputs")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)
    trace = float(ntk.trace(
        net, x, masks=masks, params="prunable", batch_norm="frozen", progress=False
    ))  # fmt: skip
    number = config.number_wide if name == "vgg16_bn" else config.number
    g = draws(seed, "exact", name, "steps")
    found = changes(net, masks, x, config.epsilons, number, g)
    return [
        {"step": k, "epsilon": epsilon, "trace": trace, **moments(values, trace)}
        for k, (epsilon, values) in enumerate(zip(config.epsilons, found, strict=True))
    ]


def moments(values: Tensor, trace: float) -> dict[str, float]:
    """Return the mean of estimates over the trace, and what is uncertain in it."""
    ratio = float(values.mean()) / trace
    error = float(values.std()) / sqrt(len(values)) / trace
    return {"ratio": ratio, "away": abs(ratio - 1), "error": error}


@torch.no_grad()
def changes(
    net: nn.Module,
    masks: Mapping,
    x: Tensor,
    epsilons: Sequence[float],
    number: int,
    g: torch.Generator,
) -> Tensor:
    """Return D / epsilon of each perturbation, (epsilons, number)."""
    twin = private_copy(net, masks=masks, batch_norm="frozen", stats_from=x)
    own, here = prunable(twin), twin(x)
    found = torch.empty(len(epsilons), number, dtype=torch.float64)
    for k in range(number):
        step = {
            name: masks[name] * torch.randn(w.shape, generator=g, dtype=torch.float64)
            for name, w in own.items()
        }
        for row, epsilon in enumerate(epsilons):
            moved = {name: w + sqrt(epsilon) * step[name] for name, w in own.items()}
            away = functional_call(twin, moved, (x,)) - here
            found[row, k] = away.square().sum() / epsilon
    return found
