"""One call of a sweep: what a worker gets, and the plain data that come back.

Errors and rows are made plain where they arise. An object that a worker can pickle and
the driver cannot unpickle would break the whole pool of workers, and a row that JSON or
UTF-8 cannot hold would be found only when the record is written.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Entry = tuple[str, dict, list[dict]]  # run id, cell, rows


class RunError(RuntimeError):
    """What a run raised, with its traceback as text."""


@dataclass(frozen=True)
class Failure:
    """An error as text, the same from a worker and from here.

    Attributes:
        reason: Its type and message.
        trace: Its traceback.
    """

    reason: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Describe an error; what UTF-8 cannot hold is escaped."""
        trace = "".join(traceback.format_exception(error))
        texts = (f"{type(error).__name__}: {error}", trace)
        return cls(
            *(text.encode("utf-8", "backslashreplace").decode() for text in texts)
        )


@dataclass(frozen=True)
class Call:
    """The function of a sweep, behind the check of its rows.

    Attributes:
        run: Cell to its rows; grouped: list of cells to the list of their rows.
        grouped: Which of the two.
    """

    run: Callable
    grouped: bool

    def __call__(self, cells: Mapping[str, dict]) -> "list[Entry] | Failure":
        """Run the cells (run id to cell) of one call; return their checked rows.

        A run that calls ``sys.exit`` has failed; it does not end the sweep.

        Returns:
            The entries, or why there are none.
        """
        try:
            return self._entries(cells)
        except (Exception, SystemExit) as error:
            return Failure.of(error)

    def _entries(self, cells: Mapping[str, dict]) -> list[Entry]:
        """Run and check."""
        given = [dict(cell) for cell in cells.values()]
        results = self.run(given) if self.grouped else [self.run(*given)]
        if not isinstance(results, list):
            kind = type(results).__name__
            raise TypeError(f"run: expected a list of the runs' rows, got a {kind}")
        if len(results) != len(cells):
            text = f"run: expected rows of {len(cells)} runs, got {len(results)}"
            raise ValueError(text)
        pairs = zip(cells.items(), results, strict=True)
        return [(name, cell, plain(name, cell, rows)) for (name, cell), rows in pairs]


def plain(run: str, cell: Mapping, rows: list[Mapping]) -> list[dict]:
    """Return the rows of one run as a journal gives them back.

    Args:
        run: Run id, for the message.
        cell: The run's cell, whose names its rows must leave free.
        rows: List of mappings from texts to what JSON and UTF-8 can hold.

    Returns:
        The rows after a way through JSON.

    Raises:
        TypeError: No list of mappings with texts as keys, or a value is no JSON.
        ValueError: A row holds a name of the cell, or a text that is no UTF-8.
    """
    if not isinstance(rows, list):
        kind = type(rows).__name__
        raise TypeError(f"run {run}: expected a list of rows, got a {kind}")
    for row in rows:
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            text = f"run {run}: expected rows of texts to values, got {row!r}"
            raise TypeError(text)
        if taken := sorted({"run", *cell} & set(row)):
            raise ValueError(f"run {run}: a row holds {taken}, which name the run")
    try:
        text = json.dumps([dict(row) for row in rows], ensure_ascii=False)
        text.encode("utf-8")
    except TypeError as error:
        raise TypeError(f"run {run}: a row is no JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"run {run}: a row is no JSON in UTF-8: {error}") from error
    return json.loads(text)
