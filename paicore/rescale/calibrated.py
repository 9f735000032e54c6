"""Gain calibration: every layer's output varies as much as before pruning."""

from collections.abc import Mapping
from math import isfinite, sqrt

import torch
from torch import Tensor, nn

from paicore.forward import isolated, private_copy
from paicore.rescale.checks import check_inputs, check_masks, check_one_of, usable
from paicore.rescale.gain import check_dense
from paicore.rescale.scaled import scaled
from paicore.rescale.watching import bias_of, check_mode, unit_axis, visit_layers

MOMENTS = ("variance", "unit_variance", "mean_square")
ROUNDING = 1e-24  # of a variance, as a share of the mean square: no variance at all


def calibrated(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    *,
    moment: str = "variance",
    batch_norm: str | None = None,
) -> nn.Module:
    """Return a masked network whose layers' outputs vary as in the dense network.

    Conventions: one factor per layer from `calibration_factors`, folded into the
    weights; biases and batch norms, with their buffers, are those of `net`.

    Args:
        net: Module mapping (n, *in_shape) to (n, k), dense; not changed.
        masks: name -> bool tensor, for every prunable weight.
        x: Inputs (n, *in_shape) on which the outputs are compared.
        moment: As in `calibration_factors`.
        batch_norm: As in `calibration_factors`.

    Returns:
        The new network.

    Cost: two forward passes, in float64; memory of two copies of the network.
    """
    found = calibration_factors(net, masks, x, moment=moment, batch_norm=batch_norm)
    return scaled(net, masks, found)


@isolated
def calibration_factors(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    *,
    moment: str = "variance",
    batch_norm: str | None = None,
) -> dict[str, float]:
    r"""Return the factor of each layer that restores its dense output moment.

    .. math:: V[\rho_l (m^l \odot \theta^l) h^{l-1} + b^l] =
              V[\theta^l h^{l-1}_{dense} + b^l]

    Conventions: layers are taken in the order of the forward pass, and h is what the
    layers already calibrated send on, so that the equation holds in the final
    network. The bias is part of the output and not scaled. The factor is 1 where the
    weights' part of the output vanishes in either network: a layer without kept
    weights, or one behind it that hears nothing. Of two factors the larger is taken.

    Args:
        net: Module mapping (n, *in_shape) to (n, k), dense; not changed.
        masks: name -> bool tensor, for every prunable weight.
        x: Inputs (n, *in_shape); the whole batch at once.
        moment: V: "variance" over samples, positions and units together;
            "unit_variance" over samples and positions, averaged over units;
            "mean_square" over all three.
        batch_norm: "train" (statistics of this batch, of each network its own) or
            "eval" (stored buffers); required if there is batch norm.

    Returns:
        dict name -> factor.

    A layer that runs twice or shares its weight, an output that is not finite, and a
    moment that no factor at all restores are refused.

    Cost: two forward passes; memory of one float64 copy of the network.

    Source: ours, a control and no part of a paper: pruning lowers every layer's gain,
    and an advantage of one mask over another should survive its repair.
    """
    check_one_of("moment", moment, MOMENTS)
    usable(net)
    check_masks(net, masks)
    check_dense(net, masks)
    check_inputs(x)
    check_mode(net, batch_norm)
    wanted: dict[str, float] = {}
    factors: dict[str, float] = {}

    def measure(name, layer, entered, output):
        square, mixed = _moments(name, layer, output, moment)
        # of the bias alone both networks hold the same amount
        wanted[name] = square + 2 * mixed if square else 0.0

    def calibrate(name, layer, entered, output):
        square, mixed = _moments(name, layer, output, moment)
        if square == 0 or wanted[name] == 0:
            factors[name] = 1.0
        else:
            factors[name] = _root(name, square, mixed, wanted[name])
        bias = bias_of(layer)
        return bias + factors[name] * (output - bias)

    visit_layers(private_copy(net, batch_norm=batch_norm), x, measure)
    twin = private_copy(net, masks=masks, batch_norm=batch_norm)
    visit_layers(twin, x, calibrate)
    return {name: factors[name] for name in masks}


def _moments(
    name: str, layer: nn.Module, output: Tensor, moment: str
) -> tuple[float, float]:
    """Moment of the weights' part of an output, and its mixed moment with the bias."""
    bias = bias_of(layer)
    part, bias = output - bias, torch.zeros_like(output) + bias
    size = float((part * part).mean())
    if moment != "mean_square":
        axes = list(range(part.dim()))
        if moment == "unit_variance":
            del axes[unit_axis(layer)]
        part = part - part.mean(axes, keepdim=True)
        bias = bias - bias.mean(axes, keepdim=True)
    square, mixed = float((part * part).mean()), float((part * bias).mean())
    if not isfinite(size):
        raise ValueError(f"net: the output of layer {name!r} holds NaN or infinity")
    return (square, mixed) if square > ROUNDING * size else (0.0, 0.0)


def _root(name: str, square: float, mixed: float, wanted: float) -> float:
    """Solve square * rho^2 + 2 * mixed * rho = wanted for the larger, positive rho."""
    inside = mixed**2 + square * wanted
    if inside >= 0:
        high = mixed + sqrt(inside) if mixed > 0 else 0.0
        rho = wanted / high if high else (sqrt(inside) - mixed) / square
        if rho > 0:
            return rho
    raise ValueError(
        f"moment: no factor of {name!r} restores the dense moment, because its biases "
        'outweigh its weights; use moment="unit_variance", which leaves them out'
    )
