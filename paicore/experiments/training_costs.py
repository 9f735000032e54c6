"""What figures cost: read from committed records and benchmarks, never typed.

A record's JSON says how long its runs took; `benchmarks/results/training.csv` says how
long a step takes. Where a file or a case is missing the answer is "not run".
"""

import csv
import json
import statistics
from pathlib import Path
from typing import NamedTuple

from paicore.records.places import root
from paicore.train import RECIPES

RATES = "benchmarks/results/training.csv"
NOT_RUN = "not run"


class Figure(NamedTuple):
    """Trainings of one kind that a figure of a paper needs.

    Attributes:
        name: What it shows.
        recipe: Key of RECIPES.
        samples: Training samples, which fix the steps.
        trainings: How many: methods times densities times seeds, as designed here.
        case: The benchmark's case whose rate applies.
        per_step: Whether its seconds are those of one step of one network; otherwise
            they are those of its n steps.
    """

    name: str
    recipe: str
    samples: int
    trainings: int
    case: str
    per_step: bool


FIGURES = (
    Figure(
        "NTT, LeNet-300-100, MNIST: 3 methods, 7 densities, 5 seeds",
        "ntt_supervised", 54_000, 105,
        "LeNet-300-100 adam batch 64, minimal loop / fit", False,
    ),
    Figure(
        "Robust Pruning, depth-10 tanh MLP, MNIST: 32 networks",
        "robust_pruning_mlp", 60_000, 32,
        "depth-10 MLP x 32, fit one by one / population", True,
    ),
    Figure(
        "NTK-SAP, ResNet-20, CIFAR-10: 7 methods, 9 densities, 3 seeds",
        "ntk_sap_resnet20", 50_000, 189,
        "ResNet-20 x 27, fit one by one / population", True,
    ),
)  # fmt: skip


def seconds_per_step(figure: Figure, path: Path) -> float | None:
    """Return the median seconds of one step of one network; None if not measured.

    Args:
        figure: Names the case.
        path: The benchmark's CSV.

    Returns:
        Seconds, of whatever machine measured them.
    """
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["case"] == figure.case]
    times = [
        float(row["ours"]) / (1 if figure.per_step else int(row["n"]))
        for row in rows
        if row["ratio"] != NOT_RUN
    ]
    return statistics.median(times) if times else None


def figures_table(path: Path | None = None) -> str:
    """Return the hours of the papers' figures at the measured rates, as text.

    Args:
        path: The benchmark's CSV; None for the committed one.

    Returns:
        One line per figure: trainings, steps of each, milliseconds per step, hours in
        all on one CPU thread or one GPU; "not run" where no rate was measured.
    """
    path = root() / RATES if path is None else path
    lines = [f"{'figure':64}{'trainings':>10}{'steps':>8}{'ms a step':>11}{'hours':>9}"]
    for figure in FIGURES:
        steps = RECIPES[figure.recipe].total_steps(figure.samples)
        each = seconds_per_step(figure, path)
        rate = NOT_RUN if each is None else f"{1e3 * each:.3g}"
        total = 0.0 if each is None else each * steps * figure.trainings / 3600
        hours = NOT_RUN if each is None else f"{total:.3g}"
        counts = f"{figure.trainings:10}{steps:8}"
        lines.append(f"{figure.name:64}{counts}{rate:>11}{hours:>9}")
    if not path.exists():
        lines.append(f"no rate was measured yet: {RATES} is missing, make bench")
    return "\n".join(lines)


def records_table(folder: Path | None = None) -> str:
    """Return how long the committed records of trainings took, as text.

    Args:
        folder: Where records are; None for the committed ones.

    Returns:
        One line per record whose config has a recipe: runs, minutes of the wall and
        seconds per run and process.
    """
    folder = root() / "figures" if folder is None else folder
    lines = [f"{'record':50}{'runs':>6}{'processes':>11}{'minutes':>9}{'s a run':>9}"]
    for path in sorted(folder.glob("*/*/*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not facts["config"].get("recipe"):
            continue
        done, wall = facts["runs"]["done"], facts["wall_seconds"]
        jobs = int(facts["machine"].get("jobs") or 1)
        name = path.relative_to(folder).with_suffix("").as_posix()
        numbers = f"{done:6}{jobs:11}{wall / 60:9.1f}{jobs * wall / done:9.1f}"
        lines.append(f"{name:50}{numbers}")
    return "\n".join(lines) if len(lines) > 1 else f"{NOT_RUN}: no committed record"
