"""The claims of notebook 41: what they read, what they ask, and their verdicts."""

import dataclasses

from paicore import claims, records
from paicore.experiments import saliency

NOTEBOOK = "41_saliency"
# Letter and rule of every claim: a threshold is not moved by an edit of one file.
DECLARED = """
K1 D: <= 1e-12; K2 D: <= 1e-12; K3 D: <= 1e-12; K4 D: <= 1e-12; K5 D: >= 1e-06; K6
D: >= 1e-06; K7 D: >= 1e-06; K8 D: <= 1e-12; K9 D: >= 0.001; K10 D: <= 1e-12; K11 D:
<= 1e-12; K12 D: <= 1e-12; K13 D: 0.333333333333 to 1e-09; K14 D: 0.2 to 1e-09; K15
D: >= 0.02; K16 D: <= 0; K17 D: <= 0; K18 D: <= 0; K19 C: <= 0.01; K20 D: <= 1e-10;
K21 D: <= 1e-10; K22 R: >= 0.1; K23 D: -0.5 to 0.1; K24 D: 1 to 0.07; K25 D: <= 4;
K26 D: -0.5 to 0.1; K27 D: 1 to 0.07; K28 D: <= 4; K29 D: <= 0.04; K30 D: >= 0.1;
K31 D: <= 0.05; K32 D: 10 to 3; K33 D: 10 to 3; K34 D: 10 to 3; K35 D: <= 0.2; K36
D: >= 0.3; K37 D: <= 0.05; K38 D: <= 0.95; K39 D: 1 to 0.03; K40 D: >= 0.1; K41 D:
<= 0.1; K42 D: 1024 > 64; K43 D: 16 > 4; K44 D: 32 > 8; K45 D: >= 0.5; K46 D: 0.34
to 0.05; K47 D: >= 0.05; K48 D: 0.185 to 0.05; K49 D: 0.238 to 0.03; K50 D: <=
0.0073; K51 D: 0.0065 to 0.0014; K52 D: 0.341 to 0.03; K53 D: <= 0.0102; K54 D:
0.0016 to 0.001; K55 D: <= 0.1; K56 D: + along step; K57 D: + along step; K58 D: -
along step; K59 D: <= 0.03; K60 D: + along step; K61 D: - along step; K62 D: <=
0.03; K63 D: >= 20; K64 D: 96.8 sd 0.8 cap 0.8; K65 D: >= 8; K66 D: 5 > 80; K67 D:
<= 0; K68 D: >= 0.95; K69 D: + along step; K70 D: 2.9 sd 1 cap 1; K71 D: <= 5; K72
D: T=20 frozen > T=1 frozen; K73 D: T=20 frozen > T=20 train; K74 D: <= 0.05; K75 D:
<= 0.1; K76 D: given weights > noise; K77 D: <= 0.05; K78 D: <= 0.1; K79 D: given
weights > noise; K80 D: <= 0.03; K81 D: >= 0.1; K82 D: + along step; K83 D: >= 0.95;
K84 D: + along step; K85 D: >= 0.95; K86 D: 10 to 3; K87 D: 10 to 3; K88 D: 10 to 3;
K89 D: 0.84 to 0.13; K90 D: 1.51 to 0.23; K91 D: 2.11 to 0.32; K92 D: 0.96 to 0.05;
K93 D: 0.42 to 0.03; K94 D: 0.344 to 0.03; K95 D: <= 0.03; K96 D: <= 3; K97 D: 82.8
sd 2.8 cap 2.8; K98 D: >= 20; K99 D: 58.9 sd 6.4 cap 6.4; K100 D: + along step; K101
D: <= 0; K102 D: -3.3 sd 5.3 cap 5.3
"""


def test_claims_speak_of_what_the_experiments_have():
    found = claims.schema.load(NOTEBOOK)
    assert len({claim.id for claim in found}) == len(found) > 80
    for claim in found:
        experiment = saliency.EXPERIMENTS[claim.experiment]
        assert claim.reduce["column"] in experiment.values, claim.id
        config = experiment.profiles["quick"]
        cells = experiment.cells(config)
        for name in ("method", "variant"):
            wanted = {claim.reduce[name]} if name in claim.reduce else set()
            if claim.rule.get("by") == name:
                wanted |= set(claim.rule["order"])
            assert wanted <= {cell[name] for cell in cells}, claim.id


def threshold(claim):
    """A claim's letter and rule in a few words."""
    rule, paper = claim.rule, claim.paper
    words = {
        "bound": "{sense} {value:.12g}", "equal": "{value:.12g} to {tolerance:g}",
        "within": "{value:g} sd {spread:g} cap {cap:g}",
        "trend": "{sign} along {along}",
    }  # fmt: skip
    if rule["kind"] == "ordering":
        return f"{paper['letter']}: {' > '.join(rule['order'])}"
    return f"{paper['letter']}: {words[rule['kind']].format(**paper, **rule)}"


def test_letters_and_thresholds_are_those_that_were_declared():
    wanted = dict(line.split(" ", 1) for line in " ".join(DECLARED.split()).split("; "))
    found = {claim.id: threshold(claim) for claim in claims.schema.load(NOTEBOOK)}
    assert found == wanted


def test_a_threshold_that_is_moved_is_seen():
    claim = next(c for c in claims.schema.load(NOTEBOOK) if c.id == "K53")
    for change in ({"value": 1.02}, {"letter": "R"}):
        moved = dataclasses.replace(claim, paper={**claim.paper, **change})
        assert threshold(moved) != threshold(claim)
    turned = dataclasses.replace(claim, rule={**claim.rule, "sense": ">="})
    assert threshold(turned) != threshold(claim)


def test_claims_of_records_on_file_have_verdicts():
    settings = records.settings(
        profile="best", recompute=False, seeds=0, device="auto", only=""
    )
    shown = {
        name: records.load_or_run(experiment, settings)
        for name, experiment in saliency.EXPERIMENTS.items()
    }
    verdicts = claims.evaluate(NOTEBOOK, shown)
    for verdict in verdicts:
        is_run = shown[verdict.claim.experiment].rows is not None
        assert is_run == (verdict.verdict != "not run"), verdict.claim.id
