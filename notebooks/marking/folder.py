"""Submissions in a folder, and the folder that nbgrader works in."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import course
import nbformat

from marking.restore import restored


@dataclass(frozen=True)
class Submission:
    """One notebook of one student.

    Attributes:
        student: Name of the student's folder.
        exercise: Name of the exercise.
        path: The file, or None where there is none.
        key: Name that nbgrader gets: folders of students may hold any characters.
    """

    student: str
    exercise: str
    path: Path | None
    key: str


def submissions(folder):
    """Find FOLDER/STUDENT/.../exN_slug.ipynb, sorted by student and exercise.

    Every student gets a row for each exercise that anybody has handed in, so that a
    missing file is seen. Of two files of one name the one less deep in folders counts.

    Args:
        folder: Folder of submissions.

    Returns:
        List of Submission.

    Raises:
        ValueError: the folder is none, or nothing in it is a submission.
    """
    if not folder.is_dir():
        raise ValueError(f"SUBMITTED names a folder of submissions, not '{folder}'")
    students = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    found = {}
    for student in students:
        for path in sorted(student.rglob("*.ipynb"), key=lambda p: (len(p.parts), p)):
            hidden = any(part[0] == "." for part in path.relative_to(folder).parts)
            if path.stem in course.exercises() and not hidden:
                found.setdefault((student.name, path.stem), path)
    asked = sorted({exercise for _, exercise in found})
    if not asked:
        raise ValueError(
            f"no submission in '{folder}': expected STUDENT/exN_slug.ipynb, for "
            f"example anna/{course.exercises()[0]}.ipynb"
        )
    return [
        Submission(student.name, name, found.get((student.name, name)), f"s{k:04d}")
        for k, student in enumerate(students)
        for name in asked
    ]


def prepare(work, found, seed):
    """Make an empty course folder with sources and restored submissions.

    Of a submission the notebook alone is taken, so a checks file of the student's own
    does not even get near.

    Args:
        work: The folder; what is in it is removed.
        found: List of Submission.
        seed: Seed of the course's numbers.

    Returns:
        dict from each submission that is a notebook to what was restored in it.
    """
    shutil.rmtree(work, ignore_errors=True)
    releases = {}
    for name in sorted({each.exercise for each in found}):
        target = work / "source" / name
        target.mkdir(parents=True)
        for path in course.EXERCISES.glob("checks*.py"):
            shutil.copyfile(path, target / path.name)
        nb = course.marking(course.source(name, seed), name)
        nbformat.write(nb, target / f"{name}.ipynb")
        releases[name] = course.student(course.source(name, seed))
    changes = {}
    for each in found:
        nb = read(each.path)
        if nb is None:
            continue
        nb, changes[each] = restored(nb, releases[each.exercise])
        target = work / "submitted" / each.key / each.exercise
        target.mkdir(parents=True)
        nbformat.write(nb, target / f"{each.exercise}.ipynb")
    return changes


def read(path):
    """A submitted notebook, or None where the file is none."""
    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(nb)
    # Whatever is wrong with a stranger's file, it is no notebook.
    except Exception:
        return None
    return nb
