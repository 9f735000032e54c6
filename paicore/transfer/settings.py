"""What a transfer is asked to do: every keyword, checked once, before anything runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from paicore.masks.counts import count_rule as find_rule

CHOICES = {
    "tangent": ("masked", "ambient"),
    "block": ("cross", "symmetric"),
    "estimator": ("exact", "probe"),
    "normalise": ("raw", "relative"),
    "optimizer": ("adam", "sgd"),
    "moments": ("keep", "clear"),
}
SCOPES = ("layerwise", "global")
FIRST = ("magnitude", "logit_snip")
COUNTS = ("probes", "frequency", "steps", "batch", "log_every")
WEIGHTS = ("kernel_weight", "target_weight", "l2")
DTYPES = (torch.float32, torch.float64)
FLAGS = ("update_masks", "l2_over_density", "log_before_update")


@dataclass(frozen=True)
class Settings:
    """The keywords of `neural_tangent_transfer` that decide its result.

    Attributes are named and explained there.
    """

    density: float
    tangent: str
    block: str
    estimator: str
    probes: int
    normalise: str
    count_rule: str
    scope: str | Mapping[str, float]
    first_masks: str | Mapping[str, Tensor]
    update_masks: bool
    frequency: int
    steps: int
    batch: int
    lr: float
    optimizer: str
    kernel_weight: float
    target_weight: float
    l2: float
    l2_over_density: bool
    moments: str
    batch_norm: str | None
    dtype: torch.dtype | None
    log_every: int
    log_before_update: bool

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant; numbers of any kind become floats."""
        for name, allowed in CHOICES.items():
            _one_of(name, getattr(self, name), allowed)
        for name in COUNTS:
            _count(name, getattr(self, name), 2 if name == "batch" else 1)
        for name in (*WEIGHTS, "lr"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}: expected True or False, "
                                f"got {getattr(self, name)!r}")  # fmt: skip
        if self.lr == 0:
            raise ValueError("lr: expected a number above 0, got 0")
        if self.kernel_weight == 0 and self.target_weight == 0:
            raise ValueError("kernel_weight: expected it or target_weight above 0, "
                             "got 0 and 0, which match nothing")  # fmt: skip
        object.__setattr__(self, "density", check_density("density", self.density))
        find_rule(self.count_rule)
        if not isinstance(self.scope, Mapping):
            _one_of("scope", self.scope, SCOPES)
        if not isinstance(self.first_masks, Mapping):
            _one_of("first_masks", self.first_masks, FIRST)
        if self.dtype not in (None, *DTYPES):
            raise TypeError("dtype: expected torch.float32, torch.float64 or None, "
                            f"got {self.dtype!r}")  # fmt: skip

    def densities(self, names) -> dict[str, float]:
        """Return the density asked of each layer; under "global" of all together."""
        named = self.scope if isinstance(self.scope, Mapping) else {}
        return {name: float(named.get(name, self.density)) for name in names}


def _one_of(name: str, value, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")


def _count(name: str, value, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def _number(name: str, value) -> float:
    number = _float(name, value, "a number")
    if not 0 <= number < math.inf:
        raise ValueError(f"{name}: expected a finite number from 0, got {number}")
    return number


def _float(name: str, value, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_density(name: str, value) -> float:
    """Return a density as a float, or refuse it."""
    density = _float(name, value, "a number in (0, 1]")
    if not 0 < density <= 1:
        raise ValueError(f"{name}: expected a number in (0, 1], got {density}")
    return density
