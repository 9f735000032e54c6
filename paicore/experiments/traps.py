"""Experiments of the traps: masks that share a name, a range, and counts.

``overlaps`` prunes one network by two versions of one score and compares the masks.
``range`` asks which SynFlow scores are finite in single and in double precision.
``counts`` asks how many weights are kept when scores tie. The wrong versions are in
`traps_wrong` and `traps_wrong_scores`, the path sums in `traps_paths`, the list of all
traps in `traps_catalogue`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from paicore import nets, seeds
from paicore.experiments import Config, Experiment
from paicore.experiments.traps_overlaps import (
    Overlaps,
    Setup,
    is_asked,
    overlap_cells,
    run_overlap,
)
from paicore.experiments.traps_wrong import wrong_threshold
from paicore.experiments.traps_wrong_scores import wrong_synflow_float32
from paicore.masks import Masks
from paicore.scores import prune, synflow

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

NOTEBOOK = "01_traps"
NO_PAPER = "this notebook belongs to no paper"


@dataclass(frozen=True)
class Range(Config):
    """SynFlow by depth.

    Attributes:
        nets: Names of networks.
        in_shape: Shape of one input.
        width: Channels of the first stage.
    """

    nets: tuple[str, ...] = ("resnet20", "resnet32", "resnet56", "resnet110")
    in_shape: tuple[int, ...] = (3, 32, 32)
    width: int = 16


@dataclass(frozen=True)
class Counts(Config):
    """Numbers kept on one network.

    Attributes:
        net: Name of the network.
        in_shape: Shape of one input.
        density: Fraction asked for.
    """

    net: str = "resnet20"
    in_shape: tuple[int, ...] = (3, 32, 32)
    density: float = 0.1


def range_cells(config: Range) -> list[dict]:
    """One run per network and seed."""
    cell = {"method": "synflow", "density": 1.0}
    return [
        {**cell, "seed": seed, "variant": net}
        for seed, net in product(range(config.seeds), config.nets)
        if is_asked(config, "synflow")
    ]


def run_range(config: Range, cell: dict) -> list[dict]:
    """Score by SynFlow in both precisions; count what is finite."""
    generator = seeds.generator(cell["seed"], "traps", "range", cell["variant"])
    net = nets.build(
        cell["variant"], in_shape=config.in_shape, width=config.width,
        generator=generator,
    )  # fmt: skip
    dense, batch = Masks.dense(net), (torch.zeros(1, *config.in_shape), None)
    row = {"step": 0, "weights": dense.total}
    for bits, score in (("32", wrong_synflow_float32), ("64", synflow)):
        found = score(net, dense, batch)
        flat = torch.cat([each.flatten() for each in found.values()])
        finite = flat[flat.isfinite()]
        row[f"finite_share_{bits}"] = len(finite) / len(flat)
        row[f"largest_finite_{bits}"] = float(finite.max()) if len(finite) else math.nan
    return [row]


def given(values: Tensor) -> Callable[..., dict]:
    """Return a score that deals out the given values, one per weight, in order."""

    def score(net, masks, batch, *, generator=None) -> dict[str, Tensor]:
        parts = values.split([mask.numel() for mask in masks.values()])
        return {
            name: part.view(mask.shape)
            for (name, mask), part in zip(masks.items(), parts, strict=True)
        }

    return score


def count_cells(config: Counts) -> list[dict]:
    """Two ways to choose, for scores that all differ and for scores that all tie."""
    return [
        {"method": method, "density": config.density, "seed": seed, "variant": variant}
        for method, variant in product(("exact", "threshold"), ("distinct", "ties"))
        for seed in range(config.seeds)
        if is_asked(config, method)
    ]


def run_counts(config: Counts, cell: dict) -> list[dict]:
    """Count what is kept, by prune and by a threshold."""
    draws = seeds.generator(cell["seed"], "traps", "counts")
    net = nets.build(config.net, in_shape=config.in_shape, generator=draws)
    total, density = Masks.dense(net).total, cell["density"]
    values = torch.randn(total, generator=draws, dtype=torch.float64)
    if cell["variant"] == "ties":
        values = torch.ones_like(values)
    asked = int(total * density + 0.5)
    if cell["method"] == "exact":
        kept = prune(net, given(values), density=density).kept
    else:
        kept = int(wrong_threshold(values, asked).sum())
    return [{"step": 0, "kept": kept, "asked": asked, "total": total}]


RANGE_VALUES = (
    "weights",
    "finite_share_32",
    "largest_finite_32",
    "finite_share_64",
    "largest_finite_64",
)
QUICK = Overlaps(
    seeds=5,
    setups=(
        Setup("mnist", "lenet_300_100"),
        Setup("cifar10", "resnet20", width=8, batch_norm=True),
    ),
)
SMOKE = replace(
    QUICK,
    seeds=2,
    setups=(
        Setup("digits", "mlp", width=(32, 16)),
        Setup("digits", "resnet", width=4, depth=8, batch_norm=True),
    ),
    densities=(0.1,),
    rounds=4,
)


def experiment(name, cells, run, values, smoke, quick, cost) -> Experiment:
    """Declare an experiment of this notebook."""
    costs = {"smoke": "seconds on 1 CPU core", "quick": cost, "paper": NO_PAPER}
    profiles = {"smoke": smoke, "quick": quick}
    return Experiment(NOTEBOOK, name, cells, run, values, profiles, costs)


EXPERIMENTS = {
    "overlaps": experiment(
        "overlaps",
        overlap_cells,
        run_overlap,
        ("iou", "kept"),
        SMOKE,
        QUICK,
        "10 min on 2 CPU cores",
    ),
    "range": experiment(
        "range",
        range_cells,
        run_range,
        RANGE_VALUES,
        Range(seeds=1, nets=("resnet20", "resnet56"), in_shape=(3, 8, 8), width=4),
        Range(seeds=3),
        "1 min on 1 CPU core",
    ),
    "counts": experiment(
        "counts",
        count_cells,
        run_counts,
        ("kept", "asked", "total"),
        Counts(seeds=3),
        Counts(seeds=3),
        "1 s on 1 CPU core",
    ),
}


# Label of a pair in figures, from top to bottom; SynFlow-L2 adds its two letters.
LABELS = {
    "grasp_control": "GraSP, another batch (control)",
    "grasp_sign": "GraSP, sign reversed",
    "grasp_temperature": "GraSP, temperature 1 or 200",
    "grasp_halves": "GraSP, class-sorted halves",
    "grasp_two_batches": "GraSP, one or two augmentations",
    "snip_control": "SNIP, another batch (control)",
    "snip_per_batch": "SNIP, moduli of two batches",
    "snip_redrawn": "SNIP, weights drawn again",
    "synflow_train_mode": "SynFlow, batch norm of one",
    "synflow_l2_b": "SynFlow and SynFlow-L2 B",
    "synflow_l2": "SynFlow-L2",
}


def labelled(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Add network, family (a method with a style) and label, in the figure's order."""
    network = rows["variant"].str.partition(" ")[0]
    letters = rows["variant"].str.partition(" ")[2]
    letters = letters.where(rows["method"] == "synflow_l2", "")
    rows = rows.assign(
        network=network,
        family=rows["method"].str.partition("_")[0],
        label=(rows["method"].map(LABELS) + " " + letters).str.strip(),
        place=rows["method"].map(list(LABELS).index),
    )
    return rows.sort_values(["place", "label", "network", "density", "seed"])


def overlap_table(record: "Record") -> str:
    """Return mean, sd and range of the IoU as text, one line per pair and network."""
    if record.rows is None:
        return record.message
    found = record.rows.groupby(["method", "variant", "density"])["iou"]
    lines = [f"{'pair':19}{'network':24}{'density':>8}{'mean':>8}{'sd':>7}{'n':>3}"]
    for (method, variant, density), values in found:
        spread = f"{values.std():7.3f}{len(values):3}"
        name = f"{method:19}{variant:24}{density:8g}"
        lines.append(f"{name}{values.mean():8.3f}{spread}")
    return "\n".join(lines)


def range_table(record: "Record") -> str:
    """Return the finite shares and largest scores as text, one line per network."""
    if record.rows is None:
        return record.message
    lines = [f"{'network':11}{'n':>3}{'finite 32':>12}{'finite 64':>11}{'largest':>11}"]
    groups = record.rows.sort_values("weights").groupby("variant", sort=False)
    for net, rows in groups:
        single, double = (rows[f"finite_share_{bits}"].min() for bits in (32, 64))
        largest = rows["largest_finite_64"].max()
        share = f"{single:12.5f}{double:11.5f}{largest:11.2g}"
        lines.append(f"{net:11}{len(rows):3}{share}")
    return "\n".join(lines)
