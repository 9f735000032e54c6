"""Correlations of notebook 52 on planted runs: what holds, what fails, what is fair."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from paicore import claims
from paicore.claims.rules import fits
from paicore.experiments import trace_and_training_ranks as statistics
from paicore.experiments import what_predicts_left_out as left
from paicore.experiments import what_predicts_ranks as ranks
from paicore.experiments import what_predicts_training as study
from paicore.experiments.head_to_head_ground import SCORED, TRANSFERS

QUICK = study.EXPERIMENTS["ranks_mnist"].profiles["quick"]
METHODS = (*SCORED, *TRANSFERS)
CLAIMS = {claim.id: claim for claim in claims.load(study.NOTEBOOK)}


def planted(seed, density=0.03, seen=1.0, layered=0.0, noise=0.2):
    """One seed's masks: the loss follows the linearised loss and layer densities."""
    draw = np.random.default_rng([seed, round(1e4 * density)])
    n = len(METHODS)
    table = {name: draw.normal(size=n) for name in ranks.SIGNS}
    table |= {f"layer_{k}": draw.normal(size=n) for k in (1, 2, 3)}
    table["layer_4"] = np.full(n, math.nan)
    table["nearly_empty"] = np.array([0.0] * (n - 4) + [1.0] * 4)
    power = seen * table["linear_loss"] + layered * table["layer_2"]
    power = power + noise * draw.normal(size=n) - 2 * math.log(density)
    places = {"method": np.array(METHODS), "density": np.full(n, density)}
    outcomes = {"final_loss": np.exp(power), "accuracy": -power}
    return places | table | outcomes | {"mean_loss": np.exp(power / 2)}


@pytest.fixture
def ask(monkeypatch):
    """Return a function that plants runs and asks for one row."""

    def row(name, variant="final_loss all", density=0.03, seeds=5, change=None, **of):
        def tables(_, at, count):
            found = [planted(seed, at, **of) for seed in range(count)]
            return [change(table) for table in found] if change else found

        monkeypatch.setattr(ranks, "tables", tables)
        monkeypatch.setattr(ranks, "seeds_of", lambda *_: seeds)
        ranks.prepared.cache_clear()
        cell = {"method": name, "density": density, "seed": 0, "variant": variant}
        (found,) = ranks.run_ranks(QUICK, cell)
        assert set(found) == {"step", *ranks.RANKS}
        return found

    yield row
    ranks.prepared.cache_clear()


def holds(identity, row):
    claim = CLAIMS[identity]
    return fits(claim, row[claim.reduce["column"]], 0.0)


def test_the_primary_claim_holds_where_the_linearised_loss_decides(ask):
    row = ask("linear_loss")
    assert holds("K1", row)
    assert holds("K2", row)
    assert holds("K16", row)


@pytest.mark.parametrize("seen", [0.0, -1.0])
def test_the_primary_claim_fails_where_it_does_not(ask, seen):
    row = ask("linear_loss", seen=seen, noise=1.0)
    assert not holds("K1", row)
    assert not holds("K2", row)
    assert not holds("K16", row) or seen


def test_all_eight_seeds_of_quick_can_be_taken(ask):
    row = ask("linear_loss", seeds=8)
    assert (row["clusters"], row["masks"]) == (8, 128)
    assert row["own_low"] < row["own"] < row["own_high"]
    assert row["skill_low"] < row["skill"] < row["skill_high"]


def test_own_is_the_mean_of_the_seeds_and_rank_takes_them_together(ask):
    row = ask("trace")
    tables = [planted(seed) for seed in range(5)]
    pairs = [(t["trace"], t["final_loss"]) for t in tables]
    own = [stats.spearmanr(*pair).statistic for pair in pairs]
    assert row["own"] == pytest.approx(np.mean(own))
    low, high = statistics.student(own)
    assert row["own_student_low"] == pytest.approx(low)
    assert row["own_student_high"] == pytest.approx(high)
    means = sorted(np.mean(draw) for draw in product(own, repeat=5))
    ends = np.quantile(means, (0.025, 0.975))
    assert (row["own_low"], row["own_high"]) == pytest.approx(tuple(ends))
    together = [np.concatenate(each) for each in zip(*pairs, strict=True)]
    assert row["rank"] == pytest.approx(stats.spearmanr(*together).statistic)


def test_the_skill_of_a_draw_is_that_of_tables_repeated_as_drawn(ask):
    row = ask("linear_loss", seeds=2)
    found = []
    for draw in product(range(2), repeat=2):
        tables = [planted(seed) for seed in draw]
        x = np.concatenate([stats.rankdata(t["linear_loss"]) for t in tables])
        y = np.log(np.concatenate([t["final_loss"] for t in tables]))
        names = np.tile(METHODS, 2)
        moment = left.moments((x[:, None] - 0.5) / 16, y, names, METHODS)
        found.append(float(left.skill(moment, 0.0)))
    assert row["skill"] == pytest.approx(found[1])
    ends = np.quantile(found, (0.025, 0.975))
    assert (row["skill_low"], row["skill_high"]) == pytest.approx(tuple(ends))


def swapped(table):
    """The same masks in another order."""
    order = np.random.default_rng(0).permutation(len(METHODS))
    return {name: values[order] for name, values in table.items()}


def stretched(table):
    """The same measure on another scale."""
    return table | {"linear_loss": np.exp(3 * table["linear_loss"]) + 7}


@pytest.mark.parametrize("change", [swapped, stretched])
def test_order_of_masks_and_scale_of_a_measure_change_nothing(ask, change):
    plain, other = ask("linear_loss"), ask("linear_loss", change=change)
    assert other == pytest.approx(plain, nan_ok=True)


def test_given_layers_is_left_only_where_layers_do_not_decide(ask):
    def copied(table):
        return table | {"trace": table["layer_2"]}

    row = ask("trace", seen=0.0, layered=1.0, change=copied)
    assert row["own"] > 0.9
    assert abs(row["given_layers"]) < 0.4
    assert row["given_layers_low"] <= 0
    row = ask("linear_loss", seen=1.0, layered=1.0)
    assert row["given_layers_low"] > 0.5


def test_layers_predict_methods_left_out_only_if_they_decide(ask):
    row = ask("layers", seen=0.0, layered=1.0)
    assert holds("K18", row)
    assert row["own"] > 0.8
    assert row["ahead"] == 0.0
    assert not holds("K18", ask("layers"))
    assert ask("linear_loss")["ahead_low"] > 0.5
    assert ask("linear_loss", seen=0.0, layered=1.0)["ahead_high"] < 0


def test_a_measure_that_never_varies_says_nothing(ask):
    def flat(table):
        return table | {"nearly_empty": np.zeros(len(METHODS))}

    row = ask("nearly_empty", change=flat)
    assert math.isnan(row["own"])
    assert not holds("K15", row)
    assert row["skill"] == pytest.approx(0, abs=1e-12)


def test_sets_leave_out_what_they_say(ask):
    assert ask("trace", "accuracy connected")["masks"] == 5 * 12
    everything = ask("trace", "accuracy all")
    assert everything["masks"] == 5 * 16
    scores = ask("trace", "accuracy scores")
    assert scores["masks"] == 5 * 14
    assert scores["own"] != everything["own"]


def test_too_few_masks_give_a_row_without_numbers(ask):
    def one(table):
        return table | {"nearly_empty": np.ones(len(METHODS))}

    row = ask("trace", "final_loss connected", change=one)
    assert row["masks"] == 0
    assert math.isnan(row["own"])


def test_pooled_densities_are_told_apart_by_density(ask):
    row = ask("linear_loss", "final_loss all pooled", 0.003, seeds=3, noise=0.1)
    assert row["masks"] == 3 * 4 * 16
    assert row["density_rank"] < -0.8
    assert row["partial_low"] > 0.5
    assert holds("K22", row)
    pooled = {"variant": "final_loss all pooled", "density": 0.003, "seeds": 3}
    assert holds("K21", ask("path_trace", **pooled))

    def known(table):
        return table | {"path_trace": -table["final_loss"]}

    assert not holds("K21", ask("path_trace", change=known, **pooled))


def test_cells_ask_for_every_measure_within_and_over_densities():
    found = ranks.rank_cells(QUICK)
    assert len(found) == len(ranks.PREDICTORS) * len(ranks.VARIANTS) * 5
    some = ranks.rank_cells(replace(QUICK, only="trace,layers"))
    assert {cell["method"] for cell in some} == {"trace", "layers"}
