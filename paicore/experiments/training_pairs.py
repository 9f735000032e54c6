"""Paired trainings: does another way of training change the accuracy?

Every pair is one network with its masks and its order of the data. Its first half is
`fit` in float32. The second half differs in one thing, the arm. The pairs of an arm
together are one run, since the interval is a property of all of them.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt

import torch
from scipy import stats

from paicore import data, nets, seeds
from paicore.experiments import Config
from paicore.scores import prune
from paicore.train import Recipe, fit, population

PAIRS_VALUES = ("kept", "single", "other", "difference", "mean", "low", "high")
LEVEL = 0.05  # of each of the two one-sided tests; their interval is that of 90 %
MARGIN = 0.15  # points of test accuracy within which two ways count as equal
SHORT = Recipe(
    "sgd", lr=0.05, weight_decay=1e-4, batch=64, steps=2000, schedule="cosine"
)


@dataclass(frozen=True)
class Pairs(Config):
    """Pairs of trainings; methods are arms, see `second_half`.

    Attributes:
        data: Name of the data set.
        net: Name of the network, with He's initialisation and zero biases.
        width: Of the network; None for its own.
        score: Name in SCORES that chooses the masks.
        density: Fraction kept.
        per_class: Scoring samples of each class.
        pairs: Number of pairs, each with its own weights, masks and order.
        methods: Arms.
        recipe: Of the first halves. A rate that falls to zero leaves less noise at the
            end, so that ten pairs can tell.
    """

    data: str = "mnist"
    net: str = "lenet_300_100"
    width: int | tuple[int, ...] | None = None
    score: str = "snip"
    density: float = 0.03
    per_class: int = 10
    pairs: int = 10
    methods: tuple[str, ...] = ("stacked", "bf16", "order", "half")
    recipe: Recipe = SHORT


def cells(config: Pairs) -> list[dict]:
    """One run per arm and repetition of the whole test."""
    return [
        {"method": method, "density": config.density, "seed": seed, "variant": ""}
        for method in config.methods
        if not config.only or method in config.only.split(",")
        for seed in range(config.seeds)
    ]


def draws(config: Pairs, seed: int, pair: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the arm is left out on purpose."""
    names = ("training", config.data, config.net, "pair", pair, what)
    return seeds.generator(seed, *names)


@lru_cache(maxsize=2)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def member(config: Pairs, seed: int, pair: int, order: str = "order") -> tuple:
    """Return one pair's network, masks and generator of the data order."""
    ds = load(config.data)
    net = nets.build(
        config.net,
        classes=ds.classes,
        in_shape=ds.in_shape,
        width=config.width,
        generator=draws(config, seed, pair, "init"),
    )
    count, of_batch = (
        config.per_class * ds.classes,
        draws(config, seed, pair, "batch"),
    )
    masks = prune(
        net,
        config.score,
        density=config.density,
        batch=data.sample(ds, count, of_batch, balanced=True),
        generator=draws(config, seed, pair, "scores"),
        progress=False,
    )
    return net, masks, draws(config, seed, pair, order)


def alone(config: Pairs, seed: int, order: str = "order", **changes) -> list[float]:
    """Train every pair's network by `fit`, one after the other.

    Args:
        config: The config.
        seed: The repetition.
        order: Which order of the data.
        **changes: Of the recipe.

    Returns:
        The final test accuracies, in the order of the pairs.
    """
    ds, found = load(config.data), []
    recipe = replace(config.recipe, **changes)
    recipe = replace(recipe, eval_every=recipe.steps)
    for pair in range(config.pairs):
        net, masks, g = member(config, seed, pair, order)
        options = {"device": config.device, "progress": False}
        rows = fit(net, ds, recipe, masks=masks, generator=g, **options)
        found.append(rows[-1]["test_accuracy"])
    return found


@lru_cache(maxsize=2)
def singles(config: Pairs, seed: int) -> tuple[float, ...]:
    """Return the accuracies of the first halves, trained once for all arms."""
    return tuple(alone(config, seed))


def together(config: Pairs, seed: int) -> list[float]:
    """Train every pair's network in one program; return the final accuracies."""
    recipe = replace(config.recipe, eval_every=config.recipe.steps)
    rows = population(
        [member(config, seed, pair) for pair in range(config.pairs)],
        load(config.data),
        recipe,
        device=config.device,
        engine="stacked",
        progress=False,
    )
    return [row["test_accuracy"] for row in rows if row["step"] == recipe.steps]


def second_half(config: Pairs, arm: str, seed: int) -> list[float]:
    """Return the accuracies of an arm, in the order of the pairs.

    Conventions: "stacked" trains all networks as one population; "bf16" each alone in
    bfloat16. Two controls: "order" visits the data in another order, "half" takes half
    the steps.

    Raises:
        ValueError: There is no such arm.
    """
    if arm == "stacked":
        return together(config, seed)
    if arm == "bf16":
        return alone(config, seed, precision="bf16")
    if arm == "order":
        return alone(config, seed, order="another order")
    if arm == "half":
        return alone(config, seed, steps=config.recipe.steps // 2)
    raise ValueError(f"arm: expected stacked, bf16, order or half, got {arm!r}")


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    r"""Return the mean of paired differences and both ends of its interval.

    .. math:: \bar d \pm t_{n-1,\,1-\alpha} \; s / \sqrt{n}

    Conventions: alpha is `LEVEL`, so that the interval holds 90 %. Two one-sided
    t-tests at that level call two ways equivalent exactly if it lies inside the margin.

    Args:
        differences: At least two.

    Returns:
        Mean, lower and upper end.

    Raises:
        ValueError: There are fewer than two.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"differences: expected at least two, got {n}")
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / sqrt(n)
    reach = float(stats.t.ppf(1 - LEVEL, n - 1)) * error
    return mean, mean - reach, mean + reach


def run_pairs(config: Pairs, cell: dict) -> list[dict]:
    """Train both halves of every pair; "step" is the pair.

    Returns:
        One row per pair: weights kept, accuracies (fractions) and their difference in
        points; mean and ends of the interval, in points, are the same in all rows.
    """
    arm, seed = cell["method"], cell["seed"]
    first, second = singles(config, seed), second_half(config, arm, seed)
    halves = list(zip(first, second, strict=True))
    differences = [100 * (b - a) for a, b in halves]
    mean, low, high = interval(differences)
    shared = {"mean": mean, "low": low, "high": high}
    return [
        {
            "step": pair,
            "kept": member(config, seed, pair)[1].kept,
            "single": a,
            "other": b,
            "difference": differences[pair],
            **shared,
        }
        for pair, (a, b) in enumerate(halves)
    ]
