r"""Fixed points of the variance map, chi, and the edge of chaos.

The edge of chaos is the set of (sigma_b, sigma_w) with chi = 1 at a stable fixed point
q. It is found through q: chi = 1 settles sigma_w, the fixed-point equation sigma_b, and
q is chosen so that sigma_b is the wanted one. A root found so need not be stable: for
GELU it is not below sigma_b of about 0.42, where no variance stays near it.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import brentq

from paicore.kernels.meanfield import moments
from paicore.kernels.meanfield.activations import Activation, activation
from paicore.kernels.meanfield.maps import scale, variance_map
from paicore.kernels.meanfield.moments import Phi
from paicore.kernels.meanfield.quadrature import LARGEST as FARTHEST

LARGEST = 1e6  # a variance that grows beyond counts as divergence
SMALLEST = 1e-12  # and one below as zero
STEP = 1.25  # of the search for a bracket
MARGIN = 1e-9  # a slope of one up to this is neutral, not unstable
TOLERANCE = 4 * np.finfo(float).eps


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of the variance map.

    Attributes:
        q: The variance.
        chi: sigma_w^2 E[phi'^2] there: below 1 ordered, above 1 chaotic.
        slope: Derivative of the variance map at q; 1 is neutral.
    """

    q: float
    chi: float
    slope: float


@dataclass(frozen=True)
class EdgeOfChaos:
    """A point of the edge of chaos: chi = 1 at the stable variance q."""

    sigma_w: float
    sigma_b: float
    q: float


def variance_slope(phi: Phi, q: float, sigma_w: float) -> float:
    r"""Return V'(q), the derivative of the variance map.

    .. math:: V'(q) = \sigma_w^2 \, E[\sqrt q Z \phi(\sqrt q Z) \phi'(\sqrt q Z)] / q

    Args:
        phi: Name or Activation.
        q: Variance; at 0 the limit is taken.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).

    Returns:
        The derivative, a number.
    """
    q, sigma_w = scale("q", q), scale("sigma_w", sigma_w)
    if q < SMALLEST:  # smooth, or bent at zero: phi is linear on either side
        return float(sigma_w**2 * moments.slope_moment(phi, 0.0))
    return float(sigma_w**2 * moments.growth_moment(phi, q))


def fixed_point(
    phi: Phi, sigma_w: float, sigma_b: float, *, start: float = 1.0
) -> FixedPoint:
    r"""Return the variance that iterating the variance map from `start` tends to.

    .. math:: q = \sigma_b^2 + \sigma_w^2 E[\phi(\sqrt q Z)^2]

    Conventions: bracketed in the direction in which the map moves `start`, with a look
    for two roots between (a stable and an unstable one that are about to meet, as GELU
    has them), then solved by Brent's method, so that slow convergence (tanh at
    sigma_b = 0, sigma_w = 1 goes to zero like 1/l) costs nothing. ReLU at (sqrt(2), 0)
    keeps every variance: `start` comes back, with slope 1.

    Args:
        phi: Name or Activation.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.
        start: Variance to start from, from 0 to 1e8.

    Returns:
        FixedPoint with a slope of at most 1.

    Raises:
        ValueError: The variance grows beyond 1e6, which counts as without bound;
            `start` sits on an unstable fixed point, or is too large.

    Accuracy: 1e-14 relative in q, less by the factor 1 / (1 - slope).
    """
    phi = activation(phi)
    sigma_w, sigma_b = scale("sigma_w", sigma_w), scale("sigma_b", sigma_b)
    start = scale("start", start)
    if start > FARTHEST:
        raise ValueError(f"start: expected at most {FARTHEST:g}, got {start:g}")

    def drift(q: float) -> float:
        return float(variance_map(phi, q, sigma_w, sigma_b)) - q

    def bend(q: float) -> float:  # derivative of the drift
        return variance_slope(phi, q, sigma_w) - 1

    q = _settle(drift, bend, start)
    if q is None:
        raise ValueError(f"sigma_w: the variance of {phi.name} grows from {start:g} "
                         f"beyond {LARGEST:g}, which counts as without bound, at "
                         f"sigma_w={sigma_w:g}, sigma_b={sigma_b:g}")  # fmt: skip
    slope = variance_slope(phi, q, sigma_w)
    if slope > 1 + MARGIN:
        raise ValueError(f"start: {start:g} sits on an unstable fixed point of "
                         f"{phi.name} (slope {slope:.6g})")  # fmt: skip
    return FixedPoint(q, float(sigma_w**2 * moments.slope_moment(phi, q)), slope)


def _settle(drift, bend, start: float) -> float | None:
    """Return where q + drift(q), a growing map, takes `start`; None: to infinity."""
    move = drift(start)
    if abs(move) <= TOLERANCE * max(start, SMALLEST):
        return start
    factor = STEP if move > 0 else 1 / STEP
    near = far = max(start, SMALLEST)
    before = bend(near)
    while drift(far) * move > 0:
        near, far = far, far * factor
        if move > 0 and far > LARGEST:  # a fall may start beyond
            return None
        if far < SMALLEST:
            far = 0.0
            if drift(0.0) <= 0:
                return 0.0
            break
        after = bend(far)
        if before < 0 < after:  # the drift comes nearest to zero between
            turn = brentq(bend, *sorted((near, far)), xtol=1e-300, rtol=TOLERANCE)
            if drift(turn) * move <= 0:
                far = turn
                break
        before = after
    return float(brentq(drift, *sorted((near, far)), xtol=1e-300, rtol=TOLERANCE))


def chi(
    phi: Phi, sigma_w: float, sigma_b: float, *,
    q: float | None = None, start: float = 1.0,
) -> float:  # fmt: skip
    r"""Return chi, the slope of the correlation map at one.

    .. math:: \chi = \sigma_w^2 \, E[\phi'(\sqrt q Z)^2]

    Conventions: chi < 1 is the ordered phase (correlations tend to 1, gradients
    vanish), chi > 1 the chaotic one, chi = 1 the edge of chaos. Homogeneous
    activations have one chi for all q, also where there is no fixed point.

    Args:
        phi: Name or Activation.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.
        q: Variance; None: the fixed point that `start` tends to, an error if there is
            none.
        start: Where `fixed_point` starts. GELU has a stable fixed point that 1 does not
            tend to.

    Returns:
        chi, a number.
    """
    phi = activation(phi)
    if q is None:
        settled = phi.homogeneous
        q = 1.0 if settled else fixed_point(phi, sigma_w, sigma_b, start=start).q
    return float(scale("sigma_w", sigma_w) ** 2 * moments.slope_moment(phi, q))


def edge_of_chaos(phi: Phi, *, sigma_b: float = 0.0) -> EdgeOfChaos:
    r"""Return the sigma_w that puts a network with this sigma_b on the edge of chaos.

    .. math:: \sigma_w^2 = 1 / E[\phi'(\sqrt q Z)^2], \quad
        \sigma_b^2 = q - \sigma_w^2 E[\phi(\sqrt q Z)^2]

    Conventions: ReLU and leaky ReLU have one such point, at sigma_b = 0, where every q
    is a fixed point (1 is returned). tanh, erf and ELU at sigma_b = 0 have q = 0,
    which is reached only like 1/l: prefer sigma_b > 0.

    Args:
        phi: Name or Activation.
        sigma_b: Standard deviation of the biases.

    Returns:
        EdgeOfChaos(sigma_w, sigma_b, q).

    Raises:
        ValueError: There is no such point, or its variance is unstable.

    Accuracy: abs(chi - 1) below 1e-12.

    Source: Hayou et al. (2021), section 2; the numbers are our own.
    """
    phi, sigma_b = activation(phi), scale("sigma_b", sigma_b)
    if phi.homogeneous:
        if sigma_b:
            raise ValueError(f"sigma_b: the edge of chaos of {phi.name} is at 0 only, "
                             f"got {sigma_b:g}")  # fmt: skip
        return EdgeOfChaos(_critical_scale(phi, 1.0), 0.0, 1.0)
    roots = _edge_variances(phi, sigma_b)
    for q in roots:
        if _is_stable(phi, q, sigma_b):
            return EdgeOfChaos(_critical_scale(phi, q), sigma_b, q)
    found = ", ".join(f"{q:.6g}" for q in roots) or "none"
    raise ValueError(f"sigma_b: {phi.name} has no stable edge of chaos at {sigma_b:g} "
                     f"(unstable variances: {found})")  # fmt: skip


def _critical_scale(phi: Activation, q: float) -> float:
    """Return the sigma_w with chi = 1 at variance q."""
    return 1 / sqrt(moments.slope_moment(phi, q))


def _edge_variances(phi: Activation, sigma_b: float) -> list[float]:
    """Return the variances q with chi = 1 at this sigma_b, in rising order."""

    def excess(q: float) -> float:
        sigma_w = _critical_scale(phi, q)
        return q - sigma_w**2 * moments.second_moment(phi, q) - sigma_b**2

    if sigma_b == 0 and phi.value(np.float64(0.0)) == 0:
        return [0.0]
    grid = np.geomspace(1e-6, 1e4, 121)
    signs = np.array([excess(q) for q in grid])
    found = np.flatnonzero(signs[:-1] * signs[1:] <= 0)
    return [float(brentq(excess, *grid[i : i + 2], xtol=1e-300, rtol=TOLERANCE))
            for i in found]  # fmt: skip


def _is_stable(phi: Activation, q: float, sigma_b: float) -> bool:
    """Tell whether the variance map leads back to q; at 0 its slope is 1 by design."""
    sigma_w = _critical_scale(phi, q)
    if q:
        return variance_slope(phi, q, sigma_w) < 1
    nearby = np.array([1e-4, 1e-3, 1e-2])
    return bool(np.all(variance_map(phi, nearby, sigma_w, sigma_b) < nearby))


def lottery_density(phi: Phi, sigma_w: float, *, sigma_b: float) -> float:
    r"""Return the density of the Bernoulli mask that leads to the edge of chaos.

    .. math:: p = (\sigma_{w,EOC}(\sigma_b) / \sigma_w)^2

    Conventions: masking weights independently of their values turns sigma_w^2 into
    p sigma_w^2 in every map; dividing the survivors by sqrt(p) undoes it.

    Args:
        phi: Name or Activation.
        sigma_w: Scale of the dense network's weights, above the edge of chaos.
        sigma_b: Standard deviation of the biases.

    Returns:
        Probability p in (0, 1] of keeping a weight.

    Raises:
        ValueError: The dense network is below the edge of chaos.

    Source: Hayou et al. (2021), appendix on weak lottery tickets; the statement is
    recalled, the construction ours.
    """
    edge = edge_of_chaos(phi, sigma_b=sigma_b).sigma_w
    if scale("sigma_w", sigma_w) < edge:
        raise ValueError(f"sigma_w: expected at least {edge:.6g}, the edge of chaos, "
                         f"got {sigma_w:g}")  # fmt: skip
    return (edge / sigma_w) ** 2
