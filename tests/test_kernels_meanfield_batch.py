"""Saliency of the batch mean, as SNIP uses it, on the edge of chaos.

The prediction is for infinite width. What a finite width adds grows with depth / width:
a ReLU network of depth 60 and width 300 shows exponents a quarter to a third lower, so
ReLU is compared at depth / width = 1/20.
"""

import numpy as np
import pytest
import torch
from meanfield_cases import layer_moments, mlp, sample

from paicore.kernels import meanfield

BATCHES = (1, 16, 100, 1000)
CASES = {  # phi: sigma_b, depth, width, seeds, first and last layer of the fit
    "tanh": (0.2, 60, 300, 8, (9, 55)),
    "relu": (0.0, 15, 300, 16, (4, 13)),
}


def exponent(moments, layers):
    """Slope of log m^l against log l over layers first ... last."""
    span = np.arange(layers[0], layers[1] + 1)
    return np.polyfit(np.log(span), np.log(moments[span - 1]), 1)[0]


def level(moments, layers):
    """Mean of log m^l over layers first ... last."""
    return np.log(moments[layers[0] - 1 : layers[1]]).mean()


def jackknife(statistic, rows):
    """A statistic of the mean over seeds, and its standard error."""
    n = len(rows)
    left = [statistic(np.delete(rows, i, axis=0).mean(0)) for i in range(n)]
    return statistic(rows.mean(0)), np.sqrt((n - 1) * np.var(left))


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    """(measured (seeds, batches, layers), prediction per batch size, fitted layers)."""
    phi = request.param
    sigma_b, depth, width, seeds, layers = CASES[phi]
    edge = meanfield.edge_of_chaos(phi, sigma_b=sigma_b)
    rows = []
    for seed in range(seeds):
        net = mlp(phi, (edge.sigma_w, sigma_b), width, depth, seed, dtype=torch.float32)
        x, v = sample(max(BATCHES), width, seed, torch.float32)
        rows.append([layer_moments(net, x[:batch], v) for batch in BATCHES])
    moments = meanfield.score_moments(
        phi, [width] * depth + [10], edge.sigma_w, sigma_b, q0=1.0
    )
    return np.array(rows), [moments.batch_mean(b) for b in BATCHES], layers


@pytest.mark.parametrize("statistic", [exponent, level])
def test_batch_saliency_is_predicted_within_seed_noise(case, statistic):
    rows, predicted, layers = case
    for index in range(len(BATCHES)):
        value, error = jackknife(lambda m: statistic(m, layers), rows[:, index])
        assert abs(value - statistic(predicted[index], layers)) < 3 * error


def test_exponent_grows_with_the_batch_in_networks_and_in_theory(case):
    rows, predicted, layers = case
    measured = [exponent(rows[:, i].mean(0), layers) for i in range(len(BATCHES))]
    theory = [exponent(p, layers) for p in predicted]
    for found in (measured, theory):
        assert np.all(np.diff(found) > 0)
        assert found[-1] > 1.5
    assert theory[0] == pytest.approx(0, abs=1e-3)  # one sample: flat


@pytest.mark.parametrize(
    ("phi", "sigma_b", "power"), [("tanh", 0.2, 2), ("relu", 0, 3)]
)
def test_exponent_of_a_large_batch_tends_to_two_or_three(phi, sigma_b, power):
    edge = meanfield.edge_of_chaos(phi, sigma_b=sigma_b)
    found = []
    for depth in (60, 600):
        moments = meanfield.score_moments(
            phi, [100] * (depth + 1), edge.sigma_w, sigma_b, q0=1.0, c0=0.5
        )
        found.append(exponent(moments.cross, (depth // 2, depth - 5)))
    assert abs(found[1] - power) < abs(found[0] - power)
    assert found[1] == pytest.approx(power, rel=0.03)
