"""Copy finished records, with their figures, to the folder that is committed."""

from pathlib import Path

from paicore.records.facts import read_facts
from paicore.records.identity import config_hash, find
from paicore.records.places import under_root, write_atomic
from paicore.records.provenance import sha256
from paicore.records.rows import run_ids


def promote(
    build: str | Path = "build/figures", figures: str | Path = "figures"
) -> list[str]:
    """Copy complete quick and paper records with their figures, ready to commit.

    Conventions: smoke never leaves ``build/``. A figure is copied only when it was
    drawn from the very rows that are copied. Each file is replaced at once, the JSON
    after the CSV that it names, so that a kill in between shows as a mismatch.

    Args:
        build: Folder that runs write.
        figures: Folder that is committed.

    Returns:
        Names of what was copied, "notebook/profile/file".

    Raises:
        ValueError: Some records are incomplete, broken, made with an old config, or
            lack runs of the committed one; they are named, the others copied.
    """
    build, figures = under_root(build), under_root(figures)
    copied, refused = [], []
    found = {path.with_suffix("") for path in build.glob("*/*/*.json")}
    for record in sorted(found):
        if record.parent.name == "smoke":
            continue
        name = record.relative_to(build)
        try:
            _check(record, figures / name)
        except ValueError as error:
            refused.append(f"{name.as_posix()} ({error})")
            continue
        for path in _files(record):
            target = path.relative_to(build)
            write_atomic(figures / target, path.read_bytes())
            copied.append(target.as_posix())
    if refused:
        raise ValueError(f"not promoted: {'; '.join(refused)}")
    return copied


def drawn_from(svg: Path) -> str | None:
    """Return the SHA-256 of the rows that a figure says it was drawn from."""
    text = svg.read_text(encoding="utf-8", errors="replace")
    _, found, rest = text.partition("rows sha256 ")
    return rest[:64] if found else None


def _check(record: Path, committed: Path) -> None:
    """Refuse a record that is not whole, or not as good as the committed one.

    Args:
        record: Path of its files without their suffix.
        committed: Where they would go.

    Raises:
        ValueError: It is refused; says why.
    """
    csv = record.with_suffix(".csv")
    facts = read_facts(record.with_suffix(".json"))
    if not csv.exists():
        raise ValueError("its CSV is missing")
    if facts["csv_sha256"] != sha256(csv.read_bytes()):
        raise ValueError("its CSV is not the one that its JSON names")
    runs = facts["runs"]
    if not runs["core_complete"]:
        raise ValueError(f"{runs['done']} of {runs['asked']} runs")
    if facts["config_hash"] != _current(record):
        raise ValueError("made with another config than the experiment's own")
    lost = _committed_runs(committed, facts["config_hash"]) - run_ids(csv)
    if lost:
        raise ValueError(f"{len(lost)} committed runs are not in it, as {min(lost)}")


def _current(record: Path) -> str | None:
    """Return the hash of the config that the experiment has now, None without one."""
    profile = record.parent.name
    experiment = find(record.parent.parent.name).get(record.name)
    if experiment is None or profile not in experiment.profiles:
        return None
    return config_hash(experiment.profiles[profile])


def _committed_runs(committed: Path, key: str) -> set[str]:
    """Return the runs of a committed record of the same config that can be shown."""
    csv, made = committed.with_suffix(".csv"), committed.with_suffix(".json")
    if not (csv.exists() and made.exists()):
        return set()
    try:
        facts = read_facts(made)
    except ValueError:  # nothing that a reader sees is lost
        return set()
    is_good = facts["csv_sha256"] == sha256(csv.read_bytes())
    return run_ids(csv) if is_good and facts["config_hash"] == key else set()


def _files(record: Path) -> list[Path]:
    """Return a record's CSV, JSON and the figures drawn from these rows, in order."""
    csv = record.with_suffix(".csv")
    rows = sha256(csv.read_bytes())
    figures = sorted(record.parent.glob("*.svg"))
    return [
        csv,
        record.with_suffix(".json"),
        *(svg for svg in figures if drawn_from(svg) == rows),
    ]
