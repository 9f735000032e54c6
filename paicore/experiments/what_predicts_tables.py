"""What the tables and figures of notebook 52 show, computed from records' rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paicore.experiments.tables import aligned
from paicore.experiments.trace_and_training_ranks import joined, spearman
from paicore.experiments.trace_and_training_tables import ENDS
from paicore.experiments.what_predicts_left_out import predictions
from paicore.experiments.what_predicts_ranks import RIDGE, measures
from paicore.experiments.what_predicts_runs import Table

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def primary(record: "Record") -> float:
    """Return the density that the primary claim is about, in the record's profile."""
    config = getattr(record.config, "of", record.config)
    return config.grounds[0].densities[0]


def at(record: "Record", density: float) -> "pandas.DataFrame":
    """Return the rows of one density, which a CSV keeps to nine digits."""
    return record.rows[(record.rows["density"] - density).abs() < 1e-9]


def by_method(
    record: "Record", columns: Sequence[str], density: float | None = None
) -> str:
    """Return means over the seeds, a line per method, the least final loss first.

    Args:
        record: Of `signs_*`; without rows its message is returned.
        columns: Value columns.
        density: Which; None for the primary one. The dense network comes on top.
    """
    if record.rows is None:
        return record.message
    density = primary(record) if density is None else density
    rows, lines = at(record, density), [["mean over seeds", "n", *map(spoken, columns)]]
    order = rows.groupby("method")["final_loss"].mean().sort_values(kind="stable")
    dense = record.rows[record.rows["method"] == "dense"]
    for name in ("dense", *order.index):
        own = dense if name == "dense" else rows[rows["method"] == name]
        if len(own):
            means = (f"{own[column].mean():.4g}" for column in columns)
            lines.append([name, str(own["seed"].nunique()), *means])
    return aligned(lines)


def ranked(record: "Record", variant: str, density: float) -> "pandas.DataFrame":
    """Return the correlations of one variant and density, a line per measure."""
    rows = at(record, density)
    rows = rows[rows["variant"] == variant].set_index("method")
    return rows.loc[[name for name in record.config.methods if name in rows.index]]


def rank_table(
    record: "Record", columns: Sequence[str], variant: str, density: float | None = None
) -> str:
    """Return correlations with their intervals in brackets, a line per measure.

    Args:
        record: Of `ranks_*`; without rows its message is returned.
        columns: Those that have ends, and others.
        variant: Of the rows.
        density: Which; None for the primary one.
    """
    if record.rows is None:
        return record.message
    density = primary(record) if density is None else density
    part = ranked(record, variant, density)
    masks, seeds = (f"{part[c].max():.0f}" for c in ("masks", "clusters"))
    head = f"{variant.replace('_', ' ')}, {100 * density:g} %"
    lines = [[f"{head} ({masks} masks, n = {seeds})", *map(spoken, columns)]]
    for name, row in part.iterrows():
        lines.append([spoken(name), *(_cell(row, column) for column in columns)])
    return aligned(lines)


def _cell(row: "pandas.Series", column: str) -> str:
    """Return a value, with its interval if it has one; a dash where not defined."""
    value = row[column]
    if value != value:
        return "-"
    signed = column not in ("error", "error_mean")
    text = f"{value:{'+.2f' if signed else '.3f'}}"
    if f"{column}{ENDS[0]}" not in row:
        return text
    low, high = (row[f"{column}{end}"] for end in ENDS)
    return f"{text} [{low:+.2f} {high:+.2f}]" if low == low else f"{text} [-]"


def spoken(name: str) -> str:
    """Return a column's name as text."""
    return name.replace("_", " ")


def student(record: "Record", name: str, variant: str) -> str:
    """Return Student's interval of the seeds' own correlations at the primary density.

    Args:
        record: Of `ranks_*`; without rows its message is returned.
        name: A measure.
        variant: Of the row.
    """
    if record.rows is None:
        return record.message
    row = ranked(record, variant, primary(record)).loc[name]
    low, high = row["own_student_low"], row["own_student_high"]
    return (
        f"{spoken(name)}, {spoken(variant)}: Student's interval {low:+.2f} {high:+.2f}"
    )


def seeds_of(record: "Record", density: float) -> list[Table]:
    """Return the rows of one density as a table for each seed, without the dense."""
    rows = at(record, density)
    rows = rows[rows["method"] != "dense"]
    return [
        {name: part[name].to_numpy() for name in part.columns}
        for _, part in rows.groupby("seed")
    ]


def predicted(record: "Record", name: str, outcome: str) -> "pandas.DataFrame":
    """Return what each method ended at and what was predicted without having seen it.

    Args:
        record: Of `signs_*`, with rows; the primary density is taken.
        name: A measure, or "layers".
        outcome: A column of outcomes.

    Returns:
        Columns "method", "seed", "outcome" and "predicted", losses as they are.
    """
    import pandas

    parts = measures(seeds_of(record, primary(record)), name, outcome)
    of, penalty = ("layers", RIDGE) if name == "layers" else ("x", 0.0)
    whole = joined(parts)
    found = predictions(whole[of], whole["y"], whole["method"], penalty)
    back = (lambda v: v) if outcome == "accuracy" else np.exp
    seeds = np.repeat(np.arange(len(parts)), [len(part["y"]) for part in parts])
    columns = {"method": whole["method"], "seed": seeds, "outcome": back(whole["y"])}
    return pandas.DataFrame(columns | {"predicted": back(found)})


def left_out(record: "Record", names: Sequence[str], outcome: str) -> str:
    """Return what every method ended at and what measures said, fitted without it.

    Args:
        record: Of `signs_*`; without rows its message is returned.
        names: Measures.
        outcome: A column of outcomes.
    """
    if record.rows is None:
        return record.message
    found = {name: predicted(record, name, outcome) for name in names}
    first = next(iter(found.values()))
    means = first.groupby("method")["outcome"].mean().sort_values(kind="stable")
    lines = [["left out", spoken(outcome), *(f"by {spoken(name)}" for name in names)]]
    for method, value in means.items():
        cells = [
            each[each["method"] == method]["predicted"].mean()
            for each in found.values()
        ]
        lines.append([method, *(f"{each:.3f}" for each in (value, *cells))])
    return aligned(lines)


def without(record: "Record", names: Sequence[str], outcome: str) -> str:
    """Return the correlations that are left with one method at a time left out.

    Args:
        record: Of `signs_*`; without rows its message is returned. The primary density
            is taken.
        names: Measures, a column each; means over the seeds.
        outcome: A column of outcomes.
    """
    if record.rows is None:
        return record.message
    tables = seeds_of(record, primary(record))
    lines = [["left out", *map(spoken, names)]]
    for method in ("nothing", *tables[0]["method"]):
        cells = []
        for name in names:
            keep = [table["method"] != method for table in tables]
            found = [
                spearman(table[name][k], table[outcome][k])
                for table, k in zip(tables, keep, strict=True)
            ]
            cells.append(f"{np.mean(found):+.2f}")
        lines.append([method, *cells])
    return aligned(lines)


def among(record: "Record", names: Sequence[str]) -> str:
    """Return rank correlations of measures with one another, means over the seeds.

    Args:
        record: Of `signs_*`; without rows its message is returned. The primary density
            is taken.
        names: Columns; a number stands for each in the head line.
    """
    if record.rows is None:
        return record.message
    tables = seeds_of(record, primary(record))
    lines = [["", *(str(k) for k in range(1, len(names) + 1))]]
    for k, one in enumerate(names, 1):
        cells = []
        for other in names[:k]:
            found = [spearman(table[one], table[other]) for table in tables]
            mean = np.mean(found)
            cells.append("-" if mean != mean else f"{mean:+.2f}")
        blanks = [""] * (len(names) - k)
        lines.append([f"{k:2} {spoken(one)}", *cells, *blanks])
    return aligned(lines, 1)
