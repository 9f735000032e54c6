"""Marking: every submission gets its row, whatever it does."""

import csv
import importlib.util
import sys
import time

import course
import nbformat
import pytest
from course_cases import take_memory
from marking.folder import submissions
from marking.restore import grade_id, restored
from marking.rows import plain, reasons
from marking.worker import in_process, is_linux

NAME = "ex1_masks"
needs_nbgrader = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None,
    reason="nbgrader is not installed: pip install -c constraints.txt -e '.[course]'",
)
LOOP = """import time


def smallest_count(scores):
    while True:
        time.sleep(1)"""
ENDED = "import os\n\n\ndef smallest_count(scores):\n    os._exit(0)"
SIGN = """def top_k(scores, k):
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[torch.argsort(scores, stable=True)[:k]] = True
    return keep"""


def release():
    return course.student(course.source(NAME))


def answered(**changes):
    """A student's copy with all answers right, but for some cells by grade_id."""
    nb, right = release(), course.source(NAME)
    for cell, model in zip(nb.cells, right.cells, strict=True):
        name = grade_id(cell)
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = course.region(model.source, "SOLUTION", lambda i, body: body)
        cell.source = changes.get(name, cell.source)
    return nb


def rewritten():
    """No answers, and checks that pass anyway: edited, deleted, replaced in memory."""
    patch = "check.effective = lambda *a, **k: print('effective: correct')"
    number = "check.number = lambda *a, **k: print('your number: correct')"
    nb = release()
    for cell in nb.cells:
        if grade_id(cell) == "top_k_check":
            cell.source = "print('top_k: correct')"
        if grade_id(cell) == "effective":
            cell.source = f"effective = None\n{patch}"
        if grade_id(cell) == "my_number":
            cell.source = f"my_number = lambda *a: 0.5\n{number}"
    nb.cells = [cell for cell in nb.cells if grade_id(cell) != "scopes_check"]
    return nb


SUBMISSIONS = {
    "right": answered,
    "empty": release,
    "wrong_sign": lambda: answered(top_k=SIGN),
    "endless_loop": lambda: answered(smallest_count=LOOP),
    "checks_rewritten": rewritten,
    "kernel_ended": lambda: answered(smallest_count=ENDED),
    "broken_file": None,
}


ROWS = {  # points of 12, points by hand, status, part of the reason
    "right": (12, 3, "marked", "all checks passed"),
    "empty": (0, 0, "marked", "top_k: not done; scopes: not done; smallest"),
    "wrong_sign": (5, 3, "marked", "top_k: top_k with k = 3: kept and pruned are"),
    "endless_loop": (10, 3, "marked", "smallest_count: still running when its"),
    "checks_rewritten": (0, 0, "marked", "restored: top_k_check was rewritten"),
    "kernel_ended": (0, 0, "kernel ended", "the code ended its own kernel"),
    "broken_file": (0, 0, "not a notebook", "cannot be read as a notebook"),
}


def hand_in(folder):
    """Write the seven submissions, one with a checks file of its own."""
    for student, make in SUBMISSIONS.items():
        path = folder / student / "handed in" / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        text = nbformat.writes(make()) if make else '{"cells": ['
        path.write_text(text, encoding="utf-8")
    own = folder / "checks_rewritten" / "handed in" / "checks_ex1.py"
    own.write_text("top_k = global_masks = layerwise_masks = print")


# One test, so that two workers do not mark at the same time.
@needs_nbgrader
def test_seven_submissions_have_their_seven_rows(tmp_path, capsys):
    hand_in(tmp_path / "submitted")
    out = tmp_path / "marks.csv"
    limits = ["--cell-seconds", "20", "--gigabytes", "3"]
    command = ["grade", str(tmp_path / "submitted"), "--out", str(out), *limits]
    assert course.main(command) == 0
    assert "runs the code of strangers" in " ".join(capsys.readouterr().out.split())
    with out.open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(ROWS)
    for student, (points, by_hand, status, reason) in ROWS.items():
        row = rows[student]
        assert (float(row["points"]), float(row["of"])) == (points, 12), row
        assert (float(row["by_hand"]), row["status"]) == (by_hand, status), row
        assert reason in row["reason"]
    compare_with_nbgrader(
        tmp_path / "paicore_marking" / "release" / NAME / f"{NAME}.ipynb"
    )


def compare_with_nbgrader(path):
    """The student's copy is what nbgrader itself would hand out."""
    theirs, ours = nbformat.read(path, as_version=4).cells, release().cells
    assert [cell.source for cell in theirs] == [cell.source for cell in ours]
    for a, b in zip(theirs, ours, strict=True):
        about = dict(a.metadata.get("nbgrader", {}))
        about.pop("checksum", None)
        about.pop("cell_type", None)
        assert about == b.metadata.get("nbgrader", {})


def test_a_restored_notebook_is_the_release_with_the_students_answers():
    theirs = answered()
    theirs.cells = [c for c in theirs.cells if grade_id(c) != "prediction"]
    theirs.cells.insert(9, nbformat.v4.new_code_cell("mine = 1"))
    nb, found = restored(theirs, release())
    assert found == ["prediction was missing"]
    own = [k for k, cell in enumerate(nb.cells) if cell.source == "mine = 1"]
    assert len(own) == 1
    right = answered()
    for k, cell in enumerate(c for c in nb.cells if c.source != "mine = 1"):
        if grade_id(cell) != "prediction":
            assert cell.source == right.cells[k].source


def test_a_notebook_without_metadata_has_lost_everything_and_says_so():
    theirs = answered()
    for cell in theirs.cells:
        cell.metadata = {}
    _, found = restored(theirs, release())
    assert "top_k was missing" in found and "top_k_check was missing" in found


def checked(text, error=None):
    """A check's cell after it ran."""
    cell = nbformat.v4.new_code_cell("check.top_k(top_k)\ncheck.top_k(top_k, seed=3)")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    if error:
        cell.outputs.append(nbformat.v4.new_output("error", **error))
    return {"top_k_check": cell}


@pytest.mark.parametrize(
    ("text", "error", "points", "reason"),
    [
        ("top_k: correct\ntop_k: correct\n", None, 2.0, []),
        ("top_k: correct\n", None, 0.0, ["top_k: passed without its line of output"]),
        ("", {"ename": "Mistake", "evalue": "swapped"}, 0.0, ["top_k: swapped"]),
        ("", {"ename": "KeyError", "evalue": "1"}, 0.0, ["top_k: KeyError: 1"]),
        ("", {"ename": "CellTimeoutError"}, 0.0, ["top_k: still running when"]),
    ],
)
def test_a_check_counts_only_if_it_says_so(text, error, points, reason):
    total, found = reasons(checked(text, error), {"top_k_check": (2.0, False)})
    assert total == points
    assert len(found) == len(reason)
    assert all(part in text for part, text in zip(reason, found, strict=True))


def test_a_student_without_a_file_gets_a_row_too(tmp_path):
    for student in ("anna", "=cmd()"):
        (tmp_path / student).mkdir()
    (tmp_path / "anna" / f"{NAME}.ipynb").write_text("")
    (tmp_path / "anna" / "notes.ipynb").write_text("")
    found = submissions(tmp_path)
    assert [(each.student, each.path is None) for each in found] == [
        ("=cmd()", True), ("anna", False)
    ]  # fmt: skip
    assert plain(found[0].student) == "'=cmd()"


def test_a_folder_without_submissions_is_refused(tmp_path):
    (tmp_path / "anna").mkdir()
    with pytest.raises(ValueError, match=r"expected STUDENT/exN_slug\.ipynb"):
        submissions(tmp_path)
    with pytest.raises(ValueError, match="SUBMITTED names a folder"):
        submissions(tmp_path / "none")


def test_without_nbgrader_marking_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    assert course.main(["grade", str(tmp_path)]) == 2
    assert "make grade, which installs it" in capsys.readouterr().err


def test_a_process_that_takes_too_long_is_ended(tmp_path):
    started = time.monotonic()
    assert in_process(time.sleep, (300,), tmp_path / "log.txt", 1.0) is None
    assert time.monotonic() - started < 100


@pytest.mark.skipif(not is_linux(), reason="only Linux limits private memory")
def test_memory_beyond_the_limit_is_refused(tmp_path):
    log = tmp_path / "log.txt"
    assert in_process(take_memory, (log,), log, 100.0) == {"refused": True}
