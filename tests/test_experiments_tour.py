"""The tour's experiments: smoke values, paired draws, controls, and their tables.

``python tests/test_experiments_tour.py`` writes tests/expected/00_tour.csv anew; a
number that moves there makes the committed records stale.
"""

import csv
import dataclasses
from pathlib import Path

import pandas
import pytest
import torch

from paicore import data, masks, records
from paicore.experiments import tables, tour
from paicore.scores import SCORES

EXPECTED = Path(__file__).resolve().parent / "expected" / "00_tour.csv"
UNTRAINED = ("scores", "collapse_mlp", "collapse_conv")
SMALL = dataclasses.replace(tour.SMOKE["sanity"], densities=(0.3,))


def smoke_values(name):
    """(run, step, column) to value, of every smoke run of an untrained experiment."""
    experiment = tour.EXPERIMENTS[name]
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


def cell(method, variant="", density=0.3, seed=0):
    return {"method": method, "density": density, "seed": seed, "variant": variant}


def weights(net):
    return torch.cat([w.detach().flatten() for w in masks.prunable(net).values()])


@pytest.mark.parametrize("name", UNTRAINED)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), expected_values(name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        assert value == pytest.approx(wanted[key], rel=1e-9, abs=1e-12), key


def test_methods_share_weights_and_seeds_do_not():
    snip, _ = tour.chosen(SMALL, cell("snip", "mask"))
    random, _ = tour.chosen(SMALL, cell("random"))
    dense, whole = tour.chosen(SMALL, cell("dense"))
    assert torch.equal(weights(snip), weights(random))
    assert torch.equal(weights(snip), weights(dense))
    assert whole.density == 1.0
    other, _ = tour.chosen(SMALL, cell("snip", "mask", seed=1))
    assert not torch.equal(weights(snip), weights(other))


def test_accuracy_and_sanity_share_networks_and_masks():
    accuracy = tour.SMOKE["accuracy_mnist"]
    one, its_masks = tour.chosen(accuracy, cell("snip"))
    two, same_masks = tour.chosen(SMALL, cell("snip", "mask"))
    assert torch.equal(weights(one), weights(two))
    assert its_masks == same_masks


def test_the_controls_change_what_they_say_and_nothing_else():
    net, mask = tour.chosen(SMALL, cell("snip", "mask"))
    same, shuffled = tour.chosen(SMALL, cell("snip", "shuffled"))
    assert torch.equal(weights(same), weights(net))
    assert shuffled != mask
    assert shuffled.layer_densities() == mask.layer_densities()
    fresh, kept = tour.chosen(SMALL, cell("snip", "reinitialised"))
    assert kept == mask
    assert not torch.equal(weights(fresh), weights(net))
    _, inverted = tour.chosen(SMALL, cell("snip", "inverted"))
    assert inverted.kept == mask.kept
    assert not any((inverted[name] & mask[name]).any() for name in mask)


def test_describe_tells_a_cut_from_an_empty_layer():
    net, (x, _) = tour.tiny_network()
    whole = masks.Masks.dense(net)
    assert tour.describe(whole, net, x.shape[1:])["effective_share"] == 1.0
    second = torch.zeros(2, 3, dtype=torch.bool)
    cut = masks.Masks({**whole, "fc2.weight": second})
    found = tour.describe(cut, net, x.shape[1:])
    assert found["effective_density"] == 0.0
    assert found["collapsed_layers"] == 1
    assert found["smallest_layer_density"] == 0.0


def test_the_second_hidden_unit_of_the_tiny_network_is_silent_on_its_batch():
    net, (x, _) = tour.tiny_network()
    hidden = (x @ net.fc1.weight.T).relu()
    assert hidden[:, 1].eq(0).all()
    assert hidden[:, [0, 2]].gt(0).any(0).all()


def test_a_training_run_has_a_row_per_epoch_and_learns_something():
    config = tour.SMOKE["accuracy_mnist"]
    rows = tour.run_training(config, cell("dense", density=1.0))
    assert len(rows) == config.recipe.epochs
    assert set(rows[0]) == {"step", *tour.FIT}
    assert rows[-1]["test_accuracy"] > 0.5


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(tour.SMOKE["accuracy_mnist"], only="snip,dense")
    assert {c["method"] for c in tour.cells(config)} == {"snip", "dense"}


@pytest.mark.parametrize("name", tour.EXPERIMENTS)
def test_profiles_have_the_same_methods_and_variants(name):
    smoke, quick = (tour.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert smoke.methods == quick.methods
    assert smoke.variants == quick.variants


def test_mnist_at_3_percent_has_three_seeds_and_ten_samples_per_class():
    quick = tour.EXPERIMENTS["accuracy_mnist"].profiles["quick"]
    assert (quick.data, quick.net) == ("mnist", "lenet_300_100")
    assert 0.03 in quick.densities
    assert quick.seeds >= 3
    assert quick.per_class == 10


@pytest.mark.parametrize("name", tour.EXPERIMENTS)
def test_the_absent_paper_profile_is_a_sentence(name):
    replay = records.settings(profile="paper")
    record = records.load_or_run(tour.EXPERIMENTS[name], replay)
    assert record.rows is None
    assert "no paper profile" in record.message
    assert "no paper" in record.cost
    assert tables.by_method(record, "effective_density") == record.message


def made_record(rows):
    """A record of an experiment with two methods, from (method, ..., value) rows."""
    names = ["method", "density", "seed", "step", "variant", "value"]
    frame = pandas.DataFrame(rows, columns=names)
    frame["run"] = frame["method"] + frame["variant"] + frame["seed"].astype(str)
    config = dataclasses.replace(SMALL, methods=("snip", "random"))
    experiment = tour.EXPERIMENTS["sanity"]
    return records.Record(experiment, "quick", frame, config, {}, 4, 4, "made")


def test_the_table_holds_mean_and_sd_of_last_steps():
    rows = [("snip", 0.1, s, step, "", s + step) for s in (0, 2) for step in (1, 5)]
    text = tables.by_method(made_record(rows), "value", scale=1, form=".3f")
    assert text.split() == ["n", "=", "2", "10", "%", "snip", "6.000", "±1.414"]


def test_the_table_subtracts_a_variant_seed_by_seed():
    values = {("mask", 0): 0.5, ("mask", 1): 0.9, ("shuffled", 0): 0.4}
    values[("shuffled", 1)] = 0.7
    rows = [("snip", 0.1, seed, 1, v, value) for (v, seed), value in values.items()]
    record = made_record(rows)
    text = tables.by_method(record, "value", along="variant", minus="mask")
    assert text.split()[3:] == ["shuffled", "snip", "-15.00", "±7.07"]


def test_the_table_of_needs_has_a_line_per_score():
    head, *lines = tables.needs().splitlines()
    assert [line.split()[0] for line in lines] == list(SCORES)
    synflow = next(line for line in lines if line.startswith("synflow "))
    assert synflow.split()[1:6] == ["shape", "-", "-", "100", "-"]
    assert head.split()[0] == "score"


def test_smoke_needs_only_the_bundled_digits():
    named = {config.data for config in tour.SMOKE.values()}
    assert named <= {"digits", "tiny"}
    assert data.available("digits")


def write_expected():
    """Write the values of today; for a change that is meant to move them."""
    with EXPECTED.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("experiment", "run", "step", "column", "value"))
        for name in UNTRAINED:
            for key, value in smoke_values(name).items():
                out.writerow((*key, f"{value:.12g}"))


if __name__ == "__main__":
    write_expected()
