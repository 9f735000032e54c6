"""Gaussian expectations of activations by adaptive quadrature, slow and obvious."""

from math import exp, pi, sqrt

import numpy as np
from scipy.integrate import dblquad, quad
from scipy.special import erf, ndtr

PHI = {
    "relu": lambda u: max(u, 0.0),
    "leaky_relu": lambda u: u if u > 0 else 0.01 * u,
    "tanh": np.tanh,
    "elu": lambda u: u if u > 0 else np.expm1(u),
    "gelu": lambda u: u * ndtr(u),
    "erf": erf,
    "identity": lambda u: u,
}
SLOPE = {
    "relu": lambda u: float(u > 0),
    "leaky_relu": lambda u: 1.0 if u > 0 else 0.01,
    "tanh": lambda u: 1 - np.tanh(u) ** 2,
    "elu": lambda u: 1.0 if u > 0 else exp(u),
    "gelu": lambda u: ndtr(u) + u * exp(-u * u / 2) / sqrt(2 * pi),
    "erf": lambda u: 2 / sqrt(pi) * exp(-u * u),
    "identity": lambda u: 1.0,
}


def gauss(z):
    return exp(-z * z / 2) / sqrt(2 * pi)


def adaptive(function, q):
    """E[function(U)] by an adaptive rule, each side of the kink for itself."""
    options = {"epsabs": 1e-13, "epsrel": 1e-13, "limit": 200}

    def integrand(z):
        return function(sqrt(q) * z) * gauss(z)

    sides = ((-12, 0), (0, 12))
    return sum(quad(integrand, *side, **options)[0] for side in sides)


def adaptive_pair(f, qa, qb, c):
    """E[f(U) f(V)] by nested adaptive rules over (Z1, Z2), both kinks as limits."""

    def kink(z):
        return np.clip(-c * z / sqrt(1 - c * c), -9, 9)

    def integrand(z2, z1):
        v = sqrt(qb) * (c * z1 + sqrt(1 - c * c) * z2)
        return f(sqrt(qa) * z1) * f(v) * gauss(z1) * gauss(z2)

    total = 0.0
    for low, high in ((-9, 0), (0, 9)):
        for inner in ((lambda z: -9, kink), (kink, lambda z: 9)):
            total += dblquad(integrand, low, high, *inner, epsabs=1e-9)[0]
    return total
