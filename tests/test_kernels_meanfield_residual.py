"""Residual and Stable residual networks: growth of saliency, theory and networks."""

from math import log, sqrt

import numpy as np
import pytest
import torch
from meanfield_cases import labelled, layer_moments, sample, weights

from paicore import nets, prune, seeds
from paicore.kernels import meanfield
from paicore.nets.modules import Scale

DEPTHS, WIDTH, SEEDS = (5, 10, 20, 30, 40), 200, 20


def residual(depth, width, sigma_w, seed, **options):
    """A residual ReLU MLP without biases."""
    return nets.build(
        "residual_mlp", classes=10, in_shape=(width,), width=width, depth=depth,
        init=("gaussian", sigma_w, 0.0), dtype=torch.float64, bias=False,
        generator=seeds.generator(seed, "meanfield", "residual"), **options,
    )  # fmt: skip


def rescale(net, factor, branch):
    """Multiply all weights, and set the factor of every branch."""
    with torch.no_grad():
        for weight in weights(net):
            weight.mul_(factor)
    for module in net.modules():
        if isinstance(module, Scale):
            module.factor = branch


@pytest.fixture(scope="module")
def measured():
    """(sigma_w^2, stable) -> log of the mean m of all blocks, per depth.

    One sample and a linear loss each; the four kinds of network share their draws.
    """
    kinds = [(square, stable) for square in (1, 2) for stable in (False, True)]
    found = {kind: [] for kind in kinds}
    for depth in DEPTHS:
        rows = {kind: [] for kind in kinds}
        for seed in range(SEEDS):
            net = residual(depth, WIDTH, 1.0, seed, branch_factor=1.0)
            x, v = sample(1, WIDTH, seed)
            scale = 1.0
            for square, stable in kinds:
                branch = 1 / sqrt(depth) if stable else 1.0
                rescale(net, sqrt(square) / scale, branch)
                scale = sqrt(square)
                rows[square, stable].append(layer_moments(net, x, v)[1:-1])
        for kind in kinds:
            found[kind].append(log(np.mean(rows[kind])))
    return found


def slope(x, y):
    return np.polyfit(x, y, 1)[0]


@pytest.mark.parametrize("square", [1, 2])
def test_saliency_of_a_plain_residual_net_grows_exponentially(measured, square):
    found = slope(DEPTHS, measured[square, False])
    assert found == pytest.approx(log(1 + square / 2), abs=0.03)


@pytest.mark.parametrize("square", [1, 2])
def test_saliency_of_a_stable_residual_net_falls_like_its_recursion(measured, square):
    theory = [log((1 + square / (2 * d)) ** (d - 1) / d) for d in DEPTHS]
    found = slope(np.log(DEPTHS), measured[square, True])
    assert found == pytest.approx(slope(np.log(DEPTHS), theory), abs=0.1)


@pytest.mark.parametrize("square", [1, 2])
@pytest.mark.parametrize("stable", [False, True])
def test_recursion_predicts_the_size_of_the_saliency(measured, square, stable):
    for depth, value in zip(DEPTHS, measured[square, stable], strict=True):
        branch = meanfield.branch_factor(depth, stable=stable)
        theory = meanfield.residual_moments(
            "relu", depth, WIDTH, sqrt(square), branch=branch, outputs=10
        )
        assert value == pytest.approx(log(theory.score.mean()), abs=0.5)


@pytest.mark.parametrize(("square", "stable"), [(1, False), (2, False), (1, True)])
def test_relu_recursion_is_the_closed_power(square, stable):
    depth, width = 12, 50
    branch = meanfield.branch_factor(depth, stable=stable)
    found = meanfield.residual_moments(
        "relu", depth, width, sqrt(square), branch=branch
    )
    growth = 1 + branch**2 * square / 2
    np.testing.assert_allclose(found.q, square * growth ** np.arange(13), rtol=1e-13)
    top = square / 2  # gradient through the readout
    expected = branch**2 * square / width * top * growth ** (depth - 1) * square / 2
    np.testing.assert_allclose(found.score, expected, rtol=1e-13)
    np.testing.assert_allclose(found.gradient, top * growth ** np.arange(12, -1, -1))


def test_recursion_holds_for_other_activations_and_biases():
    found = meanfield.residual_moments("tanh", 3, 20, 1.1, 0.4, q0=0.6, branch=0.5,
                                       outputs=5, top=2.0)  # fmt: skip
    q = [0.4**2 + 1.1**2 * 0.6]
    for _ in range(3):
        q.append(q[-1] + 0.25 * meanfield.variance_map("tanh", q[-1], 1.1, 0.4))
    np.testing.assert_allclose(found.q, q, rtol=1e-13)
    slopes = 1.1**2 * meanfield.slope_moment("tanh", np.array(q))
    gradient = [2.0 * 5 / 20 * slopes[3]]
    for layer in (2, 1, 0):
        gradient.insert(0, gradient[0] * (1 + 0.25 * slopes[layer]))
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-13)


def test_stable_residual_net_keeps_its_layers_evenly():
    variation = {False: [], True: []}
    for stable, found in variation.items():
        for seed in range(5):
            net = residual(50, 100, sqrt(2), seed, stable=stable)
            masks = prune(net, "snip", density=0.1, batch=labelled(50, 100, seed))
            kept = np.array(list(masks.layer_densities().values()))[1:-1]
            found.append(kept.std() / kept.mean())
    assert np.mean(variation[True]) < np.mean(variation[False]) / 2
