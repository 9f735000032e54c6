"""The gain that rescaled weights are brought to: sigma_w, or any number."""

from collections.abc import Iterable, Mapping
from math import inf, sqrt

import torch
from torch import Tensor, nn

from paicore.forward import prunable
from paicore.rescale.checks import (
    check_masks,
    check_one_of,
    known_names,
    number,
    usable,
)

PER = ("row", "layer")
Gain = str | float | Mapping[str, float]


def weight_scale(net: nn.Module) -> dict[str, float]:
    r"""Measure sigma_w of each layer of a dense network.

    .. math:: \hat\sigma_w^2 = \text{fan\_in} \cdot \text{mean}(W^2)

    Conventions: fan_in is the number of weights of one output unit: all inputs of a
    Linear, channels per group times kernel size of a convolution.

    Args:
        net: Any module; not changed.

    Returns:
        dict name -> sigma_w.

    Accuracy: relative standard error 1/sqrt(2 M) for M normal weights.
    """
    return {
        name: sqrt(weight[0].numel() * float(weight.detach().double().square().mean()))
        for name, weight in usable(net).items()
    }


def gains(net: nn.Module, masks: Mapping[str, Tensor], gain: Gain) -> dict[str, float]:
    """Return the gain of each layer: measured, one for all, or by name.

    Args:
        net: Any module.
        masks: name -> bool tensor, for every prunable weight.
        gain: "sigma_w", a number, or name -> number.

    Returns:
        dict name -> gain; with a mapping only the names in it.

    Raises:
        ValueError: a gain is not positive and finite, or a name is unknown.
    """
    weights = usable(net)
    check_masks(net, masks)
    if isinstance(gain, str):
        if gain != "sigma_w":
            raise ValueError(f"gain: expected 'sigma_w' or a number, got {gain!r}")
        check_dense(net, masks)
        return weight_scale(net)
    named = gain if isinstance(gain, Mapping) else dict.fromkeys(weights, gain)
    known_names("gain", named, weights)
    kinds = "'sigma_w', a number or a mapping to numbers"
    found = {name: number("gain", value, kinds) for name, value in named.items()}
    for value in found.values():
        if not 0 < value < inf:
            raise ValueError(f"gain: expected a positive finite number, got {value}")
    return found


def check_dense(net: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Refuse a network whose pruned weights are zero already: it tells no dense scale.

    Args:
        net: Any module.
        masks: name -> bool tensor, for every prunable weight.

    Raises:
        ValueError: every pruned weight is zero, and there is one.
    """
    dropped = [
        weight.detach()[~masks[name].to(weight.device)]
        for name, weight in prunable(net).items()
    ]
    if any(len(w) for w in dropped) and not any(w.any() for w in dropped):
        raise ValueError(
            "net: expected the dense network, but its pruned weights are zero already; "
            "rescale before the masks are applied, or give the gain as a number"
        )


def check_choice(per: str, skip: Iterable[str], weights: Iterable[str]) -> set[str]:
    """Refuse an unknown `per` and unknown names; return the names to leave alone."""
    check_one_of("per", per, PER)
    if isinstance(skip, str):
        raise TypeError(f"skip: expected names of weights, got the string {skip!r}")
    try:
        skip = set(skip)
    except TypeError as error:
        raise TypeError(f"skip: expected names of weights ({error})") from error
    known_names("skip", skip, weights)
    return skip


def factors_of(gain: float, masses: Tensor, per: str) -> Tensor:
    """Turn the squared sums a_i of a layer's rows into factors gain / sqrt(a).

    Args:
        gain: Root of the sum wanted.
        masses: Vector (rows,), >= 0.
        per: "row" or "layer".

    Returns:
        Vector (rows,); 1 where nothing is kept.
    """
    if per == "layer":
        masses = masses.mean().expand_as(masses)
    return torch.where(masses > 0, gain / masses.sqrt(), 1.0)
