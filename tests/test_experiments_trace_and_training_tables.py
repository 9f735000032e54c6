"""Tables of notebook 32, checked by hand on made rows."""

from types import SimpleNamespace

import pandas
import pytest

from paicore.experiments import trace_and_training_tables as tables

NAN, INF = float("nan"), float("inf")


def a_record(rows, methods=("one", "two"), **config):
    """What the tables read of a record; the last step of a run is what counts."""
    blank = {"variant": "net", "density": 0.1, "step": 0, "seed": 0}
    frame = pandas.DataFrame([blank | row for row in rows])
    keys = ["method", "density", "variant", "seed"]
    frame["run"] = frame[keys].astype(str).agg(",".join, axis=1)
    config = SimpleNamespace(methods=methods, **config)
    return SimpleNamespace(rows=frame, config=config, message="no")


def lines(text):
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_without_rows_every_table_is_the_message():
    record = SimpleNamespace(rows=None, config=None, message="x: not run")
    assert tables.spread_table(record, "a") == "x: not run"
    assert tables.rank_table(record, ("rank",), scope="within") == "x: not run"
    assert tables.within_table(record, "a") == "x: not run"
    assert tables.twin_table(record, "a") == "x: not run"


def test_spreads_are_of_last_steps_by_falling_density():
    rows = [
        {"method": "one", "density": 0.1, "seed": 0, "step": 0, "a": 99},
        {"method": "one", "density": 0.1, "seed": 0, "step": 5, "a": 1},
        {"method": "one", "density": 0.1, "seed": 1, "step": 5, "a": 3},
        {"method": "one", "density": 0.5, "seed": 0, "a": 7},
        {"method": "one", "density": 0.5, "seed": 1, "a": 7},
        {"method": "two", "density": 0.5, "seed": 0, "a": NAN},
        {"method": "two", "density": 0.5, "seed": 1, "a": NAN},
    ]
    found = lines(tables.spread_table(a_record(rows), "a"))
    assert found == ["a, n = 2 0.5 0.1", "one 7 ±0 2 ±1.4", "two - -"]


def test_spreads_by_step_and_by_variant_and_of_one_variant():
    rows = [
        {"method": "one", "variant": v, "step": s, "a": a}
        for v, s, a in (("128", 0, 1), ("128", 9, 2), ("32", 0, 3), ("32", 9, 4))
    ]
    record = a_record(rows)
    by_step = tables.spread_table(record, "a", "step", keep={"variant": "32"})
    assert lines(by_step) == ["a, n = 1 0 9", "one 3 4"]
    by_width = tables.spread_table(record, "a", "variant", scale=100)
    assert lines(by_width) == ["a, n = 1 32 128", "one 400 200"]


def test_correlations_have_their_intervals_and_dashes_where_there_are_none():
    columns = {"rank": -0.5, "rank_low": -0.75, "rank_high": 0.25, "masks": 40}
    columns |= {"partial": NAN, "partial_low": NAN, "partial_high": NAN}
    columns |= {"twin": 0.5, "twin_low": NAN, "twin_high": NAN}
    rows = [
        {"method": "all", "variant": v, "density": d} | columns
        for v, d in (("a_loss within", 0.1), ("a_loss within", 0.5),
                     ("a_loss pooled", 0.1), ("b_loss within", 0.1))
    ]  # fmt: skip
    record = a_record(rows, ("all",), measures=("a_loss", "b_loss"))
    found = tables.rank_table(record, ("rank", "partial"), scope="within")
    wanted = "-0.50 [-0.75 +0.25] -"
    assert lines(found)[1:] == [
        f"all, a loss, 0.5 (40) {wanted}",
        f"all, a loss, 0.1 (40) {wanted}",
        f"all, b loss, 0.1 (40) {wanted}",
    ]
    one = tables.rank_table(
        record, ("rank",), scope="within", density=0.1, measures=("a_loss",)
    )
    assert lines(one)[1:] == ["all, a loss, 0.1 (40) -0.50 [-0.75 +0.25]"]
    pooled = tables.rank_table(record, ("twin",), scope="pooled")
    assert lines(pooled)[1:] == ["all, a loss, 0.1 (40) +0.50 [-]"]


def test_ranks_are_taken_within_a_seed_without_dense_and_shuffled_masks():
    rows = [
        {"method": m, "seed": seed, "trace": size, "a": -size}
        for seed in (0, 1)
        for m, size in (("one", 1.0), ("two", 2.0), ("three", 3.0))
    ]
    rows += [{**row, "trace": 10 - row["trace"], "variant": "net shuffled"}
             for row in rows]  # fmt: skip
    rows += [{"method": "dense", "trace": 9.0, "a": 9.0, "density": 0.1}]
    record = a_record(rows, cases=(SimpleNamespace(name="net"),))
    assert lines(tables.within_table(record, "a"))[1:] == ["net -1.00 ±0.00"]


def test_infinite_values_are_counted_and_left_out_of_the_mean():
    rows = [
        {"method": "one", "seed": seed, "a": a} for seed, a in enumerate((1, INF, 3))
    ]
    rows += [{"method": "two", "seed": seed, "a": INF} for seed in range(3)]
    found = lines(tables.spread_table(a_record(rows), "a"))
    assert found[1:] == ["one 2 ±1.4 (1 inf)", "two - (3 inf)"]


def test_correlations_without_a_method_leave_its_masks_out():
    points = {"one": (1.0, 1.0), "two": (2.0, 2.0), "three": (3.0, 0.0)}
    rows = [
        {"method": m, "density": d, "trace": x, "a": y if d == 0.5 else -y}
        for m, (x, y) in points.items()
        for d in (0.1, 0.5)
    ]
    rows += [{**row, "trace": 0.0, "variant": "net shuffled"} for row in rows]
    record = a_record(rows, ("dense", *points))
    assert lines(tables.without_table(record, "a", (0.5, 0.1))) == [
        "left out 0.5 0.1 mean",
        "nothing -0.50 +0.50 +0.00",
        "one -1.00 +1.00 +0.00",
        "two -1.00 +1.00 +0.00",
        "three +1.00 -1.00 +0.00",
    ]


def test_twins_are_subtracted_seed_by_seed_and_smaller_ones_counted():
    rows = [
        {"method": m, "seed": seed, "a": own + change, "variant": variant}
        for m, own in (("one", 1.0), ("two", 5.0))
        for seed in (0, 1, 2)
        for variant, change in (("net", 0.0), ("net shuffled", (0.5, 1.5, -1.25)[seed]))
    ]
    found = lines(tables.twin_table(a_record(rows, ("dense", "one", "two")), "a"))
    assert found == [
        "a, own - shuffled 0.1",
        "one -0.250 ±1.392 (2)",
        "two -0.250 ±1.392 (2)",
    ]


def test_a_column_that_no_row_has_is_an_error():
    with pytest.raises(KeyError):
        tables.spread_table(a_record([{"method": "one", "a": 1}]), "b")
