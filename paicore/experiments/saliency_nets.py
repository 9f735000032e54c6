"""What the experiments of NTK-SAP's saliency share: networks, draws, small measures."""

from collections.abc import Mapping
from math import prod

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from paicore import Masks, nets, seeds
from paicore.experiments.paths_nets import Setting, cells
from paicore.masks import top_k
from paicore.nets.initialise import initialise_

__all__ = [
    "Setting", "agreement", "blank", "cells", "conv6", "draws", "flat", "keep_largest",
    "named", "network", "overlap", "predicted_overlap", "within",
]  # fmt: skip

CHANNELS = (8, 8, 16, 16, 32, 32)
STRIDES = (1, 1, 2, 1, 2, 1)
# Name -> name in `nets.build`, shape of one input, options. Without a bias's own draw
# biases are zero, so the networks are homogeneous in each layer.
SMALL = {
    "mlp": ("mlp", (12,), {"width": (16, 14), "classes": 5}),
    "mlp_deep": ("mlp", (12,), {"width": (16, 14, 12, 10), "classes": 5}),
    "mlp_leaky": (
        "mlp", (12,), {"width": (16, 14), "classes": 5, "activation": "leaky_relu"}
    ),
    "mlp_tanh": (
        "mlp", (12,), {"width": (16, 14), "classes": 5, "activation": "tanh"}
    ),
    "mlp_gelu": (
        "mlp", (12,), {"width": (16, 14), "classes": 5, "activation": "gelu"}
    ),
    "mlp_biases": (
        "mlp", (12,), {"width": (16, 14), "classes": 5, "bias_init": "torch"}
    ),
    "residual": ("residual_mlp", (12,), {"width": 16, "depth": 2, "classes": 5}),
    "lenet5": ("lenet5", (1, 28, 28), {"width": 4}),
    "vgg11": ("vgg11", (3, 32, 32), {"width": 4}),
    "linear": ("mlp", (12,), {"depth": 1, "classes": 5}),
    "resnet20_narrow": ("resnet20", (1, 16, 16), {"width": 4}),
    "resnet20": ("resnet20", (3, 32, 32), {}),
}  # fmt: skip


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw; what is compared shares it."""
    return seeds.generator(seed, "saliency", *names)


def conv6(classes: int, in_shape: tuple[int, ...]) -> nn.Sequential:
    """Return the six convolutions with batch norm of the reference's small checks.

    Conventions: 3 x 3 kernels, no biases, a global average, one Linear. With one input
    channel and ten classes it has 18,248 weights that can be pruned.
    """
    layers, inputs = [], in_shape[0]
    for outputs, stride in zip(CHANNELS, STRIDES, strict=True):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU(),
        ]  # fmt: skip
        inputs = outputs
    tail = nn.AdaptiveAvgPool2d(1), nets.Flatten(), nn.Linear(inputs, classes)
    return nn.Sequential(*layers, *tail)


def network(
    name: str, g: torch.Generator, in_shape: tuple[int, ...] | None = None, **options
) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network in float64 with He's weights, and the shape of its input.

    Args:
        name: "conv6", a name in `SMALL` or one of `nets.build`.
        g: Source of the weights.
        in_shape: Shape of one input; needed for names of `nets.build`.
        **options: Of `nets.build`.
    """
    if name == "conv6":
        in_shape = in_shape or (1, 8, 8)
        with torch.device("meta"):
            net = conv6(10, in_shape)
        net = net.double().to_empty(device="cpu")
        initialise_(net, init="he", bias_init="zero", generator=g)
        return net, in_shape
    built, own_shape, own = SMALL.get(name, (name, in_shape, {}))
    in_shape = in_shape or own_shape
    given = {**own, **options}
    net = nets.build(
        built, in_shape=in_shape, generator=g, dtype=torch.float64, **given
    )
    return net, in_shape


def blank(in_shape: tuple[int, ...], n: int) -> tuple[Tensor, None]:
    """Return a batch of which only the shape counts."""
    return torch.zeros(n, *in_shape, dtype=torch.float64), None


def flat(tensors: Mapping[str, Tensor]) -> Tensor:
    """Chain tensors to one vector, in their order."""
    return torch.cat([t.detach().flatten() for t in tensors.values()])


def named(values: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut one vector into tensors shaped like others."""
    parts = values.split([prod(t.shape) for t in like.values()])
    return {
        name: part.view(t.shape)
        for (name, t), part in zip(like.items(), parts, strict=True)
    }


def keep_largest(scores: Mapping[str, Tensor], density: float) -> Masks:
    """Return the masks of one round: the largest moduli, the authors' count."""
    values = flat(scores).abs()
    kept = len(values) - int((1 - density) * len(values))
    return Masks(named(top_k(values, kept), scores))


def overlap(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the share of the first mask's weights that the second keeps too."""
    both = sum(int((one[name] & other[name]).sum()) for name in one)
    return both / sum(int(mask.sum()) for mask in one.values())


def predicted_overlap(one: Masks, other: Masks) -> float:
    """Return the overlap to expect if only the layers' densities were alike."""
    pairs = zip(one.values(), other.values(), strict=True)
    both = sum(float(a.sum()) * float(b.sum()) / a.numel() for a, b in pairs)
    return both / one.kept


def agreement(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the rank correlation of two scores over all weights."""
    return float(spearmanr(flat(one).abs(), flat(other).abs()).statistic)


def within(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the rank correlation of two scores inside layers, mean over layers."""
    found = [
        float(spearmanr(one[n].flatten().abs(), other[n].flatten().abs()).statistic)
        for n in one
    ]
    return sum(found) / len(found)
