"""Random masks whose every weight is kept with one probability."""

from collections.abc import Mapping

import torch
from torch import nn

from paicore import seeds
from paicore.forward import isolated, prunable
from paicore.masks import Masks
from paicore.rescale.checks import known_names, number


@isolated
def bernoulli(
    net: nn.Module,
    density: float | Mapping[str, float],
    generator: torch.Generator,
) -> Masks:
    r"""Draw masks that keep each weight with a probability, independently.

    .. math:: P(m_{ij} = 1) = d_l, \qquad
        d_l = (\sigma_{w,EOC}(\sigma_b) / \sigma_{w,l})^2

    Conventions: the second equation is the lottery construction: with d from
    `paicore.kernels.meanfield.lottery_density` a network of too large weights becomes
    one on the edge of chaos, without any training. The number kept is random, unlike
    that of `paicore.prune`.

    Args:
        net: Any module; only the shapes of its weights are read.
        density: Probability in [0, 1] of keeping a weight, one for all layers or by
            name; a layer without a name is kept whole.
        generator: CPU generator of the draws.

    Returns:
        Masks on the network's device.

    Raises:
        ValueError: a density is out of range, or a name unknown.

    Source: Hayou et al. (2021), appendix on weak lottery tickets; the statement is
    recalled, the construction ours.
    """
    weights = prunable(net)
    chances = dict.fromkeys(weights, 1.0 if isinstance(density, Mapping) else density)
    if isinstance(density, Mapping):
        known_names("density", density, weights)
        chances |= density
    kinds = "numbers in [0, 1]"
    chances = {name: number("density", each, kinds) for name, each in chances.items()}
    for chance in chances.values():
        if not 0 <= chance <= 1:
            raise ValueError(f"density: expected numbers in [0, 1], got {chance}")
    seeds.check(generator)
    options = {"generator": generator, "dtype": torch.float64, "device": "cpu"}
    draws = {n: torch.rand(w.shape, **options) for n, w in weights.items()}
    return Masks({n: (draws[n] < chances[n]).to(w.device) for n, w in weights.items()})
