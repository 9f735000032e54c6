"""Tables of notebook 31, checked by hand on made rows."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from paicore.experiments import paths
from paicore.experiments import paths_tables as tables
from paicore.experiments.paths_algebra import drawn_network

NAN = float("nan")


def a_record(rows, methods=("one", "two"), variants=("",)):
    """What the tables read of a record."""
    frame = pandas.DataFrame([{"variant": "", "step": 0, "seed": 0} | r for r in rows])
    names = frame["method"] + frame["variant"] + frame["seed"].astype(str)
    config = SimpleNamespace(methods=methods, variants=variants)
    return SimpleNamespace(rows=frame.assign(run=names), config=config, message="no")


def lines(text):
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_without_rows_every_table_is_the_message():
    record = SimpleNamespace(rows=None, config=None, message="x: not run")
    for table in (tables.laws, tables.ranks, tables.bounds, tables.looseness,
                  tables.steps, tables.expectations, tables.poolings,
                  tables.rankings):  # fmt: skip
        assert table(record) == "x: not run"
    assert tables.worst(record, ("a",)) == tables.spread(record, "a") == "x: not run"


def test_the_worst_difference_is_shown_and_rounding_named():
    rows = [
        {"method": "two", "a": 1e-16, "seed": 0},
        {"method": "two", "a": 3e-16, "seed": 1},
        {"method": "one", "a": 1e-16, "seed": 0},
        {"method": "one", "a": 2e-3, "seed": 1},
    ]
    found = lines(tables.worst(a_record(rows), ("a",)))
    assert found == ["n = 2 a", "one 0.002", "two rounding"]


def test_variants_are_columns():
    rows = [
        {"method": m, "variant": v, "off": off}
        for m, v, off in (("one", "x", 0.5), ("one", "y", 0), ("two", "x", 0),
                          ("two", "y", 0.25))
    ]  # fmt: skip
    found = lines(tables.spread(a_record(rows, variants=("x", "y")), "off"))
    assert found == ["n = 1 x y", "one 0.5 rounding", "two rounding 0.25"]


def test_laws_show_ranges_and_dashes():
    rows = [
        {"method": "one", "unit_gap": g, "layer_gap": NAN, "rescaled": 1e-17,
         "overlap": o}
        for g, o in ((0.5, 0.25), (0.125, 1.0))
    ]  # fmt: skip
    found = lines(tables.laws(a_record(rows)))[1]
    assert found == "one 0.12 to 0.5 - rounding 0.25 to 1.00"


def test_ranks_count_what_is_right():
    rows = [
        {"method": "one", "density": 0.5, "seed": seed, "enumerated": 3 + seed,
         "counted": 3 + seed, "tangent": 3, "off": 0, "naive_off": seed}
        for seed in range(3)
    ]  # fmt: skip
    found = lines(tables.ranks(a_record(rows)))[1]
    assert found == "one 0.5 3 to 5 3 of 3 1 of 3 1 of 3"


def test_bounds_leave_dead_networks_out_and_count_broken_ones():
    rows = [
        {"method": "one", "seed": seed, "tangent": t, "first": 0.5, "sums": 0.25,
         "index": i, "von_neumann": 2 * t, "sigma_trace": 4 * t, "px": 8 * t}
        for seed, (t, i) in enumerate(((1.0, 2.0), (2.0, 0.5), (0.0, 0.0)))
    ]  # fmt: skip
    record = a_record(rows)
    assert lines(tables.bounds(record))[1] == "one 2 0.5 0.25 2 1 of 2"
    assert lines(tables.looseness(record))[1].startswith("one 2 (2 to 2) 4")


def test_steps_are_clean_if_neither_size_switches_a_unit():
    rows = [
        {"method": "one", "step": k, "rate": 0.5**k, "switched": s, "ratio": r}
        for k, (s, r) in enumerate(((0, 9.0), (1, 8.0), (0, 4.0), (0, 4.5)))
    ]
    found = lines(tables.steps(a_record(rows)))
    assert found[1] == "one 1.2e-01 to 2.5e-01 none 2 4 to 4.5"
    assert found[2] == "one 5.0e-01 to 1.0e+00 some 2 8 to 9"


def test_expectations_show_the_last_distance():
    rows = [
        {"method": "one", "variant": "he", "step": k, "trace": t, "expected": 3.0,
         "away": a}
        for k, (t, a) in enumerate(((2.0, NAN), (4.0, 0.0)))
    ]  # fmt: skip
    found = lines(tables.expectations(a_record(rows)))
    assert found[0].startswith("n = 2 init")
    assert found[1] == "one he 3 ±1 3 0.00"


def test_poolings_show_ratios_in_full():
    rows = [
        {"method": "one", "variant": "eps 0", "seed": seed, "exact": 2.0,
         "authors": 128.0, "ratio": 64.0, "ratio_all": 63.9999996}
        for seed in range(2)
    ]  # fmt: skip
    assert lines(tables.poolings(a_record(rows)))[1].endswith(" 64 63.9999996")


def test_rankings_show_a_dash_where_nothing_varies():
    rows = [
        {"method": "one", "seed": seed, "rho": 0.5 + seed / 4, "rho_kept": NAN}
        for seed in range(2)
    ]
    assert lines(tables.rankings(a_record(rows)))[1] == "one 0.500 to 0.750 -"


def test_the_matrices_of_the_drawn_network_multiply_to_its_kernel():
    experiment = paths.EXPERIMENTS["drawn"]
    config = experiment.profiles["smoke"]
    frame = pandas.DataFrame(experiment.run(config, {}))
    a, kernel, theta = tables.matrices(SimpleNamespace(rows=frame, config=config))
    pi = frame["strength"].to_numpy()
    net, x = drawn_network(config)
    assert a @ pi == pytest.approx(net(x).detach().flatten().numpy(), rel=1e-12)
    assert theta == pytest.approx(a @ kernel @ a.T)
    assert np.linalg.matrix_rank(kernel) == 8
