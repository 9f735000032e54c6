"""Parts of the site's pages: README, links, docstrings, and what a page may load."""

import json
import re
from types import SimpleNamespace

import pytest
from running import NOTEBOOKS
from website import (
    course,
    docstrings,
    ledger,
    links,
    modules,
    notebooks,
    offline,
    readme,
    sources,
    story,
)

NAMES = notebooks.committed()


def in_contents(page):
    """Documents that a page's tables of contents name."""
    blocks = re.findall(r"^```\{toctree\}(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    entries = [line for line in lines if line and not line.startswith(":")]
    return [re.sub(r"^.*<(.*)>$", r"\1", entry) for entry in entries]


def test_constants_are_described_by_what_does_not_change_between_runs():
    assert modules.values({"a": object(), "b": 1}) == "Holds ``a``, ``b``."
    assert modules.values(frozenset("ba")) == "Holds ``a``, ``b``."
    assert modules.values(tuple(range(15))).endswith("``11`` and 3 more.")
    assert modules.values(0.5) == "Is ``0.5``."
    assert modules.values(object()) == "An instance of ``object``."


def test_a_module_belongs_to_the_notebook_with_the_longest_slug(monkeypatch):
    monkeypatch.setattr(modules, "sources", lambda: ["03_training", "31_paths"])
    given = [f"paicore.experiments.{n}" for n in ("paths", "paths_nets", "training_a")]
    found = modules.by_notebook([*given, "paicore.experiments.trainings"])
    assert found["31_paths"] == given[:2]
    assert found["03_training"] == given[2:]
    assert found[""] == ["paicore.experiments.trainings"]


def test_a_function_with_the_name_of_its_file_is_no_module():
    assert modules.imported("from paicore.scores import snip") == {"paicore.scores"}
    assert modules.imported("from paicore.scores.loss import gradients") == {
        "paicore.scores.loss"
    }
    both = modules.imported("import torch\nfrom paicore.kernels import ntk, paths")
    assert both == {"paicore.kernels.ntk", "paicore.kernels.paths"}


def test_a_line_that_is_no_claim_is_refused():
    with pytest.raises(ValueError, match="no claim in the line"):
        ledger.read("* 00_tour K1 without a verdict", lambda notebook: [])


def test_a_claims_text_is_shown_as_it_stands():
    assert links.escaped("a_b |x| *c* [d] $e$") == (r"a\_b \|x\| \*c\* \[d\] \$e\$")


@pytest.mark.parametrize(
    ("target", "folder", "page"),
    [
        ("https://arxiv.org/abs/1", "", "https://arxiv.org/abs/1"),
        ("notebooks/00_tour.ipynb", "", "notebooks/00_tour.ipynb"),
        ("../00_tour.ipynb#setup", "notebooks/exercises", "../00_tour.ipynb"),
        ("notebooks/claims/00_tour.toml", "", "claims/00_tour.md"),
        ("notebooks/claims/00_tour.toml#K3", "", "#00_tour-k3"),
        ("claims/00_tour.toml", "notebooks", "../claims/00_tour.md"),
        ("notebooks/claims/98_none.toml#K3", "", ""),
        ("paicore/seeds.py", "", ""),
        ("#words", "", ""),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(target, folder, page):
    there = {"notebooks/00_tour.ipynb", "claims/00_tour.md"}
    assert links.to_page(target, there, folder) == page


def test_only_links_are_rewritten():
    text = "[a `b`](x.py) `[c](x.py)` $f[t](x)$ ![d](x.svg)\n```\n[e](x.py)\n```\n"
    assert links.rewritten(text, set()) == text.replace("[a `b`](x.py)", "a `b`")


README = """# t

About it.

![alt](figures/a.svg) What it
shows.

## Scorecard

12

## Ten findings

See [K1](notebooks/claims/00_tour.toml#K1).

## Commands

```
## no heading
```

## Words

mask
"""


def test_every_section_of_the_readme_is_on_one_page(monkeypatch):
    sections = readme.sections(README)
    assert list(sections) == ["Scorecard", "Ten findings", "Commands", "Words"]
    assert readme.figure(README) == (
        "figures/a.svg", "![alt](figures/a.svg)", "What it\nshows."
    )  # fmt: skip
    front = story.index_page(README, ["00_tour"], {"claims/00_tour.md", "guide.md"})
    assert "## Ten findings" in front
    assert "[K1](#00_tour-k1)" in front
    assert "## Commands" not in front
    guide = story.guide_page(README)
    assert re.findall("^## .*", guide, re.MULTILINE) == ["## Commands", "## no heading"]


def test_a_readme_without_figure_words_or_findings_gives_pages():
    assert readme.figure("# t\n\nText.\n") == ("", "", "")
    front = story.index_page("# t\n\nText.\n", [], set())
    assert "words" not in in_contents(front)


def test_a_notebook_without_a_question_in_the_readme_shows_its_first_lines():
    text = story.story_page("# t\n", NAMES[:1], {})
    nb = notebooks.read(NOTEBOOKS / f"{NAMES[0]}.ipynb")
    assert notebooks.first_paragraph(nb) in text


def test_links_in_a_notebooks_first_lines_work_from_the_root():
    lines = "# t\n\nAfter [12](12_trainable_depth.ipynb#idea), [a](b.md).\n"
    nb = {"cells": [{"cell_type": "markdown", "source": lines}]}
    assert story.own_words(nb) == (
        "After [12](notebooks/12_trainable_depth.ipynb#idea), [a](b.md)."
    )


def test_the_course_is_a_page_while_exercises_are_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(course, "EXERCISES", tmp_path)
    assert "not written yet" in course.page()
    assert in_contents(course.page()) == []
    (tmp_path / "capstone.md").write_text("", encoding="utf-8")
    cell = "# Exercise 1: a\n\n| objective | minutes |\n|---|---|\n| aim | 60 |\n"
    nb = {"cells": [{"cell_type": "markdown", "source": cell}]}
    (tmp_path / "ex1_a.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    assert in_contents(course.page()) == ["notebooks/exercises/ex1_a"]
    assert "(notebooks/exercises/ex1_a.ipynb) | aim | 60 | - |" in course.page()


def test_plain_text_of_docstrings_is_no_markup():
    text = "Maps (n, *in_shape), |x| and x_ to `y`, not `.z`.".splitlines()
    assert docstrings.of_object(text) == [
        r"Maps (n, \*in_shape), \|x\| and x\_ to `y`, not ``.z``."
    ]
    kept = ["Sum.", "", ".. math:: |a|*b_", "", "Then ``*args``."]
    assert docstrings.of_object(kept) == kept


def test_source_leads_back_to_the_page_that_has_the_anchor():
    used = {"f": "api/b", "g": "api/b"}
    found = {"a.f": SimpleNamespace(docname="api/a"), "b.f": None}
    env = SimpleNamespace(
        get_domain=lambda name: SimpleNamespace(objects=found),
        _viewcode_modules={"a": ("code", {}, used, "a"), "c": False},
    )
    assert sources.lead_back(SimpleNamespace(env=env)) == []
    assert used == {"f": "api/a", "g": "api/b"}


def test_a_layout_in_a_modules_docstring_keeps_its_lines():
    columns = ["``id``      the name", "``says``    a sentence"]
    assert docstrings.of_module(columns)[:3] == [
        ".. code-block:: text",
        "",
        "    id      the name",
    ]
    hanging = ["Keywords", "    a: one", "        and more", "    b: *two"]
    made = docstrings.of_module(hanging)
    assert made == ["Keywords", "", "* a: one and more", r"* b: \*two", ""]
    code = ["Use::", "", "    f(*x)", "", "Then |x|."]
    assert docstrings.of_module(code) == [
        "Use::", "", "    f(*x)", "", r"Then \|x\|.", ""
    ]  # fmt: skip


BAD = [
    '<script src="https://h.org/a.js"></script>',
    '<img srcset="a.png, //h.org/b.png 2x">',
    '<link rel="preload" href="//h.org/a.woff">',
    '<link rel="stylesheet" href="http://h.org/a.css">',
    '<div style="background: url(https://h.org/a.png)">',
    "<style>@import 'https://h.org/a.css';</style>",
    '<script type="module">import x from "https://h.org/x.js"</script>',
    "<script>fetch('https://h.org/x.json')</script>",
    '<meta http-equiv="refresh" content="0; URL=https://h.org">',
    '<svg><use xlink:href="https://h.org/a.svg#b"/></svg>',
    '<iframe src="https://h.org"></iframe>',
]


@pytest.mark.parametrize("text", BAD)
def test_a_fetch_from_a_host_is_found(text, tmp_path):
    (tmp_path / "a.html").write_text(text, encoding="utf-8")
    assert len(offline.complaints(tmp_path)) == 1


def test_links_and_local_files_are_no_fetches(tmp_path):
    fine = (
        '<a href="https://arxiv.org">a</a><img src="a.png"><script src="_static/a.js">'
        '</script><img src="data:image/png;base64,AA//"><link href="a.css">'
        "<code>src='https://h.org'</code>"
    )
    (tmp_path / "a.html").write_text(fine, encoding="utf-8")
    (tmp_path / "a.css").write_text("a { background: url(b.png) }", encoding="utf-8")
    assert offline.complaints(tmp_path) == []
    (tmp_path / "b.css").write_text("@font-face{src:url(//h.org/f)}", encoding="utf-8")
    assert len(offline.complaints(tmp_path)) == 1
