"""The claims table and the scorecard: what they print, and how many digits of it."""

import math

import pytest
from claim_cases import (
    ORDER,
    SNIP,
    WITHIN,
    Setting,
    cells,
    not_run,
    number,
    other,
    record,
    run,
    writer,
)
from hypothesis import given
from hypothesis import strategies as st

from paicore import claims, records
from paicore.claims.tables import beside
from paicore.experiments import Experiment


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a claims file; the result evaluates it against one record."""
    return writer(tmp_path, monkeypatch)


def test_the_table_is_fixed_width_and_explains_the_dagger(write):
    recalled = WITHIN.replace('"K1"', '"K4"').replace('letter = "R"', 'letter = "M"')
    log = WITHIN.replace('"K1"', '"K5"').replace('letter = "R"', 'letter = "L"')
    write(WITHIN + ORDER + recalled + log)
    text = claims.table("00_tour", {"accuracy": record()})
    assert text.splitlines() == [
        "id  quantity           where   stated                        "
        "ours (n)       setting  verdict",
        "K1  SNIP, 10 % kept    Fig. 6  92.3 ±0.2 R                   "
        "92.2 ±0.1 (3)  paper    reproduced",
        "K2  syn > snip > rand  Fig. 6  yes (R)                       "
        "yes (3/3)      paper    reproduced",
        "K4  SNIP, 10 % kept    Fig. 6  92.3 ±0.2†                    "
        "92.2 ±0.1 (3)  paper    not comparable",
        "K5  SNIP, 10 % kept    Fig. 6  92.3 ±0.2 L (log, not paper)  "
        "92.2 ±0.1 (3)  paper    reproduced",
        "±   ours: one sd over the n seeds in brackets; "
        "stated: the spread in the paper or the difference allowed",
        "sources: R read in the paper; L the authors' log",
        "†   recalled, not checked against the PDF",
    ]
    write(WITHIN)
    text = claims.table("00_tour", {"accuracy": not_run()})
    assert "not run   -        not run (4 GPU-h)\n" in text
    assert "†" not in text
    assert "±   stated: the" in text and "ours:" not in text
    write(ORDER)
    last = claims.table("00_tour", {"accuracy": record()}).splitlines()[2:]
    assert last == ["sources: R read in the paper"]


@pytest.mark.parametrize("letter", "RCLDPM")
def test_the_table_explains_every_letter_that_it_shows(write, letter):
    write(other(ORDER, letter=f'letter = "{letter}"'))
    _, line, legend = claims.table("00_tour", {"accuracy": record()}).splitlines()
    mark = "†" if letter == "M" else letter
    assert mark in line.partition("yes")[2].split("  ")[0]
    assert legend.removeprefix("sources: ").startswith(f"{mark} ")


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("LeNet-300-100, 3 %, step 1e-5", "LeNet-300-100, 3 %, step 1e-5"),
        ("MLP, density 1 to 100 %, seed 0", "MLP, density 1 to 100 %"),
        ("owner/name, some/long/path/to/file.py", "owner/name"),
        ("a place of more than thirty letters", "a place of more than thirty letters"),
        (
            "owner-of-more-than-thirty/letters, x.py",
            "owner-of-more-than-thirty/letters",
        ),
    ],
)
def test_a_place_is_cut_at_a_comma_and_only_when_it_is_long(write, where, shown):
    write(WITHIN.replace("Fig. 6, test accuracy in percent", where))
    line = claims.table("00_tour", {"accuracy": record()}).splitlines()[1]
    assert f"  {shown}  92.3" in line


@pytest.mark.parametrize(
    ("size", "rule", "paper", "ours"),
    [
        (1e-6, 'kind = "bound", sense = "<="', "<= 1.0 R", "0.00011 ±1e-07 (3)"),
        (1e-3, 'kind = "bound", sense = "<="', "<= 1.0 R", "0.1 ±0.0001 (3)"),
        (1e-2, 'kind = "equal", tolerance = 0.15', "1.0 ±0.15 R", "1.10 ±0.001 (3)"),
        (1e-20, 'kind = "bound", sense = "<="', "<= 1.0 R", "0.0 ±0.0 (3)"),
    ],
)
def test_a_small_number_is_not_shown_as_zero(write, size, rule, paper, ours):
    def change(cell, step, made):
        return size * (1.1 + 0.001 * (cell["seed"] - 1))

    write(number(SNIP, "value = 1.0", rule))
    line = claims.table("00_tour", {"accuracy": record(change=change)})
    assert paper in line
    assert ours in line


@pytest.mark.parametrize(
    ("size", "stated", "rule", "shown"),
    [
        (0.211, 0.2, "<=", "0.21"),
        (0.2004, 0.2, "<=", "0.2004"),
        (0.196, 0.2, "<=", "0.196"),
        (0.24, 0.2, ">=", "0.24"),
        (0.26, 0.2, ">=", "0.3"),
        (0.2, 0.2, ">=", "0.2"),
        (3.04, 0, "3", "3.04"),
        (-2.96, 0, "3", "-2.96"),
        (2.4, 0, "3", "2"),
        (123456.0, 123456, "0", "123456"),
        (123457.0, 123456, "0", "1.235e+05"),
        (-1e-17, 0.0, ">=", "-1e-17"),
    ],
)
def test_a_number_is_not_rounded_onto_what_it_is_compared_with(
    write, size, stated, rule, shown
):
    kind = f'kind = "bound", sense = "{rule}"' if "=" in rule else ""
    kind = kind or f'kind = "equal", tolerance = {rule}'
    write(number(SNIP.replace("100", "1"), f"value = {stated}", kind))
    one = record(seeds=1, change=lambda cell, step, made: size)
    assert f"  {shown} (1)  " in claims.table("00_tour", {"accuracy": one})


def test_a_deviation_has_no_fewer_decimals_than_its_number(write):
    def change(cell, step, made):
        return 0.212 + 0.12 * (cell["seed"] - 1)

    text = number(
        SNIP.replace("100", "1"), "value = 0.2", 'kind = "bound", sense = "<="'
    )
    write(text)
    assert "  0.21 ±0.12 (3)  " in claims.table(
        "00_tour", {"accuracy": record(change=change)}
    )


DECIMALS = st.integers(-2000, 2000), st.integers(0, 6)
NEAR = st.floats(-1, 1, allow_subnormal=False), st.integers(-11, 3)


@given(*DECIMALS, *NEAR, st.integers(0, 4), st.sampled_from("fg"))
def test_a_printed_number_compares_as_the_number_does(
    whole, places, offset, power, digits, kind
):
    """To the threshold as it is printed, over distances of fourteen powers of ten."""
    edge = float(f"{whole}e-{places}")
    value = edge + offset * 10.0**power
    if math.isclose(value, edge, rel_tol=1e-11):
        value = edge
    shown = float(beside(value, f"{value:.{digits}{kind}}", [edge]))
    assert (shown > edge) == (value > edge)
    assert (shown < edge) == (value < edge)


@given(*NEAR, st.integers(0, 4))
def test_digits_are_added_only_where_rounding_would_mislead(offset, power, digits):
    value = offset * 10.0**power
    plain = f"{value:.{digits}f}"
    assert beside(value, plain, []) == plain
    away = [value - 10.0, value + 10.0]
    assert beside(value, plain, away) == plain


def test_the_least_and_the_greatest_value_are_named_and_have_no_sd(write):
    write(number(SNIP + ', statistic = "max"', "value = 92.0"))
    assert "  max 92.3 (3)  " in claims.table("00_tour", {"accuracy": record()})
    one = claims.table("00_tour", {"accuracy": record(seeds=1)})
    assert "  92.1 (1)  " in one


def test_a_stale_record_says_so_in_the_table(write):
    one = record()
    one.provenance["stale"] = "wrong seed"
    write(ORDER)
    text = claims.table("00_tour", {"accuracy": one})
    assert text.splitlines()[1].endswith("reproduced (stale: wrong seed)")


def test_the_scorecard_counts_what_the_table_says(write, tmp_path, monkeypatch):
    write(WITHIN + ORDER)
    profiles = {"smoke": Setting(seeds=3, data="digits")}
    experiment = Experiment(
        "00_tour", "accuracy", cells, run, ("acc",), profiles, {"quick": "8 min"}
    )
    found = {"accuracy": experiment}
    monkeypatch.setattr("paicore.claims.tables.find", lambda notebook: found)
    settings = records.settings(profile="smoke", device="cpu")
    records.load_or_run(experiment, settings, progress=False)
    lines = claims.scorecard("build/figures").splitlines()
    assert lines[0].startswith("| notebook | reproduced | direction only | not repro")
    assert lines[2] == "| 00_tour | 0 | 1 | 0 | 1 | 0 |"
    assert lines[3] == "| all | 0 | 1 | 0 | 1 | 0 |"
    assert "* 00_tour K2: SynFlow beats SNIP" in lines[6]
    assert "**direction only** (paper yes (R), ours yes (3/3), smoke)" in lines[6]
    committed = claims.scorecard().splitlines()
    assert committed[2] == "| 00_tour | 0 | 0 | 0 | 0 | 2 |"
