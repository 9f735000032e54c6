"""The kernels' experiments: smoke values, pairing, real steps, and their table.

``python tests/test_experiments_kernels.py`` writes tests/expected/02_kernels.csv anew;
a number that moves there makes the committed records stale.
"""

import csv
import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import pandas
import pytest
import torch
from torch import nn

from paicore import Masks, data, nets, prune, records, seeds
from paicore.experiments import kernels, kernels_limits, kernels_setting, kernels_steps
from paicore.kernels import ntk

EXPECTED = Path(__file__).resolve().parent / "expected" / "02_kernels.csv"


def smoke_values(name):
    """(experiment, run, step, column) to value, of every smoke run."""
    experiment = kernels.EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    return {
        (name, records.run_id(cell), str(row["step"]), column): float(row[column])
        for cell in experiment.cells(config)
        for row in experiment.run(config, cell)
        for column in experiment.values
    }


def expected_values(name):
    with EXPECTED.open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    return {tuple(key): float(value) for *key, value in lines if key[0] == name}


@pytest.mark.parametrize("name", kernels.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), expected_values(name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        # an error is a difference of nearly equal vectors: rounding shows below 1e-8
        assert value == pytest.approx(wanted[key], rel=1e-5, abs=1e-8), key


def linear_net():
    """One Linear layer: linear in its parameters, so every prediction is exact."""
    g = seeds.generator(0, "test kernels")
    shape = {"classes": 3, "in_shape": (4,), "width": (), "dtype": torch.float64}
    net = nets.build("mlp", generator=g, **shape)
    x = torch.randn(5, 4, generator=g, dtype=torch.float64)
    return net, x, torch.tensor([0, 1, 2, 0, 1])


def test_a_linear_model_is_predicted_at_any_step_size():
    net, x, y = linear_net()
    real = kernels_steps.real_step(net, x, y, [100.0, 1.0])
    product = ntk.matvec(net, x, real.push)
    for rate, change in zip((100.0, 1.0), real.changes, strict=True):
        assert kernels_steps.compare(-rate * product, change)["error"] < 1e-12


def test_a_real_step_is_what_an_optimiser_does():
    config = kernels.SMOKE["step_prediction"]
    net = kernels_setting.network(config, 0).train()
    x, y = kernels_setting.batch(config, 0)
    real = kernels_steps.real_step(net, x, y, [1e-3], batch_norm="train")
    before = net(x)
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
    nn.functional.cross_entropy(before, y).backward()
    optimiser.step()
    torch.testing.assert_close(real.changes[0], net(x) - before, rtol=1e-7, atol=1e-10)


def test_a_real_step_leaves_the_network_and_pruned_weights_alone():
    net, x, y = linear_net()
    masks = prune(net, "random", density=0.5, generator=seeds.generator(0, "masks"))
    state = {name: value.clone() for name, value in net.state_dict().items()}
    whole, masked = (
        kernels_steps.real_step(net, x, y, [0.1], masks=m).changes
        for m in (Masks.dense(net), masks)
    )
    assert not torch.allclose(whole, masked)
    assert all(torch.equal(state[name], v) for name, v in net.state_dict().items())
    garbage = dict(masks)
    with torch.no_grad():
        net.get_parameter(next(iter(masks)))[~next(iter(masks.values()))] = 1e3
    again = kernels_steps.real_step(net, x, y, [0.1], masks=garbage).changes
    torch.testing.assert_close(again, masked)


def test_compare_by_hand():
    change, predicted = torch.tensor([3.0, 4.0]), torch.tensor([6.0, 0.0])
    found = kernels_steps.compare(predicted, change)
    assert found == pytest.approx({"error": 1.0, "ratio": 1.2, "cosine": 0.6})


def test_kernels_of_one_seed_are_asked_about_the_same_step():
    config = kernels.SMOKE["tangent"]
    kernel = {"density": 1.0, "seed": 0, "variant": ""}
    rows = [
        kernels_steps.run_steps(config, {**kernel, "method": method})
        for method in config.methods
    ]
    for masked, ambient in zip(*rows, strict=True):
        assert masked == pytest.approx(ambient, rel=1e-6)


def test_descent_is_sgd_and_leaves_the_network_alone():
    net, x, y = linear_net()
    before = net(x).detach()
    found = kernels_limits.descend(net, x, y, 0.1, 3)
    assert torch.equal(net(x), before)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    torch.testing.assert_close(found, net(x).detach(), rtol=1e-12, atol=1e-12)


def test_smooth_activations_have_residuals_of_second_order():
    config = kernels.SMOKE["halving"]
    cell = {"method": "tanh", "density": 1.0, "seed": 0, "variant": "1"}
    rows = kernels_limits.run_halving(config, cell)
    assert [row["ratio"] for row in rows] == pytest.approx([4] * len(rows), abs=0.02)
    for a, b in pairwise(rows):
        assert a["ratio"] == pytest.approx(a["residual"] / b["residual"])


def test_the_slope_is_that_of_a_line_through_the_errors():
    config = dataclasses.replace(kernels.SMOKE["width"], widths=(16, 64))
    cell = {"method": "relu", "density": 1.0, "seed": 0, "variant": ""}
    one, two = kernels_limits.run_width(config, cell)
    assert (one["step"], two["step"]) == (16, 64)
    by_hand = math.log(two["error"] / one["error"]) / math.log(4)
    assert one["slope"] == two["slope"] == pytest.approx(by_hand)


@pytest.mark.parametrize("name", kernels.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (kernels.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert smoke.methods == quick.methods
    assert smoke.variants == quick.variants
    assert smoke.densities == quick.densities
    assert smoke.data == "digits"
    assert data.available("digits")


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(kernels.SMOKE["step_prediction"], only="train,eval")
    assert {c["method"] for c in kernels_setting.cells(config)} == {"train", "eval"}


@pytest.mark.parametrize("name", kernels.EXPERIMENTS)
def test_the_absent_paper_profile_is_a_sentence(name):
    replay = records.settings(profile="paper")
    record = records.load_or_run(kernels.EXPERIMENTS[name], replay)
    assert record.rows is None
    assert "no paper profile" in record.message
    assert kernels.table(record, "error") == record.message


def test_the_table_holds_the_range_over_seeds_of_what_is_kept():
    rows = pandas.DataFrame(
        [("masked", "", d, seed, 0, 0.01, seed + d) for d in (1, 2) for seed in (0, 5)],
        columns=["method", "variant", "density", "seed", "step", "rate", "error"],
    )
    experiment = kernels.EXPERIMENTS["tangent"]
    record = records.Record(experiment, "quick", rows, None, {}, 4, 4, "made")
    text = kernels.table(record, "error", keep={"density": [2]})
    assert text.split() == ["n", "=", "2", "0.01", "masked", "2", "to", "7"]


def write_expected():
    """Write the values of today; for a change that is meant to move them."""
    with EXPECTED.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("experiment", "run", "step", "column", "value"))
        for name in kernels.EXPERIMENTS:
            for key, value in smoke_values(name).items():
                out.writerow((*key, f"{value:.12g}"))


if __name__ == "__main__":
    write_expected()
