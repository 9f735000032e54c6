"""The journals of shards: read one, join several."""

from collections.abc import Iterable
from pathlib import Path

from paicore.records.journal import encode, read
from paicore.records.lock import locked
from paicore.records.places import shown, under_root, write_atomic


def finished(journal: Path) -> dict[str, dict]:
    """Return the finished runs of a journal, without changing the file."""
    return read(journal)[0].runs


def merge(journals: Iterable[str | Path], out: str | Path) -> int:
    """Join the journals of shards into one, from which a record can be written.

    Conventions: what `out` already holds is kept and joined. A run that several
    journals hold with equal rows counts once. Damaged lines are printed and left out.

    Args:
        journals: Files, at least one; none is changed unless it is also `out`.
        out: File to write, replaced at once when complete.

    Returns:
        Number of runs in `out`.

    Raises:
        ValueError: No journal is given, one is missing or holds no finished run, or
            two hold different rows for one run.
    """
    paths = [under_root(path) for path in journals]
    if not paths:
        raise ValueError("journals: expected at least one, got none")
    if missing := [path for path in paths if not path.exists()]:
        raise ValueError(f"journals: there is no {shown(missing[0])}")
    out = under_root(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    joined: dict[str, dict] = {}
    with locked(out):
        for path in [out, *paths] if out.exists() else paths:
            _join(joined, path, may_be_empty=path == out)
        write_atomic(out, b"".join(encode(joined[run]) for run in sorted(joined)))
    return len(joined)


def _join(joined: dict[str, dict], path: Path, may_be_empty: bool) -> None:
    """Add the runs of a journal; say what is damaged.

    Raises:
        ValueError: It holds no run, or other rows for a run that is there.
    """
    journal, _ = read(path)
    for problem in journal.problems:
        print(problem, flush=True)
    if not journal.runs and not may_be_empty:
        raise ValueError(f"journals: no finished run in {shown(path)}")
    for run, entry in journal.runs.items():
        if encode(joined.setdefault(run, entry)) != encode(entry):  # nan equals itself
            raise ValueError(f"{shown(path)}: run {run} has other rows than before")
