"""Training batches: the order of random draws, crops and flips, all on the device.

The draws are a contract that `population` and every reference keep. All come from the
CPU generator, at the start of each epoch, in this order:

1. one ``torch.randperm(n)``, the order of the samples;
2. with ``augment``, for each batch of the epoch in turn: ``torch.randint(0, 9, (b,))``
   vertical offsets, the same for horizontal offsets, ``torch.randint(0, 2, (b,))``
   flips, with b the size of the batch.

They are moved to the device once per epoch, so that a GPU never waits for a draw.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from paicore.data import Dataset, scaling
from paicore.train.recipe import Recipe

PAD = 4  # pixels on each side before a crop


def batches(
    ds: Dataset, recipe: Recipe, generator: torch.Generator, dtype: torch.dtype
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield normalised batches and labels without end, epoch after epoch.

    Args:
        ds: The data set, on the device where the batches are wanted.
        recipe: Gives batch size, augmentation and drop_last.
        generator: CPU generator, the only randomness; see the module's contract.
        dtype: Floating dtype of the inputs.

    Yields:
        Inputs (b, c, h, w) of `dtype` and labels (b,) int64.
    """
    shift, width = scaling(ds, dtype, ds.device)
    n = len(ds.train_y)
    while True:
        # One transfer each for the order and all crops of the epoch.
        order, crops = (each.to(ds.device) for each in draw_epoch(n, recipe, generator))
        parts = zip(
            order.split(recipe.batch), crops.split(recipe.batch, dim=1), strict=True
        )
        for index, crop in parts:
            x = ds.train_x[index]
            if recipe.augment:
                x = crop_and_flip(x, *crop)
            yield x.to(dtype).sub_(shift).div_(width), ds.train_y[index]


def crop_and_flip(
    x: torch.Tensor,
    vertical: torch.Tensor,
    horizontal: torch.Tensor,
    flip: torch.Tensor,
) -> torch.Tensor:
    """Pad with pixel value 0, crop back to size and mirror, all samples in one gather.

    Conventions: the pixels are raw, so that the padding is black and not the mean.
    An offset of `PAD` is the middle, an offset of 0 moves the content down or right.
    The crop comes first, then the mirror image.

    Args:
        x: Raw images (b, c, h, w).
        vertical: Offsets from 0 to 2 PAD, int64 (b,).
        horizontal: Likewise.
        flip: 1 for the samples to mirror left to right, else 0, int64 (b,).

    Returns:
        Tensor like `x`.
    """
    b, c, h, w = x.shape
    padded = F.pad(x, (PAD, PAD, PAD, PAD))  # (b, c, h + 2 PAD, w + 2 PAD)
    down = torch.arange(h, device=x.device)
    across = torch.arange(w, device=x.device)
    columns = torch.where(flip[:, None] == 1, w - 1 - across, across)  # (b, w)
    rows = (vertical[:, None] + down).view(b, 1, h, 1)
    columns = (horizontal[:, None] + columns).view(b, 1, 1, w)
    sample = torch.arange(b, device=x.device).view(b, 1, 1, 1)
    channel = torch.arange(c, device=x.device).view(1, c, 1, 1)
    return padded[sample, channel, rows, columns]  # (b, c, h, w)


def draw_epoch(
    n: int, recipe: Recipe, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the order, crops and flips of one epoch, as the module's contract says.

    Args:
        n: Number of training samples.
        recipe: Gives batch size, augmentation and drop_last.
        generator: CPU generator.

    Returns:
        Indices (used,) of the samples in the order of the batches, and int64
        (3, used): vertical and horizontal offsets and flips; all zero, and not drawn,
        without augmentation. Both on the CPU.
    """
    used = min(n, recipe.steps_per_epoch(n) * recipe.batch)
    order = torch.randperm(n, generator=generator)[:used]
    if not recipe.augment:
        return order, torch.zeros(3, 1, dtype=torch.int64).expand(3, used)
    crops = [_crop(len(part), generator) for part in order.split(recipe.batch)]
    return order, torch.cat(crops, dim=1)


def _crop(b: int, generator: torch.Generator) -> torch.Tensor:
    """Draw offsets and flips of one batch, (3, b): vertical, horizontal, flip."""
    bounds = (2 * PAD + 1, 2 * PAD + 1, 2)
    return torch.stack([torch.randint(k, (b,), generator=generator) for k in bounds])
