import re

import numpy as np
import pytest
import torch

from paicore import data
from paicore.data import store


def test_digits_are_split_in_their_own_order_with_scale_16():
    from sklearn.datasets import load_digits

    ds, raw = data.load("digits"), load_digits()
    assert ds.train_x.shape == (1400, 1, 8, 8) and ds.test_x.shape == (397, 1, 8, 8)
    assert ds.in_shape == (1, 8, 8) and ds.classes == 10 and ds.scale == 16
    images = torch.cat([ds.train_x, ds.test_x])[:, 0]
    assert np.array_equal(images.numpy(), raw.images)
    assert np.array_equal(torch.cat([ds.train_y, ds.test_y]).numpy(), raw.target)


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10"])
def test_real_training_inputs_have_mean_0_and_deviation_1_per_channel(
    name,
):
    if not data.available(name):
        pytest.skip(f"{store.path(name)} is not there")
    ds = data.load(name)
    parts = [data.normalise(ds, x) for x in ds.train_x[::50].split(100)]
    x = torch.cat(parts).double()
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    assert mean.abs().max() < 0.05 and (std - 1).abs().max() < 0.05
    assert ds.train_y.bincount().shape == (ds.classes,)


def test_normalise_is_the_formula_in_each_dtype():
    ds = data.load("digits")
    x = ds.train_x[:5]
    expected = (x.double() / 16 - ds.mean[0]) / ds.std[0]
    assert torch.allclose(data.normalise(ds, x, torch.float64), expected, rtol=1e-14)
    assert torch.allclose(data.normalise(ds, x), expected.float(), rtol=1e-6, atol=1e-6)
    assert data.normalise(ds, x).dtype == torch.float32
    for bad in (x.float(), data.normalise(ds, x)):
        with pytest.raises(TypeError, match=r"dtype uint8, got torch.float32"):
            data.normalise(ds, bad)
    with pytest.raises(ValueError, match=re.escape("(n, 1, h, w), got (1, 8, 8)")):
        data.normalise(ds, x[0])


def test_subset_takes_the_first_of_each_part_and_keeps_name_and_scaling():
    ds = data.load("digits")
    part = ds.subset(train=30, test=7)
    assert (part.name, part.mean, part.source) == (ds.name, ds.mean, ds.source)
    assert torch.equal(part.train_x, ds.train_x[:30]) and len(part.train_y) == 30
    assert torch.equal(part.test_y, ds.test_y[:7]) and len(part.test_x) == 7
    assert part.fingerprint != ds.fingerprint == ds.subset().fingerprint
    for bad in (0, -1, 1401):
        with pytest.raises(ValueError, match=rf"train: .* from 1 to 1400, got {bad}"):
            ds.subset(train=bad)
    with pytest.raises(TypeError, match=r"test: expected an int or None, got 2.0"):
        ds.subset(test=2.0)


def test_a_dataset_of_ones_own_is_checked():
    good = data.load("digits")
    facts = {k: getattr(good, k) for k in data.Dataset.__dataclass_fields__}
    for change, what in (
        ({"train_x": good.train_x.float()}, "train_x: expected uint8"),
        ({"test_y": good.test_y[:5]}, "test_y: expected int64"),
        ({"test_y": good.test_y.int()}, "test_y: expected int64"),
        ({"classes": 9}, "train_y: expected labels from 0 to 8, got 0 to 9"),
        ({"mean": (0.1, 0.2)}, "one value for each of 1 channels, got 2 and 1"),
        ({"std": (0.0,)}, "expected positive values"),
        ({"test_x": good.test_x[..., :7]}, "test_x: expected images of shape"),
    ):
        with pytest.raises(ValueError, match=re.escape(what)):
            data.Dataset(**{**facts, **change})


def test_sample_takes_the_start_of_one_permutation():
    ds, g = data.load("digits"), torch.Generator().manual_seed(3)
    x, y = data.sample(ds, 64, g)
    index = torch.randperm(1400, generator=torch.Generator().manual_seed(3))[:64]
    assert x.dtype == torch.float64 and torch.equal(y, ds.train_y[index])
    assert torch.equal(x, data.normalise(ds, ds.train_x[index], torch.float64))


def test_balanced_sample_holds_each_class_once_in_every_run_of_ten():
    ds, g = data.load("digits"), torch.Generator().manual_seed(3)
    x, y = data.sample(ds, 40, g, balanced=True, dtype=torch.float32)
    assert torch.equal(y, torch.arange(10).repeat(4)) and x.dtype == torch.float32
    again = torch.Generator().manual_seed(3)
    for label in range(10):
        members = (ds.train_y == label).nonzero().flatten()
        drawn = members[torch.randperm(len(members), generator=again)[:4]]
        assert torch.equal(x[label::10], data.normalise(ds, ds.train_x[drawn]))


def test_sample_refuses_what_is_not_there():
    ds, g = data.load("digits"), torch.Generator()
    state = g.get_state()
    for n in (0, 1401):
        with pytest.raises(ValueError, match=rf"n: .* from 1 to 1400, got {n}"):
            data.sample(ds, n, g)
    with pytest.raises(ValueError, match="multiple of 10 classes, got 15"):
        data.sample(ds, 15, g, balanced=True)
    assert torch.equal(state, g.get_state())
    with pytest.raises(ValueError, match="at most 137 samples of class 2, got 139"):
        data.sample(ds, 1390, g, balanced=True)


def test_mean_image_is_the_mean_of_raw_pixels():
    ds = data.load("digits")
    image = data.mean_image(ds)
    assert torch.allclose(image, ds.train_x.double().mean(0) / 16, rtol=1e-13)
    assert image.shape == (1, 8, 8) and image.min() >= 0 and image.max() <= 1
    first = data.mean_image(ds, 20)
    assert torch.allclose(first, ds.train_x[:20].double().mean(0) / 16, rtol=1e-13)
    drawn = data.mean_image(ds, 20, torch.Generator().manual_seed(1))
    assert not torch.equal(drawn, first)
    with pytest.raises(ValueError, match="from 1 to 1400, got 0"):
        data.mean_image(ds, 0)


def test_noise_is_standard_normal_and_the_same_in_every_dtype():
    x = data.noise(500, (3, 8, 8), torch.Generator().manual_seed(0))
    y = data.noise(500, (3, 8, 8), torch.Generator().manual_seed(0), torch.float32)
    assert x.shape == (500, 3, 8, 8) and x.dtype == torch.float64
    assert torch.equal(x.float(), y)
    assert abs(x.mean()) < 4 / x.numel() ** 0.5 and abs(x.std() - 1) < 0.01
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        data.noise(0, (1, 2, 2), torch.Generator())
