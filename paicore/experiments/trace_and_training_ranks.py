r"""Rank correlations of the trace with training, and what the seeds leave open.

.. math:: r_{xy \cdot z} = \frac{r_{xy} - r_{xz} r_{yz}}
          {\sqrt{(1 - r_{xz}^2)(1 - r_{yz}^2)}}

Correlations are Spearman's; the formula is the partial one given z, the density or the
trace of the mask's shuffled twin. Masks of one seed share weights and images and are no
independent points, so the bootstrap draws seeds with all their masks. There are so few
seeds that all resamples are taken; as few clusters make its intervals too short,
Student's interval of the seeds' own correlations stands beside it.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student_t

from paicore.experiments import Config
from paicore.experiments.trace_and_training_losses import Training, measured

DATA_FREE = (
    "random", "magnitude", "synflow", "synflow_l2", "synflow_l2_d", "synflow_dist",
    "synflow_l2_dist",
)  # fmt: skip
# Which masks are correlated; "dense" belongs to all of them, "shuffled" has no other.
SETS = {
    "all": (*DATA_FREE, "snip", "grasp", "grasp_t1"),
    "data_free": DATA_FREE,
    "data_free_but_random": DATA_FREE[1:],
    "data_dependent": ("snip", "grasp", "grasp_t1"),
    "one_temperature": (*DATA_FREE, "snip", "grasp"),
    "synflow_family": tuple(name for name in DATA_FREE if name.startswith("synflow")),
    "shuffled": (*DATA_FREE, "snip", "grasp", "grasp_t1"),
}
MEASURES = ("fixed_loss", "tuned_loss", "lambda_loss", "tuned_mean_loss",
            "tuned_accuracy")  # fmt: skip
SCOPES = ("within", "pooled", "mean within")
STATISTICS = ("rank", "density_rank", "partial", "shuffled_rank", "given_twin",
              "weights_rank", "density_ahead")  # fmt: skip
RANKS = (
    "masks",
    "rank_student_low",
    "rank_student_high",
    *(f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")),
)
LEVEL = 0.95
MOST_SEEDS = 8

Table = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Ranks(Config):
    """Correlations over the masks of several seeds; methods are sets of masks.

    Attributes:
        of: The masks and their training; of its cases the first.
        repeats: Number of seeds, the clusters of the bootstrap.
        methods: Names in `SETS`.
        measures: What the trace is correlated with, columns of `of`'s rows.
        floors: Least density of each pooled range, which begins at 1.
    """

    of: Training = field(default_factory=Training)
    repeats: int = 5
    methods: tuple[str, ...] = tuple(SETS)
    measures: tuple[str, ...] = MEASURES
    floors: tuple[float, ...] = (0.0316,)

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets; claims require them."""
        return self.of.data


def cells(config: Ranks) -> list[dict]:
    """Every set and measure: within each density, and over ranges of densities."""
    found = []
    for method, measure in itertools.product(config.methods, config.measures):
        if config.only and method not in config.only.split(","):
            continue
        scopes = [("within", density) for density in config.of.densities]
        scopes += itertools.product(SCOPES[1:], config.floors)
        found += [
            {"method": method, "density": density, "seed": seed,
             "variant": f"{measure} {scope}"}
            for scope, density in scopes
            for seed in range(config.seeds)
        ]  # fmt: skip
    return found


def run_ranks(config: Ranks, cell: Mapping) -> list[dict]:
    """Correlate over the masks of all seeds, with the interval of 95 %.

    Conventions: "within" takes the masks of one density; "pooled" those of all
    densities from 1, the dense network, down to the cell's; "mean within" averages the
    former over the densities of the latter. "rank" is of trace and measure,
    "density_rank" of density and measure, "partial" the former given density,
    "shuffled_rank" correlates the measure with the trace of the mask's shuffled twin,
    which has the same layer densities, "given_twin" is partial given that trace, nan
    where masks have no twin; "weights_rank" takes the trace over weights alone, without
    the paths that start at biases; "density_ahead" is |density_rank| - |rank|.
    "rank_student" are the ends of Student's interval over the seeds' own ranks.
    A seed of the cell is a repetition of the whole with other seeds.

    Returns:
        One row; the step counts the seeds.
    """
    first = cell["seed"] * config.repeats
    of = replace(config.of, device=config.device)
    tables = [
        measured(of, of.cases[0], seed) for seed in range(first, first + config.repeats)
    ]
    measure, _, scope = cell["variant"].partition(" ")
    parts = [chosen(t, cell["method"], scope, cell["density"]) for t in tables]
    row = {"step": config.repeats, "masks": sum(len(p["trace"]) for p in parts)}
    for name in STATISTICS:
        of_parts = (
            STATISTIC[name] if scope != "mean within" else averaged(STATISTIC[name])
        )
        ends = interval(parts, lambda some, f=of_parts: f(joined(some), measure))
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
    own = rank if scope != "mean within" else averaged(rank)
    low, high = student([own(part, measure) for part in parts])
    return [row | {"rank_student_low": low, "rank_student_high": high}]


def chosen(table: Table, of: str, scope: str, density: float) -> dict[str, np.ndarray]:
    """Return the masks of a set and scope, each with its shuffled twin's trace."""
    table = {**table, "twin": twins(table)}
    wanted = table["shuffled"] == (of == "shuffled")
    wanted &= np.isin(table["method"], SETS[of])
    near = 1e-9 * density
    if scope == "within":
        wanted &= np.abs(table["density"] - density) <= near
    else:
        wanted &= table["density"] >= density - near
    if scope == "pooled" and of != "shuffled":
        wanted |= table["method"] == "dense"
    return {name: column[wanted] for name, column in table.items()}


def twins(table: Table) -> np.ndarray:
    """Return the trace of every mask's shuffled twin; nan where there is none.

    The dense network is its own twin.
    """
    names = zip(table["method"], table["density"], strict=True)
    key = np.array([f"{method} {density:.9g}" for method, density in names])
    found = np.where(table["method"] == "dense", table["trace"], np.nan)
    for at in np.flatnonzero(table["shuffled"]):
        found[key == key[at]] = table["trace"][at]
    return found


def joined(parts: Sequence[Table]) -> Table:
    """Return the masks of several seeds as one table."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Return the rank correlation, ties averaged; nan where one is constant."""
    x, y = (rankdata(each) for each in (x, y))
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt((x @ x) * (y @ y))
    return float(x @ y) / size if size > 0 else math.nan


def rank(table: Table, measure: str) -> float:
    """Return the correlation of trace and measure."""
    return spearman(table["trace"], table[measure])


def density_rank(table: Table, measure: str) -> float:
    """Return the correlation of density and measure; nan within one density."""
    return spearman(table["density"], table[measure])


def shuffled_rank(table: Table, measure: str) -> float:
    """Return the correlation of the shuffled twin's trace and the measure."""
    return spearman(table["twin"], table[measure])


def density_ahead(table: Table, measure: str) -> float:
    """Return by how much density says more than the trace; nan within one density."""
    return abs(density_rank(table, measure)) - abs(rank(table, measure))


def weights_rank(table: Table, measure: str) -> float:
    """Return the correlation of the trace over weights alone and the measure."""
    return spearman(table["trace_weights"], table[measure])


def given(control: str) -> Callable[[Table, str], float]:
    """Return the correlation of trace and measure given a column; see the module."""

    def partial(table: Table, measure: str) -> float:
        direct, other = rank(table, measure), spearman(table[control], table[measure])
        between = spearman(table["trace"], table[control])
        left = (1 - between**2) * (1 - other**2)
        return (direct - between * other) / math.sqrt(left) if left > 0 else math.nan

    return partial


STATISTIC: dict[str, Callable[[Table, str], float]] = {
    "rank": rank,
    "density_rank": density_rank,
    "partial": given("density"),
    "shuffled_rank": shuffled_rank,
    "given_twin": given("twin"),
    "weights_rank": weights_rank,
    "density_ahead": density_ahead,
}


def averaged(statistic: Callable[[Table, str], float]) -> Callable:
    """Return the mean of a statistic over the densities that it is defined at."""

    def mean(table: Table, measure: str) -> float:
        found = []
        for density in np.unique(table["density"]):
            here = table["density"] == density
            part = {name: column[here] for name, column in table.items()}
            found.append(statistic(part, measure))
        defined = [value for value in found if not math.isnan(value)]
        return float(np.mean(defined)) if defined else math.nan

    return mean


def student(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of Student's interval of a mean; nan for a single value."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = student_t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def interval(
    parts: Sequence[Table], statistic: Callable[[Sequence[Table]], float]
) -> tuple[float, float, float]:
    r"""Return a statistic of all seeds with the ends of its bootstrap interval.

    Conventions: percentiles over all n^n ways to draw n seeds with replacement, each
    multiset computed once and counted as often as it occurs. With five seeds there are
    126 multisets of 3,125 draws; so few clusters make intervals that are too short
    rather than too long. nan where the statistic is not defined for some draw.

    Args:
        parts: One table per seed, at most `MOST_SEEDS`.
        statistic: Tables of a draw to a number.

    Returns:
        Value, lower and upper end.

    Raises:
        ValueError: There are too many seeds to take all draws.
    """
    n = len(parts)
    if n > MOST_SEEDS:
        raise ValueError(f"parts: expected at most {MOST_SEEDS} seeds, got {n}")
    value, found, counts = statistic(parts), [], []
    if math.isnan(value):
        return value, math.nan, math.nan
    for draw in itertools.combinations_with_replacement(range(n), n):
        found.append(statistic([parts[seed] for seed in draw]))
        repeats = (math.factorial(draw.count(seed)) for seed in range(n))
        counts.append(math.factorial(n) // math.prod(repeats))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.repeat(found, counts), (tail, 1 - tail))
    return value, float(low), float(high)
