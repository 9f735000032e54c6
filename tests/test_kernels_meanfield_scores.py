"""Predicted saliency per layer against random networks: one sample at a time."""

from math import log, sqrt

import numpy as np
import pytest
import torch
from meanfield_cases import depth_slope, layer_moments, mlp, sample, weights

from paicore.kernels import meanfield

EDGE = meanfield.edge_of_chaos("tanh", sigma_b=0.3).sigma_w
SCALES = (0.8, 1.0, EDGE, 2.0)  # ordered, ordered, edge of chaos, chaotic
SEEDS, DEPTH, WIDTH, BIAS = 40, 30, 300, 0.3


@pytest.fixture(scope="module")
def measured():
    """sigma_w -> mean over seeds of m^l, each of one sample; draws are shared."""
    found = {sigma_w: [] for sigma_w in SCALES}
    for seed in range(SEEDS):
        net = mlp("tanh", (1.0, BIAS), WIDTH, DEPTH, seed)
        x, v = sample(1, WIDTH, seed)
        scale = 1.0
        for sigma_w in SCALES:
            with torch.no_grad():
                for weight in weights(net):
                    weight.mul_(sigma_w / scale)
            scale = sigma_w
            found[sigma_w].append(layer_moments(net, x, v))
    return {sigma_w: np.mean(rows, axis=0) for sigma_w, rows in found.items()}


@pytest.mark.parametrize("sigma_w", SCALES)
def test_log_saliency_of_one_sample_falls_by_log_chi_per_layer(measured, sigma_w):
    chi = meanfield.chi("tanh", sigma_w, BIAS)
    assert abs(depth_slope(measured[sigma_w], 9, 25) + log(chi)) < 0.03


def test_only_the_edge_of_chaos_is_well_conditioned(measured):
    for sigma_w in SCALES:
        inner = measured[sigma_w][1:-1]
        ratio = inner.max() / inner.min()
        assert ratio < 3 if sigma_w == EDGE else ratio > 1e3


@pytest.mark.parametrize("sigma_w", SCALES)
def test_predicted_saliency_has_the_right_size_in_every_layer(measured, sigma_w):
    widths = [WIDTH] * DEPTH + [10]
    predicted = meanfield.score_moments("tanh", widths, sigma_w, BIAS, q0=1.0)
    # 40 draws of the last layers' fluctuations are shared by all layers
    np.testing.assert_allclose(measured[sigma_w] / predicted.sample, 1, atol=0.25)


def test_saliency_at_the_fixed_point_is_a_power_of_chi():
    point = meanfield.fixed_point("tanh", 0.8, 0.3)
    start = (point.q - 0.3**2) / 0.8**2  # so that q^1 is the fixed point already
    sample_moments = meanfield.score_moments(
        "tanh", [50] * 13, 0.8, 0.3, q0=start
    ).sample
    np.testing.assert_allclose(sample_moments[2:] / sample_moments[1:-1],
                               1 / point.chi, rtol=1e-10)  # fmt: skip


@pytest.mark.parametrize("sigma_w", [1.0, sqrt(3)])
def test_bias_free_relu_shows_no_conditioning_whatever_its_scale(sigma_w):
    widths = [100] * 31
    flat = meanfield.score_moments("relu", widths, sigma_w, 0.0, q0=1.0).sample
    np.testing.assert_allclose(flat, flat[0], rtol=1e-12)
    chi = sigma_w**2 / 2
    biased = meanfield.score_moments("relu", widths, sigma_w, 0.3, q0=1.0).sample
    if chi < 1:  # the bias keeps the variance up, and the gradients show
        assert depth_slope(biased, 9, 25) == pytest.approx(-log(chi), abs=0.01)


def test_tanh_without_bias_is_flat_when_ordered_and_not_when_chaotic():
    widths = [100] * 61
    ordered = meanfield.score_moments("tanh", widths, 0.8, 0.0, q0=1.0).sample
    assert abs(depth_slope(ordered, 20, 50)) < 0.01
    chaotic = meanfield.score_moments("tanh", widths, 1.5, 0.0, q0=1.0).sample
    slope = -log(meanfield.chi("tanh", 1.5, 0.0))
    assert depth_slope(chaotic, 20, 50) == pytest.approx(slope, abs=1e-3)


def test_sum_of_weight_times_gradient_is_the_same_in_all_bias_free_relu_layers():
    net = mlp("relu", (1.3, 0.0), 60, 12, seed=3)
    x, v = sample(20, 60, seed=3)
    theta = weights(net)
    grads = torch.autograd.grad((torch.tanh(net(x)) @ v).mean(), theta)
    sums = [float((w.detach() * g).sum()) for w, g in zip(theta, grads, strict=True)]
    assert abs(sums[0]) > 1e-3
    np.testing.assert_allclose(sums, sums[0], rtol=1e-10)


def test_a_batch_of_equal_samples_is_one_sample():
    moments = meanfield.score_moments("tanh", [40] * 9, 1.2, 0.3, q0=0.7, c0=1.0)
    np.testing.assert_allclose(moments.cross, moments.sample, rtol=1e-13)
    np.testing.assert_allclose(moments.batch_mean(64), moments.sample, rtol=1e-13)
    with pytest.raises(ValueError, match="batch"):
        moments.batch_mean(0)


def test_cross_terms_carry_the_product_of_the_correlation_slopes():
    sigma_w, sigma_b = 1.5, 0.3
    point = meanfield.fixed_point("tanh", sigma_w, sigma_b)
    start = (point.q - sigma_b**2) / sigma_w**2
    widths = [30] * 8
    moments = meanfield.score_moments(
        "tanh", widths, sigma_w, sigma_b, q0=start, c0=0.2
    )
    signal = meanfield.signal("tanh", 7, sigma_w, sigma_b, q0=start, c0=0.2)
    slopes = meanfield.slope_map("tanh", signal.gap, sigma_w, q=point.q)
    for layer in range(1, 8):  # counted from one; the first one meets the inputs
        above = np.prod(slopes[layer - 1 : -1])
        shared = 0.2 * start
        if layer > 1:
            gap = signal.gap[layer - 2]
            shared = meanfield.covariance("tanh", point.q, point.q, gap)
        expected = sigma_w**2 / 30 * above * shared
        assert moments.cross[layer - 1] == pytest.approx(expected, rel=1e-10)


def test_unequal_widths_enter_forward_and_backward():
    widths = [20, 50, 10, 40, 5]
    even = meanfield.score_moments("tanh", [1] * 5, 1.3, 0.2, q0=1.0).sample
    uneven = meanfield.score_moments("tanh", widths, 1.3, 0.2, q0=1.0).sample
    factors = [widths[-1] / (widths[i] * widths[i - 1]) for i in range(1, 5)]
    np.testing.assert_allclose(uneven, even * factors, rtol=1e-13)
    with pytest.raises(ValueError, match="widths"):
        meanfield.score_moments("tanh", [5], 1.3, 0.2, q0=1.0)
