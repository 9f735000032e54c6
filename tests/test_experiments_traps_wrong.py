"""Each wrong version, put in the place of ours, makes the named test fail.

The names are those of `paicore.experiments.traps_catalogue`; the same test passes
before, with the same arguments.
"""

import importlib
from functools import partial

import pytest

from paicore import SCORES, Score, seeds
from paicore.experiments import traps_paths
from paicore.experiments import traps_wrong as wrong
from paicore.experiments import traps_wrong_scores as scores
from paicore.experiments.traps_catalogue import TRAPS, table
from paicore.masks import COUNT_RULES
from paicore.scores import synflow
from paicore.scores.prune import _Inverted

DRAWS = frozenset({"inputs", "labels", "generator"})


def inverted(engine, alive):
    return wrong.wrong_inverted(engine.engine.scores(alive))


MLP, NORM, HALF = ("mlp",), ("resnet8_bn",), (1.0,)
HINT = {"recompute": "true"}, TypeError, "recompute: expected a bool"
# Trap -> arguments of its test, and where the wrong version goes.
PATCHES = {
    "ties fall together": ((0.1,), "paicore.masks.loop.top_k", wrong.wrong_threshold),
    "off by one": ((), COUNT_RULES, "exact", COUNT_RULES["ntt"]),
    "one word, two meanings": (
        (0.1,),
        "test_masks.prune",
        wrong.wrong_prune_by_sparsity,
    ),
    "last density only": ((), "paicore.records.sweep", wrong.wrong_sweep),
    "quit on a mismatch": ((), "test_experiments_traps.prune", wrong.wrong_prune),
    "shuffle does nothing": ((), "paicore.masks.sanity.shuffled", wrong.wrong_shuffled),
    "invert by v / v^2": ((), _Inverted, "scores", inverted),
    "negative weights frozen": (("sgd",), "paicore.train.fit", wrong.wrong_fit),
    "argparse type=bool": (HINT, "paicore.records.settings", wrong.wrong_settings),
    "float32 overflows": (
        ("resnet110",),
        "test_scores_synflow.synflow",
        scores.wrong_synflow_float32,
    ),
    "batch norm of a batch of one": (
        NORM,
        "test_scores_synflow.synflow",
        scores.wrong_synflow_train_mode,
    ),
    "biases are paths too": (
        ("functional_relu",),
        "test_scores_synflow.synflow",
        partial(synflow, bias="abs"),
    ),
    "sign reversed": (
        HALF,
        "test_scores_gradient.grasp",
        scores.wrong_grasp_reversed,
    ),
    "direction behind a flag": (
        HALF,
        "test_scores_gradient.grasp",
        scores.wrong_grasp_flagged,
    ),
    "temperature unnamed": (
        (200.0,),
        "test_scores_gradient.grasp",
        scores.wrong_grasp_hidden_temperature,
    ),
    "class-sorted halves": (
        (),
        "test_experiments_traps.grasp",
        scores.wrong_grasp_class_halves,
    ),
    "two augmented batches": (
        (),
        "test_experiments_traps.grasp",
        partial(scores.wrong_grasp_two_batches, generator=seeds.generator(0, "two")),
    ),
    "moduli per batch": (
        (),
        "test_scores_gradient.snip",
        scores.wrong_snip_per_batch,
    ),
    "weights drawn again": (
        MLP,
        "test_scores_gradient.snip",
        scores.wrong_snip_redrawn,
    ),
    "weights changed by scoring": (
        ("snip", "mlp"),
        SCORES,
        "snip",
        Score(scores.wrong_score_in_place, needs=DRAWS),
    ),
    "ReLU replaced for all": (
        (),
        SCORES,
        "snip",
        Score(scores.wrong_snip_patching_relu, needs=DRAWS),
    ),
    "four SynFlow-L2": ((), traps_paths.L2, "A", traps_paths.L2["C"]),
    "path-kernel sum": (
        (),
        "test_experiments_traps.of_weights",
        wrong.wrong_path_kernel_sum,
    ),
}
CAUGHT = (AssertionError, ValueError, SystemExit, pytest.fail.Exception)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_the_named_test_passes_for_ours_and_fails_for_the_wrong_version(
    trap, monkeypatch
):
    file, function = trap.test.split("::")
    check = getattr(importlib.import_module(file.removesuffix(".py")), function)
    arguments, place, *rest = PATCHES[trap.name]
    check(*arguments)
    install = monkeypatch.setitem if isinstance(place, dict) else monkeypatch.setattr
    install(place, *rest)
    with pytest.raises(CAUGHT):
        check(*arguments)


def test_every_wrong_version_is_tried():
    assert set(PATCHES) == {trap.name for trap in TRAPS}
    used = {trap.theme for trap in TRAPS}
    text = "\n".join(table(theme) for theme in used)
    assert all(trap.test in text for trap in TRAPS)
    with pytest.raises(ValueError, match="no 'none'"):
        table("none")
