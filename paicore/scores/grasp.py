"""GraSP: keep the weights that carry the gradient flow."""

from numbers import Real

import torch
from torch import Tensor, nn

from paicore.forward import isolated, private_copy
from paicore.scores.loss import Batch, chunks, cross_entropy, gradients, weights_of


@isolated
def grasp(
    net: nn.Module,
    masks,
    batch: Batch,
    *,
    generator=None,
    sign: str = "fixed",
    temperature: float = 200.0,
    split: str = "none",
    batch_size: int | None = None,
    batch_norm: str = "train",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each weight by its first-order share of the squared gradient norm.

    .. math:: s_j = w_j \, (H g)_j = w_j \, \partial_{w_j} \tfrac12 \|g\|^2, \qquad
              g = \partial L / \partial w, \quad w = m \odot \theta

    Conventions: signed, larger means keep: removing a weight of large positive score
    lowers the gradient norm most. L is the mean cross-entropy of logits / temperature.
    The original ranks -w Hg and removes from the top, which is the same choice. With
    several mini-batches g and H are those of their weighted sum; only batch norm in
    mode "train" then notices the split.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape), y of shape (n,).
        generator: Not used.
        sign: "fixed" as above; "fork" for the reversed sign of uditsaxena/
            Synaptic-Flow, which keeps what GraSP removes.
        temperature: 200 in alecwangcq/GraSP, 1 in SamsungLabs/zero-cost-nas.
        split: "none", or "class_halves": sort by label and cut at len(y) // 2, each
            half's mean loss with equal weight, as alecwangcq/GraSP does, so that each
            half sees half of the classes.
        batch_size: Size of the mini-batches, in order; None: one.
        batch_norm: "train", "frozen" or "eval".
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, signed; larger: keep.

    Raises:
        ValueError: an option is unknown or the labels do not fit.

    Cost: two forward and three backward passes over the batch.

    Source: Wang et al. (2020). Differs from alecwangcq/GraSP pruner/GraSP.py, which
    re-draws Linear weights before it scores and always takes class halves; for
    CIFAR-100 it scores two such batches, which is not offered here. Differs from
    YiteWang/NTK-SAP Pruners/pruners.py where mini-batches differ in size: that code
    adds their losses, which we take to be means, so that they weigh the same in g and
    H; here they weigh by size, and without batch norm a split changes nothing.
    """
    if sign not in ("fixed", "fork"):
        raise ValueError(f"sign: expected 'fixed' or 'fork', got {sign!r}")
    if split not in ("none", "class_halves"):
        raise ValueError(f"split: expected 'none' or 'class_halves', got {split!r}")
    _check_temperature(temperature)
    x, y = batch
    if split == "class_halves" and batch_size is not None:
        raise ValueError("batch_size: expected None with split='class_halves', "
                         f"got {batch_size}")  # fmt: skip
    twin = private_copy(
        net, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=x
    )
    weights = weights_of(twin)

    halves = split == "class_halves"
    parts = _class_halves(x, y) if halves else list(chunks(x, y, batch_size))

    def losses():
        for part_x, part_y in parts:
            share = 1 / len(parts) if halves else len(part_x) / len(x)
            yield cross_entropy(twin, part_x, part_y, temperature) * share

    g = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for loss in losses():
        for name, grad in gradients(loss, weights).items():
            g[name] += grad
    score = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for loss in losses():
        grads = gradients(loss, weights, create_graph=True)
        along = sum((grads[name] * g[name]).sum() for name in weights)
        for name, hg in gradients(along, weights).items():
            score[name] += weights[name].detach() * hg
    turn = 1.0 if sign == "fixed" else -1.0
    return {name: turn * each.detach() for name, each in score.items()}


def _check_temperature(temperature: float) -> None:
    """Refuse what cannot divide logits.

    Raises:
        TypeError: it is no real number.
        ValueError: it is not positive and finite.
    """
    if isinstance(temperature, bool) or not isinstance(temperature, Real):
        raise TypeError(f"temperature: expected a number > 0, got {temperature!r}")
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature: expected a finite number > 0, got {temperature!r}"
        )


def _class_halves(x: Tensor, y: Tensor) -> list[Batch]:
    """Sort samples by label and cut them in two."""
    order, half = torch.argsort(y, stable=True), len(y) // 2
    if half == 0:
        raise ValueError(f"split: class_halves needs two samples, got {len(y)}")
    return [(x[part], y[part]) for part in (order[:half], order[half:])]
