"""Data sets as uint8 tensors: digits, MNIST, Fashion-MNIST, CIFAR-10/100, SVHN, noise.

`load` gives a `Dataset`; `normalise` turns its pixels into inputs. Everything random
takes a generator. Nothing is loaded halfway and nothing is unpickled here.
"""

from paicore.data.catalogue import SPECS, DataError, MissingData
from paicore.data.dataset import Dataset, normalise, scaling
from paicore.data.loading import available, load
from paicore.data.sampling import mean_image, noise, sample

NAMES = tuple(SPECS)

__all__ = [
    "NAMES",
    "DataError",
    "Dataset",
    "MissingData",
    "available",
    "load",
    "mean_image",
    "noise",
    "normalise",
    "sample",
    "scaling",
]
