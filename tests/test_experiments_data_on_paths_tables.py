"""Tables of notebook 33 on made records: pairs, intervals, pictures, messages."""

from dataclasses import replace

import pandas
import pytest
from scipy import stats

from paicore import figures
from paicore.experiments import data_on_paths as work
from paicore.experiments import data_on_paths_arms as arms
from paicore.experiments import data_on_paths_looks as looks
from paicore.experiments import data_on_paths_tables as tables
from paicore.records import Record, run_id


def record(name, rows):
    experiment = work.EXPERIMENTS[name]
    config = replace(experiment.profiles["smoke"], seeds=2)
    frame = None if rows is None else pandas.DataFrame(rows)
    return Record(experiment, "smoke", frame, config, {}, 0, 0, "no")


def compared(values):
    """Rows of two steps per run; `values` maps (method, seed) to the last accuracy."""
    rows = []
    for (method, seed), accuracy in values.items():
        density = 1.0 if method == "dense" else 0.1
        cell = {"method": method, "density": density, "seed": seed, "variant": ""}
        facts = dict.fromkeys(work.COMPARED, 1.0)
        for step, share in ((1, 0.0), (2, 1.0)):
            own = {"run": run_id(cell), **cell, "step": step, **facts}
            rows.append({**own, "test_accuracy": share * accuracy})
    return rows


VALUES = {
    ("synflow", 0): 0.5,
    ("synflow", 1): 0.7,
    ("synflow_dist", 0): 0.6,
    ("synflow_dist", 1): 0.72,
    ("dense", 0): 0.9,
    ("dense", 1): 0.9,
}


def test_differences_are_paired_by_seed_and_end_at_the_last_step():
    [found] = tables.differences(record("digits", compared(VALUES)))
    assert found["pair"] == "SynFlow-Dist - SynFlow"
    assert (found["n"], found["above"]) == (2, 2)
    assert found["mean"] == pytest.approx(6.0)
    assert found["high"] - found["mean"] == pytest.approx(
        stats.t.ppf(0.975, 1) * 4.0, rel=1e-9
    )


def test_an_interval_is_scipys():
    values = [0.3, -1.0, 2.5, 0.7]
    mean, low, high = tables.interval(values)
    test = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((test.low, test.high))
    assert mean == pytest.approx(sum(values) / 4)


def test_an_asterisk_marks_an_interval_without_zero():
    text = tables.paired(record("digits", compared(VALUES)))
    assert "+6.0 (-44.8, +56.8)" in text
    assert "*" not in text
    clear = VALUES | {("synflow_dist", 1): 0.802}
    assert "+10.1 (+8.8, +11.4)*" in tables.paired(record("digits", compared(clear)))


def test_arms_are_in_order_with_mean_and_sd():
    text = tables.by_arm(record("digits", compared(VALUES)), "test_accuracy")
    lines = text.splitlines()
    assert lines[0].split() == ["digits,", "n", "=", "2", "100", "%", "10", "%"]
    assert [line.split()[0] for line in lines[1:]] == [
        "dense",
        "SynFlow",
        "SynFlow-Dist",
    ]
    assert lines[2].split()[1:] == ["-", "60.0", "±14.1"]


def test_widths_and_overlaps_have_a_line_per_method():
    full = record("digits", compared(VALUES))
    assert len(tables.layer_widths(full, 0.1).splitlines()) == 4
    assert len(tables.overlaps(full, 0.1).splitlines()) == 3


def test_layers_and_checks_have_a_line_per_method_and_variant():
    rows = []
    for cell in arms.cells(work.SMOKE["biases"]):
        for step in (1, 2):
            own = {"run": run_id(cell), **cell, "step": step}
            rows.append({**own, "weights": 9, "kept": step, "empty": 0})
    text = tables.by_layer(record("biases", rows))
    assert len(text.splitlines()) == 1 + 4 * 2
    assert "0 to 0" in text
    columns = {"kept": ("kept, %", 100.0, ".0f")}
    assert "150 ±71" in tables.by_variant(record("biases", rows), columns)


def test_a_picture_has_the_pixels_row_by_row():
    rows = [
        {"method": "synflow", "step": k, "grey": k / 4, "weights": k + 1}
        for k in (3, 0, 2, 1)
    ]
    full = record("occupancy_digits", rows)
    assert tables.picture(full, "synflow").tolist() == [[1, 2], [3, 4]]
    line = tables.on_blank(full).splitlines()[1]
    assert line.split() == ["SynFlow", "10", "1", "1"]


def test_every_arm_that_is_drawn_has_a_look_and_pairs_are_arms():
    for name in ("dense", *work.TRAINED):
        base, changes = looks.LOOKS[name]
        assert {**figures.style(base), **changes}["color"]
    assert {name for pair in tables.PAIRS for name in pair} <= set(work.TRAINED)
    seen = [
        str({**figures.style(base), **changes, "label": ""})
        for base, changes in looks.LOOKS.values()
    ]
    assert len(set(seen)) == len(seen)
    assert set(looks.WIDTHS_SHOWN) <= set(work.TRAINED)


def test_without_rows_every_table_is_the_message():
    empty = record("digits", None)
    assert tables.by_arm(empty, "test_accuracy") == tables.paired(empty) == "no"
    assert tables.layer_widths(empty, 0.1) == tables.overlaps(empty, 0.1) == "no"
    assert tables.by_layer(empty) == tables.on_blank(empty) == "no"
    assert tables.by_variant(empty, {}) == "no"
