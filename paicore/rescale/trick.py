"""The rescaling trick: back to the edge of chaos after pruning."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from paicore.forward import isolated, prunable
from paicore.rescale.gain import Gain, check_choice, factors_of, gains
from paicore.rescale.scaled import scaled


def rescaled(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    *,
    gain: Gain = "sigma_w",
    per: str = "row",
    skip: Iterable[str] = (),
) -> nn.Module:
    """Return a masked network with the rescaling trick folded into its weights.

    Args:
        net: Any module; not changed.
        masks: name -> bool tensor, for every prunable weight.
        gain: As in `rescaling_factors`.
        per: As in `rescaling_factors`.
        skip: As in `rescaling_factors`.

    Returns:
        The new network.

    Cost: memory of one copy of the network.
    """
    found = rescaling_factors(net, masks, gain=gain, per=per, skip=skip)
    return scaled(net, masks, found)


@isolated
def rescaling_factors(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    *,
    gain: Gain = "sigma_w",
    per: str = "row",
    skip: Iterable[str] = (),
) -> dict[str, Tensor]:
    r"""Return rho of the rescaling trick, one number per output unit.

    .. math:: a_i = \sum_j W_{ij}^2 \, m_{ij}, \qquad
        \rho_i = \text{gain} / \sqrt{a_i}

    Conventions: j runs over all weights of output unit i: inputs, and for a
    convolution the channels of its group and all kernel positions. After masking a_i
    stands where sigma_w^2 stood in every mean-field map, so only gain = sigma_w leads
    back to the edge of chaos; gain = 1 is the formula as recalled, right for
    sigma_w = 1. Exact for masks independent of the activities (`Masks.shuffled`);
    saliency masks are not, see `activity_factors`. A row, or with "layer" a layer,
    without kept weights has factor 1.

    Args:
        net: Any module; not changed. Dense, if sigma_w is to be measured.
        masks: name -> bool tensor, for every prunable weight.
        gain: "sigma_w", measured by `weight_scale`; a number for all layers; or
            name -> number, layers without a name being only masked.
        per: "row", or "layer" for the mean of a_i over the rows of a layer.
        skip: Names of weights that are only masked, as the readout may be.

    Returns:
        dict name -> vector (rows,), float64.

    Cost: one pass over the weights.

    Source: Hayou et al. (2021), Proposition 1 and its algorithm, as recalled; the sum
    over kernel positions and the gain are ours.
    """
    weights = prunable(net)
    skip = check_choice(per, skip, weights)
    factors = {}
    for name, wanted in gains(net, masks, gain).items():
        if name not in skip:
            weight = weights[name].detach().double()
            squares = weight.square() * masks[name].to(weight.device)
            factors[name] = factors_of(wanted, squares.flatten(1).sum(1), per)
    return factors
