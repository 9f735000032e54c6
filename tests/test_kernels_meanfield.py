"""Mean-field maps, fixed points and the edge of chaos against independent integrals."""

from functools import partial
from math import exp, inf, nan, pi, sqrt

import numpy as np
import pytest
import torch
from meanfield_integrals import PHI, SLOPE, adaptive, adaptive_pair
from scipy.special import ndtr

from paicore.kernels import meanfield
from paicore.kernels.meanfield import closed_forms, quadrature
from paicore.nets.modules import ACTIVATIONS

NAMES = ["relu", "leaky_relu", "tanh", "elu", "gelu", "erf", "identity"]
KINKED = ["relu", "leaky_relu", "elu"]
TABLE = {  # (phi, sigma_b): (sigma_w, q)
    ("tanh", 0.05): (1.12254, 0.15369),
    ("tanh", 0.1): (1.19340, 0.27330),
    ("tanh", 0.2): (1.30415, 0.51208),
    ("tanh", 0.3): (1.39558, 0.76348),
    ("tanh", 0.5): (1.54967, 1.31794),
    ("tanh", 1.0): (1.85559, 3.03640),
    ("elu", 0.1): (1.17615, 0.43783),
    ("elu", 0.2): (1.22925, 1.10693),
    ("elu", 0.5): (1.30611, 4.88663),
}
CHI = {
    0.5: 0.2085, 0.8: 0.4957, 1.0: 0.7003, 1.1: 0.7906, 1.2: 0.8700, 1.3: 0.9398,
    1.5: 1.0610, 1.7: 1.1703, 2.0: 1.3271, 2.5: 1.5852,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("q", [1e-3, 0.5, 3.0, 40.0])
def test_one_variable_moments_agree_with_an_adaptive_integral(name, q):
    for f, moment in ((PHI[name], meanfield.second_moment),
                      (SLOPE[name], meanfield.slope_moment)):  # fmt: skip
        integral = adaptive(lambda u, f=f: f(u) ** 2, q)
        assert moment(name, q) == pytest.approx(integral, rel=1e-10, abs=0)


@pytest.mark.parametrize("name", NAMES)
def test_pair_moments_agree_with_an_adaptive_integral(name):
    qa, qb, c = 0.7, 1.9, -0.35
    value = meanfield.covariance(name, qa, qb, 1 - c)
    assert value == pytest.approx(adaptive_pair(PHI[name], qa, qb, c), abs=1e-8)
    value = meanfield.slope_covariance(name, qa, qb, 1 - c)
    assert value == pytest.approx(adaptive_pair(SLOPE[name], qa, qb, c), abs=1e-8)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "erf"])
@pytest.mark.parametrize("gap", [1e-6, 0.1, 0.9, 1.0, 1.3, 1.999])
def test_panels_that_end_at_the_kink_reproduce_the_closed_forms(name, gap):
    phi = meanfield.activation(name)
    for part, closed in (("value", meanfield.covariance),
                         ("derivative", meanfield.slope_covariance)):  # fmt: skip
        f = getattr(phi, part)
        integral = quadrature.pair_expectation(
            lambda u, v, f=f: f(u) * f(v), (0.4, 2.5), gap
        )
        assert integral == pytest.approx(closed(name, 0.4, 2.5, gap), abs=1e-13)


def test_gelu_second_moment_has_the_closed_form_of_steins_lemma():
    for q in (0.01, 1.0, 25.0):
        arc = 0.25 + np.arcsin(q / (1 + q)) / (2 * pi)
        closed = q * (arc + 2 * q / ((1 + q) * 2 * pi * sqrt(1 + 2 * q)))
        assert meanfield.second_moment("gelu", q) == pytest.approx(closed, rel=1e-13)


def test_elu_moments_have_the_forms_of_the_reference():
    for q in (0.03, 1.0, 6.0):
        far, near = exp(2 * q) * ndtr(-2 * sqrt(q)), exp(q / 2) * ndtr(-sqrt(q))
        assert meanfield.slope_moment("elu", q) == pytest.approx(0.5 + far, rel=1e-12)
        second = q / 2 + 0.5 + far - 2 * near
        assert meanfield.second_moment("elu", q) == pytest.approx(second, rel=1e-12)
        assert meanfield.curvature_moment("elu", q) == pytest.approx(far, rel=1e-12)


def test_elu_second_moment_joins_its_series_without_a_step():
    below, above = closed_forms.SMALL * (1 - 1e-14), closed_forms.SMALL
    values = meanfield.second_moment("elu", np.array([below, above]))
    assert values[0] == pytest.approx(values[1], rel=1e-12, abs=0)


@pytest.mark.parametrize("name", NAMES)
def test_difference_is_second_moment_minus_covariance(name):
    for gap in (0.0, 0.05, 0.8, 1.0, 1.6, 2.0):
        second = meanfield.second_moment(name, 1.3)
        rest = second - meanfield.covariance(name, 1.3, 1.3, gap)
        assert meanfield.difference(name, 1.3, gap) == pytest.approx(rest, abs=1e-13)


@pytest.mark.parametrize("name", ["relu", "elu", "tanh", "erf", "gelu"])
def test_difference_keeps_its_digits_where_one_minus_c_has_none(name):
    gap = 1e-13  # half of E[phi'^2] q gap, to leading order
    leading = meanfield.slope_moment(name, 0.8) * 0.8 * gap
    assert meanfield.difference(name, 0.8, gap) == pytest.approx(
        leading, rel=1e-5, abs=0
    )


def test_a_rule_with_a_node_on_the_kink_is_wrong_where_ours_is_right():
    z, w = np.polynomial.hermite_e.hermegauss(201)
    chi = 2 * np.sum(w * (z > 0)) / np.sum(w)
    assert chi == pytest.approx(0.912, abs=1e-3)
    phi = meanfield.activation("relu")
    ours = 2 * quadrature.expectation(lambda u: phi.derivative(u) ** 2, 1.0)
    assert ours == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("name", [n for n in NAMES if n in ACTIVATIONS])
def test_activations_are_those_of_the_networks(name):
    u = torch.linspace(-4, 4, 101, dtype=torch.float64)[:-1].requires_grad_()
    u = u[u != 0]
    value = ACTIVATIONS[name]()(u)
    slope = torch.autograd.grad(value.sum(), u)[0]
    phi = meanfield.activation(name)
    np.testing.assert_allclose(phi.value(u.detach().numpy()), value.detach(), 1e-12)
    np.testing.assert_allclose(phi.derivative(u.detach().numpy()), slope, 1e-12, 1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_declared_slopes_and_curvature_are_those_of_the_function(name):
    phi, h = meanfield.activation(name), 1e-6
    for side, slope in zip((-1, 1), phi.slopes, strict=True):
        assert (phi.value(side * h) - phi.value(0.0)) / (side * h) == pytest.approx(
            slope, abs=1e-5
        )
    for u in (-1.3, 0.4):
        rise = (phi.derivative(u + h) - phi.derivative(u - h)) / (2 * h)
        assert phi.curvature(np.float64(u)) == pytest.approx(rise, abs=1e-8)


def test_edge_of_chaos_matches_the_table_and_an_independent_chi():
    for (name, sigma_b), (sigma_w, q) in TABLE.items():
        edge = meanfield.edge_of_chaos(name, sigma_b=sigma_b)
        assert edge.sigma_w == pytest.approx(sigma_w, abs=1e-5)
        assert edge.q == pytest.approx(q, abs=1e-5)
        slope = SLOPE[name]
        chi = edge.sigma_w**2 * adaptive(lambda u, s=slope: s(u) ** 2, edge.q)
        assert abs(chi - 1) < 1e-6


def test_iterating_the_variance_map_arrives_at_the_edge_of_chaos():
    for name, sigma_b in [*TABLE, ("erf", 0.2), ("gelu", 0.5)]:
        edge, q = meanfield.edge_of_chaos(name, sigma_b=sigma_b), 0.7
        for _ in range(2000):
            q = meanfield.variance_map(name, q, edge.sigma_w, edge.sigma_b)
        assert q == pytest.approx(edge.q, rel=1e-8)


def test_edge_of_chaos_without_bias():
    assert meanfield.edge_of_chaos("relu").sigma_w == pytest.approx(sqrt(2), rel=1e-15)
    leaky = meanfield.edge_of_chaos("leaky_relu").sigma_w
    assert leaky == pytest.approx(sqrt(2 / (1 + 0.01**2)), rel=1e-15)
    for name, sigma_w in (("tanh", 1.0), ("elu", 1.0), ("erf", sqrt(pi) / 2)):
        edge = meanfield.edge_of_chaos(name)
        assert (edge.sigma_w, edge.q) == (pytest.approx(sigma_w), 0.0)


def test_edge_of_chaos_refuses_an_unstable_variance():
    # GELU's root at sigma_b = 0.2: one step of the map moves away from it.
    with pytest.raises(ValueError, match=r"no stable edge of chaos.*0\.575637"):
        meanfield.edge_of_chaos("gelu", sigma_b=0.2)
    q = 0.5756370
    sigma_w = 1 / sqrt(meanfield.slope_moment("gelu", q))
    near = q * 1.01
    assert meanfield.variance_map("gelu", near, sigma_w, 0.2) - q > near - q
    with pytest.raises(ValueError, match="sigma_b: the edge of chaos of relu"):
        meanfield.edge_of_chaos("relu", sigma_b=0.1)


def test_chi_of_tanh_in_both_phases():
    for sigma_w, chi in CHI.items():
        assert meanfield.chi("tanh", sigma_w, 0.3) == pytest.approx(chi, abs=5.1e-5)
    assert meanfield.chi("tanh", 0.8, 0.0) == pytest.approx(0.64, rel=1e-12)
    assert meanfield.chi("relu", sqrt(3), 0.0) == pytest.approx(1.5, rel=1e-12)


def test_fixed_point_of_relu_is_known_in_closed_form():
    found = meanfield.fixed_point("relu", 1.2, 0.4)
    assert found.q == pytest.approx(0.4**2 / (1 - 1.2**2 / 2), rel=1e-12)
    assert found.slope == pytest.approx(1.2**2 / 2, rel=1e-12)
    assert meanfield.fixed_point("relu", sqrt(2), 0.0, start=3.7).q == 3.7


def test_fixed_point_refuses_a_variance_without_limit():
    for name, sigma_w, sigma_b in (("relu", 1.5, 0.1), ("gelu", 2.5, 0.1)):
        words = r"^sigma_w: .* grows from 1 beyond 1e\+06, .* without bound"
        with pytest.raises(ValueError, match=words):
            meanfield.fixed_point(name, sigma_w, sigma_b)


@pytest.mark.parametrize("name", ["tanh", "relu", "erf", "elu", "gelu", "leaky_relu"])
def test_fixed_point_is_reached_from_as_far_as_variances_go(name):
    near = meanfield.fixed_point(name, 0.9, 0.3).q
    for start in (1e6, 1.1e6, 1e8):
        found = meanfield.fixed_point(name, 0.9, 0.3, start=start)
        assert found.q == pytest.approx(near, rel=1e-10)
    for start in (1.1e8, 1e300):
        with pytest.raises(ValueError, match=r"^start: expected at most 1e\+08, got"):
            meanfield.fixed_point(name, 0.9, 0.3, start=start)


def test_fixed_point_refuses_to_sit_on_an_unstable_one():
    with pytest.raises(ValueError, match="unstable fixed point"):
        meanfield.fixed_point("tanh", 1.5, 0.0, start=0.0)
    assert meanfield.fixed_point("tanh", 1.5, 0.0).q == pytest.approx(0.79335, abs=1e-5)


@pytest.mark.parametrize(
    ("sigma_b", "sigma_w", "start", "q"),
    [(0.2, 1.58511, 0.2369, 0.2393), (0.2, 1.58601, 0.128, 0.2560),
     (0.3, 1.47309, 0.2905, 0.5811), (0.3, 1.47309, 0.585, 0.5811)],
)  # fmt: skip
def test_fixed_point_does_not_jump_over_two_that_are_about_to_meet(
    sigma_b, sigma_w, start, q
):
    # the unstable one follows within a few per cent, and beyond it all grows
    found, step = meanfield.fixed_point("gelu", sigma_w, sigma_b, start=start), start
    for _ in range(3000):
        step = meanfield.variance_map("gelu", step, sigma_w, sigma_b)
    assert found.q == pytest.approx(step, rel=1e-4)
    assert found.q == pytest.approx(q, abs=2e-4)
    assert meanfield.chi("gelu", sigma_w, sigma_b, start=start) == found.chi
    with pytest.raises(ValueError, match="without bound"):
        meanfield.fixed_point("gelu", sigma_w, sigma_b, start=1.3 * found.q)


def test_slow_convergence_to_zero_costs_nothing():
    found = meanfield.fixed_point("tanh", 1.0, 0.0)
    assert found.q == pytest.approx(0, abs=1e-9)
    assert found.chi == pytest.approx(1, abs=1e-8)


def test_variance_slope_is_the_derivative_of_the_variance_map():
    for name in NAMES:
        h = 1e-5
        up, down = (
            meanfield.variance_map(name, 0.9 + s, 1.1, 0.3) for s in (h, -h)
        )  # fmt: skip
        slope = meanfield.variance_slope(name, 0.9, 1.1)
        assert slope == pytest.approx((up - down) / (2 * h), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: meanfield.activation("swish"), ValueError, "phi"),
        (lambda: meanfield.activation(3), TypeError, "phi"),
        (lambda: meanfield.activation("tanh", 0.1), ValueError, "parameter"),
        (lambda: meanfield.second_moment("relu", -1.0), ValueError, "q"),
        (lambda: meanfield.covariance("relu", 1.0, 1.0, 2.1), ValueError, "gap"),
        (lambda: meanfield.curvature_moment("relu", 1.0), ValueError, "phi"),
        (lambda: meanfield.chi("tanh", -1.0, 0.0), ValueError, "sigma_w"),
        (lambda: meanfield.signal("tanh", 0, 1.0, 0.0, q0=1.0), ValueError, "depth"),
        (lambda: meanfield.variance_map("tanh", 1.0, None, 0.0), TypeError, "sigma_w"),
        (lambda: meanfield.variance_map("tanh", 1.0, 1j, 0.0), TypeError, "sigma_w"),
        (lambda: meanfield.variance_slope("tanh", nan, 1.0), ValueError, "q"),
        (lambda: meanfield.variance_slope("tanh", -1.0, 1.0), ValueError, "q"),
        (lambda: meanfield.variance_slope("tanh", inf, 1.0), ValueError, "q"),
        (lambda: meanfield.variance_slope("tanh", 1.0, nan), ValueError, "sigma_w"),
        (lambda: meanfield.residual_rate(1.0, branch=nan), ValueError, "branch"),
        (lambda: meanfield.mbp_sparsity(2.0, nan), ValueError, "layer_size"),
        (lambda: meanfield.mbp_sparsity_bound(2.0, 0), ValueError, "layer_size"),
        (lambda: meanfield.sbp_sparsity_bound(0.5, 9, nan), ValueError, "width"),
        *[(partial(meanfield.residual_moments, "relu", 3, width, 1.0), ValueError,
           "width") for width in (0, -1, inf, nan)],
        *[(partial(meanfield.residual_moments, "relu", 3, 9, 1.0, **{name: nan}),
           ValueError, name) for name in ("top", "outputs", "branch")],
        *[(partial(meanfield.score_moments, "relu", [9] * 3, 1.0, 0.1, q0=1.0, top=top),
           ValueError, "top") for top in (nan, -1.0)],
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, error, word):
    with pytest.raises(error, match=f"^{word}"):
        call()
