"""Effective density: the kept weights that lie on a path from an input to an output."""

import torch
from torch import nn

from paicore.forward.linearise import MeanPooling, linearised
from paicore.forward.private import private_copy, run
from paicore.forward.weights import prunable
from paicore.masks.container import Masks


def effective(masks: Masks, net: nn.Module, in_shape: tuple[int, ...]) -> Masks:
    r"""Keep the weights that lie on at least one whole path of kept weights.

    .. math:: m_j \;\; \text{where} \;\; \partial R / \partial m_j > 0, \qquad
              R = \sum_p \prod_{j \in p} m_j

    Conventions: a path starts at an input and ends at an output; a neuron that is fed
    by its bias only is dead. All of a max-pooling window counts. Only which weights
    are masked matters, not their values.

    Args:
        masks: Masks of the network.
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        in_shape: Shape of one input.

    Returns:
        Masks, a subset of `masks`; `.density` is the effective density.

    Raises:
        ValueError: masks that do not fit, or the path count leaves the range of
            float64.

    Cost: one forward and one backward pass for a single input, in float64.

    Source: effective sparsity of Vysogorets & Kempe (2023); equal to the dense masks
    of avysogorets/effective-sparsity, here for any network with a path form.
    """
    twin = private_copy(net, batch_norm="eval")
    device = next(twin.parameters()).device
    masks = masks.to(device)
    linearised(twin)
    weights = prunable(twin)
    with torch.no_grad():
        for module in twin.modules():
            if hasattr(module, "factors"):
                module.factors.fill_(1.0)  # what a batch norm scales does not matter
        for name, weight in weights.items():
            # at most 1 per output, so that depth cannot overflow the path count
            fan_in = masks[name].flatten(1).sum(1).max().clamp(min=1)
            weight.copy_(masks[name] / fan_in)
    ones = torch.ones(1, *in_shape, dtype=torch.float64, device=device)
    with MeanPooling():
        total = run(twin, ones).sum()
    grads = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
    live = {}
    for (name, mask), grad in zip(masks.items(), grads, strict=True):
        if grad is None:
            grad = torch.zeros_like(weights[name])
        if not torch.isfinite(grad).all():
            raise ValueError(f"net: path counts at {name!r} exceed float64")
        live[name] = mask & (grad > 0)
    return Masks(live)
