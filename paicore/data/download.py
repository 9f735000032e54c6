"""Downloads through torchvision, kept as .npz; the only place that imports it.

torchvision works in a temporary folder inside the cache. The .npz is checked and
written there and then renamed, so that a download that dies leaves nothing that a
later `load` could take for data.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from paicore.data import store
from paicore.data.catalogue import MissingData, Spec

CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}


def download(spec: Spec) -> Path:
    """Download a data set and keep it as .npz in the data folder.

    Args:
        spec: The data set.

    Returns:
        Path of the file, which replaces one that was there.

    Raises:
        MissingData: The download failed; nothing is left behind.
    """
    file = store.path(spec.name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{spec.name}-", dir=file.parent
        ) as scratch:
            arrays, source = fetch(spec.name, Path(scratch))
            for key, array in arrays.items():
                store.check(key, array, spec)
            part = Path(scratch) / file.name
            store.write(part, arrays, source)
            os.replace(part, file)
    # Anything may come out of a downloader: network, archive, disk, a wrong pixel.
    except Exception as error:
        raise MissingData(
            f"{spec.name}: {file} is not there and the download failed, leaving "
            f"nothing behind ({type(error).__name__}: {error}). {store.remedies(spec)}"
        ) from error
    return file


def fetch(name: str, scratch: Path) -> tuple[dict[str, np.ndarray], str]:
    """Let torchvision download into a folder; return the arrays and their source."""
    import torchvision  # lazy: it costs seconds, and only a download needs it

    make = getattr(torchvision.datasets, CLASSES[name])
    arrays = {}
    for part in ("train", "test"):
        which = {"split": part} if name == "svhn" else {"train": part == "train"}
        parts = make(str(scratch), download=True, **which)
        arrays[f"{part}_images"] = _images(parts.data)
        labels = parts.labels if name == "svhn" else parts.targets
        arrays[f"{part}_labels"] = np.asarray(labels).astype(np.uint8)
    return arrays, f"torchvision {torchvision.__version__}, {CLASSES[name]}"


def _images(data) -> np.ndarray:
    """Return torchvision's raw images as NHWC: (n, h, w), (n, h, w, 3) or NCHW."""
    images = np.asarray(data)
    if images.ndim == 3:
        return images[..., None]  # (n, h, w, 1)
    if images.shape[1] == 3:
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))  # (n, h, w, c)
    return images
