"""VGG16 and 3xVGG16 at initialisation: what the rescaling trick does to the output.

Plain VGG nets with ReLU, He weights and no biases are on the edge of chaos. They are
pruned by SBP and rescaled; nothing is trained. A variant is mask and factor, as in
notebook 12: "shuffled" masks have SBP's layer densities, their places drawn anew.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from math import inf, log10

import torch
from torch import Tensor, nn

from paicore import data, nets
from paicore.experiments import Config, grid
from paicore.experiments.stable_resnet_layers import Batch
from paicore.experiments.stable_resnet_theory import draws
from paicore.experiments.trainable_depth_nets import rescaled, sbp

VGG_VALUES = ("log_output", "agree", "dead")
LOG_LEAST = -300.0  # stands for an output that is exactly zero


@dataclass(frozen=True)
class Vgg(Config):
    """VGG nets that are pruned and rescaled, not trained.

    Attributes:
        methods: Networks; with "_bn" they have batch norm.
        variants: Mask and factor.
        densities: Fractions kept.
        data: Data set of the scoring batch.
        enlarge: How many pixels an image's pixel becomes per side.
        width: Channels of the first stage.
        batch: Samples that are scored and measured.
    """

    methods: tuple[str, ...] = ("vgg16", "vgg16x3", "vgg16_bn")
    variants: tuple[str, ...] = (
        "sbp none", "sbp row", "sbp activity", "shuffled none", "shuffled row",
    )  # fmt: skip
    densities: tuple[float, ...] = (0.15, 0.1, 0.05)
    data: str = "cifar10"
    enlarge: int = 1
    width: int = 8
    batch: int = 100


def cells(config: Vgg) -> list[dict]:
    """Every network, variant and density, for every seed; no activity with norms."""
    return [
        cell
        for cell in grid(config)
        if not (cell["method"].endswith("_bn") and cell["variant"].endswith("activity"))
    ]


def together(config: Vgg, cell: dict) -> Hashable:
    """Variants of one network, density and seed share their masks."""
    return cell["method"], cell["density"], cell["seed"]


def drawn(config: Vgg, name: str, seed: int) -> tuple[nn.Module, Batch]:
    """Draw a network in float64 and the batch."""
    ds = data.load(config.data)
    x, y = data.sample(ds, config.batch, draws(seed, "vgg", "batch"))
    k = config.enlarge
    x = x.repeat_interleave(k, 2).repeat_interleave(k, 3)  # (n, c, k h, k w)
    net = nets.build(
        name, in_shape=tuple(x.shape[1:]), classes=ds.classes, width=config.width,
        dtype=torch.float64, generator=draws(seed, "vgg", "init"),
    )  # fmt: skip
    return net, (x, y)


def features(net: nn.Module, x: Tensor) -> Tensor:
    """Return what the readout receives, batch norm by the batch."""
    with torch.no_grad():
        return nn.Sequential(*list(net)[:-1])(x)  # (n, channels)


def run_vgg(config: Vgg, group: list[dict]) -> list[list[dict]]:
    """Compare the pruned network's features with the dense one's, as logarithm.

    Conventions: "agree" is the greatest difference from the features without a
    factor, in shares of their greatest entry.

    Returns:
        One row per cell.
    """
    name, density, seed = together(config, group[0])
    net, batch = drawn(config, name, seed)
    masks = sbp(net, density, batch)
    control = masks.shuffled(draws(seed, "vgg", "shuffle", f"{density:g}"))
    named = {"sbp": masks, "shuffled": control}
    dense = features(net, batch[0]).square().mean()

    @cache
    def seen(mask: str, factor: str) -> Tensor:
        return features(rescaled(net, named[mask], factor, batch[0]), batch[0])

    rows = []
    for cell in group:
        mask, factor = cell["variant"].split()
        found, plain = seen(mask, factor), seen(mask, "none")
        share = float(found.square().mean() / dense)
        most = float(plain.abs().max())
        rows.append([{
            "step": 0, "log_output": log10(share) if share else LOG_LEAST,
            "agree": float((found - plain).abs().max()) / most if most else inf,
            "dead": len(named[mask].collapsed),
        }])  # fmt: skip
    return rows
