"""Tables of notebook 51, checked on made rows."""

from types import SimpleNamespace

import pandas as pd
import pytest

from paicore.experiments import head_to_head_gains as apart
from paicore.experiments import head_to_head_parts as parts
from paicore.experiments import head_to_head_tables as tables
from paicore.train import Recipe


def row(method, seed, accuracy, density=0.03, variant="", **more):
    run = f"{method},{density:g},{variant},{seed}"
    return {
        "run": run, "method": method, "density": density, "seed": seed, "step": 0,
        "variant": variant, "accuracy": accuracy, "effective": density / 2,
        "empty": 0, **more,
    }  # fmt: skip


def record(rows, **config):
    rows = None if rows is None else pd.DataFrame(rows)
    return SimpleNamespace(rows=rows, config=SimpleNamespace(**config), message="no")


@pytest.fixture
def primary():
    """Of three methods "good" leads in each of four seeds, two are level."""
    rows = []
    for seed in range(4):
        wave = 0.001 * seed
        rows += [
            row("poor", seed, 0.50 + wave + 0.0005 * (seed % 2)),
            row("good", seed, 0.90 - wave),
            row("level", seed, 0.50 + wave + 0.0005 * ((seed + 1) % 2)),
            row("dense", seed, 0.95, density=1.0),
        ]
    return record(rows)


def test_the_most_accurate_stand_first_and_equals_by_name(primary):
    head, dense, first, *others, foot = tables.standing(primary).splitlines()
    assert head.split()[:2] == ["accuracy", "n"]
    assert dense.split()[:3] == ["dense", "95.00", "±0.00"]
    assert first.split()[:4] == ["good", "89.85", "±0.13", "4"]
    assert first.split()[-3:] == ["1.50", "%", "0.0"]
    assert [line.split()[0] for line in others] == ["level", "poor"]
    assert others[-1].split()[4] == "-"
    assert foot.startswith("2 of 3 pairs")


def test_the_lead_is_the_paired_difference_to_the_next(primary):
    line = tables.standing(primary).splitlines()[2]
    assert line.split()[4] == "+39.68"


def test_the_matrix_is_odd_and_stars_what_the_correction_leaves(primary):
    lines = tables.matrix(primary).splitlines()
    assert lines[0].split() == ["1", "2", "3"]
    assert lines[1].split() == ["1", "good", ".", "+39.7*", "+39.7*"]
    assert lines[2].split() == ["2", "level", "-39.7*", ".", "+0.0"]
    assert lines[-1].startswith("2 of 3 pairs")


def test_the_matrix_as_numbers_is_odd(primary):
    found = tables.differences(primary.rows)
    assert found.loc["good", "poor"] == -found.loc["poor", "good"]
    assert found.loc["good", "good"] != found.loc["good", "good"]
    assert [*found.index] == [*found.columns]


def test_the_colours_end_where_nine_tenths_of_the_cells_do(primary):
    found = tables.differences(primary.rows)
    assert 0 < tables.reach(found) <= found.abs().max().max()
    assert tables.reach(0 * found) == 1
    alone = primary.rows[primary.rows["seed"] == 0]
    assert tables.reach(tables.differences(alone)) == 1


def test_orderings_survive_turn_round_or_stay_open(primary):
    asked = [["good", "poor"], ["poor", "good"], ["poor", "level"], ["poor", "gone"]]
    _, *lines = tables.orderings([*asked, asked[0]], primary).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == [
        "survives", "turned round", "open", "not run",
    ]  # fmt: skip


def test_a_run_that_two_records_have_counts_once(primary):
    more = [row("good", seed, 0.1) for seed in range(4)]
    other = record([*more, *(row("ntt", seed, 0.6) for seed in range(4))])
    rows = tables.together(primary, other)
    assert (rows["method"] == "good").sum() == 4
    assert rows.loc[rows["method"] == "good", "accuracy"].min() > 0.8
    assert tables.ranked(rows) == ["good", "ntt", "level", "poor"]


def test_densities_are_columns_and_the_smallest_decides_the_order():
    rows = [
        row(method, seed, value + seed / 100, density)
        for method, low, high in (("a", 0.1, 0.9), ("b", 0.2, 0.8))
        for density, value in ((0.01, low), (0.1, high))
        for seed in (0, 1)
    ]
    rows.append(row("a", 0, 0.5, 0.03))
    head, first, second = tables.by_density(record(rows)).splitlines()
    assert head.split() == ["10", "%", "3", "%", "1", "%"]
    assert first.split() == ["b", "80.50", "±0.71", "-", "20.50", "±0.71"]
    assert second.split()[0] == "a"


def test_rates_show_what_was_held_out_and_the_paired_gain(primary):
    rows = [
        row("good", seed, 0.93 - 0.001 * seed, held_low=0.5, held_middle=0.7,
            held_high=0.6, lr=1e-3)
        for seed in range(4)
    ]  # fmt: skip
    tuned = record(rows, rates=(3e-4, 1e-3, 3e-3))
    head, line, foot = tables.rates(tuned, primary).splitlines()
    assert "held out 0.0003" in head
    assert line.split()[:5] == ["good", "50.00", "70.00", "60.00", "0.001"]
    assert "+3.00" in line
    assert foot == "0 of 0 pairs differ after Holm's correction"
    alone = tables.rates(tuned, record(None)).splitlines()[1]
    assert alone.split()[-1] == "-"


def test_rates_say_how_much_of_the_order_is_kept(primary):
    turned = {"good": 0.4, "level": 0.6, "poor": 0.5, "dense": 0.95}
    rows = [
        row(name, seed, value - 0.001 * seed, held_low=0.5, held_middle=0.7,
            held_high=0.6, lr=1e-3)
        for name, value in turned.items()
        for seed in range(4)
    ]  # fmt: skip
    *lines, foot = tables.rates(
        record(rows, rates=(3e-4, 1e-3, 3e-3)), primary
    ).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["level", "poor", "good", "dense"]
    ours = pd.Series(turned).drop("dense").rank()
    common = 100 * tables.points(primary.rows).mean().drop("dense")
    assert foot.endswith(
        f"rank correlation of both orders {ours.corr(common.rank()):.2f}"
    )


@pytest.fixture
def made():
    """Parts of two seeds in numbers of 200 images; values take away."""
    rows = []
    for seed in (0, 1):
        gain = {"layers": 60 + seed, "positions": 20, "values": -10, "scale": 4}
        gain |= {"whole": 74 + seed}
        gain |= {"scale first": 50, "then layers": 20 + seed, "then positions": 3}
        gain |= {"then values": 1, "values first": 5, "positions last": 5}
        rows += [
            row("snip", seed, 0.0, 0.03, part, gain=each, tested=200)
            for part, each in gain.items()
        ]
    return record(rows, methods=("snip", "force"), densities=(0.03,))


def test_parts_are_in_points_with_half_an_interval(made):
    head, line, empty = apart.taken_apart(made, 0.03).splitlines()
    assert head.startswith("3 %, n = 2, ± 95 %")
    assert head.split()[-5:] == [*parts.IN_ORDER, "whole"]
    assert line.split()[:5] == ["snip", "+30.2", "±3.2", "+10.0", "±0.0"]
    assert empty.split() == ["force", *["-"] * 5]


def test_gains_are_means_in_points(made):
    found = apart.gains(made, 0.03)
    assert [*found.index] == ["snip"]
    assert found.loc["snip", "values"] == -5
    assert found.loc["snip", [*parts.IN_ORDER]].sum() == found.loc["snip", "whole"]


def test_exactness_is_noticed_and_so_is_its_lack(made):
    assert "in 4 of 4" in apart.exactness(made)
    made.rows.loc[made.rows["variant"] == "positions", "gain"] += 1
    assert "in 2 of 4" in apart.exactness(made)


def test_parts_of_transfers_sum_without_a_scale():
    names = [name for name in parts.OF_TRANSFER if name != "whole"]
    rows = [
        row("ntt_masked", 0, 0.0, 0.03, name, gain=k, tested=10)
        for k, name in enumerate(names)
    ]
    rows.append(row("ntt_masked", 0, 0.0, 0.03, "whole", gain=6, tested=10))
    assert "in 1 of 1" in apart.exactness(record(rows))
    rows[-1]["gain"] = 7
    assert "in 0 of 1" in apart.exactness(record(rows))


def test_costs_have_a_column_per_network():
    rows = [
        row("snip", 0, 0.0, 1.0, net, once=2.0, times=1, total=total)
        for net, total in (("lenet5", 2.9), ("mlp", 2.1))
    ]
    rows.append(row("ntt", 0, 0.0, 1.0, "mlp", once=2.0, times=400, total=9_800.8))
    config = {"variants": ("mlp", "lenet5"), "images": 100}
    made = record(rows, methods=("snip", "ntt", "px"), **config)
    recipe = Recipe("adam", lr=1e-3, batch=64, steps=1_200)
    head, snip, ntt, training = apart.costs(made, recipe).splitlines()
    assert head.split()[-2:] == ["mlp", "lenet5"]
    assert snip.split() == ["snip", "1", "2.1", "2.9"]
    assert ntt.split() == ["ntt", "400", "9801", "-"]
    # 1,200 steps of 64 images are 768 times 100 images, at SNIP's cost each
    assert training.split() == ["training", "1200", "1613", "-"]
    only = record(rows[2:], methods=("ntt",), variants=("mlp",), images=100)
    assert len(apart.costs(only, recipe).splitlines()) == 2


def test_without_rows_every_table_is_the_message():
    empty = record(None)
    for table in (tables.standing, tables.matrix, tables.by_density):
        assert table(empty) == "no"
    assert tables.orderings([], empty) == "no"
    assert tables.rates(empty, empty) == "no"
    assert apart.taken_apart(empty, 0.03) == "no"
    assert apart.costs(empty, None) == "no"
    assert apart.exactness(empty) == "no"
