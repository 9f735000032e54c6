"""What the functions of `rescale` refuse, each argument by its name."""

from collections.abc import Iterable, Mapping
from math import inf
from numbers import Real

import torch
from torch import Tensor, nn

from paicore.forward import private, prunable
from paicore.forward.weights import check_finite, check_plain


def usable(net: nn.Module) -> dict[str, nn.Parameter]:
    """Return the prunable weights by name; refuse those without finite values."""
    weights = prunable(net)
    for name, weight in weights.items():
        if weight.is_meta:
            raise ValueError(f"net: weight {name!r} is on the meta device and has no "
                             "values")  # fmt: skip
    check_finite(weights)
    return weights


def check_masks(net: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Refuse masks that do not fit a network."""
    if isinstance(masks, Mapping):
        known_names("masks", masks, prunable(net))
    private.check_masks(net, masks)


def known_names(argument: str, names: Iterable[str], weights: Iterable[str]) -> None:
    """Refuse names that are not those of prunable weights."""
    unknown = sorted(map(str, set(names) - set(weights)))
    if unknown:
        raise ValueError(
            f"{argument}: expected names of prunable weights, got {unknown[:3]}"
        )


def number(argument: str, value: float, expected: str) -> float:
    """Return any real number as a float, infinity if it is too large for one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{argument}: expected {expected}, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        return inf


def check_one_of(argument: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is no choice."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{argument}: expected one of {allowed}, got {value!r}")


def check_inputs(x: Tensor) -> None:
    """Refuse inputs that are no finite batch."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise TypeError(f"x: expected float inputs (n, *in_shape), got {got}")
    check_plain(x, "x")
    if len(x) == 0 or not torch.isfinite(x).all():
        raise ValueError(
            f"x: expected finite inputs, at least one, got {len(x)} samples or "
            "NaN/infinity"
        )
