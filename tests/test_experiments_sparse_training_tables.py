"""Tables of notebook 22: means, pairs and the released logs, checked by hand."""

from types import SimpleNamespace

import pandas
import pytest

from paicore.experiments import sparse_training_released as released
from paicore.experiments import sparse_training_tables as tables


def a_record(rows, methods, variants=("",)):
    """Return what the tables read of a record."""
    config = SimpleNamespace(methods=methods, variants=variants)
    rows = pandas.DataFrame(rows)
    names = ["method", "density", "variant", "seed"]
    rows["run"] = rows[names].astype(str).agg(",".join, axis=1)
    return SimpleNamespace(rows=rows, config=config, message="short: 4 of 4 runs")


def row(method, seed, step, accuracy, density=0.03, variant=""):
    return {
        "method": method, "density": density, "variant": variant, "seed": seed,
        "step": step, "test_accuracy": accuracy, "train_accuracy": accuracy / 2,
    }  # fmt: skip


NOT_RUN = SimpleNamespace(rows=None, config=None, message="short: not run")
RECORD = a_record(
    [
        row("ours", 0, 1, 0.1), row("ours", 0, 5, 0.6),
        row("ours", 1, 1, 0.2), row("ours", 1, 5, 0.8),
        row("random", 0, 1, 0.15), row("random", 0, 5, 0.5),
        row("random", 1, 1, 0.15), row("random", 1, 5, 0.6),
        row("dense", 0, 5, 0.9, density=1.0),
    ],
    ("ours", "random", "snip", "dense"),
)  # fmt: skip


def test_means_and_deviations_are_those_of_the_seeds():
    text = tables.table(RECORD).splitlines()
    assert text[0].split() == ["step", "1", "5"]
    assert text[1].split() == ["ours", "(2)", "15.0", "±7.1", "70.0", "±14.1"]
    assert text[2].split() == ["random", "(2)", "15.0", "±0.0", "55.0", "±7.1"]
    assert text[3].split() == ["dense", "(1)", "-", "90.0"]
    assert len(text) == 4


def test_one_step_against_densities():
    text = tables.table(RECORD, along="density", at={"step": 5}).splitlines()
    assert text[0].split() == ["density", "3", "%", "100", "%"]
    assert text[3].split() == ["dense", "(1)", "-", "90.0"]


def test_the_last_step_is_each_runs_own():
    rows = pandas.concat([RECORD.rows, a_record([row("late", 0, 9, 1.0)], ()).rows])
    last = tables.selected(rows, {"step": "last"})
    assert dict(zip(last["run"], last["step"], strict=True))["late,0.03,,0"] == 9
    assert len(last) == last["run"].nunique()
    assert {*last["step"]} == {5, 9}


def test_early_is_where_the_logs_look_first():
    rows = [row("m", 0, step, 0.1) for step in (1, 30, 125, 375)]
    assert tables.early(pandas.DataFrame(rows)) == 125
    chosen = tables.selected(a_record(rows, ()).rows, {"step": "early"})
    assert [*chosen["step"]] == [125]


def test_variants_stand_as_declared():
    rows = [row("m", 0, 1, 0.1, variant="b"), row("m", 0, 1, 0.2, variant="a")]
    record = a_record(rows, ("m",), ("b", "a", "c"))
    text = tables.table(record, along="variant").splitlines()
    assert [line.split() for line in text] == [
        ["variant", "b", "a"],
        ["m", "(1)", "10.0", "20.0"],
    ]


def test_differences_pair_equal_seeds_and_dense_has_its_own_density():
    early = SimpleNamespace(**vars(RECORD))
    early.rows = RECORD.rows.replace({"step": {1: 101, 5: 1001}})
    text = tables.paired(early, "ours", at={"density": 0.03}).splitlines()
    assert text[0].split() == ["ours", "above", "at", "101", "at", "1001"]
    assert text[1].split() == [
        "random", "+0.0", "±7.1", "(1/2)", "+15.0", "±7.1", "(2/2)",
    ]  # fmt: skip
    assert text[2].split() == ["dense", "-", "-30.0", "(0/1)"]
    assert len(text) == 3


def test_a_record_without_rows_says_so():
    assert tables.table(NOT_RUN) == NOT_RUN.message
    assert tables.paired(NOT_RUN, "ours") == NOT_RUN.message
    text = released.beside_log(NOT_RUN, "mlp").splitlines()
    assert text[-1] == NOT_RUN.message
    assert len(text) == len(released.LOGS["mlp"]) + 2


def test_the_log_stands_beside_our_runs_of_the_same_iteration():
    rows = [row("ntt_ambient", s, 101, 0.7 + 0.1 * s) for s in (0, 1)]
    rows += [row("ntt_ambient", 0, step, 0.9) for step in (41_201, 42_101)]
    text = released.beside_log(a_record(rows, ("ntt_ambient",)), "mlp").splitlines()
    lines = {line.split()[0]: line.split() for line in text[1:]}
    assert lines["101"] == [
        "101", "75.65", "74.68", "75.00", "±7.07", "(2)", "44.69", "38.64", "-",
    ]  # fmt: skip
    assert lines["last"][3:7] == ["96.42", "96.50", "90.00", "(1)"]
    assert lines["of"][5:7] == ["45.00", "(1)"]
    assert lines["1"][-1] == "-"


def test_a_short_record_adds_its_own_iterations():
    rows = [row("ntt_ambient", 0, 125, 0.7)]
    text = released.beside_log(a_record(rows, ("ntt_ambient",)), "cnn").splitlines()
    steps = [line.split()[0] for line in text[1:]]
    assert steps[:4] == ["1", "101", "125", "201"]


def test_a_report_says_once_that_there_is_nothing():
    part = ("percent", tables.table, {"at": {"step": 5}})
    assert tables.report(NOT_RUN, part, part) == NOT_RUN.message
    text = tables.report(RECORD, part, ("pairs", tables.paired, {"method": "ours"}))
    assert text.splitlines()[0] == "percent"
    assert "pairs\nours above" in text


@pytest.mark.parametrize("log", released.LOGS)
def test_every_logged_line_has_four_runs_in_percent(log):
    for values in released.LOGS[log].values():
        assert len(values) == 4
        assert all(0 < value <= 100 for value in values)
