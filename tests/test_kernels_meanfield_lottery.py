"""Weak lottery tickets: a random mask leads a chaotic network to the edge of chaos."""

import numpy as np
import pytest
import torch
from meanfield_cases import depth_slope, layer_moments, mlp, sample, weights

from paicore import seeds
from paicore.kernels import meanfield

SCALES, BIAS, DEPTH, WIDTH = (1.6, 2.5, 4.0), 0.2, 30, 300
SEEDS = {"dense": 10, "masked": 40}


@pytest.fixture(scope="module")
def measured():
    """(kind, sigma_w) -> mean over seeds of m^l, one sample each; draws are shared."""
    found = {(kind, sigma_w): [] for kind in SEEDS for sigma_w in SCALES}
    for seed in range(max(SEEDS.values())):
        net, (x, v) = (
            mlp("tanh", (1.0, BIAS), WIDTH, DEPTH, seed),
            sample(1, WIDTH, seed),
        )
        units = [w.detach().clone() for w in weights(net)]
        g = seeds.generator(seed, "meanfield", "lottery")
        chances = [torch.rand(w.shape, generator=g) for w in units]
        for (kind, sigma_w), rows in found.items():
            if seed >= SEEDS[kind]:
                continue
            density = meanfield.lottery_density("tanh", sigma_w, sigma_b=BIAS)
            with torch.no_grad():
                for w, unit, chance in zip(weights(net), units, chances, strict=True):
                    torch.mul(unit, sigma_w, out=w.data)
                    if kind == "masked":
                        w.mul_(chance < density)
            rows.append(layer_moments(net, x, v))
    return {key: np.mean(rows, axis=0) for key, rows in found.items()}


@pytest.mark.parametrize("sigma_w", SCALES)
def test_bernoulli_mask_of_the_lottery_density_flattens_the_saliency(measured, sigma_w):
    assert depth_slope(measured["dense", sigma_w], 9, 25) < -0.1
    assert abs(depth_slope(measured["masked", sigma_w], 9, 25)) < 0.03


def test_lottery_density_is_the_ratio_of_the_squared_scales():
    edge = meanfield.edge_of_chaos("tanh", sigma_b=BIAS).sigma_w
    for sigma_w in SCALES:
        density = meanfield.lottery_density("tanh", sigma_w, sigma_b=BIAS)
        assert density == pytest.approx((edge / sigma_w) ** 2, rel=1e-15)
