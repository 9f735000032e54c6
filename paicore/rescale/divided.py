"""Scaled random: divide by the root of the density."""

from collections.abc import Mapping

from torch import Tensor, nn

from paicore.masks import Masks
from paicore.rescale.checks import check_one_of
from paicore.rescale.scaled import scaled

BY = ("density", "overall")


def divided(
    net: nn.Module, masks: Mapping[str, Tensor], *, by: str = "density"
) -> nn.Module:
    r"""Return a network whose kept weights are divided by the root of the density.

    .. math:: w = m \odot \theta / \sqrt{d}

    Conventions: biases stay. Right on average for masks drawn independently of the
    weights, whose layers lose the share 1 - d of their variance. A mask that keeps
    large weights loses less, so that this factor is then too large; see `rescaled`
    and `calibrated`. A layer without kept weights has no factor.

    Args:
        net: Any module; not changed.
        masks: name -> bool tensor, for every prunable weight.
        by: "density" divides each layer by its own, "overall" all layers by the
            density over all weights.

    Returns:
        The new network.

    Cost: memory of one copy of the network.

    Source: the baseline "scaled rand" of fmi-basel/neural-tangent-transfer, where the
    density is the one asked for and equal in all layers.
    """
    check_one_of("by", by, BY)
    masks = Masks(masks)
    shares = masks.layer_densities()
    if by == "overall":
        shares = {name: masks.density if shares[name] else 0.0 for name in shares}
    return scaled(net, masks, {n: d**-0.5 for n, d in shares.items() if d})
