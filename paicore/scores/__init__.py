"""Every score by name, and `prune`, which turns one into masks.

A score is a pure function ``score(net, masks, batch, *, generator, **options)`` to a
dict name -> tensor shaped like the weight, larger means keep. Each computes on a
private float64 copy, so the caller's network, buffers, mode, gradients and random
state are as before, also after an exception.
"""

from paicore.scores.baselines import magnitude, random
from paicore.scores.grasp import grasp
from paicore.scores.paths import gated_l2, synflow_dist, synflow_l2
from paicore.scores.prune import prune
from paicore.scores.px import px
from paicore.scores.registry import SCORES
from paicore.scores.score import Score
from paicore.scores.snip import force, snip
from paicore.scores.synflow import synflow

__all__ = [
    "SCORES",
    "Score",
    "force",
    "gated_l2",
    "grasp",
    "magnitude",
    "prune",
    "px",
    "random",
    "snip",
    "synflow",
    "synflow_dist",
    "synflow_l2",
]
