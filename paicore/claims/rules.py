"""From rows to numbers, orderings and trends."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paicore.claims.schema import FILTERS, Claim, ClaimError

if TYPE_CHECKING:
    import pandas

Series = dict[int, float]  # seed to value


class NoRows(LookupError):
    """The rows hold nothing that the claim speaks of."""


@dataclass(frozen=True)
class Number:
    """Our side of a claimed number.

    Attributes:
        value: The statistic over the seeds, scaled.
        sd: Standard deviation over the seeds, 0 for one seed and for a spread.
        n: Number of seeds.
        holds: Whether the rule is met.
    """

    value: float
    sd: float
    n: int
    holds: bool


@dataclass(frozen=True)
class Direction:
    """Our side of an ordering or a trend: whether it holds, and in how many seeds."""

    holds: bool
    agree: int
    n: int


def selected(claim: Claim, rows: "pandas.DataFrame", more: Mapping | None = None):
    """Return the rows that the claim's filters and `more` leave, at its step."""
    column = claim.reduce["column"]
    if column not in rows.columns:
        known = [n for n in rows.columns if n not in FILTERS]
        text = f"reduce.column: no column {column!r}, there are {known}"
        raise ClaimError(f"{claim.place}: {text}")
    filters = {n: claim.reduce[n] for n in FILTERS if n in claim.reduce}
    for name, wanted in {**filters, **(more or {})}.items():
        rows = rows[_equal(rows, name, wanted)]
    step = claim.reduce.get("step", "last")
    if step == "last":
        rows = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
    elif step != "all":
        rows = rows[rows["step"] == step]
    if rows.empty:
        wanted = {**filters, **(more or {}), "step": step}
        raise NoRows(f"{claim.place}: no rows with {wanted}")
    return rows


def _equal(rows: "pandas.DataFrame", name: str, wanted):
    """Compare texts exactly and densities at the nine digits that a CSV keeps."""
    if name == "density":
        return rows[name].map(lambda value: f"{value:.9g}") == f"{wanted:.9g}"
    return rows[name] == wanted


def by_seed(claim: Claim, rows: "pandas.DataFrame") -> Series:
    """Return one scaled value per seed; several are an error but for min and max."""
    scale = float(claim.reduce.get("scale", 1))
    kind = claim.reduce.get("statistic", "mean")
    groups = {
        int(seed): [scale * float(value) for value in values]
        for seed, values in rows.groupby("seed")[claim.reduce["column"]]
    }
    if kind in ("min", "max"):
        return {seed: _extreme(kind, values) for seed, values in groups.items()}
    if crowded := [seed for seed, values in groups.items() if len(values) > 1]:
        text = f"reduce: seed {crowded[0]} has several values, add filters"
        raise ClaimError(f"{claim.place}: {text}")
    return {seed: values[0] for seed, values in groups.items()}


def _extreme(kind: str, values: Sequence[float]) -> float:
    """Return the least or greatest value; nan when there is one."""
    if any(math.isnan(value) for value in values):
        return math.nan
    return min(values) if kind == "min" else max(values)


def number(claim: Claim, rows: "pandas.DataFrame") -> Number:
    """Return our number and whether it fits the paper's."""
    if claim.reduce.get("statistic") == "spread":
        return _spread(claim, rows)
    values = list(by_seed(claim, selected(claim, rows)).values())
    value = _statistic(claim, values)
    sd = _sd(values) if len(values) > 1 else 0.0
    return Number(value, sd, len(values), fits(claim, value, sd))


def _spread(claim: Claim, rows: "pandas.DataFrame") -> Number:
    """Return the greatest less the least mean, over the seeds that all have."""
    series = _each(claim, rows, claim.reduce["among"], claim.reduce.get("by", "method"))
    seeds = _paired(claim, series)
    means = [statistics.fmean(values[seed] for seed in seeds) for values in series]
    value = _extreme("max", means) - _extreme("min", means)
    return Number(value, 0.0, len(seeds), fits(claim, value, 0.0))


def _each(
    claim: Claim,
    rows: "pandas.DataFrame",
    names: Sequence,
    by: str,
    at: Mapping | None = None,
) -> list[Series]:
    """Return the values by seed of each place that is named in the column `by`."""
    chosen = [selected(claim, rows, {**(at or {}), by: name}) for name in names]
    return [by_seed(claim, part) for part in chosen]


def _paired(claim: Claim, series: Sequence[Series]) -> list[int]:
    """Return the seeds that all series have."""
    seeds = sorted(set.intersection(*(set(values) for values in series)))
    if not seeds:
        raise NoRows(f"{claim.place}: no seed is paired")
    return seeds


def _statistic(claim: Claim, values: list[float]) -> float:
    """Return the claim's statistic over the seeds."""
    kind = claim.reduce.get("statistic", "mean")
    if kind in ("min", "max"):
        return _extreme(kind, values)
    if any(math.isnan(value) for value in values):
        return math.nan
    if kind == "median":
        return statistics.median(values)
    if kind == "sd":
        if len(values) < 2:
            raise NoRows(f"{claim.place}: sd of one seed")
        return _sd(values)
    return statistics.fmean(values)


def _sd(values: Sequence[float]) -> float:
    """Return the standard deviation (n - 1) of two values or more; nan if one is."""
    if not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values)


def fits(claim: Claim, value: float, sd: float) -> bool:
    """Say whether a number meets the rule; nan never does."""
    rule, paper = claim.rule, claim.paper
    if rule["kind"] == "bound":
        sense = rule["sense"]
        return value <= paper["value"] if sense == "<=" else value >= paper["value"]
    if rule["kind"] == "equal":
        return abs(value - paper["value"]) <= rule["tolerance"]
    return abs(value - paper["value"]) <= slack(claim, sd) * (1 + 1e-12)


def slack(claim: Claim, sd: float) -> float:
    """Return by how much ours may differ from the stated value."""
    rule, paper = claim.rule, claim.paper
    if rule["kind"] == "equal":
        return rule["tolerance"]
    excused = min(sd, rule["cap"])  # a noisy run must not pass by its own spread
    return max(paper.get("spread", 0), paper.get("reading_error", 0), excused)


def direction(claim: Claim, rows: "pandas.DataFrame") -> Direction:
    """Return whether the claim's ordering or trend holds."""
    if "order" in claim.rule:
        return _ordering(claim, rows)
    return _trend(claim, rows)


def _ordering(claim: Claim, rows: "pandas.DataFrame") -> Direction:
    """Compare neighbours of the order, paired by seed."""
    rule = claim.rule
    by, at = rule.get("by", "method"), rule.get("at", {})
    series = _each(claim, rows, rule["order"], by, at)
    seeds = _paired(claim, series)
    pairs = list(itertools.pairwise(series))
    steps = [[a[seed] - b[seed] for seed in seeds] for a, b in pairs]
    agree = sum(all(step[i] > 0 for step in steps) for i in range(len(seeds)))
    return Direction(all(exceeds(step) for step in steps), agree, len(seeds))


def exceeds(differences: Sequence[float]) -> bool:
    """Say whether paired differences are positive: all of 3, or by two errors."""
    n = len(differences)
    if n >= 3 and all(value > 0 for value in differences):
        return True
    if n < 2 or not all(map(math.isfinite, differences)):
        return False
    error = statistics.stdev(differences) / math.sqrt(n)
    return statistics.fmean(differences) > 2 * error


def _trend(claim: Claim, rows: "pandas.DataFrame") -> Direction:
    """Rank values along a column, per seed, or compare means when seeds are few."""
    sign = 1.0 if claim.rule["sign"] == "+" else -1.0
    curves = _curves(claim, rows)
    points = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    if len(points) < 3:
        raise NoRows(f"{claim.place}: a trend needs three points, got {len(points)}")
    least = claim.rule.get("least", 0.8)
    values = [[sign * curve[point] for point in points] for curve in curves.values()]
    ranks = [spearman(curve) for curve in values]
    agree = sum(rank >= least for rank in ranks)
    if len(values) >= 3:
        return Direction(agree == len(values), agree, len(values))
    means = [statistics.fmean(column) for column in zip(*values, strict=True)]
    rises = all(a < b for a, b in itertools.pairwise(means))
    return Direction(rises, agree, len(values))


def _curves(claim: Claim, rows: "pandas.DataFrame") -> dict[int, Series]:
    """Return seed to (place along the trend to value)."""
    along, whole = claim.rule["along"], claim
    if along == "step":
        whole = replace(claim, reduce={**claim.reduce, "step": "all"})
    places = selected(whole, rows).groupby(along)
    if along == "variant" and not all(map(_is_number, places.groups)):
        raise ClaimError(f"{claim.place}: rule.along: variants that are no numbers")
    curves: dict[int, Series] = {}
    for place, part in places:
        for seed, value in by_seed(whole, part).items():
            curves.setdefault(seed, {})[float(place)] = value
    return curves


def _is_number(text: str) -> bool:
    """Say whether a variant is a number written as text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def spearman(values: Sequence[float]) -> float:
    """Return the rank correlation of values with their index; constant or nan: 0."""
    if any(math.isnan(value) for value in values):
        return 0.0
    ordered = sorted(values)
    middle = {v: ordered.index(v) + (ordered.count(v) - 1) / 2 for v in values}
    if len(middle) == 1:
        return 0.0
    ranks = [middle[value] for value in values]
    return statistics.correlation(range(len(ranks)), ranks)
