"""The errata: each names claims that exist, and its numbers come from the records."""

import re
from pathlib import Path

import pytest

from paicore import claims
from paicore.claims import errata
from paicore.experiments.traps_catalogue import TRAPS

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks" / "claims"
EVERY = [(kind, each) for kind, found in errata.ERRATA.items() for each in found]
NAMES = {path.stem[:2]: path.stem for path in NOTEBOOKS.glob("*.toml")}
IDS = {name: {claim.id for claim in claims.load(name)} for name in NAMES.values()}


def shown(text):
    """Claims of "31 K34, K35; 02 K1" as "31_paths K34" and so on."""
    parts = [re.fullmatch(r"(\d\d) (K\d+(?:, K\d+)*)", p) for p in text.split("; ")]
    assert all(parts), text
    return {f"{NAMES[p[1]]} {name}" for p in parts for name in p[2].split(", ")}


def test_every_trap_has_its_scope_and_size():
    assert [each.what for each in errata.ERRATA["traps"]] == [t.name for t in TRAPS]
    assert errata._TRAPS.keys() == {trap.name for trap in TRAPS}


@pytest.mark.parametrize("kind, each", EVERY)
def test_a_size_is_shown_by_claims_that_exist(kind, each):
    assert all((each.what, each.place, each.scope, each.size))
    if each.shown in ("above", "read"):
        assert errata.cited(each) == []
        assert each.shown == "read" or kind == "traps"
        return
    for name in (found := shown(each.shown)):
        notebook, claim = name.split()
        assert claim in IDS[notebook], name
    assert {*errata.cited(each)} <= found


@pytest.mark.parametrize("kind, each", EVERY)
def test_only_the_recalled_carry_a_dagger(kind, each):
    assert ("†" in each.place) == (kind == "recalled")
    letters = re.findall(r"\(([A-Z])\)$", each.place)
    assert letters in ([["R"], ["P"]] if kind == "print" else [[]])


def test_the_table_holds_every_erratum_in_full_and_says_what_the_dagger_means():
    text = errata.table("recalled")
    assert text.endswith(errata.RECALLED)
    assert max(map(len, text.splitlines())) <= sum(errata.WIDTHS) + 8
    words = re.findall(r"\S+", text)
    for each in errata.ERRATA["recalled"]:
        assert {*each.scope.split(), *each.shown.split()} <= {*words}
    assert "{" not in text


def test_a_number_is_that_of_the_claim_and_an_order_counts_seeds(monkeypatch):
    of = errata.Erratum("a", "b", "c", "{01_traps K2:.0f} and {01_traps K3:.1f}", "")
    assert errata.cited(of) == ["01_traps K2", "01_traps K3"]
    assert errata.size(of, {"01_traps K2": 7.4, "01_traps K3": 1.25}) == "7 and 1.2"
    assert errata.size(of, {"01_traps K2": 7.4}) == "not run"
    ours = errata.measured("42_spectra")
    assert ours["42_spectra K28"] == 71014
    assert ours["42_spectra K13"] in range(6)
    monkeypatch.setattr(errata, "measured", lambda notebook: {})
    text = errata.table("print")
    measured = [each for each in errata.ERRATA["print"] if each.shown != "read"]
    assert text.count("not run") == len(measured)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="kind: no 'more'; there are traps, code"):
        errata.table("more")
