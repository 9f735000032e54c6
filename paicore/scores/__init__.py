"""Every score by name, and `prune`, which turns one into masks.

A score is a pure function ``score(net, masks, batch, *, generator, **options)`` to a
dict name -> tensor shaped like the weight, larger means keep. Each computes on a
private float64 copy, so the caller's network, buffers, mode, gradients and random
state are as before, also after an exception.
"""

from paicore.scores.baselines import magnitude, random
from paicore.scores.grasp import grasp
from paicore.scores.many import prune_many
from paicore.scores.ntk_sap import ntk_sap, saliency_sums
from paicore.scores.paths import gated_l2, synflow_dist, synflow_l2
from paicore.scores.phew import phew
from paicore.scores.prune import prune
from paicore.scores.px import px
from paicore.scores.registry import SCORES
from paicore.scores.sbp_sr import SBP_SR, sbp_sr
from paicore.scores.score import Score
from paicore.scores.snip import force, snip
from paicore.scores.synflow import synflow

__all__ = [
    "SBP_SR",
    "SCORES",
    "Score",
    "force",
    "gated_l2",
    "grasp",
    "magnitude",
    "ntk_sap",
    "phew",
    "prune",
    "prune_many",
    "px",
    "random",
    "saliency_sums",
    "sbp_sr",
    "snip",
    "synflow",
    "synflow_dist",
    "synflow_l2",
]
