"""What the tests of the course share: running an exercise, and its wrong answers."""

import contextlib
import importlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import course

FOLDER = Path(__file__).resolve().parent / "course"


@dataclass(frozen=True)
class Wrong:
    """A wrong answer by name, and what the check has to say about it.

    Attributes:
        check: Name of the check.
        says: Part of the message.
        answer: The student's function, or a number.
    """

    check: str
    says: str
    answer: object


def load(name):
    """Import a module of the exercises' folder or of the wrong answers."""
    for folder in (course.EXERCISES, FOLDER):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return importlib.import_module(name)


def run(nb):
    """Run a notebook's code cells in one namespace; go on after errors.

    Returns:
        Pair of the namespace and a list of (cell, error or None, printed text).
    """
    load("checks")
    space, found = {"__name__": "__main__"}, []
    for cell in nb.cells:
        if cell.cell_type == "code":
            out, failure = io.StringIO(), None
            with contextlib.redirect_stdout(out):
                try:
                    exec(compile(cell.source, "cell", "exec"), space)
                # Whatever a student's copy raises is what the test looks at.
                except Exception as error:
                    failure = error
            found.append((cell, failure, out.getvalue()))
    return space, found


def take_memory(log):
    """In a process of its own: ask for more memory than the limit; say what happens."""
    from marking.worker import limit_memory

    limit_memory(1.0)
    refused = False
    try:
        bytearray(4 * 2**30)
    except MemoryError:
        refused = True
    log.with_suffix(".json").write_text(json.dumps({"refused": refused}))
