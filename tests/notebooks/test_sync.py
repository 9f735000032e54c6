"""Sources and committed notebooks agree; sources are plain scripts."""

import ast
import subprocess
import sys

import nbformat
import pytest
import readme
from form import difference
from running import NBSTRIPOUT, NOTEBOOKS, convert, sources


def test_every_committed_notebook_has_a_source():
    assert {p.stem for p in NOTEBOOKS.glob("*.ipynb")} == set(sources())


@pytest.mark.parametrize("name", sources())
def test_the_notebook_is_built_from_its_source(name):
    nb = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert difference(convert(name), nb) == []


@pytest.mark.parametrize("name", sources())
def test_the_notebook_carries_no_clutter(name):
    path = NOTEBOOKS / f"{name}.ipynb"
    command = [sys.executable, "-m", *NBSTRIPOUT, "--verify", str(path)]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("name", sources())
def test_the_source_is_a_script_without_pairing(name):
    text = (NOTEBOOKS / "src" / f"{name}.py").read_text(encoding="utf-8")
    ast.parse(text)
    assert "formats:" not in text.split("# %%")[0]


def test_the_readme_shows_the_scorecard_of_the_committed_records():
    text = readme.README.read_text(encoding="utf-8")
    assert readme.with_scorecard(text) == text
    assert "| notebook | reproduced |" in text
    edited = text.replace("| notebook | reproduced |", "| notebook | perfect |")
    assert readme.with_scorecard(edited) == text
