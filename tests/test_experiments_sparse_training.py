"""Experiments of notebook 22: looks, controls, settings, smoke values, claims.

``python tests/test_experiments_sparse_training.py`` writes
tests/expected/22_sparse_training.csv anew; a number that moves there makes the
committed records stale.
"""

import dataclasses
import math
from types import SimpleNamespace

import experiment_cases as shared
import numpy as np
import pytest
import torch

from paicore import seeds
from paicore.experiments import matching_a_teacher as matching
from paicore.experiments import matching_a_teacher_logs as logs
from paicore.experiments import matching_a_teacher_rivals as rivals
from paicore.experiments import matching_a_teacher_students as students
from paicore.experiments import sparse_training as sparse
from paicore.experiments import sparse_training_curves as curves
from paicore.experiments import sparse_training_layers as layers
from paicore.masks import Masks
from paicore.train import fit

NOTEBOOK = "22_sparse_training"
SMALL = sparse.EXPERIMENTS["short"].profiles["smoke"]
GAINS = sparse.EXPERIMENTS["gain_calibrated"].profiles["smoke"]
UNMATCHED = ("random", "magnitude", "snip", "logit_snip")


def cell(method, seed=0, density=0.1, variant=""):
    return {"method": method, "density": density, "seed": seed, "variant": variant}


def untrained_values():
    """Masks of rivals layer by layer, and kept counts of all methods."""
    rows = shared.smoke_rows(NOTEBOOK, "layers")
    rows = {run: found for run, found in rows.items() if run.startswith(UNMATCHED)}
    values = shared.flat("layers", rows, layers.LAYER)
    for name in ("short", "global_scope", "first_layer", "conv4"):
        last = {r: f[-1:] for r, f in shared.smoke_rows(NOTEBOOK, name).items()}
        values |= shared.flat(name, last, ("kept",))
    return values


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in {key[0] for key in found}:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own)


@pytest.mark.parametrize("name", sparse.EXPERIMENTS)
def test_every_smoke_run_has_finite_accuracies(name):
    for rows in shared.smoke_rows(NOTEBOOK, name).values():
        for row in rows:
            for key in {"test_accuracy", "train_accuracy"} & {*row}:
                assert 0 <= row[key] <= 1


@pytest.mark.parametrize("name", sparse.EXPERIMENTS)
def test_profiles_compare_the_same_methods(name):
    profiles = sparse.EXPERIMENTS[name].profiles.values()
    assert len({config.methods for config in profiles}) == 1


def test_looks_come_right_after_the_updates_they_name():
    """The same as separate trainings of that length, step by step."""
    config = dataclasses.replace(SMALL, looks=(1, 3, 7), recipe=sparse.shortened(7))
    net, masks, _ = rivals.start(config, cell("snip"))
    begin = {name: value.clone() for name, value in net.state_dict().items()}
    rows = curves.trained(config, net, masks, config.recipe, 0)
    assert [row["step"] for row in rows] == [1, 3, 7]
    ds = students.load(config.data)
    for row in rows:
        net.load_state_dict(begin)
        order = students.draws(config, 0, "order")
        recipe = sparse.shortened(row["step"])
        (last,) = fit(net, ds, recipe, masks=masks, generator=order)[-1:]
        assert row["test_accuracy"] == last["test_accuracy"]
        assert row["test_loss"] == pytest.approx(last["test_loss"], rel=1e-6)


def test_watching_leaves_no_hook_and_does_not_change_the_training():
    net, masks, _ = rivals.start(SMALL, cell("random"))
    twin, _, _ = rivals.start(SMALL, cell("random"))
    ds, recipe = students.load(SMALL.data), sparse.shortened(5)
    with curves.watched(net, (0, 2), lambda: {"training": net.training}) as rows:
        fit(net, ds, recipe, masks=masks, generator=seeds.generator(0))
    fit(twin, ds, recipe, masks=masks, generator=seeds.generator(0))
    assert [row["step"] for row in rows] == [0, 2]
    assert not net._forward_pre_hooks
    for name, value in net.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name])


def test_differences_are_those_of_the_same_seed_and_step():
    rows = shared.smoke_rows(NOTEBOOK, "short")
    pairs = zip(rows["ntt_ambient,0.1,,0"], rows["random,0.1,,0"], strict=True)
    for ours, theirs in pairs:
        gap = ours["test_accuracy"] - theirs["test_accuracy"]
        assert ours["over_random"] == gap
        assert math.isnan(theirs["over_random"])
        assert math.isnan(ours["over_as_is"])


def test_masks_of_equal_gain_are_compared_with_the_student_of_their_seed():
    students = shared.smoke_rows(NOTEBOOK, "short")["ntt_ambient,0.1,,0"]
    masks = shared.smoke_rows(NOTEBOOK, "gain_calibrated_mnist")
    for ours, theirs in zip(masks["random,0.1,calibrated,0"], students, strict=True):
        gap = ours["test_accuracy"] - theirs["test_accuracy"]
        assert ours["over_ntt_ambient"] == gap


def test_methods_of_a_seed_share_the_teacher_and_the_order():
    config = dataclasses.replace(SMALL, densities=(1.0,))
    first = [curves.curve(config, cell(m, density=1.0)) for m in ("snip", "random")]
    assert [r["test_loss"] for r in first[0]] == [r["test_loss"] for r in first[1]]


def test_dividing_and_calibrating_change_gains_and_nothing_else():
    (plain, masks, _), (divided, same, _), (calibrated, again, _) = (
        curves.begun(GAINS, cell("magnitude", variant=variant))
        for variant in GAINS.variants
    )
    assert masks == same == again
    for name, mask in masks.items():
        one, two, three = (
            net.get_parameter(name).detach()[mask]
            for net in (plain, divided, calibrated)
        )
        share = float(mask.double().mean())
        assert torch.allclose(two, one / share**0.5)
        factors = three / one
        assert torch.allclose(factors, factors[:1])
        assert not torch.allclose(factors[:1], torch.ones(1))


def test_calibrated_layers_vary_as_the_teacher_does():
    net, _, _ = curves.begun(GAINS, cell("snip", variant="calibrated"))
    dense = students.teacher(GAINS, 0)
    x = students.images(GAINS.data, 1, None)[0][:400]
    with torch.no_grad():
        ours, theirs, plain = (
            each(x).var() for each in (net, dense, curves.begun(GAINS, cell("snip"))[0])
        )
    # not exactly: the factors come from other images
    assert 0.5 < float(ours / theirs) < 2
    assert float(plain / theirs) < 0.5


def test_unlabelled_images_are_what_their_names_say():
    config = sparse.EXPERIMENTS["across_data"].profiles["smoke"]
    own, block = curves.unlabelled(config, "own")
    turned, same = curves.unlabelled(config, "turned")
    assert torch.equal(turned.flip(2, 3), own)
    assert torch.equal(block, same)
    noise = curves.unlabelled(config, "noise")[0]
    assert noise.shape == own.shape
    assert abs(float(noise.mean())) < 0.01
    mixed = curves.unlabelled(config, "own+turned")[0]
    assert torch.equal(mixed, torch.cat([own, turned]))


def test_another_source_makes_another_student():
    config = sparse.EXPERIMENTS["across_data"].profiles["smoke"]
    one, two = (
        rivals.start(config, cell("ntt_ambient"), curves.unlabelled(config, source))
        for source in ("own", "noise")
    )
    names = one[2].theta
    assert any(not torch.equal(one[2].theta[n], two[2].theta[n]) for n in names)


def test_enlarged_digits_are_the_digits():
    small, large = students.load("digits"), students.load("digits", 2)
    assert large.in_shape == (1, 16, 16)
    assert torch.equal(large.train_x[:, :, ::2, 1::2], small.train_x)
    assert torch.equal(large.train_y, small.train_y)


def test_filters_and_channels_are_counted_by_hand():
    mask = torch.zeros(3, 2, 2, 2, dtype=torch.bool)
    mask[0, 1] = True
    mask[2, 1, 0, 0] = True
    found = layers.of_layer(mask, torch.zeros_like(mask))
    assert found == {
        "weights": 24, "kept": 5, "effective": 0, "filters": 3, "filters_alive": 2,
        "channels": 2, "channels_alive": 1, "largest_filter": 4,
    }  # fmt: skip


def test_the_first_layer_alone_is_pruned_to_four_or_five_weights(monkeypatch):
    shape = SimpleNamespace(classes=10, in_shape=(1, 28, 28))  # MNIST's, no images
    batch = torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)
    for module in (students, rivals):
        monkeypatch.setattr(module, "load", lambda *_: shape)
    monkeypatch.setattr(rivals.data, "sample", lambda *_: batch)
    config = dataclasses.replace(sparse.FIRST, keep=False)
    for rule, kept in (("exact", 5), ("ntt", 4)):
        config = dataclasses.replace(config, count_rule=rule)
        net = students.teacher(config, 0)
        masks = rivals.rival(config, net, cell("magnitude", density=0.01))
        first, *others = masks.values()
        assert (int(first.sum()), first.numel()) == (kept, 500)
        assert all(mask.all() for mask in others)


def test_students_of_the_released_loss_are_those_that_are_trained():
    """What is kept under build is found again: the same call, the same content."""
    ours, theirs = sparse.FULL, matching.LOSS
    names = ("data", "net", "width", "phase", "masked", "matched", "count_rule",
             "scope", "first_only", "enlarge", "densities", "batch_norm")  # fmt: skip
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name)


def test_a_student_of_the_loss_curves_is_fetched_and_not_matched_again(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    loss = dataclasses.replace(matching.SMOKE_LOSS, keep=True)
    logs.run_log(loss, cell("ntt_ambient"))
    made = {*(tmp_path / "build/students").glob("student-*.npz")}
    supervised = sparse.tiny(sparse.FULL, phase=loss.phase, keep=True)
    curves.run_curve(supervised, cell("ntt_ambient"))
    assert {*(tmp_path / "build/students").glob("student-*.npz")} == made
    assert len(made) == 1


def test_what_other_code_kept_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    for code, value in ((1, 1.0), (2, 2.0), (1, 3.0)):
        monkeypatch.setattr(students, "CODE", code)
        made = {"a": np.array([value])}
        found = students.kept(True, ("x",), (), lambda made=made: made)
        assert found["a"].tolist() == [float(code)]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_what_was_kept_and_is_damaged_is_made_anew(monkeypatch, tmp_path, damage):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    made = []

    def compute():
        made.append(1)
        return {"a": np.array([1.0, 2.0])}

    for _ in range(2):
        assert students.kept(True, ("x",), (), compute)["a"].tolist() == [1.0, 2.0]
    assert len(made) == 1
    (path,) = (tmp_path / "build/students").iterdir()
    path.write_bytes(damage)
    assert students.kept(True, ("x",), (), compute)["a"].tolist() == [1.0, 2.0]
    assert len(made) == 2


def test_the_supervised_phase_is_the_released_one():
    full = sparse.FULL
    assert (full.trained, full.recipe.steps, full.train_looked) == (
        54_000,
        42_200,
        5_400,
    )
    assert {1, 101, 201, 501, 1_001, 5_001, 10_001, 42_101} <= {*full.looks}
    assert max(full.looks) < full.recipe.steps


def test_intervals_are_those_of_the_runs():
    found = shared.smoke_rows(NOTEBOOK, "supervised_interval")
    config = sparse.EXPERIMENTS["supervised_interval"].profiles["smoke"]
    runs = [curves.curve(config, cell("rand", seed))[-1] for seed in (0, 1)]
    mean = sum(run["test_accuracy"] for run in runs) / 2
    assert found["rand,0.1,,0"][-1]["mean"] == pytest.approx(mean)


def quick_steps(name, config):
    if name.endswith("_interval"):
        return config.at
    return () if name == "layers" else config.looks


def test_every_claim_has_its_runs_and_rows_in_quick():
    assert shared.orphans(NOTEBOOK, quick_steps) == []
    assert shared.mixed(NOTEBOOK) == []
    assert shared.unmet(NOTEBOOK) == []


def test_dense_is_whole():
    _, masks, _ = rivals.start(SMALL, cell("dense", density=1.0))
    assert masks == Masks.dense(students.teacher(SMALL, 0))


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
