"""Prune, train, count right answers; and the learning rate that held-out images choose.

Accuracies are kept as numbers of right answers, so that differences of them are exact.
"""

import math
from dataclasses import asdict, replace
from functools import lru_cache

import numpy as np
from torch import nn

from paicore.experiments.head_to_head_ground import (
    NAME,
    Ground,
    begun,
    draws,
    images,
    masks_of,
    network,
)
from paicore.experiments.matching_a_teacher_students import kept
from paicore.masks import Masks
from paicore.train import Diverged, fit

LEARNED = ("correct", "test_loss", "train_loss")
ARM = ("accuracy", *LEARNED, "tested", "lr", "kept", "effective", "empty")
HELD = ("held_low", "held_middle", "held_high")
FIRST_TRY = 1_000  # rates are tried with seeds from here on, which no comparison has


def trained(
    config: Ground, net: nn.Module, masks: Masks, seed: int, lr: float
) -> dict[str, float]:
    """Train under a mask, or fetch what was trained before.

    Args:
        config: The setting.
        net: Where training starts; trained in place unless it was before.
        masks: Its masks.
        seed: Of the order of the images.
        lr: Learning rate.

    Returns:
        "correct" answers on the test part and the test loss at the end, the training
        loss as a mean over all steps; nan if the run diverges.
    """
    ds = images(config)
    steps = config.recipe.total_steps(len(ds.train_y))
    recipe = replace(config.recipe, lr=lr, eval_every=steps)

    def compute() -> dict[str, np.ndarray]:
        try:
            last = fit(
                net, ds, recipe, masks=masks, generator=draws(config, seed, "order"),
                device=config.device, progress=False,
            )[-1]  # fmt: skip
        except Diverged:
            return {name: np.array(math.nan) for name in LEARNED}
        correct = round(last["test_accuracy"] * len(ds.test_y))
        values = correct, last["test_loss"], last["train_loss"]
        return {n: np.array(v) for n, v in zip(LEARNED, values, strict=True)}

    place = config.data, config.net, config.trained, config.tested, config.held
    what = (NAME, asdict(recipe), place, config.device, seed, str(net))
    tensors = (*net.parameters(), *net.buffers(), *masks.values())
    found = kept(config.keep, what, tensors, compute, are_numbers)
    return {name: value.item() for name, value in found.items()}


def are_numbers(found: dict[str, np.ndarray]) -> bool:
    """Return whether arrays are one number for each of `LEARNED`."""
    numbers = all(v.size == 1 and v.dtype.kind in "if" for v in found.values())
    return set(found) == set(LEARNED) and numbers


def arm(config: Ground, cell: dict, lr: float) -> dict[str, float]:
    """Prune and train one way.

    Returns:
        `ARM`: "effective" is the fraction of all weights that are kept and on a path
        from input to output, "empty" the number of layers without a weight.
    """
    key = cell["method"], cell["density"], cell["seed"]
    net, masks = begun(config, *key)
    found = trained(config, net, masks, cell["seed"], lr)
    ds, blank = images(config), network(config, cell["seed"], cell["method"])
    return found | {
        "accuracy": found["correct"] / len(ds.test_y), "tested": len(ds.test_y),
        "lr": lr, "kept": masks.kept, "empty": len(masks.collapsed),
        "effective": masks.effective(blank, ds.in_shape).density,
    }  # fmt: skip


def run_common(config: Ground, cell: dict) -> list[dict]:
    """Prune and train at the common learning rate; one row."""
    return [{"step": 0, **arm(config, cell, config.recipe.lr)}]


def run_tuned(config: Ground, cell: dict) -> list[dict]:
    """Prune and train at the rate chosen for the method; one row.

    Returns:
        `ARM`, and in `HELD` the accuracy of each rate on held-out training images.
    """
    tried = tries(config, cell["method"], cell["density"])
    held = dict(zip(HELD, tried.values(), strict=True))
    return [{"step": 0, **arm(config, cell, best(tried)), **held}]


@lru_cache(maxsize=64)
def tries(config: Ground, method: str, density: float) -> dict[float, float]:
    """Return the accuracy of each rate on images that are held out of training.

    Conventions: masks, too, are made without the held-out images; the test images are
    not read. The mean over `config.tries` seeds; nan if one of them diverges.

    Returns:
        Rate to accuracy.
    """
    split = replace(config, held=config.split)
    found = {}
    for lr in config.rates:
        right = []
        for seed in range(FIRST_TRY, FIRST_TRY + config.tries):
            net, masks = begun(split, method, density, seed)
            right.append(trained(split, net, masks, seed, lr)["correct"])
        found[lr] = sum(right) / len(right) / config.split
    masks_of.cache_clear()  # those of the tries are not needed again
    return found


def best(tried: dict[float, float]) -> float:
    """Return the rate of the largest accuracy, the least of equal ones.

    Raises:
        ValueError: Training diverges at every rate.
    """
    there = {lr: value for lr, value in tried.items() if not math.isnan(value)}
    if not there:
        raise ValueError(f"rates: training diverges at all of {list(tried)}")
    return max(sorted(there), key=there.__getitem__)
