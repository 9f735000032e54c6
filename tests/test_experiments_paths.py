"""The path experiments: smoke values, closed forms, and controls that must fail.

``python tests/test_experiments_paths.py`` writes tests/expected/31_paths.csv anew; a
number that moves there makes the committed records stale.
"""

import copy
import dataclasses
import math

import experiment_cases as shared
import pytest
import torch

from paicore import Masks, records
from paicore.experiments import (
    paths,
    paths_algebra,
    paths_bounds,
    paths_laws,
    paths_nets,
    paths_scores,
    paths_traces,
)
from paicore.kernels import paths as library

NOTEBOOK = "31_paths"


def smoke_values(name):
    """(experiment, run, step, column) to value, of every smoke run."""
    experiment = paths.EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    return {
        (name, records.run_id(cell), str(row["step"]), column): float(row[column])
        for cell in experiment.cells(config)
        for row in experiment.run(config, cell)
        for column in experiment.values
    }


@pytest.mark.parametrize("name", paths.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), shared.expected_values(NOTEBOOK, name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        # the distance of a ratio of small residuals from 4 is mostly cancelled
        tiny = 1e-6 if (name, key[-1]) == ("steps", "off") else 1e-10
        close = pytest.approx(wanted[key], rel=1e-4, abs=tiny, nan_ok=True)
        assert value == close, key


@pytest.mark.parametrize("name", paths.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (paths.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert type(smoke) is type(quick)
    assert len(smoke.methods) <= len(quick.methods)
    assert smoke.seeds <= quick.seeds


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(paths.SMOKE["laws"], only="l2_A,trace")
    assert {c["method"] for c in paths_nets.cells(config)} == {"l2_A", "trace"}


@pytest.mark.parametrize(
    ("name", "count"),
    [("mlp", 120), ("mlp_bias", 158), ("mlp_leaky", 158), ("conv", 1352)],
)
def test_networks_have_their_paths(name, count):
    net, in_shape = paths_nets.network(name, 0)
    assert library.count(net, in_shape) == count


def test_networks_are_drawn_from_their_seed_and_nothing_else():
    state = torch.get_rng_state()
    one, _ = paths_nets.network("residual", 3)
    again, _ = paths_nets.network("residual", 3)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = zip(one.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    other, _ = paths_nets.network("residual", 4)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert float(one[1].running_mean.abs().min()) > 0


def test_the_drawn_paths_are_products_of_the_given_weights():
    config = paths.SMOKE["drawn"]
    rows = paths_algebra.run_drawn(config, {})
    assert len(rows) == 16
    first, second, third = config.weights
    for row in rows:
        one, two = row["hidden_1"], row["hidden_2"]
        by_hand = first[one][row["source"]] * second[two][one]
        by_hand *= third[row["output"]][two]
        assert row["strength"] == pytest.approx(by_hand, rel=1e-14)
    assert sum(row["open_1"] for row in rows) == 8  # one unit of the second layer is on


@pytest.mark.parametrize("name", ["synflow", "l2_C", "snip", "grasp", "px", "l2_dist"])
def test_a_wrong_path_sum_is_seen(name):
    each = paths_scores.listed_network("mlp_bias", 0, 6, paths_scores.ROWS[name][0])
    assert paths_scores.off(name, each) < 1e-12
    swapped = dataclasses.replace(each, x=2 * each.x, pixels=each.pixels + 1)
    wanted = paths_scores.ROWS[name][3](swapped)
    if name in ("synflow", "l2_C"):
        wanted = wanted * (1 + 1e-6 * torch.arange(len(wanted)))
    assert paths_nets.relative(paths_scores.library(name, each), wanted) > 1e-7


def test_grasps_path_form_needs_both_of_its_parts():
    each = paths_scores.listed_network("mlp", 1, 6, "keep")
    still = dataclasses.replace(each)
    g, curved = each.pulls(paths_scores.TEMPERATURE)
    object.__setattr__(still, "pulls", lambda t: (g, 0 * curved))
    gap = paths_nets.relative(paths_scores.grasp(still), paths_scores.grasp(each))
    assert gap > 1e-6


def test_units_and_layers_are_summed_by_hand():
    net, _ = paths_nets.network("mlp", 0)
    scores = {name: torch.ones_like(p) for name, p in net.named_parameters()}
    unit, layer = paths_laws.gaps(net, scores)
    # 4 in and 3 out of five units, 5 in and 2 out of three; layers 20, 15, 6
    assert unit == pytest.approx(max(1 / 3, 3 / 2))
    assert layer == pytest.approx((20 - 6) / 20)


@pytest.mark.parametrize("name", ["mlp_bias", "conv_max"])
def test_rescaling_units_keeps_the_function_and_the_network(name):
    net, in_shape = paths_nets.network(name, 0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    factors = paths_laws.random_factors(paths.SMOKE["laws"], net, 0, name)
    twin = paths_laws.rescaled(net, factors)
    x = paths_nets.inputs(in_shape, 5, 0, name)
    torch.testing.assert_close(twin(x), net(x), rtol=1e-12, atol=1e-12)
    assert all(torch.equal(before[key], v) for key, v in net.state_dict().items())
    assert not torch.equal(twin[0].weight, net[0].weight)


def with_drawn_signs(net, *names):
    """A copy of a network, each parameter with a sign of its own drawn anew."""
    twin, g = copy.deepcopy(net), paths_nets.draws(*names, "signs")
    with torch.no_grad():
        for p in twin.parameters():
            p.mul_(2 * torch.randint(2, p.shape, generator=g) - 1)
    return twin


@pytest.mark.parametrize(
    "name", ["mlp_bias", "mlp_leaky", "conv", "conv_max", "residual"]
)
def test_path_sums_trace_and_scores_do_not_see_signs_of_parameters(name):
    bare = paths_scores.listed_network(name, 0, 6, "keep")
    flipped = dataclasses.replace(bare, net=with_drawn_signs(bare.net, 0, name))
    sums = [library.edge_sums(e.net, e.in_shape) for e in (bare, flipped)]
    for kind in ("sf", "d", "t"):
        one, other = (paths_nets.flat(getattr(each, kind)) for each in sums)
        assert paths_nets.relative(other, one) < 1e-12, kind
    one, other = (library.trace(e.net, e.in_shape) for e in (bare, flipped))
    assert other == pytest.approx(one, rel=1e-12)
    spectra = [library.eigenvalues(e.net, e.in_shape, top=2) for e in (bare, flipped)]
    assert paths_nets.relative(*(each.values for each in spectra)) < 1e-10
    for row in ("synflow", "synflow_dist", "l2_A", "l2_B", "l2_C", "l2_D", "l2_E",
                "l2_dist"):  # fmt: skip
        one, other = (paths_scores.library(row, e) for e in (bare, flipped))
        assert paths_nets.relative(other, one) < 1e-12, row
    # what sees the loss sees the signs
    one, other = (e.net(bare.x).detach() for e in (bare, flipped))
    assert paths_nets.relative(other, one) > 1e-2
    one, other = (paths_scores.library("snip", e) for e in (bare, flipped))
    assert paths_nets.relative(other, one) > 1e-2


def test_the_product_of_equal_indices_is_broken_by_two_diagonal_matrices():
    a = torch.diag(torch.tensor([1.0, 0.1], dtype=torch.float64))
    j = torch.diag(torch.tensor([0.1, 1.0], dtype=torch.float64).sqrt())
    found = paths_bounds.ratios(*paths_bounds.spectra(a, j))
    assert found["index"] == pytest.approx(10)
    assert found["first"] <= 1 + 1e-12
    assert found["sums"] <= 1 + 1e-12


def test_a_network_that_is_off_uses_nothing_of_a_bound():
    zero = torch.zeros(3, dtype=torch.float64)
    assert set(paths_bounds.ratios(zero, zero, zero).values()) == {0.0}


def test_a_step_is_the_one_that_an_optimiser_takes_on_a_copy():
    net, in_shape = paths_nets.network("mlp_bias", 0)
    x = paths_nets.inputs(in_shape, 4, 0)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    theta = {name: 0.5 * p.detach() for name, p in net.named_parameters()}
    logits, gates = paths_bounds.outputs_and_gates(net, theta, x)
    assert all(torch.equal(state[key], v) for key, v in net.state_dict().items())
    assert logits.shape == (4, 2)
    assert gates.shape == (4 * (5 + 3),)
    first = (x @ theta["0.weight"].T + theta["0.bias"] > 0).flatten()
    assert torch.equal(gates[:20], first)


@pytest.mark.parametrize(
    ("width", "bare", "biased"),
    [(100, 52.84, 75.01), (500, 135.1, 157.4), (1000, 238.0, 260.4)],
)
def test_closed_forms_of_the_authors_networks(width, bare, biased):
    sizes = (784, *[width] * 5, 10)
    assert paths_traces.expected_trace(sizes, "torch") == pytest.approx(bare, rel=4e-4)
    found = paths_traces.expected_trace(sizes, "torch", biases=True)
    assert found == pytest.approx(biased, rel=4e-4)


def test_the_closed_form_of_he_is_powers_of_two():
    assert paths_traces.expected_trace((20, 30, 25, 10), "he") == pytest.approx(
        10 * 2**3 * (20 + 30 + 25) / 2
    )


def test_the_closed_form_with_biases_is_the_mean_over_draws():
    config = dataclasses.replace(
        paths.SMOKE["expectation"], number=200, depth=3, methods=("fc_6",)
    )
    cell = {"method": "fc_6", "density": 1.0, "seed": 1, "variant": "torch_biases"}
    rows = paths_traces.run_expectation(config, cell)
    assert math.isnan(rows[0]["away"])
    assert rows[-1]["away"] < 4
    assert rows[-1]["expected"] != paths_traces.expected_trace((16, 6, 6, 10), "torch")


def test_authors_trace_misses_the_square_of_the_average():
    config = paths.SMOKE["pooling"]
    cell = {"method": "resnet", "density": 1.0, "seed": 0, "variant": "eps 0"}
    (row,) = paths_traces.run_pooling(config, cell)
    assert row["ratio"] == pytest.approx(16, rel=1e-12)  # 4 x 4 values are averaged
    assert row["ratio_all"] < 16
    (built,) = paths_traces.run_pooling(config, {**cell, "variant": "as built"})
    assert abs(built["ratio"] - 16) > 1e-6


def test_masks_of_a_ranked_network_have_the_asked_density():
    config = paths.QUICK["ranking"][2]
    g = paths_nets.draws(0, "test")
    net, masks = paths_bounds.ranked_network(config, "fixed", g)
    assert masks.density == pytest.approx(config.fixed, abs=0.01)
    assert masks.total == Masks.dense(net).total == 10 * 20 + 20 * 20 + 20 * 4


if __name__ == "__main__":
    every = [smoke_values(name) for name in paths.EXPERIMENTS]
    shared.write_expected(NOTEBOOK, {k: v for one in every for k, v in one.items()})
