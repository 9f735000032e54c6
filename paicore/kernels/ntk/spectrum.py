"""Eigenvalues of the tangent kernel: all of them, or the extreme ones by Lanczos."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated
from paicore.kernels.ntk.checks import check_count, check_outputs
from paicore.kernels.ntk.gram import gram
from paicore.kernels.ntk.operator import Operator, operator
from paicore.kernels.ntk.settings import Options, full_precision, prepare

TOLERANCE = 1e-9  # residual norm relative to the largest eigenvalue


class Extremes(NamedTuple):
    """Eigenvalues from block Lanczos.

    Attributes:
        values: Eigenvalues, falling, float64.
        residuals: Norm of K u - value u for each, u a unit vector; an eigenvalue of K
            lies within this distance.
        products: Number of products with K that were taken.
    """

    values: Tensor
    residuals: Tensor
    products: int


@isolated(deterministic=False)
def eigenvalues(
    net: nn.Module,
    x: Tensor,
    *,
    top: int | None = None,
    outputs: str = "full",
    **options: Unpack[Options],
) -> Tensor:
    """Return the eigenvalues of the tangent kernel K(x, x), in falling order.

    Conventions: always float64, also for a kernel computed in float32; of the kernel as
    it is, not divided by n. Zero eigenvalues come out as rounding, of either sign.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        top: None for all eigenvalues, from the Gram; or how many of the largest, by
            Lanczos, without the Gram.
        outputs: "full" for the (n k, n k) matrix, "class" for each class's own
            (n, n) matrix, "sum" for the sum of those.
        **options: See `paicore.kernels.ntk`.

    Returns:
        float64 tensor (n k,), (k, n) or (n,), in logit^2; with `top` the last axis has
        that length. A dtype below float32 and what `gram` refuses raise ValueError.

    Cost: `gram` and one eigendecomposition, (n k)^3; with `top` see `lanczos`.

    Accuracy: with `top`, residual norms are at most 1e-9 of the largest eigenvalue.
    """
    if top is not None:
        check_count("top", top, 1)
        start = seeds.generator(0, "ntk", "lanczos")
        found = lanczos(net, x, top=top, outputs=outputs, generator=start, **options)
        if outputs != "class":
            return found.values
        return torch.stack([each.values for each in found])
    kernel = gram(net, x, outputs=check_outputs(outputs), **options).detach()
    _check_precision(kernel.dtype)
    kernel = kernel.double()
    if outputs == "full":
        n, _, k, _ = kernel.shape
        kernel = kernel.transpose(1, 2).reshape(n * k, n * k)
    elif outputs == "class":
        kernel = kernel.permute(2, 0, 1)
    return torch.linalg.eigvalsh(kernel).flip(-1)


@isolated(deterministic=False)
def lanczos(
    net: nn.Module,
    x: Tensor,
    *,
    top: int = 1,
    bottom: int = 0,
    generator: torch.Generator,
    outputs: str = "full",
    tolerance: float = TOLERANCE,
    steps: int | None = None,
    **options: Unpack[Options],
) -> Extremes | list[Extremes]:
    r"""Return extreme eigenvalues of the tangent kernel with their residual norms.

    .. math:: V^T K V s = \lambda s, \quad u = V s, \qquad
              r = \lVert K u - \lambda u \rVert

    Conventions: V is an orthonormal basis of the block Krylov space of max(top, bottom)
    random vectors, so that repeated eigenvalues are found too: the kernels of sparse
    networks have them. Every vector is orthogonalised twice against all before it; what
    is dependent is replaced at random.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        top: How many of the largest eigenvalues.
        bottom: How many of the smallest; they converge slowly.
        generator: CPU generator of the starting vectors.
        outputs: "full", "sum", or "class" for a list with one result per class.
        tolerance: Stop when all residuals are below this part of the largest value;
            at least 100 times the rounding of the dtype.
        steps: At most this many products with K, at least top + bottom; None: up to
            the size of K.
        **options: See `paicore.kernels.ntk`.

    Returns:
        `Extremes` in logit^2, or a list of k of them for "class".

    Raises:
        ValueError: more eigenvalues are asked for than there are. Fewer steps than
            eigenvalues, a dtype below float32 and what `gram` refuses are refused too.

    Cost: products with K (`matvec`; k of them each for "sum"), and two passes over the
    vectors so far, n k numbers each, per product.

    Source: Lanczos (1950); the block form as in Golub and Underwood (1977).
    """
    check_outputs(outputs)
    seeds.check(generator)
    check_count("top", top, 0)
    check_count("bottom", bottom, 0)
    engine = operator(prepare(net, x, **options))
    n, k = len(x), engine.outputs
    size = n * k if outputs == "full" else n
    if not 0 < top + bottom <= size or min(top, bottom) < 0:
        raise ValueError(f"top: expected 1 to {size} eigenvalues together with bottom, "
                         f"got {top} and {bottom}")  # fmt: skip
    if steps is not None:
        check_count("steps", steps, top + bottom)
    dtype, device = engine.problem.x.dtype, engine.problem.x.device
    _check_precision(dtype)
    tolerance = max(_positive(tolerance), 100 * torch.finfo(dtype).eps)
    run = partial(extremes, size=size, top=top, bottom=bottom, generator=generator,
                  tolerance=tolerance, steps=steps, device=device)  # fmt: skip
    with full_precision():
        found = [run(apply) for apply in _products(engine, outputs, n, k)]
    return found if outputs == "class" else found[0]


def _check_precision(dtype: torch.dtype) -> None:
    """Refuse dtypes whose rounding hides the eigenvalues."""
    if torch.finfo(dtype).eps > torch.finfo(torch.float32).eps:
        raise ValueError(f"dtype: eigenvalues need float32 or float64, got {dtype}")


def _positive(tolerance: float) -> float:
    """Return the tolerance, or refuse it."""
    if not isinstance(tolerance, (int, float)) or not tolerance > 0:
        raise ValueError(f"tolerance: expected a number > 0, got {tolerance!r}")
    return tolerance


def _products(engine: Operator, outputs: str, n: int, k: int) -> list[Callable]:
    """Return v -> K v on flat float64 vectors: one, or one per class."""

    def full(v: Tensor) -> Tensor:
        return engine.apply(v.view(n, k).to(engine.problem.x)).flatten().double()

    def of_class(c: int) -> Callable:
        def product(v: Tensor) -> Tensor:
            padded = v.new_zeros(n, k)
            padded[:, c] = v
            return full(padded).view(n, k)[:, c]

        return product

    if outputs == "full":
        return [full]
    each = [of_class(c) for c in range(k)]
    return each if outputs == "class" else [lambda v: sum(f(v) for f in each)]


def extremes(
    apply: Callable[[Tensor], Tensor], *, size: int, top: int, bottom: int,
    generator: torch.Generator, tolerance: float, steps: int | None, device,
) -> Extremes:  # fmt: skip
    """Run block Lanczos on a symmetric operator of a given size; see `lanczos`."""
    block = torch.zeros(size, max(top, bottom), dtype=torch.float64, device=device)
    basis = images = block[:, :0]
    limit = min(size, steps or size)
    while True:
        fresh = orthonormal(block[:, : limit - basis.shape[1]], basis, generator)
        block = torch.stack([apply(vector) for vector in fresh.T], 1)
        basis, images = torch.cat([basis, fresh], 1), torch.cat([images, block], 1)
        count = basis.shape[1]
        if count < top + bottom:
            continue
        small = basis.T @ images
        values, modes = torch.linalg.eigh((small + small.T) / 2)  # rising
        chosen = [*range(count - 1, count - 1 - top, -1), *range(bottom - 1, -1, -1)]
        values, modes = values[chosen], modes[:, chosen]
        residuals = (images @ modes - basis @ modes * values).norm(dim=0)
        enough = bool((residuals <= tolerance * values.abs().max()).all())
        if enough or count >= limit:
            return Extremes(values, residuals, count)


def orthonormal(block: Tensor, basis: Tensor, generator: torch.Generator) -> Tensor:
    """Return unit vectors, orthogonal to a basis and each other, that span a block.

    Args:
        block: Vectors (size, b); what is dependent is replaced at random.
        basis: Orthonormal vectors (size, m).
        generator: CPU generator of the replacements.

    Returns:
        Tensor (size, b).
    """
    known = basis
    for vector in block.T:
        length = vector.norm()
        vector = _projected(vector, known)
        while vector.norm() <= 1e-10 * length:
            draw = torch.randn(len(basis), generator=generator, dtype=torch.float64,
                               device="cpu")  # fmt: skip
            length = draw.norm().to(basis)
            vector = _projected(draw.to(basis), known)
        known = torch.cat([known, (vector / vector.norm()).unsqueeze(1)], 1)
    return known[:, basis.shape[1] :]


def _projected(vector: Tensor, basis: Tensor) -> Tensor:
    """Remove the components along a basis, twice, so that rounding does not count."""
    for _ in range(2):
        vector = vector - basis @ (basis.T @ vector)
    return vector
