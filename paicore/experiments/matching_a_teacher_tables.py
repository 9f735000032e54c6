"""Text and numbers of notebook 21, from the rows of its records.

The values that the released log shows stand here, with letter L: fmi-basel/
neural-tangent-transfer, stored outputs of notebooks/ntt_demo_mlp.ipynb and
ntt_demo_cnn.ipynb, 3 % of the weights, MNIST, two runs each, distances on the
validation block in the ambient tangent.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.tables import in_columns

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

STEPS = (0, 100, 200, 500, 1_000, 5_000, 10_000, 18_720)
# Net to the log's column to its runs; of the squared weights only the first run.
RELEASED: Mapping[str, Mapping[str, tuple[tuple[float, ...], ...]]] = {
    "lenet_300_100": {
        "ambient": (
            (6439.0, 3675.0, 1599.1, 1389.5, 976.7, 519.5, 435.0, 431.4),
            (8146.7, 4535.7, 2092.1, 1702.5, 1207.7, 631.9, 573.8, 537.0),
        ),
        "target": (
            (1.022, 0.732, 0.395, 0.248, 0.162, 0.108, 0.091, 0.086),
            (1.228, 0.852, 0.537, 0.341, 0.206, 0.118, 0.102, 0.095),
        ),
        "l2": ((82.94, 83.63, 93.04, 81.09, 74.52, 35.77, 31.47, 30.76),),
    },
    "lenet5": {
        "ambient": (
            (633.8, 176.7, 67.0, 41.6, 36.4, 27.0, 25.8, 25.1),
            (461.9, 66.2, 54.8, 26.2, 22.6, 17.1, 15.8, 15.7),
        ),
        "target": (
            (0.081, 0.048, 0.017, 0.010, 0.008, 0.006, 0.005, 0.005),
            (0.063, 0.022, 0.011, 0.008, 0.006, 0.004, 0.004, 0.003),
        ),
    },
}
_SHARE = "_share"


def released(record: "Record", column: str) -> list[dict[int, float]]:
    """Return the log's runs at the record's setting, as step to value.

    Args:
        record: With a config.
        column: A column of the log, or one with "_share" after it: relative to the
            run's first value.

    Returns:
        One dict per run; none where the record's setting is another one, or where
        the log has no such column.
    """
    config = record.config
    if (config.data, config.densities) != ("mnist", (0.03,)):
        return []
    runs = RELEASED.get(config.net, {}).get(column.removesuffix(_SHARE), ())
    is_share = column.endswith(_SHARE)
    return [
        {s: v / (run[0] if is_share else 1) for s, v in zip(STEPS, run, strict=True)}
        for run in runs
    ]


def by_step(record: "Record", column: str, steps: Sequence[int] | None = None) -> str:
    """Return mean and range over the seeds by step, one line per method.

    Args:
        record: Without rows its message is returned.
        column: A value column.
        steps: Steps that are shown; None for those that the claims check.
    """
    if record.rows is None:
        return record.message
    steps = record.config.checked if steps is None else steps
    lines = [[f"n = {seeds(record)}", *(f"step {step}" for step in steps)]]
    for method, part in methods(record):
        of = {s: [*part[part["step"] == s][column]] for s in steps}
        lines.append([method, *(_mean_and_range(of[s]) for s in steps)])
    return in_columns(lines, 26, 15)


def at_end(record: "Record", columns: Sequence[str], scale: float = 1.0) -> str:
    """Return least and greatest last values over the seeds, one line per method.

    Args:
        record: Without rows its message is returned.
        columns: Value columns.
        scale: Factor on the values; 100 for percent.
    """
    if record.rows is None:
        return record.message
    lines = [[f"n = {seeds(record)}", *columns]]
    for method, part in methods(record, last(record.rows)):
        lines.append([method, *(_range(scale * part[name]) for name in columns)])
    return in_columns(lines, 24, 15)


def beside_the_log(record: "Record", column: str, scale: float = 1.0) -> str:
    """Return our mean and sd at the log's steps, and under them the log's runs.

    Args:
        record: Without rows its message is returned.
        column: A column of the log, or its share of the start.
        scale: Factor on the values.
    """
    if record.rows is None:
        return record.message
    there = {*record.rows["step"]}
    steps = [step for step in STEPS if step in there]
    lines = [["step", *map(str, steps)]]
    for method, part in methods(record):
        found = [scale * part[part["step"] == step][column] for step in steps]
        n = part["seed"].nunique()
        lines.append([f"{method} ({n})", *map(_mean_and_sd, found)])
    for k, run in enumerate(released(record, column), 1):
        lines.append([f"log, run {k}", *(_short(scale * run[s]) for s in steps)])
    return in_columns(lines, 16, 16)


def gaps(record: "Record") -> str:
    """Return how far the repeated runs are from the log, in percent of its values.

    Args:
        record: Without rows its message is returned.
    """
    if record.rows is None:
        return record.message
    names = ("ambient", "target", "l2")
    found = record.rows.dropna(subset=["ambient_gap"])
    if not len(found):
        return "another setting than the log's: nothing to compare"
    lines = [["run", "step", *(f"{n}, gap" for n in names)]]
    for _, row in found.sort_values(["seed", "step"]).iterrows():
        pairs = ((row[name], 100 * row[f"{name}_gap"]) for name in names)
        cells = (_with_gap(*pair) for pair in pairs)
        lines.append([f"{int(row['seed']) + 1}", f"{int(row['step'])}", *cells])
    return in_columns(lines, 22, 5)


def _with_gap(value: float, gap: float) -> str:
    """Return "value, gap %", or the value alone."""
    return f"{value:.6g}" + ("" if math.isnan(gap) else f", {gap:+.3f} %")


def teachers(record: "Record") -> str:
    """Return where the released teachers lie among those of other keys.

    Args:
        record: Without rows its message is returned.
    """
    if record.rows is None:
        return record.message
    rows = record.rows.set_index("seed")
    lines = [["", "least", "median", "greatest", "key 1 (rank)", "key 2 (rank)"]]
    for name, column in (("mean square", "square"), ("first distance", "ambient")):
        values = rows[column]
        ranks = values.rank().astype(int)
        cells = [
            f"{each:.0f}" for each in (values.min(), values.median(), values.max())
        ]
        cells += [f"{values[seed]:.0f} ({ranks[seed]})" for seed in (0, 1)]
        lines.append([name, *cells])
    return in_columns([[f"{len(rows)} keys", *lines[0][1:]], *lines[1:]], 14, 15)


def interval(record: "Record", names: Sequence[str]) -> str:
    """Return the 95 % intervals, and whether the log's runs lie in them.

    Args:
        record: Without rows its message is returned.
        names: Variants, each a column of the log's last row or its share.
    """
    if record.rows is None:
        return record.message
    lines = [["column", "runs", "mean", "low", "high", "log's runs", "inside"]]
    for name in names:
        for _, row in record.rows[record.rows["variant"] == name].iterrows():
            runs = [run[STEPS[-1]] for run in released(record, name)]
            inside = sum(row["low"] <= value <= row["high"] for value in runs)
            ours = (_short(row[key]) for key in ("runs", "mean", "low", "high"))
            logged = ", ".join(map(_short, runs)) or "-"
            lines.append([name, *ours, logged, f"{inside} of {len(runs)}"])
    return in_columns(lines, 16, 15)


def extreme_seeds(record: "Record", method: str, column: str) -> tuple[int, int]:
    """Return the seeds whose last value is least and greatest.

    Args:
        record: With rows of the method.
        method: Name of the method.
        column: A value column.
    """
    rows = last(record.rows)
    ends = rows[rows["method"] == method].set_index("seed")[column]
    return int(ends.idxmin()), int(ends.idxmax())


def last(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the last row of each run."""
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def methods(record: "Record", rows=None) -> list[tuple[str, "pandas.DataFrame"]]:
    """Return pairs of method and its rows, in the order of the config.

    Args:
        record: With rows.
        rows: Some of its rows; None for all.
    """
    rows = record.rows if rows is None else rows
    parts = ((name, rows[rows["method"] == name]) for name in record.config.methods)
    return [(name, part) for name, part in parts if len(part)]


def seeds(record: "Record") -> str:
    """Return the number of seeds, as a range where methods differ in it."""
    counts = record.rows.groupby("method")["seed"].nunique()
    least, most = counts.min(), counts.max()
    return f"{least}" if least == most else f"{least} to {most}"


def _mean_and_range(values: Sequence[float]) -> str:
    """Return "mean (least to greatest)"."""
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _mean_and_sd(values) -> str:
    """Return "mean ±sd"; no sd of one value."""
    spread = f" ±{_short(values.std(), 2)}" if len(values) > 1 else ""
    return _short(values.mean()) + spread


def _range(values) -> str:
    """Return "least to greatest", or a dash where there is no value."""
    values = values.dropna()
    if not len(values):
        return "-"
    return f"{_short(values.min())} to {_short(values.max())}"


def _short(value: float, digits: int = 3) -> str:
    """Return three digits; large numbers without an exponent, rounding as nothing."""
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
