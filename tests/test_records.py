"""Records: identity, settings, load-or-run, provenance and the command line."""

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from records_cases import (
    PROFILES,
    RAN,
    TINY,
    Tiny,
    cells,
    edit,
    empty_repository,
    find,
    go,
    journal_of,
    replay,
    run,
    tree,
)

from paicore import records
from paicore.experiments import Config
from paicore.records.__main__ import main
from paicore.records.journal import decode, encode, opened
from paicore.records.provenance import KEYS
from paicore.records.rows import checked


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_repository(tmp_path, monkeypatch)


# identity


def test_a_run_id_is_method_density_variant_seed():
    cell = {"method": "synflow", "density": 0.03, "seed": 0, "variant": ""}
    assert records.run_id(cell) == "synflow,0.03,,0"
    assert records.run_id({**cell, "density": 1 / 3}) == "synflow,0.333333333,,0"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"method": "a,b"}, ValueError),
        ({"variant": 'a"b'}, ValueError),
        ({"seed": True}, TypeError),
        ({"seed": 0.0}, TypeError),
        ({"density": "0.1"}, TypeError),
        ({"width": 3}, ValueError),
    ],
)
def test_a_cell_that_has_no_clear_id_is_refused(change, error):
    cell = {"method": "synflow", "density": 0.03, "seed": 0, "variant": ""}
    with pytest.raises(error, match="cell"):
        records.run_id({**cell, **change})


def test_the_config_hash_is_that_of_the_fields_that_decide_rows():
    plain = json.dumps({"sizes": [1, 2], "width": 4}, sort_keys=True)
    expected = hashlib.sha256(plain.encode()).hexdigest()
    assert records.config_hash(Tiny()) == expected
    assert records.config_hash(Tiny(seeds=9, only="snip", device="cuda")) == expected
    assert records.config_hash(Tiny(width=5)) != expected
    with pytest.raises(TypeError, match="sizes"):
        records.config_hash(Tiny(sizes={1}))


def test_a_cell_asked_for_twice_is_refused():
    with pytest.raises(ValueError, match=r"snip,0\.1,,0 is asked for twice"):
        records.sweep(lambda cell: [], cells(Tiny()) * 2)


# settings


def test_the_defaults_replay():
    settings = records.settings()
    assert (settings.profile, settings.is_run) == ("best", False)
    assert "replay" in str(settings)
    assert "digits" in str(settings)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"recompute": "true"}, TypeError, "recompute: expected a bool"),
        ({"recompute": 1}, TypeError, "recompute"),
        ({"seeds": "3"}, TypeError, "seeds"),
        ({"seeds": True}, TypeError, "seeds"),
        ({"seeds": -1, "profile": "smoke"}, ValueError, "seeds"),
        ({"profile": "fast"}, ValueError, "profile"),
        ({"recompute": True}, ValueError, "best"),
        ({"seeds": 3}, ValueError, "nothing runs"),
        ({"device": "cpu"}, ValueError, "nothing runs"),
        ({"only": "snip", "profile": "quick"}, ValueError, "nothing runs"),
        ({"device": "mps", "profile": "smoke"}, ValueError, "not supported"),
        ({"device": "tpu", "profile": "smoke"}, ValueError, "device"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given, error, says):
    with pytest.raises(error, match=says):
        records.settings(**given)


def test_smoke_counts_as_a_run_and_gets_a_real_device():
    settings = records.settings(profile="smoke", seeds=2, only="snip")
    assert settings.is_run
    assert settings.device in ("cpu", "cuda")


def test_a_script_takes_its_parameters_from_the_environment(monkeypatch):
    monkeypatch.setenv("PAICORE_PARAMS", '{"profile": "smoke", "seeds": 2}')
    settings = records.settings(profile="best", seeds=0)
    assert (settings.profile, settings.seeds) == ("smoke", 2)
    for text, says in (
        ('{"seed": 2}', r"unknown \['seed'\]"),
        ("[1]", "JSON object"),
        ("profile=smoke", "no JSON"),
    ):
        monkeypatch.setenv("PAICORE_PARAMS", text)
        with pytest.raises(ValueError, match=says):
            records.settings()


# rows


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no rows"),
        ([{"step": 0}], r"missing columns \['loss'\]"),
        ([{"step": 0, "loss": 1.0, "time": 2.0}], r"undeclared \['time'\]"),
        ([{"step": 0, "loss": 1.0}, {"step": 0, "loss": 2.0}], "step occurs twice"),
    ],
)
def test_rows_other_than_declared_are_refused(rows, says):
    with pytest.raises(ValueError, match=says):
        checked("snip,0.1,,0", rows, ("loss",))


def test_rows_hold_plain_numbers_only():
    import numpy as np

    rows = [{"step": np.int64(3), "loss": np.float32(0.5)}]
    assert checked("a", rows, ("loss",)) == [{"step": 3, "loss": 0.5}]
    for bad in (None, [1.0], 1j):
        with pytest.raises(TypeError, match="loss is no number"):
            checked("a", [{"step": 0, "loss": bad}], ("loss",))
    with pytest.raises(TypeError, match="step is an int"):
        checked("a", [{"step": 0.5, "loss": 1.0}], ("loss",))


# sweep and journal


def test_groups_go_to_one_call_and_a_group_resumes_with_what_it_lacks(root):
    calls = []

    def together(group):
        calls.append([records.run_id(cell) for cell in group])
        return [[{"step": 0, "loss": cell["density"]}] for cell in group]

    def key(cell):
        return cell["seed"]

    some = cells(Tiny(seeds=2))
    options = {"group": key, "journal": "build/j.jsonl", "progress": False}
    records.sweep(together, some[:3], **options)
    rows = records.sweep(together, some, **options)
    assert [len(call) for call in calls] == [2, 1, 3, 2]
    assert [row["run"] for row in rows] == [records.run_id(cell) for cell in some]
    assert all(row["loss"] == row["density"] for row in rows)


def test_a_group_that_returns_too_few_is_an_error_that_names_it():
    with pytest.raises(records.SweepStopped, match="expected rows of 2 runs, got 1"):
        records.sweep(lambda group: [[]], cells(Tiny())[:2], group=lambda cell: 0)


def test_any_executor_gives_the_rows_of_none():
    some = cells(Tiny(seeds=4))

    def work(cell):
        return run(Tiny(), cell)

    alone = records.sweep(work, some, progress=False)
    pooled = records.sweep(
        work, some, executor=lambda: ThreadPoolExecutor(3), progress=False
    )
    assert [row["loss"] for row in pooled] == [row["loss"] for row in alone]
    assert [row["run"] for row in pooled] == [row["run"] for row in alone]


def test_progress_is_one_line_per_finished_run_with_the_time_left(capsys):
    some = cells(Tiny())
    records.sweep(lambda cell: run(Tiny(), cell), some)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(some) == 4
    assert lines[0].startswith("1 of 4 snip,0.1,,0 done, about ")
    assert lines[0].endswith(" left")
    assert lines[-1] == "4 of 4 synflow,0.333333333,,0 done"


def test_a_journal_line_is_json_and_any_changed_byte_is_noticed():
    entry = {"run": "a,1,,0", "cell": {}, "rows": [{"loss": math.inf, "step": 0}]}
    line = encode(entry)[:-1]
    assert decode(line) == entry
    assert json.loads(line)["run"] == "a,1,,0"
    for place in range(len(line)):
        broken = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        assert decode(broken) is None
        assert decode(line[:place]) is None


def test_a_line_that_is_whole_but_no_run_is_damaged():
    assert decode(encode({"run": "a,1,,0", "rows": []})[:-1]) is None
    assert decode(encode({"note": 1})[:-1]) is None


def test_of_two_lines_for_one_run_the_first_counts(root):
    path = root / "j.jsonl"
    lines = [{"run": "a,1,,0", "cell": {}, "rows": [{"step": s}]} for s in (1, 2)]
    path.write_bytes(b"".join(map(encode, lines)))
    with opened(path) as journal:
        assert journal.runs["a,1,,0"]["rows"] == [{"step": 1}]


# load or run


def test_nothing_is_run_unasked_and_the_sentence_says_how_and_at_what_cost(root):
    record = replay()
    assert record.rows is None
    assert record.profile == "quick"
    assert record.message == (
        "tiny: not run; `python -m paicore.records run 00_tour tiny --profile quick` "
        "runs it (8 min on 2 CPU cores)."
    )
    assert replay("paper").cost == "4 GPU-h"
    assert RAN == []
    assert tree(root) == {}


def test_a_run_writes_sorted_rows_and_how_they_were_made_below_build_only(root):
    record = go()
    assert record.message.endswith("8 of 8 runs")
    assert {path.relative_to(root).parts[0] for path in tree(root)} == {"build"}
    path = root / "build/figures/00_tour/quick/tiny"
    content = path.with_suffix(".csv").read_bytes()
    lines = content.decode().split("\n")
    assert lines[0] == "run,method,density,seed,step,variant,loss,odd"
    assert lines[1] == '"snip,0.1,,0",snip,0.1,0,0,,0.8,nan'
    assert lines[2] == '"snip,0.1,,0",snip,0.1,0,1,,0.4,nan'
    assert len(lines) == 18
    assert b"\r" not in content
    facts = json.loads(path.with_suffix(".json").read_text())
    assert set(facts) == set(KEYS)
    assert facts["csv_sha256"] == hashlib.sha256(content).hexdigest()
    assert facts["config_hash"] == records.config_hash(PROFILES["quick"])
    assert facts["config"]["sizes"] == [1, 2]
    assert facts["runs"] == {
        "done": 8,
        "asked": 8,
        "resumed": 0,
        "core_complete": True,
        "group": None,
    }


def test_a_record_names_no_machine_and_no_path(root):
    import platform

    go()
    text = (root / "build/figures/00_tour/quick/tiny.json").read_text()
    assert str(root) not in text
    assert str(Path(records.__file__).parents[2]) not in text
    assert len(platform.node()) < 4 or platform.node() not in text


def test_rows_come_back_with_their_types(root):
    rows = go().rows
    assert rows["seed"].dtype.kind == rows["step"].dtype.kind == "i"
    assert rows["loss"].dtype == rows["odd"].dtype == "float64"
    assert rows["odd"].isna().all()
    assert set(rows["variant"]) == {""}
    assert rows["method"].tolist() == sorted(rows["method"])


def test_a_second_run_resumes_and_more_seeds_extend_it(root):
    go()
    assert len(RAN) == 8
    again = go()
    assert len(RAN) == 8
    assert again.provenance["runs"]["resumed"] == 8
    more = go(seeds=3)
    assert len(RAN) == 12
    assert (more.done, more.asked) == (12, 12)
    assert len(more.rows) == 24


def test_smoke_always_computes_afresh(root):
    first, second = go("smoke"), go("smoke")
    assert len(RAN) == 8
    assert first.rows.equals(second.rows)


def test_processes_make_the_same_record(root, monkeypatch):
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", here)
    alone = (go(), (root / "build/figures/00_tour/quick/tiny.csv").read_bytes())[1]
    for journal in (root / "build/journal").rglob("*.jsonl"):
        journal.unlink()
    RAN.clear()
    monkeypatch.setenv("PAICORE_JOBS", "1")
    settings = records.settings(profile="quick", recompute=True, device="cpu")
    records.load_or_run(TINY, settings, executor=records.processes(1), progress=False)
    assert RAN == [], "the runs belong in the worker"
    assert (root / "build/figures/00_tour/quick/tiny.csv").read_bytes() == alone


@pytest.mark.parametrize("text", ["none", "0", "²", "٢", "1.0", ""])
def test_a_number_of_jobs_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("PAICORE_JOBS", text)
    with pytest.raises(ValueError, match="PAICORE_JOBS: expected a number"):
        go()


def test_only_is_a_shard_and_an_unknown_method_an_error(root):
    record = go(only="synflow")
    assert set(record.rows["method"]) == {"synflow"}
    assert (record.done, record.asked) == (4, 8)
    assert not record.provenance["runs"]["core_complete"]
    with pytest.raises(ValueError, match=r"no \['sinflow'\]"):
        go(only="sinflow")
    whole = go(only="snip")
    assert (whole.done, whole.asked) == (8, 8)


def test_a_profile_that_the_experiment_lacks_is_said_in_words_and_runs_nothing(root):
    part = dataclasses.replace(TINY, profiles={"smoke": Tiny(), "quick": Tiny()})
    record = go("paper", part)
    assert record.rows is None and not RAN
    assert "no paper profile but smoke and quick" in record.message
    assert tree(root) == {}


def test_undeclared_values_stop_the_run_and_name_it(root):
    other = dataclasses.replace(TINY, values=("loss",))
    with pytest.raises(records.SweepStopped, match=r"snip,0.1,,0 .*undeclared"):
        go(experiment=other)


def test_a_journal_of_other_columns_is_refused_with_its_name(root):
    go()
    with pytest.raises(ValueError, match=r"build/journal/00_tour/quick/tiny-.*delete"):
        go(experiment=dataclasses.replace(TINY, values=("loss",)))


# committed records


@pytest.fixture
def committed(root):
    """A quick record, promoted."""
    go()
    records.promote()
    RAN.clear()
    return root / "figures/00_tour/quick/tiny.json"


def test_a_committed_record_is_replayed_and_nothing_is_written(committed, root):
    before = tree(root)
    record = replay()
    day = json.loads(committed.read_text())["started"][:10]
    assert record.message == f"tiny: quick record of {day}, 8 of 8 runs"
    assert len(record.rows) == 16
    assert record.config == dataclasses.replace(PROFILES["quick"], device="cpu")
    assert RAN == []
    assert tree(root) == before


def test_best_takes_paper_before_quick(committed):
    go("paper")
    records.promote()
    assert replay().profile == "paper"
    assert replay("quick").profile == "quick"


def test_a_record_of_another_config_is_stale_and_not_shown(committed):
    profiles = {**PROFILES, "quick": Tiny(seeds=2, width=9)}
    record = replay(experiment=dataclasses.replace(TINY, profiles=profiles))
    assert record.rows is None
    assert "stale" in record.message
    assert "--profile quick" in record.message


def test_a_changed_csv_is_not_shown(committed):
    csv = committed.with_suffix(".csv")
    csv.write_bytes(csv.read_bytes().replace(b"0.8", b"0.9"))
    assert replay().rows is None
    assert "CSV is not the one" in replay().message


BROKEN = {
    "half": (b'{"config_hash": "ab', "Unterminated string"),
    "empty": (b"", "Expecting value"),
    "a list": (b"[1]", "it is no dict"),
    "no UTF-8": (b'{"a": "\xff"}', "can't decode byte 0xff"),
    "a key less": (b'{"config": {"seeds": 2}}', "no only in config"),
    "deep": (b"[" * 100_000, "recursion"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_json_that_cannot_be_read_is_not_run_and_named(committed, how):
    content, why = BROKEN[how]
    committed.write_bytes(content)
    record = replay()
    assert record.rows is None
    assert "quick record's JSON cannot be read" in record.message
    assert "(figures/00_tour/quick/tiny.json: " in record.message
    assert why in record.message and "--profile quick` runs it" in record.message


@pytest.mark.parametrize(
    ("key", "why"), [("runs", "no runs in it"), ("started", "no started in it")]
)
def test_a_json_without_what_is_read_of_it_is_named(committed, key, why):
    facts = json.loads(committed.read_text())
    del facts[key]
    committed.write_text(json.dumps(facts))
    assert f"tiny.json: {why})" in replay().message


def test_a_record_without_its_core_is_not_shown(committed):
    lines = committed.with_suffix(".csv").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith('"snip,0.1,'))
    committed.with_suffix(".csv").write_text(text)
    edit(committed, csv_sha256=hashlib.sha256(text.encode()).hexdigest())
    assert replay().rows is None
    assert "not complete" in replay().message


def test_a_record_marked_stale_is_shown_with_its_reason(committed):
    edit(committed, stale="SNIP's batch order was wrong")
    assert len(replay().rows) == 16
    assert replay().message.endswith("(stale: SNIP's batch order was wrong)")


# command line


def test_the_command_line_runs_merges_and_promotes(root, monkeypatch, capsys):
    monkeypatch.setattr("paicore.records.__main__.find", find)
    words = ["run", "00_tour", "tiny", "--profile", "quick", "--seeds", "1"]
    assert main([*words, "--device", "cpu"]) == 0
    assert "4 of 8 runs" in capsys.readouterr().out
    assert main(["run", "00_tour", "none", "--profile", "quick"]) == 1
    assert "it has tiny" in capsys.readouterr().err
    assert main(["merge", str(journal_of(root)), "--out", "build/all.jsonl"]) == 0
    assert "4 runs in" in capsys.readouterr().out
    assert main(["promote"]) == 0
    assert "00_tour/quick/tiny.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--profile", "paper"], "profile: tiny has no paper; it has"),
        (["--profile", "quick", "--jobs", "-2"], "jobs: expected 0 or more, got -2"),
    ],
)
def test_what_cannot_be_run_as_asked_ends_with_an_error(
    root, monkeypatch, capsys, words, says
):
    some = {name: PROFILES[name] for name in ("smoke", "quick")}
    tiny = dataclasses.replace(TINY, profiles=some)
    monkeypatch.setattr("paicore.records.__main__.find", lambda _: {"tiny": tiny})
    assert main(["run", "00_tour", "tiny", *words, "--device", "cpu"]) == 1
    assert says in capsys.readouterr().err
    assert not [*(root / "build").rglob("*.jsonl")]


def test_of_a_whole_notebook_each_experiment_runs_the_methods_it_has(
    root, monkeypatch, capsys
):
    def few(config):
        return [cell for cell in cells(config) if cell["method"] == "snip"]

    later = dataclasses.replace(TINY, name="later", cells=few)
    both = {"tiny": TINY, "later": later}
    monkeypatch.setattr("paicore.records.__main__.find", lambda _: both)
    words = ["run", "00_tour", "--profile", "quick", "--device", "cpu", "--only"]
    assert main([*words, "synflow"]) == 0
    assert "later: left out, it has none of synflow" in capsys.readouterr().out
    made = root / "build/figures/00_tour/quick"
    assert {path.stem for path in made.glob("*.csv")} == {"tiny"}
    assert main([*words, " snip, synflow"]) == 0
    assert "later" in {path.stem for path in made.glob("*.csv")}
    capsys.readouterr()
    assert main([*words, "snip,snipp"]) == 1
    error = capsys.readouterr().err
    assert "only: 00_tour has no ['snipp']; it has snip, synflow" in error
    assert main(["run", "00_tour", "later", *words[2:], "synflow"]) == 1
    assert "only: later has no ['synflow']; it has snip" in capsys.readouterr().err


def test_a_file_in_the_place_of_a_folder_is_an_error_of_one_line(
    root, monkeypatch, capsys
):
    monkeypatch.setattr("paicore.records.__main__.find", find)
    (root / "build").mkdir(exist_ok=True)
    (root / "build" / "journal").write_text("in the way")
    words = ["run", "00_tour", "tiny", "--profile", "quick", "--device", "cpu"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


def test_an_unknown_notebook_is_an_error():
    for name in ("77_nowhere", "tour", "00_"):
        with pytest.raises(ValueError, match="notebook"):
            records.find(name)


def test_the_sweep_modules_need_neither_torch_nor_pandas():
    code = (
        "import sys, types; light = types.ModuleType('paicore');"
        f"light.__path__ = [{os.path.dirname(os.path.dirname(records.__file__))!r}];"
        "sys.modules['paicore'] = light; import paicore.records;"
        "print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert out.stdout.strip() == b"[]"


@dataclasses.dataclass(frozen=True)
class Nested(Config):
    """A config whose data sets stand in its parts."""

    setups: tuple = ({"data": "digits", "net": "mlp"}, {"data": "digits"})


def test_provenance_finds_the_data_sets_wherever_a_config_names_them(root):
    from paicore.records.provenance import provenance

    facts = provenance(TINY, "quick", Nested())
    assert [each["name"] for each in facts["data"]] == ["digits"]
    assert len(facts["data"][0]["fingerprint"]) > 8


def test_a_resumed_run_says_so_and_adds_up_the_time_of_its_legs(root, capsys):
    first = go(seeds=1)
    made = root / "build/figures/00_tour/quick/tiny.json"
    edit(made, wall_seconds=100.0, started="2026-01-02T03:04:05+00:00")
    settings = records.settings(profile="quick", recompute=True, seeds=3, device="cpu")
    second = records.load_or_run(TINY, settings)
    assert f"going on: {first.done} of 12 runs were kept" in capsys.readouterr().out
    assert second.provenance["wall_seconds"] >= 100.0
    assert second.provenance["started"].startswith("2026-01-02")
