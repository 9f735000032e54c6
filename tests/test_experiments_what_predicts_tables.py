"""Tables of notebook 52, from planted records."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from paicore.experiments import what_predicts_tables as tables
from paicore.experiments.head_to_head_ground import Ground
from paicore.experiments.what_predicts_ranks import RANKS, Ranks
from paicore.experiments.what_predicts_runs import Study

STUDY = Study(seeds=3, grounds=(Ground(densities=(0.03,)),))
METHODS = ("random", "erk", "snip", "synflow", "grasp")
ABSENT = SimpleNamespace(rows=None, message="signs_mnist: not run", config=STUDY)


@dataclass
class Made:
    """A record as the tables read it."""

    rows: pd.DataFrame
    config: object


@pytest.fixture(scope="module")
def signs():
    draw, rows = np.random.default_rng(0), []
    for seed in range(3):
        for k, method in enumerate(("dense", *METHODS)):
            row = {"method": method, "density": 0.03 if k else 1.0, "seed": seed}
            row |= {"trace": k + 0.1 * seed, "linear_loss": 0.2 * k + 0.01 * seed}
            row |= {f"layer_{j}": draw.normal() for j in (1, 2, 3)}
            row |= {"final_loss": np.exp(0.3 * k), "accuracy": 1 - 0.1 * k}
            rows.append(row | {"nearly_empty": 0.0})
    return Made(pd.DataFrame(rows), STUDY)


@pytest.fixture(scope="module")
def ranks():
    config = Ranks(of=STUDY, methods=("trace", "linear_loss"))
    rows = []
    for k, method in enumerate(config.methods):
        row = dict.fromkeys(RANKS, float("nan"))
        row |= {"masks": 15.0, "clusters": 3.0, "own": 0.5 * k, "own_low": -0.1,
                "own_high": 0.6, "error": 0.25, "rank": 0.3, "own_student_low": -0.2,
                "own_student_high": 0.7}  # fmt: skip
        place = {"method": method, "density": 0.03, "seed": 0}
        rows.append(place | {"variant": "final_loss all"} | row)
    return Made(pd.DataFrame(rows), config)


def test_methods_stand_in_the_order_of_their_final_loss_below_the_dense(signs):
    lines = tables.by_method(signs, ("trace", "final_loss")).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["dense", *METHODS]
    assert lines[0].split()[-3:] == ["trace", "final", "loss"]
    assert lines[2].split() == ["random", "3", "1.1", "1.35"]


def test_a_measure_has_its_value_and_interval_or_a_dash(ranks):
    columns = ("own", "rank", "skill", "error")
    lines = tables.rank_table(ranks, columns, "final_loss all").splitlines()
    assert lines[0].startswith("final loss all, 3 % (15 masks, n = 3)")
    assert lines[1].split() == [
        "trace",
        *["+0.00", "[-0.10", "+0.60]", "+0.30", "[-]", "-", "0.250"],
    ]
    assert lines[2].startswith("linear loss")
    said = tables.student(ranks, "linear_loss", "final_loss all")
    assert said.endswith("Student's interval -0.20 +0.70")


def test_predictions_for_a_method_do_not_depend_on_its_outcomes(signs):
    found = tables.predicted(signs, "linear_loss", "final_loss")
    own = found["method"] == "snip"
    assert found[own]["outcome"].to_numpy() == pytest.approx(np.exp(0.9))
    assert found[own]["predicted"].to_numpy() == pytest.approx(np.exp(0.9))
    rows = signs.rows.copy()
    rows.loc[rows["method"] == "snip", "final_loss"] = 40.0
    other = tables.predicted(Made(rows, STUDY), "linear_loss", "final_loss")
    assert other[own]["predicted"].to_numpy() == pytest.approx(np.exp(0.9))
    assert other[own]["outcome"].to_numpy() == pytest.approx(40.0)
    told = tables.left_out(signs, ("linear_loss", "layers"), "final_loss").splitlines()
    assert told[0].split()[-4:] == ["by", "linear", "loss", "by", "layers"][-4:]
    assert told[3].split()[:3] == ["snip", "2.460", "2.460"]
    plain = tables.predicted(signs, "linear_loss", "accuracy")
    assert plain["outcome"].between(0.5, 0.9).all()


def test_measures_that_order_alike_correlate_fully(signs):
    names = ("trace", "linear_loss", "accuracy", "nearly_empty")
    lines = tables.among(signs, names).splitlines()
    assert lines[2].split()[-2:] == ["+1.00", "+1.00"]
    assert lines[3].split()[-3:] == ["-1.00", "-1.00", "+1.00"]
    assert lines[4].split()[-4:] == ["-"] * 4


def test_what_one_method_makes_is_gone_without_it(signs):
    rows = signs.rows.copy()
    first, last = (rows["method"] == name for name in ("random", "grasp"))
    rows.loc[first, "trace"], rows.loc[last, "trace"] = 9.0, 0.0
    changed = Made(rows, STUDY)
    lines = tables.without(changed, ("trace", "accuracy"), "final_loss").splitlines()
    found = dict(line.split()[:2] for line in lines[1:])
    assert [*found] == ["nothing", *METHODS]
    assert found["nothing"] == "-0.60"
    assert found["random"] == found["grasp"] == "-0.20"
    assert lines[1].split()[2] == "-1.00"


def test_without_rows_every_table_is_the_message():
    for text in (
        tables.by_method(ABSENT, ("trace",)),
        tables.rank_table(ABSENT, ("own",), "final_loss all"),
        tables.student(ABSENT, "trace", "final_loss all"),
        tables.left_out(ABSENT, ("trace",), "final_loss"),
        tables.among(ABSENT, ("trace",)),
        tables.without(ABSENT, ("trace",), "final_loss"),
    ):
        assert text == "signs_mnist: not run"
