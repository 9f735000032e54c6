"""Every notebook computes its smoke profile, through papermill, within its time."""

import csv
import importlib
import re
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
from form.cells import code_cells, output_text
from running import BUILD, NOTEBOOKS, ROOT, sources

HARD_SECONDS = 120
# ipykernel's own lines; nothing of ours writes to stderr.
QUIET = re.compile(r"TCP without encryption|KeyboardInterrupt")


def git_status():
    """What git sees, or nothing where there is no repository."""
    command = ["git", "status", "--porcelain"]
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        return ""
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def limit(nb):
    """Seconds allowed: three times what the title block states, 60 at least."""
    row = re.search(r"^\|\s*`?smoke`?\s*\|.*?(\d+) s\b", nb.cells[0].source, re.M)
    assert row, "the title's smoke row states no seconds"
    return min(HARD_SECONDS, max(60, 3 * int(row[1])))


def check_outputs(nb):
    """No cell fails, and none writes to stderr what nobody has allowed."""
    outputs = [o for cell in code_cells(nb) for o in cell.outputs]
    assert [o for o in outputs if o.output_type == "error"] == []
    text = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert [s for s in text.splitlines() if s and not QUIET.search(s)] == []


def check_records(folder, name):
    """Every declared experiment leaves its rows, and how they were made."""
    experiments = importlib.import_module(f"paicore.experiments.{name[3:]}").EXPERIMENTS
    assert experiments
    for key, experiment in experiments.items():
        with (folder / f"{key}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows, f"{key} has no rows"
        fixed = {"run", "method", "density", "seed", "step", "variant"}
        assert fixed | set(experiment.values) <= set(rows[0])
        assert (folder / f"{key}.json").exists()


def check_figures(folder, nb):
    """Every figure that a cell saves is there, named after its rows."""
    drawn = [path.stem for path in folder.glob("*.svg")]
    assert len(drawn) >= sum(c.source.count("figures.save(") for c in code_cells(nb))
    stems = [path.stem for path in folder.glob("*.csv")]
    for figure in drawn:
        assert any(f"{figure}_".startswith(f"{stem}_") for stem in stems), figure


def check_claims(nb, name):
    """A notebook with claims shows their table."""
    shown = "\n".join(output_text(cell) for cell in code_cells(nb))
    if (NOTEBOOKS / "claims" / f"{name}.toml").exists():
        assert re.search(r"^id +quantity .*verdict", shown, re.MULTILINE)


@pytest.mark.parametrize("name", sources())
def test_smoke_leaves_records_figures_and_claims_and_nothing_else(name):
    folder = BUILD / "figures" / name / "smoke"
    shutil.rmtree(folder, ignore_errors=True)
    before, started = git_status(), time.monotonic()
    command = [sys.executable, str(NOTEBOOKS / "build.py"), "reproduce", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout + done.stderr
    assert git_status() == before
    nb = nbformat.read(BUILD / "notebooks" / f"{name}.ipynb", as_version=4)
    check_outputs(nb)
    check_records(folder, name)
    check_figures(folder, nb)
    check_claims(nb, name)
    assert seconds <= limit(nb)


def test_there_is_a_notebook_to_run():
    assert sources(), "notebooks/src is empty"
