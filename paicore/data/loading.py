"""From the name of a data set to its tensors."""

import numpy as np

from paicore.data import download, store
from paicore.data.catalogue import spec
from paicore.data.dataset import Dataset


def load(name: str) -> Dataset:
    """Load a data set by name.

    Conventions: the digits come with scikit-learn. The others are read from
    ``<name>.npz`` in the folder of the environment variable PAICORE_DATA (unset: the
    folder ``paicore`` in the user's cache). If the file is not there, torchvision
    downloads the data and the file is written. A file that is there but cannot be
    trusted is an error (`DataError`), never a reason to download. A data set that is
    neither there nor to be downloaded is `MissingData`.

    Args:
        name: digits, mnist, fashion_mnist, cifar10, cifar100 or svhn.

    Returns:
        A `Dataset` on the CPU.
    """
    entry = spec(name)
    if name == "digits":
        return _digits()
    file = store.path(name)
    if not file.exists():
        download.download(entry)
    return store.read(file, entry)


def available(name: str) -> bool:
    """Say whether `load` needs no network; the file is not opened.

    Args:
        name: Name of a data set.

    Returns:
        True if the data set is bundled or its file is there.
    """
    return spec(name).name == "digits" or store.path(name).is_file()


def _digits() -> Dataset:
    """Return scikit-learn's digits: first 1,400 for training, last 397 for testing."""
    from sklearn.datasets import load_digits  # lazy: it costs a second

    entry, bunch = spec("digits"), load_digits()
    images = bunch.images.astype(np.uint8)[..., None]  # (1797, 8, 8, 1)
    labels = bunch.target.astype(np.uint8)
    arrays = {
        "train_images": images[: entry.train],
        "train_labels": labels[: entry.train],
        "test_images": images[entry.train :],
        "test_labels": labels[entry.train :],
    }
    for key, array in arrays.items():
        store.check(key, array, entry)
    return store.assemble(entry, arrays, "scikit-learn, load_digits")
