"""What a paired comparison of few seeds can see, and how many seeds it would take."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

POWER = 0.8  # chance to see a true difference of the size that is called the least
LEVEL = 0.05  # chance of an interval that misses the truth


class Paired(NamedTuple):
    """A mean difference of n pairs.

    Attributes:
        n: Number of pairs.
        mean: Their mean.
        sd: Their standard deviation.
        low: Lower end of the 95 % interval by Student's t.
        high: Upper end.
        least: True difference that a two-sided test at 5 % sees in four of five
            repetitions, if the standard deviation is right.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    least: float


def paired(differences: Sequence[float]) -> Paired:
    """Return what a list of paired differences says.

    Args:
        differences: One per seed, at least two.

    Returns:
        See `Paired`.

    Raises:
        ValueError: there are fewer than two.
    """
    from scipy.stats import t

    n = len(differences)
    if n < 2:
        raise ValueError(f"differences: expected at least two, got {n}")
    mean, sd = fmean(differences), stdev(differences)
    error = sd / sqrt(n)
    half = float(t.ppf(1 - LEVEL / 2, n - 1)) * error
    return Paired(n, mean, sd, mean - half, mean + half, shift(n) * error)


def shift(n: int) -> float:
    """Return the least true mean, in standard errors, that n pairs see."""
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = float(t.ppf(1 - LEVEL / 2, n - 1))

    def missing(size: float) -> float:  # the other tail is below 1e-4 here
        return float(nct.sf(limit, n - 1, size)) - POWER

    return float(brentq(missing, 0.5, 1.5 * limit + 2))


def needed(sd: float, difference: float) -> int:
    """Return how many seeds a side separate two methods.

    Conventions: seeds of the two are independent and the deviation is estimated from
    both sides, by Student's t with 2n - 2 degrees of freedom; so at least two a side.

    Args:
        sd: Standard deviation of one method over seeds.
        difference: True difference of the means, above zero.

    Returns:
        The least n at which a test at 5 % sees the difference in four of five
        repetitions.
    """
    from scipy.stats import nct, t

    n = 2
    while True:
        free = 2 * n - 2
        limit = float(t.ppf(1 - LEVEL / 2, free))
        if nct.sf(limit, free, difference / (sd * sqrt(2 / n))) >= POWER:
            return n
        n += 1
