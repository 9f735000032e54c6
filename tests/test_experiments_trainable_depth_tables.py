"""Tables of notebook 12 on made rows."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from paicore.experiments import trainable_depth_tables as tables

NAN = float("nan")


def a_record(rows, **config):
    frame = pandas.DataFrame([{"step": 0, "seed": 0, "variant": ""} | r for r in rows])
    return SimpleNamespace(rows=frame, config=SimpleNamespace(**config), message="no")


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_without_rows_every_table_is_the_message():
    record = SimpleNamespace(rows=None, message="x: not run")
    assert tables.by_density(record, "tanh", "q") == "x: not run"
    assert tables.arms(record) == "x: not run"


def test_signals_have_a_line_per_variant_and_a_column_per_sparsity():
    rows = [
        {"method": m, "variant": v, "density": d, "seed": s, "q": q}
        for m, v, d, s, q in (
            ("tanh", "sbp none", 0.5, 0, 1.0), ("tanh", "sbp none", 0.5, 1, 3.0),
            ("tanh", "sbp row", 0.5, 0, 0.5), ("tanh", "sbp row", 0.2, 0, NAN),
            ("elu", "sbp row", 0.2, 0, 9.0),
        )
    ]  # fmt: skip
    record = a_record(
        rows, densities=(0.5, 0.2), variants=("sbp none", "sbp row", "sbp layer")
    )
    assert lines(tables.by_density(record, "tanh", "q", form=".2f")) == [
        "tanh, q (n = 2) s = 50 % s = 80 %",
        "sbp none 2.00 ±1.41",
        "sbp row 0.50 none",
    ]
    one = tables.by_density(record, "tanh", "q", variants=("sbp row",))
    assert lines(one)[1:] == ["sbp row 0.500 none"]


ROWS = [
    {"method": m, "variant": v, "density": d, "seed": s, "test_accuracy": a}
    for m, v, d, s, a in (
        ("edge", "5", 0.2, 0, 0.5), ("edge", "5", 0.2, 1, 0.7),
        ("rescaled", "5", 0.2, 0, 0.9), ("rescaled", "5", 0.2, 1, NAN),
        ("edge", "40", 0.5, 0, 0.25),
    )
]  # fmt: skip
CONFIG = {"methods": ("edge", "rescaled"), "variants": ("",),
          "places": ((5, 0.2), (40, 0.5), (40, 0.2))}  # fmt: skip


def test_arms_stand_side_by_side_and_lost_runs_are_told():
    assert lines(tables.arms(a_record(ROWS, **CONFIG))) == [
        "depth, sparsity (n = 1 to 2) edge rescaled",
        "5, 80 % 60.0 ±14.1 90.0 (1 lost)",
        "40, 50 % 25.0",
    ]


def test_a_map_has_a_row_per_depth_and_nan_without_runs():
    depths, sparsities, found = tables.grid(a_record(ROWS, **CONFIG), "edge")
    assert (depths, sparsities) == ([5, 40], [0.5, 0.8])
    wanted = np.array([[NAN, 0.6], [0.25, NAN]])
    assert found == pytest.approx(wanted, nan_ok=True)


def test_paces_are_places_of_their_own():
    rows = [{**r, "variant": f"{r['variant']} 0.1x5"} for r in ROWS]
    record = a_record(rows, **CONFIG | {"variants": ("0.1x5",)})
    assert tables.places(record) == [("5 0.1x5", 0.2), ("40 0.1x5", 0.5)]


def test_a_line_is_mean_and_sd_by_layer():
    rows = [
        {"method": "tanh", "variant": "sbp row", "seed": s, "step": k, "q": q}
        for s, k, q in ((0, 1, 1.0), (1, 1, 2.0), (0, 6, 4.0), (1, 6, 4.0))
    ]
    found = tables.line(a_record(rows), "tanh", "sbp row", "q")
    assert found["mean"].to_dict() == {1: 1.5, 6: 4.0}
    assert found["std"][6] == 0
