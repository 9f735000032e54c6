"""Marking a folder of submissions into one CSV, through nbgrader.

    submissions -> restored notebook -> nbgrader, in a process with limits -> row

Nothing that one submission does stops another's row. It is no prison, though: see
`WARNING`.
"""

import csv

from marking.folder import prepare, submissions
from marking.rows import COLUMNS, row
from marking.worker import Limits, generate, mark

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
        ValueError: nbgrader is missing, or the folder holds no submission.
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
    found = submissions(args.folder)
    limits = Limits(args.cell_seconds, 60 * args.minutes, args.gigabytes)
    print(f"{WARNING}\n{limits}; {len(found)} submissions", flush=True)
    work = args.out.resolve().parent / "paicore_marking"
    changes = prepare(work, found, seed)
    generate(work, sorted({each.exercise for each in found}))
    with args.out.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        out.writeheader()
        for each in found:
            outcome = mark(work, each, limits) if each in changes else None
            line = row(work, each, outcome, changes.get(each, []))
            out.writerow(line)
            file.flush()
            print(" ".join(str(line[c]) for c in COLUMNS), flush=True)
    print(f"marks: {args.out}")
    return 0
