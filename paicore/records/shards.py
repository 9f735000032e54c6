"""Join the journals of shards, and copy finished records to where they are kept."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from paicore.records.journal import encode, read
from paicore.records.lock import locked
from paicore.records.places import shown, under_root


def finished(journal: Path) -> dict[str, dict]:
    """Return the finished runs of a journal, without changing the file."""
    return read(journal)[0].runs


def merge(journals: Iterable[str | Path], out: str | Path) -> int:
    """Join the journals of shards into one, from which a record can be written.

    Conventions: a run that several journals hold with equal rows counts once.

    Args:
        journals: Files; none is changed unless it is also `out`.
        out: File to write, replaced at once when complete.

    Returns:
        Number of runs in `out`.

    Raises:
        ValueError: A journal is missing, or two hold different rows for one run.
    """
    joined: dict[str, dict] = {}
    for path in map(under_root, journals):
        if not path.exists():
            raise ValueError(f"journals: there is no {shown(path)}")
        for run, entry in finished(path).items():
            other = joined.setdefault(run, entry)
            if encode(other) != encode(entry):  # as text: nan equals itself
                text = f"{shown(path)}: run {run} has other rows than before"
                raise ValueError(text)
    out = under_root(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        draft = out.with_suffix(".draft")
        draft.write_bytes(b"".join(encode(joined[run]) for run in sorted(joined)))
        draft.replace(out)
    return len(joined)


def promote(
    build: str | Path = "build/figures", figures: str | Path = "figures"
) -> list[str]:
    """Copy complete quick and paper records with their figures, ready to commit.

    Conventions: smoke never leaves ``build/``. A figure is copied only when it was
    drawn from the very rows that are copied.

    Args:
        build: Folder that runs write.
        figures: Folder that is committed.

    Returns:
        Names of what was copied, "notebook/profile/file".

    Raises:
        ValueError: Some records are incomplete; they are named, the others copied.
    """
    build, figures = under_root(build), under_root(figures)
    copied, refused = [], []
    for made in sorted(build.glob("*/*/*.json")):
        if made.parent.name == "smoke":
            continue
        facts = json.loads(made.read_text(encoding="utf-8"))
        runs = facts["runs"]
        if not runs["core_complete"]:
            name = made.relative_to(build).with_suffix("").as_posix()
            refused.append(f"{name} ({runs['done']} of {runs['asked']} runs)")
            continue
        for path in _files(made, facts["csv_sha256"]):
            target = figures / path.relative_to(build)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            copied.append(path.relative_to(build).as_posix())
    if refused:
        raise ValueError(f"incomplete, not promoted: {'; '.join(refused)}")
    return copied


def drawn_from(svg: Path) -> str | None:
    """Return the SHA-256 of the rows that a figure says it was drawn from."""
    _, found, rest = svg.read_text(encoding="utf-8").partition("rows sha256 ")
    return rest[:64] if found else None


def _files(made: Path, rows: str) -> list[Path]:
    """Return a record's JSON, CSV and the figures drawn from these rows."""
    figures = sorted(made.parent.glob("*.svg"))
    return [
        made,
        made.with_suffix(".csv"),
        *(svg for svg in figures if drawn_from(svg) == rows),
    ]
