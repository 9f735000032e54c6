"""The released random baseline on its own draws, beside the accuracies of its log."""

import math
from itertools import count, islice

import torch
from torch.nn.functional import cross_entropy

from paicore import data, prune
from paicore.experiments import released_draws as draws
from paicore.experiments.matching_a_teacher_students import load, teacher
from paicore.experiments.sparse_training_curves import Training
from paicore.experiments.sparse_training_released import LOGS
from paicore.masks import prunable
from paicore.train import evaluate

REPEATED = ("test_accuracy", "gap")


def run_repeated(config: Training, cell: dict) -> list[dict]:
    """Train `rand` from the released teacher, mask, split and order.

    A loop of its own, since `train.fit` draws the order of the batches itself. Seed 0
    is the log's first run. The second one took its batches from somewhere further on
    in the same stream, so only its teacher could be repeated.

    Returns:
        Rows with `REPEATED`; the gap is in points of test accuracy.
    """
    ds, seed = load(config.data), cell["seed"]
    net = draws.teacher_(teacher(config, seed), seed + 1)
    masks = prune(
        net, "magnitude", density=cell["density"], scope=config.scope,
        count_rule=config.count_rule,
    )  # fmt: skip
    masks = draws.shuffled(masks)
    masks.apply_(net)
    take = optimiser(config, net, masks)
    rows = []
    pairs = islice(batches(config, ds), config.recipe.steps)
    for step, (x, y) in enumerate(pairs, 1):
        take(cross_entropy(net(x), y))
        if step in config.looks:
            found = evaluate(net, ds).accuracy
            gap = 100 * found - logged(config, seed, step)
            rows.append({"step": step, "test_accuracy": found, "gap": gap})
    return rows


def optimiser(config: Training, net, masks):
    """Return a function that takes one step of masked Adam along a loss."""
    weights = prunable(net)
    others = [p for n, p in net.named_parameters() if n not in weights]
    decay = config.recipe.weight_decay
    adam = torch.optim.Adam(
        [{"params": list(weights.values()), "weight_decay": decay}, {"params": others}],
        lr=config.recipe.lr,
    )

    def step(loss: torch.Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        for name, weight in weights.items():
            weight.grad.mul_(masks[name])
        adam.step()

    return step


def batches(config: Training, ds):
    """Yield the batches of the released run; the rest of an epoch is dropped."""
    place = torch.from_numpy(draws.images(len(ds.train_x)))
    place, size = place[-config.trained :], config.recipe.batch
    for epoch in count():
        order = draws.order(epoch, len(place))
        for part in order[: len(order) // size * size].split(size):
            found = place[part]
            yield data.normalise(ds, ds.train_x[found]), ds.train_y[found]


def logged(config: Training, seed: int, step: int) -> float:
    """Return an accuracy of the log's `rand`, in percent; NaN where there is none."""
    is_there = (config.data, config.densities) == ("mnist", (0.03,))
    runs = LOGS["mlp"].get(step, ())
    return runs[2 + seed] if is_there and runs else math.nan
