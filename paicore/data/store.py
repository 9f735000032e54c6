"""Data sets on disk: one .npz per set, and why a file is trusted or refused.

A file holds uint8 NHWC images, uint8 labels and the text `source`. Files written here
carry a SHA-256 per array as well (`sha256`, in the order of `ARRAYS`). Files made by
others need none; shapes, dtypes, labels and pixel statistics are checked in any case.
"""

import hashlib
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from paicore.data.catalogue import DataError, Spec
from paicore.data.dataset import Dataset

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
# Whatever numpy and zipfile raise on a damaged or foreign archive.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def folder() -> Path:
    """Return the folder of the data files: PAICORE_DATA, else the user's cache."""
    if named := os.environ.get("PAICORE_DATA"):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "paicore"


def path(name: str) -> Path:
    """Return where the file of a data set is or will be."""
    return folder() / f"{name}.npz"


def remedies(spec: Spec) -> str:
    """Return the two ways to get a good copy of a data set, as text."""
    shapes = ", ".join(f"{key} {shape}" for key, shape in spec.shapes.items())
    now = "now" if os.environ.get("PAICORE_DATA") else "not set, so"
    return (
        f"Either (1) put {spec.name}.npz into the folder named by the environment "
        f"variable PAICORE_DATA ({now}: {folder()}), with the uint8 arrays {shapes} "
        f"(images NHWC) and the text `source`; or (2) run `python -m paicore.data "
        f"{spec.name}` with a network connection, which downloads it there."
    )


def read(file: Path, spec: Spec) -> Dataset:
    """Read a data file as a whole or refuse it as a whole.

    Args:
        file: The .npz to read.
        spec: What it has to hold.

    Returns:
        The data set, on the CPU.

    Raises:
        DataError: The file is truncated, damaged, or not this data set.

    Cost: each array is read once; the peak is the data set plus its largest array.
    """
    try:
        return _read(file, spec)
    except UNREADABLE as error:
        what = str(error) or type(error).__name__
        raise DataError(
            f"{file} is not used: {what}. Remove it, then: {remedies(spec)}"
        ) from error


def write(file: Path, arrays: dict[str, np.ndarray], source: str) -> None:
    """Write a data file with the checksum of each array.

    Args:
        file: Path to write to; rename it into place when it is complete.
        arrays: The four arrays of `ARRAYS`.
        source: Where the pixels come from.
    """
    digests = np.array([_digest(arrays[key]) for key in ARRAYS])
    ordered = {key: arrays[key] for key in ARRAYS}
    with file.open("wb") as stream:
        np.savez(stream, **ordered, source=np.array(source), sha256=digests)
        stream.flush()
        os.fsync(stream.fileno())


def check(key: str, array: np.ndarray, spec: Spec) -> None:
    """Refuse an array whose dtype, shape, labels or pixels are not the data set's.

    Args:
        key: One of `ARRAYS`.
        array: What stands under that key.
        spec: The data set it should belong to.

    Raises:
        ValueError: Something differs; the message says what.
    """
    expected = spec.shapes[key]
    if array.dtype != np.uint8 or array.shape != expected:
        raise ValueError(
            f"{key}: expected uint8 {expected}, got {array.dtype} {array.shape}"
        )
    if key.endswith("labels"):
        found = np.unique(array)
        if not np.array_equal(found, np.arange(spec.classes)):
            raise ValueError(
                f"{key}: expected every label from 0 to {spec.classes - 1}, got "
                f"{len(found)} labels from {found[0]} to {found[-1]}"
            )
    if key == "train_images":
        _check_pixels(array, spec)


def assemble(spec: Spec, arrays: dict[str, np.ndarray], source: str) -> Dataset:
    """Make a data set of the four arrays, which are emptied out on the way."""
    tensors = {}
    for part in ("train", "test"):
        images = torch.from_numpy(arrays.pop(f"{part}_images"))  # (n, h, w, c)
        tensors[f"{part}_x"] = images.permute(0, 3, 1, 2).contiguous()  # (n, c, h, w)
        del images  # the NHWC copy goes before the next part is converted
        labels = torch.from_numpy(arrays.pop(f"{part}_labels"))
        tensors[f"{part}_y"] = labels.long()
    facts = {k: getattr(spec, k) for k in ("name", "classes", "mean", "std", "scale")}
    return Dataset(**tensors, **facts, source=source)


def moments(images: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation per channel, summed in small blocks."""
    total = np.zeros(images[0].size)
    square = np.zeros(images[0].size)
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024]
        x = block.reshape(len(block), -1).astype(np.float64)  # (block, h * w * c)
        total += x.sum(0)
        square += np.einsum("ij,ij->j", x, x)
    channels = images.shape[-1]
    count = len(images) * images[0].size / channels
    mean = total.reshape(-1, channels).sum(0) / count
    variance = square.reshape(-1, channels).sum(0) / count - mean**2
    return mean / scale, np.sqrt(variance) / scale


def _read(file: Path, spec: Spec) -> Dataset:
    """Read and check; every fault is one of `UNREADABLE`.

    Returns:
        The data set.

    Raises:
        ValueError: The archive or one of its arrays is not the data set's.
    """
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no .npz archive, or a truncated one")
    with np.load(file, allow_pickle=False) as archive:
        missing = [k for k in (*ARRAYS, "source") if k not in archive.files]
        if missing:
            raise ValueError(f"it lacks {missing}; it holds {sorted(archive.files)}")
        source = _text(archive["source"], "source", ())
        digests = None
        if "sha256" in archive.files:
            digests = _text(archive["sha256"], "sha256", (len(ARRAYS),))
        arrays = {}
        for index, key in enumerate(ARRAYS):
            arrays[key] = archive[key]
            check(key, arrays[key], spec)
            if digests is not None and _digest(arrays[key]) != digests[index]:
                raise ValueError(f"{key}: the SHA-256 stored beside it does not fit")
    return assemble(spec, arrays, str(source))


def _check_pixels(images: np.ndarray, spec: Spec) -> None:
    """Refuse pixels whose mean or standard deviation is another data set's.

    Raises:
        ValueError: One of them differs by more than 2e-4.
    """
    for what, got, expected in zip(
        ("mean", "standard deviation"),
        moments(images, spec.scale),
        (spec.mean, spec.std),
        strict=True,
    ):
        if np.abs(got - expected).max() > 2e-4:
            raise ValueError(
                f"train_images: expected pixels of {what} {expected}, got "
                f"{tuple(round(float(v), 4) for v in got)}; is it another data set?"
            )


def _text(array: np.ndarray, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of text of the given shape, or refuse it.

    Raises:
        ValueError: It is no text, or has another shape.
    """
    if array.dtype.kind != "U" or array.shape != shape:
        got = f"{array.dtype} {array.shape}"
        raise ValueError(f"{key}: expected text of shape {shape}, got {got}")
    return array


def _digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
