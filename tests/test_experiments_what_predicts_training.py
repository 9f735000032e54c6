"""Experiments of notebook 52: the runs are notebook 51's, smoke values, claims.

``python tests/test_experiments_what_predicts_training.py`` writes
tests/expected/52_what_predicts_training.csv anew; a number that moves there makes the
committed records stale.
"""

import json
import math
from dataclasses import replace

import experiment_cases as shared
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from paicore import claims, data, records
from paicore.experiments import head_to_head as ground_of_51
from paicore.experiments import head_to_head_ground as ground
from paicore.experiments import head_to_head_training as training
from paicore.experiments import what_predicts_followed as followed
from paicore.experiments import what_predicts_runs as runs
from paicore.experiments import what_predicts_signs as measure
from paicore.experiments import what_predicts_training as study
from paicore.records import identity
from paicore.records.places import root

NOTEBOOK = "52_what_predicts_training"
TINY = study.EXPERIMENTS["signs_mnist"].profiles["smoke"]
CLAIMS = claims.load(NOTEBOOK)
SIGNED = ("signs_mnist", "signs_fashion", "signs_cifar")


def untrained_values():
    """What no training decides: measures at the start, layer densities."""
    values = {}
    for name in SIGNED:
        rows = shared.smoke_rows(NOTEBOOK, name)
        rows = {run: found for run, found in rows.items() if "ntt" not in run}
        there = [c for c in next(iter(rows.values()))[0] if c not in runs.OUTCOMES]
        columns = [c for c in there if c != "step"]
        found = shared.flat(name, rows, columns)
        values |= {key: value for key, value in found.items() if value == value}
    rows = shared.smoke_rows(NOTEBOOK, "followed")
    first = {run: found[:1] for run, found in rows.items()}
    return values | shared.flat("followed", first, ("loss", *measure.OF_KERNEL))


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in {key[0] for key in found}:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-7)


@pytest.mark.parametrize("place", study.PLACES)
def test_the_settings_are_notebook_51s_own(place):
    for profile in ("quick", "paper"):
        config = study.EXPERIMENTS[f"signs_{place}"].profiles[profile]
        names = getattr(study.PLACES[place], profile)
        for own, name in zip(config.grounds, names, strict=True):
            assert own == ground_of_51.EXPERIMENTS[name].profiles[profile]
        assert len({(g.data, g.net, g.width) for g in config.grounds}) == 1
    assert (
        study.EXPERIMENTS[f"ranks_{place}"].profiles["quick"].of
        == (study.EXPERIMENTS[f"signs_{place}"].profiles["quick"])
    )


def test_every_run_of_notebook_51_on_mnist_is_measured_once():
    config = study.EXPERIMENTS["signs_mnist"].profiles["quick"]
    found = [records.run_id(cell) for cell in runs.run_cells(config)]
    assert len(found) == len(set(found))
    wanted = set()
    for name in ("primary_mnist", "transfer_mnist", "sweep_mnist"):
        experiment = ground_of_51.EXPERIMENTS[name]
        cells = experiment.cells(experiment.profiles["quick"])
        wanted |= {records.run_id(cell) for cell in cells}
    assert set(found) == wanted


@pytest.mark.parametrize("method", ["dense", "snip", "phew", "ntt_masked"])
def test_outcomes_are_the_numbers_of_notebook_51(method):
    name = "transfer_mnist" if method == "ntt_masked" else "primary_mnist"
    config = ground_of_51.EXPERIMENTS[name].profiles["smoke"]
    density = 1.0 if method == "dense" else 0.2
    cell = {"method": method, "density": density, "seed": 1, "variant": ""}
    (wanted,) = training.run_common(config, cell)
    (found,) = shared.smoke_rows(NOTEBOOK, "signs_mnist")[records.run_id(cell)]
    assert found["accuracy"] == wanted["accuracy"]
    assert found["mean_loss"] == wanted["train_loss"]
    assert found["effective_density"] == wanted["effective"]


@pytest.mark.parametrize("name", ["primary_mnist", "transfer_mnist", "sweep_mnist"])
def test_the_committed_records_agree_with_notebook_51s(name):
    folders = (NOTEBOOK, "signs_mnist"), ("51_head_to_head", name)
    paths = [root() / "figures" / f / "quick" / f"{n}.csv" for f, n in folders]
    if not all(path.exists() for path in paths):
        pytest.skip("a record is not there")
    own, theirs = (pd.read_csv(path).set_index("run") for path in paths)
    own = own.loc[theirs.index]
    assert len(own) >= 40
    assert own["accuracy"].equals(theirs["accuracy"])
    assert own["mean_loss"].equals(theirs["train_loss"])
    assert own["effective_density"].equals(theirs["effective"])


def test_the_final_loss_is_that_of_the_trained_network_on_training_images():
    config = TINY.grounds[0]
    net, masks = ground.begun(config, "snip", 0.2, 0)
    alone = replace(config, keep=False)
    training.trained(alone, net, masks, 0, config.recipe.lr)
    ds = ground.images(config)
    x = data.normalise(ds, ds.train_x[: TINY.seen])
    with torch.no_grad():
        wanted = F.cross_entropy(net(x), ds.train_y[: TINY.seen]).item()
    assert runs.measured(TINY, "snip", 0.2, 0)["final_loss"] == pytest.approx(wanted)


def test_a_run_that_diverges_counts_as_one_that_learnt_nothing():
    config = replace(
        TINY.grounds[0],
        recipe=replace(TINY.grounds[0].recipe, optimizer="sgd", lr=1e38),
    )
    net, masks = ground.begun(config, "snip", 0.2, 0)
    found = runs.outcome(TINY, config, net, masks, 0)
    lost = math.log(10)
    assert found == {"final_loss": lost, "mean_loss": lost, "accuracy": 0.1}


def test_what_is_measured_is_kept_and_does_not_depend_on_what_else_runs(monkeypatch):
    asked = []

    def kept(is_kept, names, tensors, compute):
        asked.append((is_kept, names, [t.detach().clone() for t in tensors]))
        return {"trace": 1.0}

    monkeypatch.setattr(runs, "kept", kept)
    config = replace(TINY, keep=True, seeds=7)
    first = replace(config.grounds[0], seeds=5, methods=("snip",), device="cuda")
    for each in (config, replace(config, grounds=(first,))):
        runs.measured(each, "snip", 0.2, 0)
    (kept_one, names, tensors), other = asked
    assert kept_one
    assert names == other[1]
    assert all(map(torch.equal, tensors, other[2]))
    runs.measured(replace(config, seen=7), "snip", 0.2, 0)
    runs.measured(config, "snip", 0.2, 1)
    assert asked[2][1] != names
    assert asked[3][1] != names


def test_kernels_are_taken_on_balanced_images_that_scores_have_not_been_given():
    config = TINY.grounds[0]
    x, y = runs.probe(TINY, config, 0)
    assert x.dtype == torch.float64
    assert y.bincount().tolist() == [TINY.per_class] * 10
    scored, _ = ground.scoring_batch(config, 0)
    same = (x[:, None] == scored[None]).flatten(2).all(2)
    assert same.sum() < len(x) / 2
    assert torch.equal(runs.probe(TINY, config, 0)[0], x)
    assert not torch.equal(runs.probe(TINY, config, 1)[0], x)


def test_tables_hold_the_masks_of_one_density_and_seed_without_the_dense_network():
    found = runs.tables(TINY, 0.2, 2)
    for seed, table in enumerate(found):
        assert set(table["method"]) == {*ground.SCORED, *ground.TRANSFERS}
        assert set(table["density"]) == {0.2}
        at = table["method"].tolist().index("snip")
        assert table["trace"][at] == runs.measured(TINY, "snip", 0.2, seed)["trace"]
    assert runs.seeds_of(study.EXPERIMENTS["signs_mnist"].profiles["quick"], 0.1) == 3
    with pytest.raises(ValueError, match="no ground"):
        runs.ground_of(TINY, "snip", 0.5)


def test_a_kernel_that_only_grows_has_moved_but_not_turned():
    kernel = torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    seen = {"trace": 2.0, "largest": 1.0, "alignment": 0.5}
    still = followed.since((kernel, seen), (kernel, seen))
    assert (still["moved"], still["trace_ratio"]) == (0.0, 1.0)
    larger = {"trace": 6.0, "largest": 3.0, "alignment": 0.5}
    grown = followed.since((3 * kernel, larger), (kernel, seen))
    assert grown["moved"] == pytest.approx(2)
    assert grown["turned"] == pytest.approx(0, abs=1e-6)
    assert (grown["trace_ratio"], grown["alignment_gain"]) == (3.0, 0.0)


def test_what_is_followed_begins_at_the_masked_network_and_looks_as_declared():
    config = study.EXPERIMENTS["followed"].profiles["smoke"]
    rows = shared.smoke_rows(NOTEBOOK, "followed")
    for found in rows.values():
        assert [row["step"] for row in found] == list(config.looks)
        assert found[0]["moved"] == 0
        assert found[-1]["moved"] > 0
    case = config.cases[0]
    place = followed.ground_of(config, case)
    net, masks = ground.begun(place, "snip", 0.1, 0)
    ds, draw = ground.images(place), ground.draws(place, 0, "probe")
    batch = data.sample(ds, config.kernel, draw, balanced=True)
    _, seen = followed.look(net, masks, batch)
    (first, *_) = rows["snip,0.1,resnet20,0"]
    assert first["trace"] == pytest.approx(seen["trace"])


def wanted_cells(claim):
    """The quick runs of every side of a claim."""
    filters = {k: claim.reduce[k] for k in identity.CELL if k in claim.reduce}
    experiment = study.EXPERIMENTS[claim.experiment]
    cells = experiment.cells(experiment.profiles["quick"])
    sides = [{"method": name} for name in claim.rule.get("order", [])] or [{}]
    return [
        [c for c in cells if all(c[k] == v for k, v in (filters | side).items())]
        for side in sides
    ]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_has_its_runs_and_they_differ_in_the_seed_only(claim):
    assert claim.reduce["column"] in study.EXPERIMENTS[claim.experiment].values
    step = claim.reduce.get("step", "last")
    quick = study.EXPERIMENTS[claim.experiment].profiles["quick"]
    assert step == "last" or step in quick.looks
    for cells in wanted_cells(claim):
        assert cells
        kinds = {(c["method"], c["density"], c["variant"]) for c in cells}
        assert len(kinds) == 1 or claim.reduce.get("statistic") in ("min", "max")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_quick_meets_what_a_claim_requires_and_smoke_does_not(claim):
    profiles = study.EXPERIMENTS[claim.experiment].profiles
    met = {
        name: all(
            json.loads(json.dumps(getattr(profiles[name], key)))
            == claim.paper_setting[key]
            for key in claim.requires
        )
        for name in ("smoke", "quick")
    }
    assert met == {"smoke": False, "quick": True}


def test_exactly_one_claim_is_the_primary_one():
    primary = [claim.id for claim in CLAIMS if claim.says.startswith("Primary")]
    assert primary == ["K1"]


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
