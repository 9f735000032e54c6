"""Which measure orders the masks of one density as training does.

Correlations are Spearman's, the formulas and the bootstrap those of notebook 32: all
draws of seeds with replacement, each with all its masks, since masks of a seed share
weights, images and the order of batches. "own" is the mean of the seeds' own rank
correlations, "rank" ranks the masks of all seeds together, as notebook 32 does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations_with_replacement, product

import numpy as np
from scipy.stats import rankdata

from paicore.experiments import Config
from paicore.experiments import trace_and_training_ranks as statistics
from paicore.experiments.head_to_head_ground import SCORED
from paicore.experiments.what_predicts_left_out import (
    errors,
    explained,
    moments,
    predictions,
    skill,
)
from paicore.experiments.what_predicts_runs import (
    Study,
    Table,
    layer_names,
    seeds_of,
    tables,
)
from paicore.experiments.what_predicts_signs import SIGNS

PREDICTORS = (*SIGNS, "layers")
RIDGE = 0.1  # the penalty of the fit to layer densities
SETS = ("all", "scores", "connected")
VARIANTS = ("final_loss all", "final_loss scores", "final_loss connected",
            "mean_loss all", "accuracy all", "accuracy connected")  # fmt: skip
WITHIN = ("own", "rank", "given_layers", "skill", "ahead")
OVER = ("density_rank", "partial", "density_ahead")
ENDS = ("", "_low", "_high")
RANKS = (
    "masks", "clusters", "own_student_low", "own_student_high", "error", "error_mean",
    *(f"{name}{end}" for name in (*WITHIN, *OVER) for end in ENDS),
)  # fmt: skip
LEAST = 3  # masks, below which nothing is said
BLOCK = 400  # draws whose fits are solved together


@dataclass(frozen=True)
class Ranks(Config):
    """Correlations of measures with outcomes; methods are measures.

    Attributes:
        of: The runs.
        methods: Names in `PREDICTORS`.
        variants: Pairs of an outcome and a set of masks, each as one text.
        pooled: Whether densities are also taken together.
    """

    of: Study = field(default_factory=Study)
    methods: tuple[str, ...] = PREDICTORS
    variants: tuple[str, ...] = VARIANTS
    pooled: bool = True

    @property
    def data(self) -> str:
        """Name of the data set; claims require it."""
        return self.of.data

    @property
    def net(self) -> str:
        """Name of the network; claims require it."""
        return self.of.net

    @property
    def densities(self) -> tuple[float, ...]:
        """All densities, falling; claims require them."""
        return self.of.densities

    @property
    def repeats(self) -> int:
        """Largest number of seeds; claims require it."""
        return self.of.seeds


def rank_cells(config: Ranks) -> list[dict]:
    """Every measure and variant within each density, and over all of them."""
    only = config.only.split(",") if config.only else config.methods
    places = [(density, "") for density in config.densities]
    if config.pooled:
        places.append((min(config.densities), " pooled"))
    return [
        {"method": name, "density": density, "seed": seed, "variant": variant + scope}
        for name, variant in product(config.methods, config.variants)
        if name in only
        for density, scope in places
        for seed in range(config.seeds)
    ]


def run_ranks(config: Ranks, cell: Mapping) -> list[dict]:
    """Correlate one measure with one outcome, with intervals of 95 % over seeds.

    Conventions: the cell's density, or all of them for "pooled", with the seeds that
    all have. "all" masks, "scores" without the transfers, "connected" those without a
    nearly empty layer. "own" is 0 for a seed in which the measure is constant, nan
    if it is so in all. "given_layers" is the mean of the seeds' partial correlations
    given what a fit to layer densities explains, which has seen all masks. "skill" is
    that of `what_predicts_left_out`: for a measure of the line through its rank
    within the seed, for "layers" of the ridge fit; losses enter by their logarithm.
    "ahead" is skill less that of "layers"; "error" the root mean square, "error_mean"
    that of the others' mean. For "layers" the measure is the prediction for methods
    left out, whose correlation is lower than a fit's that has seen them, and there is
    no "given_layers". "own_student" are the ends of Student's interval, nan if a seed's
    own is. Over densities "density_rank", "partial" and "density_ahead" are notebook
    32's.

    Returns:
        One row; the step counts the seeds.
    """
    outcome, of, *scope = cell["variant"].split(" ")
    densities = config.densities if scope else (cell["density"],)
    chosen = prepared(replace(config.of, device=config.device), densities, of)
    parts = measures(chosen, cell["method"], outcome)
    n, masks = len(parts), sum(len(part["y"]) for part in parts)
    row = dict.fromkeys(RANKS, np.nan) | {"masks": masks, "clusters": n}
    if masks >= LEAST:
        row |= correlated(parts, outcome) | left_out(parts, cell["method"])
        for name in OVER if scope else ():
            row |= pooled(parts, outcome, name, statistics.STATISTIC[name])
    if cell["method"] == "layers":  # they are no control of themselves
        row |= named("given_layers", (np.nan,) * 3)
    return [{"step": n, **row}]


@lru_cache(maxsize=16)
def prepared(of: Study, densities: tuple[float, ...], name: str) -> tuple[Table, ...]:
    """Return a set's masks of some densities, a table for each seed that all have."""
    seeds = min(seeds_of(of, density) for density in densities)
    found = []
    for some in zip(*(tables(of, d, seeds) for d in densities), strict=True):
        table = statistics.joined(some)
        keep = np.full(len(table["method"]), True)
        if name == "scores":
            keep = np.isin(table["method"], SCORED)
        elif name == "connected":
            keep = table["nearly_empty"] == 0
        found.append({column: values[keep] for column, values in table.items()})
    return tuple(found)


def measure(table: Table, name: str, outcome: str) -> Table:
    """Return a seed's masks with what a statistic needs.

    Returns:
        "trace", which is what notebook 32's statistics correlate, the outcome, density,
        "x" for a regression, "layers" for that on layer densities, and "y".
    """
    names = [n for n in layer_names(100) if n in table]
    layers = np.column_stack([table[n] for n in names])
    layers = layers[:, ~np.isnan(layers).any(0)]
    y = table[outcome] if outcome == "accuracy" else np.log(table[outcome])
    values = table.get(name, np.zeros(len(y)))
    place = (rankdata(values) - 0.5) / max(len(values), 1)
    return {
        "method": table["method"], "density": table["density"], "trace": values,
        outcome: table[outcome], "layers": layers, "x": place[:, None], "y": y,
    }  # fmt: skip


def measures(chosen: Sequence[Table], name: str, outcome: str) -> list[Table]:
    """Return every seed's masks as `measure` does, with both fits to layer densities.

    Returns:
        Tables with "known", the fit that has seen all masks; of "layers" the measure is
        the prediction by fits that have not seen the method.
    """
    parts = [measure(table, name, outcome) for table in chosen]
    whole = statistics.joined(parts)
    if len(whole["y"]) < LEAST:
        return parts
    ends = np.cumsum([len(part["y"]) for part in parts])[:-1]
    found = {"known": explained(whole["layers"], whole["y"], RIDGE)}
    if name == "layers":
        fit = whole["layers"], whole["y"], whole["method"]
        found["trace"] = predictions(*fit, RIDGE)
    for column, values in found.items():
        for part, own in zip(parts, np.split(values, ends), strict=True):
            part[column] = own
    return parts


def correlated(parts: Sequence[Table], outcome: str) -> dict[str, float]:
    """Return the correlations of a measure with the outcome; see `run_ranks`."""
    own = [defined(statistics.rank, part, outcome) for part in parts]
    given = statistics.given("known")
    partial = [defined(given, part, outcome) for part in parts]
    low, high = statistics.student(own)
    row = {"own_student_low": low, "own_student_high": high}
    row |= named("own", averaged(own)) | named("given_layers", averaged(partial))
    return row | pooled(parts, outcome, "rank", statistics.rank)


def pooled(
    parts: Sequence[Table], outcome: str, name: str, statistic: Callable
) -> dict[str, float]:
    """Return a statistic over the masks of all seeds together."""
    slim = [{c: part[c] for c in ("trace", "density", outcome)} for part in parts]
    return named(name, statistics.interval(
        slim, lambda some: defined(statistic, statistics.joined(some), outcome)
    ))  # fmt: skip


def defined(statistic: Callable, table: Table, outcome: str) -> float:
    """Return a statistic, nan of fewer masks than it needs."""
    return statistic(table, outcome) if len(table["trace"]) >= LEAST else np.nan


def averaged(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds with its interval; undefined ones count 0."""
    n = len(values)
    if np.isnan(values).all():
        return (np.nan,) * 3
    return over_draws(n, counts(n) @ np.nan_to_num(values) / n)


def left_out(parts: Sequence[Table], name: str) -> dict[str, float]:
    """Return how well methods that were left out are predicted; see `run_ranks`."""
    names = [*dict.fromkeys(statistics.joined(parts)["method"].tolist())]
    held = {
        of: np.stack([moments(p[of], p["y"], p["method"], names) for p in parts])
        for of in ("x", "layers")
    }
    of, penalty = ("layers", RIDGE) if name == "layers" else ("x", 0.0)
    own, control = skills(held[of], penalty), skills(held["layers"], RIDGE)
    whole = held[of].sum(0)
    squares = errors(whole, penalty).sum(-1) / whole[:, 0, 0].sum()
    row = dict(zip(("error", "error_mean"), np.sqrt(squares).tolist(), strict=True))
    n = len(parts)
    row |= named("skill", over_draws(n, own))
    return row | named("ahead", over_draws(n, own - control))


def skills(held: np.ndarray, penalty: float) -> np.ndarray:
    """Return the skill in every draw of seeds; moments (seeds, methods, q, q)."""
    some = counts(len(held))
    blocks = np.array_split(some, 1 + len(some) // BLOCK)
    return np.concatenate([skill(np.tensordot(b, held, 1), penalty) for b in blocks])


@lru_cache(maxsize=8)
def draws(n: int) -> tuple[tuple[int, ...], ...]:
    """Return all multisets of n seeds, as notebook 32's bootstrap takes them."""
    return tuple(combinations_with_replacement(range(n), n))


@lru_cache(maxsize=8)
def counts(n: int) -> np.ndarray:
    """Return how often each draw has each seed, shape (draws, n)."""
    return np.array([[draw.count(s) for s in range(n)] for draw in draws(n)], float)


def over_draws(n: int, values: np.ndarray) -> tuple[float, float, float]:
    """Return value and interval of a statistic that is known for every draw."""
    found = dict(zip(draws(n), values.tolist(), strict=True))
    return statistics.interval(range(n), lambda some: found[tuple(some)])


def named(name: str, ends: Sequence[float]) -> dict[str, float]:
    """Return a value and the ends of its interval under their columns."""
    columns = (f"{name}{end}" for end in ENDS)
    return dict(zip(columns, map(float, ends), strict=True))
