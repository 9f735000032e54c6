"""Recipes: how a network is trained, as frozen values."""

import math
from dataclasses import dataclass
from itertools import pairwise

CHOICES = {
    "optimizer": ("sgd", "adam"),
    "decay": ("all", "weights"),
    "schedule": ("constant", "multistep", "onecycle", "cosine"),
    "precision": ("float32", "float64", "bf16"),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; one of `epochs` and `steps` is given.

    Attributes:
        optimizer: "sgd", or "adam" with betas (0.9, 0.999) and epsilon 1e-8.
        lr: Learning rate; with "onecycle" the largest one.
        momentum: Read by "sgd" only.
        nesterov: Nesterov momentum; with "sgd" only.
        weight_decay: Coefficient w of the gradient term w * theta. Coupled, also with
            "adam": a penalty c * theta^2 in the loss is w = 2c.
        decay: "all" decays every parameter, "weights" no bias and nothing else that
            has one dimension (batch norm).
        batch: Samples per step.
        epochs: Number of passes over the training samples.
        steps: Number of updates; may be less or more than one epoch.
        schedule: "constant"; "multistep": times `gamma` at each milestone; "cosine":
            to zero at the end; "onecycle": up over the first 30 % from lr / 25, then
            down to lr / 250,000, both as cosines. All change with every step, but
            for the milestones. Momentum is never scheduled.
        milestones: Of "multistep": in epochs if `epochs` is given, else in steps. A
            milestone of 80 means that 80 are trained at the rate before it.
        gamma: Factor at each milestone.
        augment: Random crops (zero padding of 4 pixels) and horizontal flips.
        precision: Of the weights, "float32" or "float64"; "bf16" is float32 weights
            under bfloat16 autocast, on a CPU too, where it is slow and meant for tests.
        eval_every: Steps from one evaluation to the next; None means one epoch.
        drop_last: Leave out an epoch's last batch if it is smaller than `batch`.
    """

    optimizer: str
    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: str = "all"
    batch: int = 128
    epochs: int | None = None
    steps: int | None = None
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    augment: bool = False
    precision: str = "float32"
    eval_every: int | None = None
    drop_last: bool = True

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                raise ValueError(f"{name}: expected one of {allowed}, got {got!r}")
        for name in ("nesterov", "augment", "drop_last"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name}: expected a bool, got {value!r}")
        _check_numbers(self)
        for name in ("batch", "epochs", "steps", "eval_every"):
            value = getattr(self, name)
            if name == "batch" or value is not None:
                _check_count(name, value)
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                "epochs, steps: expected exactly one of them, got "
                f"epochs={self.epochs} and steps={self.steps}"
            )
        _check_milestones(self)

    def steps_per_epoch(self, n: int) -> int:
        """Return the number of steps in one pass over n samples.

        Args:
            n: Number of training samples.

        Returns:
            The number of batches, without a smaller last one if `drop_last`.

        Raises:
            ValueError: Not one batch is left.
        """
        if self.drop_last and n < self.batch:
            raise ValueError(
                f"batch: expected at most the {n} training samples, since drop_last "
                f"is True, got {self.batch}"
            )
        return n // self.batch if self.drop_last else math.ceil(n / self.batch)

    def total_steps(self, n: int) -> int:
        """Return the number of steps of the whole training on n samples."""
        return self.steps or self.epochs * self.steps_per_epoch(n)


def _check_numbers(recipe: Recipe) -> None:
    """Refuse rates and factors outside their range.

    Raises:
        ValueError: One of them is.
    """
    bounds = {
        "lr": (0.0, math.inf),
        "momentum": (0.0, 1.0),
        "weight_decay": (0.0, math.inf),
        "gamma": (0.0, math.inf),
    }
    for name, (low, high) in bounds.items():
        value = getattr(recipe, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value < high:
            bound = f"a number from {low:g} to below {high:g}"
            raise ValueError(f"{name}: expected {bound}, got {value!r}")
    if recipe.nesterov and (recipe.optimizer != "sgd" or recipe.momentum == 0):
        raise ValueError(
            "nesterov: expected 'sgd' with momentum above 0, got "
            f"{recipe.optimizer!r} with momentum={recipe.momentum:g}"
        )


def _check_count(name: str, value: int) -> None:
    """Refuse what is no positive integer.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: expected a positive int, got {value!r}")


def _check_milestones(recipe: Recipe) -> None:
    """Refuse milestones that do not increase, or that the schedule ignores.

    Raises:
        ValueError: They do not, or it does.
    """
    marks = recipe.milestones
    if not isinstance(marks, tuple):
        raise ValueError(f"milestones: expected a tuple of ints, got {marks!r}")
    for mark in marks:
        _check_count("milestones", mark)
    if any(a >= b for a, b in pairwise(marks)):
        raise ValueError(f"milestones: expected increasing numbers, got {marks}")
    if bool(marks) != (recipe.schedule == "multistep"):
        raise ValueError(
            "milestones: expected some with schedule 'multistep', none with another, "
            f"got {marks} with {recipe.schedule!r}"
        )
