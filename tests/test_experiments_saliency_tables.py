"""Tables of notebook 41: from made rows to text, and a sentence where nothing ran."""

from types import SimpleNamespace

import pandas
import pytest

from paicore.experiments import saliency
from paicore.experiments import saliency_tables as tables

NOT_RUN = SimpleNamespace(rows=None, message="toy: not run")
TABLES = {
    "grid": lambda record: tables.grid(record, "value"),
    "spans": lambda record: tables.spans(record, ("value",)),
    "counts": tables.counts,
    "layers": lambda record: tables.layers(record, "a"),
    "masks": tables.masks,
    "signed": tables.signed,
}


def record(rows, **config):
    return SimpleNamespace(
        rows=pandas.DataFrame(rows), config=SimpleNamespace(**config), message="toy"
    )


def run(method, seed, step, variant="", **values):
    return {"run": f"{method},{variant},{seed}", "method": method, "seed": seed,
            "step": step, "variant": variant, "density": 0.5, **values}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_what_is_not_run_says_so(name):
    assert TABLES[name](NOT_RUN) == "toy: not run"


def test_a_grid_holds_means_and_deviations_in_the_order_of_the_config():
    rows = [
        run(name, seed, step, value=10 * step + seed)
        for name in ("b", "a")
        for seed in (1, 3)
        for step in (0, 1)
    ]
    made = record(rows, methods=("a", "b"), variants=("",))
    head, first, second = tables.grid(made, "value").splitlines()
    assert head.split() == ["n", "=", "2", "0", "1"]
    assert first.split() == ["a", "2", "±1.4", "12", "±1.4"]
    assert second.startswith("b")
    _, bare, _ = tables.grid(made, "value", scale=100, form=".1f", sd=False).split("\n")
    assert bare.split() == ["a", "200.0", "1200.0"]


def test_a_grid_fixes_what_is_asked_and_leaves_dashes():
    rows = [run("a", 0, 0, "x", value=1.0), run("a", 0, 0, "y", value=float("nan")),
            run("a", 0, 1, "x", value=2.0)]  # fmt: skip
    made = record(rows, methods=("a",), variants=("y", "x"))
    table = tables.grid(made, "value", lines=("variant",)).splitlines()
    assert [line.split() for line in table[1:]] == [["y", "-", "-"], ["x", "1", "2"]]
    assert "y" not in tables.grid(made, "value", across="variant", at={"step": 1})


def test_spans_name_rounding_and_nothing():
    rows = [run("a", 0, 0, value=1e-15, other=float("nan")),
            run("a", 1, 0, value=0.25, other=float("nan"))]  # fmt: skip
    made = record(rows, methods=("a",), variants=("",))
    _, line = tables.spans(made, ("value", "other")).splitlines()
    assert line.split() == ["a", "rounding", "to", "0.25", "-"]
    rows = [run("a", s, 0, value=0.0, other=(3e-16, 5e-15)[s]) for s in (0, 1)]
    _, line = tables.spans(
        record(rows, methods=("a",), variants=("",)), ("value", "other")
    ).splitlines()
    assert line.split() == ["a", "0", "rounding"]


def test_counts_say_where_rounding_differs():
    rows = [run("a", 0, 0, kept=5, rounded=4), run("b", 0, 0, kept=7, rounded=7)]
    made = record(rows, methods=("a", "b"), densities=(0.5,))
    line = tables.counts(made).splitlines()[1]
    assert line.split() == ["0.5", "5", "7", "1", "of", "2"]


def test_layers_and_masks_are_added_up():
    kept = {(0, 0): 5, (0, 1): 1, (1, 0): 5, (1, 1): 1}
    rows = [
        run("a", *place, "x", weights=10, kept=n, shared=n - 1, again=0, effective=n)
        for place, n in kept.items()
    ]
    last = {"weights": 10, "effective": 0}
    rows += [
        run("a", 2, 0, "x", kept=6, shared=6, again=6, **last),
        run("a", 2, 1, "x", kept=0, shared=0, again=0, **last),
    ]
    made = record(rows, methods=("a",), variants=("x",))
    first, second = tables.layers(made, "a").splitlines()[1:]
    assert first.split() == ["layer", "0", "10", "53.33"]
    assert second.split() == ["layer", "1", "10", "6.67"]
    line = tables.masks(made).splitlines()[1]
    # 4/6, 4/6 and 6/6 shared; an empty layer in one of three
    assert line.split() == ["a", "x", "0.778", "0.333", "0.667", "0.3"]


def test_spans_fix_what_is_asked():
    rows = [run("a", 0, step, value=float(step)) for step in (1, 2, 3)]
    made = record(rows, methods=("a",), variants=("",))
    assert tables.spans(made, ("value",)).splitlines()[1].split()[1:] == [
        "1",
        "to",
        "3",
    ]
    assert tables.spans(made, ("value",), at={"step": 2}).split()[-1] == "2"


def test_signed_sums_leave_out_the_readout_and_what_was_not_measured():
    rows = [run("a", 0, step, "x", signed=value)
            for step, value in enumerate((0.5, 0.25, 0.9))]  # fmt: skip
    rows += [run("a", 0, step, "y", signed=float("nan")) for step in range(3)]
    made = record(rows, methods=("a",), variants=("x", "y"))
    _, line = tables.signed(made).splitlines()
    assert line.split() == ["a", "x", "0.25", "to", "0.5"]


def test_differences_are_in_points_and_state_their_power():
    rows = [run("a", seed, 0, gain=0.01 * gain) for seed, gain in enumerate((1, 2, 3))]
    made = record([*rows, run("a", 0, 1, gain=9.0)], methods=("a",), variants=("",))
    asked = [("one", made, "gain", {"step": 0}), ("two", NOT_RUN, "gain", {})]
    _, first, second = tables.differences(asked).splitlines()
    # t of 2 degrees of freedom is 4.303, and 3 pairs see 3.26 standard errors or more
    assert first.split()[:6] == ["one", "2.0", "1.0", "-0.5", "to", "4.5"]
    assert float(first.split()[6]) > 1.5 and first.split()[7] == "3"
    assert second.split() == ["two", *"-----"]


def test_grids_are_one_grid_under_each_text():
    made = record([run("a", 0, 0, one=1.0, two=2.0)], methods=("a",), variants=("",))
    found = tables.grids(made, {"two": "second", "one": "first"}, sd=False)
    assert found == "\n".join(
        ["second", tables.grid(made, "two"), "first", tables.grid(made, "one")]
    )


def test_what_is_compared_is_a_column_of_runs_that_quick_makes():
    shown = dict.fromkeys(saliency.EXPERIMENTS, NOT_RUN)
    assert len(tables.power(shown).splitlines()) == 1 + len(tables.PAIRS)
    for text, name, column, at in tables.PAIRS:
        experiment = saliency.EXPERIMENTS[name]
        config = experiment.profiles["quick"]
        assert column in experiment.values, text
        assert at.get("variant", "") in config.variants, text
        steps = range(len(config.ways)) if name == "gains" else config.shuffled
        assert at["step"] in steps, text
