"""A made-up data set for tests of data files: small enough to break often."""

import numpy as np

from paicore.data import download, store
from paicore.data.catalogue import SPECS, Spec


def tiny_arrays(seed=0):
    """Make a data set like a real one, small enough to break often."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, n in (("train", 40), ("test", 20)):
        images = rng.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = (np.arange(n) % 5).astype(np.uint8)
    return arrays


def no_network(name, scratch):
    raise OSError("network is unreachable")


def save(tmp_path, name="tiny", **changes):
    """Write a file as others do, without checksums; a change of None drops a key."""
    arrays = {**tiny_arrays(), "source": np.array("made here"), **changes}
    file = tmp_path / f"{name}.npz"
    np.savez(file, **{k: v for k, v in arrays.items() if v is not None})
    return file


def wrong_pixels():
    return tiny_arrays()["train_images"] // 2


def register(monkeypatch, tmp_path):
    """Make the set known as "tiny", take the network away, empty the cache."""
    mean, std = store.moments(tiny_arrays()["train_images"], 255.0)
    spec = Spec("tiny", 6, 40, 20, 5, tuple(mean), tuple(std))
    monkeypatch.setitem(SPECS, "tiny", spec)
    monkeypatch.setenv("PAICORE_DATA", str(tmp_path))
    monkeypatch.setattr(download, "fetch", no_network)
    return spec
