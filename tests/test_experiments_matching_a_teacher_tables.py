"""Tables of notebook 21: means, ranges and the released log, checked by hand."""

from types import SimpleNamespace

import pandas
import pytest

from paicore.experiments import matching_a_teacher_tables as tables


def a_record(rows, **config):
    """Return what the tables read of a record."""
    plain = {"methods": ("ours", "theirs"), "checked": (1, 5), "data": "digits"}
    config = SimpleNamespace(**{**plain, "net": "mlp", "densities": (0.1,)} | config)
    rows = pandas.DataFrame(rows)
    rows["run"] = rows["method"] + rows["seed"].astype(str)
    return SimpleNamespace(rows=rows, config=config, message="short: 4 of 4 runs")


def row(method, seed, step, value, **more):
    return {"method": method, "seed": seed, "step": step, "ambient": value} | more


ROWS = [
    row("theirs", 0, 0, 4.0), row("theirs", 0, 1, 3.0), row("theirs", 0, 5, 2.0),
    row("ours", 0, 0, 4.0), row("ours", 0, 1, 1.0), row("ours", 0, 5, 0.5),
    row("ours", 1, 0, 4.0), row("ours", 1, 1, 2.0), row("ours", 1, 5, 0.25),
]  # fmt: skip
RECORD = a_record(ROWS)
LOGGED = {"data": "mnist", "net": "lenet_300_100", "densities": (0.03,)}
NOT_RUN = SimpleNamespace(rows=None, config=None, message="short: not run")


def test_means_and_ranges_by_step_in_the_configs_order():
    text = tables.by_step(RECORD, "ambient").splitlines()
    assert text[0].split() == ["n", "=", "1", "to", "2", "step", "1", "step", "5"]
    assert text[1].split()[:5] == ["ours", "1.500", "(1.000", "to", "2.000)"]
    assert text[2].split()[-4:] == ["2.000", "(2.000", "to", "2.000)"]
    other = tables.by_step(RECORD, "ambient", (0,)).splitlines()
    assert other[1].split() == ["ours", "4.000", "(4.000", "to", "4.000)"]


def test_the_end_is_the_last_step():
    text = tables.at_end(RECORD, ("ambient",), 100).splitlines()
    assert text[1].split() == ["ours", "25", "to", "50"]
    assert text[2].split() == ["theirs", "200", "to", "200"]


def test_a_value_that_no_run_has_is_a_dash():
    record = a_record([row("ours", 0, 1, float("nan"))])
    assert tables.at_end(record, ("ambient",)).splitlines()[1].split() == ["ours", "-"]


def test_seeds_of_least_and_greatest_last_value():
    assert tables.extreme_seeds(RECORD, "ours", "ambient") == (1, 0)


def test_the_log_is_shown_at_its_own_setting_only():
    assert tables.released(RECORD, "ambient") == []
    here = a_record(ROWS, **LOGGED)
    first, second = tables.released(here, "ambient")
    assert (first[0], second[18_720]) == (6439.0, 537.0)
    shares = [run[18_720] for run in tables.released(here, "ambient_share")]
    assert shares == pytest.approx([0.067, 0.06592], abs=1e-5)
    assert tables.released(here, "masked") == []
    assert len(tables.released(here, "l2")) == 1


def test_the_logs_runs_are_whole_and_fall():
    for columns in tables.RELEASED.values():
        for column, runs in columns.items():
            for run in runs:
                assert len(run) == len(tables.STEPS)
                assert column == "l2" or [*run] == sorted(run, reverse=True)


def test_our_runs_stand_over_the_logs():
    text = tables.beside_the_log(a_record([*ROWS, row("ours", 0, 100, 7.0)], **LOGGED),
                                 "ambient").splitlines()  # fmt: skip
    assert text[0].split() == ["step", "0", "100"]
    assert text[1].split() == ["ours", "(2)", "4", "±0", "7"]
    assert text[3].split() == ["log,", "run", "1", "6439", "3675"]
    assert len(text) == 5


def test_an_interval_says_how_many_of_the_logs_runs_are_inside():
    config = LOGGED | {"methods": ("ours",)}
    given = {"variant": "target", "runs": 5, "mean": 0.09, "low": 0.09, "high": 0.1}
    record = a_record([row("ours", 0, 18_720, 0.0, **given)], **config)
    text = tables.interval(record, ("target",)).splitlines()
    assert text[1].split()[-6:] == ["0.1", "0.086,", "0.095", "1", "of", "2"]


def test_without_rows_there_is_the_message():
    for text in (
        tables.by_step(NOT_RUN, "ambient"), tables.at_end(NOT_RUN, ("ambient",)),
        tables.beside_the_log(NOT_RUN, "ambient"), tables.interval(NOT_RUN, ()),
    ):  # fmt: skip
        assert text == "short: not run"
