"""Small networks, masks, data and recipes for tests of training."""

import torch
from torch import nn

from paicore import data, train

DIGITS = data.load("digits")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(seed=0, inputs=64, hidden=32, classes=10, dtype=torch.float32):
    """Return a network of Linear layers; its weights come from the seed alone."""
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
    return redrawn(net, seed).to(dtype)


def conv_bn(seed=0):
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 10),
    )
    return redrawn(net, seed)


def redrawn(net, seed):
    g = seeded(seed)
    for p in net.parameters():
        if p.ndim > 1:
            p.data.normal_(0, (2 / p[0].numel()) ** 0.5, generator=g)
        elif (p != 1).any():  # all but the gain of batch norm
            p.data.zero_()
    return net


def random_masks(net, density, seed=0):
    g = seeded(seed)
    return {
        name: torch.rand(p.shape, generator=g) < density
        for name, p in net.named_parameters()
        if p.ndim > 1
    }


def made_images(n=40, channels=3, size=6, classes=4, seed=0):
    x = torch.randint(
        0, 256, (n, channels, size, size), generator=seeded(seed), dtype=torch.uint8
    )
    y = torch.arange(n) % classes
    mean, std = (0.5,) * channels, (0.25,) * channels
    return data.Dataset("made", x, y, x, y, classes, mean, std, 255.0, "made here")


RECIPES = {
    "sgd": train.Recipe("sgd", 0.1, steps=1, momentum=0.0),
    "momentum": train.Recipe("sgd", 0.1, steps=1, weight_decay=1e-2),
    "nesterov": train.Recipe(
        "sgd", 0.05, steps=1, nesterov=True, weight_decay=1e-2, decay="weights"
    ),
    "adam": train.Recipe("adam", 1e-2, steps=1, weight_decay=1e-3),
}


def of(name, **changes):
    return train.Recipe(**{**vars(RECIPES[name]), **changes})


def fields(ds):
    return {k: getattr(ds, k) for k in data.Dataset.__dataclass_fields__}
