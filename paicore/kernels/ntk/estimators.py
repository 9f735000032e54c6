"""Random probes for the trace and the distance, each with its standard error."""

import math
from collections.abc import Mapping
from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated
from paicore.kernels.ntk.checks import check_alike, check_count, finite
from paicore.kernels.ntk.operator import Operator, operator
from paicore.kernels.ntk.settings import (
    Options,
    bar,
    full_precision,
    prepare,
    prepare_other,
)

METHODS = ("hutch++", "hutchinson")


class Estimate(NamedTuple):
    """A Monte-Carlo estimate.

    Attributes:
        value: The estimate.
        standard_error: Standard deviation of the estimate, itself estimated.
    """

    value: float
    standard_error: float


@isolated(deterministic=False)
def trace_estimate(
    net: nn.Module,
    x: Tensor,
    *,
    probes: int,
    generator: torch.Generator,
    method: str = "hutch++",
    **options: Unpack[Options],
) -> Estimate:
    r"""Estimate the trace of the tangent kernel from random signs.

    .. math:: \operatorname{tr} K = \mathbb{E} \lVert J^T v \rVert^2
              = \operatorname{tr} Q^T K Q + \mathbb{E} \lVert J^T (1 - Q Q^T) v \rVert^2

    Conventions: "hutchinson" is the first form; "hutch++" the second, Q an orthonormal
    basis of K S for a third of the probes S: that part is exact, and only the rest of
    the spectrum is estimated. Where the first third spans everything, the error is 0.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        probes: Number of products with K (Hutch++) or J^T (Hutchinson); at least 2
            for "hutchinson" and 6 for "hutch++".
        generator: CPU generator of the signs.
        method: "hutch++" or "hutchinson".
        **options: See `paicore.kernels.ntk`.

    Returns:
        `Estimate` of the trace, two floats in logit^2.

    Raises:
        ValueError: the method is unknown; what `gram` refuses, too few probes and a
            missing generator are refused too.

    Cost: Hutchinson one backward pass per probe; Hutch++ one per probe and, for a
    third of them, one through it.

    Accuracy: unbiased. Relative standard error of Hutchinson at most sqrt(2/probes);
    Hutch++ needs about 1/e instead of 1/e^2 probes for the error e. Its standard error
    is that of the random part, from a third of the probes, and too small if these are
    few: at 6 probes 70 % of draws lie within two standard errors, not 95 %.

    Source: Hutchinson (1990); Hutch++: Meyer, Musco, Musco, Woodruff (2021).
    """
    least = {"hutch++": 6, "hutchinson": 2}
    if method not in METHODS:
        raise ValueError(f"method: expected one of {METHODS}, got {method!r}")
    check_count("probes", probes, least[method], f"{method}: ")
    seeds.check(generator)
    engine = operator(prepare(net, x, **options))
    with full_precision():
        if method == "hutchinson":
            found = _energies(engine, _signs(engine, probes, generator))
            return _mean(found)
        return _deflated(engine, probes, generator)


def _deflated(engine: Operator, probes: int, generator) -> Estimate:
    """Hutch++: exact on the sketched subspace, Hutchinson on the rest."""
    shape = (len(engine.problem.x), engine.outputs)
    sketch = _signs(engine, probes // 3, generator)
    images = torch.stack(
        [engine.apply(s) for s in bar(engine.problem, sketch.unbind(), "sketch")]
    )
    basis, _ = torch.linalg.qr(images.flatten(1).T.double())  # (n k, s)
    basis = basis.to(images)
    inside = _energies(engine, basis.T.unflatten(1, shape)).sum()
    if basis.shape[1] >= math.prod(shape):
        return Estimate(float(inside), 0.0)
    rest = _signs(engine, probes - 2 * (probes // 3), generator).flatten(1)
    rest = rest - (rest @ basis) @ basis.T
    outside = _mean(_energies(engine, rest.unflatten(1, shape)))
    return Estimate(float(inside) + outside.value, outside.standard_error)


@isolated(deterministic=False)
def distance_estimate(
    net: nn.Module,
    other: nn.Module,
    x: Tensor,
    x2: Tensor | None = None,
    *,
    probes: int,
    generator: torch.Generator,
    other_masks: Mapping[str, Tensor] | None = None,
    **options: Unpack[Options],
) -> Estimate:
    r"""Estimate the Frobenius distance of two tangent kernels from random signs.

    .. math:: \lVert K - K' \rVert_F^2 = \mathbb{E} \lVert (K - K') v \rVert^2

    Conventions: as in `distance`. The square is unbiased; its root, which is returned,
    is biased low by about half the relative variance, less than its standard error.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        other: Module with as many outputs; left untouched.
        x: Inputs (n, *in_shape).
        x2: Second inputs, or None for x.
        probes: Number of random vectors, at least 2.
        generator: CPU generator of the signs.
        other_masks: Masks of `other`.
        **options: See `paicore.kernels.ntk`.

    Returns:
        `Estimate` of the distance, two floats in logit^2; the error by the delta
        method. Too few probes and whatever `distance` refuses raise its errors.

    Cost: per probe one product with each kernel (`matvec`),
    independent of k.
    """
    check_count("probes", probes, 2)
    seeds.check(generator)
    first = operator(prepare(net, x, x2, **options))
    second = operator(prepare_other(other, x, x2, other_masks, options))
    check_alike(first.outputs, second.outputs)
    signs = _signs(first, probes, generator)
    with full_precision():
        squares = torch.stack([
            (first.apply(v) - second.apply(v)).square().sum()
            for v in bar(first.problem, signs.unbind(), "distance")
        ])  # fmt: skip
    squared = _mean(squares)
    value = math.sqrt(squared.value)
    error = squared.standard_error / (2 * value) if value else 0.0
    return Estimate(value, error)


def _signs(engine: Operator, probes: int, generator: torch.Generator) -> Tensor:
    """Draw random signs (probes, n2, k) on the CPU and move them."""
    problem = engine.problem
    x = problem.x if problem.x2 is None else problem.x2
    shape = (probes, len(x), engine.outputs)
    bits = torch.randint(0, 2, shape, generator=generator, device="cpu")
    return (2 * bits - 1).to(x)


def _energies(engine: Operator, vectors: Tensor) -> Tensor:
    """Return the squared norm of J^T v for each vector (r, n, k)."""
    x = engine.problem.x
    return torch.stack([
        sum(part.square().sum() for part in engine.back(x, v).values())
        for v in bar(engine.problem, vectors.unbind(), "probes")
    ])  # fmt: skip


def _mean(values: Tensor) -> Estimate:
    """Return the mean of samples with its standard error."""
    values = finite(values.detach().double())
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))
