"""The one step that all rescalings share: a new network with masked, scaled weights."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.forward import isolated, prunable
from paicore.forward.weights import check_finite
from paicore.rescale.checks import check_masks, known_names, number, usable

Factors = Mapping[str, Tensor | float]


@isolated
def scaled(net: nn.Module, masks: Mapping[str, Tensor], factors: Factors) -> nn.Module:
    r"""Return a network whose weights are masked and multiplied by constants.

    .. math:: w_{ij} = \rho_i \, m_{ij} \, \theta_{ij}

    Conventions: the constants are folded into the weights once; nothing of them stays
    in the network. Biases, batch norms and their buffers, mode and hooks are those of
    the original, gradients start empty. A weight shared by two layers stays shared.
    ValueError names masks or factors that do not fit the network or are not finite.

    Args:
        net: Any module; not changed.
        masks: name -> bool tensor, for every prunable weight.
        factors: name -> one number, or a tensor (rows,) with one number per output
            unit. A weight without an entry is only masked.

    Returns:
        The new network, on the device and in the dtypes of the original.

    Raises:
        TypeError: the network cannot be copied, or `factors` is no mapping.

    Cost: memory of one copy of the network.

    Accuracy: products are taken in float64 and rounded once.
    """
    weights = usable(net)
    check_masks(net, masks)
    if not isinstance(factors, Mapping):
        raise TypeError(f"factors: expected a mapping, got {type(factors).__name__}")
    known_names("factors", factors, weights)
    columns = {name: _column(name, factors[name], weights[name]) for name in factors}
    try:
        twin = copy.deepcopy(net)
    except Exception as error:
        raise TypeError(f"net: cannot be copied ({error})") from error
    for parameter in twin.parameters():
        parameter.grad = None
    with torch.no_grad():
        for name, weight in prunable(twin).items():
            products = weight.double() * columns.get(name, 1.0)
            weight.copy_(torch.where(masks[name].to(weight.device), products, 0.0))
    check_finite(prunable(twin))
    return twin


def _column(name: str, factor: Tensor | float, weight: Tensor) -> Tensor:
    """Bring one or one-per-row constants to the shape of a weight's first axis."""
    if not isinstance(factor, Tensor):
        factor = number("factors", factor, f"numbers or tensors for {name!r}")
    elif factor.is_complex():
        raise TypeError(f"factors: expected real ones for {name!r}, got {factor.dtype}")
    column = torch.as_tensor(factor, dtype=torch.float64, device=weight.device)
    column = column.detach()
    if column.shape not in ((), weight.shape[:1]):
        raise ValueError(
            f"factors: expected one number or ({len(weight)},) for {name!r}, "
            f"got {tuple(column.shape)}"
        )
    if not torch.isfinite(column).all():
        raise ValueError(f"factors: those of {name!r} hold NaN or infinity")
    return column.reshape(-1, *[1] * (weight.dim() - 1))  # (rows or 1, 1, ...)
