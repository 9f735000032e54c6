"""Text of notebook 31, from the rows of its records; each function is one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paicore.experiments.tables import in_columns, span

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

ROUNDING = 1e-14  # relative differences below are called rounding


def matrices(record: "Record") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A (4, 16), Pi (16, 16) and A Pi A^T of ``drawn``, from its rows.

    Args:
        record: With rows. Rows of A are sample 1 with outputs 1 and 2, then sample 2.
    """
    rows = record.rows.sort_values("step")
    source, output = (rows[name].to_numpy(int) for name in ("source", "output"))
    lines = []
    for sample, point in enumerate(record.config.points, 1):
        entries = rows[f"open_{sample}"].to_numpy() * np.array(point)[source]
        lines += [entries * (output == k) for k in range(2)]
    a = np.array(lines)
    kernel = rows[[f"kernel_{p:02}" for p in range(len(rows))]].to_numpy()
    return a, kernel, a @ kernel @ a.T


def worst(record: "Record", columns: Sequence[str], by: str = "method") -> str:
    """Return the largest value of each column over the seeds, one line per method.

    Args:
        record: Without rows its message is returned.
        columns: Value columns of relative differences.
        by: What the lines are.
    """
    if record.rows is None:
        return record.message
    lines = [[f"n = {record.rows['seed'].nunique()}", *columns]]
    for name, part in record.rows.groupby(by, sort=False):
        lines.append([name, *(_difference(part[column].max()) for column in columns)])
    return in_columns(_in_order(record, lines, by), 12, 16)


def spread(record: "Record", column: str) -> str:
    """Return the largest value by method and variant, variants as columns.

    Args:
        record: Without rows its message is returned.
        column: A value column of relative differences.
    """
    if record.rows is None:
        return record.message
    variants = record.config.variants
    found = record.rows.groupby(["method", "variant"])[column].max()
    lines = [[f"n = {record.rows['seed'].nunique()}", *variants]]
    for name in record.config.methods:
        lines.append([name, *(_difference(found[name, each]) for each in variants)])
    return in_columns(lines, 12, 16)


def laws(record: "Record") -> str:
    """Return both laws of every function: least to greatest over networks and seeds."""
    if record.rows is None:
        return record.message
    columns = {"unit_gap": "in against out", "layer_gap": "between layers",
               "rescaled": "by rescaling"}  # fmt: skip
    lines = [[f"n = {record.rows['seed'].nunique()}", *columns.values(), "overlap"]]
    for name, part in _methods(record):
        shared = part["overlap"].dropna()
        overlap = f"{shared.min():.2f} to {shared.max():.2f}" if len(shared) else "-"
        gaps = (span(part[column], _difference) for column in columns)
        lines.append([name, *gaps, overlap])
    return in_columns(lines, 18, 16)


def ranks(record: "Record") -> str:
    """Return on how many networks each count of the rank is right."""
    if record.rows is None:
        return record.message
    heads = ["density", "rank", "counted", "naive", "tangent = counted"]
    lines = [[f"n = {record.rows['seed'].nunique()}", *heads]]
    for (name, density), part in record.rows.groupby(["method", "density"], sort=False):
        right = [int((part[each] == 0).sum()) for each in ("off", "naive_off")]
        reached = int((part["tangent"] == part["counted"]).sum())
        ranks = part["enumerated"]
        span = f"{ranks.min():.0f} to {ranks.max():.0f}"
        counts = (f"{each} of {len(part)}" for each in (*right, reached))
        lines.append([name, f"{density:g}", span, *counts])
    return in_columns(lines, 18, 16)


def bounds(record: "Record") -> str:
    """Return how much of each bound is used, and how often equal indices break it.

    Networks whose units are all off are left out.
    """
    if record.rows is None:
        return record.message
    heads = ["networks", "bound 1", "bound 2", "equal indices", "broken in"]
    lines = [["largest share", *heads]]
    for name, part in _methods(record, alive(record.rows)):
        most = (f"{part[column].max():.3g}" for column in ("first", "sums", "index"))
        broken = int((part["index"] > 1).sum())
        share = f"{broken} of {len(part)}"
        lines.append([name, str(len(part)), *most, share])
    return in_columns(lines, 15, 16)


def looseness(record: "Record") -> str:
    """Return how many times too large the bounds of the trace are, by median."""
    if record.rows is None:
        return record.message
    columns = ("von_neumann", "sigma_trace", "px")
    lines = [["median (range)", *columns]]
    for name, part in _methods(record, alive(record.rows)):
        over = [part[column] / part["tangent"] for column in columns]
        texts = (f"{each.median():.3g} ({_short(each)})" for each in over)
        lines.append([name, *texts])
    return in_columns(lines, 26, 16)


def alive(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the rows of networks whose tangent kernel is not zero."""
    return rows[rows["tangent"] > 0]


def steps(record: "Record") -> str:
    """Return the residual ratios where units switch and where none does."""
    if record.rows is None:
        return record.message
    lines = [["", "step sizes", "units switched", "steps", "ratio"]]
    for name, part in _methods(record):
        # the ratio also depends on the step of half the size
        later = part.groupby("run")["switched"].shift(-1, fill_value=0)
        is_clean = (part["switched"] == 0) & (later == 0)
        for text, rows in (("none", part[is_clean]), ("some", part[~is_clean])):
            if len(rows):
                ratio = rows["ratio"]
                sizes = f"{rows['rate'].min():.1e} to {rows['rate'].max():.1e}"
                span = f"{ratio.min():.3g} to {ratio.max():.3g}"
                lines.append([name, sizes, text, str(len(rows)), span])
    return in_columns(lines, 22, 16)


def expectations(record: "Record") -> str:
    """Return mean trace, its standard error, the closed form, and the distance."""
    if record.rows is None:
        return record.message
    lines = [["", "init", "mean trace", "closed form", "errors off"]]
    for name, rows in _methods(record):
        for variant, part in rows.groupby("variant", sort=False):
            last = part[part["step"] == part["step"].max()].iloc[0]
            error = part["trace"].std() / len(part) ** 0.5
            mean = f"{part['trace'].mean():.5g} ±{error:.2g}"
            facts = mean, f"{last['expected']:.5g}", f"{last['away']:.2f}"
            lines.append([name, variant, *facts])
    head = f"n = {record.rows['step'].nunique()}"
    return in_columns([[head, *lines[0][1:]], *lines[1:]], 22, 16)


def poolings(record: "Record") -> str:
    """Return both traces and their ratio, mean over the seeds."""
    if record.rows is None:
        return record.message
    columns = ("exact", "authors", "ratio", "ratio_all")
    n = record.rows["seed"].nunique()
    lines = [[f"n = {n}", "batch norm", *columns]]
    for (name, variant), part in record.rows.groupby(["method", "variant"], sort=False):
        means = [part[column].mean() for column in columns]
        texts = (f"{means[0]:.3g}", f"{means[1]:.3g}", *(f"{m:.9g}" for m in means[2:]))
        lines.append([name, variant, *texts])
    return in_columns(lines, 15, 16)


def rankings(record: "Record") -> str:
    """Return rank correlations of the tangent kernel's trace, range over the seeds."""
    if record.rows is None:
        return record.message
    heads = ["with the Path Kernel's", "with the density"]
    lines = [[f"n = {record.rows['seed'].nunique()}", *heads]]
    for name, part in _methods(record):
        first = part[part["step"] == 0]
        spans = (_span(first[each].dropna()) for each in ("rho", "rho_kept"))
        lines.append([name, *spans])
    return in_columns(lines, 24, 16)


def _methods(record: "Record", rows=None) -> list[tuple[str, "pandas.DataFrame"]]:
    """Return pairs of method and its rows, in the order of the config."""
    rows = record.rows if rows is None else rows
    parts = ((name, rows[rows["method"] == name]) for name in record.config.methods)
    return [(name, part) for name, part in parts if len(part)]


def _in_order(record: "Record", lines: list[list[str]], by: str) -> list[list[str]]:
    """Return the lines in the order of the config, the heading first."""
    order = list(record.config.methods if by == "method" else record.config.variants)
    return [lines[0], *sorted(lines[1:], key=lambda line: order.index(line[0]))]


def _difference(value: float) -> str:
    """Return a relative difference; what is rounding is called so."""
    return "rounding" if value < ROUNDING else f"{value:.2g}"


def _span(values: "pandas.Series") -> str:
    """Return least to greatest, or a dash where there is none."""
    return f"{values.min():.3f} to {values.max():.3f}" if len(values) else "-"


def _short(values: "pandas.Series") -> str:
    """Return least to greatest with three digits."""
    return f"{values.min():.3g} to {values.max():.3g}"
