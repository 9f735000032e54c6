"""The course: its exercises, their solutions and the capstone, as far as they exist."""

import re

from running import NOTEBOOKS

from website import notebooks

EXERCISES = NOTEBOOKS / "exercises"
FOLDER = "notebooks/exercises"
FACTS = ("objective", "minutes", "points")
OPENING = """# The course

For a master's class: each exercise reproduces, from a few lines of plain PyTorch, what
the notebooks measure. It asks for a prediction first; every part ends with a check that
names the likely mistake. Solutions are public: an answer is worth what its author can
explain.

Work on the notebooks in `notebooks/exercises` of the repository, in the environment of
the project; these pages are for reading.
"""


def students():
    """Names of the exercises whose student copies are there, in order."""
    paths = sorted(EXERCISES.glob("ex[0-9]_*.ipynb"))
    return [p.stem for p in paths if not p.stem.endswith("_solution")]


def solutions():
    """Names of the solutions that are there, in order."""
    return sorted(path.stem for path in EXERCISES.glob("ex[0-9]_*_solution.ipynb"))


def facts(nb):
    """Name to value of the table below an exercise's title."""
    text = "".join(nb["cells"][0]["source"])
    rows = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    if len(rows) < 3:
        return {}
    names, _, cells = ([c.strip() for c in row.split("|")] for row in rows[:3])
    return dict(zip(names, cells, strict=False))


def has_capstone():
    """Whether the capstone's text is there, with a title."""
    path = EXERCISES / "capstone.md"
    return path.exists() and path.read_text(encoding="utf-8").startswith("# ")


def table(names):
    """The exercises with what they are about, how long and for how many points."""
    lines = ["| exercise | about | minutes | points |", "|---|---|---|---|"]
    for name in names:
        nb = notebooks.read(EXERCISES / f"{name}.ipynb")
        found = facts(nb)
        cells = [f"[{notebooks.title(nb)}]({FOLDER}/{name}.ipynb)"]
        cells += [found.get(fact, "-") for fact in FACTS]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def contents(names, solved):
    """The hidden table of contents of the course."""
    entries = [f"{name.replace('_', ' ', 1)} <{FOLDER}/{name}>" for name in names]
    entries += [f"capstone <{FOLDER}/capstone>"] * has_capstone()
    for name in solved:
        short = name.removesuffix("_solution").replace("_", " ", 1)
        entries.append(f"{short}, solution <{FOLDER}/{name}>")
    return ["```{toctree}", ":hidden:", "", *entries, "```", ""] if entries else []


def page():
    """The entry of the course."""
    names, solved = students(), solutions()
    lines = [OPENING]
    lines += table(names) if names else ["The exercises are not written yet.", ""]
    if has_capstone():
        lines += [f"At the end: [the capstone]({FOLDER}/capstone.md).", ""]
    if solved:
        links = [f"[{n.removesuffix('_solution')}]({FOLDER}/{n}.ipynb)" for n in solved]
        lines += [f"Solutions: {', '.join(links)}.", ""]
    return "\n".join(lines + contents(names, solved))


def paths():
    """Page to the file that it is made from, the capstone included."""
    files = [f"{name}.ipynb" for name in students() + solutions()]
    files += ["capstone.md"] * has_capstone()
    return {f"{FOLDER}/{name}": EXERCISES / name for name in files}
