"""The reference's small checks as it words them: rank agreement, and what R and T buy.

`ranks` compares scorings of one round at the reference's own R and number of inputs.
`gains` prunes in the ways whose accuracies the reference subtracts from one another.
"""

from dataclasses import dataclass

from paicore import Masks, data, prune
from paicore.experiments.saliency_nets import (
    Setting,
    agreement,
    blank,
    draws,
    keep_largest,
    network,
    overlap,
    predicted_overlap,
    within,
)
from paicore.experiments.saliency_rule import RECIPE, trained
from paicore.scores import saliency_sums
from paicore.train import Recipe

RANK_VALUES = (
    "overlap", "predicted", "off_share", "within", "spearman", "limit_overlap",
    "limit_spearman",
)  # fmt: skip
GAIN_VALUES = ("repeats", "rounds", "accuracy", "behind")


@dataclass(frozen=True)
class Ranks(Setting):
    """One round on the dense network, scored twice, and once in the limit.

    Attributes:
        repeats: Draws R.
    """

    methods: tuple[str, ...] = ("resnet20", "resnet20_narrow", "conv6")
    densities: tuple[float, ...] = (0.8**10,)
    samples: int = 32
    repeats: int = 5


def run_ranks(config: Ranks, cell: dict) -> list[dict]:
    """Compare a scoring with one on other draws, and with "jvp" on its own draws.

    Returns:
        One row: "predicted" is the overlap that the layers' densities alone give,
        "off_share" the overlap's relative distance from it, "within" the mean rank
        correlation inside layers, "spearman" that over all weights; "limit_..." are
        overlap and rank correlation with "jvp".
    """
    name, seed, density = cell["method"], cell["seed"], cell["density"]
    net, in_shape = network(name, draws(seed, "ranks", name))

    def scored(what: str, estimator: str):
        return saliency_sums(
            net, Masks.dense(net), blank(in_shape, config.samples),
            repeats=config.repeats, estimator=estimator,
            generator=draws(seed, "ranks", name, what),
        ).signed  # fmt: skip

    one, other, limit = scored("one", "fd"), scored("other", "fd"), scored("one", "jvp")
    masks = [keep_largest(each, density) for each in (one, other, limit)]
    shared, expected = overlap(*masks[:2]), predicted_overlap(*masks[:2])
    return [{
        "step": 0, "overlap": shared, "predicted": expected,
        "off_share": abs(shared / expected - 1), "within": within(one, other),
        "spearman": agreement(one, other), "limit_overlap": overlap(*masks[::2]),
        "limit_spearman": agreement(one, limit),
    }]  # fmt: skip


@dataclass(frozen=True)
class Gains(Setting):
    """Masks of several R and T, each trained; what a way loses to the first.

    Attributes:
        ways: Pairs (draws R, rounds T); a row each.
        data: Name of the data set.
        recipe: How masks are trained; None for not at all.
    """

    methods: tuple[str, ...] = ("conv6",)
    densities: tuple[float, ...] = (0.8**14,)
    samples: int = 64
    ways: tuple[tuple[int, int], ...] = ((5, 20), (5, 2), (1, 20))
    data: str = "digits"
    recipe: Recipe | None = RECIPE


def run_gains(config: Gains, cell: dict) -> list[dict]:
    """Prune in each way from the draws of `phase`; the step is the way's place.

    Returns:
        Rows: "accuracy" after the last epoch, nan without a recipe, "behind" how much
        the first way has more.
    """
    name, seed, ds = cell["method"], cell["seed"], data.load(config.data)
    net, in_shape = network(name, draws(seed, "phase", name), in_shape=ds.in_shape)
    rows = []
    for step, (repeats, rounds) in enumerate(config.ways):
        masks = prune(
            net, "ntk_sap", density=cell["density"], rounds=rounds, repeats=repeats,
            count_rule="synflow", batch=blank(in_shape, config.samples),
            generator=draws(seed, "phase", name, "score"), progress=False,
        )  # fmt: skip
        accuracy = trained(config.recipe, ds, seed, name, masks)
        first = rows[0]["accuracy"] if rows else accuracy
        rows.append({"step": step, "repeats": repeats, "rounds": rounds,
                     "accuracy": accuracy, "behind": first - accuracy})  # fmt: skip
    return rows
