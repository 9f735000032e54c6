"""Networks by name, made of modules only and initialised from a generator.

Convention: ``forward`` maps a batch (n, c, h, w) to logits (n, classes). Nothing
happens outside a module and no module is called twice, so that kernels, path sums
and hooks see every operation. Batch norm leaves no shape changed; a fresh network
is in training mode, with running mean 0 and variance 1.
"""

from paicore.nets.build import build, names
from paicore.nets.modules import Add, Flatten, Scale

__all__ = ["Add", "Flatten", "Scale", "build", "names"]
