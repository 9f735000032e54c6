"""Build, check and mark the course: python notebooks/course.py COMMAND.

build         exercises/src/exN_slug.py -> student copies and solutions, beside src/
check         the committed copies are those that build would write
grade FOLDER  mark a folder of submissions into one CSV (needs nbgrader)

One source per exercise holds text, solution and checks. Its numbers are last year's
unless COURSE_SEED says otherwise: then `build` writes a variant to build/course/SEED/.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

from running import BUILD, KERNEL, NOTEBOOKS, ROOT

EXERCISES = NOTEBOOKS / "exercises"
SEED = 2026  # the seed whose copies are committed
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
ANSWER = "YOUR ANSWER HERE"
# Whoever marks wants the checks as they are on disk, and numbers and tools as they
# were handed out, not as a submission left them in memory: every check starts with
# these lines.
FRESH = """### BEGIN HIDDEN TESTS
import sys
for _name in [_name for _name in sys.modules if _name.startswith("checks")]:
    del sys.modules[_name]
import checks_{short} as check
{ours}
### END HIDDEN TESTS
"""


def exercises():
    """Names of all exercises, in order."""
    return sorted(path.stem for path in EXERCISES.glob("src/ex[0-9]_*.py"))


def choice(options, *key):
    """One of the options, drawn by a hash: the same on every machine."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


def with_numbers(text, name, seed):
    """Text of a numbers cell for a course's seed.

    `SEED` becomes the seed. A line `NAME = value  # one of a | b | c` gets one of them;
    the committed seed keeps the values as they stand. The choice is the lecturer's, so
    students do not see it.
    """

    def replaced(match):
        variable, value, options = match.groups()
        if seed != SEED:
            value = choice(options.split(" | "), seed, name, variable)
        return f"{variable} = {value}"

    text = re.sub(r"^SEED = \d+", f"SEED = {seed}", text, flags=re.MULTILINE)
    return re.sub(r"^(\w+) = (.*?)  # one of (.*)$", replaced, text, flags=re.M)


def metadata(given):
    """nbgrader's metadata of a cell, from the few keys that the source names."""
    found = {"grade": "points" in given, "solution": False} | given
    # A check is restored when somebody has edited it; an answer never is.
    found["locked"] = not found["solution"]
    return found | {"schema_version": 3, "task": False}


def source(name, seed=SEED):
    """The notebook that nbgrader calls source: solutions, checks and hidden tests."""
    import jupytext

    nb = jupytext.read(EXERCISES / "src" / f"{name}.py", fmt="py:percent")
    nb.metadata = type(nb.metadata)(kernelspec=KERNEL)
    for k, cell in enumerate(nb.cells):
        cell["id"] = str(k)
        given = cell.metadata.get("nbgrader", {})
        if given.get("grade_id") == "numbers":
            cell.source = with_numbers(cell.source, name, seed)
        if given:
            cell.metadata = {"nbgrader": metadata(given)}
    return nb


def region(text, what, replace):
    """Replace every region of a kind by `replace(indent, body)`."""
    pattern = rf"^([ \t]*)### BEGIN {what}\n(.*?)^[ \t]*### END {what}(?:\n|\Z)"
    return re.sub(
        pattern,
        lambda match: replace(match[1], match[2]),
        text,
        flags=re.MULTILINE | re.DOTALL,
    ).rstrip("\n")


def stub(cell):
    """What stands in a student's copy instead of a solution."""
    lines = (STUB if cell.cell_type == "code" else ANSWER).split("\n")
    return lambda indent, body: "".join(f"{indent}{line}\n" for line in lines)


def student(nb):
    """The student's copy: stubs for solutions, no hidden tests, checks locked."""
    for cell in nb.cells:
        about = cell.metadata.get("nbgrader", {})
        whole = about.get("solution") and "### BEGIN SOLUTION" not in cell.source
        if whole:
            cell.source = stub(cell)("", "").rstrip("\n")
        cell.source = region(cell.source, "SOLUTION", stub(cell))
        cell.source = region(cell.source, "HIDDEN TESTS", lambda indent, body: "")
        if about.get("locked"):
            cell.metadata |= {"deletable": False, "editable": False}
    return nb


def solution(nb):
    """The solution to read: no markers, no metadata of marking."""
    for cell in nb.cells:
        for what in ("SOLUTION", "HIDDEN TESTS"):
            cell.source = region(cell.source, what, lambda indent, body: body)
        cell.metadata = {}
    return nb


def marking(nb, name):
    """The source with checks taken afresh from disk wherever they give points.

    The locked cells above a check run once more before it: a student's own `DENSITY`
    would otherwise choose the question.
    """
    short, ours = name.split("_")[0], []
    for cell in nb.cells:
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code":
            continue
        if about.get("grade"):
            lines = FRESH.format(short=short, ours="\n\n".join(ours))
            cell.source = lines + cell.source
        elif about.get("locked"):
            ours.append(cell.source)
    return nb


def copies(seed=SEED):
    """File name to text of every notebook that `build` writes."""
    import nbformat

    found = {}
    for name in exercises():
        found[f"{name}.ipynb"] = student(source(name, seed))
        found[f"{name}_solution.ipynb"] = solution(source(name, seed))
    return {file: nbformat.writes(nb) + "\n" for file, nb in found.items()}


def beside():
    """Files that a student gets with the notebooks."""
    return [*sorted(EXERCISES.glob("checks*.py")), EXERCISES / "capstone.md"]


def build(seed):
    """Write student copies and solutions; returns the folder."""
    folder = EXERCISES if seed == SEED else BUILD / "course" / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in copies(seed).items():
        (folder / file).write_text(text, encoding="utf-8", newline="\n")
    for path in beside():
        if folder != EXERCISES:
            shutil.copyfile(path, folder / path.name)
    return folder


def check():
    """Names of committed copies that differ from what `build` would write."""
    wanted = copies()
    there = {path.name for path in EXERCISES.glob("*.ipynb")}
    return sorted(
        file
        for file in there | set(wanted)
        if file not in there
        or file not in wanted
        or (EXERCISES / file).read_text(encoding="utf-8") != wanted[file]
    )


def course_seed(text):
    """The seed of COURSE_SEED; an empty text is the committed one's."""
    if not re.fullmatch("[0-9]{0,9}", text):
        raise ValueError(
            f"COURSE_SEED is a whole number from 0 to 999999999, not '{text}'"
        )
    return int(text or SEED)


def arguments(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("build", "check", "grade"))
    parser.add_argument("folder", nargs="?", type=Path, help="submissions, for grade")
    parser.add_argument("--out", type=Path, default=BUILD / "course" / "marks.csv")
    parser.add_argument("--cell-seconds", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=10.0, help="per submission")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="memory")
    return parser.parse_args(argv)


def main(argv=None):
    """Command line; returns the exit status."""
    args = arguments(argv)
    try:
        seed = course_seed(os.environ.get("COURSE_SEED", ""))
        if args.command == "grade":
            from marking import grade

            return grade(args, seed)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if args.command == "build":
        print(f"course {seed}: {build(seed).relative_to(ROOT)}")
        return 0
    stale = check()
    for file in stale:
        print(f"exercises/{file} is stale: python notebooks/course.py build")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
