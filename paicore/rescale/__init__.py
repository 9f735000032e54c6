"""Rescaling after pruning: what the surviving weights are multiplied by, and why.

Every function is pure: it returns a new network, factors by name, or masks. Factors
are folded into the weights once, before training; biases and batch norms stay.

========================  ==========================================================
`divided`                 by 1/sqrt(density): "scaled random"
`rescaled`                rows or layers back to sigma_w: the rescaling trick
`activity_rescaled`       the same with inputs weighted by their activity (ours)
`calibrated`              layers' outputs vary as in the dense network (ours)
========================  ==========================================================

The control of all of them is `Masks.shuffled`: the same layer densities, no
dependence between mask and activity.
"""

from paicore.rescale.activity import activity_factors, activity_rescaled
from paicore.rescale.calibrated import calibrated, calibration_factors
from paicore.rescale.divided import divided
from paicore.rescale.gain import weight_scale
from paicore.rescale.lottery import bernoulli
from paicore.rescale.scaled import scaled
from paicore.rescale.trick import rescaled, rescaling_factors

__all__ = [
    "activity_factors",
    "activity_rescaled",
    "bernoulli",
    "calibrated",
    "calibration_factors",
    "divided",
    "rescaled",
    "rescaling_factors",
    "scaled",
    "weight_scale",
]
