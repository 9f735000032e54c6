"""Correlation maps: how fast depth makes two inputs alike, plain and residual."""

from math import sqrt

import numpy as np
import pytest

from paicore.kernels import meanfield

RELU_CONSTANT = 9 * np.pi**2 / 2  # 44.41


def iterate(gap_map, layers, start=0.9):
    gap = start
    for _ in range(layers):
        gap = gap_map(gap)
    return gap


def edge_map(name, sigma_b):
    edge = meanfield.edge_of_chaos(name, sigma_b=sigma_b)
    q = edge.q

    def gap_map(gap):
        return meanfield.gap_map(name, gap, edge.sigma_w, sigma_b, q=q)

    return edge, gap_map


def test_relu_correlation_map_is_the_arc_cosine():
    for c in (-1.0, -0.3, 0.0, 0.8, 1.0):
        f = (c * np.arcsin(c) + np.sqrt(1 - c * c)) / np.pi + c / 2
        value = meanfield.correlation_map("relu", c, sqrt(2), 0.0, q=1.7)
        assert value == pytest.approx(f, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [("tanh", 0.8, 0.3), ("elu", 0.9, 0.2), ("relu", 1.2, 0.3), ("erf", 0.7, 0.1)],
)
def test_slope_of_the_correlation_map_at_one_is_chi(name, sigma_w, sigma_b):
    q, chi = (
        meanfield.fixed_point(name, sigma_w, sigma_b).q,
        meanfield.chi(name, sigma_w, sigma_b),
    )
    slope = meanfield.slope_map(name, 0.0, sigma_w, q=q)
    assert slope == pytest.approx(chi, rel=1e-12)
    gap = 1e-10
    ratio = meanfield.gap_map(name, gap, sigma_w, sigma_b, q=q) / gap
    assert ratio == pytest.approx(chi, rel=1e-4)


def test_slope_map_is_the_derivative_of_the_correlation_map():
    for name in ("relu", "tanh", "elu", "gelu"):
        q, h = meanfield.fixed_point(name, 1.1, 0.3).q, 1e-5
        ends = meanfield.correlation_map(name, [0.4 - h, 0.4 + h], 1.1, 0.3, q=q)
        slope = meanfield.slope_map(name, 0.6, 1.1, q=q)
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=1e-8)


def test_ordered_phase_converges_with_ratio_chi():
    q = meanfield.fixed_point("tanh", 0.8, 0.3).q

    def gap_map(gap):
        return meanfield.gap_map("tanh", gap, 0.8, 0.3, q=q)

    gap = iterate(gap_map, 25)
    assert gap_map(gap) / gap == pytest.approx(0.4957, abs=1e-3)
    rate = meanfield.correlation_rate("tanh", 0.8, 0.3)
    assert (rate.law, rate.limit) == ("exponential", 1.0)
    assert gap_map(gap) / gap == pytest.approx(rate.value, abs=1e-6)


def test_relu_on_the_edge_converges_like_one_over_depth_squared():
    _, gap_map = edge_map("relu", 0.0)
    rate = meanfield.correlation_rate("relu", sqrt(2), 0.0)
    assert (rate.law, rate.value) == ("1/l^2", pytest.approx(RELU_CONSTANT))
    assert iterate(gap_map, 1000) * 1e6 == pytest.approx(44.41, rel=0.04)


def test_leaky_relu_rate_follows_the_jump_of_its_slope():
    phi = meanfield.activation("leaky_relu", 0.3)
    sigma_w = meanfield.edge_of_chaos(phi).sigma_w
    rate = meanfield.correlation_rate(phi, sigma_w, 0.0)
    gap = iterate(lambda g: meanfield.gap_map(phi, g, sigma_w, 0.0, q=1.0), 20_000)
    assert gap * 4e8 == pytest.approx(rate.value, rel=0.02)


def test_elu_with_a_jump_follows_the_same_law():
    phi = meanfield.activation("elu", 0.2)
    edge = meanfield.edge_of_chaos(phi, sigma_b=0.3)
    rate = meanfield.correlation_rate(phi, edge.sigma_w, 0.3)
    gap = 1e-8
    lost = gap - meanfield.gap_map(phi, gap, edge.sigma_w, 0.3, q=edge.q)
    assert rate.law == "1/l^2"  # (g - f(g)) / g^1.5 tends to 2 / sqrt(constant)
    assert lost / gap**1.5 == pytest.approx(2 / sqrt(rate.value), rel=1e-3)


def test_tanh_on_the_edge_converges_like_one_over_depth():
    edge, gap_map = edge_map("tanh", 0.2)
    rate = meanfield.correlation_rate("tanh", edge.sigma_w, 0.2)
    assert (rate.law, rate.value) == ("1/l", pytest.approx(7.084, abs=1e-3))
    assert iterate(gap_map, 300) * 300 == pytest.approx(rate.value, rel=0.04)


@pytest.mark.parametrize(("name", "sigma_b"), [("elu", 0.2), ("erf", 0.2)])
def test_smooth_rates_hold_far_down(name, sigma_b):
    edge, gap_map = edge_map(name, sigma_b)
    rate = meanfield.correlation_rate(name, edge.sigma_w, sigma_b)
    gap = iterate(gap_map, 1, start=1e-5)
    # 1 / g grows by 1 / constant per layer
    assert 1 / gap - 1e5 == pytest.approx(1 / rate.value, rel=0.02)


@pytest.mark.parametrize("sigma_w", [0.7, 1.0, 3.0])
def test_bias_free_relu_has_one_rate_whatever_its_scale(sigma_w):
    rate = meanfield.correlation_rate("relu", sigma_w, 0.0)
    assert (rate.law, rate.value) == ("1/l^2", pytest.approx(RELU_CONSTANT))
    gap = iterate(lambda g: meanfield.gap_map("relu", g, sigma_w, 0.0, q=1.0), 1000)
    assert gap * 1e6 == pytest.approx(rate.value, rel=0.04)


def test_a_vanishing_variance_has_no_rate():
    for sigma_w in (0.8, 1.0):
        with pytest.raises(ValueError, match="variance of tanh tends to 0"):
            meanfield.correlation_rate("tanh", sigma_w, 0.0)
    gap = iterate(lambda g: meanfield.gap_map("tanh", g, 0.8, 0.0, q=1e-8), 50)
    assert gap == pytest.approx(0.9, rel=1e-5)  # there the map moves nothing
    with pytest.raises(ValueError, match="phi: correlations of a linear network"):
        meanfield.correlation_rate("identity", 1.0, 0.0)


def test_chaotic_phase_settles_below_one():
    q = meanfield.fixed_point("tanh", 2.0, 0.3).q
    rate = meanfield.correlation_rate("tanh", 2.0, 0.3)
    limit = meanfield.correlation_fixed_point("tanh", 2.0, 0.3)
    gaps = [0.3]
    for _ in range(60):
        gaps.append(meanfield.gap_map("tanh", gaps[-1], 2.0, 0.3, q=q))
    assert rate.limit == limit < 1
    assert 1 - gaps[-1] == pytest.approx(limit, abs=1e-4)
    moves = np.diff(gaps)
    assert moves[-1] / moves[-2] == pytest.approx(rate.value, abs=1e-3)
    assert meanfield.correlation_fixed_point("tanh", 2.0, 0.0) == 0.0


def test_signal_is_the_iteration_of_both_maps():
    signal = meanfield.signal("tanh", 5, 1.3, 0.2, q0=0.8, c0=0.4)
    q = 0.2**2 + 1.3**2 * 0.8
    gap = 1.3**2 * 0.8 * 0.6 / q
    for layer in range(5):
        assert signal.q[layer] == pytest.approx(q, rel=1e-13)
        assert signal.c[layer] == pytest.approx(1 - gap, rel=1e-12)
        gap = meanfield.gap_map("tanh", gap, 1.3, 0.2, q=q)
        q = meanfield.variance_map("tanh", q, 1.3, 0.2)


def test_iterating_c_instead_of_the_gap_loses_the_rate():
    _, gap_map = edge_map("relu", 0.0)
    start = 3e-16
    deep, c = iterate(gap_map, 1000, start=start), 1 - start
    for _ in range(1000):
        c = meanfield.correlation_map("relu", c, sqrt(2), 0.0, q=1.0)
    assert deep == pytest.approx(start, rel=1e-3, abs=0)
    assert 1 - c != pytest.approx(start, rel=1e-3, abs=0)


@pytest.mark.parametrize("alpha", [2.0, 0.5])
def test_pruned_residual_relu_net_stays_on_the_edge(alpha):
    sigma_w = sqrt(alpha)

    def gap_map(gap):
        return meanfield.residual_gap_map("relu", gap, sigma_w, q=1.0)

    weight = (alpha / 2) / (1 + alpha / 2)
    gap = iterate(gap_map, 20_000)
    assert gap * 4e8 * weight**2 == pytest.approx(44.41, rel=0.02)
    assert meanfield.residual_rate(sigma_w) == pytest.approx(RELU_CONSTANT / weight**2)
    assert gap_map(1e-12) / 1e-12 == pytest.approx(1, abs=1e-5)


def test_residual_map_mixes_the_correlation_with_its_image():
    for c in (-0.5, 0.2, 0.9):
        alpha, branch = 1.4, 0.6
        f = meanfield.correlation_map("relu", c, sqrt(2), 0.0, q=1.0)
        weight = branch**2 * alpha / 2 / (1 + branch**2 * alpha / 2)
        gap = meanfield.residual_gap_map(
            "relu", 1 - c, sqrt(alpha), q=2.0, branch=branch
        )
        assert 1 - gap == pytest.approx(c + weight * (f - c), abs=1e-13)


def test_a_mask_that_ignores_the_weights_is_undone_by_its_inverse_root():
    edge = meanfield.edge_of_chaos("tanh", sigma_b=0.2)
    density = 0.2
    pruned = edge.sigma_w * sqrt(density)
    assert meanfield.chi("tanh", pruned, 0.2) < 0.5
    restored = pruned * edge.sigma_w / sqrt(edge.sigma_w**2 * density)
    assert meanfield.chi("tanh", restored, 0.2) == pytest.approx(1, abs=1e-9)
    assert meanfield.fixed_point("tanh", restored, 0.2).q == pytest.approx(edge.q)
    # gain 1 instead of sigma_w sets the effective scale to one: not the edge
    assert meanfield.chi("tanh", 1.0, 0.2) < 0.9


def test_lottery_density_reaches_the_edge_from_above():
    for sigma_w in (1.6, 2.5, 4.0):
        density = meanfield.lottery_density("tanh", sigma_w, sigma_b=0.2)
        effective = sigma_w * sqrt(density)
        assert meanfield.chi("tanh", effective, 0.2) == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="sigma_w"):
        meanfield.lottery_density("tanh", 1.2, sigma_b=0.2)
