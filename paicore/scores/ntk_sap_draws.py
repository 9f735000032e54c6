"""What NTK-SAP draws: weights, inputs and a perturbation for each mini-batch."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import isfinite, prod, sqrt
from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor

from paicore import seeds
from paicore.forward import MODES
from paicore.nets.initialise import draws as initial_draws
from paicore.scores.loss import chunks

CHOICES = {
    "estimator": ("fd", "jvp"), "weights": ("redrawn", "given"),
    "inputs": ("noise", "real"), "batch_norm": MODES,
    "statistics": ("separate", "merged"),
}  # fmt: skip


MOST_STACKED = 8
MOST_VALUES = 1 << 22  # of inputs in one program: 1,365 CIFAR images, 27 of ImageNet


@dataclass(frozen=True)
class Settings:
    """The options of `paicore.scores.ntk_sap`, checked; their meaning stands there."""

    estimator: str = "fd"
    epsilon: float = 1e-4  # P-img: Tables 12-14; C: its root 0.01 is the sd
    repeats: int = 5  # C scripts/run.sh, CIFAR-10; 1 elsewhere (README.md)
    batch_size: int = 256  # C main.py
    weights: str = "redrawn"
    init: str | tuple = "he"
    inputs: str = "noise"
    batch_norm: str = "frozen"
    statistics: str = "separate"
    stacked: int | None = None
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        """Refuse an option that is unknown or out of range, by name."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                got = getattr(self, name)
                raise ValueError(f"{name}: expected one of {known}, got {got!r}")
        _positive("epsilon", self.epsilon, Real)
        _positive("repeats", self.repeats, Integral)
        _positive("batch_size", self.batch_size, Integral)
        if self.stacked is not None:
            _positive("stacked", self.stacked, Integral)
        if self.statistics == "merged" and self.batch_norm != "frozen":
            raise ValueError("statistics: 'merged' goes with batch_norm='frozen' only, "
                             f"got {self.batch_norm!r}")  # fmt: skip
        initial_draws(self.init, None)  # refuses what it does not know


def _positive(name: str, value, kind: type) -> None:
    """Refuse what is no positive finite number of a kind."""
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name}: expected a positive number, got {value!r}")
    if not (value > 0 and isfinite(value)):
        raise ValueError(f"{name}: expected a positive number, got {value!r}")


def check_generator(generator) -> None:
    """Refuse what is no CPU generator of its own."""
    seeds.check(generator)


class Draw(NamedTuple):
    """One mini-batch of the sum.

    Attributes:
        weights: name -> weights of the unperturbed branch, masked.
        step: name -> what the other branch adds to them, masked.
        x: Inputs (n, *in_shape).
    """

    weights: dict[str, Tensor]
    step: dict[str, Tensor]
    x: Tensor


def draws(
    given: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    x: Tensor,
    settings: Settings,
    generator: torch.Generator,
) -> Iterator[Draw]:
    """Yield the draws in order.

    Conventions: whole layers are drawn, in float64 on the CPU, and masked after, so
    that neither masks, dtype nor device shift the stream.

    Args:
        given: name -> the network's weights, masked.
        masks: name -> bool tensor, on their device.
        x: Scoring samples (n, *in_shape), of their dtype and device.
        settings: Options.
        generator: Source of all draws.

    Yields:
        One draw for each mini-batch and repetition.
    """
    scale = sqrt(settings.epsilon) if settings.estimator == "fd" else 1.0
    parts = [part for part, _ in chunks(x, x, int(settings.batch_size))]

    def masked(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: torch.where(masks[name], value.to(x), 0)
            for name, value in values.items()
        }

    for _ in range(settings.repeats):
        for part in parts:
            weights = given
            if settings.weights == "redrawn":
                weights = masked(_initial(given, settings.init, generator))
            if settings.inputs == "noise":
                part = _normal(part.shape, generator).to(x)
            step = {n: scale * _normal(w.shape, generator) for n, w in given.items()}
            yield Draw(weights, masked(step), part)


def _normal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")


def _initial(given: Mapping[str, Tensor], init, generator) -> dict[str, Tensor]:
    """Draw every weight anew, as a network is built."""
    draw, _ = initial_draws(init, None)
    found = {}
    with torch.device("cpu"):  # whatever the caller's default device
        for name, weight in given.items():
            outputs, inputs, *kernel = weight.shape
            fans = inputs * prod(kernel), outputs * prod(kernel)
            found[name] = draw(weight.shape, fans, generator)
    return found


def stack_size(settings: Settings, x: Tensor, device: torch.device) -> int:
    """Return how many draws run as one program."""
    if settings.stacked is not None:
        return settings.stacked
    if device.type == "cpu":
        return 1
    values = x[: settings.batch_size].numel()
    return max(1, min(MOST_STACKED, MOST_VALUES // values))


def grouped(found: Iterable[Draw], size: int) -> Iterator[list[Draw]]:
    """Yield lists of at most `size` neighbouring draws with inputs of one shape."""
    for _, same in groupby(found, lambda draw: draw.x.shape):
        group = []
        for draw in same:
            group.append(draw)
            if len(group) == size:
                yield group
                group = []
        if group:
            yield group
