"""The site: nothing is missing, every link leads somewhere, no page asks a host.

The pages are plain functions and are tested without Sphinx; the build itself needs the
extra `docs` and is skipped, with the reason, where it is missing.
"""

import ast
import importlib
import inspect
import json
import posixpath
import re
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import pytest
from running import NOTEBOOKS, ROOT
from website import (
    build,
    ledger,
    links,
    modules,
    offline,
    stage,
)

from paicore.claims.schema import LETTERS
from paicore.claims.verdicts import VERDICTS

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
CLAIMS = sorted(NOTEBOOKS.glob("claims/*.toml"))


@pytest.fixture(scope="module")
def pages():
    """Every page of the site as text."""
    return stage.pages()


def in_contents(page):
    """Documents that a page's tables of contents name."""
    blocks = re.findall(r"^```\{toctree\}(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    entries = [line for line in lines if line and not line.startswith(":")]
    return [re.sub(r"^.*<(.*)>$", r"\1", entry) for entry in entries]


def prose(name, text):
    """Markdown of a page or of a notebook's text cells, without code and formulas."""
    if name.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        text = "\n\n".join(texts)
    return links.HELD.sub("", text)


def test_every_notebook_is_in_the_contents_and_in_the_story(pages):
    contents = in_contents(pages["index.md"])
    assert [e for e in contents if e.startswith("notebooks/")] == [
        f"notebooks/{name}" for name in NAMES
    ]
    linked = re.findall(r"\]\(notebooks/(\w+)\.ipynb\)", pages["story.md"])
    assert linked == NAMES


def test_every_page_is_in_one_table_of_contents(pages):
    found = ["index"]
    for name, text in pages.items():
        if name.endswith(".md"):
            here = posixpath.dirname(name)
            found += [posixpath.join(here, entry) for entry in in_contents(text)]
    assert sorted(found) == sorted(name.rpartition(".")[0] for name in pages)


def test_every_link_between_pages_leads_to_a_page(pages):
    anchors = set(re.findall(r"\{#([\w-]+)\}", "".join(pages.values())))
    lost = []
    for name, text in pages.items():
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", prose(name, text)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            is_anchor = target.startswith("#") and target[1:] in anchors
            if not (target.startswith("http") or is_anchor or path in pages):
                lost.append(f"{name}: {target}")
    assert lost == []


def test_a_notebook_keeps_its_cells_and_leads_to_its_claims(pages):
    name = NAMES[0]
    own = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = json.loads(pages[f"notebooks/{name}.ipynb"])["cells"]
    assert len(shown) == len(own) + 1
    assert f"(../claims/{name}.md)" in shown[1]["source"]
    assert f"(../api/experiments_{name}.md)" in shown[1]["source"]
    assert [c.get("outputs") for c in shown if c["cell_type"] == "code"] == [
        c.get("outputs") for c in own if c["cell_type"] == "code"
    ]


def documented(pages):
    """Modules that the API shows, once for each time."""
    text = "".join(page for name, page in pages.items() if name.startswith("api/"))
    return re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE)


def test_every_package_is_shown_once(pages):
    shown = documented(pages)
    assert len(shown) == len(set(shown))
    found = [*(ROOT / "paicore").glob("*/__init__.py")]
    found += (ROOT / "paicore" / "kernels").glob("*/__init__.py")
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in found}
    assert packages | {"paicore.seeds", "paicore.figures"} <= set(shown)


def test_every_module_that_a_notebook_imports_is_shown(pages):
    shown = set(documented(pages)) | {"paicore"}
    lost = []
    for path in NOTEBOOKS.glob("src/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("paicore"):
                names = [f"{module}.{each.name}" for each in node.names]
                lost += [n for n in names if not {n, module} & shown]
    assert lost == []


def test_every_public_name_has_a_docstring_or_an_entry_of_its_own():
    bare = []
    for name in modules.structural():
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if inspect.isclass(value) or inspect.isroutine(value):
                bare += [f"{name}.{public}"] * (not inspect.getdoc(value))
            elif not inspect.ismodule(value):
                entry = f".. py:data:: {name}.{public}"
                bare += [entry] * (entry not in modules.automodule(name))
    assert bare == []


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_the_ledger_shows_every_claim_once_with_a_verdict(path, pages):
    text = path.read_text(encoding="utf-8")
    stated = [claim["id"] for claim in tomllib.loads(text).get("claim", [])]
    page = pages[f"claims/{path.stem}.md"]
    shown = re.findall(r"^\* - \*\*\[(K\d+)\]\{#([\w-]+)\}\*\* ", page, re.MULTILINE)
    assert [name for name, _ in shown] == stated
    assert [anchor for _, anchor in shown] == [
        f"{path.stem}-{name}".lower() for name in stated
    ]
    verdicts = re.findall(r"^  - \[([a-z ]+)\]\{\.verdict", page, re.MULTILINE)
    assert len(verdicts) == len(stated)
    assert set(verdicts) <= set(VERDICTS)


def test_the_ledger_counts_what_the_scorecard_counts(pages):
    rows = pages["scorecard.md"].split("\n* - ")[2:]
    named = {re.findall(r"\w+", row)[0]: re.findall(r"  - (\d+)", row) for row in rows}
    assert sorted(named) == sorted([*(path.stem for path in CLAIMS), "all"])
    for name in {*named} - {"all"}:
        numbers = zip(named[name], VERDICTS, strict=True)
        said = ", ".join(f"{n} {kind}" for n, kind in numbers if int(n))
        assert f" claims: {said}." in pages[f"claims/{name}.md"]


def test_one_page_has_all_claims_that_did_not_hold(pages):
    whole = "".join(pages[f"claims/{path.stem}.md"] for path in CLAIMS)
    for verdict in ("not reproduced", "direction only"):
        mark = f"  - [{verdict}]{{.verdict"
        assert pages["claims/failed.md"].count(mark) == whole.count(mark)


def test_verdicts_and_letters_are_those_of_the_claims():
    assert tuple(ledger.MEANING) == VERDICTS
    assert set(ledger.LETTERS) == set(LETTERS)
    style = (Path(build.HERE) / "static" / "site.css").read_text(encoding="utf-8")
    assert all(f".verdict.{kind.replace(' ', '-')} " in style for kind in VERDICTS)


def test_the_course_has_the_exercises_that_are_there(pages):
    folder = NOTEBOOKS / "exercises"
    there = [f"notebooks/exercises/{p.stem}" for p in folder.glob("ex[0-9]_*.ipynb")]
    listed = in_contents(pages["course.md"])
    assert sorted(set(listed) - {"notebooks/exercises/capstone"}) == sorted(there)


def test_pages_that_are_no_more_are_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(stage, "pages", lambda: {"a/b.md": "text"})
    monkeypatch.setattr(stage, "files", lambda: {})
    (tmp_path / "old.md").write_text("x", encoding="utf-8")
    assert stage.write(tmp_path) == 1
    assert [p.name for p in tmp_path.rglob("*.md")] == ["b.md"]


def test_a_missing_extra_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    assert build.main([]) == 1
    assert "EXTRAS=docs" in capsys.readouterr().err


@pytest.mark.skipif(bool(build.missing()), reason=build.missing())
def test_the_site_builds_without_a_warning_and_asks_no_host(tmp_path, pages):
    command = [sys.executable, str(NOTEBOOKS / "website"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    html = tmp_path / "html"
    assert offline.complaints(html) == []
    built = {
        p.relative_to(html).with_suffix("").as_posix() for p in html.rglob("*.html")
    }
    assert {name.rpartition(".")[0] for name in pages} <= built
    formulas = (html / "notebooks" / f"{NAMES[0]}.html").read_text(encoding="utf-8")
    assert "../_static/mathjax/tex-chtml.js" in formulas
    assert (html / "_static" / "mathjax" / "tex-chtml.js").exists()
    assert public_names() - inventory(html / "objects.inv") == set()


def public_names():
    """Every exported name of every public package."""
    found = set()
    for name in modules.structural():
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", ())
        found |= {
            f"{name}.{n}" for n in exported
            if not inspect.ismodule(getattr(module, n))
        }  # fmt: skip
    return found


def inventory(path):
    """Names of all objects that the built site describes."""
    head, _, packed = path.read_bytes().partition(b"zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2")
    return {line.split()[0] for line in zlib.decompress(packed).decode().splitlines()}
