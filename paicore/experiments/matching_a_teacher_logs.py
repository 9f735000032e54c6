"""Loss curves of the transfer, and the interval in which one more run should lie."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from paicore.experiments.matching_a_teacher_students import Setting, student, teacher

LOGGED = (
    "loss",
    "kernel",
    "target",
    "l2",
    "masked",
    "ambient",
    "masked_relative",
    "ambient_relative",
    "kept",
    "turnover",
)
STARTED = ("masked", "ambient", "target")
LOG = (*LOGGED, *(f"{name}_share" for name in STARTED))
INTERVAL = ("runs", "mean", "sd", "low", "high")
DENSE_ROWS = 2_000  # steps up to which every logged row is kept
EVERY = 500  # and the last one


@dataclass(frozen=True)
class Logs(Setting):
    """Loss curves.

    Attributes:
        repeats: Number of runs behind an interval.
        level: Probability that it holds one more run.
    """

    repeats: int = 5
    level: float = 0.95


def run_log(config: Logs, cell: dict) -> list[dict]:
    """Match a teacher and return the log; "share" is relative to the first row."""
    log = student(config, teacher(config, cell["seed"]), cell).log
    last = log[-1]["step"]
    return [
        {name: row[name] for name in ("step", *LOGGED)}
        | {f"{name}_share": row[name] / log[0][name] for name in STARTED}
        for row in log
        if row["step"] <= DENSE_ROWS or row["step"] % EVERY == 0 or row["step"] == last
    ]


def prediction(values: Sequence[float], level: float) -> dict[str, float]:
    r"""Return the interval in which one more value lies with a given probability.

    .. math:: \bar x \pm t_{n-1} \, s \sqrt{1 + 1/n}

    Args:
        values: At least two values, taken as normal.
        level: The probability.

    Returns:
        Number of values, their mean and standard deviation, and both ends.
    """
    from scipy.stats import t  # lazy: it costs half a second

    n, mean, sd = len(values), statistics.fmean(values), statistics.stdev(values)
    half = float(t.ppf((1 + level) / 2, n - 1)) * sd * sqrt(1 + 1 / n)
    return {"runs": n, "mean": mean, "sd": sd, "low": mean - half, "high": mean + half}


def run_interval(config: Logs, cell: dict) -> list[dict]:
    """Return the interval of one logged column at the end; runs are those of `run_log`.

    The variant names the column.
    """
    ends = [
        run_log(config, {**cell, "seed": seed, "variant": ""})[-1]
        for seed in range(config.repeats)
    ]
    values = [end[cell["variant"]] for end in ends]
    return [{"step": ends[0]["step"], **prediction(values, config.level)}]
