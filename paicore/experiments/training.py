"""Experiments on training: what populations and bfloat16 change, and what not.

``equivalence`` trains MNIST networks in pairs and asks whether another way of training
changes the accuracy; ``engines`` measures how far the weights are apart, step by step.
The recipes and what they rest on are in `training_papers`, costs in `training_costs`.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from paicore.experiments import (
    Experiment,
    training_engines,
    training_pairs,
)
from paicore.experiments.training_engines import ENGINES_VALUES, Engines, run_engines
from paicore.experiments.training_pairs import MARGIN, PAIRS_VALUES, Pairs, run_pairs

if TYPE_CHECKING:
    from paicore.records import Record

EQUIVALENCE = Pairs(seeds=1)
ENGINES = Engines(seeds=3)

# The bundled digits and narrow networks: every line above runs in seconds.
_SMOKE_PAIRS = replace(
    EQUIVALENCE,
    data="digits",
    net="mlp",
    width=(32, 16),
    density=0.2,
    pairs=3,
    recipe=replace(EQUIVALENCE.recipe, steps=400),
)
_SMOKE_ENGINES = replace(
    ENGINES,
    data="digits",
    seeds=1,
    train=330,
    methods=("mlp", "resnet"),
    checkpoints=(1, 20),
    widths=((32, 16), 2),
)
EXPERIMENTS = {
    "equivalence": Experiment(
        notebook="03_training",
        name="equivalence",
        cells=training_pairs.cells,
        run=run_pairs,
        values=PAIRS_VALUES,
        profiles={"smoke": _SMOKE_PAIRS, "quick": EQUIVALENCE},
        cost={
            "smoke": "seconds on 1 CPU core",
            "quick": "5 min on 1 CPU core",
            "paper": "this notebook belongs to no paper",
        },
    ),
    "engines": Experiment(
        notebook="03_training",
        name="engines",
        cells=training_engines.cells,
        run=run_engines,
        values=ENGINES_VALUES,
        profiles={"smoke": _SMOKE_ENGINES, "quick": ENGINES},
        cost={
            "smoke": "seconds on 1 CPU core",
            "quick": "4 min on 1 CPU core",
            "paper": "this notebook belongs to no paper",
        },
    ),
}


def verdicts(record: "Record") -> str:
    """Return the equivalence test of every arm as text, in points of test accuracy.

    Args:
        record: Of ``equivalence``; without rows its message is returned.

    Returns:
        One line per arm: the mean paired difference, its standard deviation, its 90 %
        interval, equal pairs, and whether the interval lies inside the margin.
    """
    if record.rows is None:
        return record.message
    n, lines = record.config.pairs, []
    head = f"mean {'sd':>8} {'interval of 90 %':>20} {'equal pairs':>13}"
    lines.append(f"{f'n = {n} pairs':13} {head}  within {MARGIN} points")
    for arm in record.config.methods:
        for _, rows in record.rows[record.rows["method"] == arm].groupby("seed"):
            mean, low, high = (rows[c].iloc[0] for c in ("mean", "low", "high"))
            ends = f"{low:+.3f} to {high:+.3f}"
            equal = int((rows["difference"] == 0).sum())
            inside = "yes" if low >= -MARGIN and high <= MARGIN else "no"
            numbers = f"{mean:+.3f} {rows['difference'].std():7.3f} {ends:>20}"
            lines.append(f"{arm:11} {numbers} {equal:13}  {inside}")
    return "\n".join(lines)


def gaps(record: "Record") -> str:
    """Return the largest gap over the seeds, by steps, as text.

    Args:
        record: Of ``engines``; without rows its message is returned.

    Returns:
        One line per network and variant; the head holds n and the numbers of steps.
    """
    if record.rows is None:
        return record.message
    rows, steps = record.rows, record.config.checkpoints
    head = f"n = {rows['seed'].nunique()}, steps"
    lines = [f"{head:30}" + "".join(f"{step:>10}" for step in steps)]
    for method in record.config.methods:
        for variant in record.config.variants:
            part = rows[(rows["method"] == method) & (rows["variant"] == variant)]
            worst = part.groupby("step")["gap"].max()
            if len(worst):
                cells = "".join(f"{worst[step]:10.1e}" for step in steps)
                lines.append(f"{f'{method} {variant}':30}{cells}")
    return "\n".join(lines)
