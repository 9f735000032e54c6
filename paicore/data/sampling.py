"""Small batches for scores and kernels: training samples, mean image, noise."""

import torch

from paicore.data.dataset import Dataset, normalise


def sample(
    ds: Dataset,
    n: int,
    generator: torch.Generator,
    *,
    balanced: bool = False,
    dtype: torch.dtype = torch.float64,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw training samples without replacement.

    Conventions: the draws are, unbalanced, one permutation of all training samples
    (its first n are taken, in that order); balanced, for class 0, 1, ... one
    permutation of that class's samples. A balanced batch is ordered 0, 1, ...,
    classes - 1, 0, 1, ..., so that every run of `classes` samples holds each class
    once and splitting it in order keeps the parts balanced.

    Args:
        ds: The data set.
        n: Number of samples; balanced, a multiple of the number of classes.
        generator: CPU generator, the only randomness.
        balanced: Take n / classes samples of each class.
        dtype: Floating dtype of the inputs.

    Returns:
        Inputs (n, c, h, w), normalised, and labels (n,) int64, on the device of `ds`.

    Raises:
        ValueError: There are not that many samples, or n is no multiple.
    """
    there = len(ds.train_y)
    if not 1 <= n <= there:
        raise ValueError(f"n: expected a count from 1 to {there}, got {n}")
    if balanced:
        index = _balanced(ds, n, generator)
    else:
        index = torch.randperm(there, generator=generator)[:n]
    index = index.to(ds.device)
    return normalise(ds, ds.train_x[index], dtype), ds.train_y[index]


def mean_image(
    ds: Dataset, n: int | None = None, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return the mean of training images as pixels in [0, 1], not normalised.

    Args:
        ds: The data set.
        n: Number of images; None for all of them.
        generator: Draws the n images without replacement; None takes the first n.

    Returns:
        Tensor (c, h, w), float64, on the device of `ds`.

    Raises:
        ValueError: There are not that many images.
    """
    there = len(ds.train_y)
    n = there if n is None else n
    if not 1 <= n <= there:
        raise ValueError(f"n: expected a count from 1 to {there}, got {n}")
    images = ds.train_x[:n]
    if generator is not None:
        chosen = torch.randperm(there, generator=generator)[:n]
        images = ds.train_x[chosen.to(ds.device)]
    total = torch.zeros(ds.in_shape, dtype=torch.float64, device=ds.device)
    for block in images.split(1024):  # in blocks: a sum over uint8 copies its input
        total += block.to(torch.float64).sum(0)
    return total / (n * ds.scale)


def noise(
    n: int,
    in_shape: tuple[int, ...],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Draw standard normal inputs; in float64, then cast, so that dtypes share draws.

    Args:
        n: Number of inputs, at least 1.
        in_shape: Shape (c, h, w) of one input.
        generator: CPU generator, the only randomness.
        dtype: Floating dtype of the result.

    Returns:
        Tensor (n, c, h, w) on the CPU.

    Raises:
        ValueError: `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    x = torch.randn(n, *in_shape, generator=generator, dtype=torch.float64)
    return x.to(dtype)


def _balanced(ds: Dataset, n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw n / classes indices of each class, interleaved class by class.

    Returns:
        Indices (n,).

    Raises:
        ValueError: n is no multiple, or a class has too few samples.
    """
    each, rest = divmod(n, ds.classes)
    if rest:
        raise ValueError(f"n: expected a multiple of {ds.classes} classes, got {n}")
    labels, chosen = ds.train_y.cpu(), []
    for label in range(ds.classes):
        members = (labels == label).nonzero().flatten()
        if len(members) < each:
            raise ValueError(
                f"n: expected at most {len(members)} samples of class {label}, got "
                f"{each} of each class ({n} in all)"
            )
        chosen.append(members[torch.randperm(len(members), generator=generator)[:each]])
    return torch.stack(chosen, dim=1).flatten()  # (each, classes) -> (n,)
