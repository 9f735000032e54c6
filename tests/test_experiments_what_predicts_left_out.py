"""Prediction of methods left out, against slow refits."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from paicore.experiments import what_predicts_left_out as left

NAMES = ["a", "b", "c", "d", "e"]


def made(seed=0, p=3, noise=0.5, each=4):
    """Features, outcomes and methods of some masks."""
    draw = np.random.default_rng(seed)
    methods = np.array(NAMES * each)
    x = draw.normal(size=(len(methods), p)) * [10.0**k for k in range(p)]
    y = x @ np.array([0.5, -0.02, 0.003, 1e-4])[:p] + 2
    return x, y + noise * draw.normal(size=len(y)), methods


def refitted(x, y, methods, penalty):
    """Predictions by a library's ridge regression on standardised features."""
    found, rival = np.empty(len(y)), np.empty(len(y))
    for name in dict.fromkeys(methods):
        own, rest = methods == name, methods != name
        mean, sd = x[rest].mean(0), x[rest].std(0)
        model = Ridge(alpha=penalty * rest.sum())
        model.fit((x[rest] - mean) / sd, y[rest])
        found[own] = model.predict((x[own] - mean) / sd)
        rival[own] = y[rest].mean()
    return found, rival


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("penalty", [0.0, 0.1, 2.0])
def test_predictions_and_skill_are_those_of_a_refit_without_the_method(p, penalty):
    x, y, methods = made(p=p)
    slow, rival = refitted(x, y, methods, penalty)
    fast = left.predictions(x, y, methods, penalty)
    assert fast == pytest.approx(slow, rel=1e-8)
    moment = left.moments(x, y, methods, NAMES)
    wanted = 1 - ((y - slow) ** 2).sum() / ((y - rival) ** 2).sum()
    assert left.skill(moment, penalty) == pytest.approx(wanted, rel=1e-8)
    for k, name in enumerate(NAMES):
        own = methods == name
        error = [((y - each)[own] ** 2).sum() for each in (slow, rival)]
        assert left.errors(moment, penalty)[:, k] == pytest.approx(error, rel=1e-8)


def test_a_line_through_one_feature_is_least_squares():
    x, y, methods = made(p=1)
    own = methods == "c"
    line = np.polyfit(x[~own, 0], y[~own], 1)
    wanted = np.polyval(line, x[own, 0])
    assert left.predictions(x, y, methods, 0.0)[own] == pytest.approx(wanted)


def test_a_methods_own_outcomes_do_not_change_its_prediction():
    x, y, methods = made()
    own = methods == "b"
    before = left.predictions(x, y, methods, 0.1)
    after = left.predictions(x, np.where(own, 1e3, y), methods, 0.1)
    assert after[own] == pytest.approx(before[own])
    assert abs(after[~own] - before[~own]).min() > 1
    seen = left.explained(x, np.where(own, 1e3, y), 0.1)
    assert abs(seen[own] - left.explained(x, y, 0.1)[own]).min() > 1


def test_what_explains_everything_has_skill_one_and_noise_has_none():
    x, y, methods = made(noise=0.0)
    assert left.skill(left.moments(x, y, methods, NAMES), 0.0) == pytest.approx(1)
    noise = np.random.default_rng(1).normal(size=(400, 1))
    found = left.moments(noise, np.repeat(y, 20), np.repeat(methods, 20), NAMES)
    assert abs(left.skill(found, 0.0)) < 0.05


def test_a_measure_that_is_constant_predicts_the_mean_of_the_others():
    _, y, methods = made()
    moment = left.moments(np.ones((len(y), 1)), y, methods, NAMES)
    assert left.skill(moment, 0.0) == pytest.approx(0, abs=1e-12)
    same = left.moments(np.ones((len(y), 1)), np.ones(len(y)), methods, NAMES)
    assert np.isnan(left.skill(same, 0.0))


def test_moments_of_repeated_masks_add_up_and_missing_methods_count_nothing():
    x, y, methods = made()
    one = left.moments(x, y, methods, NAMES)
    twice = left.moments(np.tile(x, (2, 1)), np.tile(y, 2), np.tile(methods, 2), NAMES)
    assert twice == pytest.approx(2 * one)
    more = left.moments(x, y, methods, [*NAMES, "absent"])
    assert left.skill(more, 0.1) == pytest.approx(left.skill(one, 0.1))
    assert left.errors(more, 0.1)[:, -1] == pytest.approx([0, 0])


def test_draws_are_solved_together_as_one_by_one():
    held = np.stack([left.moments(*made(seed), NAMES) for seed in range(3)])
    together = left.skill(held, 0.1)
    alone = [float(left.skill(each, 0.1)) for each in held]
    assert together == pytest.approx(alone)
