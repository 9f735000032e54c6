"""Effective density: the kept weights that lie on a path from an input to an output."""

import torch
from torch import Tensor, nn

from paicore.forward import MeanPooling, isolated, linearised, prunable, run
from paicore.forward.private import check_masks, private_copy
from paicore.forward.weights import LAYERS
from paicore.masks.container import Masks


class _Reached(torch.autograd.Function):
    """Whether anything arrives, forward and backward: 1 or 0, so no depth overflows."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Return 1 where x > 0."""
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        """Return 1 where the gradient is > 0."""
        return (grad > 0).to(grad.dtype)


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
        TypeError: `in_shape` is no tuple of sizes.

    Cost: one forward and one backward pass for a single input, in float64.

    Accuracy: exact; signals are cut to 0 and 1 after every layer.

    Source: effective sparsity of Vysogorets & Kempe (2023); equal to the dense masks
    of avysogorets/effective-sparsity, here for any network with a path form.
    """
    sizes = tuple(in_shape) if isinstance(in_shape, (tuple, list)) else ()
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise TypeError(f"in_shape: expected a tuple of sizes, got {in_shape!r}")
    return _effective(net, masks, sizes)


@isolated
def _effective(net: nn.Module, masks: Masks, in_shape: tuple[int, ...]) -> Masks:
    check_masks(net, masks)
    live = linearised(private_copy(net, batch_norm="eval"), in_shape)
    weights = prunable(live.twin)
    device = next(live.parameters()).device
    with torch.no_grad():
        for module in live.modules():
            if hasattr(module, "factors"):
                module.factors.fill_(1.0)  # what a batch norm scales does not matter
            if isinstance(module, LAYERS):
                module.register_forward_hook(lambda *call: _Reached.apply(call[-1]))
        for name, weight in weights.items():
            weight.copy_(masks[name])
    ones = torch.ones(1, *in_shape, dtype=torch.float64, device=device)
    with MeanPooling():
        total = run(live, ones).sum()
    grads = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
    reached = {
        name: torch.zeros_like(weight) if grad is None else grad
        for (name, weight), grad in zip(weights.items(), grads, strict=True)
    }
    return Masks({
        name: mask & (reached[name] > 0).to(mask.device) for name, mask in masks.items()
    })  # fmt: skip
