r"""Residual and Stable residual networks: recursions without batch norm.

.. math:: y^0 = W^0 x, \quad y^l = y^{l-1} + b (W^l \phi(y^{l-1}) + \beta^l), \quad
    f = W^{L+1} \phi(y^L)

as ``nets.build("residual_mlp")`` makes them; L counts blocks. b = 1 is the plain net,
b = 1/sqrt(L) the Stable ResNet. With batch norm in the branch the variance grows
linearly, not exponentially, and none of this describes it.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from paicore.kernels.meanfield import moments
from paicore.kernels.meanfield.maps import depth_of, finite, scale, size_of
from paicore.kernels.meanfield.moments import Phi
from paicore.kernels.meanfield.rates import kink_constant
from paicore.kernels.meanfield.score_moments import downward


@dataclass(frozen=True)
class ResidualMoments:
    """Mean-field quantities of a residual network.

    Attributes:
        q: Variances q^0 ... q^L of the stream, shape (L + 1,).
        gradient: E[(dLoss/dy^l_i)^2] for l = 0 ... L, shape (L + 1,).
        score: m^l of the blocks l = 1 ... L, shape (L,).
    """

    q: np.ndarray
    gradient: np.ndarray
    score: np.ndarray


def branch_factor(depth: int, *, stable: bool) -> float:
    """Return the factor b of a residual branch.

    Args:
        depth: Number L of blocks.
        stable: Whether it is the Stable ResNet.

    Returns:
        1/sqrt(L) for the Stable ResNet, 1 for the plain one.
    """
    return 1 / sqrt(depth_of(depth)) if stable else 1.0


def residual_moments(
    phi: Phi, depth: int, width: int, sigma_w: float, sigma_b: float = 0.0, *,
    q0: float = 1.0, branch: float = 1.0, outputs: int | None = None, top: float = 1.0,
) -> ResidualMoments:  # fmt: skip
    r"""Return variances, gradients and saliency of a residual MLP.

    .. math:: q^l = q^{l-1} + b^2 (\sigma_b^2 + \sigma_w^2 E[\phi^2]), \quad
        \tilde q^{l-1} = \tilde q^l (1 + b^2 \sigma_w^2 E[\phi'^2]), \quad
        m^l = \frac{b^2 \sigma_w^2}{N} \tilde q^l E[\phi(\sqrt{q^{l-1}} Z)^2]

    Conventions: for ReLU without bias m^l is the same in every block and grows like
    (1 + sigma_w^2/2)^(L-1); in the Stable ResNet like (1 + sigma_w^2/(2L))^(L-1) / L,
    which is 1/L up to a bounded factor.

    Args:
        phi: Name or Activation.
        depth: Number L of blocks.
        width: Width N.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.
        q0: Mean square of an input's entries.
        branch: The factor b, see `branch_factor`.
        outputs: Number of output units; None: `width`.
        top: E[(dLoss/df_i)^2] per output unit.

    Returns:
        ResidualMoments.

    Source: Hayou et al. (2021), Theorem 2 and Proposition 2; derivation ours.
    """
    sigma_w, sigma_b = scale("sigma_w", sigma_w), scale("sigma_b", sigma_b)
    width, branch = size_of("width", width), finite("branch", branch)
    outputs = width if outputs is None else size_of("outputs", outputs)
    q = [sigma_b**2 + sigma_w**2 * scale("q0", q0)]
    active = []  # E[phi(y^{l-1})^2]
    for _ in range(depth_of(depth)):
        active.append(float(moments.second_moment(phi, q[-1])))
        q.append(q[-1] + branch**2 * (sigma_b**2 + sigma_w**2 * active[-1]))
    slopes = sigma_w**2 * moments.slope_moment(phi, np.array(q))  # (L + 1,)
    last = scale("top", top) * outputs / width * slopes[-1]
    gradient = downward(1 + branch**2 * slopes[:-1], last)
    score = branch**2 * sigma_w**2 / width * gradient[1:] * np.array(active)
    return ResidualMoments(np.array(q), gradient, score)


def residual_gap_map(
    phi: Phi, gap: ArrayLike, sigma_w: float, sigma_b: float = 0.0, *,
    q: ArrayLike, branch: float = 1.0,
):  # fmt: skip
    r"""Return 1 - c after one block, for two inputs of variance q.

    .. math:: c^{l+1} = c + \lambda (f(c) - c), \quad
        \lambda = \frac{b^2 V(q)}{q + b^2 V(q)}

    Conventions: a pruned branch enters through its second moment alone, so pass
    sigma_w = sqrt(alpha) for alpha = E[N W^2 delta]. For ReLU without bias the slope
    at c = 1 is 1 for every alpha: pruning never leaves the edge of chaos.

    Args:
        phi: Name or Activation.
        gap: 1 - c^l.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.
        q: Variance of both inputs, > 0; of no consequence for ReLU without bias.
        branch: The factor b.

    Returns:
        1 - c^{l+1}, of the broadcast shape.

    Source: Hayou et al. (2021), Proposition 3.
    """
    sigma_w, sigma_b = scale("sigma_w", sigma_w), scale("sigma_b", sigma_b)
    branch = finite("branch", branch)
    gap, q = moments.gaps(gap), moments.variances("q", q)
    added = sigma_b**2 + sigma_w**2 * moments.second_moment(phi, q)
    lost = gap * q + branch**2 * sigma_w**2 * moments.difference(phi, q, gap)
    return lost / (q + branch**2 * added)


def residual_rate(sigma_w: float, *, branch: float = 1.0) -> float:
    r"""Return lim l^2 (1 - c^l) = 9 pi^2 / (2 lambda^2) of a bias-free ReLU ResNet.

    .. math:: \lambda = \frac{b^2 \sigma_w^2 / 2}{1 + b^2 \sigma_w^2 / 2}

    Args:
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        branch: The factor b, see `branch_factor`.

    Returns:
        The limit, a number.
    """
    added = (finite("branch", branch) * scale("sigma_w", sigma_w)) ** 2 / 2
    return kink_constant(sqrt(2 * added / (1 + added)))
