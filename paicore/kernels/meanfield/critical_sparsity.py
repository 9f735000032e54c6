r"""At which sparsity pruning removes a whole layer: exactly, and as bounds.

Sparsity is the paper's word here: the fraction of weights removed, 1 - density.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from torch import Tensor

from paicore.kernels.meanfield.maps import depth_of, finite, size_of
from paicore.masks.critical import ranked


@dataclass(frozen=True)
class CriticalSparsity:
    """The smallest sparsity at which a layer is pruned completely.

    Attributes:
        sparsity: Fraction of all weights removed by then.
        layer: Name of the layer that dies first.
    """

    sparsity: float
    layer: str


def critical_sparsity(scores: Mapping[str, Tensor | ArrayLike]) -> CriticalSparsity:
    r"""Return the exact critical sparsity of given scores, without a sweep.

    .. math:: t^* = \min_l \max_{i \in l} s_i, \quad
        s_{cr} = \frac{\#\{i : s_i \le t^*\}}{\sum_l M_l}

    Conventions: one global threshold, the largest scores are kept. Of layers with equal
    largest scores the first one is named.

    Args:
        scores: name -> scores of one layer, any shape.

    Returns:
        CriticalSparsity.

    Cost: one pass over the scores.
    """
    layers = ranked(scores)
    largest = {name: values.max() for name, values in layers.items()}
    first = min(largest, key=lambda name: float(largest[name]))
    removed = sum(int((v <= largest[first]).sum()) for v in layers.values())
    return CriticalSparsity(removed / sum(len(v) for v in layers.values()), first)


def sbp_sparsity_bound(chi: float, depth: int, width: int) -> float:
    r"""Bound the expected critical sparsity of SBP off the edge of chaos.

    .. math:: E[s_{cr}] \le \frac1L \Big(1 + \frac{\log(\kappa L N^2)}{\kappa}\Big),
        \quad \kappa = |\log \chi| / 8

    Conventions: natural logarithm; constants as recalled, not checked against the PDF.
    The remainder of order 1 / (kappa^2 sqrt(L N^2)) is left out. Values above 1 say
    nothing; where kappa L N^2 <= 1, the edge of chaos included, infinity is returned.
    Measured values lie below by a factor of about 8; what is robust is
    L s_cr ~ 1 + C / abs(log chi) with C about 10 at any width.

    Args:
        chi: Slope of the correlation map, > 0.
        depth: Number L of layers.
        width: Width N of all layers.

    Returns:
        The bound, in (0, inf].

    Raises:
        ValueError: `chi` is not positive; a `width` that is no whole number of at
            least 1 is refused too.

    Source: Hayou et al. (2021), Theorem 1.
    """
    width, chi = size_of("width", width), finite("chi", chi)
    if not chi > 0:
        raise ValueError(f"chi: expected a number > 0, got {chi!r}")
    kappa = abs(log(chi)) / 8
    weights = kappa * depth_of(depth) * width**2
    if weights <= 1:
        return inf
    return (1 + log(weights) / kappa) / depth


def _log_tail(z):
    """Return log P(|Z| > z)."""
    return log(2) + norm.logsf(z)


def mbp_sparsity_bound(variance_ratio: float, layer_size: int) -> float:
    r"""Bound the expected critical sparsity of magnitude pruning in the deep limit.

    .. math:: E[s_{cr}] \le \inf_{p < r^2} \Big\{ x_p + \frac{M}{1+p}
        (1 - x_p)^{1+p} \Big\}, \quad
        x_p = \inf\{y : \forall x > y,\; r Q_x > Q_{1-(1-x)^p}\}

    Conventions: one layer has weights of smaller variance, by the factor 1/r^2; Q_x is
    the x-quantile of the modulus of a standard normal. The parameter is the ratio of
    variances r^2, not of standard deviations. With z = Q_{x_p} the condition reads
    p = log P(|Z| > rz) / log P(|Z| > z), which grows with z, so the infimum is taken
    over z.

    Args:
        variance_ratio: Variance of the other layers' weights over this one's, > 1.
        layer_size: Number M of weights of this layer.

    Returns:
        The bound.

    Accuracy: 1e-6; the remainder of order 1/sqrt(number of weights) is left out.

    Source: Hayou et al. (2021), appendix on MBP; re-derived here.
    """
    ratio = _mbp_arguments(variance_ratio, layer_size)

    def bound(z: float) -> float:
        tail, far = _log_tail(z), _log_tail(ratio * z)
        return -np.expm1(tail) + layer_size / (1 + far / tail) * exp(tail + far)

    grid = np.linspace(1e-3, 8.0, 400)
    best = int(np.argmin([bound(z) for z in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(minimize_scalar(bound, bounds=around, method="bounded").fun)


def mbp_sparsity(variance_ratio: float, layer_size: int) -> float:
    r"""Return the expected critical sparsity of magnitude pruning in the deep limit.

    .. math:: E[s_{cr}] = E_Z\big[1 - P(|Z'| < r |Z|)^M\big]

    Conventions: a weight of another layer goes before the small layer is gone if it is
    below that layer's largest modulus, max |Z'| / r.

    Args:
        variance_ratio: As in `mbp_sparsity_bound`.
        layer_size: As in `mbp_sparsity_bound`.

    Returns:
        Fraction in (0, 1).

    Accuracy: 1e-8, by the midpoint rule over quantiles.
    """
    ratio = _mbp_arguments(variance_ratio, layer_size)
    below = (np.arange(200_000) + 0.5) / 200_000
    z = norm.ppf((1 + below) / 2)
    return float(np.mean(-np.expm1(layer_size * np.log1p(-2 * norm.sf(ratio * z)))))


def _mbp_arguments(variance_ratio: float, layer_size: int) -> float:
    """Return the ratio of standard deviations, or refuse.

    Raises:
        ValueError: An argument is out of range.
    """
    size_of("layer_size", layer_size)
    variance_ratio = finite("variance_ratio", variance_ratio)
    if not variance_ratio > 1:
        raise ValueError(f"variance_ratio: expected > 1, got {variance_ratio!r}")
    return sqrt(variance_ratio)
