"""The experiments on training: smoke values, pairing, the test of equivalence.

``python tests/test_experiments_training.py`` writes tests/expected/03_training.csv
anew; a number that moves there makes the committed records stale.
"""

import csv
import dataclasses
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from paicore import records
from paicore.experiments import training, training_engines, training_pairs
from paicore.train.batches import draw_epoch

EXPECTED = Path(__file__).resolve().parent / "expected" / "03_training.csv"
PAIRS, ENGINES = (
    training.EXPERIMENTS[name].profiles["smoke"] for name in training.EXPERIMENTS
)
# Two pairs, few steps: what is asked of these trainings is not how good they are.
TINY = dataclasses.replace(
    PAIRS, pairs=2, recipe=dataclasses.replace(PAIRS.recipe, steps=4)
)


def values_of_pairs():
    """What each smoke pair starts from: masks and the first samples it sees."""
    ds, found = training_pairs.load(PAIRS.data), {}
    for pair in range(PAIRS.pairs):
        net, masks, g = training_pairs.member(PAIRS, 0, pair)
        order, _ = draw_epoch(len(ds.train_y), PAIRS.recipe, g)
        live = masks.effective(net, ds.in_shape)
        weights = sum(float(p.detach().double().abs().sum()) for p in net.parameters())
        for name, value in (
            ("kept", masks.kept),
            ("effective", live.kept),
            ("weights", weights),
            *((f"sample {k}", int(order[k])) for k in range(3)),
        ):
            found["equivalence", f"snip,{pair}", "0", name] = float(value)
    return found


def values_of_engines():
    """Losses of the float64 trainings, by `fit`; gaps are rounding and not on file."""
    experiment, found = training.EXPERIMENTS["engines"], {}
    for cell in experiment.cells(ENGINES):
        if cell["variant"] == "float64":
            for row in experiment.run(ENGINES, cell):
                assert row["gap"] < 1e-10
                key = ("engines", records.run_id(cell), str(row["step"]), "train_loss")
                found[key] = row["train_loss"]
    return found


def expected_values(name):
    with EXPECTED.open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    return {tuple(key): float(value) for *key, value in lines if key[0] == name}


@pytest.mark.parametrize("name", ["equivalence", "engines"])
def test_smoke_values_are_those_on_file(name):
    found = values_of_pairs() if name == "equivalence" else values_of_engines()
    wanted = expected_values(name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        assert value == pytest.approx(wanted[key], rel=1e-8), key


def test_the_interval_is_that_of_the_t_test():
    differences = [0.1, -0.2, 0.05, 0.3, 0.0]
    mean, low, high = training_pairs.interval(differences)
    wanted = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert mean == pytest.approx(0.05)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize("shift", [-0.2, -0.08, -0.02, 0.0, 0.06, 0.09, 0.3])
def test_it_lies_in_the_margin_if_both_one_sided_tests_refute(shift):
    margin = training_pairs.MARGIN
    differences = [shift + d for d in (0.1, -0.15, 0.04, -0.09, 0.12, -0.02)]
    _, low, high = training_pairs.interval(differences)
    below = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    above = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    refuted = max(below, above) <= training_pairs.LEVEL
    assert (low >= -margin and high <= margin) == refuted
    assert refuted == (abs(shift) <= 0.06)  # both answers occur


def test_equal_pairs_leave_a_point_and_one_pair_is_refused():
    assert training_pairs.interval([0.0, 0.0, 0.0]) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="expected at least two, got 1"):
        training_pairs.interval([0.1])


def test_pairs_differ_from_each_other_and_not_between_calls():
    ds = training_pairs.load(PAIRS.data)
    seen = []
    for pair in (0, 0, 1):
        net, masks, g = training_pairs.member(PAIRS, 0, pair)
        order, _ = draw_epoch(len(ds.train_y), PAIRS.recipe, g)
        seen.append((net.state_dict(), dict(masks), order))
    for a, b, c in zip(seen[0][:2], seen[1][:2], seen[2][:2], strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not any(torch.equal(a[n], c[n]) for n in a if "weight" in n)
    assert torch.equal(seen[0][2], seen[1][2])
    assert not torch.equal(seen[0][2], seen[2][2])


def test_another_order_changes_the_order_and_nothing_else():
    one, other = (
        training_pairs.member(PAIRS, 0, 0, order) for order in ("order", "another")
    )
    states = (one[0].state_dict(), other[0].state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    assert not torch.equal(one[2].get_state(), other[2].get_state())


@pytest.mark.parametrize(
    ("arm", "steps", "precision", "same_order"),
    [("bf16", 4, "bf16", True), ("order", 4, "float32", False),
     ("half", 2, "float32", True)],
)  # fmt: skip
def test_an_arm_changes_one_thing(monkeypatch, arm, steps, precision, same_order):
    seen = []

    def fit(net, ds, recipe, *, masks, generator, **options):
        seen.append((recipe, generator.get_state()))
        return [{"test_accuracy": 0.5}]

    monkeypatch.setattr(training_pairs, "fit", fit)
    assert training_pairs.second_half(TINY, arm, 0) == [0.5, 0.5]
    usual = training_pairs.member(TINY, 0, 1)[2].get_state()
    recipe, state = seen[1]
    assert (recipe.steps, recipe.precision) == (steps, precision)
    changes = {"steps": steps, "precision": precision, "eval_every": steps}
    assert recipe == dataclasses.replace(TINY.recipe, **changes)
    assert torch.equal(state, usual) == same_order


def test_the_stacked_arm_gives_the_pairs_in_order():
    single = training_pairs.alone(TINY, 0)
    # Four steps in float32 do not drift far enough to change an answer.
    assert training_pairs.second_half(TINY, "stacked", 0) == pytest.approx(single)
    assert single[0] != single[1]


def test_an_unknown_arm_is_refused():
    with pytest.raises(ValueError, match="arm: expected stacked, bf16, order or half"):
        training_pairs.second_half(TINY, "quarter", 0)


def test_rows_hold_each_pair_and_the_interval_of_all():
    cell = {"method": "half", "density": 0.2, "seed": 0, "variant": ""}
    rows = training_pairs.run_pairs(TINY, cell)
    assert [row["step"] for row in rows] == [0, 1]
    assert all(set(row) == {"step", *training_pairs.PAIRS_VALUES} for row in rows)
    differences = [100 * (row["other"] - row["single"]) for row in rows]
    mean, low, high = training_pairs.interval(differences)
    for row, difference in zip(rows, differences, strict=True):
        assert row["difference"] == pytest.approx(difference)
        assert (row["mean"], row["low"], row["high"]) == (mean, low, high)
        assert row["kept"] == round(0.2 * 2720)


def test_the_gap_is_the_largest_of_all_parameters_and_buffers():
    a, b = nn.Linear(2, 2), nn.BatchNorm1d(3)
    c, d = nn.Linear(2, 2), nn.BatchNorm1d(3)
    c.load_state_dict(a.state_dict())
    assert training_engines.largest_gap([a, b], [c, d]) == 0.0
    with torch.no_grad():
        c.bias[1] += 0.5
    assert training_engines.largest_gap([a, b], [c, d]) == pytest.approx(0.5)
    d.running_var[0] = 3.0
    assert training_engines.largest_gap([a, b], [c, d]) == pytest.approx(2.0)


@pytest.mark.parametrize("variant", training_engines.WAYS)
def test_a_variant_trains_twice_in_its_two_ways(monkeypatch, variant):
    seen = []

    def population(members, ds, recipe, *, engine, **options):
        seen.append((engine, recipe.precision, recipe.steps))
        return [{"train_loss": 1.0}, {"train_loss": 2.0}]

    monkeypatch.setattr(training_engines, "population", population)
    cell = {"method": "mlp", "density": 1.0, "seed": 0, "variant": variant}
    rows = training_engines.run_engines(ENGINES, cell)
    ways = training_engines.WAYS[variant]
    assert seen == [(*way, n) for n in ENGINES.checkpoints for way in ways]
    assert ways[0] != ways[1] and ways[1][0] == "loop"
    assert [row["step"] for row in rows] == list(ENGINES.checkpoints)
    assert all(row["gap"] == 0.0 and row["train_loss"] == 1.5 for row in rows)


def test_members_of_the_engines_are_unequal_and_one_has_no_masks():
    made = training_engines.members(ENGINES, "resnet", 0)
    densities = [1.0 if m is None else round(m.density, 1) for _, m, _ in made]
    assert densities == list(training_engines.DENSITIES)
    weights = [next(net.parameters()) for net, _, _ in made]
    assert not torch.equal(weights[0], weights[1])
    states = [g.get_state() for _, _, g in made]
    assert not torch.equal(states[0], states[1])


@pytest.mark.parametrize("name", training.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    experiment = training.EXPERIMENTS[name]
    smoke, quick = (experiment.profiles[p] for p in ("smoke", "quick"))
    arms = [[c["variant"] for c in experiment.cells(each)] for each in (smoke, quick)]
    assert set(arms[0]) == set(arms[1])
    if name == "equivalence":
        assert smoke.methods == quick.methods
    assert smoke.data == "digits"


def test_only_leaves_the_other_arms_out():
    config = dataclasses.replace(PAIRS, only="stacked,half")
    cells = training_pairs.cells(config)
    assert [cell["method"] for cell in cells] == ["stacked", "half"]


def write_expected():
    """Write the values of today; for a change that is meant to move them."""
    with EXPECTED.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("experiment", "run", "step", "column", "value"))
        for found in (values_of_pairs(), values_of_engines()):
            for key, value in found.items():
                out.writerow((*key, f"{value:.12g}"))


if __name__ == "__main__":
    write_expected()
