"""Scores without a method: random numbers and magnitudes."""

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import prunable


def random(net: nn.Module, masks, batch=None, *, generator) -> dict[str, Tensor]:
    """Score each weight by a standard normal draw.

    Conventions: drawn on the CPU in float64 in the order of the layers, so that the
    mask of a seed is the same on every device. One global threshold gives nearly
    uniform layer densities; with scope="erk" this is ERK.

    Args:
        net: Module; only the shapes of its weights are read.
        masks: Not used.
        batch: Not used.
        generator: CPU generator of the draws.

    Returns:
        dict name -> tensor shaped like the weight; larger: keep.

    Cost: none worth naming.
    """
    seeds.check(generator)
    return {
        name: torch.randn(
            weight.shape, generator=generator, dtype=torch.float64, device="cpu"
        ).to(weight.device)
        for name, weight in prunable(net).items()
    }  # fmt: skip


def magnitude(net: nn.Module, masks, batch=None, *, generator=None):
    r"""Score each weight by its modulus.

    .. math:: s_j = |\theta_j|

    Args:
        net: Module.
        masks: Not used; rounds add nothing to one round.
        batch: Not used.
        generator: Not used.

    Returns:
        dict name -> tensor shaped like the weight; larger: keep.

    Cost: none worth naming.

    Source: Han et al. (2015), there after training; MBP of Hayou et al. (2021).
    """
    return {
        name: weight.detach().abs().double() for name, weight in prunable(net).items()
    }
