"""The Gram of the tangent kernel, and the norms that are read off its blocks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Unpack

from torch import Tensor, nn

from paicore.forward import isolated
from paicore.kernels.ntk.blocks import blocks, evenly, source, step_of
from paicore.kernels.ntk.checks import check_alike, check_outputs, finite
from paicore.kernels.ntk.contract import public
from paicore.kernels.ntk.settings import (
    Options,
    Problem,
    bar,
    full_precision,
    prepare,
    prepare_other,
)


@isolated(deterministic=False)
def gram(
    net: nn.Module,
    x: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: str = "full",
    **options: Unpack[Options],
) -> Tensor:
    r"""Return the empirical tangent kernel of a network, exactly.

    .. math:: K_{nn'cc'} = \sum_j m_j \,
              \partial_j f_c(x_n) \, \partial_j f_{c'}(x'_{n'})

    Conventions: J is the Jacobian of the raw logits at m * theta whenever masks are
    given; dropout is off. The sum runs over surviving weights (tangent "masked") or all
    weights ("ambient"), and over biases and batch-norm parameters unless
    params="prunable". Nothing is divided by n or k. The meaning of `batch_norm` and of
    all other keywords stands in `paicore.kernels.ntk`. Their defaults: masks=None,
    tangent="masked", batch_norm=None (no default where there is batch norm),
    params="trainable", stats_from=None, dtype=torch.float64, at=None, max_bytes=1 GiB,
    progress=None.

    With batch norm and batch_norm="frozen" the statistics are those of x, or of x and
    x2 together. K(x, x) and K(x2, x) of two calls then belong to two different
    functions: to use both, give ``stats_from=x_train`` to each.

    With `at`, a mapping name -> tensor as from ``net.named_parameters()``, the kernel
    is that of the network with these parameters, and it can be differentiated in
    them: exactly, for smooth activations too. Pruned weights get the gradient zero;
    statistics of "frozen" are taken at these values and held constant.
    The graph of the whole call is then kept, whatever `max_bytes` says.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        x2: Inputs (n2, *in_shape); None means x, and uses the symmetry.
        outputs: "full"; "class" for c = c' only; "sum" for the sum of that over c.
        **options: See `paicore.kernels.ntk`.

    Returns:
        Tensor (n, n2, k, k), (n, n2, k) or (n, n2), in logit^2.

    Cost: n k backward signals and one product of (n k, P) with its transpose, less
    where layers have one position (see `plan.py`). Working memory about `max_bytes`
    beside the result; a smaller bound means more recomputation, never another result.
    With batch norm in train mode n k whole backward passes.
    A ResNet-20 at N = 1,024, float32, one CPU thread at 190 GFLOP/s, is one call:
    ``gram(net, x, batch_norm="eval", dtype=None, max_bytes=8 << 30, progress=True)``
    takes about 4 minutes, as all samples' signals fit (3.8 MB each); with the default
    bound it cuts them into 15 blocks, computes signals 8 times, and takes about 9. The
    result is 0.4 GB. In float64 time and memory double. (From the times at N = 64 and
    128: 38 ms per sample and 0.19 ms per pair.) On a GPU the call is the same.

    Accuracy: rounding; 1e-10 relative to the largest entry in float64.

    Source: the NTK of Jacot et al. (2018) at finite width; the layerwise form as in
    Novak et al. (2022). Differs from fmi-basel/neural-tangent-transfer
    nt_transfer/ntt.py, whose kernel of a masked network is tangent="ambient".
    """
    check_outputs(outputs)
    problem = prepare(net, x, x2, **options)
    with full_precision():
        return finite(_assembled(problem, outputs))


def _assembled(problem: Problem, outputs: str) -> Tensor:
    """Put the blocks of the kernel together."""
    n = len(problem.x)
    n2 = n if problem.x2 is None else len(problem.x2)
    begun = source(problem)
    found = blocks(problem, outputs, begun, step_of(problem, begun))
    whole = None
    for (a, b), (c, d), block in found:
        part = public(block, outputs)
        if part.shape[:2] == (n, n2):
            return part.contiguous()
        if whole is None:
            whole = part.new_empty(n, n2, *part.shape[2:])
        whole[a:b, c:d] = part
        if problem.x2 is None and a != c:
            below = part.transpose(0, 1)
            whole[c:d, a:b] = below.transpose(2, 3) if outputs == "full" else below
    return whole


@isolated(deterministic=False)
def trace(
    net: nn.Module, x: Tensor, *, outputs: str = "full", **options: Unpack[Options]
) -> Tensor:
    r"""Return the trace of the tangent kernel, the squared norm of its Jacobian.

    .. math:: \operatorname{tr} K = \sum_n \sum_c \lVert J_{nc} \rVert^2

    Conventions: as in `gram`; no division by n or k.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        outputs: "full" and "sum" give the same number; "class" one per class.
        **options: See `paicore.kernels.ntk`.

    Returns:
        Scalar, or (k,) for "class", in logit^2. What `gram` refuses raises its errors.

    Cost: n k backward signals and the columns of J; no product, no Gram.
    """
    check_outputs(outputs)
    problem = prepare(net, x, **options)
    with full_precision():
        begun = source(problem, diagonal=True)
        step = step_of(problem, begun)
        total = 0
        for start, stop in bar(problem, evenly(0, len(x), step), "trace"):
            forms = begun.forms(start, stop)
            total = total + sum(form.diagonal() for form in forms).sum(0)  # (k,)
    return finite(total if outputs == "class" else total.sum())


@isolated(deterministic=False)
def frobenius(
    net: nn.Module,
    x: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: str = "full",
    **options: Unpack[Options],
) -> Tensor:
    """Return the Frobenius norm of the tangent kernel, block by block.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        x2: Second inputs, or None for x.
        outputs: As in `gram`; "class" gives one norm per class.
        **options: See `paicore.kernels.ntk`.

    Returns:
        Scalar, or (k,) for "class", in logit^2. What `gram` refuses raises its errors.

    Cost: that of `gram`, without holding it.
    """
    check_outputs(outputs)
    problem = prepare(net, x, x2, **options)
    with full_precision():
        begun = source(problem)
        found = blocks(problem, outputs, begun, step_of(problem, begun))
        total = sum(_squared(problem, *each, outputs) for each in found)
    return finite(total.sqrt())


@isolated(deterministic=False)
def distance(
    net: nn.Module,
    other: nn.Module,
    x: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: str = "full",
    other_masks: Mapping[str, Tensor] | None = None,
    relative: bool = False,
    **options: Unpack[Options],
) -> Tensor:
    r"""Return the Frobenius distance of two networks' tangent kernels.

    .. math:: \lVert K - K^{\mathrm{other}} \rVert_F

    Conventions: `masks`, and `at`, belong to `net`; `other_masks` to `other`, which is
    dense without them. All other options hold for both. Neural Tangent Transfer's
    loss divides the square by the number of entries, n n2 k^2.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        other: Module with as many outputs, say the dense teacher; left untouched.
        x: Inputs (n, *in_shape).
        x2: Second inputs, or None for x.
        outputs: As in `gram`; "class" gives one distance per class.
        other_masks: Masks of `other`.
        relative: Whether to divide by the norm of the other kernel.
        **options: See `paicore.kernels.ntk`.

    Returns:
        Scalar, or (k,) for "class", in logit^2; a share with `relative`.

    Raises:
        ValueError: the other kernel is zero with `relative`. Networks with different
            numbers of outputs and what `gram` refuses are refused too.

    Cost: two times that of `gram`, without holding either.
    """
    check_outputs(outputs)
    pair = [prepare(net, x, x2, **options)]
    pair.append(prepare_other(other, x, x2, other_masks, options))
    pair = [replace(each, max_bytes=max(each.max_bytes // 2, 1)) for each in pair]
    with full_precision():
        begun = [source(each) for each in pair]
        check_alike(begun[0].outputs, begun[1].outputs)
        step = min(map(step_of, pair, begun))
        both = [
            blocks(problem, outputs, each, step)
            for problem, each in zip(pair, begun, strict=True)
        ]
        apart, norm = 0, 0
        for (left, right, block), (_, _, block2) in zip(*both, strict=True):
            gap = block - block2.to(block)
            apart = apart + _squared(pair[0], left, right, gap, outputs)
            norm = norm + _squared(pair[0], left, right, block2, outputs)
    if relative and bool((norm == 0).any()):
        raise ValueError("relative: the other kernel is zero, nothing to divide by")
    return finite((apart / norm).sqrt() if relative else apart.sqrt())


def _squared(problem: Problem, left, right, block: Tensor, outputs: str) -> Tensor:
    """Return the squared norm that a block stands for: its mirror image counts."""
    square = block.square().sum((1, 2)) if outputs == "class" else block.square().sum()
    return square * (2 if problem.x2 is None and left != right else 1)
