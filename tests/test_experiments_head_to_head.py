"""Experiments of notebook 51: equal ground, parts, rates, smoke values, claims.

``python tests/test_experiments_head_to_head.py`` writes
tests/expected/51_head_to_head.csv anew; a number that moves there makes the committed
records stale.
"""

from dataclasses import replace

import experiment_cases as shared
import numpy as np
import pytest
import torch

from paicore import data, nets, seeds
from paicore.experiments import head_to_head as study
from paicore.experiments import head_to_head_ground as ground
from paicore.experiments import head_to_head_parts as parts
from paicore.experiments import head_to_head_training as training
from paicore.masks import prunable
from paicore.scores import SCORES

NOTEBOOK = "51_head_to_head"
TINY = study.EXPERIMENTS["primary_mnist"].profiles["smoke"]
TINY_TUNED = study.EXPERIMENTS["tuned_mnist"].profiles["smoke"]
SHAPE = ("kept", "effective", "empty")


def untrained_values():
    """What no training decides: counts, paths, costs."""
    values = {}
    for name in ("primary_mnist", "primary_fashion", "primary_cifar"):
        values |= shared.flat(name, shared.smoke_rows(NOTEBOOK, name), SHAPE)
    rows = shared.smoke_rows(NOTEBOOK, "transfer_mnist")
    values |= shared.flat("transfer_mnist", rows, ("kept",))
    rows = shared.smoke_rows(NOTEBOOK, "cost")
    return values | shared.flat("cost", rows, ("once", "times", "total"))


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in {key[0] for key in found}:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own)


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_profiles_compare_the_same_methods(name):
    profiles = study.EXPERIMENTS[name].profiles.values()
    assert len({config.methods for config in profiles}) == 1


def test_every_score_of_the_library_takes_part():
    for name in ("primary_mnist", "primary_fashion", "primary_cifar", "tuned_mnist"):
        methods = study.EXPERIMENTS[name].profiles["quick"].methods
        assert set(SCORES) <= set(methods)
    assert "sbp_sr" in study.EXPERIMENTS["primary_cifar"].profiles["quick"].methods
    both = study.EXPERIMENTS["transfer_mnist"].profiles["quick"].methods
    assert {"ntt_masked", "ntt_ambient"} <= set(both)


def test_the_primary_comparison_has_one_density_and_eight_seeds():
    for ground_name in study.GROUNDS:
        for kind in ("primary", "transfer", "tuned"):
            config = study.EXPERIMENTS[f"{kind}_{ground_name}"].profiles["quick"]
            assert len(config.densities) == 1
            fewest = 8 if ground_name == "mnist" or kind == "primary" else 3
            assert config.seeds >= fewest


def test_all_methods_keep_equally_many_weights_of_the_primary_network():
    config = study.MNIST
    net = nets.build(config.net, in_shape=(1, 28, 28), generator=seeds.generator(0))
    counts = {name: w.numel() for name, w in prunable(net).items()}
    for density in (*config.densities, *study.ANALYSED["densities"]):
        layerwise = sum(int(n * density + 0.5) for n in counts.values())
        assert layerwise == int(sum(counts.values()) * density + 0.5)


@pytest.mark.parametrize("name", ["primary_mnist", "primary_fashion", "primary_cifar"])
def test_scores_keep_equally_many_weights(name):
    rows = shared.smoke_rows(NOTEBOOK, name)
    kept = {r["kept"] for run, (r,) in rows.items() if not run.startswith("dense")}
    assert len(kept) == 1


def test_methods_of_a_seed_start_from_the_same_weights():
    config = study.EXPERIMENTS["primary_cifar"].profiles["smoke"]
    one, _ = ground.begun(config, "snip", 0.2, 0)
    stable, _ = ground.begun(config, "sbp_sr", 0.2, 0)
    for name, weight in prunable(one).items():
        assert torch.equal(weight, prunable(stable)[name])
    other, _ = ground.begun(config, "snip", 0.2, 1)
    assert not torch.equal(prunable(one)[name], prunable(other)[name])


def test_a_student_has_weights_of_its_own_and_its_teacher_is_the_seeds_network():
    config = study.EXPERIMENTS["transfer_mnist"].profiles["smoke"]
    teacher = ground.network(config, 0)
    student, masks = ground.begun(config, "ntt_masked", 0.2, 0)
    name = next(iter(masks))
    own, before = (prunable(net)[name] for net in (student, teacher))
    assert not torch.equal(own[masks[name]], before[masks[name]])
    assert torch.allclose(own, before, atol=0.05)


def test_parts_sum_to_the_whole_exactly():
    rows = shared.smoke_rows(NOTEBOOK, "parts_mnist")
    for method in ground.SCORED:
        gain = {p: rows[f"{method},0.2,{p},0"][0]["gain"] for p in parts.PARTS}
        whole = gain["whole"]
        assert sum(gain[part] for part in parts.IN_ORDER) == whole
        assert sum(gain[part] for part in parts.SCALE_FIRST) == whole
        both = gain["values first"] + gain["positions last"]
        assert both == gain["positions"] + gain["values"]
        assert all(value == int(value) for value in gain.values())
    rows = shared.smoke_rows(NOTEBOOK, "transfer_parts_mnist")
    for method in ground.TRANSFERS:
        gain = {p: rows[f"{method},0.2,{p},0"][0]["gain"] for p in parts.OF_TRANSFER}
        assert sum(gain.values()) == 2 * gain["whole"]


@pytest.mark.parametrize("ends", [parts.IN_ORDER, parts.SCALE_FIRST])
def test_each_part_begins_where_the_one_before_ends(ends):
    first, *others = ends.values()
    for start, end in others:
        assert start == first[1]
        first = (start, end)
    assert (next(iter(ends.values()))[0], first[1]) == parts.WHOLE["whole"]


def test_the_layers_station_has_the_methods_layer_densities_and_fresh_weights():
    own = ground.masks_of(TINY, "snip", 0.2, 0)
    net, masks = parts.STATIONS["layers"](TINY, "snip", 0.2, 0)
    assert masks.layer_densities() == own.layer_densities()
    assert masks != own
    scored = prunable(ground.network(TINY, 0))
    assert all(not torch.equal(w, scored[n]) for n, w in prunable(net).items())
    _, same = parts.STATIONS["positions"](TINY, "snip", 0.2, 0)
    assert same == own


def test_the_uniform_station_has_one_density_in_every_layer():
    _, masks = parts.STATIONS["uniform"](TINY, "", 0.2, 0)
    for name, density in masks.layer_densities().items():
        assert abs(density - 0.2) <= 1 / masks[name].numel()
    assert masks.kept == int(masks.total * 0.2 + 0.5)


def test_carried_weights_keep_their_mask_and_move_as_shuffled_masks_do():
    net, masks = ground.begun(TINY, "magnitude", 0.2, 0)
    before = {name: weight.clone() for name, weight in prunable(net).items()}
    twin, moved = parts.carried(net, masks, ground.draws(TINY, 0, "shuffle"))
    assert moved == masks.shuffled(ground.draws(TINY, 0, "shuffle"))
    for name, weight in prunable(twin).items():
        assert torch.equal(prunable(net)[name], before[name])
        old, new = before[name][masks[name]], weight[moved[name]]
        assert torch.equal(old.sort().values, new.sort().values)


def test_scaled_stations_have_the_dense_networks_output_variance():
    net, masks = parts.STATIONS["values"](TINY, "snip", 0.2, 0)
    x, _ = ground.scoring_batch(TINY, 0)
    dense = net.double()(x).var(correction=0).item()
    scaled = parts.calibrated(net, masks, x)
    assert scaled(x).var(correction=0).item() == pytest.approx(dense, rel=1e-6)


def planted(monkeypatch):
    """Replace the test images and labels of every data set by garbage."""
    load = data.load

    def garbage(name):
        ds = load(name)
        x, y = 255 - ds.test_x.flip(0), torch.zeros_like(ds.test_y)
        return replace(ds, test_x=x.clamp(max=int(ds.scale)), test_y=y)

    monkeypatch.setattr(ground.data, "load", garbage)
    forget()


def forget():
    for cached in (ground._images, ground.masks_of, ground.matched, training.tries):
        cached.cache_clear()


@pytest.mark.parametrize("method", ["snip", "synflow_dist", "ntk_sap", "dense"])
def test_a_planted_test_set_changes_nothing_in_tuning(method, monkeypatch):
    density = 1.0 if method == "dense" else 0.2
    forget()
    before = dict(training.tries(TINY_TUNED, method, density))
    planted(monkeypatch)
    after = dict(training.tries(TINY_TUNED, method, density))
    cell = {"method": method, "density": density, "seed": 0, "variant": ""}
    (row,) = training.run_tuned(TINY_TUNED, cell)
    forget()
    assert after == before
    assert row["lr"] == training.best(before)


def test_a_planted_test_set_does_change_the_accuracy(monkeypatch):
    config = replace(TINY, recipe=replace(TINY.recipe, steps=60))
    cell = {"method": "dense", "density": 1.0, "seed": 0, "variant": ""}
    (before,) = training.run_common(config, cell)
    planted(monkeypatch)
    (after,) = training.run_common(config, cell)
    forget()
    assert before["correct"] != after["correct"]
    assert before["train_loss"] == after["train_loss"]


def test_held_out_images_are_the_last_training_images_and_no_others():
    ds = data.load("digits")
    split = ground.held_out(ds, 100)
    assert torch.equal(split.test_x, ds.train_x[-100:])
    assert torch.equal(split.test_y, ds.train_y[-100:])
    assert torch.equal(split.train_x, ds.train_x[:-100])


def test_rates_are_tried_with_seeds_of_no_comparison():
    most = max(
        config.seeds
        for experiment in study.EXPERIMENTS.values()
        for config in experiment.profiles.values()
    )
    assert most < training.FIRST_TRY


def test_the_best_rate_is_the_least_of_equals_and_never_one_that_diverges():
    assert training.best({1e-3: 0.5, 1e-2: 0.5, 1e-1: float("nan")}) == 1e-3
    assert training.best({1e-3: 0.4, 1e-2: 0.5}) == 1e-2
    with pytest.raises(ValueError, match="diverges"):
        training.best({1e-3: float("nan")})


def test_a_run_that_diverges_has_no_right_answers():
    config = replace(TINY, recipe=replace(TINY.recipe, optimizer="sgd"))
    net, masks = ground.begun(config, "snip", 0.2, 0)
    found = training.trained(config, net, masks, 0, 1e38)
    assert all(value != value for value in found.values())


@pytest.mark.parametrize(
    "content",
    [
        {"other": np.zeros(1)},
        dict.fromkeys(training.LEARNED, np.zeros(3)),
        dict.fromkeys(training.LEARNED, np.array("x")),
        dict.fromkeys([*training.LEARNED, "more"], np.array(0.0)),
    ],
)
def test_a_file_with_other_content_is_made_anew(content, tmp_path, monkeypatch):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    config = replace(TINY, keep=True)

    def found():
        net, masks = ground.begun(config, "magnitude", 0.2, 0)
        return training.trained(config, net, masks, 0, 1e-3)

    before = found()
    (path,) = (tmp_path / "build/students").glob("*.npz")
    right = path.read_bytes()
    np.savez(path, **content)
    assert found() == before
    assert path.read_bytes() == right


def test_a_rounds_cost_is_paid_in_every_round():
    rows = shared.smoke_rows(NOTEBOOK, "cost")
    once, more = (rows[f"{m},1,lenet_300_100,0"][0] for m in ("snip", "iterative_snip"))
    assert once["total"] == pytest.approx(once["once"])
    assert more["total"] == pytest.approx(100 * once["total"])
    assert rows["magnitude,1,lenet_300_100,0"][0]["total"] == 0


def test_every_claim_has_its_runs_and_rows_in_quick():
    assert shared.orphans(NOTEBOOK, lambda name, config: (0,)) == []
    assert shared.mixed(NOTEBOOK) == []
    assert shared.unmet(NOTEBOOK) == []


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
