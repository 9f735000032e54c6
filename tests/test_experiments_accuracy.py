"""The accuracy experiments: smoke values, pairing, counts, and controls that must fail.

``python tests/test_experiments_accuracy.py`` writes tests/expected/43_accuracy.csv
anew; a number that moves there makes the committed records stale.
"""

import dataclasses
import math

import experiment_cases as shared
import pytest
import torch

from paicore import Masks, claims, data, records
from paicore.experiments import accuracy, accuracy_arms, accuracy_builders
from paicore.experiments import accuracy_cost as cost
from paicore.experiments.accuracy_arms import Arms
from paicore.experiments.saliency_nets import keep_largest
from paicore.forward import prunable
from paicore.records import identity
from paicore.scores import saliency_sums
from paicore.train import RECIPES, Recipe

NOTEBOOK = "43_accuracy"
# What training does and seconds are not the same on all machines.
CERTAIN = ("kept", "empty", "effective", "units", "rounds", "draws", "passes",
           "weights", "away", "alive")  # fmt: skip
EXPERIMENTS = accuracy.EXPERIMENTS
SMALL = EXPERIMENTS["digits"].profiles["smoke"]
CELL = {"method": "ntk_sap", "density": 0.3, "seed": 0, "variant": ""}


def smoke_values(name):
    """(experiment, run, step, column) to value, of every smoke run."""
    experiment = EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    run = masks_only if isinstance(config, Arms) else experiment.run
    return {
        (name, records.run_id(cell), str(row["step"]), column): float(row[column])
        for cell in experiment.cells(config)
        for row in run(config, cell)
        for column in CERTAIN
        if column in row
    }


def masks_only(config, cell):
    """The row of a run, without training."""
    net, in_shape = accuracy_arms.initial(config, cell["seed"])
    masks = accuracy_arms.mask_of(config, cell)
    share = masks.effective(net, in_shape).kept / masks.kept
    row = {"kept": masks.kept, "empty": len(masks.collapsed), "effective": share}
    return [{"step": 0, **row}]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    shared.assert_on_file(NOTEBOOK, name, smoke_values(name), rel=1e-6)


@pytest.mark.parametrize("name", ["figure1", "cost", "builders"])
def test_a_smoke_run_has_all_declared_values(name):
    experiment = EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    cell = experiment.cells(config)[-1]
    (row,) = experiment.run(config, cell)
    assert set(row) == {"step", *experiment.values}
    if name == "figure1":
        assert 0 <= row["accuracy"] <= row["best"] <= 1


def test_every_profile_of_an_experiment_is_of_one_kind():
    for name, experiment in EXPERIMENTS.items():
        kinds = {type(config) for config in experiment.profiles.values()}
        assert len(kinds) == 1, name
        assert set(experiment.cost) == {"smoke", "quick", "paper"}


def test_paper_is_the_setting_that_was_read():
    grid = [c.densities for c in (accuracy.RESNET20, *papers("_lower", "_between"))]
    assert sorted(d for part in grid for d in part) == sorted(accuracy.GRID)
    assert [round(100 * (1 - d), 2) for d in accuracy.GRID] == [
        36.0, 59.04, 73.79, 83.22, 89.26, 93.13, 95.6, 97.19, 98.2,
    ]  # fmt: skip
    resnet, vgg = accuracy.RESNET20, accuracy.VGG16
    assert resnet.recipe == RECIPES["ntk_sap_resnet20"]
    assert (resnet.seeds, resnet.images, resnet.noise, resnet.repeats) == (
        3, 100, 100, 5,
    )  # fmt: skip
    assert dict(resnet.rounds)["ntk_sap"] == 20
    assert vgg.recipe == RECIPES["ntk_sap_vgg16"]
    assert (vgg.images, vgg.noise, vgg.repeats) == (1_000, 1_000, 1)
    assert dict(vgg.rounds)["ntk_sap"] == 100
    assert len(accuracy.arms(dataclasses.replace(resnet, only="snip,grasp"))) == 12


def papers(*endings):
    return [EXPERIMENTS[f"figure1{end}"].profiles["paper"] for end in endings]


def test_quick_never_counts_as_paper():
    for name, experiment in EXPERIMENTS.items():
        quick, paper = (experiment.profiles.get(kind) for kind in ("quick", "paper"))
        if quick and paper:
            assert (quick.data, quick.width) != (paper.data, paper.width), name


def test_methods_share_their_draws_and_seeds_do_not():
    one, other = (accuracy_arms.initial(SMALL, 0)[0] for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )
    away, _ = accuracy_arms.initial(SMALL, 1)
    assert not torch.equal(next(one.parameters()), next(away.parameters()))
    x, _ = accuracy_arms.scoring_batch(SMALL, 0)
    assert x.dtype == torch.float64 and x.shape == (SMALL.images, 1, 8, 8)
    again, _ = accuracy_arms.scoring_batch(dataclasses.replace(SMALL, repeats=3), 0)
    assert torch.equal(x, again)


def test_augmented_scoring_images_are_the_same_ones_moved():
    moved = dataclasses.replace(SMALL, augmented=True)
    (x, y), (z, labels) = (accuracy_arms.scoring_batch(c, 0) for c in (SMALL, moved))
    assert torch.equal(y, labels)
    assert x.shape == z.shape and not torch.equal(x, z)


def test_words_of_a_variant_are_options():
    def options(variant):
        return accuracy_arms.options_of(SMALL, "ntk_sap", variant)

    assert options("")["rounds"] == 2
    assert options("T=7 R=3")["rounds"] == 7 and options("T=7 R=3")["repeats"] == 3
    assert options("eps=1e-06")["epsilon"] == 1e-6
    assert options("given real") == options("") | {"weights": "given", "inputs": "real"}
    assert options("jvp shuffled") == options("") | {"estimator": "jvp"}
    assert accuracy_arms.options_of(SMALL, "magnitude", "") == {"count_rule": "synflow"}
    with pytest.raises(ValueError, match="variant"):
        options("T7")


@pytest.mark.parametrize("variant", ["T=1", "real", "given", "eps=1e-06", "R=5"])
def test_a_variant_changes_the_mask_and_not_its_count(variant):
    own, other = (
        accuracy_arms.mask_of(SMALL, {**CELL, "variant": v}) for v in ("", variant)
    )
    assert own.kept == other.kept == 18_248 - int(0.7 * 18_248)
    assert any(not torch.equal(own[n], other[n]) for n in own)


def test_shuffled_masks_keep_the_densities_of_layers():
    own, moved = (
        accuracy_arms.mask_of(SMALL, {**CELL, "variant": v}) for v in ("", "shuffled")
    )
    assert own.layer_densities() == moved.layer_densities()
    assert any(not torch.equal(own[n], moved[n]) for n in own)
    dense = accuracy_arms.mask_of(SMALL, {**CELL, "method": "dense"})
    assert dense.density == 1


def test_rounds_are_those_of_algorithm_1():
    """Two rounds by hand: scores of the masked network, the largest survive."""
    net, _ = accuracy_arms.initial(SMALL, 0)
    x, _ = accuracy_arms.scoring_batch(SMALL, 0)
    g = accuracy_arms.stream(SMALL, 0, "score")
    masks = Masks.dense(net)
    for t in (1, 2):
        signed = saliency_sums(
            net, masks, (x[: SMALL.noise], None), generator=g, repeats=SMALL.repeats
        ).signed
        masks = keep_largest(signed, 0.3 ** (t / 2))
    found = accuracy_arms.mask_of(SMALL, CELL)
    assert all(torch.equal(found[n], masks[n]) for n in masks)


def test_over_is_paired_with_the_rival_and_shuffled_with_its_own(monkeypatch):
    def made(config, method, density, variant, seed):
        value = len(method) + 10 * len(variant) + 100 * seed + 1000 * density
        return {"accuracy": value, "best": 2 * value}

    monkeypatch.setattr(accuracy_arms, "trained", made)

    def over(**what):
        return accuracy_arms.run_arm(SMALL, {**CELL, **what})[0]["over"]

    assert over() == 0
    assert over(method="random", seed=3) == len("random") - len("ntk_sap")
    assert over(method="random", variant="shuffled") == 10 * len("shuffled")
    assert math.isnan(over(method="dense"))


def test_a_run_that_diverges_has_no_numbers():
    recipe = Recipe("sgd", lr=1e30, batch=16, steps=4)
    config = dataclasses.replace(SMALL, recipe=recipe)
    net, _ = accuracy_arms.initial(config, 0)
    found = accuracy_arms.learned(config, net, Masks.dense(net), 0)
    assert all(math.isnan(value) for value in found.values())


def test_digits_has_the_cells_that_were_declared():
    quick = EXPERIMENTS["digits"].profiles["quick"]
    found = [c for c in accuracy.arms(quick) if c["seed"] == 0]
    assert len(found) == 1 + 2 * 9 + 5 * 3 + 7 * 2
    assert {c["method"] for c in found if c["density"] == 0.8**2} == {"snip", "grasp"}
    assert {c["density"] for c in found if c["variant"] == "shuffled"} == {
        0.8**14, 0.8**18,
    }  # fmt: skip
    assert len({identity.run_id(c) for c in found}) == len(found)


def test_the_cost_of_snip_is_counted_by_hand():
    config = cost.Cost(
        methods=("snip",), net="mlp", width=8, in_shape=(1, 4, 4), samples=6, timed=1,
        scoring="float64",
    )  # fmt: skip
    (row,) = cost.run_cost(config, {**CELL, "method": "snip"})
    net, _ = accuracy_arms.network(
        "mlp", cost.generator(0, "accuracy", "cost", "init"), in_shape=(1, 4, 4),
        width=8,
    )  # fmt: skip
    sizes = [w.numel() for w in prunable(net).values()]
    # forward; back into weights; back into inputs, but not of the first layer
    assert row["units"] == pytest.approx(3 - sizes[0] / sum(sizes))
    assert row["passes"] == row["units"] and row["seconds"] > 0


def test_a_step_that_revives_weights_is_seen(monkeypatch):
    config = EXPERIMENTS["builders"].profiles["smoke"]
    cell = {**CELL, "method": "resnet20"}
    assert accuracy_builders.run_builders(config, cell)[0]["alive"] == 0
    monkeypatch.setattr(accuracy_builders, "zero_pruned", lambda net, masks: None)
    assert accuracy_builders.run_builders(config, cell)[0]["alive"] > 0


def test_every_claim_finds_its_runs():
    for claim in claims.load(NOTEBOOK):
        experiment = EXPERIMENTS[claim.experiment]
        assert claim.reduce["column"] in experiment.values
        profiles = [config for kind, config in experiment.profiles.items()
                    if kind != "smoke" and meets(claim, config)]  # fmt: skip
        assert profiles, claim.id
        for config in profiles:
            for wanted in asked(claim):
                cells = experiment.cells(config)
                assert any(fits(cell, wanted) for cell in cells), (claim.id, wanted)


def meets(claim, config):
    fields = identity.config_fields(config)
    return all(fields[n] == claim.paper_setting[n] for n in claim.requires)


def asked(claim):
    filters = {k: claim.reduce[k] for k in identity.CELL if k in claim.reduce}
    by = claim.rule.get("by", "method")
    return [{**filters, by: name} for name in claim.rule.get("order", [])] or [filters]


def fits(cell, wanted):
    return all(
        f"{cell[k]:.9g}" == f"{v:.9g}" if k == "density" else cell[k] == v
        for k, v in wanted.items()
    )


def test_data_sets_that_are_missing_are_refused_in_plain_words():
    for name in ("tiny", "table1_resnet18"):
        config = EXPERIMENTS[name].profiles["paper"]
        with pytest.raises(ValueError, match="name: expected one of"):
            data.load(config.data)
        assert "not available" in EXPERIMENTS[name].cost["paper"]


if __name__ == "__main__":
    every = [smoke_values(name) for name in EXPERIMENTS]
    shared.write_expected(NOTEBOOK, {k: v for one in every for k, v in one.items()})
