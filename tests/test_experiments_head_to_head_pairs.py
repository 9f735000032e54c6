"""Paired comparisons of notebook 51 against slow definitions."""

from itertools import combinations, permutations
from math import sqrt

import pandas as pd
import pytest
import torch
from scipy import stats

from paicore.experiments import head_to_head_pairs as compare


def holm_by_closing(p):
    """Corrected p by the closed test: the worst Bonferroni test of any set with i."""
    found = []
    for i in range(len(p)):
        others = [j for j in range(len(p)) if j != i]
        sets = [
            [i, *more] for size in range(len(p)) for more in combinations(others, size)
        ]
        worst = max(len(each) * min(p[j] for j in each) for each in sets)
        found.append(min(1.0, worst))
    return found


def seeded(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, generator=g, dtype=torch.float64).pow(3).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_holm_is_the_closed_bonferroni_test(seed):
    p = seeded(7, seed)
    assert compare.holm(p) == pytest.approx(holm_by_closing(p), rel=1e-12)


def test_holm_is_the_closed_test_with_ties_and_ends_too():
    p = [0.02, 0.02, 0.0, 1.0, 0.5, 0.02]
    assert compare.holm(p) == pytest.approx(holm_by_closing(p), rel=1e-12)
    assert compare.holm([]) == []
    assert compare.holm([0.03]) == [0.03]


def test_holm_does_not_depend_on_the_order():
    p = seeded(5)
    wanted = dict(zip(p, compare.holm(p), strict=True))
    for order in permutations(p):
        assert compare.holm(order) == [wanted[value] for value in order]


def test_holm_lies_between_the_bare_value_and_bonferroni():
    p = seeded(20)
    for bare, corrected in zip(p, compare.holm(p), strict=True):
        assert bare <= corrected <= min(1.0, 20 * bare) + 1e-15


def test_the_interval_is_that_of_the_one_sample_t_test():
    gaps = [0.3, -0.1, 0.4, 0.2, 0.25]
    mean, low, high, p = compare.interval(gaps)
    test = stats.ttest_1samp(gaps, 0.0)
    wanted = test.confidence_interval(0.95)
    assert (mean, p) == pytest.approx((sum(gaps) / 5, test.pvalue))
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
    error = torch.tensor(gaps).double().std().item() / sqrt(5)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 4) * error)


def test_equal_differences_have_a_point_as_interval():
    assert compare.interval([0.5, 0.5]) == (0.5, 0.5, 0.5, 0.0)
    assert compare.interval([0.0, 0.0]) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("gaps", [[], [1.0], [1.0, float("nan")]])
def test_too_few_differences_are_refused(gaps):
    with pytest.raises(ValueError, match="differences"):
        compare.interval(gaps)


@pytest.fixture
def values():
    rows = [
        {"method": method, "seed": seed, "accuracy": level + 0.01 * seed + bump}
        for method, level in (("a", 0.5), ("b", 0.7), ("c", 0.5))
        for seed, bump in enumerate((0.0, 0.002, 0.001 * (method == "c")))
    ]
    return compare.wide(pd.DataFrame(rows), "accuracy")


def test_pairs_compare_every_two_methods_once_within_seeds(values):
    found = compare.pairs(values, ("a", "b", "c", "missing"))
    assert [(p.first, p.second) for p in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].mean == pytest.approx(-0.2)
    assert [p.corrected for p in found] == compare.holm([p.p for p in found])
    assert found[0].is_seen
    assert not found[1].is_seen


def test_a_pair_can_be_asked_for_the_other_way_round(values):
    found = compare.pairs(values, ("a", "b", "c"))
    there, back = (compare.find(found, *names) for names in (("a", "b"), ("b", "a")))
    assert back.mean == -there.mean
    assert (back.low, back.high) == (-there.high, -there.low)
    assert back.corrected == there.corrected
    assert compare.find(found, "a", "missing") is None


def test_a_seed_that_one_side_lacks_is_left_out(values):
    values.loc[1, "a"] = float("nan")
    found = compare.pairs(values, ("a", "b"))
    assert found[0].n == 2


def test_two_rows_of_one_seed_are_refused():
    rows = pd.DataFrame({"method": ["a", "a"], "seed": [0, 0], "x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="one row"):
        compare.wide(rows, "x")
