"""Tables of notebook 13 on made rows."""

from types import SimpleNamespace

import pandas
import pytest

from paicore.experiments import stable_resnet_tables as tables

NAN = float("nan")


def a_record(rows, **config):
    made = []
    for row in rows:
        row = {"step": 0, "seed": 0, "variant": "", "density": 0.1} | row
        row["run"] = "{method},{density},{variant},{seed}".format(**row)
        made.append(row)
    return SimpleNamespace(
        rows=pandas.DataFrame(made), config=SimpleNamespace(**config), message="no"
    )


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_without_rows_every_table_is_the_message():
    record = SimpleNamespace(rows=None, message="x: not run")
    found = [
        tables.growth(record), tables.edges(record), tables.outputs(record),
        tables.looks(record, ("cv1",), density=0.1, forms=(".2f",)),
        tables.trained(record, "a"), tables.gains(record, ()),
        tables.square(record, rows_are="a", columns_are="b"),
    ]  # fmt: skip
    assert set(found) == {"x: not run"}


def test_growth_has_the_fit_beside_the_recursion():
    rows = [
        {"method": "2", "variant": v, "seed": s, "step": k, "range": r, "slope": a,
         "slope_theory": b}
        for v, s, k, r, a, b in (
            ("plain", 0, 5, 0.9, NAN, NAN), ("plain", 0, 10, 0.1, 0.5, 0.6),
            ("plain", 1, 10, 0.2, 0.7, 0.6), ("stable", 0, 10, 0.2, -1.0, -0.9),
        )
    ]  # fmt: skip
    record = a_record(rows, methods=("2",), variants=("plain", "stable"))
    assert lines(tables.growth(record)) == [
        "sigma_w^2 branch slope against measured recursion range (n = 2)",
        "2 plain L 0.600 ±0.141 0.600 0.90",
        "2 stable log L -1.000 -0.900 0.20",
    ]


def test_edges_have_a_line_per_alpha():
    rows = [{"method": "2", "ratio": 0.997, "slope": 0.9999999}]
    record = a_record(rows, methods=("2",), depth=20)
    assert lines(tables.edges(record))[1] == "2 0.9970 1.000000"


LOOKS = [
    {"method": m, "variant": "relu", "seed": s, "density": d, "step": k, "cv1": c,
     "share": x, "critical": z}
    for m, s, d, k, c, x, z in (
        ("plain", 0, 0.1, 1, NAN, 0.2, 0.95), ("plain", 0, 0.1, 2, 0.5, 0.4, 1.0),
        ("plain", 1, 0.1, 1, NAN, 0.4, 0.99), ("plain", 1, 0.1, 2, 0.7, 0.6, 0.97),
        ("plain", 0, 0.02, 1, NAN, 0.0, 0.95), ("plain", 0, 0.02, 2, 0.9, 0.1, 1.0),
    )
]  # fmt: skip
KINDS = {"methods": ("plain",), "variants": ("relu",)}


def test_looks_stand_in_the_last_row_of_a_run():
    record = a_record(LOOKS, **KINDS)
    found = tables.looks(record, ("cv1",), density=0.1, forms=(".2f",))
    assert lines(found) == ["s = 90 % (n = 2) cv1", "plain relu 0.60 ±0.14"]
    none = tables.looks(record, ("cv1",), density=0.5, forms=(".2f",))
    assert none == "no run at s = 50 %"


def test_shares_are_means_by_layer_at_one_density():
    found = tables.shares(a_record(LOOKS, **KINDS), "plain", "relu", 0.1)
    assert found["mean"].to_dict() == pytest.approx({1: 0.3, 2: 0.5})


def test_dead_layers_are_counted_from_critical_sparsities():
    found = tables.dead(a_record(LOOKS, **KINDS), "plain", "relu", (0.9, 0.96, 0.98, 1))
    assert found.tolist() == [0, 0.5, 1.0, 2.0]


RUNS = [
    {"method": m, "variant": "net relu", "density": d, "seed": s, "test_accuracy": a}
    for m, d, s, a in (
        ("dense", 1.0, 0, 0.9), ("snip", 0.1, 0, 0.5), ("snip", 0.1, 1, 0.7),
        ("sbp_sr", 0.1, 0, 0.75), ("sbp_sr", 0.1, 1, 0.85), ("snip", 0.05, 0, NAN),
    )
]  # fmt: skip
METHODS = ("dense", "snip", "sbp_sr")


def test_trained_arms_have_a_column_per_sparsity_and_lost_runs_are_told():
    record = a_record(RUNS, methods=METHODS)
    assert lines(tables.trained(record, "net relu")) == [
        "net relu (n = 1 to 2) s = 0 % s = 90 % s = 95 %",
        "dense 90.0",
        "snip 60.0 ±14.1 all lost",
        "sbp_sr 80.0 ±7.1",
    ]
    assert tables.trained(record, "net tanh") == "net tanh: no run"


GAINS = "paired by seed s difference 95 % interval ahead in seen from"


def test_gains_are_paired_by_seed_and_have_intervals():
    record = a_record(RUNS, methods=METHODS)
    found = tables.gains(record, [("sbp_sr", "snip")], variant="net relu")
    head, line, none = lines(found)
    # Differences of 25 and 15: error 5, and Student's quantile of one degree is 12.706.
    assert (head, none) == (GAINS, "sbp_sr - snip 95 % - - - -")
    assert line.startswith("sbp_sr - snip 90 % +20.0 -43.5 to +83.5 2/2 ")
    assert float(line.split()[-1]) > 63.5  # to see is more than to miss zero


def test_gains_between_variants_at_one_density_and_of_one_seed():
    rows = [
        {"method": "net", "variant": v, "density": d, "seed": 0, "cv3": c}
        for v, d, c in (("0.1", 0.02, 0.5), ("stable", 0.02, 0.75),
                        ("0.1", 0.1, 0.2), ("stable", 0.1, 0.1))
    ]  # fmt: skip
    found = tables.gains(
        a_record(rows), [("0.1", "stable")], by="variant", column="cv3", scale=1,
        form=".2f", density=0.02, method="net",
    )  # fmt: skip
    assert lines(found) == [GAINS, "0.1 - stable 98 % -0.25 - 0/1 -"]


def test_a_square_has_masks_across_and_functions_down():
    rows = [
        {"method": m, "variant": v, "test_accuracy": a}
        for m, v, a in (("plain", "plain", 0.4), ("stable", "plain", 0.85),
                        ("plain", "stable", 0.45), ("stable", "stable", 0.9))
    ]  # fmt: skip
    record = a_record(
        rows, methods=("plain", "stable"), places=(("plain",), ("stable",))
    )
    assert lines(tables.square(record, rows_are="net", columns_are="mask of")) == [
        "net (n = 1) mask of plain mask of stable",
        "plain 40.0 85.0", "stable 45.0 90.0",
    ]  # fmt: skip


def test_outputs_have_a_column_per_network():
    rows = [
        {"method": m, "variant": "sbp row", "seed": s, "log_output": y}
        for m, s, y in (("vgg16", 0, 1.0), ("vgg16", 1, 3.0), ("vgg16x3", 0, 6.0))
    ]
    record = a_record(
        rows, methods=("vgg16", "vgg16x3"), variants=("sbp row",), densities=(0.1,)
    )
    assert lines(tables.outputs(record)) == [
        "log_output (n = 2) vgg16 vgg16x3", "s = 90 %, sbp row 2.00 ±1.41 6.00",
    ]  # fmt: skip
