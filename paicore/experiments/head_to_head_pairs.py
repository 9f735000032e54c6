"""Paired comparison of many methods: t intervals, and Holm's correction of p values."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import inf, isfinite, sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05


class Pair(NamedTuple):
    """What the seeds say of one method against another.

    Attributes:
        first: A method.
        second: The method whose value is subtracted.
        n: Number of seeds that both have.
        mean: Mean difference.
        low: Lower end of the 95 % interval by Student's t, for this pair alone.
        high: Upper end.
        p: Two-sided p value of the paired t test.
        corrected: The same after Holm's correction over the whole family.
    """

    first: str
    second: str
    n: int
    mean: float
    low: float
    high: float
    p: float
    corrected: float

    @property
    def is_seen(self) -> bool:
        """Say whether the difference survives the correction."""
        return self.corrected < LEVEL


def holm(p: Sequence[float]) -> list[float]:
    r"""Correct p values for their number, by Holm's step-down method.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    Conventions: m is the number of values, i counts them from the least. Rejecting
    what is below a level keeps the chance of any false rejection below that level,
    however the tests depend on each other.

    Args:
        p: Values in [0, 1].

    Returns:
        The corrected values, in the order given.

    Source: S. Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    found, least = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        found[index] = least
    return found


def interval(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Return mean, both ends of the 95 % t interval, and the two-sided p value.

    Args:
        differences: One per seed, at least two.

    Returns:
        (mean, low, high, p); of differences that are all equal the interval is a point
        and p is 0, or 1 if they vanish.

    Raises:
        ValueError: there are fewer than two, or one is not finite.
    """
    from scipy.stats import t

    n = len(differences)
    if n < 2 or not all(map(isfinite, differences)):
        raise ValueError(f"differences: expected two finite ones or more, got {n}")
    mean, error = fmean(differences), stdev(differences) / sqrt(n)
    half = float(t.ppf(1 - LEVEL / 2, n - 1)) * error
    size = abs(mean) / error if error else (inf if mean else 0.0)
    return mean, mean - half, mean + half, float(2 * t.sf(size, n - 1))


def wide(rows: "pandas.DataFrame", column: str) -> "pandas.DataFrame":
    """Return a column with a line per seed and a column per method.

    Args:
        rows: Rows of one density and variant per method.
        column: A value column.

    Raises:
        ValueError: a method has two rows of one seed.
    """
    if rows.duplicated(["method", "seed"]).any():
        raise ValueError("rows: expected one row per method and seed; select before")
    return rows.pivot(index="seed", columns="method", values=column)


def pairs(values: "pandas.DataFrame", methods: Iterable[str]) -> list[Pair]:
    """Compare every two methods on the seeds that both have.

    Args:
        values: As `wide` returns them; methods without a column are left out.
        methods: The family; its order decides which of two is first.

    Returns:
        One `Pair` for every two that share two seeds or more, corrected over all of
        them together.
    """
    there = [name for name in methods if name in values.columns]
    found = []
    for first, second in combinations(there, 2):
        gaps = (values[first] - values[second]).dropna()
        if len(gaps) > 1:
            mean, low, high, p = interval(gaps.tolist())
            found.append(Pair(first, second, len(gaps), mean, low, high, p, p))
    corrected = holm([pair.p for pair in found])
    return [
        pair._replace(corrected=each)
        for pair, each in zip(found, corrected, strict=True)
    ]


def turned(pair: Pair) -> Pair:
    """Return the same comparison the other way round."""
    return pair._replace(
        first=pair.second, second=pair.first,
        mean=-pair.mean, low=-pair.high, high=-pair.low,
    )  # fmt: skip


def find(found: Iterable[Pair], first: str, second: str) -> Pair | None:
    """Return the comparison of two methods, in the order asked; None if not there."""
    for pair in found:
        if (pair.first, pair.second) == (first, second):
            return pair
        if (pair.first, pair.second) == (second, first):
            return turned(pair)
    return None
