"""Read a claims file; whatever it does not understand is an error with its place."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paicore.records.places import root

LETTERS = "RCLDPM"
NUMBER_KINDS = ("within", "equal", "bound")
STATISTICS = ("mean", "sd", "min", "max", "median", "last", "spread")
FILTERS = {"method": str, "density": (int, float), "variant": str}

_NUMBER, _TEXT = (int, float), str
_STEP = (int, str)
_CLAIM = {
    "id": _TEXT,
    "says": _TEXT,
    "quantity": _TEXT,
    "where": _TEXT,
    "experiment": _TEXT,
    "reduce": dict,
    "paper": dict,
    "rule": dict,
    "requires": list,
    "paper_setting": dict,
}
_OPTIONAL = ("quantity", "requires", "paper_setting")
_REDUCE = {
    **FILTERS,
    "column": _TEXT,
    "statistic": _TEXT,
    "step": _STEP,
    "scale": _NUMBER,
    "among": list,
    "by": _TEXT,
}
_PAPER = {
    "value": _NUMBER,
    "spread": _NUMBER,
    "n": int,
    "letter": _TEXT,
    "reading_error": _NUMBER,
}
_ORDER = {"order": list, "by": _TEXT, "at": dict}
_TREND = {"along": _TEXT, "sign": _TEXT, "least": _NUMBER}
_NEEDED = {
    "within": {"cap": _NUMBER},
    "equal": {"tolerance": _NUMBER},
    "bound": {"sense": _TEXT},
    "ordering": {"order": list},
    "trend": {"along": _TEXT, "sign": _TEXT},
}


@dataclass(frozen=True)
class Claim:
    """One claim as its file states it, checked; see the package for the fields."""

    id: str
    says: str
    where: str
    experiment: str
    reduce: Mapping
    paper: Mapping
    rule: Mapping
    quantity: str = ""
    requires: tuple[str, ...] = ()
    paper_setting: Mapping = field(default_factory=dict)
    place: str = ""

    @property
    def claims_number(self) -> bool:
        """Say whether the paper's claim is a number."""
        return self.rule["kind"] in NUMBER_KINDS

    @property
    def claims_direction(self) -> bool:
        """Say whether the claim has an ordering or a trend."""
        return "order" in self.rule or "along" in self.rule


class ClaimError(ValueError):
    """A claims file that cannot be right; names file, claim and key."""


def load(notebook: str, folder: str | Path = "notebooks/claims") -> list[Claim]:
    """Return the claims of a notebook.

    Args:
        notebook: For example "00_tour".
        folder: Where the files are, from the repository root.

    Returns:
        The claims in the order of the file.

    Raises:
        ClaimError: The file is missing, is no TOML, or holds something unknown.
    """
    path = root() / folder / f"{notebook}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClaimError(f"notebook: there is no claims file {path.name}") from None
    except tomllib.TOMLDecodeError as error:
        raise ClaimError(f"{path.name}: {error}") from error
    if unknown := sorted(set(content) - {"claim"}):
        raise ClaimError(f"{path.name}: unknown {unknown}; it holds [[claim]] only")
    claims = [_claim(path.name, entry) for entry in content.get("claim", [])]
    names = [claim.id for claim in claims]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ClaimError(f"{path.name}: {doubled} occur twice")
    return claims


def _claim(file: str, entry: Mapping) -> Claim:
    """Return one claim of a file, or say what is wrong with it."""
    place = f"{file}, {entry.get('id', 'claim without id')}"
    needed = [name for name in _CLAIM if name not in _OPTIONAL]
    _table(place, "claim", entry, _CLAIM, needed)
    if not re.fullmatch(r"K[1-9]\d*", entry["id"]):
        raise ClaimError(f'{place}: id: expected "K1", "K2", ...')
    _reduce(place, entry["reduce"])
    _rule(place, entry["rule"], entry["reduce"])
    _spread(place, entry["reduce"], entry["rule"])
    _paper(place, entry["paper"], entry["rule"]["kind"])
    requires, setting = entry.get("requires", []), entry.get("paper_setting", {})
    if sorted(requires) != sorted(setting):
        text = f"requires {sorted(requires)} and paper_setting {sorted(setting)} differ"
        raise ClaimError(f"{place}: {text}")
    return Claim(**{**entry, "requires": tuple(requires)}, place=place)


def _table(place: str, name: str, found: Mapping, known: Mapping, needed) -> None:
    """Check the keys and the types of one table."""
    if unknown := sorted(set(found) - set(known)):
        raise ClaimError(f"{place}: {name}: unknown {unknown}; known: {list(known)}")
    if missing := sorted(set(needed) - set(found)):
        raise ClaimError(f"{place}: {name}: missing {missing}")
    for key, value in found.items():
        is_flag = isinstance(value, bool)
        if is_flag or not isinstance(value, known[key]):
            raise ClaimError(f"{place}: {name}.{key}: wrong type, {value!r}")


def _one_of(place: str, key: str, value, allowed) -> None:
    """Check a value against a short list."""
    if value not in tuple(allowed):
        raise ClaimError(f"{place}: {key}: expected one of {allowed}, got {value!r}")


def _reduce(place: str, found: Mapping) -> None:
    """Check the table ``reduce``."""
    _table(place, "reduce", found, _REDUCE, ["column"])
    _one_of(place, "reduce.statistic", found.get("statistic", "mean"), STATISTICS)
    step = found.get("step", "last")
    if isinstance(step, str):
        _one_of(place, "reduce.step", step, ("last", "all"))
    if found.get("statistic") == "last" and step != "last":
        raise ClaimError(f'{place}: reduce: statistic "last" with step {step}')


def _spread(place: str, reduce: Mapping, rule: Mapping) -> None:
    """Check what a spread is taken over, and that its rule needs no sd."""
    if reduce.get("statistic") != "spread":
        if given := sorted({"among", "by"} & set(reduce)):
            raise ClaimError(f'{place}: reduce: {given} without statistic "spread"')
        return
    if "among" not in reduce:
        text = "missing ['among'], the places of the spread"
        raise ClaimError(f"{place}: reduce: {text}")
    if rule["kind"] not in ("bound", "equal"):
        text = f"expected bound or equal with a spread, got {rule['kind']!r}"
        raise ClaimError(f"{place}: rule.kind: {text}")
    _places(place, "reduce.among", reduce["among"], reduce.get("by", "method"))
    if (by := reduce.get("by", "method")) in reduce:
        raise ClaimError(f"{place}: reduce.{by}: the spread is by {by}")


def _places(place: str, key: str, names: list, by: str) -> None:
    """Check a list of methods, densities or variants."""
    _one_of(place, f"{key.partition('.')[0]}.by", by, FILTERS)
    if len(names) < 2 or len(set(map(str, names))) < len(names):
        raise ClaimError(f"{place}: {key}: expected two or more, each once")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, FILTERS[by]):
            raise ClaimError(f"{place}: {key}: {name!r} is no {by}")


def _rule(place: str, rule: Mapping, reduce: Mapping) -> None:
    """Check the table ``rule`` and that its ordering does not fight the filters."""
    kind = rule.get("kind")
    _one_of(place, "rule.kind", kind, _NEEDED)
    known = {"kind": _TEXT, **_NEEDED[kind]}
    extra = {**_ORDER, **_TREND} if kind in NUMBER_KINDS else {}
    extra |= _ORDER if kind == "ordering" else _TREND if kind == "trend" else {}
    _table(place, "rule", rule, {**known, **extra}, ["kind", *_NEEDED[kind]])
    if "order" in rule and "along" in rule:
        raise ClaimError(f"{place}: rule: an ordering or a trend, not both")
    if kind == "bound":
        _one_of(place, "rule.sense", rule["sense"], ("<=", ">="))
    for key in ("cap", "tolerance"):
        if rule.get(key, 0) < 0:
            raise ClaimError(f"{place}: rule.{key}: negative")
    if "order" in rule:
        _ordering(place, rule, reduce)
    elif {"at", "by"} & set(rule):
        raise ClaimError(f"{place}: rule: at or by without order")
    if "along" in rule:
        _one_of(place, "rule.along", rule["along"], ("density", "step", "variant"))
        _one_of(place, "rule.sign", rule.get("sign"), ("+", "-"))
    elif {"sign", "least"} & set(rule):
        raise ClaimError(f"{place}: rule: sign or least without along")


def _ordering(place: str, rule: Mapping, reduce: Mapping) -> None:
    """Check ``order``, ``by`` and ``at``."""
    by, at = rule.get("by", "method"), rule.get("at", {})
    _places(place, "rule.order", rule["order"], by)
    _table(place, "rule.at", at, FILTERS, [])
    if twice := sorted((set(at) & set(reduce)) | ({by} & set(at))):
        raise ClaimError(f"{place}: rule.at: {twice} is given twice")
    if by in reduce and rule["kind"] == "ordering":
        raise ClaimError(f"{place}: reduce.{by}: the ordering is by {by}")


def _paper(place: str, paper: Mapping, kind: str) -> None:
    """Check the table ``paper``."""
    _table(place, "paper", paper, _PAPER, ["letter"])
    _one_of(place, "paper.letter", paper["letter"], LETTERS)
    has_value = "value" in paper
    if has_value != (kind in NUMBER_KINDS):
        text = "needs a value" if kind in NUMBER_KINDS else "takes no value"
        raise ClaimError(f"{place}: paper.value: a claim of kind {kind} {text}")
    if has_value and paper["letter"] == "P" and not paper.get("reading_error"):
        raise ClaimError(f"{place}: paper.reading_error: a digitised value needs one")
    for key in ("spread", "reading_error"):
        if paper.get(key, 0) < 0:
            raise ClaimError(f"{place}: paper.{key}: negative")
