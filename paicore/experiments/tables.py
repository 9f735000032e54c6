"""Records and the registry as fixed-width text, for cells whose output is checked."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from paicore.scores import SCORES

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def by_method(
    record: "Record",
    column: str,
    *,
    along: str = "density",
    scale: float = 100.0,
    form: str = ".2f",
    minus: str = "",
) -> str:
    """Return mean and sd over the seeds as text, one line per method.

    Args:
        record: Each run counts by its last step; without rows the record's message
            is returned.
        column: A value column.
        along: What the columns of the table are, "density" or "variant".
        scale: Factor on the values; 100 turns fractions into percent.
        form: Format of a number.
        minus: A variant whose value in the same seed is subtracted.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = record.rows
    rows = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
    if minus:
        rows = _differences(rows, column, minus)
    rows = rows.assign(**{column: scale * rows[column]})
    found = rows.groupby(["method", along])[column].agg(["mean", "std", "count"])
    config, there = record.config, {*rows[along]}
    places = config.variants if along == "variant" else sorted(there, reverse=True)
    places = [place for place in places if place in there]
    least, most = found["count"].min(), found["count"].max()
    n = f"n = {least}" if least == most else f"n = {least} to {most}"
    lines = [[n, *map(_heading, places)]]
    for name in ("dense", *config.methods):
        if name in {*rows["method"]}:
            lines.append([name, *(_cell(found, (name, at), form) for at in places)])
    return "\n".join(
        (f"{name:11}" + "".join(f"{text:>15}" for text in texts)).rstrip()
        for name, *texts in lines
    )


def _differences(rows: "pandas.DataFrame", column: str, variant: str):
    """Return the other variants' rows, the variant's value of that seed subtracted."""
    whole = rows[rows["variant"] == variant].set_index(["method", "seed"])[column]
    rows = rows[rows["variant"] != variant]
    pairs = rows.set_index(["method", "seed"]).index
    return rows.assign(**{column: rows[column] - pairs.map(whole)})


def _heading(place: float | str) -> str:
    """Return a density in percent, a variant as it is."""
    return place if isinstance(place, str) else f"{100 * place:g} %"


def _cell(found: "pandas.DataFrame", key: tuple, form: str) -> str:
    """Return mean and sd; nothing where there was no run."""
    if key not in found.index:
        return ""
    mean, sd, n = found.loc[key]
    return f"{mean:{form}}" + (f" ±{sd:{form}}" if n > 1 else "")


def needs() -> str:
    """Return which score needs what, one line per entry of SCORES."""
    wide = (16, 8, 8, 7, 8, 16, 0)
    lines = [("score", "inputs", "labels", "draws", "rounds", "pruned return", "from")]
    for name, score in SCORES.items():
        inputs = "shape" if "shape" in score.needs else _mark("inputs" in score.needs)
        labels, draws = (_mark(what in score.needs) for what in ("labels", "generator"))
        rounds = str(score.defaults.get("rounds", 1))
        back = _mark(score.revives)
        lines.append((name, inputs, labels, draws, rounds, back, score.paper))
    return "\n".join(
        "".join(f"{text:{w}}" for text, w in zip(line, wide, strict=True)).rstrip()
        for line in lines
    )


def _mark(is_so: bool) -> str:
    """Return yes or a dash."""
    return "yes" if is_so else "-"


def span(values: "pandas.Series", text: Callable[[float], str]) -> str:
    """Return "least to greatest", one number if they read alike, a dash if none is.

    Args:
        values: Numbers; NaN does not count.
        text: A number as it is shown.
    """
    values = values.dropna()
    if not len(values):
        return "-"
    low, high = text(values.min()), text(values.max())
    return low if low == high else f"{low} to {high}"


def aligned(lines: Sequence[Sequence[str]], gap: int = 2) -> str:
    """Return cells in columns as wide as they need, the first to the left.

    Args:
        lines: Rows of equally many cells.
        gap: Least number of blanks between two columns.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(texts, widths[0], widths[1:], gap) for texts in lines)


def in_columns(
    lines: Sequence[Sequence[str]], width: int, first: int | None = None
) -> str:
    """Return cells in columns of one width, the first to the left.

    Args:
        lines: Rows of cells; some may have fewer.
        width: Of all columns but the first.
        first: Of the first; None: as wide as it needs.
    """
    first = max(len(line[0]) for line in lines) if first is None else first
    widths = [width] * max(map(len, lines))
    return "\n".join(_line(texts, first, widths, 0) for texts in lines)


def _line(texts: Sequence[str], first: int, widths: Sequence[int], gap: int) -> str:
    """Return one line of a table."""
    name, *rest = texts
    cells = zip(rest, widths, strict=False)
    return f"{name:{first}}{''.join(f'{t:>{w + gap}}' for t, w in cells)}".rstrip()
