"""Text and curves of notebook 22, from the rows of its records."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def selected(rows: "pandas.DataFrame", at: Mapping | None) -> "pandas.DataFrame":
    """Return the rows with given values of given columns.

    Args:
        rows: Rows of a record.
        at: Column to a value or a list of values. Step "last" is each run's last row,
            "early" the step next to 100, where the released logs look first.

    Returns:
        The rows, in order.
    """
    for column, wanted in (at or {}).items():
        if wanted == "last":
            rows = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
            continue
        if wanted == "early":
            wanted = early(rows)
        some = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        rows = rows[rows[column].isin(some)]
    return rows


def early(rows: "pandas.DataFrame") -> int:
    """Return the step next to 100."""
    return min((int(step) for step in rows["step"]), key=lambda step: abs(step - 100))


def bands(
    record: "Record",
    column: str = "test_accuracy",
    *,
    along: str = "step",
    at: Mapping | None = None,
) -> dict[str, "pandas.DataFrame"]:
    """Return mean, sd and n over the seeds of every method, for curves and tables.

    Conventions: methods are in the order of the config. The sd of one seed is nan.

    Args:
        record: With rows.
        column: A value column.
        along: Column of the x axis.
        at: As in `selected`.

    Returns:
        Method to a table with columns mean, sd, n and the values of `along` as index;
        methods without a value are left out.
    """
    rows = selected(record.rows, at)
    found = {}
    for method in record.config.methods:
        part = rows[rows["method"] == method].dropna(subset=[column])
        stats = part.groupby(along)[column].agg(["mean", "std", "count"])
        if len(stats):
            found[method] = stats.set_axis(["mean", "sd", "n"], axis=1)
    return found


def table(
    record: "Record",
    column: str = "test_accuracy",
    *,
    along: str = "step",
    at: Mapping | None = None,
    scale: float = 100.0,
    form: str = ".1f",
) -> str:
    """Return mean and sd over the seeds as text, one line per method.

    Args:
        record: Without rows its message is returned.
        column: A value column.
        along: What the columns of the table are; of "layer", the step.
        at: As in `selected`.
        scale: Factor on the values; 100 turns fractions into percent.
        form: Format of a number.

    Returns:
        Text; n, the number of seeds, stands behind the method.
    """
    if record.rows is None:
        return record.message
    found = bands(
        record, column, along="step" if along == "layer" else along, at=at
    )  # fmt: skip
    places = _ordered(found, along, record.config)
    lines = [(along, *(_heading(place, along) for place in places))]
    for method, stats in found.items():
        texts = [_cell(stats, place, scale, form) for place in places]
        lines.append((_named(method, stats["n"]), *texts))
    return aligned(lines, 3)


def report(record: "Record", *parts: tuple[str, Callable[..., str], Mapping]) -> str:
    """Return several tables of one record, or once that it is not run.

    Args:
        record: The record.
        parts: Heading, function such as `table`, and its keywords.

    Returns:
        Headings and tables.
    """
    if record.rows is None:
        return record.message
    return "\n".join(
        f"{heading}\n{function(record, **options)}"
        for heading, function, options in parts
    )


def paired(
    record: "Record",
    method: str,
    column: str = "test_accuracy",
    *,
    at: Mapping | None = None,
) -> str:
    """Return how far a method is above the others, early and at the end, in points.

    Conventions: mean and sd of the differences within a seed, and in how many seeds
    they are positive. "dense" is compared at its own density.

    Args:
        record: Without rows its message is returned.
        method: Name of the method.
        column: A value column, a fraction.
        at: As in `selected`; leaves one density.

    Returns:
        Text, one line per other method.
    """
    if record.rows is None:
        return record.message
    rows = record.rows
    chosen = selected(rows, at)
    whole = rows[rows["method"] == "dense"]
    steps = sorted({early(rows), int(rows["step"].max())})
    lines = [(f"{method} above", *(f"at {step}" for step in steps))]
    for other in record.config.methods:
        theirs = whole if other == "dense" else chosen[chosen["method"] == other]
        if other != method and len(theirs):
            ours = chosen[chosen["method"] == method]
            gaps = [_gaps(ours, theirs, column, step) for step in steps]
            lines.append((other, *map(_gap, gaps)))
    return aligned(lines, 3)


def _gaps(ours, theirs, column: str, step: int) -> "pandas.Series":
    """Return the differences of the seeds that both have, in points."""
    one, two = (
        rows[rows["step"] == step].set_index("seed")[column] for rows in (ours, theirs)
    )
    return 100 * (one - two).dropna()


def _gap(gaps: "pandas.Series") -> str:
    """Return mean and sd, and how many are positive of how many."""
    if not len(gaps):
        return "-"
    sd = f" ±{gaps.std():.1f}" if len(gaps) > 1 else ""
    return f"{gaps.mean():+.1f}{sd} ({(gaps > 0).sum()}/{len(gaps)})"


def _ordered(found: Mapping, along: str, config) -> list:
    """Return the places that occur: variants as declared, numbers rising."""
    there = {place for stats in found.values() for place in stats.index}
    if along == "variant":
        return [place for place in config.variants if place in there]
    return sorted(there)


def _heading(place: float | str, along: str) -> str:
    """Return a density in percent, anything else as it is."""
    return f"{100 * place:g} %" if along == "density" else str(place)


def _named(method: str, n: "pandas.Series") -> str:
    """Return a method with its number of seeds."""
    least, most = n.min(), n.max()
    return f"{method} ({least})" if least == most else f"{method} ({least}-{most})"


def _cell(stats: "pandas.DataFrame", place, scale: float, form: str) -> str:
    """Return mean and sd; a dash where there was no run."""
    if place not in stats.index:
        return "-"
    mean, sd, n = stats.loc[place]
    return f"{scale * mean:{form}}" + (f" ±{scale * sd:{form}}" if n > 1 else "")
