"""The saliency experiments: smoke values, identities, and controls that must fail.

``python tests/test_experiments_saliency.py`` writes tests/expected/41_saliency.csv
anew; a number that moves there makes the committed records stale.
"""

import dataclasses
import math

import experiment_cases as shared
import pytest
import torch
from references import layers as prunable_layers
from torch.func import functional_call, jacrev

from paicore import Masks, records
from paicore.experiments import (
    saliency,
    saliency_carlo,
    saliency_contract,
    saliency_laws,
    saliency_nets,
    saliency_rule,
    saliency_surrogate,
)
from paicore.forward import prunable
from paicore.scores import saliency_sums

NOTEBOOK = "41_saliency"
# Trained accuracies are not the same on all machines.
UNCERTAIN = {"accuracy", "accuracy_shuffled", "by_place", "over_one", "behind"}
TRAINED = ("phase", "phase_sparse", "gains")


def smoke_values(name):
    """(experiment, run, step, column) to value, of every smoke run."""
    experiment = saliency.EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    if name in TRAINED:
        config = dataclasses.replace(config, recipe=None)
    return {
        (name, records.run_id(cell), str(row["step"]), column): float(row[column])
        for cell in experiment.cells(config)
        for row in experiment.run(config, cell)
        for column in experiment.values
        if column not in UNCERTAIN
    }


@pytest.mark.parametrize("name", saliency.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), shared.expected_values(NOTEBOOK, name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        close = pytest.approx(wanted[key], rel=1e-4, abs=1e-9, nan_ok=True)
        assert value == close, key


@pytest.mark.parametrize("name", saliency.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (saliency.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert type(smoke) is type(quick)
    assert smoke.seeds <= quick.seeds
    assert len(smoke.methods) <= len(quick.methods)


def test_every_quick_experiment_with_draws_has_five_seeds():
    for name, experiment in saliency.EXPERIMENTS.items():
        assert experiment.profiles["quick"].seeds == (1 if name == "counts" else 5)


def test_only_leaves_the_other_methods_out():
    quick = saliency.EXPERIMENTS["surrogate"].profiles["quick"]
    config = dataclasses.replace(quick, only="mlp")
    found = saliency_surrogate.surrogate_cells(config)
    assert {cell["method"] for cell in found} == {"mlp"}
    assert {cell["variant"] for cell in found} == {"64", "256", "1024"}


def test_conv6_has_the_weights_of_the_reference():
    net, in_shape = saliency_nets.network("conv6", saliency_nets.draws(0, "test"))
    assert Masks.dense(net).total == 18_248
    x = torch.zeros(2, *in_shape, dtype=torch.float64)
    assert net(x).shape == (2, 10)


def test_networks_are_drawn_from_their_generator_and_nothing_else():
    state = torch.get_rng_state()
    one, other = (
        saliency_nets.network("conv6", saliency_nets.draws(seed, "test"))[0]
        for seed in (0, 1)
    )
    again, _ = saliency_nets.network("conv6", saliency_nets.draws(0, "test"))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[0].weight, again[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_overlaps_are_counted_by_hand():
    one = Masks({"a": torch.tensor([True, True, False, False]),
                 "b": torch.tensor([True, False])})  # fmt: skip
    other = Masks({"a": torch.tensor([False, True, True, False]),
                   "b": torch.tensor([True, False])})  # fmt: skip
    assert saliency_nets.overlap(one, other) == pytest.approx(2 / 3)
    # 2 of 4 and 2 of 4 meet in one weight, 1 of 2 and 1 of 2 in half a weight
    assert saliency_nets.predicted_overlap(one, other) == pytest.approx(1.5 / 3)


def test_the_largest_moduli_are_kept_by_the_authors_count():
    scores = {"a": torch.tensor([3.0, -5.0, 0.1]), "b": torch.tensor([[1.0, -2.0]])}
    kept = saliency_nets.keep_largest(scores, 0.5)
    assert kept.kept == 5 - int(0.5 * 5) == 3
    assert kept["a"].tolist() == [True, True, False]
    assert kept["b"].tolist() == [[False, True]]


def test_rank_correlations_inside_layers_ignore_what_layers_differ_in():
    g = saliency_nets.draws(0, "test")
    one, other = (
        {k: 100.0**k + torch.rand(2000, generator=g) for k in range(3)}
        for _ in range(2)
    )
    assert saliency_nets.agreement(one, other) > 0.8
    assert abs(saliency_nets.within(one, other)) < 0.1
    assert saliency_nets.within(one, one) == pytest.approx(1)


def loop_saliency(net, x):
    """m d/dm tr by central differences of the trace, one mask entry at a time."""
    own = {n: w.detach() for n, w in prunable_layers(net).items()}

    def trace(m):
        def f(w):
            return functional_call(net, w, (x,)).flatten()

        rows = jacrev(f)({n: own[n] * m[n] for n in own})
        return sum(float((rows[n].detach() * m[n]).square().sum()) for n in own)

    found = {}
    for name in own:
        slopes = torch.zeros(own[name].numel(), dtype=torch.float64)
        for k in range(0, len(slopes), 7):
            sides = []
            for shift in (1e-6, -1e-6):
                m = {n: torch.ones_like(w) for n, w in own.items()}
                m[name].view(-1)[k] += shift
                sides.append(trace(m))
            slopes[k] = (sides[0] - sides[1]) / 2e-6
        found[name] = slopes
    return found


def test_the_exact_saliency_is_the_slope_of_the_trace_in_each_mask_entry():
    net, in_shape = saliency_nets.network("mlp", saliency_nets.draws(0, "test"))
    g = saliency_nets.draws(0, "x")
    x = torch.randn(4, *in_shape, generator=g, dtype=torch.float64)
    found, slow = saliency_laws.exact(net, x), loop_saliency(net, x)
    for name, slopes in slow.items():
        ours = found.signed[name].flatten()[::7]
        torch.testing.assert_close(ours, slopes[::7], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(found.direct[name].flatten()[::7], slopes[::7])


def test_the_law_of_zero_is_one_of_layers_before_a_norm():
    config = saliency.SMOKE["laws"]
    cell = {"method": "conv6_train", "density": 1.0, "seed": 3, "variant": "jvp"}
    (train,) = saliency_laws.run_laws(config, cell)
    (frozen,) = saliency_laws.run_laws(config, {**cell, "method": "conv6_frozen"})
    assert train["zeroed"] < 1e-12 < frozen["zeroed"]
    assert train["doubled"] > 0.5


def test_state_sees_every_kind_of_change():
    def changes(spoil):
        g = saliency_nets.draws(0, "test")
        net, _ = saliency_nets.network("conv6", g)
        before = saliency_contract.state(net)
        spoil(net)
        after = saliency_contract.state(net)
        pairs = zip(before, after, strict=True)
        return sum(not saliency_contract.same(*pair) for pair in pairs)

    assert changes(lambda net: None) == 0
    assert changes(lambda net: net[1].running_mean.add_(1)) == 1
    assert changes(lambda net: net[0].weight.data.add_(1)) == 1
    assert changes(lambda net: net[1].train(not net[1].training)) == 1
    assert changes(lambda net: torch.rand(1)) == 1
    grad = lambda net: setattr(net[0].weight, "grad", net[0].weight.detach())  # noqa: E731
    assert changes(grad) == 1


def test_a_draw_that_crosses_a_kink_moves_a_gate():
    net, in_shape = saliency_nets.network("mlp", saliency_nets.draws(0, "test"))
    g = saliency_nets.draws(0, "x")
    x = torch.randn(6, *in_shape, generator=g, dtype=torch.float64)
    draw = saliency_nets.draws
    assert saliency_surrogate.crosses(net, x, 1.0, draw(0, "step"))
    assert not saliency_surrogate.crosses(net, x, 1e-20, draw(0, "step"))
    weights = {n: w.detach() for n, w in prunable(net).items()}
    found = saliency_surrogate.gates(net, weights, x)
    first = (x @ weights["0.weight"].T > 0) if "0.weight" in weights else None
    assert found.shape == (6 * (16 + 14),)
    if first is not None:
        assert torch.equal(found[: 6 * 16], first.flatten())


def test_errors_are_split_by_whether_a_gate_switched():
    errors = torch.tensor([1.0, 2.0, 3.0, 10.0])
    switched = torch.tensor([False, False, False, True])
    found = saliency_surrogate.split(errors, switched)
    assert found == {"clean": 2.0, "kinked": 10.0, "crossed": 0.25}
    none = saliency_surrogate.split(errors, torch.zeros(4, dtype=torch.bool))
    assert math.isnan(none["kinked"]) and none["crossed"] == 0


def test_the_slope_of_a_power_law_is_its_exponent():
    sizes = (1, 4, 16, 64)
    found = saliency_carlo.slope(sizes, [3 * n**-0.5 for n in sizes])
    assert found == pytest.approx(-0.5)


def test_draws_accumulate_to_one_scoring():
    config = dataclasses.replace(saliency.SMOKE["rule"], repeats=(1, 3, 4), samples=4)
    net, in_shape = saliency_nets.network("conv6", saliency_nets.draws(0, "test"))
    found = saliency_rule.accumulated(
        config, net, in_shape, saliency_nets.draws(0, "score")
    )
    whole = saliency_sums(
        net, Masks.dense(net), saliency_nets.blank(in_shape, 4), repeats=4,
        generator=saliency_nets.draws(0, "score"),
    ).signed  # fmt: skip
    for name, signed in whole.items():
        torch.testing.assert_close(found[-1][name], signed, rtol=1e-9, atol=1e-12)
        assert not torch.allclose(found[0][name], signed)


def test_phases_leave_out_what_costs_too_much():
    config = dataclasses.replace(saliency.SMOKE["phase"], recipe=None)
    cell = {"method": "conv6", "density": 0.1, "seed": 0, "variant": "2"}
    rows = saliency_rule.run_phase(config, cell)
    assert [row["step"] for row in rows] == [1]
    assert math.isnan(rows[0]["accuracy"])


if __name__ == "__main__":
    every = [smoke_values(name) for name in saliency.EXPERIMENTS]
    shared.write_expected(NOTEBOOK, {k: v for one in every for k, v in one.items()})
