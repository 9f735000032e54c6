r"""Gaussian moments in closed form, where an activation has them.

Names: `q` is a variance, `qa`, `qb` those of a pair (U, V), `gap` = 1 - correlation.
Everything works elementwise on arrays. "difference" is E[(phi(U) - phi(V))^2] / 2 for
two variances q: what the correlation lacks to one, without subtracting from one.
"""

from collections.abc import Callable, Mapping
from math import gamma, pi

import numpy as np
from scipy.special import erfcx

Forms = Mapping[str, Callable]
SMALL = 0.02  # variances below take the series of ELU


def _angle(gap):
    """Return arccos(1 - gap), exact also for tiny gaps."""
    return 2 * np.arcsin(np.sqrt(gap / 2))


def _relu_covariance(qa, qb, gap):
    """E[relu(U) relu(V)]: the arc-cosine kernel of order one."""
    theta = _angle(gap)
    kernel = np.sin(theta) + (pi - theta) * (1 - gap)
    return np.sqrt(qa * qb) * kernel / (2 * pi)


def _relu_slopes(gap):
    """P(U > 0, V > 0): the arc-cosine kernel of order zero."""
    return (pi - _angle(gap)) / (2 * pi)


def _relu_difference(q, gap):
    """E[(relu(U) - relu(V))^2] / 2."""
    theta = _angle(gap)
    return q / 2 * (gap - (np.sin(theta) - theta * (1 - gap)) / pi)


def leaky_relu(slope: float) -> Forms:
    r"""Return the forms of slope * u + (1 - slope) * relu(u); slope 0 is ReLU.

    Source: Cho and Saul (2009) for slope 0; the cross terms E[U relu(V)] are half the
    covariance of U and V.
    """
    bend = (1 - slope) ** 2
    return {
        "second": lambda q: (1 + slope**2) / 2 * q,
        "slope": lambda q: (1 + slope**2) / 2 + 0 * q,
        "covariance": lambda qa, qb, gap: (
            slope * np.sqrt(qa * qb) * (1 - gap) + bend * _relu_covariance(qa, qb, gap)
        ),
        "slope_covariance": lambda qa, qb, gap: slope + bend * _relu_slopes(gap),
        "difference": lambda q, gap: slope * q * gap + bend * _relu_difference(q, gap),
    }


def _elu_series(q):
    """E[(exp(U) - 1)^2; U < 0] by the series of erfcx: the form cancels for small q."""
    y = np.sqrt(q / 2)
    orders = range(2, 22)
    return sum((2.0 ** (n - 1) - 1) * (-y) ** n / gamma(n / 2 + 1) for n in orders)


def elu(alpha: float) -> Forms:
    r"""Return the forms of ELU with factor alpha on the negative side.

    Conventions: erfcx(x) = exp(x^2) erfc(x), so that exp(2q) Phi(-2 sqrt q) is
    erfcx(sqrt(2q)) / 2 and nothing overflows. Pairs have no form here.
    """

    def tail(q):  # E[exp(2 U); U < 0]
        return erfcx(np.sqrt(2 * q)) / 2

    def below(q):  # E[(exp(U) - 1)^2; U < 0]
        direct = 0.5 + tail(q) - erfcx(np.sqrt(q / 2))
        return np.where(q < SMALL, _elu_series(np.minimum(q, SMALL)), direct)

    return {
        "second": lambda q: q / 2 + alpha**2 * below(q),
        "slope": lambda q: 0.5 + alpha**2 * tail(q),
        "curvature": lambda q: alpha**2 * tail(q),
    }


def erf() -> Forms:
    """Return the forms of the error function.

    Source: Williams (1997) for the covariance; the others follow from it.
    """

    def share(q):  # the covariance of U and V enters only through this
        return 2 * q / (1 + 2 * q)

    def difference(q, gap):
        # asin x - asin y = atan2(sine, cosine), each without cancellation
        x, y = share(q), share(q) * (1 - gap)
        plus, minus = x * np.sqrt(1 - y * y), y * np.sqrt(1 - x * x)
        product = x * x * gap * (2 - gap)  # (plus - minus) * (plus + minus)
        near = (gap < 1) & (x > 0)
        sine = np.where(near, product / np.where(near, plus + minus, 1), plus - minus)
        cosine = np.sqrt((1 - x * x) * (1 - y * y)) + x * y
        return 2 / pi * np.arctan2(sine, cosine)

    def covariance(qa, qb, gap):
        k = 2 * np.sqrt(qa * qb) * (1 - gap)
        return 2 / pi * np.arcsin(k / np.sqrt((1 + 2 * qa) * (1 + 2 * qb)))

    def slope_covariance(qa, qb, gap):
        k = np.sqrt(qa * qb) * (1 - gap)
        return 4 / pi / np.sqrt((1 + 2 * qa) * (1 + 2 * qb) - 4 * k * k)

    return {
        "second": lambda q: 2 / pi * np.arcsin(share(q)),
        "slope": lambda q: 4 / pi / np.sqrt(1 + 4 * q),
        "curvature": lambda q: 16 / pi * q / (1 + 4 * q) ** 1.5,
        "covariance": covariance,
        "slope_covariance": slope_covariance,
        "difference": difference,
    }


def identity() -> Forms:
    """Return the forms of the identity."""
    return {
        "second": lambda q: q + 0.0,
        "slope": lambda q: 1 + 0 * q,
        "curvature": lambda q: 0 * q,
        "covariance": lambda qa, qb, gap: np.sqrt(qa * qb) * (1 - gap),
        "slope_covariance": lambda qa, qb, gap: 1 + 0 * gap,
        "difference": lambda q, gap: q * gap,
    }
