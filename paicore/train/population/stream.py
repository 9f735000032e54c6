"""Batches of many members at once, each in its own order, on the device."""

from collections.abc import Iterator

import torch

from paicore.data import Dataset, scaling
from paicore.train.batches import crop_and_flip, draw_epoch
from paicore.train.recipe import Recipe


def stacked_batches(
    ds: Dataset,
    recipe: Recipe,
    generators: list[torch.Generator],
    source: list[int],
    dtype: torch.dtype,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield what `paicore.train.batches` yields for each of M places, stacked.

    Conventions: every generator is drawn from as if its member were alone. The layout
    has the samples first; on a GPU the channels of all members lie together, as
    a grouped convolution in channels-last reads them.

    Args:
        ds: The data set, on the device where the batches are wanted.
        recipe: Gives batch size, augmentation and drop_last.
        generators: CPU generators, one per member.
        source: The member whose draws each place gets. The caller may change it; the
            change holds from the next epoch.
        dtype: Floating dtype of the inputs.

    Yields:
        Inputs (b, M, c, h, w) of `dtype` and labels (b, M) int64.
    """
    scale = scaling(ds, dtype, ds.device)
    while True:
        order, crops = _epoch(len(ds.train_y), recipe, generators, source)
        order, crops = order.to(ds.device), crops.to(ds.device)
        parts = zip(
            order.split(recipe.batch), crops.split(recipe.batch, dim=1), strict=True
        )
        for index, crop in parts:
            yield _images(ds, index, crop, recipe, scale), ds.train_y[index]


def _epoch(n: int, recipe: Recipe, generators, source):
    """Draw one epoch of each source; return orders (used, M), crops (3, used, M)."""
    drawn = {k: draw_epoch(n, recipe, generators[k]) for k in sorted(set(source))}
    order = torch.stack([drawn[k][0] for k in source], dim=1)
    return order, torch.stack([drawn[k][1] for k in source], dim=2)


def _images(ds: Dataset, index, crop, recipe: Recipe, scale) -> torch.Tensor:
    """Return normalised, perhaps augmented images (b, M, c, h, w)."""
    x = ds.train_x[index.flatten()]  # (b M, c, h, w)
    if recipe.augment:
        x = crop_and_flip(x, *crop.flatten(1))
    shift, width = scale
    x = x.to(width.dtype).sub_(shift).div_(width)
    x = x.view(*index.shape, *ds.in_shape)  # (b, M, c, h, w)
    if x.device.type != "cuda" or x.dtype == torch.float64:
        return x
    flat = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    return flat.unflatten(1, x.shape[1:3])  # (b, M, c, h, w)
