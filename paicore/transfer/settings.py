"""What a transfer is asked to do: every keyword, checked once, before anything runs."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn

from paicore.forward import prunable
from paicore.forward.private import check_masks
from paicore.masks.container import Masks
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
        """Refuse values that cannot be meant; what the network decides comes later."""
        for name, allowed in CHOICES.items():
            _one_of(name, getattr(self, name), allowed)
        for name in COUNTS:
            _count(name, getattr(self, name), 2 if name == "batch" else 1)
        for name in (*WEIGHTS, "lr"):
            _number(name, getattr(self, name))
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}: expected True or False, "
                                f"got {getattr(self, name)!r}")  # fmt: skip
        if self.lr == 0:
            raise ValueError("lr: expected a number above 0, got 0")
        if self.kernel_weight == 0 and self.target_weight == 0:
            raise ValueError("kernel_weight: expected it or target_weight above 0, "
                             "got 0 and 0, which match nothing")  # fmt: skip
        _density("density", self.density)
        find_rule(self.count_rule)
        if not isinstance(self.scope, Mapping):
            _one_of("scope", self.scope, SCOPES)
        if not isinstance(self.first_masks, Mapping):
            _one_of("first_masks", self.first_masks, FIRST)
        if self.dtype not in (None, torch.float32, torch.float64):
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


def _number(name: str, value) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number from 0, got {value}")


def _density(name: str, value) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number in (0, 1], got {value!r}")
    if not 0 < value <= 1:
        raise ValueError(f"{name}: expected a number in (0, 1], got {value}")


def check_network(net: nn.Module, settings: Settings) -> None:
    """Refuse layer densities or first masks that are not of this network.

    Args:
        net: The dense network.
        settings: The keywords.

    Raises:
        ValueError: a layer is unknown.
    """
    weights = prunable(net)
    if isinstance(settings.scope, Mapping):
        unknown = sorted(map(str, set(settings.scope) - set(weights)))
        if unknown:
            raise ValueError(f"scope: expected names of prunable weights among "
                             f"{list(weights)}, got {unknown}")  # fmt: skip
        for name, value in settings.scope.items():
            _density(f"scope[{name!r}]", value)
    if isinstance(settings.first_masks, Mapping):
        try:
            check_masks(net, Masks(settings.first_masks))
        except (TypeError, ValueError) as error:
            raise type(error)(f"first_masks: {error}") from error


def check_inputs(x: Tensor, validation: Tensor | None, batch: int) -> None:
    """Refuse inputs that are no samples, or too few.

    Args:
        x: Inputs (n, *in_shape).
        validation: Held-out inputs or None.
        batch: Samples in a batch.

    Raises:
        TypeError: they are no floating tensors.
        ValueError: they are too few, of different shapes, or not finite.
    """
    for name, each, least in (("x", x, batch), ("validation", validation, 2)):
        if each is None and name == "validation":
            continue
        if not isinstance(each, Tensor) or not each.is_floating_point():
            got = each.dtype if isinstance(each, Tensor) else type(each).__name__
            raise TypeError(f"{name}: expected a floating tensor (n, *in_shape), "
                            f"got {got}")  # fmt: skip
        if each.dim() < 2 or len(each) < least:
            raise ValueError(
                f"{name}: expected at least {least} samples (n, *in_shape), "
                f"got shape {tuple(each.shape)}"
            )
        if each.shape[1:] != x.shape[1:]:
            raise ValueError(f"{name}: expected samples of shape {tuple(x.shape[1:])}, "
                             f"got {tuple(each.shape[1:])}")  # fmt: skip
        if not torch.isfinite(each).all():
            raise ValueError(f"{name}: holds NaN or infinity")


def check_generator(generator: torch.Generator) -> None:
    """Refuse a generator that is none, is torch's own, or lives on a GPU.

    Args:
        generator: What was given.

    Raises:
        TypeError: it is no generator.
        ValueError: it is the global one, or not on the CPU.
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator, got {generator!r}")
    if generator is torch.default_generator:
        raise ValueError("generator: expected one of its own, got torch's global one")
    if generator.device.type != "cpu":
        raise ValueError(f"generator: expected a CPU one, got {generator.device}")


def check_checkpoint(path: str | os.PathLike | None) -> Path | None:
    """Return the path of the checkpoint, or refuse it.

    Args:
        path: What was given.

    Returns:
        The path, or None.

    Raises:
        TypeError: it is no path.
        ValueError: it has another ending than .npz, or no folder to lie in.
    """
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"checkpoint: expected a path or None, got {path!r}")
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"checkpoint: expected a name ending in .npz, got {path.name}")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint: there is no folder {path.parent}")
    return path
