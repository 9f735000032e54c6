"""What the tables of notebook 32 show, computed from records' rows."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.tables import aligned
from paicore.experiments.trace_and_training_masks import SHUFFLED
from paicore.experiments.trace_and_training_ranks import spearman

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

ENDS = ("_low", "_high")


def spread_table(
    record: "Record",
    column: str,
    across: str = "density",
    *,
    keep: Mapping[str, object] | None = None,
    form: str = ".3g",
    scale: float = 1.0,
) -> str:
    """Return mean and sd over the seeds, a line per method.

    Args:
        record: Each run counts by its last step, unless `across` is the step; without
            rows its message is returned.
        column: A value column.
        across: What the columns of the table are: "density", "variant" or "step".
        keep: Column name to the one value that is shown.
        form: Format of a number.
        scale: Factor on the values.

    Returns:
        Text; the head line names the column and n, the least number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = record.rows
    if across != "step":
        rows = last(rows)
    for name, value in (keep or {}).items():
        rows = rows[rows[name] == value]
    places = sorted(rows[across].unique(), reverse=across == "density")
    if across == "variant":
        places = list(dict.fromkeys(rows[across]))
        places.sort(key=lambda name: (len(name), name))
    head = f"{column}, n = {_seeds(rows, across)}"
    lines = [[head, *(_heading(across, place) for place in places)]]
    for method in dict.fromkeys(("dense", *record.config.methods)):
        own = rows[rows["method"] == method]
        cells = (scale * own[own[across] == place][column] for place in places)
        if len(own):
            lines.append([method, *(_spread(values, form) for values in cells)])
    return aligned(lines)


def last(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the last row of every run."""
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def rank_table(
    record: "Record",
    statistics: Sequence[str],
    *,
    scope: str,
    density: float | None = None,
    measures: Sequence[str] = (),
    sets: Sequence[str] = (),
) -> str:
    """Return correlations with their intervals, a line per set and measure.

    Args:
        record: Of correlations; without rows its message is returned.
        statistics: Names of columns that have ends.
        scope: "within", "pooled" or "mean within".
        density: The cell's; None for all, one line each.
        measures: Those to show; none: all of the config.
        sets: Likewise of the sets of masks.

    Returns:
        Text; an interval follows its value in brackets.
    """
    if record.rows is None:
        return record.message
    rows, config = record.rows, record.config
    lines = [["masks", *(name.replace("_", " ") for name in statistics)]]
    for of in sets or config.methods:
        for measure in measures or config.measures:
            part = rows[rows["method"] == of]
            part = part[part["variant"] == f"{measure} {scope}"]
            if density is not None:
                part = part[(part["density"] - density).abs() < 1e-9]
            for _, row in part.sort_values("density", ascending=False).iterrows():
                where = f"{of}, {measure.replace('_', ' ')}, {row['density']:g}"
                name = f"{where} ({row['masks']:.0f})"
                lines.append([name, *(_interval(row, s) for s in statistics)])
    return aligned(lines)


def within_table(record: "Record", measure: str) -> str:
    """Return the mean rank correlation of trace and a measure within a seed.

    Conventions: masks of one seed, case and density are ranked among themselves, but
    for the dense and the shuffled ones; the mean and sd are over the seeds.

    Args:
        record: Of trained masks; without rows its message is returned.
        measure: A value column.

    Returns:
        Text, one line per case, one column per density.
    """
    if record.rows is None:
        return record.message
    rows = last(record.rows)
    rows = rows[(rows["method"] != "dense") & ~rows["variant"].str.endswith(SHUFFLED)]
    places = sorted(rows["density"].unique(), reverse=True)
    lines = [[f"trace and {measure}", *(f"{place:g}" for place in places)]]
    for case in record.config.cases:
        cells = []
        for place in places:
            own = rows[(rows["variant"] == case.name) & (rows["density"] == place)]
            found = [
                spearman(part["trace"].to_numpy(), part[measure].to_numpy())
                for _, part in own.groupby("seed")
            ]
            cells.append(_mean(found))
        lines.append([case.name, *cells])
    return aligned(lines)


def without_table(record: "Record", measure: str, densities: Sequence[float]) -> str:
    """Return the correlation of trace and measure with one method at a time left out.

    Conventions: masks of one density are ranked together over all seeds, but for the
    shuffled ones; the last column is the mean over the densities.

    Args:
        record: Of trained masks of one case; without rows its message is returned.
        measure: A value column.
        densities: Those to show.

    Returns:
        Text, one line per method that is left out, the first without such.
    """
    if record.rows is None:
        return record.message
    rows = last(record.rows)
    rows = rows[~rows["variant"].str.endswith(SHUFFLED)]
    lines = [["left out", *(f"{place:g}" for place in densities), "mean"]]
    for name in ("nothing", *(m for m in record.config.methods if m != "dense")):
        part = rows[rows["method"] != name]
        found = []
        for place in densities:
            here = part[part["density"] == place]
            columns = (here[c].to_numpy() for c in ("trace", measure))
            found.append(spearman(*columns))
        found.append(sum(found) / len(found))
        lines.append([name, *(f"{each:+.2f}" for each in found)])
    return aligned(lines)


def twin_table(record: "Record", column: str) -> str:
    """Return by how much a column changes when masks are shuffled inside their layers.

    Args:
        record: With shuffled masks; without rows its message is returned.
        column: A value column.

    Returns:
        Text: mean and sd of own minus shuffled over the seeds, and in how many seeds
        the own mask's value is the smaller one.
    """
    if record.rows is None:
        return record.message
    rows = last(record.rows)
    own = rows[~rows["variant"].str.endswith(SHUFFLED)]
    twins = rows[rows["variant"].str.endswith(SHUFFLED)]
    keys = ["method", "density", "seed"]
    gap = (own.set_index(keys)[column] - twins.set_index(keys)[column]).dropna()
    places = sorted({density for _, density, _ in gap.index}, reverse=True)
    lines = [[f"{column}, own - shuffled", *(f"{place:g}" for place in places)]]
    for method in record.config.methods:
        if method == "dense":
            continue
        cells = [gap.xs((method, p), level=("method", "density")) for p in places]
        lines.append(
            [method, *(f"{_spread(c, '+.3f')} ({int((c < 0).sum())})" for c in cells)]
        )
    return aligned(lines)


def _mean(found: Sequence[float]) -> str:
    """Return mean and sd of correlations."""
    import pandas as pd

    return _spread(pd.Series(found, dtype="float64"), "+.2f")


def _interval(row: Mapping, name: str) -> str:
    """Return a value and the ends of its interval; a dash where it is not defined."""
    value, low, high = (row[f"{name}{end}"] for end in ("", *ENDS))
    if value != value:
        return "-"
    ends = "-" if low != low else f"{low:+.2f} {high:+.2f}"
    return f"{value:+.2f} [{ends}]"


def _heading(across: str, place: float | str) -> str:
    """Return the head of a column."""
    return place if isinstance(place, str) else f"{place:g}"


def _seeds(rows: "pandas.DataFrame", across: str) -> int:
    """Return the least number of seeds of a cell."""
    keys = list(dict.fromkeys(("method", "variant", across)))
    return int(rows.groupby(keys)["seed"].nunique().min())


def _spread(values: "pandas.Series", form: str) -> str:
    """Return mean and sd, a dash where there is nothing; infinite values are named."""
    values = values.dropna()
    finite = values[values.abs() < math.inf]
    lost = f" ({len(values) - len(finite)} inf)" if len(finite) < len(values) else ""
    if not len(finite):
        return f"-{lost}"
    mean = f"{finite.mean():{form}}"
    if len(finite) > 1:
        mean += f" ±{finite.std():{form.strip('+').replace('.3g', '.2g')}}"
    return mean + lost
