"""Controls that a pruning claim should survive: shuffle, re-initialise, invert.

Inverting, keeping the lowest scores, is an option of `paicore.prune`.
"""

import copy

import torch
from torch import nn

from paicore.masks.container import Masks
from paicore.nets.initialise import initialise_


def shuffled(masks: Masks, generator: torch.Generator) -> Masks:
    """Permute each layer's mask at random; every layer keeps its count.

    Args:
        masks: Masks; not changed.
        generator: CPU generator of the permutations.

    Returns:
        New masks on the same devices.

    Source: Su et al. (2020), Frankle et al. (2021). In ganguli-lab/Synaptic-Flow and
    YiteWang/NTK-SAP the shuffle binds a local name and changes nothing.
    """
    return Masks({
        name: mask.flatten()[
            torch.randperm(mask.numel(), generator=generator).to(mask.device)
        ].view_as(mask)
        for name, mask in masks.items()
    })  # fmt: skip


def reinitialised(
    net: nn.Module,
    generator: torch.Generator,
    *,
    init: str | tuple = "he",
    bias_init: str | None = None,
) -> nn.Module:
    """Return a copy of a network with fresh weights: the mask is kept, values not.

    Args:
        net: Any module; not changed.
        generator: CPU generator of the new weights.
        init: An initialiser of `paicore.nets`.
        bias_init: How biases are drawn.

    Returns:
        The copy; batch norms are reset as well.
    """
    twin = copy.deepcopy(net)
    initialise_(twin, init=init, bias_init=bias_init, generator=generator)
    return twin
