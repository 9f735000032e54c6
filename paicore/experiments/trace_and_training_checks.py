"""Which score keeps the trace, which one empties layers, and GraSP's sign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from paicore import data
from paicore.experiments.trace_and_training_masks import (
    Case,
    Pruning,
    case_of,
    load,
    network,
    pruned,
)
from paicore.kernels import paths
from paicore.masks import Masks, effective
from paicore.scores import prune

KEPT = ("trace", "narrowest", "over_synflow", "over_synflow_l2", "wider_than_c")
COLLAPSE = ("kept", "empty", "least")
SIGN = ("gradient", "over_fork", "over_data_free", "over_least", "overlap")
# C7: method to score and options; scored with or without biases.
FORMS = {
    "synflow": ("synflow_l2", {"variant": "B"}),
    "synflow_l2_a": ("synflow_l2", {"variant": "A"}),
    "synflow_l2": ("synflow_l2", {"variant": "C"}),
    "synflow_l2_d": ("synflow_l2", {"variant": "D"}),
}
DATA_FREE = ("random", "magnitude", "synflow", "synflow_l2", "synflow_l2_d")


def group(config: Pruning, cell: Mapping) -> tuple[str, float, int]:
    """Return what is computed in one call: all methods at one density and seed."""
    return cell["variant"], cell["density"], cell["seed"]


def run_kept(config: Pruning, cells: Sequence[Mapping]) -> list[list[dict]]:
    """Measure trace and width of every mask, and compare with SynFlow and variant C.

    Returns:
        For each cell one row. "narrowest" is the least number of hidden units of a
        layer that lie on a path; "over_..." are quotients of traces; "wider_than_c" is
        a difference of narrowest layers.
    """
    first = cells[0]
    names = {cell["method"] for cell in cells} | {"synflow", "synflow_l2"}
    case, seed = case_of(config, first["variant"]), first["seed"]
    net, shape = network(case, seed), load(case.data).in_shape
    found = {}
    for name in sorted(names):
        masks = pruned(config, case, seed, name, first["density"])
        trace = paths.trace(net, shape, masks=masks)
        found[name] = trace, narrowest(net, shape, masks)
    return [[_kept_row(cell["method"], found)] for cell in cells]


def _kept_row(name: str, found: Mapping[str, tuple[float, int]]) -> dict:
    """Return the row of one method."""
    trace, width = found[name]
    return {
        "step": 0,
        "trace": trace,
        "narrowest": width,
        "over_synflow": trace / found["synflow"][0],
        "over_synflow_l2": trace / found["synflow_l2"][0],
        "wider_than_c": width - found["synflow_l2"][1],
    }


def narrowest(net: nn.Module, shape: tuple[int, ...], masks: Masks) -> int:
    """Return the least number of hidden units of a Linear layer that are on a path."""
    alive = [*effective(masks, net, shape).values()]
    return min(int(mask.any(1).sum()) for mask in alive[:-1])


@dataclass(frozen=True)
class Collapse(Pruning):
    """Networks whose layers may lose all weights; variants say how they are scored.

    Attributes:
        bottleneck: Hidden widths of the network of the second half.
        sparse: Density of the second half.
        many: Rounds of its iterative variant.
    """

    bottleneck: tuple[int, ...] = (40, 40, 4, 40)
    sparse: float = 0.01
    many: int = 50


def collapse_cells(config: Collapse) -> list[dict]:
    """Every score with and without biases, and in one round and many."""
    halves = [
        *((density, "biases kept") for density in config.densities),
        *((density, "biases zero") for density in config.densities),
        (config.sparse, "one shot"),
        (config.sparse, "iterative"),
    ]
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method in config.methods
        if not config.only or method in config.only.split(",")
        for density, variant in halves
        for seed in range(config.seeds)
    ]


def run_collapse(config: Collapse, cell: Mapping) -> list[dict]:
    """Count the layers that a score leaves without weights.

    Conventions: the first half is the case's network, the second a bias-free one of
    the same data with the widths of `bottleneck`, He-initialised.

    Returns:
        One row: weights kept, empty layers, and weights in the thinnest layer.
    """
    case, variant, rounds = config.cases[0], cell["variant"], config.rounds
    if not variant.startswith("biases"):
        case = replace(case, width=config.bottleneck, depth=None, bias=False, init="he")
        rounds = config.many if variant == "iterative" else 1
    score, options = FORMS[cell["method"]]
    bias = "keep" if variant == "biases kept" else "zero"
    blank = torch.zeros(1, *load(case.data).in_shape), None  # only its shape is used
    masks = prune(
        network(case, cell["seed"]), score, density=cell["density"], batch=blank,
        rounds=rounds, bias=bias, progress=False, **options,
    )  # fmt: skip
    least = min(int(mask.sum()) for mask in masks.values())
    empty = len(masks.collapsed)
    return [{"step": 0, "kept": masks.kept, "empty": empty, "least": least}]


def run_sign(config: Pruning, cells: Sequence[Mapping]) -> list[list[dict]]:
    r"""Measure the squared gradient norm after pruning, on all training images.

    .. math:: \| m \odot \nabla_\theta L(m \odot \theta) \|^2

    Returns:
        For each cell one row. "over_fork" is the quotient to the reversed sign at the
        same temperature, "over_data_free" to the largest of the methods without data,
        "over_least" to their smallest, "overlap" the intersection over union with the
        other temperature's mask; nan for methods that are not GraSP.
    """
    first = cells[0]
    case, seed = case_of(config, first["variant"]), first["seed"]
    names = {cell["method"] for cell in cells} | {*GRASP, *DATA_FREE}
    masks = {
        name: pruned(config, case, seed, name, first["density"])
        for name in sorted(names)
    }
    norms = {name: gradient_norm(case, seed, each) for name, each in masks.items()}
    plain = [norms[name] for name in DATA_FREE]
    return [[_sign_row(cell["method"], norms, masks, plain)] for cell in cells]


# GraSP to its fork at the same temperature, and to itself at the other one.
GRASP = {
    "grasp": ("grasp_fork", "grasp_t1"),
    "grasp_t1": ("grasp_fork_t1", "grasp"),
    "grasp_fork": ("grasp_fork", "grasp_fork_t1"),
    "grasp_fork_t1": ("grasp_fork_t1", "grasp_fork"),
}


def _sign_row(name: str, norms: Mapping, masks: Mapping, plain: list[float]) -> dict:
    """Return the row of one method."""
    row = {"step": 0, "gradient": norms[name]}
    row["over_data_free"] = norms[name] / max(plain)
    row["over_least"] = norms[name] / min(plain)
    row |= {"over_fork": float("nan"), "overlap": float("nan")}
    if name in GRASP:
        fork, other = GRASP[name]
        row["over_fork"] = norms[name] / norms[fork]
        row["overlap"] = overlap(masks[name], masks[other])
    return row


def gradient_norm(case: Case, seed: int, masks: Masks) -> float:
    """Return the squared norm of the masked gradient at the masked weights."""
    net = masks.apply_(network(case, seed)).double()
    ds = load(case.data).subset(train=case.train, test=case.test)
    x = data.normalise(ds, ds.train_x, torch.float64)
    weights = {n: p for n, p in net.named_parameters() if n in masks}
    loss = F.cross_entropy(net(x), ds.train_y)
    grads = torch.autograd.grad(loss, [*weights.values()])
    named = zip(weights, grads, strict=True)
    return float(sum((g[masks[name]] ** 2).sum() for name, g in named))


def overlap(a: Masks, b: Masks) -> float:
    """Return the intersection over union of two masks."""
    return _count(a[n] & b[n] for n in a) / _count(a[n] | b[n] for n in a)


def _count(tensors: Iterable[torch.Tensor]) -> int:
    """Return the number of entries that are True."""
    return sum(int(each.sum()) for each in tensors)
