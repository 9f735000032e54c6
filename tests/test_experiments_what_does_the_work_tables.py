"""Tables of notebook 23: means and paired differences, checked on made rows."""

from types import SimpleNamespace

import pandas as pd
import pytest

from paicore.experiments import what_does_the_work_tables as tables

METHODS = ("ntt_ambient", "ntt_ambient_no_kernel", "mask_only_ambient", "random")


def row(method, seed, step, accuracy, variant="adam", density=0.1, **more):
    run = f"{method},{density},{variant},{seed}"
    return {
        "run": run, "method": method, "density": density, "seed": seed, "step": step,
        "variant": variant, "test_accuracy": accuracy, **more,
    }  # fmt: skip


def record(rows, methods=METHODS, densities=(0.1,), variants=("adam", "sgd")):
    config = SimpleNamespace(methods=methods, densities=densities, variants=variants)
    return SimpleNamespace(
        rows=None if rows is None else pd.DataFrame(rows), config=config, message="no"
    )


@pytest.fixture
def made():
    """Two seeds at two steps; without the kernel term one seed is better, one worse."""
    rows = []
    for seed in (0, 1):
        for step in (10, 20):
            own = 0.5 + 0.1 * seed + step / 100
            rows += [
                row("ntt_ambient", seed, step, own, own_share=0.2, masked_share=0.9),
                row("ntt_ambient_no_kernel", seed, step, own - 0.1 + 0.3 * seed),
                row("mask_only_ambient", seed, step, own - 0.4),
                row("random", seed, step, own - 0.3),
                row("random", seed, step, 0.1, variant="sgd"),
            ]
    return record(rows)


def test_differences_are_taken_within_a_seed(made):
    found = tables.paired(made, "adam", 10).set_index(["part", "seed"])["points"]
    assert found["kernel term", 0] == pytest.approx(10)
    assert found["kernel term", 1] == pytest.approx(-20)
    assert found["mask alone", 0] == pytest.approx(-10)
    assert {*found.index.get_level_values("part")} == {
        *("kernel term", "student's weights", "mask alone", "all of it")
    }


def test_a_seed_that_one_side_lacks_is_left_out(made):
    made.rows = made.rows[made.rows["run"] != "random,0.1,adam,1"]
    found = tables.paired(made, "adam", 10)
    assert [*found[found["part"] == "all of it"]["seed"]] == [0]


def test_parts_print_mean_sd_and_wins(made):
    head, kernel, *_ = tables.parts(made, "adam", (10, 20, 999)).splitlines()
    assert head.split() == ["what", "is", "added", "at", "10", "at", "20"]
    assert kernel.split()[:5] == ["kernel", "term", "-5.0", "±21.2", "(1/2)"]


def test_by_step_shows_each_method_at_each_step(made):
    head, first, *_, last = tables.by_step(
        made, "test_accuracy", variant="adam"
    ).splitlines()
    assert head.split() == ["at", "10", "20", "n"]
    assert first.split() == ["ntt_ambient", "65.0", "±7.1", "75.0", "±7.1", "2"]
    assert last.split()[0] == "random"
    text = tables.by_step(made, "test_accuracy", (20,), variant="sgd")
    assert text.splitlines()[-1].split() == ["random", "10.0", "±0.0", "2"]


def test_by_column_counts_a_run_once_and_leaves_empty_methods_out(made):
    columns = {"own_share": 100.0, "masked_share": 100.0}
    head, *lines = tables.by_column(made, columns, form=".0f").splitlines()
    assert head.split() == ["own_share", "masked_share", "n"]
    assert [line.split() for line in lines] == [
        ["ntt_ambient", "20", "±0", "90", "±0", "2"]
    ]


def test_only_the_largest_density_and_the_dense_network_are_chosen():
    rows = [row("random", 0, 1, 0.2, density=d) for d in (0.01, 0.1, 1.0)]
    found = tables.chosen(record(rows, densities=(0.01, 0.1)))
    assert [*found["density"]] == [0.1, 1.0]


def test_a_single_seed_has_no_sd_and_nothing_is_a_dash():
    made = record([row("random", 0, 1, 0.2)], methods=("random", "snip"))
    _, random, snip = tables.by_step(made, "test_accuracy", variant="adam").splitlines()
    assert random.split() == ["random", "20.0", "1"]
    assert snip.split() == ["snip", "-", "0"]


def test_the_tangent_is_the_one_whose_parts_are_taken_away():
    assert tables.tangent(record([], METHODS)) == "ambient"
    assert tables.tangent(record([], ("ntt_masked", "mask_only_masked"))) == "masked"


def test_steps_that_a_short_record_lacks_give_way_to_its_own(made):
    text = tables.by_step(made, "test_accuracy", (125,), variant="adam")
    assert text.splitlines()[0].split() == ["at", "10", "20", "n"]


def test_figures_show_a_third_of_the_way_and_the_end():
    made = record([])
    made.config.looks = (1, 30, 60, 125, 250, 500, 750, 1_000, 1_250)
    assert tables.early_and_late(made) == (125, 1_250)


def test_the_ablations_have_a_block_per_variant_and_the_distances(made):
    text = tables.taken_apart(made, (10, 20))
    assert text.count("what a part adds") == 2
    assert text.index("Adam") < text.index("plain gradient descent")
    assert "own_share" in text.splitlines()[-2]


def test_accuracies_come_with_the_distances(made):
    made.rows["variant"] = made.rows["variant"].replace("adam", "")
    made.config.variants = ("",)
    lines = tables.trained(made).splitlines()
    assert lines[1].split() == ["at", "10", "20", "n"]
    assert lines[-1].split() == ["ntt_ambient", "20.0", "±0.0", "90.0", "±0.0", "2"]


def test_modes_print_quotients_and_percent_of_the_norm():
    fixed = dict.fromkeys(tables.MEANS, 0.25)
    rows = [
        row("random", 0, mode, 0.0, "", quotient_masked=q, carried=c, **fixed)
        for mode, q, c in ((0, 0.5, 0.4), (9, 0.125, 0.9))
    ]
    made = record(rows, methods=("random",), variants=("",))
    made.experiment = SimpleNamespace(name="modes")
    lines = tables.along_modes(made).splitlines()
    assert lines[2].split() == ["random", "0.50", "0.12", "1"]
    assert lines[4].split() == ["random", "40.0", "90.0", "1"]
    assert lines[-1].split() == ["random", *["0.250"] * 5, "1"]


def test_without_rows_every_table_is_the_message():
    empty = record(None)
    assert tables.by_step(empty, "test_accuracy") == "no"
    assert tables.by_column(empty, {"kept": 1.0}) == "no"
    assert tables.parts(empty, "adam", (1,)) == "no"
    assert tables.trained(empty) == tables.along_modes(empty) == "no"
    assert tables.taken_apart(empty, (1,)) == "no"
