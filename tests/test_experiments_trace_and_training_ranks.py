"""Rank correlations of notebook 32: against plain definitions, and their intervals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from paicore.experiments import trace_and_training as trace
from paicore.experiments import trace_and_training_ranks as ranks
from paicore.experiments.trace_and_training_losses import measured


def table(seed, density=None, n=12, slope=0.0):
    """Return made masks; the loss falls with the trace by `slope`, plus noise."""
    draw = np.random.default_rng(seed)
    density = np.array([0.1, 0.316, 1.0] * (n // 3)) if density is None else density
    made = draw.normal(size=n) + 3 * np.log(density)
    return {
        "method": np.array(["snip"] * n),
        "density": density,
        "shuffled": np.zeros(n, bool),
        "trace": made,
        "loss": -slope * made - np.log(density) + draw.normal(size=n),
    }


def test_spearman_is_scipys_with_ties_and_nan_for_a_constant():
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 5, 40), draw.integers(0, 5, 40)
    assert ranks.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(ranks.spearman(x, np.ones(40)))


def test_infinite_losses_rank_last():
    assert ranks.spearman(np.arange(4), np.array([1.0, 2.0, math.inf, math.inf])) > 0.9


def test_the_partial_correlation_is_that_of_residuals_of_ranks():
    made = table(1, slope=0.5, n=60)
    x, y, z = (stats.rankdata(made[c]) for c in ("trace", "loss", "density"))
    x, y = (each - np.polyval(np.polyfit(z, each, 1), z) for each in (x, y))
    found = ranks.given("density")(made, "loss")
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_a_loss_that_is_density_alone_has_no_partial_correlation_worth_naming():
    density = np.repeat([0.1, 0.316, 1.0], 200)
    made = table(2, density=density, n=600)
    assert abs(ranks.given("density")(made, "loss")) < 0.1
    assert ranks.rank(made, "loss") < -0.4


def test_the_interval_takes_every_draw_of_seeds_as_often_as_it_occurs():
    parts = [{"loss": np.array([float(k), k * k])} for k in range(4)]

    def mean(some):
        return float(np.mean([part["loss"].sum() for part in some]))

    draws = itertools.product(parts, repeat=4)
    found = np.quantile([mean(draw) for draw in draws], (0.025, 0.975))
    value, low, high = ranks.interval(parts, mean)
    assert value == mean(parts)
    assert (low, high) == pytest.approx(tuple(found))


def test_an_undefined_statistic_has_no_interval_and_too_many_seeds_are_refused():
    parts = [{"loss": np.ones(2)}] * 3
    assert all(math.isnan(each) for each in ranks.interval(parts, lambda _: math.nan))
    with pytest.raises(ValueError, match=r"at most 8 seeds, got 9"):
        ranks.interval(parts * 3, lambda _: 1.0)


def test_averaging_over_densities_leaves_differences_between_them_out():
    density = np.repeat([0.1, 0.316, 1.0], 4)
    trace_of, loss = np.arange(12.0), np.array([2, 1, 0, -1.0] * 3) + 10 * density
    made = {"trace": trace_of, "loss": loss, "density": density}
    assert ranks.averaged(ranks.rank)(made, "loss") == pytest.approx(-1.0)
    assert ranks.rank(made, "loss") > 0


def masks_of_a_seed():
    """Return a table with dense, two methods, two densities, and twins."""
    names = ["dense", "snip", "snip", "random", "random", "snip", "random"]
    return {
        "method": np.array(names),
        "density": np.array([1.0, 0.1, 0.01, 0.1, 0.01, 0.1, 0.1]),
        "shuffled": np.array([False] * 5 + [True] * 2),
        "trace": np.array([9.0, 7, 6, 5, 4, 3, 2]),
    }


@pytest.mark.parametrize(
    ("of", "scope", "density", "wanted"),
    [
        ("all", "within", 0.1, [7.0, 5.0]),
        ("data_dependent", "within", 0.1, [7.0]),
        ("shuffled", "within", 0.1, [3.0, 2.0]),
        ("all", "pooled", 0.1, [9.0, 7.0, 5.0]),
        ("all", "pooled", 0.01, [9.0, 7.0, 6.0, 5.0, 4.0]),
        ("all", "mean within", 0.01, [7.0, 6.0, 5.0, 4.0]),
        ("data_free_but_random", "pooled", 0.01, [9.0]),
    ],
)
def test_which_masks_are_correlated(of, scope, density, wanted):
    found = ranks.chosen(masks_of_a_seed(), of, scope, density)
    assert found["trace"].tolist() == wanted


def test_a_twin_is_the_shuffled_mask_of_the_same_method_and_density():
    found = ranks.twins(masks_of_a_seed())
    assert np.array_equal(found, [9, 3, math.nan, 2, math.nan, 3, 2], equal_nan=True)


def test_without_twins_nothing_stands_in_for_them():
    made = table(3) | {"twin": np.full(12, math.nan)}
    assert math.isnan(ranks.shuffled_rank(made, "loss"))
    assert math.isnan(ranks.given("twin")(made, "loss"))


def test_a_mean_over_densities_leaves_out_those_where_nothing_is_defined():
    made = table(4)
    made["loss"][made["density"] == 0.1] = 2.3
    parts = [made["density"] == density for density in (0.316, 1.0)]
    own = [ranks.spearman(made["trace"][p], made["loss"][p]) for p in parts]
    assert ranks.averaged(ranks.rank)(made, "loss") == pytest.approx(np.mean(own))


def test_students_interval_is_that_of_the_seeds_own_values():
    values = [-0.5, -0.7, -0.4, -0.6, -0.9]
    wanted = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert ranks.student(values) == pytest.approx(wanted)
    assert all(map(math.isnan, ranks.student([0.3])))


def test_smoke_correlations_lie_in_their_intervals_and_count_their_masks():
    config = trace.SMOKE["ranks"]
    chosen = [c for c in ranks.cells(config) if c["variant"].startswith("tuned_loss")]
    for cell in chosen:
        row = ranks.run_ranks(config, cell)[0]
        assert {"step", *ranks.RANKS} == {*row}
        of_one = len(ranks.SETS[cell["method"]])
        if "mean" not in cell["variant"]:
            several = len(config.of.densities) if "pooled" in cell["variant"] else 1
            dense = "pooled" in cell["variant"] and cell["method"] != "shuffled"
            assert row["masks"] == config.repeats * (of_one * several + dense)
        if not math.isnan(row["rank"]):
            assert -1 - 1e-9 <= row["rank"] <= 1 + 1e-9


def test_a_row_correlates_the_masks_of_all_seeds():
    config = trace.SMOKE["ranks"]
    cell = {"method": "all", "density": 0.0316, "seed": 0,
            "variant": "fixed_loss pooled"}  # fmt: skip
    row = ranks.run_ranks(config, cell)[0]
    tables = [measured(config.of, config.of.cases[0], seed) for seed in (0, 1)]
    made = {}  # (seed, method, density) to own trace, twin's trace, loss
    for seed, each in enumerate(tables):
        columns = ("method", "density", "trace", "fixed_loss", "shuffled")
        for *key, size, loss, twin in zip(*map(each.get, columns), strict=True):
            if twin:
                made[seed, *key][1] = size
            else:
                made[seed, *key] = [size, size, loss]
    own, other, loss = zip(*made.values(), strict=True)
    density = [d for _, _, d in made]
    found = [stats.spearmanr(each, loss).statistic for each in (own, other, density)]
    names = ("rank", "shuffled_rank", "density_rank")
    assert [row[name] for name in names] == pytest.approx(found)
    assert row["density_ahead"] == pytest.approx(abs(found[2]) - abs(found[0]))


def test_other_repetitions_have_other_seeds():
    config = replace(trace.SMOKE["ranks"], repeats=1)
    cell = {"method": "all", "density": 0.0316, "seed": 0,
            "variant": "tuned_loss pooled"}  # fmt: skip
    a, b = (ranks.run_ranks(config, {**cell, "seed": k})[0] for k in (0, 1))
    assert a["rank"] != b["rank"]
