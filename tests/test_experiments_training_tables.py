"""The notebook's tables: recipes as read, costs as measured, verdicts as computed."""

import csv
import dataclasses
import json

import pandas
import pytest

from paicore import records, train
from paicore.experiments import training, training_costs, training_papers

NAMES = tuple(train.RECIPES)


def test_every_recipe_is_what_was_read():
    assert set(training_papers.READ) == set(training_papers.SOURCES) == set(NAMES)
    for name in NAMES:
        assert training_papers.differing(name) == [], name


def test_every_number_of_a_recipe_has_a_letter_or_is_the_default():
    default = train.Recipe("sgd", lr=0.1, steps=1)
    for name in NAMES:
        read = training_papers.READ[name]
        assert {each.letter for each in read.values()} <= {"C", "D", "M", "ours"}
        for field in dataclasses.fields(train.Recipe):
            if field.name not in read and field.name not in ("epochs", "steps"):
                held = getattr(train.RECIPES[name], field.name)
                assert held == getattr(default, field.name), (name, field.name)


def test_a_recipe_that_is_not_what_was_read_is_named(monkeypatch):
    changed = dataclasses.replace(train.RECIPES["grasp_vgg19"], weight_decay=1e-4)
    monkeypatch.setitem(training_papers.RECIPES, "grasp_vgg19", changed)
    assert training_papers.differing("grasp_vgg19") == ["weight_decay"]
    assert "differs: ['weight_decay']" in training_papers.table(("grasp_vgg19",))


def test_the_table_shows_what_runs_with_its_letter():
    lines = training_papers.table(("ntk_sap_vgg16", "ntt_supervised")).splitlines()
    table = {line[:14].strip(): line[14:].split() for line in lines}
    assert table["lr"] == ["0.1", "C", "0.001", "C"]
    assert table["weight_decay"] == ["0.0005", "C", "2e-08", "D"]
    assert table["momentum"] == ["0.9", "C", "-"]
    assert table["steps"] == ["-", "42200", "D"]
    assert table["as read"] == ["yes", "yes"]


def bench(path, rows):
    columns = ["case", "n", "repeat", "ours", "rival", "ratio", "floor"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def test_hours_are_steps_times_trainings_times_the_measured_rate(tmp_path):
    ntt, _, ntk_sap = training_costs.FIGURES
    path = tmp_path / "training.csv"
    fitted = [
        {"case": ntt.case, "n": 400, "ours": ours, "ratio": 1.0}
        for ours in (0.6, 0.8, 5.0)
    ]
    idle = {"case": ntk_sap.case, "ratio": "not run"}
    bench(path, [*fitted, idle])
    assert training_costs.seconds_per_step(ntt, path) == pytest.approx(0.002)
    assert training_costs.seconds_per_step(ntk_sap, path) is None
    first, *_, last = training_costs.figures_table(path).splitlines()[1:]
    hours = 0.002 * 42_200 * ntt.trainings / 3600
    assert first.split()[-4:] == ["105", "42200", "2", f"{hours:.3g}"]
    assert last.endswith("not run  not run") and " 62560 " in last
    bench(path, [{"case": ntk_sap.case, "n": 27, "ours": 0.001, "ratio": 20.0}])
    assert training_costs.seconds_per_step(ntk_sap, path) == pytest.approx(0.001)


def test_a_missing_benchmark_is_a_sentence(tmp_path):
    text = training_costs.figures_table(tmp_path / "training.csv")
    assert text.count("not run") == 2 * len(training_costs.FIGURES)
    assert "training.csv is missing" in text


def test_the_records_of_trainings_say_how_long_they_took(tmp_path):
    for name, recipe in (("trained", {"lr": 0.1}), ("scored", None)):
        facts = {
            "config": {"recipe": recipe},
            "runs": {"done": 30},
            "wall_seconds": 600.0,
            "machine": {"jobs": "2"},
        }
        path = tmp_path / "00_tour" / "quick" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts), encoding="utf-8")
    _, line = training_costs.records_table(tmp_path).splitlines()
    assert line.split() == ["00_tour/quick/trained", "30", "2", "10.0", "40.0"]
    assert training_costs.records_table(tmp_path / "none").startswith("not run")


def made(name, rows, **config):
    """Return a record of rows."""
    experiment = training.EXPERIMENTS[name]
    given = dataclasses.replace(experiment.profiles["quick"], **config)
    frame = pandas.DataFrame(rows)
    return records.Record(experiment, "quick", frame, given, {}, 1, 1, "made")


def test_the_verdicts_follow_from_the_interval():
    ends = {"stacked": (-0.1, 0.15), "bf16": (-0.151, 0.1), "half": (-3.0, -2.0)}
    rows = [
        {"method": arm, "seed": 0, "step": k, "difference": k * 0.1,
         "mean": (low + high) / 2, "low": low, "high": high}
        for arm, (low, high) in ends.items() for k in (0, 1)
    ]  # fmt: skip
    text = training.verdicts(made("equivalence", rows, methods=tuple(ends), pairs=2))
    head, *lines = text.splitlines()
    assert head.startswith("n = 2 pairs") and head.endswith("within 0.15 points")
    assert [line.split()[0] for line in lines] == list(ends)
    assert [line.split()[-1] for line in lines] == ["yes", "no", "no"]
    assert [line.split()[-2] for line in lines] == ["1"] * 3
    assert "-3.000 to -2.000" in lines[2]


def test_the_gaps_are_the_worst_over_the_seeds():
    rows = [
        {"method": "resnet", "variant": "float64", "seed": seed, "step": step,
         "gap": (seed + 1) * step * 1e-15}
        for seed in (0, 1) for step in (1, 20)
    ]  # fmt: skip
    config = {"methods": ("resnet",), "checkpoints": (1, 20)}
    head, line = training.gaps(made("engines", rows, **config)).splitlines()
    assert head.split() == ["n", "=", "2,", "steps", "1", "20"]
    assert line.split() == ["resnet", "float64", "2.0e-15", "4.0e-14"]


@pytest.mark.parametrize("name", training.EXPERIMENTS)
def test_the_absent_paper_profile_is_a_sentence(name):
    replay = records.settings(profile="paper")
    record = records.load_or_run(training.EXPERIMENTS[name], replay)
    assert record.rows is None and "no paper profile" in record.message
    show = training.verdicts if name == "equivalence" else training.gaps
    assert show(record) == record.message
