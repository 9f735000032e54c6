"""Environment files agree, commands exist, and the set-up repairs and explains."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import setup
import stages
import tasks
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# A machine's own places, and hosts that a clone elsewhere may not reach.
FOREIGN = re.compile(
    r"(?<![\w.:/<>])/(?:home|Users|root|tmp|work|mnt|content)/\w"
    r"|https?://[\w.:-]*(?:pypi|pythonhosted|simple|mirror|index|download\.pytorch)"
    r"|--(?:extra-)?index-url|--find-links"
)


def names(requirements):
    """Bounds by name of a list of requirement strings."""
    return {r.name: r.specifier for r in map(Requirement, requirements)}


def pins():
    """Version by lower-case name from constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and line[0] != "#"]
    return {name.lower().replace("_", "-"): version for name, version in pinned}


def environment_yml():
    """Channels, conda packages and pip requirements of environment.yml."""
    text = (ROOT / "environment.yml").read_text()
    channels, packages = text.split("dependencies:")
    entries = re.findall(r"^( +)- (?!pip:)(\S+.*)$", packages, re.MULTILINE)
    conda = [value for indent, value in entries if len(indent) == 2]
    return (
        re.findall(r"- (\S+)", channels),
        conda,
        [v for i, v in entries if len(i) > 2],
    )


def tracked():
    """Text files that git tracks, or a skip where there is no repository."""
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("no git repository")
    command = ["git", "ls-files", "-z"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in out.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_environment_yml_equals_pyproject():
    channels, conda, pip = environment_yml()
    assert channels == ["conda-forge", "nodefaults"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == [*PROJECT["dependencies"], "-e ."]


def test_constraints_are_exact_and_say_where_they_are_from():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert re.search(r"Python 3\.\d+, \d{4}-\d\d-\d\d", lines[0])
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pinned)


@pytest.mark.parametrize("group", ["dependencies", "test", "cluster"])
def test_constraints_pin_every_requirement_inside_its_bounds(group):
    optional = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] if group == "dependencies" else optional[group]
    for name, bounds in names(wanted).items():
        assert bounds.contains(pins()[name.lower()]), name


def test_readme_commands_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    # At the start of a line or of inline code; prose may "make sense".
    asked = set(re.findall(r"(?:^ *|`|\$ )make ([a-z]+)", text, re.MULTILINE))
    assert {"reproduce", "test"} <= asked
    asked |= set(re.findall(r"\.ci[/\\]tasks\.py ([a-z]+)", text))
    assert asked <= set(tasks.TASKS)


def test_makefile_and_tasks_have_the_same_targets():
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^TASKS = (.*)$", text, re.MULTILINE)[1].split()
    assert {"help", *targets} == set(tasks.TASKS)
    assert all(re.search(rf"^  {name} ", tasks.HELP, re.M) for name in targets)


@pytest.mark.parametrize("name", ["setup.py", "tasks.py", "stages.py"])
def test_an_old_python_can_at_least_read(name):
    source = (ROOT / ".ci" / name).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))


def test_ci_calls_make_test_and_nothing_else():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[:2] == ["#!/usr/bin/env bash", "set -euo pipefail"]
    assert lines[2:] == ['cd "$(dirname "$0")/.."', "make test"]


def test_no_tracked_file_names_a_registry_or_a_place_of_one_machine():
    found = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="ignore")
        hits = FOREIGN.findall(text) if path.name != "test_environment.py" else []
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in hits]
    assert found == []


def test_the_foreign_pattern_finds_what_it_is_for():
    bad = ["open('/" + "home/me')", "-f https://mirror.example", "--index-url x"]
    fine = ["a/tmp/b", "https://arxiv.org/abs/2002.08797", "and/or", "</root>"]
    assert all(FOREIGN.search(text) for text in bad)
    assert not any(FOREIGN.search(text) for text in fine)


def test_torch_and_torchvision_import_as_a_pair():
    code = "import torch, torchvision; torchvision.ops.nms"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tset"], "unknown task 'tset'"),
        (["test", "PROFILE=best"], "unknown PROFILE 'best'; there are smoke"),
        (["figures", "ONLY=98"], "unknown notebook '98'"),
        (["test", "JOBS=0"], "JOBS is a whole number"),
        (["test", "JOB=2"], "unknown variable 'JOB'"),
        (["test", "VENV=env"], "VENV is .venv or none"),
        (["setup", "VENV=none", "EXTRAS=test,nope"], "unknown EXTRAS 'nope'; there"),
        (["clean", "FORCE=0"], "FORCE is 1 or nothing, not '0'"),
        (["clean", "FORCE"], "'FORCE' is no NAME=value word"),
    ],
)
def test_an_unknown_name_or_value_is_one_sentence_and_status_2(arguments, says, capsys):
    assert tasks.main(arguments, 0.0) == 2
    assert says in capsys.readouterr().err


def test_make_gives_the_same_sentence():
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    command = ["make", "test", "PROFILE=best", f"PYTHON={sys.executable}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown PROFILE 'best'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_python_no_venv_and_a_full_disk_are_explained(monkeypatch, tmp_path):
    assert "3.11 or newer is needed, this one is 3.9" in setup.python_problem((3, 9, 2))
    assert setup.python_problem((3, 11, 0)) == setup.python_problem((3, 14, 0)) == ""
    monkeypatch.setattr(setup, "NEEDED_GB", 1e9)
    assert "GB of free disk" in setup.disk_problem(tmp_path)
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: None)
    assert "apt install python3-venv" in setup.venv_problem()
    assert "tasks.py test VENV=none" in setup.venv_problem()


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    """A repository whose set-up records its commands instead of running them."""
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "LOG", tmp_path / "build" / "setup.log")
    monkeypatch.setattr(setup, "works", lambda python: python.exists())
    monkeypatch.setattr(setup, "NEEDED_GB", 0)
    calls = []

    def run(command, sentence):
        calls.append(" ".join(map(str, command)))
        if "-m venv" in calls[-1]:
            setup.interpreter(command[-1]).parent.mkdir(parents=True)
            setup.interpreter(command[-1]).touch()

    monkeypatch.setattr(setup, "run", run)
    return tmp_path, calls


def test_a_second_set_up_does_nothing(sandbox):
    _, calls = sandbox
    setup.ensure()
    assert len(calls) == 4
    setup.ensure()
    assert len(calls) == 4


def test_an_interrupted_set_up_is_repaired_without_a_new_environment(sandbox):
    root, calls = sandbox
    setup.ensure()
    (root / ".venv" / ".ready").unlink()
    setup.ensure()
    assert len(calls) == 7
    assert not any("-m venv" in call for call in calls[4:])


def test_a_failing_repair_leaves_no_stamp(sandbox, monkeypatch):
    root, _ = sandbox
    setup.ensure()

    def fail(command, sentence):
        raise setup.SetupError(sentence)

    monkeypatch.setattr(setup, "run", fail)
    (root / "constraints.txt").write_text("y")
    with pytest.raises(setup.SetupError, match="is the network reachable"):
        setup.ensure()
    assert not (root / ".venv" / ".ready").exists()


def test_new_pins_install_again_and_extras_are_kept(sandbox):
    root, calls = sandbox
    setup.ensure(["cluster"])
    assert ".[test,cluster]" in calls[2]
    (root / "constraints.txt").write_text("y")
    setup.ensure()
    assert ".[test,cluster]" in calls[-2]
    assert len(calls) == 7


def test_an_unknown_extra_is_refused(sandbox):
    with pytest.raises(setup.SetupError, match="unknown extra 'gpu'"):
        setup.ensure(["gpu"])


def test_a_failing_command_becomes_a_sentence_and_its_last_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "LOG", tmp_path / "build" / "setup.log")
    code = "print('noise'); print('ERROR: no route'); raise SystemExit(1)"
    with pytest.raises(setup.SetupError) as caught:
        setup.run([sys.executable, "-c", code], "pip failed.")
    assert str(caught.value) == "pip failed. The last lines were:\n  ERROR: no route"


def test_a_stage_is_stopped_when_the_time_is_over():
    code = "import time; print('3 passed in 1s', flush=True); time.sleep(60)"
    status, counts = stages.stream([sys.executable, "-c", code], None, 1.5)
    assert status != 0
    assert counts == {"passed": 3}


def run_stages(monkeypatch, codes):
    """Run the stages with scripts in their place; returns the exit status."""
    made = [(f"s{k}", [["-c", code]]) for k, code in enumerate(codes)]
    monkeypatch.setattr(stages, "stages", lambda jobs: made)
    return stages.test(sys.executable, "2", stages.time.monotonic())


def test_the_last_line_sums_the_runs_in_pytests_form(monkeypatch, capfd):
    texts = ["All checks passed!", "2 passed, 1 skipped in 0.1s", "5 passed in 3.0s"]
    assert run_stages(monkeypatch, [f"print({text!r})" for text in texts]) == 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"==== 7 passed, 1 skipped in \d+\.\d\ds ====", last)


def test_the_first_failing_stage_stops_the_run(monkeypatch, capfd):
    codes = ["print('1 failed in 2s'); raise SystemExit(1)", "print('never')"]
    assert run_stages(monkeypatch, codes) == 1
    out = capfd.readouterr().out
    assert "never" not in out
    assert out.splitlines()[-1] == "1 failed in 2s"


def test_more_than_the_limit_in_total_fails(monkeypatch, capfd):
    monkeypatch.setattr(stages, "LIMIT_SECONDS", 0)
    assert run_stages(monkeypatch, ["print('1 passed in 1s')"]) == 1
    assert "stopped: more than" in capfd.readouterr().out


@pytest.fixture
def half_done(tmp_path, monkeypatch):
    """A root with a committed record of two runs, and the journal of its runs."""
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    committed = tmp_path / "figures" / "00_tour" / "quick"
    committed.mkdir(parents=True)
    (committed / "a.json").write_text('{"config_hash": "12345678ff"}')
    rows = [f'"snip,0.1,,{seed}",snip,{seed}' for seed in (0, 0, 1)]
    (committed / "a.csv").write_text("\n".join(["run,method,seed", *rows]) + "\n")
    journal = tmp_path / "build" / "journal" / "00_tour" / "quick" / "a-12345678.jsonl"
    journal.parent.mkdir(parents=True)
    lines = [json.dumps({"check": "", "run": f"snip,0.1,,{seed}"}) for seed in (0, 1)]
    journal.write_text("\n".join([*lines, '{"check": "torn']))
    return journal


def test_clean_removes_a_journal_whose_runs_are_all_committed(half_done):
    assert tasks.clean(tasks.DEFAULTS) == 0
    assert not half_done.exists()


@pytest.mark.parametrize("how", ["more runs", "other config", "no JSON", "no rows"])
def test_clean_keeps_a_journal_with_runs_that_are_not_committed(half_done, how, capsys):
    root, journal = half_done.parents[4], half_done
    committed = root / "figures" / "00_tour" / "quick"
    if how == "more runs":
        with journal.open("a") as file:
            file.write('\n{"check": "", "run": "snip,0.1,,2"}\n')
    elif how == "other config":  # the same run ids, but other numbers
        journal = journal.rename(journal.with_name("a-87654321.jsonl"))
    else:
        (committed / {"no JSON": "a.json", "no rows": "a.csv"}[how]).write_text("[1]")
    assert tasks.not_promoted(root) == [journal]
    assert tasks.main(["clean"], 0.0) == tasks.main(["clean", "FORCE="], 0.0) == 1
    assert journal.exists()
    assert tasks.main(["clean", "FORCE=1"], 0.0) == 0
    assert not journal.exists()


def test_clean_keeps_runs_that_are_not_promoted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    rows = tmp_path / "build" / "figures" / "00_tour" / "quick" / "a.csv"
    rows.parent.mkdir(parents=True)
    rows.write_text("1")
    assert tasks.not_promoted(tmp_path) == [rows]
    assert tasks.clean(tasks.DEFAULTS) == 1
    assert rows.exists()
    assert "make promote" in capsys.readouterr().out
    promoted = tmp_path / "figures" / "00_tour" / "quick"
    shutil.copytree(rows.parent, promoted)
    assert tasks.clean(tasks.DEFAULTS) == 0
    assert not rows.exists()
    assert (promoted / "a.csv").exists()
