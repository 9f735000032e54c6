"""The JSON beside a record's CSV, read with the checks that its readers rely on."""

import json
from pathlib import Path

from paicore.records.places import shown

# What is read back; inner names and kinds. The rest is for people.
_NEEDED = {
    "config": {"seeds": int, "only": str, "device": str},
    "config_hash": str,
    "csv_sha256": str,
    "runs": {"done": int, "asked": int, "core_complete": bool},
    "started": str,
}


def read_facts(path: Path) -> dict:
    """Return how a record was made.

    Args:
        path: The JSON of a record.

    Returns:
        The object in it.

    Raises:
        ValueError: It cannot be read, or lacks what every record has; names the file
            and says why.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        why = _lack(facts, _NEEDED, "")
    except (OSError, ValueError, RecursionError) as error:
        why = str(error)
    if why:
        profile = path.parent.name
        text = f"the {profile} record's JSON cannot be read ({shown(path)}: {why})"
        raise ValueError(text)
    return facts


def _lack(value: object, needed: dict | type, name: str) -> str:
    """Return what a value lacks, or an empty text."""
    kind = needed if isinstance(needed, type) else dict
    if not isinstance(value, kind):
        return f"{name or 'it'} is no {kind.__name__}"
    for key, inner in (needed if kind is dict else {}).items():
        if key not in value:
            return f"no {key} in {name or 'it'}"
        if why := _lack(value[key], inner, key):
            return why
    return ""
