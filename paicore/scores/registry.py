"""The registry: every score by name."""

from dataclasses import replace

from paicore.scores.baselines import magnitude, random
from paicore.scores.grasp import grasp
from paicore.scores.ntk_sap import ntk_sap
from paicore.scores.paths import gated_l2, synflow_dist, synflow_l2
from paicore.scores.phew import phew
from paicore.scores.px import px
from paicore.scores.score import Score
from paicore.scores.snip import force, snip
from paicore.scores.synflow import SynflowEngine, synflow

_DATA = frozenset({"inputs", "labels"})

_ENTRIES: dict[str, Score] = {
    "random": Score(random, "control", frozenset({"generator"})),
    "magnitude": Score(magnitude, "Han et al. 2015"),
    "erk": Score(
        random,
        "Mocanu et al. 2018; Evci et al. 2020",
        frozenset({"generator"}),
        {"scope": "erk"},
    ),
    "snip": Score(snip, "Lee et al. 2019", _DATA),
    # 100 rounds in NTK-SAP's baseline: M, recalled, not checked; naver/force has 10.
    "iterative_snip": Score(
        snip, "de Jorge et al. 2021", _DATA, {"rounds": 100, "schedule": "exponential"}
    ),
    "force": Score(
        force,
        "de Jorge et al. 2021",
        _DATA,
        {"rounds": 10, "schedule": "exponential"},  # naver/force: num_steps=10
        revives=True,
    ),
    "grasp": Score(grasp, "Wang et al. 2020", _DATA),
    "synflow": Score(
        synflow,
        "Tanaka et al. 2020",
        frozenset({"shape"}),
        {"rounds": 100, "schedule": "exponential"},
        engine=SynflowEngine,
    ),
    "synflow_l2": Score(
        synflow_l2,
        "Gebhart et al. 2021; variant C as in PHEW and PX",
        frozenset({"shape"}),
        {"rounds": 100, "schedule": "exponential"},
    ),
    "synflow_dist": Score(
        synflow_dist,
        "Gebhart et al. 2021",
        frozenset({"inputs"}),
        {"rounds": 100, "schedule": "exponential"},
    ),
    "gated_l2": Score(
        gated_l2,
        "ours, after Gebhart et al. 2021",
        frozenset({"inputs"}),
        {"rounds": 100, "schedule": "exponential"},
    ),
    "px": Score(
        px,
        "Iurada et al. 2024",
        frozenset({"inputs"}),
        {"rounds": 100, "schedule": "exponential"},
    ),
    "phew": Score(phew, "Patil & Dovrolis 2021", frozenset({"shape", "generator"})),
    "ntk_sap": Score(
        ntk_sap,
        "Wang et al. 2023",
        frozenset({"shape", "generator"}),
        # CIFAR-10: 20, C scripts/run.sh. CIFAR-100 and Tiny-ImageNet: 100, second hand
        # (BeiYazi0/NTK-SAP README). ImageNet: 100 is M, recalled, not checked.
        {"rounds": 20, "schedule": "exponential"},
    ),
}

# Two entries may share a function: messages say which was asked for.
SCORES = {name: replace(score, name=name) for name, score in _ENTRIES.items()}
