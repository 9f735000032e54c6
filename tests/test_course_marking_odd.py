"""Marking what nobody expects: odd files, folders and names, and code that destroys."""

import argparse
import csv
import json
import os
import shutil
import sys
import types

import course
import marking
import nbformat
import pytest
from course_cases import run
from marking.folder import Submission, clear, left_out, read, submissions
from marking.restore import grade_id, restored
from marking.rows import CALL, graded, plain, row
from marking.worker import Outcome, answered, is_linux

NAME = "ex1_masks"
KNOWING = """DENSITY, SEED = 1.0, 0


def random_scores(sizes, seed):
    return {"layer0": torch.ones(sizes[1], sizes[0])}"""


def release():
    return course.student(course.source(NAME))


@pytest.mark.parametrize("about", ["x", None, [1], 3, {"grade_id": ["a"]}, {}])
def test_metadata_of_any_kind_gives_no_name(about):
    nb = release()
    for cell in nb.cells:
        cell.metadata["nbgrader"] = about
    assert {grade_id(cell) for cell in nb.cells} == {None}
    _, found = restored(nb, release())
    assert "top_k was missing" in found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("M\udcfcller", r"M\udcfcller"),
        ("a\x00b\nc\r\td\x1b[0m", "a b c  d [0m"),
        ("=1\n", "'=1 "),
        ("Zoë 张", "Zoë 张"),
    ],
)
def test_a_row_holds_any_text_in_one_line(text, shown):
    assert plain(text) == shown
    assert plain(text).encode("utf-8").isascii() == shown.isascii()


def hand_in(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(nbformat.writes(release()), encoding="utf-8")


def test_files_under_other_names_are_named(tmp_path):
    hand_in(tmp_path, "anna/my_ex1.ipynb", "anna/ex1_masks (1).ipynb")
    hand_in(tmp_path, "bert/EX1_masks.ipynb", "bert/ex2_saliency.IPYNB")
    hand_in(tmp_path, "carl/ex1_masks.ipynb", "carl/old/ex1_masks.ipynb")
    hand_in(tmp_path, "dora/.ipynb_checkpoints/a.ipynb", "dora/__MACOSX/b.ipynb")
    found = {each.student: each for each in submissions(tmp_path)}
    assert found["anna"].others == ("ex1_masks (1).ipynb", "my_ex1.ipynb")
    assert found["bert"].others == ("EX1_masks.ipynb", "ex2_saliency.IPYNB")
    assert found["carl"].others == ("old/ex1_masks.ipynb",)
    assert found["carl"].path == tmp_path / "carl" / "ex1_masks.ipynb"
    assert found["dora"].others == ()
    assert {n for n, each in found.items() if each.path} == {"carl"}
    line = row(tmp_path, found["anna"], sources()[NAME], None, [])
    assert (line["points"], line["of"], line["status"]) == ("0", "12", "not handed in")
    assert line["reason"] == "no file; not marked: ex1_masks (1).ipynb, my_ex1.ipynb"


def test_many_other_notebooks_are_counted():
    each = Submission("a", NAME, None, "s0", tuple(f"{k}.ipynb" for k in range(7)))
    assert row(None, each, {}, None, [])["reason"] == "no file"  # nothing to gain
    line = row(None, each, sources()[NAME], None, [])
    assert line["reason"].endswith("3.ipynb, 4.ipynb and 2 more")


def sources():
    """Exercise to its graded cells, as `grade` reads them."""
    nb = course.marking(course.source(NAME), NAME)
    abouts = [cell.metadata.get("nbgrader", {}) for cell in nb.cells]
    pairs = zip(abouts, nb.cells, strict=True)
    return {NAME: {a["grade_id"]: cell for a, cell in pairs if a.get("grade")}}


def test_what_lies_flat_is_left_out_and_said(tmp_path):
    hand_in(tmp_path, "ex1_masks.ipynb", "anna.zip", "__MACOSX/b/ex1_masks.ipynb")
    (tmp_path / ".DS_Store").write_text("")
    with pytest.raises(ValueError, match=r"there is __MACOSX, anna\.zip, ex1_masks"):
        submissions(tmp_path)
    hand_in(tmp_path, "anna/ex1_masks.ipynb")
    assert left_out(tmp_path) == ["__MACOSX", "anna.zip", "ex1_masks.ipynb"]
    assert [each.student for each in submissions(tmp_path)] == ["anna"]


def test_a_folder_with_a_notebooks_name_hides_no_file(tmp_path):
    hand_in(tmp_path, "anna/ex1_masks.ipynb/ex1_masks.ipynb")
    (found,) = submissions(tmp_path)
    assert found.path == tmp_path / "anna/ex1_masks.ipynb/ex1_masks.ipynb"


def test_a_mark_of_byte_order_and_broken_outputs_are_no_fault(tmp_path):
    nb = json.loads(nbformat.writes(release()))
    code = next(cell for cell in nb["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "text": 5}]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8-sig")
    assert [cell.source for cell in read(path).cells] == [
        cell.source for cell in release().cells
    ]
    code["source"] = "\ud800"
    path.write_text(json.dumps(nb), encoding="utf-8")
    assert read(path) is None
    assert read(tmp_path) is None


@pytest.mark.parametrize("text", ["1234567890", "9" * 300, "٢٠٢٧", "1\n", " 1"])
def test_a_course_seed_that_no_generator_takes_is_refused(text):
    with pytest.raises(ValueError, match="COURSE_SEED is a whole number from 0 to 999"):
        course.course_seed(text)


def test_course_seeds_reach_up_to_nine_digits():
    assert course.course_seed("") == course.SEED
    assert course.course_seed("999999999") == 999_999_999


@pytest.fixture
def own_checks():
    """Give the checks that were imported before back to the other tests."""
    before = {n: m for n, m in sys.modules.items() if n.startswith("checks")}
    yield
    for name in [name for name in sys.modules if name.startswith("checks")]:
        del sys.modules[name]
    sys.modules.update(before)


def test_numbers_and_tools_of_a_students_own_do_not_choose_the_question(own_checks):
    nb = course.solution(course.source(NAME))
    names = [grade_id(cell) for cell in course.source(NAME).cells]
    marked = sources()[NAME]
    for cell, name in zip(nb.cells, names, strict=True):
        if name == "my_number":
            cell.source = "def my_number(scores, density):\n    return 1.0"
        elif name in marked and cell.cell_type == "code":
            cell.source = marked[name].source
    nb.cells.insert(names.index("my_number"), nbformat.v4.new_code_cell(KNOWING))
    _, cells = run(nb)
    failed = [(cell.source, error) for cell, error, _ in cells if error]
    assert len(failed) == 1
    assert "check.number(" in failed[0][0]
    assert type(failed[0][1]).__name__ == "Mistake"


@pytest.mark.parametrize("name", course.exercises())
def test_what_runs_again_before_a_check_is_no_check(name):
    nb, before = course.marking(course.source(name), name), course.source(name)
    for cell, old in zip(nb.cells, before.cells, strict=True):
        assert cell.source.endswith(old.source)
        assert len(CALL.findall(cell.source)) == len(CALL.findall(old.source))
    last = [c.source for c in nb.cells if "check.number(" in c.source]
    assert len(last) == 1 and "\nSEED = " in last[0]
    visible = course.student(nb).cells
    assert [c.source for c in visible] == [
        c.source for c in course.student(course.source(name)).cells
    ]


def files(work):
    found = {p.relative_to(work): p for p in work.rglob("*")}
    return {str(n): p.read_bytes() for n, p in found.items() if p.is_file()}


def destroy(work):
    """What a submission can do to the folder that it is marked in, and worse."""
    for path in work.glob("submitted/*/*/*.ipynb"):
        path.write_text("{}")
    (work / "gradebook.db").unlink()
    (work / "gradebook.db-journal").write_text("x")
    (work / "nbgrader_config.py").write_text("x")
    (work / "source" / NAME / "torch.py").write_text("x")
    (work / "source" / NAME / "checks_ex1.py").write_text("x")
    for key in ("s0000", "s0001", "s0002"):
        planted = work / "submitted" / key / NAME / "torch.py"
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text("x")
    (work / "autograded").write_text("in the way")
    (work / "submitted").chmod(0)
    if is_linux():
        shutil.rmtree(work / "source")
        (work / "source").symlink_to(work.parent)


@pytest.fixture
def grading(tmp_path, monkeypatch):
    """Mark three submissions of one student each, without nbgrader."""
    hand_in(tmp_path / "in", *(f"in_{n}/ex1_masks.ipynb" for n in "abc"))
    out = tmp_path / "marks.csv"
    limits = {"cell_seconds": 1, "minutes": 1, "gigabytes": 1}
    monkeypatch.setitem(sys.modules, "nbgrader", types.ModuleType("nbgrader"))
    monkeypatch.setattr(
        marking, "generate", lambda work, n: (work / "gradebook.db").write_text("book")
    )

    def grade(mark, folder=tmp_path / "in"):
        monkeypatch.setattr(marking, "mark", mark)
        args = argparse.Namespace(folder=folder, out=out, **limits)
        assert marking.grade(args, course.SEED) == 0
        with out.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return grade


def test_what_one_submission_destroys_the_next_finds_whole(grading, tmp_path):
    seen = []

    def mark(work, each, limits):
        seen.append({n.replace(each.key, "KEY"): t for n, t in files(work).items()})
        destroy(work)
        (tmp_path / "marks.csv").write_text("")
        return Outcome("failed", "over")

    rows = grading(mark)
    assert [line["student"] for line in rows] == ["in_a", "in_b", "in_c"]
    assert {line["reason"] for line in rows} == {"over"}
    assert os.path.join("submitted", "KEY", NAME, f"{NAME}.ipynb") in seen[0]
    assert seen[0]["gradebook.db"] == b"book"
    assert seen[0] == seen[1] == seen[2]
    assert (tmp_path / "in" / "in_a").is_dir()


def test_a_folder_that_is_gone_stops_nobody(grading):
    def mark(work, each, limits):
        assert (work / "gradebook.db").read_text() == "book"
        clear(work)
        work.write_text("in the way")
        return Outcome("marked")

    rows = grading(mark)
    assert [line["status"] for line in rows] == ["failed"] * 3
    assert all("no result to read: " in line["reason"] for line in rows)


def test_what_cannot_be_undone_is_a_reason(grading, monkeypatch):
    def refused(*arguments):
        raise PermissionError("not yours")

    monkeypatch.setattr(marking, "hand_in", refused)
    assert {line["reason"] for line in grading(None)} == {
        "the folder of marking: not yours"
    }


@pytest.mark.parametrize("place", [".", "paicore_marking", "paicore_marking/a/b"])
def test_submissions_that_marking_would_delete_are_refused(grading, tmp_path, place):
    hand_in(tmp_path / place, "in_a/ex1_masks.ipynb")
    with pytest.raises(ValueError, match="which marking empties"):
        grading(None, tmp_path / place)
    assert (tmp_path / place / "in_a" / "ex1_masks.ipynb").exists()


def test_a_result_without_one_of_its_checks_counts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("marking.rows.points_of", lambda work, each: {})
    each = Submission("a", NAME, tmp_path, "s0")
    nb = course.marking(course.source(NAME), NAME)
    nb.cells = [cell for cell in nb.cells if grade_id(cell) != "scopes_check"]
    path = tmp_path / "autograded" / "s0" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)
    assert "scopes_check" not in graded(path)
    line = row(tmp_path, each, sources()[NAME], Outcome("marked"), [])
    assert (line["points"], line["status"]) == ("0", "failed")
    assert line["reason"] == "no result to read: ValueError: without scopes_check"


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcfc"])
def test_an_answer_that_was_overwritten_is_none(tmp_path, text):
    raw = text.encode("utf-8", "surrogateescape")
    (tmp_path / "log.json").write_bytes(raw)
    assert answered(tmp_path / "log.txt") == {}
