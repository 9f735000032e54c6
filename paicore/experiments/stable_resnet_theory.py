"""Theorem 2, Propositions 2 and 3 on fully connected ReLU ResNets without batch norm.

`run_growth` compares the saliency m = E[(W dL/dW)^2] of drawn networks with its
recursion, `run_edges` iterates the correlation map of Proposition 3, and `run_dense`
prunes by SBP. A variant is "plain", branches as they are, or "stable", times 1/sqrt(L).
"""

from collections.abc import Hashable
from dataclasses import dataclass
from math import log, nan, sqrt

import numpy as np
import torch
from torch import Tensor, nn

from paicore import SCORES, Masks, nets, seeds
from paicore.experiments import Config
from paicore.experiments.edge_of_chaos_nets import layer_moments
from paicore.forward import prunable
from paicore.kernels import meanfield
from paicore.masks import critical_sparsities
from paicore.nets import Scale

GROWTH_VALUES = ("log_m", "theory", "range", "slope", "slope_theory")
EDGE_VALUES = ("ratio", "slope")
DENSE_VALUES = ("cv", "least", "s_cr", "times")
KINDS = ("plain", "stable")


@dataclass(frozen=True)
class Setting(Config):
    """Fields of every config that is a list of points.

    Attributes:
        methods: In the order of tables; what they are is the experiment's own.
        variants: Likewise.
        density: Fraction of the weights that is kept.
    """

    methods: tuple[str, ...] = ()
    variants: tuple[str, ...] = KINDS
    density: float = 1.0


@dataclass(frozen=True)
class Growth(Setting):
    """Saliency against depth; a method is the variance sigma_w^2.

    Attributes:
        depths: Numbers L of blocks, the steps of a run.
        width: Width N, also of the inputs.
        draws: Networks that one run averages over.
        classes: Number of outputs.
    """

    methods: tuple[str, ...] = ("0.5", "1", "2")
    depths: tuple[int, ...] = (5, 10, 20, 30, 40)
    width: int = 200
    draws: int = 10
    classes: int = 10


@dataclass(frozen=True)
class Edges(Setting):
    """The correlation map of a pruned residual net; a method is alpha = E[N W^2 m].

    Attributes:
        depth: Blocks that are iterated.
        start: Correlation gap 1 - c of the first.
        nearby: Gap at which the slope of the map is read.
    """

    methods: tuple[str, ...] = ("0.1", "0.5", "1", "2")
    variants: tuple[str, ...] = ("plain",)
    depth: int = 20_000
    start: float = 0.5
    nearby: float = 1e-10


@dataclass(frozen=True)
class Dense(Setting):
    """SBP on residual MLPs; a method is the number L of blocks."""

    methods: tuple[str, ...] = ("50", "100")
    density: float = 0.1
    width: int = 100
    batch: int = 50


def cells(config: Setting) -> list[dict]:
    """Every method and variant, for every seed."""
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": config.density, "seed": seed, "variant": variant}
        for method in config.methods
        if method in only
        for variant in config.variants
        for seed in range(config.seeds)
    ]


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw; what is compared shares it."""
    return seeds.generator(seed, "stable_resnet", *names)


def residual(depth: int, width: int, classes: int, *names) -> nn.Module:
    """Draw a bias-free residual ReLU MLP with sigma_w = 1; the first name is a seed."""
    return nets.build(
        "residual_mlp", classes=classes, in_shape=(width,), width=width, depth=depth,
        init=("gaussian", 1.0, 0.0), bias=False, branch_factor=1.0,
        dtype=torch.float64, generator=draws(*names, depth, "init"),
    )  # fmt: skip


def set_scales(net: nn.Module, sigma_w: float, branch: float) -> nn.Module:
    """Multiply unit weights by sigma_w and give every branch its factor."""
    with torch.no_grad():
        for weight in prunable(net).values():
            weight.mul_(sigma_w)
    for module in net.modules():
        if isinstance(module, Scale):
            module.factor = branch
    return net


def one_sample(config: Growth, *names) -> tuple[Tensor, Tensor]:
    """Return an input and an output direction, both of mean square one."""
    g = draws(*names, "sample")
    x = torch.randn(1, config.width, generator=g, dtype=torch.float64)
    v = torch.randn(config.classes, generator=g, dtype=torch.float64)
    return x / x.square().mean().sqrt(), v / v.square().mean().sqrt()


def measured(config: Growth, cell: dict, depth: int) -> np.ndarray:
    """Return m^l of every block, (L,), a mean over draws; loss v.f, one sample."""
    sigma_w = sqrt(float(cell["method"]))
    branch = meanfield.branch_factor(depth, stable=cell["variant"] == "stable")
    total = np.zeros(depth)
    for draw in range(config.draws):
        names = cell["seed"], "growth", draw
        net = residual(depth, config.width, config.classes, *names)
        x, v = one_sample(config, *names)
        loss = (set_scales(net, sigma_w, branch)(x) @ v).sum()
        total += layer_moments(net, loss)[1:-1]
    return total / config.draws


def predicted(config: Growth, cell: dict, depth: int) -> np.ndarray:
    """Return m^l of every block in theory, (L,)."""
    branch = meanfield.branch_factor(depth, stable=cell["variant"] == "stable")
    found = meanfield.residual_moments(
        "relu", depth, config.width, sqrt(float(cell["method"])), branch=branch,
        outputs=config.classes,
    )  # fmt: skip
    return found.score


def run_growth(config: Growth, cell: dict) -> list[dict]:
    """Measure m for every depth; the fit stands in the last row.

    Conventions: the slope is that of log m against L for a plain net, against log L
    for a stable one; the fitted theory is the recursion's, at the same depths.

    Returns:
        A row per depth.
    """
    rows = []
    for depth in config.depths:
        blocks = measured(config, cell, depth)
        rows.append({
            "step": depth, "log_m": log(blocks.mean()),
            "theory": log(predicted(config, cell, depth).mean()),
            "range": float(np.ptp(np.log(blocks))), "slope": nan, "slope_theory": nan,
        })  # fmt: skip
    scale = np.log if cell["variant"] == "stable" else np.asarray
    for name, column in (("slope", "log_m"), ("slope_theory", "theory")):
        found = np.polyfit(scale(config.depths), [row[column] for row in rows], 1)
        rows[-1][name] = float(found[0])
    return rows


def run_edges(config: Edges, cell: dict) -> list[dict]:
    """Iterate 1 - c and compare l^2 (1 - c) with its limit."""
    sigma_w = sqrt(float(cell["method"]))

    def block(gap: float) -> float:
        return float(meanfield.residual_gap_map("relu", gap, sigma_w, q=1.0))

    gap = config.start
    for _ in range(config.depth):
        gap = block(gap)
    limit = meanfield.residual_rate(sigma_w)
    slope = block(config.nearby) / config.nearby
    return [{"step": config.depth, "ratio": gap * config.depth**2 / limit,
             "slope": slope}]  # fmt: skip


def together(config: Dense, cell: dict) -> Hashable:
    """Plain and stable networks of one depth and seed are compared."""
    return cell["method"], cell["seed"]


def run_dense(config: Dense, group: list[dict]) -> list[list[dict]]:
    """Prune plain and stable residual MLPs of the same draws by SBP."""
    depth, seed = int(group[0]["method"]), group[0]["seed"]
    found = {}
    for kind in KINDS:
        net = residual(depth, config.width, 10, seed, "dense")
        branch = meanfield.branch_factor(depth, stable=kind == "stable")
        set_scales(net, sqrt(2), branch)
        g = draws(seed, "dense", "batch")
        x = torch.randn(config.batch, config.width, generator=g, dtype=torch.float64)
        y = torch.randint(10, (config.batch,), generator=g)
        scores = SCORES["snip"].function(net, Masks.dense(net), (x, y))
        found[kind] = spread(scores, config.density)
    for row in found.values():
        row["times"] = row["cv"] / found["plain"]["cv"]
    return [[{"step": 0, **found[cell["variant"]]}] for cell in group]


def spread(scores: dict[str, Tensor], density: float) -> dict[str, float]:
    """Say how evenly the blocks of a residual MLP keep their weights.

    Args:
        scores: By layer; the first and the last are no blocks.
        density: Fraction kept of all weights.

    Returns:
        Coefficient of variation and least of the shares kept, critical sparsity.
    """
    line = torch.cat([s.flatten() for s in scores.values()])
    kept = int(len(line) * density + 0.5)
    threshold = line.sort(descending=True).values[kept - 1]
    shares = [float((s >= threshold).double().mean()) for s in scores.values()][1:-1]
    return {
        "cv": float(np.std(shares) / np.mean(shares)), "least": min(shares),
        "s_cr": min(critical_sparsities(scores).values()),
    }  # fmt: skip
