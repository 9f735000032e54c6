"""Text and arrays of notebook 11, from the rows of its records."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paicore.experiments.edge_of_chaos_nets import scales
from paicore.experiments.edge_of_chaos_sparsity import neuron
from paicore.experiments.tables import aligned
from paicore.kernels import meanfield

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Of the value column.
        head: What stands above it.
        form: Format of a number.
        kind: "mean" (with sd over the seeds), "one" (the same in every seed), "least",
            "most", or "range".
    """

    name: str
    head: str
    form: str = ".3f"
    kind: str = "mean"


TABLES = {
    "edge": (
        Column("sigma_w", "sigma_w", ".5f", "one"), Column("q", "q", ".5f", "one"),
        Column("off", "abs(chi - 1)", ".1e", "one"),
        Column("hermite", "chi, wrong rule", ".4f", "one"),
    ),
    "limits": (Column("exponent", "exponent", ".3f", "one"),),
    "pairs": (
        Column("q", "variance"), Column("q_theory", "theory", ".3f", "one"),
        Column("gap", "1 - c", ".3g"), Column("gap_theory", "theory", ".3g", "one"),
    ),
    "slopes": (
        Column("slope", "slope", ".4f"), Column("predicted", "theory", ".4f", "one"),
        Column("off", "worst", ".4f", "most"),
        Column("spread", "log10(max/min)", ".2f", "range"),
        Column("unequal", "sums apart", ".1e", "range"),
    ),
    "lottery": (
        Column("share", "density", ".4f"), Column("slope", "slope", ".4f"),
        Column("steep", "abs(slope)", ".4f", "range"),
    ),
    "positions": (
        Column("slope", "slope", ".4f"), Column("off", "worst", ".4f", "most"),
    ),
    "batches": (
        Column("exponent", "exponent"), Column("predicted", "theory", ".3f", "one"),
        Column("off", "difference"), Column("ratio", "m^2 / m^(L-1)", ".3g"),
    ),
    "critical": (
        Column("s_cr", "s_cr", ".4f"), Column("bound", "bound", ".3f", "one"),
        Column("law", "law", ".2f"), Column("layer", "first empty", ".0f", "range"),
    ),
    "magnitudes": (
        Column("s_cr", "networks", ".4f"), Column("exact", "deep limit", ".4f", "one"),
        Column("bound", "bound", ".4f", "one"),
    ),
    "layers": (
        Column("dead", "empty layers", ".0f", "range"),
        Column("holes", "live between", ".0f", "range"),
        Column("first", "first", ".0f", "range"),
        Column("last", "last", ".0f", "range"),
    ),
}  # fmt: skip


def last_rows(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the last row of every run, which holds what sums it up."""
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def summary(record: "Record", *methods: str) -> str:
    """Return the table of an experiment, one line per point in the config's order.

    Args:
        record: Without rows its message is returned.
        *methods: Which methods to show; none for all.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    chosen, rows = TABLES[record.experiment.name], last_rows(record.rows)
    lines = [[f"n = {rows['seed'].nunique()}", *(column.head for column in chosen)]]
    for point in record.config.points:
        part = rows[(rows["method"] == point[0]) & (rows["variant"] == point[1])]
        if len(part) and (not methods or point[0] in methods):
            values = (_cell(part[column.name], column) for column in chosen)
            lines.append([" ".join(point).strip(), *values])
    return aligned(lines)


def _cell(values: "pandas.Series", column: Column) -> str:
    """Return one entry; a dash where there is nothing to tell."""
    there, form, kind = values.dropna(), column.form, column.kind
    if there.empty:
        return "-"
    if kind == "range":
        low, high = _number(there.min(), form), _number(there.max(), form)
        return low if low == high else f"{low} to {high}"
    if kind in ("least", "most"):
        return _number(there.min() if kind == "least" else there.max(), form)
    spread = f" ±{there.std():{form}}" if kind == "mean" and len(there) > 1 else ""
    return _number(there.mean(), form) + spread


def _number(value: float, form: str) -> str:
    """Return a number as text, a rounded zero without its sign."""
    text = f"{value:{form}}"
    return f"{0.0:{form}}" if float(text) == 0 else text


def rates(record: "Record") -> str:
    """Return the share of each law that correlations have reached, by layer."""
    if record.rows is None:
        return record.message
    marks = (1, 10, 30, 100, 300, 1000)
    lines = [["share of the law", "constant", *map(str, marks)]]
    for method, variant in record.config.points:
        rows = record.rows
        part = rows[(rows["method"] == method) & (rows["variant"] == variant)]
        found = part.set_index("step")["scaled"]
        texts = (f"{found[k]:.4f}" if k in found else "-" for k in marks)
        constant = f"{part['constant'].iloc[0]:.5g}"
        lines.append([f"{method} {variant}", constant, *texts])
    return aligned(lines)


def slopes(record: "Record", *methods: str) -> str:
    """Return the slopes of m^l beside -log chi, one line per point."""
    if record.rows is None:
        return record.message
    head, *rest = summary(record, *methods).splitlines()
    points = [p for p in record.config.points if not methods or p[0] in methods]
    chis = [meanfield.chi(phi, *scales(phi, text)) for phi, text in points]
    width = max(map(len, (head, *rest)))
    expected = [f"{round(-np.log(chi), 9) + 0.0:.4f}" for chi in chis]
    lines = [f"{head:{width}}  -log chi"]
    lines += [
        f"{line:{width}}  {text:>8}" for line, text in zip(rest, expected, strict=True)
    ]
    return "\n".join(lines)


def grid(record: "Record", column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sigma_w, sigma_b and a column of the plane on their grid.

    Args:
        record: Of ``plane``, with rows.
        column: "chi" or "c".

    Returns:
        Arrays (n_w,), (n_b,) and (n_b, n_w).
    """
    found = record.rows.pivot_table(column, "sigma_b", "sigma_w")
    return found.columns.to_numpy(), found.index.to_numpy(), found.to_numpy()


def edge_line(record: "Record", phi: str) -> tuple[np.ndarray, np.ndarray]:
    """Return sigma_w and sigma_b of the solved points of one activation."""
    part = record.rows[record.rows["method"] == phi].sort_values("sigma_b")
    return part["sigma_w"].to_numpy(), part["sigma_b"].to_numpy()


def profile(
    record: "Record", method: str, variant: str, column: str
) -> "pandas.DataFrame":
    """Return mean and sd over the seeds of a column, by layer.

    Args:
        record: With rows.
        method: Of the runs.
        variant: Of the runs.
        column: A value column.

    Returns:
        Columns mean and std, indexed by layer; empty where there is no such run.
    """
    rows = record.rows
    part = rows[(rows["method"] == method) & (rows["variant"] == variant)]
    return part.groupby("step")[column].agg(["mean", "std"])


def points(record: "Record", method: str) -> "pandas.DataFrame":
    """Return the means over the seeds of a record's last rows, one per variant."""
    rows = last_rows(record.rows)
    rows = rows[rows["method"] == method].drop(columns=["run", "method"])
    order = [variant for name, variant in record.config.points if name == method]
    return rows.groupby("variant").mean().loc[order]


def kept(record: "Record", phase: str) -> np.ndarray:
    """Return the share of incoming weights that every hidden neuron keeps.

    Args:
        record: Of ``neurons``, with rows.
        phase: "ordered", "edge" or "chaotic".

    Returns:
        Array (hidden layers, neurons); the readout is left out.
    """
    rows = record.rows[record.rows["method"] == phase].sort_values("step")
    names = [neuron(i) for i in range(record.config.width)]
    return (rows[names].to_numpy() / rows[["fan_in"]].to_numpy())[:-1]


def emptied(record: "Record") -> str:
    """Return how many neurons keep nothing, by phase, and the spread of the rest."""
    if record.rows is None:
        return record.message
    lines = [["share of incoming weights", "none", "least", "median", "most"]]
    for phase, _ in record.config.points:
        found = kept(record, phase)
        alive = found[found > 0]
        lines.append([
            phase, f"{(found == 0).sum()} of {found.size}", f"{alive.min():.3f}",
            f"{np.median(alive):.3f}", f"{alive.max():.3f}",
        ])  # fmt: skip
    return aligned(lines)
