"""The committed notebooks keep the form, and every rule of the form can fail."""

import nbformat
import pytest
from form import RULES, complaints, difference, outputs, source, text
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from running import NOTEBOOKS, sources

PARAMETERS = """profile: str = "best"  # which record
recompute: bool = False  # run it
seeds: int = 0  # repetitions
device: str = "auto"  # where
only: str = ""  # methods"""
TITLE = """# A title

| profile | time |
|---|---|
| smoke | 9 s |
| quick | b |
| paper | c |"""


def code(text, *tags, printed=""):
    """A code cell, with text on stdout if asked."""
    cell = new_code_cell(text, metadata={"tags": list(tags)})
    if printed:
        cell.outputs = [new_output("stream", name="stdout", text=printed)]
    return cell


def notebook(*cells):
    """A notebook of Markdown (str) and code cells, with execution counts 1 to N."""
    made = [new_markdown_cell(c) if isinstance(c, str) else c for c in cells]
    counted = [cell for cell in made if cell.cell_type == "code"]
    for k, cell in enumerate(counted, 1):
        cell.execution_count = k
    return new_notebook(cells=made)


def good():
    """A small notebook without a complaint, in the short form."""
    checked = [code(f"print({k})", outputs.CHECKED, printed=f"0.12{k}") for k in "123"]
    return notebook(
        TITLE,
        "## Question\n\n" + "word " * 1300,
        "## Setup",
        code("import math"),
        code(PARAMETERS, "parameters"),
        code("print(profile)", "settings", printed="best"),
        "## By hand",
        code("def twice(x):\n    return 2 * x"),
        checked[0],
        "## Result\n\nThe value is 0.123.",
        checked[1],
        checked[2],
        "## What to remember",
    )


def changed(change):
    """The good notebook after a change in place."""
    nb = good()
    change(nb)
    return nb


def cell_set(index, **fields):
    """A change that sets fields of one cell of the good notebook."""
    return lambda nb: nb.cells[index].update(fields)


def output(index, made):
    """A change that gives one cell one output."""
    return lambda nb: nb.cells[index].outputs.append(made)


def stream(text, name="stdout"):
    """A stream output."""
    return new_output("stream", name=name, text=text)


def data(**kinds):
    """A display output with the given mime types."""
    return new_output("display_data", data={k.replace("__", "/"): "x" for k in kinds})


ERROR = new_output("error", ename="ValueError", evalue="x", traceback=[])
SVG = new_output("display_data", data={"image/svg+xml": "x"})
HTML = data(text__html="x")
BY_HAND, PLAIN, LAST = 7, 8, 11

BAD = [
    (source.plain_python, cell_set(3, source="%matplotlib inline")),
    (source.plain_python, cell_set(3, source="!ls")),
    (source.plain_python, cell_set(3, source="  ")),
    (source.semicolons, cell_set(PLAIN, source="print(1);")),
    (source.parameters, cell_set(4, source=PARAMETERS.replace("seeds: int", "seeds"))),
    (source.parameters, cell_set(4, source=PARAMETERS.replace("= 0", "= 1 - 1"))),
    (source.parameters, cell_set(4, source=PARAMETERS.replace("= 0", "= False"))),
    (source.parameters, cell_set(4, source=PARAMETERS + "\nwidth: int = 3  # w")),
    (source.parameters, cell_set(4, source=PARAMETERS.replace("  # where", ""))),
    (source.parameters, cell_set(4, source=PARAMETERS.split("\n", 1)[1])),
    (source.parameters, cell_set(4, metadata={"tags": []})),
    (source.lengths, cell_set(PLAIN, source="print(1)\n" * 31)),
    (source.lengths, lambda nb: nb.cells.extend(code("x = 1") for _ in range(41))),
    (
        source.lengths,
        lambda nb: nb.cells.extend(code("x = 1\n" * 29) for _ in "a" * 11),
    ),
    (source.definitions, cell_set(LAST, source="def late():\n    return 1")),
    (source.definitions, cell_set(LAST, source="class Late:\n    x = 1")),
    (source.definitions, cell_set(BY_HAND, source="def f():\n    return 1\n" * 4)),
    (source.network, cell_set(3, source="import requests")),
    (source.network, cell_set(3, source="from urllib.request import urlopen")),
    (outputs.counts, cell_set(3, execution_count=None)),
    (outputs.counts, cell_set(3, execution_count=5)),
    (outputs.checked_cells, cell_set(LAST, outputs=[])),
    (outputs.checked_cells, cell_set(LAST, outputs=[stream(" \n")])),
    (outputs.checked_cells, cell_set(LAST, metadata={})),
    (outputs.clean_outputs, output(LAST, ERROR)),
    (outputs.clean_outputs, output(LAST, stream("oops", name="stderr"))),
    (outputs.clean_outputs, output(LAST, HTML)),
    (outputs.clean_outputs, output(LAST, SVG)),
    (outputs.volatile_outputs, output(LAST, stream("<f at 0x7f3a2b1c>"))),
    (outputs.volatile_outputs, output(LAST, stream("at 12:34:56"))),
    (outputs.volatile_outputs, output(LAST, stream("saved /" + "home/me/x.csv"))),
    (outputs.volatile_outputs, output(LAST, stream("saved C:" + "\\Users\\x"))),
    (outputs.volatile_outputs, cell_set(3, source="open('/" + "home/me/x')")),
    (outputs.no_traces, lambda nb: nb.metadata.update(papermill={})),
    (outputs.no_traces, lambda nb: nb.metadata.update(widgets={})),
    (outputs.no_traces, cell_set(3, metadata={"papermill": {}})),
    (outputs.no_traces, cell_set(3, metadata={"tags": ["injected-parameters"]})),
    (outputs.no_traces, cell_set(3, metadata={"tags": ["hide-input"]})),
    (outputs.no_traces, cell_set(3, metadata={"jupyter": {"source_hidden": True}})),
    (outputs.size, output(LAST, stream("x" * 400_000))),
    (text.words, cell_set(1, source="## Question\n\n" + "word " * 900)),
    (text.words, cell_set(1, source="## Question\n\n" + "word " * 3100)),
    (text.words, cell_set(9, source="\U0001f389")),
    (text.rhythm, lambda nb: nb.cells.insert(LAST, code("x = 1"))),
    (text.title, cell_set(0, source=TITLE.replace("# A", "A"))),
    (text.title, cell_set(0, source=TITLE.replace("| quick", "| later"))),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_has_no_complaint(rule):
    assert rule(good()) == []


def test_the_good_notebook_passes_the_rules_that_need_its_name():
    assert complaints(good(), "00_tour") == []


@pytest.mark.parametrize(("rule", "change"), BAD, ids=lambda v: v.__name__)
def test_each_rule_finds_a_deliberate_violation(rule, change):
    assert rule(changed(change))


def test_no_rule_is_without_a_violation():
    assert {rule for rule, _ in BAD} == set(RULES)


def test_long_cells_of_imports_parameters_and_settings_are_exempt():
    nb = notebook(code("import math\n" * 31), code("print(1)\n" * 31, "settings"))
    assert source.lengths(nb) == []


@pytest.mark.parametrize(
    "heading", ["Question", "Setup", "By hand", "What to remember"]
)
def test_the_short_anatomy_misses_each_heading(heading):
    def rename(nb):
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace(f"## {heading}", "## Else")

    assert text.anatomy(good(), "01_traps") == []
    assert text.anatomy(changed(rename), "01_traps")


def test_the_paper_anatomy_wants_its_headings_in_order():
    names = [f"## {name}" for name in text.PAPER_ANATOMY]
    names[4:5] = ["## Experiment 1: a", "## Experiment 2: b"]
    assert text.anatomy(notebook(*names), "10_robust_pruning") == []
    assert text.anatomy(notebook(*reversed(names)), "10_robust_pruning")
    assert text.anatomy(good(), "10_robust_pruning")
    swapped = [*names[:4], names[5], names[4], *names[6:]]
    assert text.anatomy(notebook(*swapped), "10_robust_pruning")


@pytest.mark.parametrize(
    ("prose", "printed", "claims", "complains"),
    [
        ("accuracy 97.3 %", "97.3", "", False),
        ("accuracy 97.3 %", "97.31", "", True),
        ("accuracy 97.3 %", "197.3", "", True),
        ("accuracy 97.3 %", "", "value = 97.3", False),
        ("accuracy 97.3.", "none", "", True),
        ("density 0.05 or 3.5", "none", "", False),
        ("density 0.125", "none", "", True),
        ("torch 2.15.0, arXiv 2006.08228", "none", "", False),
        ("[link](https://x.org/12.345)", "none", "", False),
    ],
)
def test_numbers_in_prose_stand_in_an_output_or_claim(
    prose, printed, claims, complains
):
    nb = notebook(prose, code("print()", printed=printed))
    assert bool(text.numbers_in_prose(nb, claims)) is complains


@pytest.mark.parametrize("field", ["source", "cell_type", "metadata"])
def test_a_difference_in_text_type_or_tags_is_seen(field):
    other = {"source": "x = 2", "cell_type": "markdown", "metadata": {"tags": ["a"]}}
    assert difference(good(), good()) == []
    assert difference(good(), changed(cell_set(3, **{field: other[field]})))
    assert difference(good(), changed(lambda nb: nb.cells.pop()))


def test_there_are_notebooks():
    assert sources(), "notebooks/src is empty"


@pytest.mark.parametrize("name", sources())
def test_the_committed_notebook_keeps_the_form(name):
    nb = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    claims = NOTEBOOKS / "claims" / f"{name}.toml"
    known = claims.read_text(encoding="utf-8") if claims.exists() else ""
    assert complaints(nb, name, known) == []
