r"""How fast correlations converge: exponentially, like 1/l, or like 1/l^2."""

from dataclasses import dataclass
from math import pi

from scipy.optimize import brentq

from paicore.kernels.meanfield import moments
from paicore.kernels.meanfield.activations import activation
from paicore.kernels.meanfield.fixed_points import chi, edge_of_chaos, fixed_point
from paicore.kernels.meanfield.maps import gap_map, scale, slope_map
from paicore.kernels.meanfield.moments import Phi

CRITICAL = 1e-9  # abs(chi - 1) up to this is the edge of chaos
NEARBY = 1e-8  # the smallest gap that is told from zero
VANISHING = 1e-9  # a variance below has no correlations to speak of


@dataclass(frozen=True)
class CorrelationRate:
    r"""The law of c^l at large l.

    Attributes:
        law: "exponential": abs(c^l - limit) ~ value^l; "1/l": 1 - c^l ~ value / l;
            "1/l^2": 1 - c^l ~ value / l^2.
        value: The constant of the law.
        limit: The correlation that c^l tends to.
    """

    law: str
    value: float
    limit: float


def _settled(phi: Phi, sigma_w: float, sigma_b: float) -> tuple[float, float]:
    """Return the variance, and the sigma_w, at which correlations converge.

    Raises:
        ValueError: The variance tends to zero, where correlations no longer move.
    """
    phi = activation(phi)
    if phi.homogeneous and scale("sigma_b", sigma_b) == 0:
        return 1.0, edge_of_chaos(phi).sigma_w  # scales drop out of correlations
    q = fixed_point(phi, sigma_w, sigma_b).q
    if q < VANISHING:
        raise ValueError(f"sigma_b: the variance of {phi.name} tends to 0 and "
                         f"correlations stop moving, got {sigma_b:g}")  # fmt: skip
    return q, scale("sigma_w", sigma_w)


def correlation_fixed_point(phi: Phi, sigma_w: float, sigma_b: float) -> float:
    """Return the correlation c* that all correlations in (0, 1) tend to.

    Conventions: 1 in the ordered phase and on the edge of chaos, below 1 in the
    chaotic phase; for odd activations without bias 0 there. The variance is at its
    stable fixed point; it is of no consequence for ReLU without bias.

    Args:
        phi: Name or Activation.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.

    Returns:
        c*, to 1e-8.
    """
    q, sigma_w = _settled(phi, sigma_w, sigma_b)
    if chi(phi, sigma_w, sigma_b, q=q) <= 1 + CRITICAL:
        return 1.0

    def drift(gap: float) -> float:
        return float(gap_map(phi, gap, sigma_w, sigma_b, q=q)) - gap

    if drift(NEARBY) <= 0:
        return 1.0
    if drift(1.0) >= 0:  # only up to rounding: E[phi]^2 + sigma_b^2 = 0
        return 0.0
    return 1 - float(brentq(drift, NEARBY, 1.0, xtol=1e-15))


def correlation_rate(phi: Phi, sigma_w: float, sigma_b: float) -> CorrelationRate:
    r"""Return how the correlation of two inputs converges with depth.

    .. math:: \chi \ne 1: |c^l - c^*| \sim f'(c^*)^l, \qquad
        \chi = 1, \text{ smooth: } 1 - c^l \sim
        \frac{2}{\sigma_w^2 q E[\phi''^2]} \,/\, l, \qquad
        \text{kinked: } 1 - c^l \sim \frac{9 \pi^2}{2}
        \Big(\frac{2}{\sigma_w^2 J^2}\Big)^2 \,/\, l^2

    Conventions: J is the jump of phi' at zero, for ReLU 1 and sigma_w^2 = 2. The
    variance is at its fixed point. ReLU without bias has its critical law at every
    sigma_w, since scales drop out of correlations. Check by iterating `gap_map`, not c.

    Args:
        phi: Name or Activation.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.

    Returns:
        CorrelationRate.

    Raises:
        ValueError: The network is linear: correlations stay.

    Source: Hayou et al. (2021), section 2, for ReLU and smooth activations; constants
    derived here.
    """
    phi = activation(phi)
    q, sigma_w = _settled(phi, sigma_w, sigma_b)
    slope = chi(phi, sigma_w, sigma_b, q=q)
    if abs(slope - 1) > CRITICAL:
        limit = correlation_fixed_point(phi, sigma_w, sigma_b)
        return CorrelationRate(
            "exponential", float(slope_map(phi, 1 - limit, sigma_w, q=q)), limit
        )
    if phi.jump:
        return CorrelationRate("1/l^2", kink_constant(sigma_w * phi.jump), 1.0)
    bend = sigma_w**2 * q * moments.curvature_moment(phi, q)
    if bend == 0:
        raise ValueError("phi: correlations of a linear network stay, no rate")
    return CorrelationRate("1/l", float(2 / bend), 1.0)


def kink_constant(jump: float) -> float:
    r"""Return lim l^2 (1 - c^l) for a critical map whose slope loses jump^2 P / 2.

    .. math:: f(1 - g) = 1 - g + \frac{J^2}{2} \frac{2 \sqrt 2}{3 \pi} g^{3/2}
        \;\Rightarrow\; g^l \sim \frac{9 \pi^2}{2} \Big(\frac{2}{J^2}\Big)^2 / l^2

    Conventions: P = arccos(c) / pi is the probability of unequal signs; `jump` is
    sigma_w times the jump of phi', sqrt(2) for critical ReLU.
    """
    return 9 * pi**2 / 2 * (2 / jump**2) ** 2
