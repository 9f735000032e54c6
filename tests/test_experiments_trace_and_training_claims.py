"""Claims of notebook 32: each finds its rows in quick, and each can fail."""

import json

import pytest

from paicore import claims
from paicore.experiments import trace_and_training as trace
from paicore.records import identity

CLAIMS = claims.load(trace.NOTEBOOK)


def quick(claim):
    return trace.EXPERIMENTS[claim.experiment].profiles["quick"]


def wanted(claim):
    """The filters of every side of a claim."""
    filters = {k: claim.reduce[k] for k in identity.CELL if k in claim.reduce}
    by = claim.rule.get("by", "method")
    return [filters | ({by: n} if n else {}) for n in claim.rule.get("order", [""])]


def cells_of(claim, filters):
    experiment = trace.EXPERIMENTS[claim.experiment]
    found = experiment.cells(quick(claim))
    return [c for c in found if all(c[k] == v for k, v in filters.items())]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_has_its_runs_and_its_column_in_quick(claim):
    values = trace.EXPERIMENTS[claim.experiment].values
    assert claim.reduce["column"] in values
    for filters in wanted(claim):
        assert cells_of(claim, filters), filters


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_quick_meets_what_a_claim_requires_and_smoke_does_not(claim):
    assert claim.requires
    profiles = trace.EXPERIMENTS[claim.experiment].profiles
    met = {
        name: all(
            json.loads(json.dumps(getattr(profiles[name], key)))
            == claim.paper_setting[key]
            for key in claim.requires
        )
        for name in ("smoke", "quick")
    }
    assert met == {"smoke": False, "quick": True}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_rows_of_a_claim_differ_in_the_seed_only_unless_it_takes_an_extreme(claim):
    if claim.reduce.get("statistic") in ("min", "max"):
        return
    free = {claim.rule.get("along")}
    for filters in wanted(claim):
        keys = [k for k in ("method", "density", "variant") if k not in free]
        left = {tuple(c[k] for k in keys) for c in cells_of(claim, filters)}
        assert len(left) == 1, left


def test_checks_have_five_seeds_or_more():
    for claim in CLAIMS:
        if claim.where.startswith("check"):
            config = quick(claim)
            assert getattr(config, "repeats", config.seeds) >= 5, claim.id


def test_nothing_is_claimed_to_be_the_papers():
    assert {claim.paper["letter"] for claim in CLAIMS} == {"D"}
