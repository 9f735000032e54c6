"""Claims: each rule by hand, each verdict, and every way to write a claim wrongly."""

import dataclasses
import itertools
import math
import tomllib

import pytest
from claim_cases import (
    ORDER,
    SNIP,
    SWAPS,
    TREND,
    WITHIN,
    not_run,
    number,
    other,
    record,
    verdict,
    writer,
)

from paicore import claims
from paicore.claims.rules import exceeds, spearman
from paicore.claims.schema import ClaimError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a claims file; the result evaluates it against one record."""
    return writer(tmp_path, monkeypatch)


# reducing


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("mean", 92.2),
        ("last", 92.2),
        ("median", 92.2),
        ("sd", 0.1),
        ("min", 92.1),
        ("max", 92.3),
    ],
)
def test_each_statistic_over_the_seeds_of_the_last_step(write, statistic, expected):
    text = number(SNIP + f', statistic = "{statistic}"')
    ours = write(text)(record())[0].number
    assert math.isclose(ours.value, expected, rel_tol=1e-9)
    assert math.isclose(ours.sd, 0.1, rel_tol=1e-9)
    assert ours.n == 3


AMONG = 'by = "density", among = [0.5, 0.05]'
SPREAD = f'column = "acc", method = "snip", scale = 100, statistic = "spread", {AMONG}'


@pytest.mark.parametrize(("limit", "expected"), [(0.46, True), (0.44, False)])
def test_a_spread_is_the_greatest_less_the_least_mean(write, limit, expected):
    """Means of 92.6 and 92.15; single seeds lie 0.65 apart."""
    bound = number(SPREAD, f"value = {limit}", 'kind = "bound", sense = "<="')
    found = write(bound)(record())[0]
    assert math.isclose(found.number.value, 0.45, rel_tol=1e-9)
    assert (found.number.sd, found.number.n) == (0.0, 3)
    assert (found.verdict == "reproduced") is expected
    table = claims.table("00_tour", {"accuracy": record()})
    assert "  spread 0.45 (3)  " in table
    broken = record(change=lambda cell, step, made: math.nan)
    assert verdict(write, bound, broken) == "not reproduced"


def test_a_spread_takes_the_seeds_that_all_places_have(write):
    def odd(cell, step, made):
        return made + (cell["seed"] == 2 and cell["density"] == 0.5)

    one = record(change=odd)
    rows = one.rows
    lost = (rows["seed"] == 2) & (rows["density"] == 0.05)
    one = dataclasses.replace(one, rows=rows[~lost])
    bound = number(SPREAD, "value = 1.0", 'kind = "bound", sense = "<="')
    ours = write(bound)(one)[0].number
    assert math.isclose(ours.value, 0.45, rel_tol=1e-9) and ours.n == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (f", {AMONG}", "", r"missing \['among'\]"),
        ('"spread"', '"mean"', r"\['among', 'by'\] without statistic \"spread\""),
        ("[0.5, 0.05]", "[0.5]", "reduce.among: expected two or more"),
        ("[0.5, 0.05]", '[0.5, "snip"]', "'snip' is no density"),
        ('by = "density"', 'by = "seed"', "reduce.by"),
        (AMONG, 'among = ["snip", "random"]', "the spread is by method"),
        ('"bound", sense = "<="', '"within", cap = 1', "rule.kind: expected bound or"),
    ],
)
def test_a_spread_written_wrongly_is_an_error(write, old, new, says):
    text = number(SPREAD, "value = 1.0", 'kind = "bound", sense = "<="')
    assert old in text
    with pytest.raises(ClaimError, match=says):
        write(text.replace(old, new))(record())


def test_another_step_and_all_steps_can_be_asked_for(write):
    first = write(number(SNIP + ", step = 0"))(record())[0].number
    assert math.isclose(first.value, 82.2, rel_tol=1e-9)
    every = number(SNIP + ', step = "all", statistic = "min"')
    assert math.isclose(write(every)(record())[0].number.value, 82.1, rel_tol=1e-9)


def test_filters_that_leave_several_values_of_a_seed_are_an_error(write):
    text = number('column = "acc", method = "snip"')
    with pytest.raises(ClaimError, match=r"00_tour.toml, K1: .*several values"):
        write(text)(record())
    most = number('column = "acc", statistic = "max"')
    assert math.isclose(write(most)(record())[0].number.value, 0.957, rel_tol=1e-9)


# rules: ours is 92.2 with sd 0.1 over three seeds


@pytest.mark.parametrize(
    ("paper", "cap", "expected"),
    [
        ("value = 92.4, spread = 0.2", 0, "reproduced"),
        ("value = 92.41, spread = 0.2", 0, "not reproduced"),
        ("value = 92.5, reading_error = 0.3", 0, "reproduced"),
        ("value = 92.3", 0.1, "reproduced"),
        ("value = 92.31", 0.5, "not reproduced"),
        ("value = 92.3", 0.05, "not reproduced"),
        ("value = 92.0", 0.05, "not reproduced"),
    ],
)
def test_within_allows_the_largest_of_spread_reading_error_and_capped_sd(
    write, paper, cap, expected
):
    text = number(SNIP, paper, f'kind = "within", cap = {cap}')
    assert verdict(write, text, record()) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('kind = "bound", sense = ">="', "reproduced"),
        ('kind = "bound", sense = "<="', "not reproduced"),
        ('kind = "equal", tolerance = 0.21', "reproduced"),
        ('kind = "equal", tolerance = 0.19', "not reproduced"),
    ],
)
def test_bounds_and_equalities(write, rule, expected):
    assert verdict(write, number(SNIP, "value = 92.0", rule), record()) == expected


@pytest.mark.parametrize("sense", ["<=", ">="])
def test_nan_meets_no_rule(write, sense):
    broken = record(change=lambda cell, step, made: math.nan)
    for kind in (f'kind = "bound", sense = "{sense}"', 'kind = "within", cap = 9'):
        text = number(SNIP, "value = 92.0", kind)
        assert verdict(write, text, broken) == "not reproduced"
    assert verdict(write, ORDER, broken) == "not reproduced"
    assert verdict(write, TREND, broken) == "not reproduced"


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.1, 0.2, 0.001], True),  # all of three
        ([0.1, 0.2, -0.001], False),  # mean 0.0997 below 2 x 0.0580
        ([1.0, 1.1, 0.9, 1.0, -0.05], True),  # one against, mean 0.79 above 2 x 0.212
        ([0.1, 0.1], True),
        ([0.1, 0.5], False),
        ([0.5], False),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_paired_differences_exceed_in_every_seed_or_by_two_errors(
    differences, expected
):
    assert exceeds(differences) is expected


def test_every_neighbour_of_an_ordering_must_hold_and_seeds_are_counted(write):
    held = write(ORDER)(record())[0]
    assert held.verdict == "reproduced"
    assert (held.direction.agree, held.direction.n) == (3, 3)
    swapped = ORDER.replace('"synflow", "snip"', '"snip", "synflow"')
    broken = write(swapped)(record())[0]
    assert broken.verdict == "not reproduced"
    assert broken.direction.agree == 0


def test_an_ordering_is_paired_by_seed(write):
    """Spread between seeds far above the differences does not hide them."""

    def noisy(cell, step, made):
        return made + 10 * cell["seed"]

    assert verdict(write, ORDER, record(change=noisy)) == "reproduced"

    def against(cell, step, made):
        return made - (cell["method"] == "synflow") * 0.5 * (cell["seed"] == 1)

    assert verdict(write, ORDER, record(change=against)) == "not reproduced"


def test_one_seed_shows_no_ordering(write):
    assert verdict(write, ORDER, record(seeds=1)) == "not reproduced"


def test_an_ordering_may_be_by_density(write):
    text = ORDER.replace(
        SWAPS["order"],
        'by = "density"\norder = [0.5, 0.05]\nat = { method = "snip" }',
    )
    assert verdict(write, text, record()) == "reproduced"
    turned = text.replace("[0.5, 0.05]", "[0.05, 0.5]")
    assert verdict(write, turned, record()) == "not reproduced"


def test_spearman_equals_scipy_with_ties():
    from scipy.stats import spearmanr

    for values in itertools.product((0.0, 1.0, 2.0), repeat=4):
        if len(set(values)) > 1:
            expected = spearmanr(range(4), values).statistic
            assert math.isclose(spearman(values), expected, abs_tol=1e-12)
    assert spearman([1.0, 1.0, 1.0]) == 0.0


def test_a_trend_has_a_sign_and_every_seed_must_show_it(write):
    falling = other(TREND, sign='sign = "-"')
    assert verdict(write, TREND, record()) == "reproduced"
    assert verdict(write, falling, record()) == "not reproduced"

    def against(cell, step, made):
        return -made if cell["seed"] == 2 else made

    assert verdict(write, TREND, record(change=against)) == "not reproduced"


def test_a_trend_of_few_seeds_needs_strictly_monotone_means(write):
    assert verdict(write, TREND, record(seeds=1)) == "reproduced"

    def flat(cell, step, made):
        return min(made, 0.921)

    assert verdict(write, TREND, record(seeds=1, change=flat)) == "not reproduced"


def test_a_trend_along_variants_that_are_no_numbers_is_an_error(write):
    text = TREND.replace('"density", sign', '"variant", sign')
    text = text.replace('method = "snip"', 'method = "snip", density = 0.1')
    with pytest.raises(ClaimError, match="no numbers"):
        write(text)(record())


def test_a_trend_along_steps_uses_all_steps(write):
    text = TREND.replace('method = "snip"', 'method = "snip", density = 0.1')
    text = text.replace('"density", sign', '"step", sign')
    with pytest.raises(ClaimError, match="three points, got 2"):
        write(text)(record())


# verdicts

BOTH = WITHIN.replace(
    SWAPS["rule"],
    'rule = { kind = "within", cap = 0, order = ["synflow", "snip"], '
    "at = { variant = '' } }",
)


@pytest.mark.parametrize(
    ("fits", "ordered", "met", "expected"),
    [
        (True, True, True, "reproduced"),
        (False, True, True, "direction only"),
        (True, False, True, "not reproduced"),
        (False, False, True, "not reproduced"),
        (True, True, False, "direction only"),
        (False, True, False, "direction only"),
        (True, False, False, "not comparable"),
        (False, False, False, "not comparable"),
    ],
)
def test_the_verdict_of_a_number_with_an_ordering(write, fits, ordered, met, expected):
    def change(cell, step, made):
        made += 0 if fits else 0.01
        return made - (0 if ordered or cell["method"] == "snip" else 0.5)

    one = record(change=change, data="mnist" if met else "digits")
    assert verdict(write, BOTH, one) == expected


@pytest.mark.parametrize(
    ("text", "met", "expected"),
    [
        (WITHIN, True, "reproduced"),
        (WITHIN, False, "not comparable"),
        (ORDER, True, "reproduced"),
        (ORDER, False, "direction only"),
        (TREND, False, "reproduced"),  # requires nothing: theory
    ],
)
def test_the_verdict_when_the_setting_is_the_papers_or_not(write, text, met, expected):
    one = record(data="mnist" if met else "digits")
    assert verdict(write, text, one) == expected


def test_lists_in_the_setting_equal_tuples_in_the_config(write):
    assert verdict(write, WITHIN, record(sizes=(300, 10))) == "not comparable"


def test_a_recalled_claim_decides_nothing(write):
    for text in (WITHIN, ORDER):
        recalled = other(text, letter='letter = "M"')
        assert verdict(write, recalled, record()) == "not comparable"
        assert verdict(write, recalled, not_run()) == "not run"


def test_missing_rows_are_an_error_where_the_setting_is_the_papers(write):
    text = WITHIN.replace("density = 0.1", "density = 0.2")
    with pytest.raises(ClaimError, match=r"K1: no rows with"):
        write(text)(record())
    assert verdict(write, text, record(data="digits")) == "not comparable"
    assert verdict(write, text, record(profile="smoke")) == "not comparable"


# wrong files


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "K1"', 'id = "1"', "id"),
        ('id = "K1"', "", "claim without id.*missing"),
        ('where = "Fig', 'were = "Fig', r"unknown \['were'\]"),
        ('says = "SNIP', 'says = 3 #"', "claim.says: wrong type"),
        ('letter = "R"', 'letter = "X"', "paper.letter"),
        ('letter = "R"', 'letter = "P"', "paper.reading_error"),
        ("value = 92.3, ", "", "paper.value"),
        ("value = 92.3", 'value = "92.3"', "paper.value: wrong type"),
        ("value = 92.3", "value = true", "paper.value: wrong type"),
        ("spread = 0.2", "spread = -0.2", "paper.spread"),
        ("spread = 0.2", "sd = 0.2", r"paper: unknown \['sd'\]"),
        ('"within"', '"near"', "rule.kind"),
        (", cap = 0.1", "", r"rule: missing \['cap'\]"),
        ("cap = 0.1", "cap = -1", "rule.cap"),
        ("cap = 0.1", 'cap = 0.1, order = ["a"]', "rule.order"),
        ("cap = 0.1", 'cap = 0.1, order = ["a", "a"]', "rule.order"),
        ("cap = 0.1", 'cap = 0.1, order = ["a", 1]', "rule.order"),
        ("cap = 0.1", 'cap = 0.1, by = "method"', "without order"),
        ("cap = 0.1", 'cap = 0.1, sign = "+"', "without along"),
        ("cap = 0.1", 'cap = 0.1, along = "density"', "rule.sign"),
        ("cap = 0.1", "tolerance = 1", "rule: unknown"),
        ('column = "acc"', 'column = "loss"', "no column 'loss'"),
        ('column = "acc"', 'column = "acc", statistic = "best"', "statistic"),
        ('column = "acc"', 'column = "acc", step = "first"', "reduce.step"),
        ('column = "acc"', 'column = "acc", step = 1, statistic = "last"', "with step"),
        ('column = "acc"', 'column = "acc", seed = 1', "reduce: unknown"),
        ('["data", "sizes"]', '["data"]', "paper_setting"),
        ('["data", "sizes"]', '["data", "depth"]', "paper_setting"),
        ('experiment = "accuracy"', 'experiment = "acuracy"', "no record of"),
        ("[[claim]]", "[[claims]]", "unknown"),
        ("[[claim]]", "[claim", "00_tour.toml"),
    ],
)
def test_a_claim_written_wrongly_is_an_error_that_names_its_place(
    write, old, new, says
):
    assert old in WITHIN
    with pytest.raises(ClaimError, match=says) as error:
        write(WITHIN.replace(old, new, 1))(record())
    assert "00_tour.toml" in str(error.value)


def test_the_same_filter_twice_is_an_error(write):
    for old, new, says in (
        ('column = "acc"', 'column = "acc", density = 0.5', "given twice"),
        ('column = "acc"', 'column = "acc", method = "snip"', "ordering is by method"),
        ('"R"', '"R", value = 3', "takes no value"),
    ):
        with pytest.raises(ClaimError, match=says):
            write(ORDER.replace(old, new))(record())


def test_a_required_field_that_no_config_has_is_an_error(write):
    text = ORDER.replace('["data"]', '["dat"]').replace("data =", "dat =")
    with pytest.raises(ClaimError, match="no config field 'dat'"):
        write(text)(record())


def test_two_claims_of_one_id_are_an_error(write):
    with pytest.raises(ClaimError, match=r"\['K1'\] occur twice"):
        write(WITHIN + WITHIN)(record())


def test_a_missing_claims_file_is_an_error(write):
    with pytest.raises(ClaimError, match=r"no claims file 77_gone\.toml"):
        claims.load("77_gone")


def test_the_examples_of_this_file_are_toml():
    for text in (WITHIN, ORDER, TREND, BOTH):
        assert len(tomllib.loads(text)["claim"]) == 1
