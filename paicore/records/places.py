"""Where records live, from the repository root, never from the working directory."""

import os
from pathlib import Path


def root() -> Path:
    """Return the repository root: ``PAICORE_ROOT``, else the package's own parent."""
    named = os.environ.get("PAICORE_ROOT")
    return Path(named).resolve() if named else Path(__file__).resolve().parents[2]


def under_root(path: str | Path) -> Path:
    """Return `path` itself when absolute, else below the repository root."""
    return root() / path


def shown(path: Path) -> str:
    """Return `path` relative to the root where possible, for messages and records."""
    path = Path(path)
    inside = path.is_absolute() and path.is_relative_to(root())
    return (path.relative_to(root()) if inside else path).as_posix()


def record_path(folder: str | Path, notebook: str, profile: str, name: str) -> Path:
    """Return the path of a record without its suffix."""
    return under_root(folder) / notebook / profile / name


def journal_path(notebook: str, profile: str, name: str, key: str) -> Path:
    """Return the path of the journal of one experiment with one config hash."""
    return root() / "build/journal" / notebook / profile / f"{name}-{key[:8]}.jsonl"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write text with LF line ends, or bytes; no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())  # before the rename, or a power cut leaves it empty
    os.replace(draft, path)
