"""Tables of notebook 11 on made rows, and claims that fit their experiments."""

from types import SimpleNamespace

import pandas
import pytest

from paicore import claims
from paicore.claims.verdicts import requirements_met
from paicore.experiments import edge_of_chaos as study
from paicore.experiments import edge_of_chaos_tables as tables

NAN = float("nan")
CLAIMS = claims.schema.load("11_edge_of_chaos")


def a_record(name, rows, points, **config):
    """What the tables read of a record."""
    frame = pandas.DataFrame([{"variant": "", "step": 0, "seed": 0} | r for r in rows])
    runs = frame["method"] + frame["variant"] + frame["seed"].astype(str)
    experiment = SimpleNamespace(name=name)
    config = SimpleNamespace(points=points, **config)
    return SimpleNamespace(
        rows=frame.assign(run=runs), config=config, message="no", experiment=experiment
    )


def lines(text):
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_without_rows_every_table_is_the_message():
    record = SimpleNamespace(rows=None, message="x: not run")
    for table in (tables.summary, tables.rates, tables.slopes, tables.emptied):
        assert table(record) == "x: not run"


def test_every_column_of_a_table_is_recorded():
    for name, columns in tables.TABLES.items():
        assert {c.name for c in columns} <= set(study.EXPERIMENTS[name].values)
        assert {c.kind for c in columns} <= {"mean", "one", "least", "most", "range"}


def test_a_summary_reads_last_rows_in_the_order_of_the_points():
    rows = [
        {"method": "mlp", "variant": v, "seed": seed, "step": step, "s_cr": value,
         "exact": 0.5, "bound": 0.75}
        for v, seed, value in (("2", 0, 0.1), ("2", 1, 0.3), ("5", 0, 0.5),
                               ("5", 1, 0.5))
        for step in (0,)
    ]  # fmt: skip
    record = a_record("magnitudes", rows, (("mlp", "5"), ("mlp", "2")))
    assert lines(tables.summary(record)) == [
        "n = 2 networks deep limit bound",
        "mlp 5 0.5000 ±0.0000 0.5000 0.7500",
        "mlp 2 0.2000 ±0.1414 0.5000 0.7500",
    ]


def test_ranges_and_dashes():
    rows = [
        {"method": m, "seed": seed, "step": step, "dead": d, "holes": 0, "first": f,
         "last": f}
        for m, seed, d, f in (("a", 0, 3, 1), ("a", 1, 5, 2), ("b", 0, 0, NAN),
                              ("b", 1, 0, NAN))
        for step, d, f in ((1, NAN, NAN), (2, d, f))
    ]  # fmt: skip
    record = a_record("layers", rows, (("a", ""), ("b", "")))
    assert lines(tables.summary(record))[1:] == ["a 3 to 5 0 1 to 2 1 to 2",
                                                 "b 0 0 - -"]  # fmt: skip
    assert lines(tables.summary(record, "b"))[1:] == ["b 0 0 - -"]


def test_slopes_stand_beside_minus_log_chi():
    rows = [
        {"method": "relu", "variant": v, "slope": 0.5, "predicted": 0.25, "off": 0.1,
         "spread": 2.0, "unequal": 1e-16}
        for v in ("1 0", "edge 0")
    ]  # fmt: skip
    record = a_record("slopes", rows, (("relu", "1 0"), ("relu", "edge 0")))
    head, first, second = lines(tables.slopes(record))
    assert head.endswith("-log chi")
    assert first == "relu 1 0 0.5000 0.2500 0.1000 2.00 1.0e-16 0.6931"
    assert second.endswith(" 0.0000")


def test_rates_show_the_marks_that_are_there():
    rows = [{"method": "relu", "variant": "edge 0", "step": k, "constant": 44.413,
             "scaled": k / 10} for k in (1, 10, 20)]  # fmt: skip
    record = a_record("rates", rows, (("relu", "edge 0"),))
    found = lines(tables.rates(record))
    assert found[1] == "relu edge 0 44.413 0.1000 1.0000 - - - -"


def test_the_plane_is_a_grid_of_its_rows():
    rows = [{"method": "tanh", "sigma_b": b, "sigma_w": w, "chi": 10 * b + w}
            for w in (1.0, 2.0, 3.0) for b in (0.1, 0.2)]  # fmt: skip
    record = a_record("plane", rows, (("tanh", ""),))
    w, b, chi = tables.grid(record, "chi")
    assert w.tolist() == [1, 2, 3] and b.tolist() == [0.1, 0.2]
    assert chi[1].tolist() == [3, 4, 5]


def test_kept_shares_leave_the_readout_out():
    units = [{"unit_00": 2, "unit_01": 0}, {"unit_00": 1, "unit_01": 4},
             {"unit_00": 3, "unit_01": -1}]  # fmt: skip
    rows = [{"method": "edge", "step": k, "fan_in": 4} | each
            for k, each in enumerate(units, 1)]  # fmt: skip
    record = a_record("neurons", rows, (("edge", "images"),), width=2)
    assert tables.kept(record, "edge").tolist() == [[0.5, 0], [0.25, 1]]
    assert lines(tables.emptied(record))[1] == "edge 1 of 4 0.250 0.500 1.000"


def test_profiles_and_points_are_means_over_seeds():
    rows = [{"method": "tanh", "variant": v, "seed": s, "step": k, "moment": k + s}
            for v in ("1", "16") for s in (0, 2) for k in (1, 2)]  # fmt: skip
    record = a_record("batches", rows, (("tanh", "16"), ("tanh", "1")))
    assert tables.profile(record, "tanh", "1", "moment")["mean"].tolist() == [2, 3]
    found = tables.points(record, "tanh")
    assert found.index.tolist() == ["16", "1"] and found["moment"].tolist() == [3, 3]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claims_speak_of_what_quick_runs(claim):
    experiment = study.EXPERIMENTS[claim.experiment]
    config = experiment.profiles["quick"]
    assert claim.reduce["column"] in experiment.values
    assert requirements_met(claim, SimpleNamespace(config=config))
    wanted = {k: claim.reduce[k] for k in ("method", "variant") if k in claim.reduce}
    asked = [{"method": m, "variant": v} for m, v in config.points]
    assert any(wanted.items() <= each.items() for each in asked)
    by = claim.rule.get("by", "method")
    for name in claim.rule.get("order", ()):
        assert any(each[by] == name for each in asked)


def test_no_recalled_value_can_decide():
    recalled = [claim for claim in CLAIMS if claim.paper["letter"] == "M"]
    assert len(recalled) == 7
    assert {claim.paper["letter"] for claim in CLAIMS} == {"D", "M"}
