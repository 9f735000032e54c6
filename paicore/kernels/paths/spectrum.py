r"""The spectrum of the Path Kernel without its paths.

Pi = J J^T has as many rows as there are paths, G = J^T J as many as parameters, and
both have the same eigenvalues but for zeros. No parameter is on a path twice, so R_2
is linear in each s_i = theta_i^2 and

.. math:: G_{ii} = \partial R_2 / \partial s_i, \qquad
          G_{ij} = \theta_i \theta_j \, \partial^2 R_2 / \partial s_i \partial s_j ,

.. math:: G v = (\partial R_2 / \partial s) \odot v
                + \theta \odot H_s (\theta \odot v).

Vectors run over the parameters in the order of ``net.named_parameters()``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated
from paicore.kernels.paths.problem import check_vector, prepare
from paicore.kernels.paths.products import Operator, dense, flat, operator

SMALL = 64  # up to here all eigenvalues cost less than a Lanczos run


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues in falling order with their residual norms.

    Attributes:
        values: float64 (m,).
        residuals: Norms of G u - value * u for the unit eigenvectors found, (m,); some
            eigenvalue of G lies within each.
    """

    values: Tensor
    residuals: Tensor


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error, 0 if it is exact."""

    value: float
    standard_error: float


@isolated
def matvec(
    net: nn.Module,
    in_shape: tuple[int, ...],
    vector: Mapping[str, Tensor],
    *,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
    bias: str = "keep",
) -> dict[str, Tensor]:
    """Multiply a vector of parameter changes by G, the Path Kernel of parameters.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        vector: name -> tensor shaped like the parameter, for all names of `params`.
        masks: name -> bool tensor; pruned weights are no edges, and their entries
            count as 0.
        params: "trainable" or "prunable", as in `trace`.
        bias: As in `edge_sums`.

    Returns:
        dict name -> float64 tensor, 0 at pruned weights.

    Raises:
        ValueError: names or shapes of `vector` do not fit; NaN and what `trace`
            refuses are refused too.

    Cost: one Hessian-vector product: one forward and three backward passes for one
    input.
    """
    check_vector(vector)
    kernel = operator(prepare(net, in_shape, masks, bias), params)
    given = {name: tuple(each.shape) for name, each in vector.items()}
    wanted = {name: tuple(shape) for name, shape in kernel.shapes.items()}
    if given != wanted:
        raise ValueError(f"vector: expected names and shapes {wanted}, got {given}")
    v = flat({name: vector[name] for name in wanted}).to(kernel.alive.device)
    alive = kernel.alive
    product = torch.zeros(len(alive), dtype=torch.float64, device=alive.device)
    product[alive] = kernel.apply(v.double()[alive])
    sizes = [shape.numel() for shape in kernel.shapes.values()]
    parts = zip(kernel.shapes.items(), product.split(sizes), strict=True)
    return {name: part.view(shape) for (name, shape), part in parts}


@isolated
def gram(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
    bias: str = "keep",
) -> Tensor:
    """Return G over the surviving parameters, for small networks.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; pruned weights have no row.
        params: "trainable" or "prunable", as in `trace`.
        bias: As in `edge_sums`.

    Returns:
        Tensor (m, m), symmetric, positive semidefinite.

    Cost: m Hessian-vector products; 8 m^2 bytes.
    """
    return dense(operator(prepare(net, in_shape, masks, bias), params))


@isolated
def eigenvalues(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    top: int | None = None,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
    bias: str = "keep",
    generator: torch.Generator | None = None,
) -> Eigenvalues:
    """Return the largest eigenvalues of the Path Kernel.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        top: How many; None for one per surviving parameter, by the dense G.
        masks: name -> bool tensor; pruned weights are no edges.
        params: "trainable" or "prunable", as in `trace`.
        bias: As in `edge_sums`.
        generator: Source of the starting vector; None for a fixed one.

    Returns:
        Eigenvalues.

    Raises:
        ValueError: `top` is no positive int, or more than there are parameters.

    Cost: Lanczos (ARPACK), about 20 to 100 Hessian-vector products for a few; with
    all or nearly all, or up to 64 parameters, as `gram` plus m^3.

    Accuracy: Lanczos runs to rounding; `residuals` bound the error.
    """
    if generator is not None:
        seeds.check(generator)
    kernel = operator(prepare(net, in_shape, masks, bias), params)
    m = int(kernel.alive.sum())
    number = isinstance(top, int) and not isinstance(top, bool)
    if top is not None and not (number and 1 <= top <= m):
        raise ValueError(f"top: expected an int from 1 to {m}, got {top!r}")
    if top is None or m <= SMALL or top > m // 2:
        whole = dense(kernel)
        values, vectors = torch.linalg.eigh(whole)
        values, vectors = values.flip(0)[:top], vectors.flip(1)[:, :top]
        return Eigenvalues(values, (whole @ vectors - vectors * values).norm(dim=0))
    return _lanczos(kernel, m, top, generator)


def _lanczos(
    kernel: Operator, m: int, top: int, generator: torch.Generator | None
) -> Eigenvalues:
    """Run ARPACK on the operator and measure what it found."""
    device = kernel.alive.device
    if not kernel.diagonal.any():  # ARPACK has no vector to begin with
        zeros = torch.zeros(top, dtype=torch.float64, device=device)
        return Eigenvalues(zeros, zeros.clone())

    def apply(v: np.ndarray) -> np.ndarray:
        given = torch.as_tensor(v.ravel(), dtype=torch.float64, device=device)
        return kernel.apply(given).cpu().numpy()

    generator = generator or seeds.generator(0, "paths", "lanczos")
    start = torch.randn(m, generator=generator, dtype=torch.float64,
                        device="cpu").numpy()  # fmt: skip
    linear = LinearOperator((m, m), matvec=apply, dtype=np.float64)
    values, vectors = eigsh(linear, k=top, which="LA", v0=start)
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    left = [apply(u) - value * u for value, u in zip(values, vectors.T, strict=True)]
    residuals = np.linalg.norm(np.array(left), axis=1)
    found = (torch.tensor(each, device=device) for each in (values, residuals))
    return Eigenvalues(*found)


@isolated
def frobenius(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    probes: int | None = None,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
    bias: str = "keep",
    generator: torch.Generator | None = None,
) -> Estimate:
    r"""Frobenius norm of the Path Kernel.

    .. math:: \|\Pi\|_F^2 = \|G\|_F^2 = \mathbb E_z \|G z\|^2, \qquad z_i = \pm 1

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        probes: Number >= 2 of random vectors z; None for the exact norm.
        masks: name -> bool tensor; pruned weights are no edges.
        params: "trainable" or "prunable", as in `trace`.
        bias: As in `edge_sums`.
        generator: CPU source of the probes; required with them.

    Returns:
        Estimate.

    Raises:
        ValueError: `probes` is no int >= 2, or comes without a generator.

    Cost: one Hessian-vector product per probe; exact: one per parameter, as `gram`.

    Accuracy: the square is unbiased; `standard_error` is that of its mean over the
    probes, carried to the root to first order.
    """
    if generator is not None:
        seeds.check(generator)
    kernel = operator(prepare(net, in_shape, masks, bias), params)
    if probes is None:
        return Estimate(float(dense(kernel).norm()), 0.0)
    if isinstance(probes, bool) or not isinstance(probes, int) or probes < 2:
        raise ValueError(f"probes: expected an int >= 2 or None, got {probes!r}")
    if generator is None:
        raise ValueError("generator: random probes need one, got None")
    m, device = int(kernel.alive.sum()), kernel.alive.device
    squares = torch.empty(probes, dtype=torch.float64, device="cpu")
    for i in range(probes):
        z = torch.randint(2, (m,), generator=generator, device="cpu").double() * 2 - 1
        squares[i] = kernel.apply(z.to(device)).square().sum()
    root = float(squares.mean()) ** 0.5
    spread = float(squares.std()) / probes**0.5
    return Estimate(root, spread / (2 * root) if root else 0.0)
