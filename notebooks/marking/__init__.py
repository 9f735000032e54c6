"""Marking a folder of submissions into one CSV, through nbgrader.

    submissions -> restored notebook -> nbgrader, in a process with limits -> row

Nothing that one submission does by accident stops or changes another's row: every one
finds the working folder as the first one did. It is no prison, though: see `WARNING`.
"""

import csv
import sys

from marking.folder import (
    hand_in,
    left_out,
    listed,
    masters,
    prepare,
    refuse_overlap,
    submissions,
)
from marking.rows import COLUMNS, graded, plain, row
from marking.worker import Limits, Outcome, generate, mark

WARNING = """Marking runs the code of strangers with your rights: it can read and delete
your files and use the network. The limits below stop accidents, not intent. Mark in a
container or a virtual machine, or as a user that owns nothing; look at what is odd."""


def grade(args, seed):
    """Mark every submission of a folder; returns the exit status.

    Args:
        args: Namespace with folder, out, cell_seconds, minutes and gigabytes. nbgrader
            works in a folder `paicore_marking` beside `out`, which is emptied first.
        seed: Seed of the course's numbers.

    Returns:
        0 when every submission has its row, whatever became of it.

    Raises:
        ValueError: nbgrader is missing, the folder holds no submission, or marking
            would delete it.
    """
    try:
        import nbgrader  # noqa: F401
    except ImportError:
        raise ValueError(
            "marking needs nbgrader: python -m pip install -c constraints.txt "
            '-e ".[course]", or make grade, which installs it'
        ) from None
    if args.folder is None:
        raise ValueError(
            "grade needs a folder of submissions: make grade SUBMITTED=..."
        )
    work = args.out.resolve().parent / "paicore_marking"
    refuse_overlap(args.folder, work)
    found = submissions(args.folder)
    limits = Limits(args.cell_seconds, 60 * args.minutes, args.gigabytes)
    print(f"{WARNING}\n{limits}; {len(found)} submissions", flush=True)
    if flat := left_out(args.folder):
        say(f"left out, in no student's folder: {plain(listed(flat))}")
    handed = prepare(work, found, seed)
    names = sorted({each.exercise for each in found})
    generate(work, names)
    kept = masters(work)
    sources = {n: graded(work / "source" / n / f"{n}.ipynb") for n in names}
    rows = []
    for each in found:
        text, changes = handed.get(each, ("", []))
        outcome = marked(work, kept, each, text, limits) if each in handed else None
        rows.append(row(work, each, sources[each.exercise], outcome, changes))
        write(args.out, rows)
        say(" ".join(rows[-1].values()))
    print(f"marks: {args.out}")
    return 0


def marked(work, kept, each, text, limits):
    """Put one submission in and mark it; returns an Outcome."""
    try:
        hand_in(work, kept, each, text)
        return mark(work, each, limits)
    except OSError as error:  # what ran before has left something in the way
        return Outcome("failed", f"the folder of marking: {error}")


def write(out, rows):
    """Write all rows so far: the code of strangers may have touched the file."""
    with out.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


def say(text):
    """Print a line that may hold characters which the terminal lacks."""
    code = sys.stdout.encoding or "utf-8"
    print(text.encode(code, "backslashreplace").decode(code), flush=True)
