"""SNIP and its iterative forms: how much the loss changes when a weight is removed."""

import torch
from torch import Tensor, nn

from paicore.forward import isolated, private_copy, prunable
from paicore.scores.loss import Batch, chunks, cross_entropy, gradients, weights_of


@isolated
def snip(
    net: nn.Module,
    masks,
    batch: Batch,
    *,
    generator=None,
    reduction: str = "whole",
    batch_size: int | None = None,
    batch_norm: str = "train",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each weight by its connection sensitivity.

    .. math:: s_j = |m_j \theta_j \, \partial L / \partial w_j|, \qquad
              w = m \odot \theta

    Conventions: L is the mean cross-entropy of the raw logits over `batch`. Weights
    are scored as they are given: nothing is re-drawn. With batch norm in mode "train"
    each mini-batch has its own statistics; "frozen" takes those of the whole batch.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape), y of shape (n,).
        generator: Not used.
        reduction: "whole" takes the modulus of the gradient of the whole batch;
            "per_batch" sums the moduli of the mini-batches' own mean losses, so that
            it depends on the split.
        batch_size: Size of the mini-batches, in order; None: one.
        batch_norm: "train", "frozen" or "eval".
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: one forward and one backward pass over the batch.

    Source: Lee et al. (2019), without their normalisation, which changes no order.
    mil-ad/snip scores re-drawn weights; per-batch moduli: 123Bailey123/Pruning. Differs
    from YiteWang/NTK-SAP Pruners/pruners.py where mini-batches differ in size: that
    code adds the gradients of their losses, which we take to be means, so that they
    weigh the same; here they weigh by size, as in the whole batch. For CIFAR-100 (256,
    256, 256, 232) a sample of the last one counts 1.10 times as much there.
    """
    return _sensitivity(
        net, masks, batch, net_weights=False, reduction=reduction,
        batch_size=batch_size, batch_norm=batch_norm, dtype=dtype,
    )  # fmt: skip


@isolated
def force(
    net: nn.Module,
    masks,
    batch: Batch,
    *,
    generator=None,
    reduction: str = "whole",
    batch_size: int | None = None,
    batch_norm: str = "train",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score every weight, pruned ones too, by the gradient of the pruned network.

    .. math:: s_j = |\theta_j \, \partial L / \partial w_j| \;\text{ at }\;
              w = m \odot \theta

    Conventions: as in `snip`, but the unmasked weight multiplies the gradient, so a
    pruned weight may return in a later round ("foresight").

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor.
        batch: Pair (x, y).
        generator: Not used.
        reduction: As in `snip`.
        batch_size: As in `snip`.
        batch_norm: As in `snip`.
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: one forward and one backward pass over the batch.

    Source: de Jorge et al. (2021), naver/force pruning/pruning_algos.py.
    """
    return _sensitivity(
        net, masks, batch, net_weights=True, reduction=reduction,
        batch_size=batch_size, batch_norm=batch_norm, dtype=dtype,
    )  # fmt: skip


def _sensitivity(
    net, masks, batch, *, net_weights, reduction, batch_size, batch_norm, dtype
) -> dict[str, Tensor]:
    """abs(weight * gradient), with the masked or the network's own weight."""
    if reduction not in ("whole", "per_batch"):
        raise ValueError(
            f"reduction: expected 'whole' or 'per_batch', got {reduction!r}"
        )
    x, y = batch
    twin = private_copy(
        net, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=x
    )
    weights = weights_of(twin)
    factors = prunable(net) if net_weights else weights
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for part_x, part_y in chunks(x, y, batch_size):
        share = len(part_x) / len(x)
        loss = cross_entropy(twin, part_x, part_y)
        for name, grad in gradients(loss, weights).items():
            term = factors[name].detach().to(grad.dtype) * grad
            scores[name] += term.abs() if reduction == "per_batch" else share * term
    return {name: score.detach().abs() for name, score in scores.items()}
