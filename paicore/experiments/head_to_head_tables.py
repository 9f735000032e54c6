"""What the tables and figures of notebook 51 show, computed from records' rows.

Accuracies and differences are in percent and points of the test images.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.head_to_head_pairs import (
    Pair,
    find,
    interval,
    pairs,
    turned,
    wide,
)
from paicore.experiments.head_to_head_training import HELD
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def messages(*shown: "Record") -> str:
    """Return what several records say of themselves."""
    return "\n".join(record.message for record in shown)


def together(*shown: "Record") -> "pandas.DataFrame | None":
    """Return the rows of several records; a run that several have counts once.

    Args:
        *shown: Records of one ground; those without rows are left out.

    Returns:
        Rows, or None where no record has any.
    """
    import pandas

    there = [record.rows for record in shown if record.rows is not None]
    if not there:
        return None
    rows = pandas.concat(there, ignore_index=True)
    return rows.drop_duplicates(["method", "density", "variant", "seed"])


def ranked(rows: "pandas.DataFrame", column: str = "accuracy") -> list[str]:
    """Return the methods, the largest mean first; "dense" is not among them."""
    means = rows.groupby("method")[column].mean().drop("dense", errors="ignore")
    return [*means.sort_values(ascending=False, kind="stable").index]


def points(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return accuracies in percent, a line per seed and a column per method."""
    return 100 * wide(rows, "accuracy")


def compared(rows: "pandas.DataFrame") -> list[Pair]:
    """Return all pairs of methods, in points; "dense" takes no part."""
    return pairs(points(rows), ranked(rows))


def standing(*shown: "Record") -> str:
    """Return accuracy and shape of every method, the most accurate first.

    Args:
        *shown: The primary record, and that of the transfers.

    Returns:
        Text: mean and sd over the seeds, the mean lead over the next in line with its
        95 % interval, the effective density, how many layers are empty, and how many
        pairs differ.
    """
    rows = together(*shown)
    if rows is None:
        return messages(*shown)
    values, order = points(rows), ranked(rows)
    order = [name for name in ("dense",) if name in values] + order
    head = "accuracy", "n", "over the next", "95 % interval", "effective", "empty"
    lines = [["", *head]]
    for name, after in zip(order, [*order[1:], ""], strict=True):
        part = rows[rows["method"] == name]
        lead = "-", "-"
        gaps = (values[name] - values[after]).dropna().tolist() if after else []
        if len(gaps) > 1:
            mean, low, high, _ = interval(gaps)
            lead = f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}"
        effective, empty = part["effective"].mean(), part["empty"].mean()
        cells = spread(values[name]), str(len(part)), *lead
        lines.append([name, *cells, f"{100 * effective:.2f} %", f"{empty:.1f}"])
    return f"{aligned(lines)}\n{differing(rows)}"


def differing(rows: "pandas.DataFrame") -> str:
    """Return how many pairs of methods differ after the correction."""
    found = compared(rows)
    seen = sum(pair.is_seen for pair in found)
    return f"{seen} of {len(found)} pairs differ after Holm's correction"


def matrix(*shown: "Record") -> str:
    """Return the mean difference of every two methods, line minus column.

    Returns:
        Text; a star marks what Holm's correction over all pairs leaves below 0.05.
    """
    rows = together(*shown)
    if rows is None:
        return messages(*shown)
    order, found = ranked(rows), compared(rows)
    lines = [["", *(str(k) for k in range(1, len(order) + 1))]]
    for k, first in enumerate(order, 1):
        cells = [_difference(find(found, first, second)) for second in order]
        lines.append([f"{k:2} {first}", *cells])
    return f"{aligned(lines, 1)}\n{differing(rows)}"


def _difference(pair: Pair | None) -> str:
    """Return one cell of the matrix."""
    if pair is None:
        return "."
    return f"{pair.mean:+.1f}{'*' if pair.is_seen else ' '}"


def differences(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the matrix as numbers, for a figure; pairs that are not seen as well."""
    import pandas

    order = ranked(rows)
    found = pandas.DataFrame(float("nan"), order, order)
    for pair in compared(rows):
        for each in (pair, turned(pair)):
            found.loc[each.first, each.second] = each.mean
    return found


def reach(gaps: "pandas.DataFrame") -> float:
    """Return where the colours of a matrix end: nine tenths of its cells lie inside."""
    sizes = gaps.abs().stack().dropna()
    return float(sizes.quantile(0.9)) or 1.0 if len(sizes) else 1.0


def orderings(asked: Iterable[Sequence[str]], *shown: "Record") -> str:
    """Return what equal ground leaves of orderings, one line each.

    Args:
        asked: Pairs of methods, the one first that is said to be better.
        *shown: The primary record, and that of the transfers.

    Returns:
        Text: the difference, its interval, p after Holm over all pairs of methods, and
        "survives", "turned round" or "open".
    """
    rows = together(*shown)
    if rows is None:
        return messages(*shown)
    found, lines = compared(rows), [["said to be better", *_HEAD]]
    for better, worse in dict.fromkeys(map(tuple, asked)):
        pair = find(found, better, worse)
        if pair is None:
            lines.append([f"{better} > {worse}", *("-" for _ in _HEAD[:-1]), "not run"])
            continue
        ends = f"{pair.low:+.2f} to {pair.high:+.2f}"
        cells = str(pair.n), f"{pair.mean:+.2f}", ends, f"{pair.corrected:.2g}"
        lines.append([f"{better} > {worse}", *cells, judged(pair)])
    return aligned(lines)


_HEAD = ("n", "difference", "95 % interval", "p (Holm)", "on equal ground")


def judged(pair: Pair) -> str:
    """Return what the corrected test says of a pair."""
    if not pair.is_seen:
        return "open"
    return "survives" if pair.mean > 0 else "turned round"


def by_density(*shown: "Record") -> str:
    """Return mean and sd of the accuracy, a line per method, a column per density."""
    rows = together(*shown)
    if rows is None:
        return messages(*shown)
    places = sorted({*rows["density"]} - {1.0}, reverse=True)
    lines = [["", *(f"{100 * place:g} %" for place in places)]]
    for name in ranked(rows[rows["density"] == places[-1]]):
        part = rows[rows["method"] == name].groupby("density")["accuracy"]
        there = {place: spread(100 * values) for place, values in part}
        lines.append([name, *(there.get(place, "-") for place in places)])
    return aligned(lines)


def rates(tuned: "Record", common: "Record") -> str:
    """Return the rate that each method was given, and what it brought.

    Args:
        tuned: Accuracies at chosen rates.
        common: Accuracies at the common rate; without rows the gain is left out.

    Returns:
        Text, the most accurate at its own rate first: accuracy of each rate on
        held-out training images, the one chosen, test accuracy at it and at the common
        one, and the paired gain with its 95 % interval; how many pairs differ, and how
        much the order at the common rate is kept.
    """
    if tuned.rows is None:
        return tuned.message
    rows, tried = tuned.rows, tuned.config.rates
    heads = [f"held out {rate:g}" for rate in tried]
    lines = [["", *heads, "chosen", "test", "common", "gain", "95 % interval"]]
    own = points(rows)
    other = points(common.rows) if common.rows is not None else own.iloc[:0]
    order = ranked(rows)
    for name in [*order, *(["dense"] if "dense" in own else [])]:
        first = rows[rows["method"] == name].iloc[0]
        held = [f"{100 * first[column]:.2f}" for column in HELD]
        cells = [spread(own[name]), "-", "-", "-"]
        gaps = (own[name] - other[name]).dropna().tolist() if name in other else []
        if len(gaps) > 1:
            mean, low, high, _ = interval(gaps)
            cells[1:] = (
                spread(other[name]),
                f"{mean:+.2f}",
                f"{low:+.2f} to {high:+.2f}",
            )
        lines.append([name, *held, f"{first['lr']:g}", *cells])
    foot = differing(rows)
    there = [name for name in order if name in other]
    if len(there) > 1:
        means = (values[there].mean().rank() for values in (own, other))
        foot += f"; rank correlation of both orders {next(means).corr(next(means)):.2f}"
    return f"{aligned(lines)}\n{foot}"


def spread(values: "pandas.Series") -> str:
    """Return mean and sd over the seeds."""
    values = values.dropna()
    sd = f" ±{values.std():.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{sd}" if len(values) else "-"
