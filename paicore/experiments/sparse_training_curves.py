"""Supervised training of students and rivals: accuracy after given numbers of steps.

A run's rows hold the steps at which the released logs look, which are no multiples, so
a hook looks at the network between two steps of `paicore.train.fit`.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from paicore import data
from paicore.experiments.matching_a_teacher_rivals import start
from paicore.experiments.matching_a_teacher_students import (
    Setting,
    draws,
    images,
    kept,
    load,
    tangent_of,
    teacher,
)
from paicore.masks import Masks
from paicore.rescale import calibrated, divided
from paicore.train import Recipe, evaluate, fit

MEASURED = ("test_accuracy", "test_loss", "train_accuracy")
RIVALS = ("random", "snip", "dense", "ntt_ambient", "as_is")
FOUND = ("kept", "collapsed", "own_share", "masked_share")
CURVE = (*MEASURED, *(f"over_{name}" for name in RIVALS), *FOUND)


@dataclass(frozen=True)
class Training(Setting):
    """A setting, and what follows the transfer.

    Attributes:
        recipe: How networks are trained; the default is the released one, shortened.
        sgd: Recipe of the variant "sgd".
        looks: Numbers of updates after which accuracies are measured.
        train_looked: Training images whose accuracy is measured. C: the first 5,400.
        tested: Number of test images; None for all.
        is_across: Whether variants name the images of the transfer, see `unlabelled`.
        rivals: Methods of `RIVALS` whose accuracy is subtracted from that of
            students, in pairs; "as_is" is the same method's first variant.
    """

    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            "adam", lr=1e-3, weight_decay=2e-8, decay="weights", batch=64, steps=1250
        )
    )
    sgd: Recipe | None = None
    looks: tuple[int, ...] = (125, 1250)
    train_looked: int = 1_000
    tested: int | None = None
    is_across: bool = False
    rivals: tuple[str, ...] = ("random",)


@contextmanager
def watched(
    net: nn.Module, steps: Collection[int], look: Callable[[], dict]
) -> Iterator[list[dict]]:
    """Look at a network after given numbers of updates, while it is trained.

    In training mode pass t + 1 comes after update t. The last update has no pass
    after it: who looks then must call `look` himself.

    Args:
        net: The network.
        steps: Numbers of updates.
        look: Returns what there is to see; may run the network in evaluation mode.

    Yields:
        List that fills with one dict per look.
    """
    rows, done = [], 0

    def before(module: nn.Module, inputs: tuple) -> None:
        nonlocal done
        if module.training:
            if done in steps:
                rows.append({"step": done, **look()})
            done += 1

    handle = net.register_forward_pre_hook(before)
    try:
        yield rows
    finally:
        handle.remove()


def trained(
    config: Training, net: nn.Module, masks: Masks, recipe: Recipe, seed: int
) -> list[dict]:
    """Train a network and return what was seen, or fetch what was seen before.

    Returns:
        One row per look with `MEASURED`, accuracies as fractions.
    """
    ds = load(config.data, config.enlarge).subset(config.trained, config.tested)
    looks = sorted({min(look, recipe.steps) for look in config.looks})

    def compute() -> dict[str, np.ndarray]:
        order = draws(config, seed, "order")
        rows = _watch(net, masks, ds, recipe, looks, config, order)
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    what = ("curve", asdict(recipe), looks, seed, config.train_looked)
    tensors = (
        *net.parameters(),
        *net.buffers(),
        *masks.values(),
        ds.train_y,
        ds.test_y,
    )
    arrays = kept(config.keep, what, tensors, compute)
    columns = zip(*(array.tolist() for array in arrays.values()), strict=True)
    return [dict(zip(arrays, row, strict=True)) for row in columns]


def _watch(net, masks, ds, recipe, looks, config, order) -> list[dict]:
    """Train, and measure at every look."""
    n = config.train_looked
    ds = ds.to(config.device)
    seen = replace(ds, test_x=ds.train_x[:n], test_y=ds.train_y[:n])

    def look() -> dict:
        test = evaluate(net, ds)
        values = (test.accuracy, test.loss, evaluate(net, seen).accuracy)
        return dict(zip(MEASURED, values, strict=True))

    # fit itself evaluates once, at the end, on a single sample: the looks are ours
    blind = ds.subset(test=1)
    recipe = replace(recipe, eval_every=recipe.steps)
    with watched(net, looks, look) as rows:
        fit(
            net, blind, recipe, masks=masks, generator=order, device=config.device,
            progress=False,
        )  # fmt: skip
    if recipe.steps in looks:
        rows.append({"step": recipe.steps, **look()})
    return rows


def begun(config: Training, cell: Mapping) -> tuple[nn.Module, Masks, dict]:
    """Return network and masks before training, and what the transfer left behind.

    Conventions: the variant "divided" divides by the root of the density,
    "calibrated" restores each layer's output variance on the scoring batch.
    """
    source = config.is_across and cell["variant"]
    inputs = unlabelled(config, source) if source else None
    net, masks, match = start(config, cell, inputs)
    if cell["variant"] in ("divided", "calibrated"):
        net = regained(config, cell, masks)
    found = {"kept": masks.kept, "collapsed": len(masks.collapsed)}
    found |= {"own_share": math.nan, "masked_share": math.nan}
    if match is not None:
        first, last = match.log[0], match.log[-1]
        own = tangent_of(cell["method"])
        found["own_share"] = last[own] / first[own]
        found["masked_share"] = last["masked"] / first["masked"]
    return net, masks, found


def regained(config: Training, cell: Mapping, masks: Masks) -> nn.Module:
    """Return the teacher's weights under a mask with their gain changed."""
    dense = teacher(config, cell["seed"])
    if cell["variant"] == "divided":
        return divided(dense, masks)
    ds = load(config.data, config.enlarge)
    of_batch = draws(config, cell["seed"], "batch")
    return calibrated(dense, masks, data.sample(ds, config.scored, of_batch)[0])


def unlabelled(config: Training, source: str) -> tuple[Tensor, Tensor]:
    """Return images for the transfer and a validation block of the labelled data.

    Args:
        config: The setting.
        source: "own"; "turned", own images upside down; "noise", normal pixels; the
            name of another data set; or names joined by "+", whose images are mixed.

    Returns:
        Inputs (n, c, h, w) and the block, normalised each with its own statistics.
    """
    own, block = images(config.data, config.enlarge, config.matched)
    found = []
    for name in source.split("+"):
        if name == "own":
            found.append(own)
        elif name == "turned":
            found.append(own.flip(2, 3))
        elif name == "noise":
            draw = draws(config, 0, "noise")
            found.append(data.noise(len(own), own.shape[1:], draw, own.dtype))
        else:
            found.append(images(name, config.enlarge, config.matched)[0])
    return torch.cat(found), block


def curve(config: Training, cell: Mapping) -> list[dict]:
    """Return a method's accuracies, without comparisons."""
    net, masks, found = begun(config, cell)
    recipe = config.sgd if cell["variant"] == "sgd" else config.recipe
    rows = trained(config, net, masks, recipe, cell["seed"])
    return [row | found for row in rows]


def run_curve(config: Training, cell: dict) -> list[dict]:
    """Train and compare with the rivals of the same seed, step by step."""
    rows = curve(config, cell)
    for name in RIVALS:
        theirs = {}
        if name in config.rivals and is_compared(name, cell, config):
            theirs = {
                row["step"]: row["test_accuracy"]
                for row in curve(config, opponent(name, cell, config))
            }
        for row in rows:
            row[f"over_{name}"] = row["test_accuracy"] - theirs.get(
                row["step"], math.nan
            )
    return rows


def is_compared(name: str, cell: Mapping, config: Training) -> bool:
    """Say whether a run is compared with a rival: students, and changed gains."""
    if name == "as_is":
        return cell["variant"] not in ("", config.variants[0])
    gain = cell["variant"] in ("as_is", "divided", "calibrated")
    return gain or cell["method"].startswith("ntt")


def opponent(name: str, cell: Mapping, config: Training) -> dict:
    """Return the rival's run."""
    if name == "as_is":
        return {**cell, "variant": config.variants[0]}
    density = 1.0 if name == "dense" else cell["density"]
    variant = cell["variant"] if cell["variant"] in ("adam", "sgd") else ""
    return {**cell, "method": name, "density": density, "variant": variant}
