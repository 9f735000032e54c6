"""Learning rates, one per step, as plain numbers that are known before training."""

import math
from bisect import bisect_right

from paicore.train.recipe import Recipe

# Of torch's OneCycleLR: share of the rise, first rate and last rate.
RISE, START, END = 0.3, 1 / 25, 1 / 25 / 1e4
MOST_STEPS = 10**9  # more is a slip, and would fill the memory with rates


def learning_rates(recipe: Recipe, n: int) -> list[float]:
    """Return the learning rate of every step.

    Args:
        recipe: The recipe.
        n: Number of training samples, which fixes the steps per epoch.

    Returns:
        One rate per step, as many as `recipe.total_steps(n)`.

    Raises:
        ValueError: These are more than `MOST_STEPS`.
    """
    total = recipe.total_steps(n)
    if total > MOST_STEPS:
        text = f"epochs, steps: expected at most {MOST_STEPS:,} steps, got {total:,}"
        raise ValueError(text)
    shape = {
        "constant": lambda step: 1.0,
        "multistep": _multistep(recipe, n),
        "cosine": lambda step: _cosine(1.0, 0.0, step / total),
        "onecycle": lambda step: _onecycle(step, total),
    }[recipe.schedule]
    return [recipe.lr * shape(step) for step in range(total)]


def _multistep(recipe: Recipe, n: int):
    """Return step -> gamma to the number of milestones that lie behind."""
    unit = recipe.steps_per_epoch(n) if recipe.epochs else 1
    marks = [mark * unit for mark in recipe.milestones]
    return lambda step: recipe.gamma ** bisect_right(marks, step)


def _onecycle(step: int, total: int) -> float:
    """Return the factor of torch's OneCycleLR at a step counted from 0."""
    top, last = RISE * total - 1, total - 1
    if step <= top and step < last:
        return _cosine(START, 1.0, step / top)
    return _cosine(1.0, END, (step - top) / (last - top))


def _cosine(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine; share runs from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
