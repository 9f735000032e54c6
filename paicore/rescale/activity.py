"""The rescaling trick with inputs weighted by their activity: ours, not the paper's."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from paicore.forward import isolated, private_copy, prunable
from paicore.rescale.checks import check_inputs, check_one_of
from paicore.rescale.gain import Gain, check_choice, factors_of, gains
from paicore.rescale.scaled import scaled
from paicore.rescale.watching import bias_of, check_mode, unit_axis, visit_layers

SOURCES = ("rescaled", "dense")


def activity_rescaled(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    *,
    gain: Gain = "sigma_w",
    per: str = "row",
    source: str = "rescaled",
    skip: Iterable[str] = (),
    batch_norm: str | None = None,
) -> nn.Module:
    """Return a masked network rescaled by `activity_factors`: ours, not the paper's.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor, for every prunable weight.
        x: Inputs (n, *in_shape), for instance the pruning batch.
        gain: As in `activity_factors`.
        per: As in `activity_factors`.
        source: As in `activity_factors`.
        skip: As in `activity_factors`.
        batch_norm: As in `activity_factors`.

    Returns:
        The new network.

    Cost: one forward pass, in float64; memory of two copies of the network.
    """
    found = activity_factors(
        net, masks, x,
        gain=gain, per=per, source=source, skip=skip, batch_norm=batch_norm,
    )  # fmt: skip
    return scaled(net, masks, found)


@isolated
def activity_factors(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    *,
    gain: Gain = "sigma_w",
    per: str = "row",
    source: str = "rescaled",
    skip: Iterable[str] = (),
    batch_norm: str | None = None,
) -> dict[str, Tensor]:
    r"""Return factors as of the rescaling trick, weighted by the inputs' activity.

    .. math:: a_i = \sum_j W_{ij}^2 m_{ij} \,
        \frac{E[\phi_j^2]}{\text{mean}_j E[\phi_j^2]}, \qquad
        \rho_i = \text{gain} / \sqrt{a_i}

    Conventions: E is the mean over the samples of x and, in a convolution, over the
    output positions, zero padding included; j runs as in `rescaling_factors`. Weighted
    so, a mask that prefers active inputs is charged for the signal it kept, not for
    the number of weights. With masks independent of the activity both factors agree
    on average. A row without kept or heard weights has factor 1; "layer" takes the
    mean of a_i over rows.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor, for every prunable weight.
        x: Inputs (n, *in_shape), for instance the pruning batch.
        gain: As in `rescaling_factors`.
        per: "row" or "layer".
        source: Where the activities are read: "rescaled", layer after layer in the
            network being rescaled, or "dense", in the network before pruning.
        skip: Names of weights that are only masked.
        batch_norm: "train" or "eval"; required if there is batch norm.

    Returns:
        dict name -> vector (rows,), float64.

    A layer that runs twice or shares its weight is refused.

    Cost: one forward pass with every layer run three times.

    Source: ours, a deviation from Hayou et al. (2021).
    """
    skip = check_choice(per, skip, prunable(net))
    wanted = gains(net, masks, gain)
    check_one_of("source", source, SOURCES)
    check_inputs(x)
    check_mode(net, batch_norm)
    factors: dict[str, Tensor] = {}

    def visit(name, layer, entered, output):
        if name in skip or name not in wanted:
            return None
        masses = _masses(layer, masks[name], entered)
        factors[name] = factors_of(wanted[name], masses, per)
        if source == "dense":
            return None
        rho, bias = (
            factors[name].view(-1, *[1] * (layer.weight.dim() - 2)),
            bias_of(layer),
        )
        return bias + rho * (output - bias)

    kept = masks if source == "rescaled" else None
    visit_layers(private_copy(net, masks=kept, batch_norm=batch_norm), x, visit)
    return {name: factors[name] for name in masks if name in factors}


def _masses(layer: nn.Module, mask: Tensor, entered: Tensor) -> Tensor:
    """Activity-weighted sums of squares of a layer's rows, (rows,).

    Returns:
        The sums.

    Raises:
        ValueError: they leave the range of float64.
    """
    kept = layer.weight.square() * mask.to(layer.weight.device)
    even = torch.full_like(kept, 1 / kept[0].numel())
    signal, level = (_heard(layer, entered.square(), w) for w in (kept, even))
    if not (torch.isfinite(signal).all() and torch.isfinite(level).all()):
        raise ValueError("x: the squared activities leave the range of float64; scale "
                         "the inputs")  # fmt: skip
    return torch.where(level > 0, signal / level, 0.0)


def _heard(layer: nn.Module, squares: Tensor, weight: Tensor) -> Tensor:
    """Mean over samples and positions of a layer with other weights and no bias."""
    if isinstance(layer, nn.Linear):
        out = functional.linear(squares, weight)
    else:  # the layer's own way to pad, stride and group
        out = layer._conv_forward(squares, weight, None)
    return out.movedim(unit_axis(layer), 0).flatten(1).mean(1)
