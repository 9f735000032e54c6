"""The data sets that can be loaded, and the facts that recognise each of them."""

from dataclasses import dataclass


class DataError(RuntimeError):
    """A data file is there but cannot be trusted; the message names the remedy."""


class MissingData(DataError, FileNotFoundError):
    """A data set is neither on disk nor to be had from the network."""


@dataclass(frozen=True)
class Spec:
    """What a copy of a data set must look like to be accepted.

    Attributes:
        name: Name in `load` and stem of the file.
        side: Height and width of the images.
        train: Number of training images.
        test: Number of test images.
        classes: Number of classes; every one occurs in both parts.
        mean: Per channel, of the training pixels divided by `scale`.
        std: Likewise, the population standard deviation.
        scale: The pixel value that stands for 1.
    """

    name: str
    side: int
    train: int
    test: int
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each stored array; images are NHWC."""
        image = (self.side, self.side, len(self.mean))
        return {
            "train_images": (self.train, *image),
            "train_labels": (self.train,),
            "test_images": (self.test, *image),
            "test_labels": (self.test,),
        }


# Means and deviations are the usual constants of four digits. They normalise the
# inputs and, to 2e-4, recognise the pixels of a copy that carries no checksum.
SPECS = {
    spec.name: spec
    for spec in (
        Spec("digits", 8, 1400, 397, 10, (0.3055,), (0.3757,), scale=16.0),
        Spec("mnist", 28, 60_000, 10_000, 10, (0.1307,), (0.3081,)),
        Spec("fashion_mnist", 28, 60_000, 10_000, 10, (0.2860,), (0.3530,)),
        Spec(
            *("cifar10", 32, 50_000, 10_000, 10),
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
        ),
        Spec(
            *("cifar100", 32, 50_000, 10_000, 100),
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
        ),
        Spec(
            *("svhn", 32, 73_257, 26_032, 10),
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
        ),
    )
}


def spec(name: str) -> Spec:
    """Return the entry of a data set.

    Args:
        name: One of the names in `SPECS`.

    Returns:
        Its `Spec`.

    Raises:
        ValueError: There is no data set of that name.
    """
    if name not in SPECS:
        raise ValueError(f"name: expected one of {', '.join(SPECS)}; got {name!r}")
    return SPECS[name]
