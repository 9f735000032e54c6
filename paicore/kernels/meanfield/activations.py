"""The activations that mean-field theory knows, with their kinks and closed forms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi, sqrt

import numpy as np
from scipy.special import erf, ndtr

from paicore.kernels.meanfield import closed_forms


@dataclass(frozen=True)
class Activation:
    """An activation as the theory needs it; may bend at zero and nowhere else.

    Attributes:
        name: What messages call it.
        value: phi, elementwise on arrays.
        derivative: phi', elementwise; its value at zero itself is never used.
        curvature: phi'', elementwise, away from zero.
        slopes: (phi'(0-), phi'(0+)).
        closed: Closed forms by name, see `closed_forms`; the rest is integrated.
        homogeneous: Whether phi(t u) = t phi(u) for t > 0.
    """

    name: str
    value: Callable
    derivative: Callable
    curvature: Callable
    slopes: tuple[float, float]
    closed: Mapping[str, Callable] = field(default_factory=dict)
    homogeneous: bool = False

    @property
    def jump(self) -> float:
        """Jump of the derivative at zero: 0 for a smooth activation."""
        return self.slopes[1] - self.slopes[0]


def _density(u):
    return np.exp(-u * u / 2) / sqrt(2 * pi)


def _leaky_relu(name: str, slope: float) -> Activation:
    return Activation(
        name,
        lambda u: np.where(u > 0, u, slope * u),
        lambda u: np.where(u > 0, 1.0, slope),
        np.zeros_like,
        (slope, 1.0),
        closed_forms.leaky_relu(slope),
        homogeneous=True,
    )


def _elu(alpha: float) -> Activation:
    def below(u):  # the argument is cut off so that the unused side cannot overflow
        return alpha * np.exp(np.minimum(u, 0))

    return Activation(
        "elu",
        lambda u: np.where(u > 0, u, alpha * np.expm1(np.minimum(u, 0))),
        lambda u: np.where(u > 0, 1.0, below(u)),
        lambda u: np.where(u > 0, 0.0, below(u)),
        (alpha, 1.0),
        closed_forms.elu(alpha),
    )


def _tanh() -> Activation:
    return Activation(
        "tanh",
        np.tanh,
        lambda u: 1 - np.tanh(u) ** 2,
        lambda u: -2 * np.tanh(u) * (1 - np.tanh(u) ** 2),
        (1.0, 1.0),
    )


def _gelu() -> Activation:
    return Activation(
        "gelu",
        lambda u: u * ndtr(u),
        lambda u: ndtr(u) + u * _density(u),
        lambda u: (2 - u * u) * _density(u),
        (0.5, 0.5),
    )


def _erf() -> Activation:
    peak = 2 / sqrt(pi)
    return Activation(
        "erf",
        erf,
        lambda u: peak * np.exp(-u * u),
        lambda u: -2 * u * peak * np.exp(-u * u),
        (peak, peak),
        closed_forms.erf(),
    )


def _identity() -> Activation:
    return Activation(
        "identity",
        lambda u: u + 0.0,
        np.ones_like,
        np.zeros_like,
        (1.0, 1.0),
        closed_forms.identity(),
        homogeneous=True,
    )


# name -> (constructor, default of its one option or None)
_MAKERS = {
    "relu": (lambda: _leaky_relu("relu", 0.0), None),
    "leaky_relu": (lambda slope: _leaky_relu("leaky_relu", slope), 0.01),
    "tanh": (_tanh, None),
    "elu": (_elu, 1.0),
    "gelu": (_gelu, None),
    "erf": (_erf, None),
    "identity": (_identity, None),
}


def activation(phi: str | Activation, parameter: float | None = None) -> Activation:
    """Return an activation by name.

    Args:
        phi: "relu", "leaky_relu", "tanh", "elu", "gelu" (the exact one, with the
            normal distribution function), "erf", "identity", or an Activation, which
            is returned as it is.
        parameter: Slope of "leaky_relu" (0.01) or alpha of "elu" (1), in PyTorch's
            meaning and with its defaults.

    Returns:
        The activation.

    Raises:
        TypeError: `phi` is neither a name nor an Activation.
        ValueError: The name is not known, or takes no parameter.
    """
    if isinstance(phi, Activation) and parameter is None:
        return phi
    if not isinstance(phi, str):
        raise TypeError(f"phi: expected a name or an Activation, got {phi!r}")
    if phi not in _MAKERS:
        raise ValueError(f"phi: expected one of {', '.join(_MAKERS)}, got {phi!r}")
    make, default = _MAKERS[phi]
    if default is None:
        if parameter is not None:
            raise ValueError(f"parameter: {phi} takes none, got {parameter!r}")
        return make()
    return make(default if parameter is None else float(parameter))
