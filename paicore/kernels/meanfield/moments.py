r"""Gaussian moments of an activation: the integrals that every recursion is made of.

Conventions: U and V are centred normal with variances q (or qa, qb) and correlation
1 - gap. Scalars and arrays are taken and broadcast. Activations with a closed form use
it; the others are integrated by `quadrature`, one pair at a time.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from paicore.kernels.meanfield.activations import Activation, activation
from paicore.kernels.meanfield.quadrature import expectation, pair_expectation

Phi = str | Activation


def variances(name: str, q: ArrayLike) -> np.ndarray:
    """Return `q` as an array, refusing what is no variance.

    Raises:
        ValueError: An entry is negative or not finite.
    """
    values = np.asarray(q, dtype=float)
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"{name}: expected finite numbers of at least 0, got {q!r}")
    return values


def gaps(gap: ArrayLike) -> np.ndarray:
    """Return `gap` as an array, refusing what is no 1 - correlation.

    Raises:
        ValueError: An entry lies outside [0, 2].
    """
    values = np.asarray(gap, dtype=float)
    if not np.all((values >= 0) & (values <= 2)):
        raise ValueError(f"gap: expected 1 - correlation in [0, 2], got {gap!r}")
    return values


def _each(function: Callable[..., float], *arguments: np.ndarray):
    """Apply a scalar function to broadcast arrays; a scalar comes back as one."""
    return np.vectorize(function, otypes=[float])(*arguments)[()]


def _squared(phi: Activation, form: str, function: Callable, q: ArrayLike):
    """Return E[function(U)^2], by the closed form called `form` if there is one."""
    q = variances("q", q)
    if form in phi.closed:
        return phi.closed[form](q)[()]
    return _each(lambda v: expectation(lambda u: function(u) ** 2, v), q)


def second_moment(phi: Phi, q: ArrayLike):
    r"""Return E[phi(U)^2].

    Args:
        phi: Name or Activation.
        q: Variance of U, >= 0; scalar or array.

    Returns:
        Number or array of the shape of `q`.

    Accuracy: closed form, or quadrature to about 1e-14 relative.
    """
    phi = activation(phi)
    return _squared(phi, "second", phi.value, q)


def slope_moment(phi: Phi, q: ArrayLike):
    r"""Return E[phi'(U)^2]; times sigma_w^2 it is chi. Arguments: `second_moment`.

    Conventions: at q = 0 the mean of the two one-sided slopes squared, the limit.

    Returns:
        The moment, of the shape of `q`.
    """
    phi = activation(phi)
    q = variances("q", q)
    limit = (phi.slopes[0] ** 2 + phi.slopes[1] ** 2) / 2
    values = _squared(phi, "slope", phi.derivative, np.where(q > 0, q, 1.0))
    return np.where(q > 0, values, limit)[()]


def curvature_moment(phi: Phi, q: ArrayLike):
    r"""Return E[phi''(U)^2]. Arguments: `second_moment`.

    Returns:
        The moment, of the shape of `q`.

    Raises:
        ValueError: phi' jumps at zero, so that the moment is infinite.
    """
    phi = activation(phi)
    if phi.jump:
        raise ValueError(f"phi: the slope of {phi.name} jumps at 0; E[phi''^2] is "
                         "infinite")  # fmt: skip
    return _squared(phi, "curvature", phi.curvature, q)


def growth_moment(phi: Phi, q: float) -> float:
    r"""Return dE[phi(U)^2]/dq = E[U phi(U) phi'(U)] / q, for q > 0."""
    phi = activation(phi)
    return expectation(lambda u: u * phi.value(u) * phi.derivative(u), q) / q


def covariance(phi: Phi, qa: ArrayLike, qb: ArrayLike, gap: ArrayLike):
    r"""Return E[phi(U) phi(V)], not centred.

    Args:
        phi: Name or Activation.
        qa: Variance of U.
        qb: Variance of V.
        gap: 1 - correlation, in [0, 2]; all three broadcast.

    Returns:
        Number or array of the broadcast shape.

    Cost: closed form for ReLU, leaky ReLU, erf, identity; about a millisecond per pair
    for the others.
    """
    return _paired(activation(phi), "covariance", "value", qa, qb, gap)


def slope_covariance(phi: Phi, qa: ArrayLike, qb: ArrayLike, gap: ArrayLike):
    r"""Return E[phi'(U) phi'(V)]. Arguments and cost: `covariance`.

    Returns:
        The moment, of the broadcast shape.
    """
    return _paired(activation(phi), "slope_covariance", "derivative", qa, qb, gap)


def _paired(phi: Activation, form: str, part: str, qa, qb, gap):
    """Return E[f(U) f(V)] for f the value or the derivative of phi."""
    qa, qb, gap = variances("qa", qa), variances("qb", qb), gaps(gap)
    if form in phi.closed:
        return np.asarray(phi.closed[form](qa, qb, gap))[()]
    f = getattr(phi, part)
    return _each(
        lambda a, b, g: pair_expectation(lambda u, v: f(u) * f(v), (a, b), g),
        qa, qb, gap,
    )  # fmt: skip


def difference(phi: Phi, q: ArrayLike, gap: ArrayLike):
    r"""Return E[(phi(U) - phi(V))^2] / 2 = E[phi(U)^2] - E[phi(U) phi(V)].

    Conventions: both variances are q. Integrated as the square it is, so that it keeps
    its digits when gap is tiny.

    Args:
        phi: Name or Activation.
        q: Variance of U and of V.
        gap: 1 - correlation.

    Returns:
        Number or array of the broadcast shape.
    """
    phi = activation(phi)
    q, gap = variances("q", q), gaps(gap)
    if "difference" in phi.closed:
        return np.asarray(phi.closed["difference"](q, gap))[()]

    def half_square(u, v):
        return (phi.value(u) - phi.value(v)) ** 2 / 2

    return _each(lambda v, g: pair_expectation(half_square, (v, v), g), q, gap)
