"""NTK-SAP: how much a connection moves the trace of the tangent kernel."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from paicore.forward import isolated, prunable
from paicore.forward.private import like
from paicore.scores.loss import Batch
from paicore.scores.ntk_sap_branches import TwoBranches, full_precision
from paicore.scores.ntk_sap_draws import (
    Settings,
    check_generator,
    draws,
    grouped,
    stack_size,
)


def ntk_sap(
    net: nn.Module,
    masks,
    batch: Batch,
    *,
    generator: torch.Generator,
    estimator: str = "fd",
    epsilon: float = 1e-4,
    repeats: int = 5,
    batch_size: int = 256,
    weights: str = "redrawn",
    init: str | tuple = "he",
    inputs: str = "noise",
    batch_norm: str = "frozen",
    statistics: str = "separate",
    stacked: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each connection by its effect on the output change under perturbation.

    .. math:: s_j = \Big| m_j \, \partial_{m_j} \sum_i D_i \Big|, \qquad
              D_i = \| f(z_i; \theta_i \odot m)
                  - f(z_i; (\theta_i + \Delta_i) \odot m) \|^2

    Conventions: f are the raw logits, summed over samples and outputs, divided by
    nothing. Each draw i is one mini-batch: new He weights theta, new Gaussian inputs
    z, one perturbation Delta ~ N(0, epsilon); its first order is epsilon times the
    trace of the NTK. The modulus is taken after the sum over draws. Redrawn weights
    have gamma 1 and beta 0; biases stay the network's. The masks are for the given
    weights, which stay as they are. The masks of one round are set by
    `repeats` and the batch; with 20 rounds accuracy hardly depends on `repeats` from 5
    on, but 1 is worse. The authors' kept counts need count_rule="synflow".

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y); of x only the shape is used, unless inputs="real". The
            authors' has 10 samples per class.
        generator: CPU generator; per draw: weights, inputs, perturbation, each in
            float64.
        estimator: "fd", the finite difference above; "jvp", its limit D / epsilon for
            epsilon to 0, the squared Jacobian-vector product.
        epsilon: Variance of the perturbation of "fd"; the authors' code takes its
            root, 0.01.
        repeats: How often the batch is gone through (R).
        batch_size: Size of the mini-batches, in order.
        weights: "redrawn", or "given": the network's, its gamma and beta too.
        init: How weights are redrawn, as in `paicore.nets.build`.
        inputs: "noise", or "real": those of `batch`.
        batch_norm: "frozen": both branches take the unbiased statistics of the
            unperturbed one, without gradient; "train": each its own, with gradient;
            "eval": the stored ones.
        statistics: "separate" finds those of "frozen" in a forward pass of their own;
            "merged" in the unperturbed branch, which makes the variance biased: not
            the authors' score.
        stacked: Draws that run as one program; None: 1 on a CPU, elsewhere up to 8, as
            long as the inputs are few. More than 1 needs a network that
            `torch.func.vmap` takes; on a CPU it pays for narrow networks and costs for
            ResNet-20.
        dtype: Floating type of the computation; the authors' is float32.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: three forward passes and one backward pass over two branches per draw, about
    7 forward units; two forward passes if merged. Memory of two graphs per stacked
    draw.

    Accuracy: the sum's relative error falls as 1 / sqrt(draws). At epsilon 1e-4 "fd"
    is no estimate of the trace's gradient for ReLU networks, because kinks are
    crossed. Stacked and single draws agree up to rounding.

    Source: Wang et al. (2023), eq. (10) and Algorithm 1; YiteWang/NTK-SAP
    Pruners/pruners.py, where a draw is a mini-batch, not one input.
    """
    found = saliency_sums(
        net, masks, batch, generator=generator, estimator=estimator, epsilon=epsilon,
        repeats=repeats, batch_size=batch_size, weights=weights, init=init,
        inputs=inputs, batch_norm=batch_norm, statistics=statistics, stacked=stacked,
        dtype=dtype,
    )  # fmt: skip
    return {name: signed.abs() for name, signed in found.signed.items()}


class Sums(NamedTuple):
    """What the draws add up to.

    Attributes:
        signed: name -> sum of ``m_j dD_i/dm_j``, shaped like the weight.
        values: The D_i, (draws,).
    """

    signed: dict[str, Tensor]
    values: Tensor


@isolated
def saliency_sums(
    net: nn.Module, masks, batch: Batch, *, generator: torch.Generator, **options
) -> Sums:
    r"""Return the signed sums behind `ntk_sap`, and the output change of each draw.

    Conventions: for a bias-free sequential ReLU network without batch norm each
    layer's signed sum is 2 sum_i D_i, at any epsilon; a layer before batch norm in
    mode "train" has sum 0.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor.
        batch: Pair (x, y).
        generator: CPU generator.
        **options: As in `ntk_sap`.

    Returns:
        Signed sums and values.

    Raises:
        ValueError: an output change is not finite.
    """
    settings = Settings(**options)
    check_generator(generator)
    device = next(iter(prunable(net).values())).device
    size = stack_size(settings, batch[0], device)
    branches = TwoBranches(net, masks, settings, size)
    kept = {name: masks[name].to(w.device) for name, w in branches.weights.items()}
    x = like(batch[0], branches.twin)
    signed = {name: torch.zeros_like(w) for name, w in branches.weights.items()}
    values = []
    with full_precision():
        found = draws(branches.weights, kept, x, settings, generator)
        for group in grouped(found, size):
            parts, value = branches.signed(group)
            values.append(value)
            for name, part in parts.items():
                signed[name] += part
    changes = torch.cat(values)
    if not torch.isfinite(changes).all():
        raise ValueError(
            f"net: the logits' change holds NaN or infinity in {settings.dtype}"
        )
    return Sums(signed, changes)
