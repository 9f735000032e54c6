"""Reference companion to four papers on pruning neural networks at initialisation.

data -> net -> score -> masks -> train -> rows -> record -> figure and claim: each arrow
is one function call, and nothing goes back.
"""

from paicore import rescale, transfer
from paicore.masks import Masks
from paicore.scores import SCORES, Score, prune, prune_many

__version__ = "0.1.0"
__all__ = ["SCORES", "Masks", "Score", "prune", "prune_many", "rescale", "transfer"]
