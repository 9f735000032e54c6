r"""Second moments of saliency in every layer, for one sample and for a batch mean.

.. math:: m^l = E[(W^l_{ij} \, \partial L / \partial W^l_{ij})^2]

This is what SBP (SNIP's score) ranks layers by. Two approximations: infinite width, and
backward weights treated as independent of the forward pass.

Without a non-zero fixed point of the variance the phases cannot be seen: for bias-free
ReLU at any sigma_w, and for tanh without bias in the ordered phase, the variance loses
per layer what the gradient gains, and m^l is flat (for bias-free ReLU the sum of
W dL/dW is even exactly the same in every layer). Use sigma_b > 0 to see conditioning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paicore.kernels.meanfield import moments
from paicore.kernels.meanfield.maps import (
    Signal,
    finite,
    is_count,
    scale,
    signal,
    slope_map,
)
from paicore.kernels.meanfield.moments import Phi


@dataclass(frozen=True)
class ScoreMoments:
    r"""Moments of g = W dL/dW, layer by layer.

    Attributes:
        sample: E[g_a^2] = m^l of one sample, shape (L,).
        cross: E[g_a g_b] for two samples a, b and the same weight, shape (L,).
    """

    sample: np.ndarray
    cross: np.ndarray

    def batch_mean(self, batch: int) -> np.ndarray:
        r"""Return m_B^l = sample / B + (1 - 1/B) cross, of the batch-mean gradient.

        Args:
            batch: Number B of samples.

        Returns:
            Array (L,).

        Raises:
            ValueError: B is below 1.
        """
        if isinstance(batch, bool) or not (batch >= 1 and batch == int(batch)):
            raise ValueError(f"batch: expected an int of at least 1, got {batch!r}")
        return self.sample / batch + (1 - 1 / batch) * self.cross


def gradient_moments(
    phi: Phi, forward: Signal, widths: Sequence[int], sigma_w: float, *,
    top: float = 1.0, top_cross: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    r"""Return E[(dL/dy^l_i)^2], and the same product for two samples, for all layers.

    .. math:: \tilde q^l = \tilde q^{l+1} \frac{N_{l+1}}{N_l}
        \sigma_w^2 E[\phi'(U^l) \phi'(V^l)]

    Conventions: U = V for one sample, where the factor is chi(q^l).

    Args:
        phi: Name or Activation.
        forward: Signal of L layers.
        widths: N_0 ... N_L, input and output included.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        top: E[(dL/dy^L_i)^2] per output unit.
        top_cross: The same product for two samples' losses.

    Returns:
        Two arrays (L,).
    """
    q, gap = forward.q[:-1], forward.gap[:-1]
    growth = np.asarray(widths[2:]) / np.asarray(widths[1:-1])  # N_{l+1} / N_l
    top, top_cross = scale("top", top), finite("top_cross", top_cross)
    factors = scale("sigma_w", sigma_w) ** 2 * moments.slope_moment(phi, q)
    crossed = slope_map(phi, gap, sigma_w, q=q)
    return downward(growth * factors, top), downward(growth * crossed, top_cross)


def downward(factors: np.ndarray, top: float) -> np.ndarray:
    """Return `top` times the product of all factors from layer l upward, (L,)."""
    return top * np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def score_moments(
    phi: Phi, widths: Sequence[int], sigma_w: float, sigma_b: float, *,
    q0: float, c0: float = 0.0, top: float = 1.0, top_cross: float = 1.0,
) -> ScoreMoments:  # fmt: skip
    r"""Predict m^l of an MLP for single samples and for two samples of a batch.

    .. math:: m^l = \frac{\sigma_w^2}{N_{l-1}} \tilde q^l
        E[\phi(\sqrt{q^{l-1}} Z)^2], \quad
        \text{cross}^l = \frac{\sigma_w^2}{N_{l-1}} \tilde q_\times^l
        E[\phi(U^{l-1}) \phi(V^{l-1})]

    Conventions: the first layer has the inputs in place of phi. At the fixed point and
    constant width m^l = const chi^(L-l), so log m^l has slope -log chi: true for one
    sample only. SBP squares the gradient of the batch mean, whose cross term carries
    the product of f'(c^k) over the layers above; on the edge of chaos it tends to
    (l/L)^2 (smooth) or (l/L)^3 (ReLU), so the edge is well-conditioned per sample and
    not for large batches. All pairs of a batch are alike here: equal norms and one c0.

    Args:
        phi: Name or Activation.
        widths: N_0 ... N_L, input and output included.
        sigma_w: Standard deviation of the weights times sqrt(fan_in).
        sigma_b: Standard deviation of the biases.
        q0: Mean square of an input's entries.
        c0: Cosine of the angle between two inputs.
        top: E[(dL_a/dy^L_i)^2] per output unit, L_a the loss of one sample.
        top_cross: E[dL_a/dy^L_i dL_b/dy^L_i] for two samples; equal to `top` for one
            linear loss for all, near 0 for cross-entropy with random labels.

    Returns:
        ScoreMoments of L layers.

    Raises:
        ValueError: Fewer than two widths.

    Cost: L evaluations of the pair integrals.

    Source: Hayou et al. (2021), section 3, for one sample; the batch form is ours.
    """
    if len(widths) < 2 or not all(map(is_count, widths)):
        raise ValueError(f"widths: expected ints N_0 ... N_L, got {tuple(widths)}")
    forward = signal(phi, len(widths) - 1, sigma_w, sigma_b, q0=q0, c0=c0)
    q, gap = forward.q[:-1], forward.gap[:-1]
    second = moments.second_moment(phi, q)
    active = np.append(q0, second)  # E[phi(y^{l-1})^2], (L,)
    shared = np.append(c0 * q0, second - moments.difference(phi, q, gap))
    down, down_cross = gradient_moments(
        phi, forward, widths, sigma_w, top=top, top_cross=top_cross
    )
    share = sigma_w**2 / np.asarray(widths[:-1])  # variance of one weight
    return ScoreMoments(share * down * active, share * down_cross * shared)
