"""Networks as functions: private copies, batch-norm modes, path linearisation.

Everything that scores a network or computes its kernel works on a private copy made
here, so the caller's network cannot change, whatever happens on the way.
"""

from paicore.forward.batch_norm import MODES, FrozenBatchNorm, has_batch_norm
from paicore.forward.isolation import isolated, isolation
from paicore.forward.linearise import MeanPooling, linearised
from paicore.forward.private import logits, outputs, private_copy, run
from paicore.forward.weights import prunable

__all__ = [
    "MODES",
    "FrozenBatchNorm",
    "MeanPooling",
    "has_batch_norm",
    "isolated",
    "isolation",
    "linearised",
    "logits",
    "outputs",
    "private_copy",
    "prunable",
    "run",
]
