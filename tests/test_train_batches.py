import pytest
import torch
from train_cases import made_images, seeded

from paicore import data, train


def reference_image(image, down, right, flip):
    """Cut one image out of its black frame, pixel by pixel."""
    _, h, w = image.shape
    out = torch.zeros_like(image)
    for i in range(h):
        for j in range(w):
            row, column = i + down - 4, (w - 1 - j if flip else j) + right - 4
            if 0 <= row < h and 0 <= column < w:
                out[:, i, j] = image[:, row, column]
    return out


def test_crop_and_flip_equal_the_loop_over_pixels_for_every_offset():
    ds = made_images(n=9 * 9 * 2)
    grid = torch.cartesian_prod(torch.arange(9), torch.arange(9), torch.arange(2))
    got = train.crop_and_flip(ds.train_x, *grid.T)
    for image, out, (down, right, flip) in zip(
        ds.train_x, got, grid.tolist(), strict=True
    ):
        assert torch.equal(out, reference_image(image, down, right, flip))


def test_an_offset_of_four_without_flip_is_the_image_itself():
    x, four = made_images().train_x, torch.full((40,), 4)
    assert torch.equal(train.crop_and_flip(x, four, four, torch.zeros_like(four)), x)
    mirrored = train.crop_and_flip(x, four, four, torch.ones_like(four))
    assert torch.equal(mirrored, x.flip(3))


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_follow_the_documented_order_of_draws(augment, drop_last):
    ds = made_images(n=22)
    recipe = train.Recipe(
        "sgd", 0.1, batch=8, epochs=1, augment=augment, drop_last=drop_last
    )
    stream = train.batches(ds, recipe, seeded(5), torch.float64)
    g = seeded(5)
    for _ in range(3):  # epochs
        order = torch.randperm(22, generator=g)
        for size in (8, 8) if drop_last else (8, 8, 6):
            index, order = order[:size], order[size:]
            x = ds.train_x[index]
            if augment:
                down = torch.randint(0, 9, (size,), generator=g)
                right = torch.randint(0, 9, (size,), generator=g)
                flip = torch.randint(0, 2, (size,), generator=g)
                crops = zip(x, down, right, flip, strict=True)
                x = torch.stack([reference_image(*crop) for crop in crops])
            got_x, got_y = next(stream)
            assert torch.equal(got_y, ds.train_y[index])
            assert torch.equal(got_x, data.normalise(ds, x, torch.float64))
