"""Which density each round of an iterative method reaches."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real

SCHEDULES = ("exponential", "linear")
MOST_ROUNDS = 1_000_000


def densities(
    density: float, rounds: int, schedule: str | Sequence[float] = "exponential"
) -> list[float]:
    r"""Return the density after each round; the last is the density asked for.

    .. math:: d_t = d^{t/T} \quad\text{or}\quad d_t = 1 - (1 - d)\, t / T

    Args:
        density: Final density d in (0, 1].
        rounds: Number T >= 1 of rounds.
        schedule: "exponential" (first formula), "linear" (second), or T densities
            that never rise and end at `density`.

    Returns:
        List of T densities.

    Raises:
        TypeError: `rounds` is no integer, or `schedule` neither name nor numbers.
        ValueError: an argument is out of range or of another form.

    Source: exponential: Tanaka et al. (2020); linear: naver/force, ganguli-lab/
    Synaptic-Flow prune.py.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, Integral):
        raise TypeError(f"rounds: expected an int, got {rounds!r}")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds: expected 1 to {MOST_ROUNDS}, got {rounds}")
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule: expected one of {SCHEDULES} or densities, "
                             f"got {schedule!r}")  # fmt: skip
        steps = [t / rounds for t in range(1, rounds)]
        if schedule == "linear":
            return [1.0 - (1.0 - density) * share for share in steps] + [density]
        return [density**share for share in steps] + [density]
    if not isinstance(schedule, Sequence) or isinstance(schedule, bytes):
        raise TypeError(f"schedule: expected a name or densities, got {schedule!r}")
    if not all(isinstance(each, Real) for each in schedule):
        raise TypeError(f"schedule: expected numbers, got {list(schedule)}")
    given = [float(each) for each in schedule]
    falling = all(1 >= a >= b for a, b in pairwise(given))
    if len(given) != rounds or not falling or given[-1] != density:
        raise ValueError(f"schedule: expected {rounds} densities that never rise and "
                         f"end at {density}, got {given}")  # fmt: skip
    return given
