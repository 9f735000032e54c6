"""When pruning removes a whole layer: exact values, bounds, and real networks."""

from math import inf, log, sqrt

import numpy as np
import pytest
import torch
from meanfield_cases import labelled, mlp, weights
from scipy.stats import norm

from paicore import SCORES, Masks, prune
from paicore.kernels import meanfield
from paicore.masks import top_k

sbp, mbp = meanfield.sbp_sparsity_bound, meanfield.mbp_sparsity_bound

EDGE = meanfield.edge_of_chaos("tanh", sigma_b=0.3).sigma_w
SEEDS = 5
MBP = {2: (0.996, 0.995), 5: (0.935, 0.926), 10: (0.812, 0.794), 15: (0.719, 0.700)}
BOUNDS = {  # (depth, width, sigma_w): natural logarithm, sigma_b = 0.3
    (100, 100, 0.2): 0.317, (100, 100, 0.3): 0.405, (100, 100, 0.5): 0.632,
    (100, 100, 0.8): 1.307, (200, 50, 0.2): 0.150, (200, 50, 0.5): 0.298,
    (200, 50, 0.8): 0.614,
}  # fmt: skip


def snip_sparsity(depth, width, sigma_w, seed):
    """Critical sparsity of SNIP's scores of one tanh network with sigma_b = 0.3."""
    net = mlp("tanh", (sigma_w, 0.3), width, depth, seed)
    batch = labelled(100, width, seed)
    scores = SCORES["snip"].function(net, Masks.dense(net), batch)
    return meanfield.critical_sparsity(scores).sparsity


@pytest.mark.parametrize(("depth", "width"), [(100, 100), (200, 50)])
def test_critical_sparsity_of_snip_off_the_edge_of_chaos(depth, width):
    for sigma_w in (0.2, 0.5, 0.8, 1.0) if depth == 200 else (0.2, 0.3, 0.5, 0.8, 1.0):
        found = [snip_sparsity(depth, width, sigma_w, seed) for seed in range(SEEDS)]
        chi = meanfield.chi("tanh", sigma_w, 0.3)
        bound = meanfield.sbp_sparsity_bound(chi, depth, width)
        if bound < 1:
            assert max(found) <= bound
        assert 6 < (depth * np.mean(found) - 1) * abs(log(chi)) < 13


def test_critical_sparsity_of_snip_on_the_edge_of_chaos_is_high():
    found = [snip_sparsity(100, 100, EDGE, seed) for seed in range(SEEDS)]
    assert min(found) > 0.9


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b", "end"),
    [(1.3041, 0.2, None), (1.0, 0.3, "first"), (2.0, 0.3, "last")],
)
def test_dead_layers_after_pruning_seventy_percent(sigma_w, sigma_b, end):
    for seed in range(SEEDS):
        net = mlp("tanh", (sigma_w, sigma_b), 100, 100, seed, inputs=784)
        masks = prune(net, "snip", density=0.3, batch=labelled(100, 784, seed))
        dead = np.flatnonzero(np.array(list(masks.layer_densities().values())) == 0)
        if end is None:
            assert len(dead) == 0
            continue
        assert len(dead) >= 30
        assert dead.max() < 60 if end == "first" else dead.min() > 40
        assert len(dead) >= dead.max() - dead.min()  # one block, at most one gap


def test_critical_sparsity_is_where_a_sweep_loses_its_first_layer():
    g = torch.Generator().manual_seed(0)
    sizes = {"a": (7, 9), "b": (30,), "c": (12, 4), "d": (5, 5)}
    scores = {k: torch.rand(s, generator=g) * (1 + len(s)) for k, s in sizes.items()}
    scores["b"] *= 0.6
    flat, total = torch.cat([s.flatten() for s in scores.values()]), 166
    names = np.repeat(list(sizes), [s.numel() for s in scores.values()])
    alive = {removed: set(names[top_k(flat, total - removed).numpy()])
             for removed in range(total)}  # fmt: skip
    first = next(n for n in range(total) if alive[n] != set(sizes))
    found = meanfield.critical_sparsity(scores)
    assert found.sparsity == first / total
    assert {found.layer} == set(sizes) - alive[first]


def test_critical_sparsity_takes_arrays_and_refuses_what_it_cannot_rank():
    found = meanfield.critical_sparsity({"a": np.array([3.0, 1.0]), "b": [[2.0]]})
    assert (found.sparsity, found.layer) == (2 / 3, "b")
    for scores in ({}, {"a": []}, {"a": [float("nan"), 1.0]}):
        with pytest.raises(ValueError, match="scores"):
            meanfield.critical_sparsity(scores)


@pytest.mark.parametrize(
    ("name", "values", "error", "function"),
    [
        ("chi", ["a", None, True, 1j], TypeError, lambda v: sbp(v, 10, 10)),
        ("chi", [0, -1.0, float("nan"), float("inf")], ValueError,
         lambda v: sbp(v, 10, 10)),
        ("depth", [10.0, "10", True, 0], ValueError, lambda v: sbp(0.5, v, 10)),
        ("width", ["a", None, True], TypeError, lambda v: sbp(0.5, 10, v)),
        ("width", [10.5, 0, float("nan")], ValueError, lambda v: sbp(0.5, 10, v)),
        ("variance_ratio", ["2", None, True, 2j], TypeError, lambda v: mbp(v, 10)),
        ("variance_ratio", [1.0, float("nan"), float("inf")], ValueError,
         lambda v: mbp(v, 10)),
        ("layer_size", ["a", None, True], TypeError, lambda v: mbp(2.0, v)),
        ("layer_size", [10.5, 0], ValueError, lambda v: mbp(2.0, v)),
    ],
)  # fmt: skip
def test_odd_arguments_of_the_bounds_are_named(name, values, error, function):
    for value in values:
        with pytest.raises(error, match=f"^{name}: expected"):
            function(value)


def test_counts_may_be_numbers_of_numpy_and_whole_floats():
    assert sbp(0.5, np.int64(10), np.int64(10)) == sbp(0.5, 10, 10.0)
    assert mbp(2, np.int64(10)) == mbp(2.0, 10.0)


def test_sbp_bound_reads_the_natural_logarithm():
    for (depth, width, sigma_w), bound in BOUNDS.items():
        chi = meanfield.chi("tanh", sigma_w, 0.3)
        value = meanfield.sbp_sparsity_bound(chi, depth, width)
        assert value == pytest.approx(bound, abs=6e-4)
    kappa = 0.2  # the recalled example: 62 %, not the 27 % of a decimal logarithm
    value = meanfield.sbp_sparsity_bound(np.exp(-8 * kappa), 100, 100)
    assert value == pytest.approx(0.62, abs=0.005)


def test_sbp_bound_says_nothing_on_the_edge_of_chaos():
    assert meanfield.sbp_sparsity_bound(1.0, 100, 100) == inf
    same = [meanfield.sbp_sparsity_bound(chi, 50, 80) for chi in (0.3, 1 / 0.3)]
    assert same[0] == pytest.approx(same[1])
    with pytest.raises(ValueError, match="chi"):
        meanfield.sbp_sparsity_bound(0.0, 100, 100)


@pytest.mark.parametrize("ratio", list(MBP))
def test_magnitude_pruning_follows_its_table_of_variance_ratios(ratio):
    bound, expected = MBP[ratio]
    value = meanfield.mbp_sparsity_bound(ratio, 10_000)
    assert value == pytest.approx(bound, abs=0.005)
    assert meanfield.mbp_sparsity(ratio, 10_000) == pytest.approx(expected, abs=0.002)
    largest = np.random.default_rng(ratio).random(2000) ** (1 / 10_000)
    reach = norm.ppf((1 + largest) / 2) / sqrt(ratio)  # of the small layer
    simulated = 1 - 2 * norm.sf(reach).mean()
    assert simulated == pytest.approx(expected, abs=0.03)
    assert simulated <= value


def test_mbp_bound_is_the_infimum_over_the_exponent():
    ratio, size = sqrt(10), 10_000
    x = np.linspace(0, 1, 20_001)[1:-1]
    found = []
    for p in np.linspace(3.2, 9.9, 68):
        wins = ratio * norm.ppf((1 + x) / 2) > norm.isf((1 - x) ** p / 2)
        start = x[np.flatnonzero(~wins)[-1]] if not wins.all() else 0.0
        found.append(start + size / (1 + p) * (1 - start) ** (1 + p))
    assert meanfield.mbp_sparsity_bound(10, size) == pytest.approx(min(found), abs=2e-3)


def test_mbp_bound_refuses_a_layer_that_is_not_smaller():
    with pytest.raises(ValueError, match="variance_ratio"):
        meanfield.mbp_sparsity_bound(1.0, 100)


def test_magnitude_pruning_of_a_real_network_loses_its_smallest_layer():
    found = []
    for seed in range(10):
        net = mlp("tanh", (1.0, 0.0), 100, 100, seed)
        with torch.no_grad():
            weights(net)[0].div_(sqrt(10))
        scores = {str(i): w.detach().abs() for i, w in enumerate(weights(net))}
        found.append(meanfield.critical_sparsity(scores))
    assert {each.layer for each in found} == {"0"}
    mean = np.mean([each.sparsity for each in found])
    assert mean == pytest.approx(meanfield.mbp_sparsity(10, 10_000), abs=0.03)
