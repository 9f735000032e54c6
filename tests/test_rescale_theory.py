"""The rescaling trick in deep networks: what it restores, and what defeats it.

Networks at the edge of chaos, 50 layers of width 200, pruned by SNIP; q is the mean
square of the outputs of layer 26, g the ratio of the gradients of layers 3 and 46.
Reference values: section 1.8 and row 4.13 of the paper's reference.
"""

from functools import cache
from math import exp, log, log10

import numpy as np
import pytest
import torch
from meanfield_cases import labelled, mlp, weights
from torch.nn import functional

from paicore import nets, prune, rescale, seeds
from paicore.kernels import meanfield

SEEDS, SIGMA_B, DEPTH, WIDTH, INPUTS = 3, 0.2, 50, 200, 784
EDGE = {phi: meanfield.edge_of_chaos(phi, sigma_b=SIGMA_B) for phi in ("tanh", "elu")}


@cache
def pruned(phi, sparsity, seed):
    """A dense network, SNIP's masks and the pruning batch."""
    net = mlp(phi, (EDGE[phi].sigma_w, SIGMA_B), WIDTH, DEPTH, seed, inputs=INPUTS)
    batch = labelled(100, INPUTS, seed)
    return net, prune(net, "snip", density=1 - sparsity, batch=batch), batch


def variance(net, x):
    """Mean square of the outputs of the 26th Linear layer."""
    with torch.no_grad():
        return float(net[: 2 * 26](x).square().mean())


def gradient_ratio(net, batch):
    x, y = batch
    theta = weights(net)
    loss = functional.cross_entropy(net(x), y)
    third, other = torch.autograd.grad(loss, [theta[2], theta[45]])
    return float(third.norm() / other.norm())


def over_seeds(phi, sparsity, measure):
    return np.array([measure(*pruned(phi, sparsity, s)) for s in range(SEEDS)])


def test_pruning_kills_the_gradient_and_the_trick_brings_it_back():
    def ratios(net, masks, batch):
        plain = rescale.scaled(net, masks, {})
        new = rescale.rescaled(net, masks)
        return [log10(gradient_ratio(each, batch)) for each in (plain, new)]

    plain, new = over_seeds("tanh", 0.8, ratios).mean(0)
    assert new - plain > 3


def test_the_gain_sigma_w_restores_the_variance_and_the_literal_one_does_not():
    def variances(net, masks, batch):
        kinds = ({"gain": "sigma_w"}, {"gain": 1.0}, {"per": "layer"})
        nets = [rescale.rescaled(net, masks, **kind) for kind in kinds]
        plain = rescale.scaled(net, masks, {})
        return [variance(each, batch[0]) for each in (*nets, plain)]

    at_half = over_seeds("tanh", 0.5, variances).mean(0)
    assert at_half[0] == pytest.approx(EDGE["tanh"].q, rel=0.1)
    assert at_half[1] < at_half[3] < 0.7 * EDGE["tanh"].q  # worse than doing nothing
    row, literal, layer, plain = over_seeds("tanh", 0.8, variances).mean(0)
    assert 0.35 < row < 0.6 and 0.35 < layer < 0.6
    assert max(literal, plain) < 0.2


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("phi", ["tanh", "elu"])
def test_with_shuffled_masks_the_trick_is_right_at_every_density(phi, sparsity):
    def control(net, masks, batch):
        g = seeds.generator(0, "shuffle")
        return variance(rescale.rescaled(net, masks.shuffled(g)), batch[0])

    found = over_seeds(phi, sparsity, control).mean()
    assert found == pytest.approx(EDGE[phi].q, rel=0.25)


def test_saliency_masks_of_elu_defeat_the_trick_and_activity_weights_mend_it():
    def variances(net, masks, batch):
        x = batch[0]
        news = (
            rescale.rescaled(net, masks),
            rescale.activity_rescaled(net, masks, x),
            rescale.calibrated(net, masks, x, moment="mean_square"),
        )
        return [variance(new, x) for new in (net, *news)]

    dense, trick, activity, calibrated = over_seeds("elu", 0.8, variances).mean(0)
    assert trick > 3
    assert 0.8 < activity < 1.6
    assert calibrated == pytest.approx(dense, rel=1e-10)


def test_relu_without_biases_explodes_under_the_trick_and_not_when_shuffled():
    scale = 2**0.5
    found = {"trick": [], "shuffled": [], "activity": []}
    for seed in range(SEEDS):
        net = mlp("relu", (scale, 0.0), WIDTH, DEPTH, seed, inputs=INPUTS)
        x, y = labelled(100, INPUTS, seed)
        masks = prune(net, "snip", density=0.2, batch=(x, y))
        control = masks.shuffled(seeds.generator(seed, "shuffle"))
        news = {
            "trick": rescale.rescaled(net, masks),
            "shuffled": rescale.rescaled(net, control),
            "activity": rescale.activity_rescaled(net, masks, x),
        }
        for kind, new in news.items():
            found[kind].append(log(variance(new, x) / variance(net, x)))
    grown = {kind: exp(np.mean(logs)) for kind, logs in found.items()}
    assert grown["trick"] > 1e4
    assert 0.1 < grown["shuffled"] < 10
    assert 0.1 < grown["activity"] < 40


def test_convolutions_need_the_sum_over_all_kernel_positions():
    edge, found = EDGE["tanh"], {"none": [], "sum": [], "channels": []}
    for seed in range(SEEDS):
        g = seeds.generator(seed, "rescale", "cnn")
        net = nets.build(
            "cnn", in_shape=(3, 6, 6), width=48, depth=20, activation="tanh",
            init=("gaussian", edge.sigma_w, SIGMA_B), generator=g, dtype=torch.float64,
        )  # fmt: skip
        x = torch.randn(20, 3, 6, 6, generator=g, dtype=torch.float64)
        masks = prune(net, "random", density=0.2, scope="layerwise", generator=g)
        news = {
            "none": rescale.scaled(net, masks, {}),
            "sum": rescale.rescaled(net, masks),
            # each of nine positions brought to sigma_w: three times the factor
            "channels": rescale.rescaled(net, masks, gain=3 * edge.sigma_w),
        }
        for kind, new in news.items():
            with torch.no_grad():
                found[kind].append(float(new[: 2 * 16](x).square().mean()))
    after = {kind: np.mean(values) for kind, values in found.items()}
    # outputs of the 16th activation: E[phi^2] at the fixed point
    expected = (edge.q - SIGMA_B**2) / edge.sigma_w**2
    assert after["sum"] == pytest.approx(expected, rel=0.15)
    assert after["none"] < 0.3 * expected
    assert after["channels"] > 2 * expected
