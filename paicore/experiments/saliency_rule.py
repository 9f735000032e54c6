"""One round is a rule for layer densities; what more rounds add.

New weights and noise inputs in every draw leave nothing that tells the weights of a
layer apart, so what differs inside a layer is the noise of the estimate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
from paicore.scores import saliency_sums
from paicore.train import Recipe, fit

RULE_VALUES = (
    "overlap", "predicted", "off", "within", "empty", "smallest", "last", "effective",
    "by_size",
)  # fmt: skip
PHASE_VALUES = (
    "empty", "smallest", "effective", "effective_shuffled", "connected", "gains",
    "accuracy", "accuracy_shuffled", "by_place", "over_one",
)  # fmt: skip
INPUT_VALUES = ("overlap", "predicted", "with_noise", "within", "spearman", "shift")
NAN = float("nan")
RECIPE = Recipe(  # the reference's small checks: 12 epochs, batch 64, one cycle to 0.1
    "sgd", lr=0.1, batch=64, epochs=12, schedule="onecycle", weight_decay=1e-4,
    eval_every=1_000_000,
)  # fmt: skip


@dataclass(frozen=True)
class Rule(Setting):
    """One round, two independent scorings; a row per number of draws.

    Attributes:
        repeats: Numbers of draws R, rising; each goes on where the one before ended.
    """

    methods: tuple[str, ...] = ("resnet20_narrow", "conv6")
    densities: tuple[float, ...] = (0.8**14,)
    samples: int = 16
    repeats: tuple[int, ...] = (1, 5, 20, 80, 320)


def run_rule(config: Rule, cell: dict) -> list[dict]:
    """Compare two scorings that share nothing but R; the step is R.

    Returns:
        Rows: "predicted" is the overlap that the layers' densities alone give, "off"
        the overlap's distance from it, "within" the mean rank correlation inside
        layers. "empty" counts layers without a weight, "smallest" and "last" are the
        least density and that of the last convolution, "effective" the share of kept
        weights on a path, "by_size" the share that filling layers from the smallest
        on would keep too; of the first scoring.
    """
    name, seed, density = cell["method"], cell["seed"], cell["density"]
    net, in_shape = network(name, draws(seed, "rule", name))
    sides = [
        accumulated(config, net, in_shape, draws(seed, "rule", name, what))
        for what in ("one", "other")
    ]
    rows = []
    for size, one, other in zip(config.repeats, *sides, strict=True):
        masks = [keep_largest(each, density) for each in (one, other)]
        shared, expected = overlap(*masks), predicted_overlap(*masks)
        rows.append({
            "step": size, "overlap": shared, "predicted": expected,
            "off": abs(shared - expected), "within": within(one, other),
            **shape(masks[0]), "effective": effective(masks[0], net, in_shape),
            "by_size": by_size(masks[0]),
        })  # fmt: skip
    return rows


def accumulated(
    config: Rule, net: nn.Module, in_shape: tuple[int, ...], g: torch.Generator
) -> list[dict[str, Tensor]]:
    """Return the signed sums after each number of draws of one stream."""
    sums = {name: 0.0 for name in Masks.dense(net)}
    found, done = [], 0
    for size in config.repeats:
        more = saliency_sums(
            net, Masks.dense(net), blank(in_shape, config.samples), generator=g,
            repeats=size - done,
        ).signed  # fmt: skip
        sums, done = {name: sums[name] + more[name] for name in more}, size
        found.append(sums)
    return found


def shape(masks: Masks) -> dict[str, float]:
    """Return how the weights are spread over layers."""
    found = masks.layer_densities()
    convolutions = [name for name, mask in masks.items() if mask.dim() == 4]
    last = (convolutions or list(masks))[-1]
    return {"empty": len(masks.collapsed), "smallest": min(found.values()),
            "last": found[last]}  # fmt: skip


def by_size(masks: Masks) -> float:
    """Return the share of kept weights that the smallest layers, filled first, take."""
    left, both = masks.kept, 0
    for mask in sorted(masks.values(), key=lambda mask: mask.numel()):
        taken = min(left, mask.numel())
        both += min(taken, int(mask.sum()))
        left -= taken
    return both / masks.kept


def effective(masks: Masks, net: nn.Module, in_shape: tuple[int, ...]) -> float:
    """Return the share of kept weights that lie on a path."""
    return masks.effective(net, in_shape).kept / masks.kept


@dataclass(frozen=True)
class Phase(Setting):
    """R draws a round, T rounds: what is connected, and what training makes of it.

    Attributes:
        variants: Numbers of draws R, as text.
        rounds: Numbers of rounds T; a row each.
        most: R T at most; what costs more is left out.
        shuffled: Numbers of rounds whose masks are also trained shuffled in layers.
        data: Name of the data set.
        recipe: How masks are trained; None for not at all.
    """

    methods: tuple[str, ...] = ("conv6",)
    densities: tuple[float, ...] = (0.8**14,)
    variants: tuple[str, ...] = ("1", "5", "20", "80")
    samples: int = 64
    rounds: tuple[int, ...] = (1, 5, 20)
    most: int = 400
    shuffled: tuple[int, ...] = (1, 20)
    data: str = "digits"
    recipe: Recipe | None = RECIPE


def run_phase(config: Phase, cell: dict) -> list[dict]:
    """Prune with R draws a round and each number of rounds; the step is T.

    Returns:
        Rows: "effective" as in `run_rule`, "effective_shuffled" after the mask was
        permuted inside its layers, "connected" the difference. Accuracies are those
        after the last epoch, "by_place" what the shuffled mask loses; nan where
        nothing was trained. "gains" and "over_one" are what the effective share and
        the accuracy have over those of the first T.
    """
    name, seed, repeats = cell["method"], cell["seed"], int(cell["variant"])
    ds = data.load(config.data)
    net, in_shape = network(name, draws(seed, "phase", name), in_shape=ds.in_shape)
    rows = []
    for rounds in config.rounds:
        if repeats * rounds > config.most:
            continue
        masks = prune(
            net, "ntk_sap", density=cell["density"], rounds=rounds, repeats=repeats,
            count_rule="synflow", batch=blank(in_shape, config.samples),
            generator=draws(seed, "phase", name, "score"), progress=False,
        )  # fmt: skip
        moved = masks.shuffled(draws(seed, "phase", name, "shuffle"))
        parts = [effective(each, net, in_shape) for each in (masks, moved)]
        own = trained(config.recipe, ds, seed, name, masks)
        also = rounds in config.shuffled
        other = trained(config.recipe, ds, seed, name, moved) if also else NAN
        found = shape(masks)
        first = rows[0] if rows else {"effective": parts[0], "accuracy": own}
        rows.append({
            "step": rounds, "empty": found["empty"], "smallest": found["smallest"],
            "effective": parts[0], "effective_shuffled": parts[1],
            "connected": parts[0] - parts[1],
            "gains": parts[0] - first["effective"], "accuracy": own,
            "accuracy_shuffled": other, "by_place": own - other,
            "over_one": own - first["accuracy"],
        })  # fmt: skip
    return rows


def trained(
    recipe: Recipe | None, ds: data.Dataset, seed: int, name: str, masks: Masks
) -> float:
    """Return the test accuracy of a mask; weights and batches are the seed's.

    Args:
        recipe: How to train; None for not at all, which gives nan.
        ds: Data set.
        seed: Seed.
        name: Name of the network.
        masks: What is kept.
    """
    if recipe is None:
        return NAN
    net, _ = network(name, draws(seed, "phase", name), in_shape=ds.in_shape)
    rows = fit(
        net.float(), ds, recipe, masks=masks, progress=False,
        generator=draws(seed, "phase", "batches"),
    )  # fmt: skip
    return rows[-1]["test_accuracy"]


@dataclass(frozen=True)
class Inputs(Setting):
    """Noise or images, drawn or given weights; the methods are data sets.

    Attributes:
        net: Name of the network.
        repeats: Draws R.
    """

    methods: tuple[str, ...] = ("digits", "mnist")
    densities: tuple[float, ...] = (0.8**10,)
    variants: tuple[str, ...] = ("noise", "real", "given weights")
    samples: int = 32
    net: str = "conv6"
    repeats: int = 5


HOW: Mapping[str, dict] = {
    "noise": {}, "real": {"inputs": "real"}, "given weights": {"weights": "given"},
}  # fmt: skip


def run_inputs(config: Inputs, cell: dict) -> list[dict]:
    """Compare a way of drawing with itself on other draws, and with the paper's.

    Returns:
        One row: overlap, predicted overlap, rank correlation inside layers and over
        all weights of two scorings; "with_noise" is the overlap with the paper's way
        on draws of its own, "shift" its distance from the overlap of two scorings in
        the paper's way.
    """
    name, seed, density = cell["method"], cell["seed"], cell["density"]
    ds = data.load(name)
    net, _ = network(config.net, draws(seed, "inputs", name), in_shape=ds.in_shape)

    def scored(variant: str, what: str) -> dict[str, Tensor]:
        x, _ = data.sample(ds, config.samples, draws(seed, "inputs", name, what, "x"))
        return saliency_sums(
            net, Masks.dense(net), (x, None), repeats=config.repeats,
            generator=draws(seed, "inputs", name, what), **HOW[variant],
        ).signed  # fmt: skip

    one, other = (scored(cell["variant"], what) for what in ("one", "other"))
    noise, again = (scored("noise", what) for what in ("third", "fourth"))
    masks = [keep_largest(each, density) for each in (one, other, noise, again)]
    with_noise = overlap(masks[0], masks[2])
    return [{
        "step": 0, "overlap": overlap(*masks[:2]),
        "predicted": predicted_overlap(*masks[:2]), "with_noise": with_noise,
        "within": within(one, other), "spearman": agreement(one, other),
        "shift": abs(with_noise - overlap(*masks[2:])),
    }]  # fmt: skip
