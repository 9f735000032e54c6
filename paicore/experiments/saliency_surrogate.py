r"""How far the finite difference is from its limit: epsilon, width, kinks.

"fd" sums D = |f(theta) - f(theta + Delta)|^2 with Delta ~ N(0, epsilon I); "jvp" sums
its limit D / epsilon for epsilon to 0. Both see the same draws here, so what differs is
epsilon alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paicore import Masks
from paicore.experiments.saliency_nets import (
    Setting,
    agreement,
    blank,
    draws,
    flat,
    keep_largest,
    network,
    overlap,
)
from paicore.forward import prunable
from paicore.scores import saliency_sums
from paicore.scores.ntk_sap_draws import Settings
from paicore.scores.ntk_sap_draws import draws as score_draws

SURROGATE_VALUES = (
    "epsilon", "relative_step", "ratio", "away", "error", "spearman", "overlap",
    "again_spearman", "again_overlap", "gain",
)  # fmt: skip
KINK_VALUES = ("epsilon", "error", "clean", "kinked", "crossed", "falls")
NAN = float("nan")
GIVEN = {"weights": "given", "inputs": "real"}


@dataclass(frozen=True)
class Surrogate(Setting):
    """The score at several epsilons against its limit, the same draws throughout.

    Attributes:
        widths: Pairs (network, widths); a width is a run's variant.
        in_shape: Shape of one input; MLPs take 64 numbers.
        epsilons: Variances of the perturbation, falling; the first is the paper's.
        repeats: Draws R of weights, inputs and perturbation.
    """

    methods: tuple[str, ...] = ("mlp", "resnet20", "vgg16_bn")
    densities: tuple[float, ...] = (0.8**10,)
    widths: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("mlp", (64, 256, 1024)), ("resnet20", (4, 16)), ("vgg16_bn", (8, 32)),
    )  # fmt: skip
    in_shape: tuple[int, ...] = (3, 32, 32)
    epsilons: tuple[float, ...] = (1e-4, 2.5e-5, 1e-5, 1e-6, 1e-8)
    repeats: int = 5
    samples: int = 8


def surrogate_cells(config: Surrogate) -> list[dict]:
    """Every network in each of its widths, for every seed."""
    return [
        {"method": method, "density": density, "seed": seed, "variant": str(width)}
        for method, widths in config.widths
        if method in (config.only.split(",") if config.only else config.methods)
        for density in config.densities
        for width in widths
        for seed in range(config.seeds)
    ]


def run_surrogate(config: Surrogate, cell: dict) -> list[dict]:
    """Compare D / epsilon, its saliency and its mask with the limit; a row an epsilon.

    Returns:
        Rows: "relative_step" is the perturbation's sd over that of the widest layer's
        weights. "again_..." compares fd at the first epsilon with itself on other
        draws, "gain" is what the rank correlation with jvp has over that; nan in later
        rows.
    """
    name, seed = cell["method"], cell["seed"]
    net, in_shape = built(cell, config.in_shape, "surrogate")

    def sums(what: str = "score", **how):
        return saliency_sums(
            net, Masks.dense(net), blank(in_shape, config.samples),
            repeats=config.repeats, generator=draws(seed, "surrogate", name, what),
            **how,
        )  # fmt: skip

    limit = sums(estimator="jvp")
    fan = max(w[0].numel() for w in prunable(net).values())
    rows = []
    for k, epsilon in enumerate(config.epsilons):
        found = sums(epsilon=epsilon)
        facts = compared(found, limit, epsilon, cell["density"])
        again = {"again_spearman": NAN, "again_overlap": NAN, "gain": NAN}
        if k == 0:
            other = sums("other score", epsilon=epsilon)
            again = control(found.signed, other.signed, cell["density"])
            again["gain"] = facts["spearman"] - again["again_spearman"]
        relative_step = sqrt(epsilon * fan / 2)
        rows.append({"step": k, "epsilon": epsilon, "relative_step": relative_step,
                     **facts, **again})  # fmt: skip
    return rows


def built(
    cell: dict, in_shape: tuple[int, ...], purpose: str
) -> tuple[nn.Module, tuple[int, ...]]:
    """Return the network of a run in its width, and the shape of its input."""
    name = cell["method"]
    # an MLP of few inputs, so that its width is its largest fan-in
    options = {"depth": 4, "in_shape": (64,)} if name == "mlp" else {}
    return network(
        name, draws(cell["seed"], purpose, name), width=int(cell["variant"]),
        **{"in_shape": in_shape, **options},
    )  # fmt: skip


def compared(found, limit, epsilon: float, density: float) -> dict[str, float]:
    """Return what a finite difference has in common with its limit."""
    ratio = float(found.values.sum() / epsilon / limit.values.sum())
    return {
        "ratio": ratio, "away": abs(ratio - 1),
        "error": relative_error(found.signed, limit.signed, epsilon),
        "spearman": agreement(found.signed, limit.signed),
        "overlap": overlap(
            keep_largest(found.signed, density), keep_largest(limit.signed, density)
        ),
    }  # fmt: skip


def control(one: Mapping, other: Mapping, density: float) -> dict[str, float]:
    """Return how much two independent scorings have in common."""
    masks = (keep_largest(each, density) for each in (one, other))
    return {"again_spearman": agreement(one, other), "again_overlap": overlap(*masks)}


def relative_error(
    found: Mapping[str, Tensor], limit: Mapping[str, Tensor], scale: float
) -> float:
    """Return the distance of found / scale from a limit, relative to the limit."""
    wanted = flat(limit)
    return float((flat(found) / scale - wanted).norm() / wanted.norm())


@dataclass(frozen=True)
class Kinks(Setting):
    """Single draws, whose finite difference is compared with its own limit.

    Attributes:
        epsilons: Variances, each a hundredth of the one before from the second on.
        number: Of draws, each for itself.
    """

    methods: tuple[str, ...] = ("mlp", "mlp_tanh", "mlp_gelu", "conv6")
    epsilons: tuple[float, ...] = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
    number: int = 20


def run_kinks(config: Kinks, cell: dict) -> list[dict]:
    """Compare the saliency of single draws with the limit; one row per epsilon.

    Returns:
        Rows: "error" is the median relative error, "clean" that of the draws in which
        no ReLU gate switches, "kinked" that of the others and "crossed" their share;
        "falls" is the last row's error over this one's. Gates are counted in the MLP
        with ReLU only.
    """
    name, seed = cell["method"], cell["seed"]
    net, in_shape = network(name, draws(seed, "kinks", name))
    g = draws(seed, "kinks", "inputs")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)

    def sums(k: int, **how):
        return saliency_sums(
            net, Masks.dense(net), (x, None), repeats=1, **GIVEN,
            generator=draws(seed, "kinks", name, k), **how,
        ).signed  # fmt: skip

    limits = [sums(k, estimator="jvp") for k in range(config.number)]
    rows, last = [], NAN
    for step, epsilon in enumerate(config.epsilons):
        errors = torch.tensor([
            relative_error(sums(k, epsilon=epsilon), limit, epsilon)
            for k, limit in enumerate(limits)
        ])  # fmt: skip
        switched = None
        if name == "mlp":
            switched = torch.tensor([
                crosses(net, x, epsilon, draws(seed, "kinks", name, k))
                for k in range(config.number)
            ])  # fmt: skip
        error = float(errors.median())
        rows.append({"step": step, "epsilon": epsilon, "error": error,
                     **split(errors, switched), "falls": last / error})  # fmt: skip
        last = error
    return rows


def split(errors: Tensor, switched: Tensor | None) -> dict[str, float]:
    """Return the median error of draws that switch no gate, and of the others."""
    if switched is None:
        return dict.fromkeys(("clean", "kinked", "crossed"), NAN)
    parts = {"clean": errors[~switched], "kinked": errors[switched]}
    found = {n: float(part.median()) if len(part) else NAN for n, part in parts.items()}
    return {**found, "crossed": float(switched.double().mean())}


def crosses(net: nn.Module, x: Tensor, epsilon: float, g: torch.Generator) -> bool:
    """Say whether a draw of the score moves any ReLU of a network across its kink."""
    own = {name: w.detach() for name, w in prunable(net).items()}
    settings = Settings(**GIVEN, epsilon=epsilon, repeats=1)
    draw = next(score_draws(own, Masks.dense(net), x, settings, g))
    moved = {name: w + draw.step[name] for name, w in draw.weights.items()}
    return not torch.equal(gates(net, draw.weights, x), gates(net, moved, x))


def gates(net: nn.Module, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return which inputs of ReLUs are positive, in one vector."""
    found: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda m, given, out: found.append(given[0] > 0))
        for module in net.modules()
        if isinstance(module, nn.ReLU)
    ]
    try:
        functional_call(net, dict(weights), (x,))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat([part.flatten() for part in found])
