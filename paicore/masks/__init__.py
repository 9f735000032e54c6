"""Masks: which weights a network keeps, how many, chosen how, and what that means.

A mask is True where a weight is kept. Density is the fraction kept; sparsity is one
minus it. Counts are exact, ties go to the lower index, pruned weights stay pruned.
"""

from paicore.forward import prunable
from paicore.masks.container import Masks
from paicore.masks.counts import COUNT_RULES, allocate
from paicore.masks.critical import critical_sparsities, first_kept
from paicore.masks.effective import effective
from paicore.masks.loop import Engine, prune_loop
from paicore.masks.quotas import QUOTAS, layer_quota
from paicore.masks.sanity import reinitialised, shuffled
from paicore.masks.schedule import densities
from paicore.masks.select import top_k

__all__ = [
    "COUNT_RULES",
    "QUOTAS",
    "Engine",
    "Masks",
    "allocate",
    "critical_sparsities",
    "densities",
    "effective",
    "first_kept",
    "layer_quota",
    "prunable",
    "prune_loop",
    "reinitialised",
    "shuffled",
    "top_k",
]
