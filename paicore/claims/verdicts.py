"""Verdicts: the first that fits, never typed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from paicore.claims.rules import Direction, NoRows, Number, direction, number
from paicore.claims.schema import Claim, ClaimError, load
from paicore.records import Record

REPRODUCED = "reproduced"
DIRECTION = "direction only"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
NOT_RUN = "not run"
VERDICTS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_COMPARABLE, NOT_RUN)


@dataclass(frozen=True)
class Verdict:
    """A claim, what was measured, and what follows.

    Attributes:
        claim: The claim.
        verdict: One of `VERDICTS`.
        setting: Profile of the record, "-" when not run.
        number: Our number, None without one.
        direction: Our ordering or trend, None without one.
        cost: What running takes, when not run.
        stale: Why the record is stale, empty when it is not.
    """

    claim: Claim
    verdict: str
    setting: str = "-"
    number: Number | None = None
    direction: Direction | None = None
    cost: str = ""
    stale: str = ""


def evaluate(
    notebook: str,
    records: Mapping[str, Record],
    folder: str = "notebooks/claims",
) -> list[Verdict]:
    """Return the verdict of every claim of a notebook.

    Args:
        notebook: For example "00_tour".
        records: Name of each experiment to its record.
        folder: Where the claims files are, from the repository root.

    Returns:
        One verdict per claim, in the order of the file.

    Raises:
        ClaimError: A claim names an experiment that is not among the records.
    """
    claims = load(notebook, folder)
    for claim in claims:
        if claim.experiment not in records:
            text = f"no record of {claim.experiment!r}, there are {sorted(records)}"
            raise ClaimError(f"{claim.place}: experiment: {text}")
    return [verdict_of(claim, records[claim.experiment]) for claim in claims]


def verdict_of(claim: Claim, record: Record) -> Verdict:
    """Return the verdict of one claim from one record.

    Conventions: rows that the claim speaks of may be missing in a profile that does
    not meet `requires`, or in smoke; elsewhere that is an error, because a misspelt
    filter must not pass as "not comparable".

    Args:
        claim: From a claims file.
        record: Of the claim's experiment.

    Returns:
        The verdict with our numbers.

    Raises:
        ClaimError: The rows or the config lack what the claim names.
    """
    if record.rows is None:
        return Verdict(claim, NOT_RUN, cost=record.cost)
    met = requirements_met(claim, record)
    stale = record.provenance.get("stale", "")
    try:
        ours = number(claim, record.rows) if claim.claims_number else None
        way = direction(claim, record.rows) if claim.claims_direction else None
    except NoRows as error:
        if met and record.profile != "smoke":
            raise ClaimError(str(error)) from error
        return Verdict(claim, NOT_COMPARABLE, record.profile, stale=stale)
    verdict = decide(claim.paper["letter"], met, ours, way)
    return Verdict(claim, verdict, record.profile, ours, way, stale=stale)


def decide(letter: str, met: bool, ours: Number | None, way: Direction | None) -> str:
    """Return the verdict of a claim that has rows.

    Conventions: a claim with a number and an ordering is reproduced when both hold,
    and "direction only" when the ordering alone does.
    """
    way_holds = way is not None and way.holds
    if letter == "M" or (not met and not way_holds):
        return NOT_COMPARABLE
    number_holds = ours is None or ours.holds
    if met and number_holds and (way is None or way.holds):
        return REPRODUCED
    return DIRECTION if way_holds else NOT_REPRODUCED


def requirements_met(claim: Claim, record: Record) -> bool:
    """Say whether the record's config equals the paper's setting where required."""
    for name in claim.requires:
        if not hasattr(record.config, name):
            text = f"{claim.experiment} has no config field {name!r}"
            raise ClaimError(f"{claim.place}: requires: {text}")
        ours = json.loads(json.dumps(getattr(record.config, name)))
        if ours != claim.paper_setting[name]:
            return False
    return True
