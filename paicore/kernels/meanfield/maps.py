r"""Variance and correlation maps of an infinitely wide random network.

Conventions: weights N(0, sigma_w^2 / fan_in), biases N(0, sigma_b^2), as in
``nets.build(..., init=("gaussian", sigma_w, sigma_b))``. The activation acts on the
previous pre-activation: y^1 = W^1 x + b^1, y^l = W^l phi(y^{l-1}) + b^l, so layers
count Linear layers, the readout included. Correlations are carried as gap = 1 - c:
near c = 1, where the theory lives, 1 - c itself has no digits left after a few
thousand layers. A convolution with circular padding and an input whose statistics do
not depend on the position obeys the same maps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paicore.kernels.meanfield import moments
from paicore.kernels.meanfield.moments import Phi


def scale(name: str, value: float) -> float:
    """Return sigma_w or sigma_b as a float, refusing what is no standard deviation.

    Raises:
        ValueError: It is negative; `finite` refuses what is no finite number.
    """
    number = finite(name, value)
    if number < 0:
        raise ValueError(f"{name}: expected a finite number >= 0, got {value!r}")
    return number


def size_of(name: str, value: float) -> float:
    """Return a width or a number of weights, refusing what is none.

    Raises:
        ValueError: It is no whole number of at least 1; `finite` refuses what is no
            finite number.
    """
    number = scale(name, value)
    if number < 1 or number != int(number):
        raise ValueError(f"{name}: expected a whole number of at least 1, "
                         f"got {value!r}")  # fmt: skip
    return number


def finite(name: str, value: float) -> float:
    """Return a number of any sign, refusing NaN and infinity.

    Raises:
        TypeError: It is no real number.
        ValueError: It is not finite.
    """
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name}: expected a real number, got {value!r}") from error
    if not np.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return number


def is_count(value) -> bool:
    """Tell whether a value is a whole number of at least 1, of Python or numpy."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and value >= 1


def depth_of(depth: int) -> int:
    """Return `depth`, refusing what is no count.

    Raises:
        ValueError: It is no integer of at least 1.
    """
    if not is_count(depth):
        raise ValueError(f"depth: expected an int of at least 1, got {depth!r}")
    return int(depth)


def variance_map(phi: Phi, q: ArrayLike, sigma_w: float, sigma_b: float):
    r"""Return the variance of the next pre-activations.

    .. math:: q^{l+1} = \sigma_b^2 + \sigma_w^2 \, E[\phi(\sqrt{q^l} Z)^2]

    Args:
        phi: Name or Activation.
        q: Variance q^l, scalar or array.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.

    Returns:
        q^{l+1}, of the shape of `q`.
    """
    sigma_w, sigma_b = scale("sigma_w", sigma_w), scale("sigma_b", sigma_b)
    return sigma_b**2 + sigma_w**2 * moments.second_moment(phi, q)


def gap_map(phi: Phi, gap: ArrayLike, sigma_w: float, sigma_b: float, *, q: ArrayLike):
    r"""Return 1 - c of the next layer for two inputs of equal variance q.

    .. math:: 1 - c^{l+1} = \frac{\sigma_w^2}{2 q^{l+1}}
        E[(\phi(U) - \phi(V))^2], \quad q^{l+1} = V(q)

    Conventions: no fixed point is assumed; at one it is the map 1 - f(1 - gap).
    Iterate this one, never c itself, near c = 1.

    Args:
        phi: Name or Activation.
        gap: 1 - c^l, in [0, 2].
        sigma_w: As in `variance_map`.
        sigma_b: As in `variance_map`.
        q: Variance of both inputs, > 0.

    Returns:
        1 - c^{l+1}, of the broadcast shape.
    """
    following = variance_map(phi, q, sigma_w, sigma_b)
    return sigma_w**2 * moments.difference(phi, q, gap) / following


def correlation_map(
    phi: Phi, c: ArrayLike, sigma_w: float, sigma_b: float, *, q: ArrayLike
):
    r"""Return the correlation of the next layer, f(c), for equal variances q.

    .. math:: f(c) = \frac{\sigma_b^2 + \sigma_w^2 E[\phi(U) \phi(V)]}{V(q)}

    Args:
        phi: Name or Activation.
        c: Correlation, in [-1, 1].
        sigma_w: As in `variance_map`.
        sigma_b: As in `variance_map`.
        q: Variance of both inputs.

    Returns:
        Correlation, of the broadcast shape.
    """
    return 1 - gap_map(phi, 1 - np.asarray(c, dtype=float), sigma_w, sigma_b, q=q)


def slope_map(phi: Phi, gap: ArrayLike, sigma_w: float, *, q: ArrayLike):
    r"""Return sigma_w^2 E[phi'(U) phi'(V)]: f'(c) at a variance fixed point.

    Args:
        phi: Name or Activation.
        gap: 1 - c; at 0 the value is chi.
        sigma_w: As in `variance_map`.
        q: Variance of both inputs.

    Returns:
        Number or array of the broadcast shape.
    """
    return scale("sigma_w", sigma_w) ** 2 * moments.slope_covariance(phi, q, q, gap)


@dataclass(frozen=True)
class Signal:
    """What two inputs of equal norm look like in every layer.

    Attributes:
        q: Variances q^1 ... q^L, shape (L,).
        gap: 1 - c^l, shape (L,).
    """

    q: np.ndarray
    gap: np.ndarray

    @property
    def c(self) -> np.ndarray:
        """Correlations c^1 ... c^L."""
        return 1 - self.gap


def signal(
    phi: Phi, depth: int, sigma_w: float, sigma_b: float, *, q0: float, c0: float = 1.0
) -> Signal:
    r"""Return variance and correlation of two inputs through all layers.

    .. math:: q^1 = \sigma_b^2 + \sigma_w^2 q^0, \quad q^0 = |x|^2 / d, \quad
        c^0 = x \cdot x' / (|x| |x'|)

    Args:
        phi: Name or Activation.
        depth: Number L of Linear layers.
        sigma_w: As in `variance_map`.
        sigma_b: As in `variance_map`.
        q0: Mean square of an input's entries, of both inputs.
        c0: Cosine of the angle between the inputs; 1: one input only.

    Returns:
        Signal with L entries.

    Cost: L evaluations of the maps; milliseconds each where a pair has no closed form.
    """
    sigma_w, sigma_b = scale("sigma_w", sigma_w), scale("sigma_b", sigma_b)
    q0, gap0 = scale("q0", q0), float(moments.gaps(1 - float(c0)))
    q = [sigma_b**2 + sigma_w**2 * q0]
    gap = [sigma_w**2 * q0 * gap0 / q[0] if q[0] else 0.0]
    for _ in range(depth_of(depth) - 1):
        following = variance_map(phi, q[-1], sigma_w, sigma_b)
        lost = sigma_w**2 * moments.difference(phi, q[-1], gap[-1]) if gap[-1] else 0.0
        gap.append(min(lost / following, 2.0) if following else 0.0)
        q.append(following)
    return Signal(np.array(q, dtype=float), np.array(gap, dtype=float))
