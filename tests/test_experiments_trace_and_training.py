"""Experiments of notebook 32: masks, rates, movement, checks, smoke values.

``python tests/test_experiments_trace_and_training.py`` writes
tests/expected/32_trace_and_training.csv anew; a number that moves there makes the
committed records stale.
"""

import functools
import itertools
import math
from dataclasses import replace

import experiment_cases as shared
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from paicore import records
from paicore.data import normalise
from paicore.experiments import trace_and_training as trace
from paicore.experiments import trace_and_training_checks as checks
from paicore.experiments import trace_and_training_losses as losses
from paicore.experiments import trace_and_training_masks as drawn
from paicore.experiments import trace_and_training_movement as movement
from paicore.kernels import paths
from paicore.masks import Masks
from paicore.records.rows import Checked
from paicore.train import batches

NOTEBOOK = trace.NOTEBOOK
# What float64 decides: nothing that was trained in float32.
ON_FILE = {
    "losses": losses.OF_MASK,
    "conv_family": ("kept", "empty", "trace"),
    "kept": checks.KEPT,
    "collapse": checks.COLLAPSE,
    "grasp_sign": checks.SIGN,
    "movement": movement.WIDTH,
}


@functools.lru_cache
def smoke_rows(name):
    """Run id to the checked rows of every smoke run of an experiment."""
    experiment = trace.EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    run, cells = Checked.of(experiment, config), experiment.cells(config)
    if experiment.group is None:
        return {records.run_id(cell): run(cell) for cell in cells}
    groups = {}
    for cell in cells:
        groups.setdefault(experiment.group(config, cell), []).append(cell)
    return {
        records.run_id(cell): rows
        for part in groups.values()
        for cell, rows in zip(part, run(part), strict=True)
    }


def untrained_values():
    """All that is on file, as (experiment, run, step, column) to value."""
    values = {}
    for name, columns in ON_FILE.items():
        found = shared.flat(name, smoke_rows(name), columns)
        values |= {key: value for key, value in found.items() if value == value}
    return values


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in ON_FILE:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-8)


@pytest.mark.parametrize("name", ["fc_family", "conv_family", "batch_norm", "ranks_fc"])
def test_every_smoke_run_has_rows(name):
    experiment = trace.EXPERIMENTS[name]
    assert len(smoke_rows(name)) == len(experiment.cells(experiment.profiles["smoke"]))


def test_the_authors_grid_has_13_configurations():
    grid = trace.GRID13
    fc, conv = grid.cases[:5], grid.cases[5:]
    assert len(conv) == 8
    assert [case.width for case in fc] == [100, 500, 1000, 2000, 5000]
    assert {case.fixed for case in fc} == {1e-3}
    assert {case.data for case in conv} == {"cifar10", "cifar100"}
    assert (grid.seeds, len(grid.densities), grid.densities[-1]) == (7, 6, 0.001)
    assert grid.recipe.optimizer == "adam"
    assert all(case.fixed in case.rates for case in grid.cases)


def test_the_paper_profile_has_three_densities_and_seeds_and_all_controls():
    for name in ("fc_family", "conv_family"):
        config = trace.EXPERIMENTS[name].profiles["paper"]
        assert (config.seeds, len(config.densities)) == (3, 3)
        assert config.shuffled
        assert {"dense", "random"} <= {*config.methods}
        ranked = trace.EXPERIMENTS[f"ranks_{name[:-7]}"].profiles["paper"]
        assert (ranked.of, ranked.repeats) == (config, 3)


def test_the_trace_over_weights_leaves_out_what_starts_at_biases():
    config = trace.SMOKE["fc_family"]
    table = losses.measured(config, config.cases[0], 0)
    net = drawn.network(config.cases[0], 0)
    for parameter in (p for n, p in net.named_parameters() if "bias" in n):
        parameter.data.zero_()
    of = [masks for _, masks in drawn.all_masks(config, config.cases[0], 0)]
    wanted = [paths.trace(net, (1, 8, 8), masks=m, params="prunable") for m in of]
    assert table["trace_weights"] == pytest.approx(wanted, rel=1e-5)
    assert (table["trace_weights"] < table["trace"]).all()


@pytest.mark.parametrize("name", ["losses", "fc_family", "conv_family", "movement"])
def test_profiles_name_cases_and_methods_that_exist(name):
    for config in trace.EXPERIMENTS[name].profiles.values():
        assert {*config.methods} <= {"dense", *drawn.PRUNERS}
        names = [case.name for case in config.cases]
        assert len({*names}) == len(names)


def test_a_shuffled_mask_keeps_as_much_in_each_layer_as_its_own():
    config, found = trace.SMOKE["losses"], {}
    for place, masks in drawn.all_masks(config, config.cases[0], 0):
        found[place] = masks
    twins = [place for place in found if place.shuffled]
    assert len(twins) == 20
    for place in twins:
        own = found[place._replace(shuffled=False)]
        assert own.layer_densities() == found[place].layer_densities()
    moved = [found[p] != found[p._replace(shuffled=False)] for p in twins]
    assert all(moved)


def test_rows_of_a_mask_do_not_depend_on_which_others_are_asked_for():
    config, run = trace.SMOKE["losses"], losses.run_losses
    every = [c for c in drawn.cells(config) if c["seed"] == 0]
    assert run(config, every[5:6]) == run(config, every)[5:6]


def test_the_dense_network_comes_once_and_is_not_shuffled():
    dense = [c for c in drawn.cells(trace.MASKS) if c["method"] == "dense"]
    assert [(c["density"], c["seed"]) for c in dense] == [(1.0, k) for k in range(5)]
    assert {c["variant"] for c in dense} == {"mlp"}


def test_the_best_rate_has_the_least_final_loss_and_the_smaller_of_two():
    case = drawn.Case("a", rates=(0.1, 0.3, 0.9), fixed=0.3)
    # rates x masks x (loss, mean loss, accuracy)
    found = np.array([[[1.0, 5, 0.1], [2.0, 6, 0.2]], [[1.0, 7, 0.3], [0.5, 8, 0.4]],
                      [[math.inf, math.inf, math.nan], [0.7, 9, 0.5]]])  # fmt: skip
    columns = losses.at_rates(case, found)
    assert columns["tuned_rate"].tolist() == [0.1, 0.3]
    assert columns["tuned_loss"].tolist() == [1.0, 0.5]
    assert columns["tuned_mean_loss"].tolist() == [5, 8]
    assert columns["fixed_loss"].tolist() == [1.0, 0.5]
    assert columns["fixed_accuracy"].tolist() == [0.3, 0.4]


def test_outcomes_are_those_of_a_plain_loop():
    config = trace.SMOKE["losses"]
    case, rate = config.cases[0], 0.18
    masks = drawn.pruned(config, case, 0, "snip", 0.316)
    net = masks.apply_(drawn.network(case, 0))
    ds, met = losses.images(case), []
    x, test = (normalise(ds, each) for each in (ds.train_x, ds.test_x))
    stream = batches(ds, config.recipe, drawn.draws(case, 0, "order"), torch.float32)
    for inputs, labels in itertools.islice(stream, config.recipe.steps):
        loss = F.cross_entropy(net(inputs), labels)
        met.append(loss.item())
        grads = torch.autograd.grad(loss, [*net.parameters()])
        with torch.no_grad():
            for (name, weights), grad in zip(
                net.named_parameters(), grads, strict=True
            ):
                weights -= rate * grad * masks[name]
    right = (net(test).argmax(1) == ds.test_y).double().mean().item()
    last = F.cross_entropy(net(x), ds.train_y).item()
    found = losses.trained(config, case, 0, [Masks.dense(net), masks], rate)[1]
    assert found == pytest.approx([last, sum(met) / len(met), right], rel=1e-4)


def test_a_training_that_diverges_has_infinite_losses():
    config = trace.SMOKE["losses"]
    case = replace(config.cases[0], rates=(1e30,), fixed=1e30)
    dense = Masks.dense(drawn.network(case, 0))
    found = losses.trained(config, case, 0, [dense], 1e30)
    assert found[0, :2].tolist() == [math.inf, math.inf]
    assert math.isnan(found[0, 2])


def test_the_rate_of_a_mask_is_one_over_its_largest_eigenvalue():
    for rows in smoke_rows("losses").values():
        row = rows[0]
        if row["top"] > losses.DEAD:
            assert row["lambda_rate"] == pytest.approx(1 / row["top"])


def test_quotients_compare_with_own_masks_of_the_same_density():
    names = ["random", "snip", "synflow", "random", "synflow"]
    table = {
        "method": np.array(names),
        "density": np.array([0.1, 0.1, 0.1, 0.1, 0.01]),
        "shuffled": np.array([False, False, False, True, False]),
        "trace": np.array([2.0, 8.0, 40.0, 9.0, 3.0]),
    }
    found = losses.quotients(table)
    assert found["over_random"][:4].tolist() == [1.0, 4.0, 20.0, 4.5]
    assert found["over_rest"][:3].tolist() == [0.25, 1.0, 5.0]
    assert math.isnan(found["over_random"][4])


def test_movement_is_zero_at_the_start_and_the_loss_falls():
    for run, rows in smoke_rows("movement").items():
        first, last = rows[0], rows[-1]
        assert first["step"] == 0
        assert all(first[c] == 0 for c in movement.WIDTH if c.endswith("_moved")), run
        assert last["trace_moved"] == abs(last["trace_change"]) > 0
        # 1 / lambda_max is no safe rate where nearly nothing is left of the kernel
        assert last["loss"] < first["loss"] or run.startswith("random"), run


def test_the_gradient_norm_counts_surviving_weights_only():
    case = trace.SMOKE["grasp_sign"].cases[0]
    net = drawn.network(case, 0)
    masks = drawn.pruned(trace.SMOKE["grasp_sign"], case, 0, "random", 0.1)
    ds = drawn.load(case.data).subset(train=case.train, test=case.test)
    shift, scale = ds.mean[0], ds.std[0]
    net = masks.apply_(net).double()
    x = (ds.train_x.double() / ds.scale - shift) / scale
    torch.nn.functional.cross_entropy(net(x), ds.train_y).backward()
    wanted = sum(
        float(p.grad[masks[n]].square().sum()) for n, p in net.named_parameters()
    )
    assert checks.gradient_norm(case, 0, masks) == pytest.approx(wanted, rel=1e-10)


def test_grasp_is_compared_with_the_reversed_sign_of_its_temperature():
    rows = {run.split(",")[0]: row for run, (row,) in smoke_rows("grasp_sign").items()}
    for name, fork in (("grasp", "grasp_fork"), ("grasp_t1", "grasp_fork_t1")):
        quotient = rows[name]["gradient"] / rows[fork]["gradient"]
        assert pytest.approx(quotient) == rows[name]["over_fork"] > 1
    rest = max(rows[name]["gradient"] for name in checks.DATA_FREE)
    assert rows["grasp"]["over_data_free"] == rows["grasp"]["gradient"] / rest


def test_overlap_is_one_with_itself_and_zero_with_its_complement():
    mask = Masks({"a": torch.tensor([True, False, True, False])})
    other = Masks({"a": torch.tensor([False, True, False, True])})
    half = Masks({"a": torch.tensor([True, True, False, False])})
    found = [checks.overlap(mask, each) for each in (mask, other, half)]
    assert found == [1.0, 0.0, pytest.approx(1 / 3)]


def test_the_narrowest_layer_counts_units_on_a_path():
    case = drawn.Case("a", width=3, depth=3, bias=False)
    net = drawn.network(case, 0)
    first, second, last = Masks.dense(net).values()
    second = torch.zeros_like(second)
    second[0, 0] = second[1, 2] = True
    last = last.clone()
    last[:, 1] = False  # unit 1 of the second layer reaches no output
    masks = Masks(dict(zip(Masks.dense(net), (first, second, last), strict=True)))
    assert checks.narrowest(net, (1, 8, 8), masks) == 1


def test_biases_in_the_score_change_what_l2_keeps():
    rows = smoke_rows("collapse")
    least = {
        variant: rows[f"synflow_l2,0.1,biases {variant},0"][0]["least"]
        for variant in ("kept", "zero")
    }
    assert least["kept"] < least["zero"]


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
