"""A data set in memory: raw pixels, labels and how the pixels are normalised.

Images are kept as uint8 (n, c, h, w), a quarter of float32, and are normalised batch
by batch: (pixel / scale - mean) / std per channel.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a training and a test part.

    Attributes:
        name: Name of the data set.
        train_x: Training images, uint8 (n, c, h, w).
        train_y: Training labels, int64 (n,), from 0 to classes - 1.
        test_x: Test images, as `train_x`.
        test_y: Test labels, as `train_y`.
        classes: Number of classes.
        mean: Per channel, of the pixels divided by `scale`.
        std: Likewise, the standard deviation.
        scale: The pixel value that stands for 1: 255, or 16 for the digits.
        source: Where this copy of the pixels comes from.
    """

    name: str
    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    source: str

    def __post_init__(self):
        _check_part("train", self.train_x, self.train_y, self.classes)
        _check_part("test", self.test_x, self.test_y, self.classes)
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise ValueError(
                f"test_x: expected images of shape {self.in_shape} as in train_x, "
                f"got {tuple(self.test_x.shape[1:])}"
            )
        _check_scaling(self.mean, self.std, self.scale, self.in_shape[0])

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """Shape (c, h, w) of one image."""
        return tuple(self.train_x.shape[1:])

    @property
    def device(self) -> torch.device:
        """Device of the images and labels."""
        return self.train_x.device

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of all pixels, labels and shapes."""
        digest = hashlib.sha256()
        for tensor in (self.train_x, self.train_y, self.test_x, self.test_y):
            digest.update(repr((str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()[:16]

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the data set on a device; nothing is copied if it is there."""
        moved = {
            key: getattr(self, key).to(device)
            for key in ("train_x", "train_y", "test_x", "test_y")
        }
        return replace(self, **moved)

    def subset(self, train: int | None = None, test: int | None = None) -> "Dataset":
        """Return the first `train` training and the first `test` test samples.

        Name, mean and standard deviation stay those of the whole data set. The new
        tensors are views, so that nothing is copied.

        Args:
            train: Number of training samples from 1 to all; None for all.
            test: Number of test samples, likewise.

        Returns:
            A `Dataset`.
        """
        n = _count("train", train, len(self.train_y))
        m = _count("test", test, len(self.test_y))
        return replace(
            self,
            train_x=self.train_x[:n],
            train_y=self.train_y[:n],
            test_x=self.test_x[:m],
            test_y=self.test_y[:m],
        )


def scaling(
    ds: Dataset, dtype: torch.dtype, device: torch.device | str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return shift and width, (c, 1, 1), with normal = (pixel - shift) / width."""
    mean = torch.tensor(ds.mean, dtype=torch.float64).view(-1, 1, 1)  # (c, 1, 1)
    std = torch.tensor(ds.std, dtype=torch.float64).view(-1, 1, 1)  # (c, 1, 1)
    shift, width = mean * ds.scale, std * ds.scale
    return shift.to(device, dtype), width.to(device, dtype)


def normalise(
    ds: Dataset, x: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    r"""Turn raw pixels into the inputs of a network.

    .. math:: (x / \mathrm{scale} - \mathrm{mean}) / \mathrm{std}

    Args:
        ds: The data set that the pixels come from.
        x: Pixels, uint8 (n, c, h, w).
        dtype: Floating dtype of the result.

    Returns:
        Tensor of `dtype`, shape (n, c, h, w), on the device of `x`.

    Raises:
        TypeError: `x` is not uint8, or `dtype` is no floating dtype.
        ValueError: `x` has another shape than (n, c, h, w).
    """
    if x.dtype != torch.uint8:
        raise TypeError(f"x: expected raw pixels of dtype uint8, got {x.dtype}")
    if not dtype.is_floating_point:
        raise TypeError(f"dtype: expected a floating dtype, got {dtype}")
    if x.ndim != 4 or x.shape[1] != len(ds.mean):
        expected = f"(n, {len(ds.mean)}, h, w)"
        raise ValueError(f"x: expected shape {expected}, got {tuple(x.shape)}")
    shift, width = scaling(ds, dtype, x.device)
    return x.to(dtype).sub_(shift).div_(width)


def _check_part(part: str, x: torch.Tensor, y: torch.Tensor, classes: int) -> None:
    """Refuse images or labels that do not fit together.

    Raises:
        ValueError: They do not.
    """
    if x.dtype != torch.uint8 or x.ndim != 4:
        got = f"{x.dtype} {tuple(x.shape)}"
        raise ValueError(f"{part}_x: expected uint8 (n, c, h, w), got {got}")
    if y.dtype != torch.int64 or y.shape != x.shape[:1] or len(y) == 0:
        got = f"{y.dtype} {tuple(y.shape)}"
        raise ValueError(
            f"{part}_y: expected int64 ({len(x)},), one label per image and at least "
            f"one image, got {got}"
        )
    low, high = y.min().item(), y.max().item()
    if low < 0 or high >= classes:
        raise ValueError(
            f"{part}_y: expected labels from 0 to {classes - 1}, got {low} to {high}"
        )


def _check_scaling(mean, std, scale, channels: int) -> None:
    """Refuse a normalisation that does not fit the channels or divides by zero.

    Raises:
        ValueError: It does one of the two.
    """
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"mean, std: expected one value for each of {channels} channels, got "
            f"{len(mean)} and {len(std)}"
        )
    if scale <= 0 or min(std) <= 0:
        raise ValueError(f"scale, std: expected positive values, got {scale}, {std}")


def _count(name: str, asked: int | None, there: int) -> int:
    """Return a number of samples that is there, or say what is wrong with it.

    Raises:
        TypeError: It is no integer.
        ValueError: There are not that many samples.
    """
    if asked is None:
        return there
    if isinstance(asked, bool) or not isinstance(asked, int):
        raise TypeError(f"{name}: expected an int or None, got {asked!r}")
    if not 1 <= asked <= there:
        raise ValueError(f"{name}: expected a count from 1 to {there}, got {asked}")
    return asked
