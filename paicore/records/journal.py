"""The journal of a sweep: one checked JSON line per finished run, append only.

A line is ``{"check": "<12 hex digits>", "run": id, "cell": {...}, "rows": [...]}``;
the check is the start of the SHA-256 of what follows it. Each line is one write to a
file opened for appending, then fsync, so a kill can only tear the last line, and a
torn line is cut off when the journal is opened again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from paicore.records.lock import locked

_HEAD = b'{"check": "'
_CHECK = 12  # hex digits
_BODY = len(_HEAD) + _CHECK + len(b'", ')


@dataclass
class Journal:
    """The finished runs of a sweep, in memory and, when `file` is open, on disk.

    Attributes:
        runs: Run id to ``{"run", "cell", "rows"}``, in the order of the file.
        problems: What was wrong with the file, one sentence each.
        file: Descriptor opened for appending, None for memory only.
    """

    runs: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    file: int | None = None

    def append(self, run: str, cell: dict, rows: list[dict]) -> None:
        """Keep a finished run; on return it is on disk."""
        entry = {"run": run, "cell": cell, "rows": rows}
        if self.file is not None:
            _write_line(self.file, encode(entry))
        self.runs[run] = entry


def encode(entry: dict) -> bytes:
    """Return the line of one run, with its check and its line end."""
    body = json.dumps(entry).encode()[1:]
    check = hashlib.sha256(body).hexdigest()[:_CHECK].encode()
    return _HEAD + check + b'", ' + body + b"\n"


def decode(line: bytes) -> dict | None:
    """Return the entry of a line without its line end, None where it is damaged."""
    body = line[_BODY:]
    check = hashlib.sha256(body).hexdigest()[:_CHECK].encode()
    if line[:_BODY] != _HEAD + check + b'", ':
        return None
    entry = json.loads(b"{" + body)
    return entry if {"run", "cell", "rows"} <= entry.keys() else None


def read(path: Path) -> tuple[Journal, int]:
    """Return the journal at `path` and the length of the file up to its last good line.

    A line torn or damaged at the end is left out of that length. A damaged line in
    the middle is reported and dropped, so that its run is computed again. Of two
    lines for one run the first counts.
    """
    content = path.read_bytes() if path.exists() else b""
    journal, end, good, damaged = Journal(), 0, 0, []
    for number, line in enumerate(content.split(b"\n"), start=1):
        end += len(line) + 1
        whole = end <= len(content)  # the last piece has no line end
        if not line and not whole:
            break
        entry = decode(line) if whole else None
        if entry is None:
            damaged.append((number, end))
            continue
        good = end
        journal.runs.setdefault(entry["run"], entry)
    for number, end in damaged:
        what = "torn end cut off" if end > good else "damaged, its run is done again"
        journal.problems.append(f"{path.name}, line {number}: {what}")
    return journal, good


@contextlib.contextmanager
def opened(path: Path | None, *, fresh: bool = False) -> Iterator[Journal]:
    """Open a journal for one sweep alone; None keeps it in memory.

    Args:
        path: The file, made with its folder when missing.
        fresh: True empties it first.

    Yields:
        The journal with everything that was finished before.
    """
    if path is None:
        yield Journal()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        journal, good = (Journal(), 0) if fresh else read(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        journal.file = os.open(path, flags, 0o644)
        try:
            os.ftruncate(journal.file, good)
            yield journal
        finally:
            os.close(journal.file)
            journal.file = None


def _write_line(file: int, line: bytes) -> None:
    """Append one line by one write; a write cut short (full disk) is taken back."""
    size = os.fstat(file).st_size
    written = os.write(file, line)
    if written != len(line):
        os.ftruncate(file, size)
        raise OSError(f"journal: {written} of {len(line)} bytes written, disk full?")
    os.fsync(file)
