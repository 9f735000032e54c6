"""Text of notebook 42, from the rows of its records."""

from typing import TYPE_CHECKING

from paicore.experiments import spectra_paper as paper
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

ROUNDING = 1e-12
SCORES = tuple(paper.RMS)  # of Figure 2, without the dense network


def last(record: "Record", **at) -> "pandas.DataFrame":
    """Return the last row of every run that has the given values."""
    rows = record.rows
    for name, value in at.items():
        rows = rows[rows[name] == value]
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def means(record: "Record", column: str, variant: str = "train") -> "pandas.DataFrame":
    """Return mean, sd and n over the draws of a column, by method."""
    rows = last(record, variant=variant)
    return rows.groupby("method")[column].agg(mean="mean", sd="std", n="count")


def scores_of(record: "Record") -> list[str]:
    """Return the scores of Figure 2 that a record has, in the paper's order."""
    there = {*record.rows["method"]}
    return [name for name in SCORES if name in there]


def share_of_scale(rows: "pandas.DataFrame") -> "pandas.Series":
    """Return which part of the squared rms a common factor makes up."""
    return 1 - (rows["scale_free"] / rows["rms"]) ** 2


def distances(record: "Record", variant: str = "train") -> str:
    """Return the distances from the dense spectrum, a line per method, nearest first.

    Args:
        record: Of `run_spectra`; without rows its message is returned.
        variant: Which convention.

    Returns:
        Text; the head line holds n, the number of draws. "scale" is the common factor,
        "its share" its part of the squared rms.
    """
    if record.rows is None:
        return record.message
    rows = last(record, variant=variant)
    rows = rows[rows["method"] != "dense"]
    rows = rows.assign(share=100 * share_of_scale(rows))
    heads = "rms", "scale-free rms", "scale", "its share, %", "alignment", "cond/dense"
    columns = "rms", "scale_free", "scale", "share", "alignment", "condition_ratio"
    forms = ".3f", ".3f", ".2f", ".0f", ".3f", ".3g"
    table = [[f"n = {rows['seed'].nunique()}", *heads]]
    for name in rows.groupby("method")["rms"].mean().sort_values().index:
        part = rows[rows["method"] == name]
        found = zip(columns, forms, strict=True)
        table.append([name, *(_cell(part[column], form) for column, form in found)])
    return aligned(table)


def _cell(values: "pandas.Series", form: str) -> str:
    """Return mean and sd over the draws."""
    spread = f" ±{values.std():{form}}" if len(values) > 1 else ""
    return f"{values.mean():{form}}{spread}"


ORDERS = {"rms": 1, "scale_free": 1, "alignment": -1}  # column -> sign; least is first


def orders(record: "Record", variant: str = "train") -> str:
    """Return the order of the printed scores by each distance, nearest first."""
    if record.rows is None:
        return record.message
    lines = []
    for column, sign in ORDERS.items():
        rows = last(record, variant=variant)
        rows = rows[rows["method"].isin(SCORES)]
        wide = sign * rows.pivot_table(column, "seed", "method")
        order = wide.mean().sort_values().index
        lines.append(f"{column}: {', '.join(order)}")
        first = wide.idxmin(axis=1).value_counts().sort_index()
        counts = (f"{name} {n} of {len(wide)}" for name, n in first.items())
        lines.append(f"  first in draws: {', '.join(counts)}")
    return "\n".join(lines)


def paired(
    record: "Record", one: str, other: str, column: str = "rms", variant: str = "train"
) -> str:
    """Return the paired difference of a column between two methods.

    Args:
        record: Without rows its message is returned.
        one: A method.
        other: The method that is subtracted.
        column: A value column.
        variant: Which convention.

    Returns:
        One line: mean, sd, and in how many draws it is positive.
    """
    if record.rows is None:
        return record.message
    rows = last(record, variant=variant).set_index(["method", "seed"])[column]
    gap = (rows[one] - rows[other]).dropna()
    text = f"{column}, {one} - {other}: {_cell(gap, '.3f')}"
    return f"{text}, positive in {(gap > 0).sum()} of {len(gap)}"


def spread(record: "Record", method: str, column: str) -> str:
    """Return how much a column varies over the draws, least and greatest over mean."""
    if record.rows is None:
        return record.message
    values = last(record, variant="train", method=method)[column]
    low, high = values.min() / values.mean() - 1, values.max() / values.mean() - 1
    text = f"{method}, {column}: mean {values.mean():.3g}, draws from {100 * low:+.0f} "
    return f"{text}to {100 * high:+.0f} %, n = {len(values)}"


def conventions(record: "Record") -> str:
    """Return the dense spectrum at the digitised indices, by convention; draw by draw.

    Args:
        record: Of ``conventions``; without rows its message is returned.

    Returns:
        Text; a line per digitised index, then the distances from the printed curve.
    """
    if record.rows is None:
        return record.message
    runs = [
        (variant, seed, part.set_index("step"))
        for variant in record.config.variants
        for seed, part in record.rows[record.rows["variant"] == variant].groupby("seed")
    ]
    names = [f"{variant} {seed}" for variant, seed, _ in runs]
    size = 1 + int(record.rows["step"].max())
    table = [["index", "paper (P)", *names]]
    for index, printed in paper.DENSE.items():
        at = paper.place(index, size)
        values = (f"{part['eigenvalue'][at]:.3g}" for *_, part in runs)
        table.append([str(index), f"{printed:.3g}", *values])
    for column, form in (("off_rms", ".3f"), ("off_middle", ".2f"), ("off_ends", ".2f"),
                         ("condition", ".3g"), ("trace", ".3g")):  # fmt: skip
        values = (f"{part[column].iloc[-1]:{form}}" for *_, part in runs)
        table.append([column, "-", *values])
    return aligned(table)


def printed(record: "Record") -> str:
    """Return eigenvalues over the dense ones beside the digitised ones, in brackets.

    Args:
        record: Of ``figure``; without rows its message is returned.

    Returns:
        Text; a line per index, a column per score, and the rms distances.
    """
    if record.rows is None:
        return record.message
    names = scores_of(record)
    size = 1 + int(record.rows["step"].max())
    table = [["index", *names]]
    for index in paper.RATIOS["ntk_sap"]:
        cells = []
        for name in names:
            rows = record.rows[record.rows["method"] == name].set_index("step")
            known = paper.ratio_of(name, index)
            text = "-" if known is None else f"{known:.2f}"
            cells.append(f"{rows['ratio'][paper.place(index, size)]:.2f} ({text})")
        table.append([str(index), *cells])
    found = means(record, "rms")["mean"]
    rms = (f"{found[name]:.2f} ({paper.RMS[name]:.2f})" for name in names)
    table.append(["rms", *rms])
    free = means(record, "scale_free")["mean"]
    both = (f"{free[name]:.2f} ({paper.scale_free(name):.2f})" for name in names)
    table.append(["scale-free", *both])
    return aligned(table)


def checks(record: "Record") -> str:
    """Return what another precision, or more parameters, changes."""
    if record.rows is None:
        return record.message
    columns = "apart", "worst", "moved", "alignment_moved", "condition_moved"
    table = [["n = 1", *columns]]
    for variant in record.config.variants:
        for name in record.config.methods:
            rows = last(record, variant=variant, method=name)
            if len(rows):
                values = (_change(rows[column].iloc[0]) for column in columns)
                table.append([f"{variant} {name}", *values])
    return aligned(table)


def _change(value: float) -> str:
    """Return a difference; 0 where it is rounding."""
    return "0" if value < ROUNDING else f"{value:.1e}"


def by_density(record: "Record", column: str, form: str = ".3f") -> str:
    """Return mean and sd over the draws by method and density."""
    if record.rows is None:
        return record.message
    rows, places = last(record), record.config.densities
    table = [[f"n = {rows['seed'].nunique()}", *(f"{100 * d:.3g} %" for d in places)]]
    for name in record.config.methods:
        part = rows[rows["method"] == name]
        if name != "dense" and len(part):
            near = [part[(part["density"] / d - 1).abs() < 1e-6] for d in places]
            table.append([name, *(_cell(each[column], form) for each in near)])
    return aligned(table)


def curve(record: "Record", method: str, column: str, variant: str = "train"):
    """Return mean, sd and n over the draws of a spectrum's column, by its index."""
    rows = record.rows
    rows = rows[(rows["method"] == method) & (rows["variant"] == variant)]
    return rows.groupby("step")[column].agg(mean="mean", sd="std", n="count")
