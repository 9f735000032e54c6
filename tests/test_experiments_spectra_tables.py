"""Tables of notebook 42: from made rows to text, and a sentence where nothing ran."""

import math
from types import SimpleNamespace

import pandas
import pytest

from paicore import claims
from paicore.experiments import spectra_paper as paper
from paicore.experiments import spectra_tables as tables

NOT_RUN = SimpleNamespace(rows=None, message="toy: not run")
TABLES = {
    "distances": tables.distances,
    "orders": tables.orders,
    "paired": lambda record: tables.paired(record, "a", "b"),
    "spread": lambda record: tables.spread(record, "a", "rms"),
    "conventions": tables.conventions,
    "printed": tables.printed,
    "checks": tables.checks,
    "by_density": lambda record: tables.by_density(record, "rms"),
}


def run(method, seed, step=0, variant="train", density=0.5, **values):
    return {"run": f"{method},{density},{variant},{seed}", "method": method,
            "seed": seed, "step": step, "variant": variant, "density": density,
            **values}  # fmt: skip


def record(rows, **config):
    return SimpleNamespace(
        rows=pandas.DataFrame(rows), config=SimpleNamespace(**config), message="toy"
    )


def facts(rms, scale_free, alignment=0.5):
    return {"rms": rms, "scale_free": scale_free, "scale": 0.5,
            "alignment": alignment, "condition_ratio": 2.0}  # fmt: skip


@pytest.fixture
def made():
    rows = [run("dense", seed, **facts(0.0, 0.0, 1.0)) for seed in (0, 1)]
    rows += [run("snip", s, **facts(0.3 + 0.1 * s, 0.1, 0.7)) for s in (0, 1)]
    rows += [run("ntk_sap", s, **facts(0.2 + 0.3 * s, 0.2, 0.6)) for s in (0, 1)]
    rows += [run("random", s, **facts(0.9, 0.0)) for s in (0, 1)]
    rows.append(run("snip", 0, -1, **facts(9.0, 9.0)))  # not the last of its run
    return record(rows)


@pytest.mark.parametrize("name", TABLES)
def test_what_is_not_run_says_so(name):
    assert TABLES[name](NOT_RUN) == "toy: not run"


def test_distances_come_nearest_first_with_the_share_of_the_scale(made):
    head, *lines = tables.distances(made).splitlines()
    assert head.startswith("n = 2")
    names = [line.split()[0] for line in lines]
    assert {*names[:2]} == {"snip", "ntk_sap"} and names[2] == "random"
    assert lines[-1].split()[:3] == ["random", "0.900", "±0.000"]
    assert "100 ±0" in lines[-1]
    snip = next(line for line in lines if line.startswith("snip"))
    assert "0.350 ±0.071" in snip
    shares = [1 - (0.1 / 0.3) ** 2, 1 - (0.1 / 0.4) ** 2]
    assert f"{100 * sum(shares) / 2:.0f} ±" in snip


def test_orders_put_the_nearest_first_by_each_distance_and_leave_controls_out(made):
    lines = tables.orders(made).splitlines()
    assert lines[1] == "  first in draws: ntk_sap 1 of 2, snip 1 of 2"
    assert lines[2] == "scale_free: snip, ntk_sap"
    assert lines[4] == "alignment: snip, ntk_sap"
    assert lines[5] == "  first in draws: snip 2 of 2"


def test_differences_are_paired(made):
    text = tables.paired(made, "snip", "ntk_sap")
    assert text == "rms, snip - ntk_sap: 0.000 ±0.141, positive in 1 of 2"


def test_the_spread_is_relative_to_the_mean(made):
    text = tables.spread(made, "ntk_sap", "rms")
    assert text == "ntk_sap, rms: mean 0.35, draws from -43 to +43 %, n = 2"


def test_ratios_stand_beside_the_digitised_ones():
    at = {paper.place(i, 1000): 2.0 for i in paper.RATIOS["ntk_sap"]}
    rows = [
        run("synflow", 0, step, ratio=ratio, rms=0.25, scale_free=0.5)
        for step, ratio in {**at, 999: 1.0}.items()
    ]
    head, first, *_, rms, free = tables.printed(record(rows)).splitlines()
    assert head.split() == ["index", "synflow"]
    assert first.split() == ["5", "2.00", "(-)"]
    assert rms.split() == ["rms", "0.25", "(0.36)"]
    assert free.split() == ["scale-free", "0.50", "(0.07)"]


def test_conventions_show_every_draw_at_the_digitised_indices():
    last = {"off_rms": 0.1, "off_middle": 0.2, "off_ends": 0.3, "condition": 4.0,
            "trace": 5.0}  # fmt: skip
    rows = [
        run("dense", seed, index, "train", 1.0, eigenvalue=value + seed,
            **(last if index == 998 else dict.fromkeys(last, math.nan)))
        for seed in (0, 1)
        for index, value in paper.DENSE.items()
    ]  # fmt: skip
    rows += [run("dense", s, 999, "train", 1.0, eigenvalue=1.0, **last) for s in (0, 1)]
    head, first, *_ = lines = tables.conventions(
        record(rows, variants=("train",))
    ).splitlines()
    assert head.split() == ["index", "paper", "(P)", "train", "0", "train", "1"]
    assert first.split() == ["5", "46.7", "46.7", "47.7"]
    assert lines[-5].split() == ["off_rms", "-", "0.100", "0.100"]
    assert lines[-3].split() == ["off_ends", "-", "0.30", "0.30"]


def test_checks_call_rounding_by_its_name():
    columns = "apart", "worst", "moved", "alignment_moved", "condition_moved"
    values = dict(zip(columns, (1e-3, 2e-3, 1e-16, 0.0, 0.5), strict=True))
    rows = [run("grasp", 0, variant="float64", **values)]
    made = record(rows, variants=("float64", "trainable"), methods=("grasp",))
    _, line = tables.checks(made).splitlines()
    assert line.split() == ["float64", "grasp", "1.0e-03", "2.0e-03", "0", "0",
                            "5.0e-01"]  # fmt: skip


def test_densities_are_columns():
    rows = [run("snip", 0, density=d, **facts(1 - d, 0.1)) for d in (0.5, 0.25)]
    rows.append(run("dense", 0, density=1.0, **facts(0, 0)))
    made = record(rows, methods=("dense", "snip"), densities=(0.5, 0.25))
    head, line = tables.by_density(made, "rms").splitlines()
    assert head.split() == ["n", "=", "1", "50", "%", "25", "%"]
    assert line.split() == ["snip", "0.500", "0.750"]


def test_curves_are_means_over_draws_by_index():
    rows = [run("snip", s, k, ratio=10.0 * k + s) for s in (1, 3) for k in (0, 4)]
    found = tables.curve(record(rows), "snip", "ratio")
    assert found["mean"].tolist() == [2, 42]
    assert found["n"].tolist() == [2, 2]


def test_every_claim_can_fail():
    for claim in claims.schema.load("42_spectra"):
        if claim.rule["kind"] == "bound":
            far = 1e9 if claim.rule["sense"] == "<=" else -1e9
            assert not claims.rules.fits(claim, far, 0.0), claim.id
        elif claim.rule["kind"] == "equal":
            assert not claims.rules.fits(claim, -1e9, 0.0), claim.id
        else:
            assert claim.rule["kind"] in ("ordering", "trend"), claim.id
