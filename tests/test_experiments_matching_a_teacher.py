"""Experiments of notebook 21: settings, splits, metrics, smoke values, claims.

``python tests/test_experiments_matching_a_teacher.py`` writes
tests/expected/21_matching_a_teacher.csv anew; a number that moves there makes the
committed records stale.
"""

import dataclasses
import math
from types import SimpleNamespace

import experiment_cases as shared
import pytest
import scipy.stats
import torch

from paicore import seeds, transfer
from paicore.experiments import matching_a_teacher as matching
from paicore.experiments import matching_a_teacher_logs as logs
from paicore.experiments import matching_a_teacher_rivals as rivals
from paicore.experiments import matching_a_teacher_students as students
from paicore.experiments import matching_a_teacher_trajectories as paths
from paicore.masks import Masks, prunable

NOTEBOOK = "21_matching_a_teacher"
SMALL = matching.SMOKE_PATHS
LOSS = matching.SMOKE_LOSS
# Methods whose kernels need no training, and what is exact before any.
FIXED = ("dense", "scaled_random", "random", "magnitude")
SHARES = tuple(f"{kind}_{part}" for kind in paths.SHARES for part in paths.PARTS)


def cell(method, seed=0, density=0.1, variant=""):
    return {"method": method, "density": density, "seed": seed, "variant": variant}


def started_values():
    """Kernel distances of untrained networks, and the logs' first rows."""
    rows = shared.smoke_rows(NOTEBOOK, "trajectories")
    fixed = {run: found[:1] for run, found in rows.items() if run.startswith(FIXED)}
    values = shared.flat("trajectories", fixed, (*SHARES, *paths.OUTPUTS))
    for name in ("transfer_loss", "transfer_loss_cnn"):
        first = {r: f[:1] for r, f in shared.smoke_rows(NOTEBOOK, name).items()}
        columns = ("target", "l2", "masked", "ambient", "kept", "turnover")
        values |= shared.flat(name, first, columns)
    return values


def test_smoke_values_are_those_on_file():
    found = started_values()
    for name in {key[0] for key in found}:
        # logs are float32
        rel = 1e-9 if name == "trajectories" else 1e-4
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel)


@pytest.mark.parametrize("name", ["official_mlp", "official_cnn"])
def test_the_quick_and_paper_phases_are_the_released_presets(name):
    preset = dict(transfer.PRESETS[name])
    config = {"official_mlp": matching.LOSS, "official_cnn": matching.CNN}[name]
    ours = dataclasses.asdict(config.phase)
    ours |= {"count_rule": config.count_rule, "scope": config.scope}
    ours["tangent"] = students.tangent_of("ntt_ambient")
    assert {key: ours[key] for key in preset} == preset
    assert config.densities == (0.03,)


def test_the_official_preset_keeps_7983_weights_with_a_square_sum_of_83(monkeypatch):
    shape = SimpleNamespace(classes=10, in_shape=(1, 28, 28))  # MNIST's, no images
    batch = torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)
    for module in (students, rivals):
        monkeypatch.setattr(module, "load", lambda *_: shape)
    monkeypatch.setattr(rivals.data, "sample", lambda *_: batch)
    net = students.teacher(matching.LOSS, 0)
    masks = rivals.rival(matching.LOSS, net, cell("magnitude", density=0.03))
    assert [int(mask.sum()) for mask in masks.values()] == [7055, 899, 29]
    masks.apply_(net)
    weights = [weight.detach().double() for weight in prunable(net).values()]
    l2 = sum(float(weight.square().sum()) for weight in weights)
    assert l2 == pytest.approx(83.0, abs=0.5)


def test_matched_and_held_out_images_share_none_and_hold_both_classes():
    for seed in (0, 1):
        (x, y), (held, label) = paths.two_classes(matching.DIGITS, seed)
        assert (len(x), len(held)) == (240, 120)
        both = torch.cat([x, held]).flatten(1)
        apart = torch.cdist(both, both) + 10 * torch.eye(len(both))
        assert apart[:240, 240:].min() > 0
        assert {*y.tolist()} == {*label.tolist()} == {0, 1}
    again = paths.two_classes(matching.DIGITS, 0)[0][0]
    assert not torch.equal(again, x)


def test_the_first_images_of_both_classes_take_turns():
    config = dataclasses.replace(matching.DIGITS, pooled=False, samples=(20, 10))
    (_, y), (_, label) = paths.two_classes(config, 0)
    assert y.tolist() == [0, 1] * 10
    assert label.tolist() == [0, 1] * 5


def test_a_network_that_moves_half_as_far_has_error_and_ratio_one_half():
    begin, end = torch.zeros(3, 2), torch.ones(3, 2)
    taught = {0: (begin, begin), 5: (end, end)}
    ours = {0: (begin, begin), 5: (end / 2, -end)}
    found = paths.compare(ours, taught, 5, 0)
    assert found == pytest.approx({"error": 0.5, "cosine": 1.0, "size_ratio": 0.5})
    found = paths.compare(ours, taught, 5, 1)
    assert found == pytest.approx({"error": 2.0, "cosine": -1.0, "size_ratio": 1.0})
    assert math.isnan(paths.compare(ours, taught, 0, 0)["error"])


def test_descent_keeps_pruned_weights_at_zero_and_its_argument_as_it_was():
    matched, (held, _) = paths.two_classes(SMALL, 0)
    net, masks = paths.started(SMALL, cell("magnitude"), ())
    before = {name: p.clone() for name, p in net.state_dict().items()}
    found = paths.descend(SMALL, net, masks, matched, held)
    assert {*found} == {*SMALL.marks}
    after = net.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before)
    # one step by hand: the masked gradient, nothing else
    outputs = net(matched[0])
    loss = torch.nn.functional.cross_entropy(outputs, matched[1])
    names, weights = zip(*net.named_parameters(), strict=True)
    for n, w, g in zip(names, weights, torch.autograd.grad(loss, weights), strict=True):
        w.data -= SMALL.rate * (g * masks[n] if n in masks else g)
    assert torch.allclose(net(held), found[1][1])


def test_the_teacher_follows_itself_and_masked_transfer_is_set_against_the_best():
    rows = shared.smoke_rows(NOTEBOOK, "trajectories")
    dense = rows["dense,1,,0"][-1]
    assert dense["error_held"] == 0
    assert dense["masked_share_matched"] < 1e-25
    masked = rows["ntt_masked,0.1,,0"]
    assert [row["step"] for row in masked] == list(SMALL.marks)
    others = [rows[f"{m},0.1,,0"] for m in SMALL.methods[2:]]
    by_hand = []
    for step in SMALL.checked:
        at = SMALL.marks.index(step)
        best = min(each[at]["error_held"] for each in others)
        by_hand.append(masked[at]["error_held"] / best)
    assert masked[-1]["of_best_held"] == pytest.approx(max(by_hand))
    worst = max(masked[SMALL.marks.index(s)]["error_held"] for s in SMALL.checked)
    assert masked[-1]["worst_held"] == worst
    assert rows["magnitude,0.1,,0"][-1]["masked_share_held"] == pytest.approx(1.0)


def test_shares_are_relative_to_the_first_row_and_rows_are_thinned():
    rows = shared.smoke_rows(NOTEBOOK, "transfer_loss")["ntt_masked,0.1,,0"]
    assert [row["step"] for row in rows] == [0, 10, 20, 30]
    for row in rows:
        for name in logs.STARTED:
            assert row[f"{name}_share"] == row[name] / rows[0][name]
    assert rows[-1]["masked_share"] < 1


def test_both_tangents_of_a_seed_start_alike_and_seeds_do_not():
    rows = shared.smoke_rows(NOTEBOOK, "transfer_loss")
    first = {run: found[0] for run, found in rows.items()}
    masked, ambient = first["ntt_masked,0.1,,0"], first["ntt_ambient,0.1,,0"]
    for name in ("target", "l2", "masked", "ambient", "kept"):
        assert masked[name] == ambient[name]
    assert masked["l2"] != first["ntt_masked,0.1,,1"]["l2"]


def test_the_prediction_interval_holds_its_share_of_new_values():
    draws = torch.randn(4000, 6, generator=seeds.generator(0, "interval")).double()
    inside = 0
    for *five, new in draws.tolist():
        found = logs.prediction(five, 0.95)
        inside += found["low"] <= new <= found["high"]
    assert inside / len(draws) == pytest.approx(0.95, abs=0.015)
    found = logs.prediction([1.0, 2.0, 3.0], 0.5)
    half = scipy.stats.t.ppf(0.75, 2) * math.sqrt(4 / 3)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half)


def test_the_interval_is_that_of_the_runs():
    found = shared.smoke_rows(NOTEBOOK, "transfer_interval")
    rows = shared.smoke_rows(NOTEBOOK, "transfer_loss")
    ends = [rows[f"ntt_ambient,0.1,,{seed}"][-1]["target"] for seed in (0, 1)]
    interval = found["ntt_ambient,0.1,target,0"][0]
    assert interval["mean"] == pytest.approx(sum(ends) / 2)
    assert interval["runs"] == 2


def test_what_is_kept_is_read_back_and_other_input_is_computed(monkeypatch, tmp_path):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return {"a": torch.arange(3).numpy()}

    x = torch.ones(2)
    for tensor, name, count in ((x, "s", 1), (x, "s", 1), (2 * x, "s", 2), (x, "t", 3)):
        found = students.kept(True, (name, {"lr": 1}), (tensor,), compute)
        assert found["a"].tolist() == [0, 1, 2]
        assert len(calls) == count
    students.kept(False, ("s", {"lr": 1}), (x,), compute)
    assert len(calls) == 4
    assert len(list((tmp_path / "build/students").glob("*.npz"))) == 3


def test_a_kept_student_is_the_student(monkeypatch, tmp_path):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    config = dataclasses.replace(LOSS, keep=True)
    net = students.teacher(config, 0)
    made, read = (students.student(config, net, cell("ntt_masked")) for _ in range(2))
    fresh = students.student(LOSS, net, cell("ntt_masked"))
    for each in (made, read):
        assert each.masks == fresh.masks
        assert each.log == fresh.log
        assert all(torch.equal(each.theta[n], fresh.theta[n]) for n in fresh.theta)


def test_rivals_keep_equally_many_weights():
    methods = ("random", "rand", "magnitude", "snip", "logit_snip", "scaled_random")
    kept = {rivals.start(LOSS, cell(method))[1].kept for method in methods}
    kept.add(rivals.start(LOSS, cell("ntt_masked"))[1].kept)
    kept.add(rivals.start(LOSS, cell("weights_only_masked"))[1].kept)
    assert len(kept) == 1


def test_mask_only_and_weights_only_take_one_half_each():
    full, masks, match = rivals.start(LOSS, cell("ntt_masked"))
    mask_only, same, _ = rivals.start(LOSS, cell("mask_only_masked"))
    weights_only, other, _ = rivals.start(LOSS, cell("weights_only_masked"))
    dense = students.teacher(LOSS, 0)
    assert same == masks
    assert other != masks
    assert other.layer_densities() == masks.layer_densities()
    for name, mask in masks.items():
        parts = (n.get_parameter(name) for n in (full, mask_only, weights_only, dense))
        whole, only, shuffled, initial = parts
        assert torch.equal(whole, match.theta[name] * mask)
        assert torch.equal(only, initial * mask)
        assert torch.equal(shuffled, match.theta[name] * other[name])


def test_an_arm_changes_its_one_setting():
    full = students.phase_of(LOSS, "ntt_ambient")
    for arm, change in students.ARMS.items():
        phase = students.phase_of(LOSS, f"ntt_ambient_{arm}")
        assert phase == dataclasses.replace(full, **change) != full


def test_only_the_first_layer_is_pruned_when_asked():
    config = dataclasses.replace(LOSS, first_only=True)
    for method in ("random", "ntt_masked"):
        first, *others = (
            rivals.start(config, cell(method))[1].layer_densities().values()
        )
        assert first < 0.11
        assert set(others) == {1.0}


def test_dense_rivals_have_no_mask():
    net = students.teacher(LOSS, 0)
    assert rivals.rival(LOSS, net, cell("dense")) == Masks.dense(net)


def test_fewer_seeds_and_only_some_methods():
    config = dataclasses.replace(matching.LOSS, only="ntt_masked")
    assert [each["seed"] for each in students.cells(config)] == [0, 1]
    assert len(students.cells(matching.LOSS)) == 7


def quick_steps(name, config):
    if name.startswith("trajectories"):
        return config.marks
    last = config.phase.steps
    return {*range(0, logs.DENSE_ROWS + 1, config.phase.log_every), last}


def test_every_claim_has_its_runs_and_rows_in_quick():
    assert shared.orphans(NOTEBOOK, quick_steps) == []
    assert shared.mixed(NOTEBOOK) == []
    assert shared.unmet(NOTEBOOK) == []


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, started_values())
