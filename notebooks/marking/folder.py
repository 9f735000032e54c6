"""Submissions in a folder, and the folder that nbgrader works in."""

import os
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
        others: The student's notebooks that are no exercise by name, as text.
    """

    student: str
    exercise: str
    path: Path | None
    key: str
    others: tuple = ()


def is_student(path):
    """Whether what lies in the folder of submissions is a student's folder."""
    return os.path.isdir(path) and not path.name.startswith((".", "__"))


def left_out(folder):
    """Names of what lies in a folder of submissions without belonging to a student."""
    there = [p for p in folder.iterdir() if p.name[0] != "." and not is_student(p)]
    return sorted(path.name for path in there)


def notebooks(student):
    """Paths of a student's notebooks, the least deep in folders first."""
    found = [
        path
        for path in student.rglob("*")
        if path.suffix.lower() == ".ipynb"
        and os.path.isfile(path)
        and not any(p.startswith((".", "__")) for p in path.relative_to(student).parts)
    ]
    return sorted(found, key=lambda path: (len(path.parts), path))


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
    students = sorted(path for path in folder.iterdir() if is_student(path))
    names = {f"{name}.ipynb": name for name in course.exercises()}
    found, others = {}, {}
    for student in students:
        for path in notebooks(student):
            key = student.name, names.get(path.name)
            if key[1] and key not in found:
                found[key] = path
            else:
                text = path.relative_to(student).as_posix()
                others[student.name] = (*others.get(student.name, ()), text)
    asked = sorted({exercise for _, exercise in found})
    if not asked:
        there = [f"{name}/{text}" for name, texts in others.items() for text in texts]
        there = listed([*there, *left_out(folder)])
        raise ValueError(
            f"no submission in '{folder}': expected STUDENT/exN_slug.ipynb, for "
            f"example anna/{course.exercises()[0]}.ipynb"
            + (f"; there is {there}" if there else "")
        )
    return [
        Submission(
            student.name,
            name,
            found.get((student.name, name)),
            f"s{k:04d}",
            others.get(student.name, ()),
        )
        for k, student in enumerate(students)
        for name in asked
    ]


def listed(names, most=5):
    """A few of some names in one line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse_overlap(folder, work):
    """Refuse submissions that marking would delete.

    Raises:
        ValueError: the folder of submissions is, holds or lies in `work`.
    """
    folder, work = folder.resolve(), work.resolve()
    if folder == work or folder in work.parents or work in folder.parents:
        raise ValueError(f"submissions lie in or above {work}, which marking empties")


def prepare(work, found, seed):
    """Make an empty course folder with sources, and restore the submissions.

    Of a submission the notebook alone is taken, so a checks file of the student's own
    does not even get near. It stays in memory until its turn: on disk, the code of
    those before it could change it.

    Args:
        work: The folder; what is in it is removed.
        found: List of Submission.
        seed: Seed of the course's numbers.

    Returns:
        dict from each submission that is a notebook to a pair: the text of the restored
        notebook, and what was restored in it.
    """
    clear(work)
    releases = {}
    for name in sorted({each.exercise for each in found}):
        target = work / "source" / name
        target.mkdir(parents=True)
        for path in course.EXERCISES.glob("checks*.py"):
            shutil.copyfile(path, target / path.name)
        nb = course.marking(course.source(name, seed), name)
        nbformat.write(nb, target / f"{name}.ipynb")
        releases[name] = course.student(course.source(name, seed))
    handed = {}
    for each in found:
        nb = read(each.path)
        if nb is not None:
            nb, changes = restored(nb, releases[each.exercise])
            handed[each] = nbformat.writes(nb), changes
    return handed


def masters(work):
    """What marking starts from: gradebook and sources, path in `work` to content."""
    paths = [work / "gradebook.db", *sorted((work / "source").rglob("*"))]
    return {p.relative_to(work): p.read_bytes() for p in paths if p.is_file()}


def hand_in(work, kept, each, text):
    """Undo what the submissions before did to the folder, and put one in.

    Args:
        work: The folder.
        kept: What `masters` found before anything ran.
        each: The Submission.
        text: Its notebook.
    """
    if work.is_symlink() or not work.is_dir():
        clear(work)
    work.mkdir(parents=True, exist_ok=True)
    results = [work / name for name in ("autograded", "logs", "release")]
    for path in work.iterdir():
        if path not in results or path.is_symlink() or not path.is_dir():
            clear(path)
    clear(work / "autograded" / each.key / each.exercise)
    name = f"{each.exercise}.ipynb"
    own = Path("submitted") / each.key / each.exercise / name
    for path, content in (kept | {own: text.encode("utf-8")}).items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)


def clear(path):
    """Remove a file, a link or a folder, if it is there, whatever its rights."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for root, folders, _ in os.walk(path):
        for inner in (Path(root, name) for name in folders):
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(path)


def read(path):
    """A submitted notebook without its outputs, or None where the file is none."""
    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.validate(nb)
        nbformat.writes(nb).encode("utf-8")  # half of a surrogate pair cannot be kept
    # Whatever is wrong with a stranger's file, it is no notebook.
    except Exception:
        return None
    return nb
