"""The networks and data that the training benchmark trains."""

import torch

from paicore import data, nets, prune, seeds


def made(in_shape, n=5000, test=100, classes=10):
    """Random images in the shape of a data set: training takes as long as on it."""
    g = seeds.generator(0, "benchmark", "data")
    x = torch.randint(0, 256, (n, *in_shape), generator=g, dtype=torch.uint8)
    y = torch.randint(0, classes, (n,), generator=g)
    middle = (0.5,) * in_shape[0]
    parts = (x, y, x[:test], y[:test])
    return data.Dataset("made", *parts, classes, middle, middle, 255.0, "made here")


def member(name, in_shape, seed=0, density=0.1, **options):
    """A network, random masks and a generator."""
    g = seeds.generator(seed, "benchmark", name)
    net = nets.build(name, classes=10, in_shape=in_shape, generator=g, **options)
    masks = prune(net, "random", density=density, generator=g)
    return net, masks, seeds.generator(seed, "benchmark", "order")
