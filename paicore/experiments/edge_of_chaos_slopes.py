"""Moments m^l of saliency for single samples, layer by layer, against theory.

A run averages m^l over `draws` networks, each with an input of its own, and takes the
logarithm of that mean: the mean of logarithms is biased by an amount that depends on
the layer. The loss is a random direction of the outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log, log10

import numpy as np
import torch
from torch import Tensor, nn

from paicore.experiments.edge_of_chaos_nets import (
    Networks,
    at_point,
    draws,
    inputs,
    layer_moments,
    profile,
    scales,
    slope,
    terms,
    unit_network,
    units,
)
from paicore.kernels import meanfield
from paicore.rescale import bernoulli

SLOPE_VALUES = (
    "moment", "theory", "slope", "predicted", "off", "spread", "unequal"
)  # fmt: skip
LOTTERY_VALUES = ("moment", "slope", "steep", "share")
POSITION_VALUES = ("moment", "slope", "off")
PAIR_VALUES = ("q", "q_theory", "gap", "gap_theory")
TANH_POINTS = ("0.8 0.3", "1 0.3", "edge 0.3", "2 0.3")


@dataclass(frozen=True)
class Slopes(Networks):
    """Points with and without biases.

    Attributes:
        fit: First and last layer of the fitted slope.
    """

    points: tuple[tuple[str, str], ...] = (
        *(("tanh", each) for each in (*TANH_POINTS, "0.8 0")),
        *(("relu", each) for each in ("1 0.3", "1.3 0.3", "1 0", "1.7321 0")),
    )
    fit: tuple[int, int] = (9, 25)


@dataclass(frozen=True)
class Lottery(Networks):
    """Networks above the edge of chaos, dense and under a Bernoulli mask."""

    points: tuple[tuple[str, str], ...] = tuple(
        ("tanh", f"{sigma_w} 0.2 {kind}")
        for sigma_w in ("1.6", "2.5", "4")
        for kind in ("dense", "masked")
    )
    fit: tuple[int, int] = (9, 25)


@dataclass(frozen=True)
class Positions(Networks):
    """Circular convolutions; a third word of a variant says what positions hold.

    Attributes:
        side: Side of the image; its positions are drawn, or all equal.
        fit: As in `Slopes`.
    """

    points: tuple[tuple[str, str], ...] = (
        *(("tanh", f"{each} drawn") for each in TANH_POINTS),
        ("tanh", "edge 0.3 equal"),
    )
    width: int = 64
    side: int = 4
    draws: int = 40
    fit: tuple[int, int] = (9, 25)


@dataclass(frozen=True)
class Pairs(Networks):
    """Variances and correlations of two orthogonal inputs in real networks."""

    points: tuple[tuple[str, str], ...] = (
        ("tanh", "0.8 0.3"), ("tanh", "edge 0.2"), ("tanh", "2 0.3"),
        ("relu", "edge 0"),
    )  # fmt: skip
    depth: int = 60
    draws: int = 8


def networks(config: Networks, cells: list[dict], **options) -> Iterator[tuple]:
    """Yield (index of the cell, draw, network at its point), draws outermost."""
    phi, seed = cells[0]["method"], cells[0]["seed"]
    for draw in range(config.draws):
        net = unit_network(config, phi, seed, draw, **options)
        unit = units(net)
        for k, cell in enumerate(cells):
            yield k, draw, at_point(net, unit, scales(phi, cell["variant"]))


def unequal(parts: list[Tensor]) -> float:
    """Return how far the layers' sums of W dL/dW lie apart, relative to the largest."""
    sums = torch.stack([part.sum() for part in parts])
    return float((sums.max() - sums.min()) / sums.abs().max())


def run_slopes(config: Slopes, cells: list[dict]) -> list[list[dict]]:
    """Measure m^l at every point of one activation."""
    seed = cells[0]["seed"]
    sums = np.zeros((len(cells), config.depth))
    apart = [0.0] * len(cells)
    for k, draw, net in networks(config, cells):
        x, v = inputs((1, config.width), seed, draw)
        found = terms(net, (net(x) @ v).mean())
        sums[k] += [float(t.square().mean()) for t in found]
        apart[k] = max(apart[k], unequal(found))
    return [
        _slopes(config, cell, total / config.draws, gap)
        for cell, total, gap in zip(cells, sums, apart, strict=True)
    ]


def _slopes(config: Slopes, cell: dict, moments: np.ndarray, gap: float) -> list[dict]:
    """Compare the moments of one point with theory."""
    phi, point = cell["method"], scales(cell["method"], cell["variant"])
    widths = [config.width] * config.depth + [config.classes]
    theory = meanfield.score_moments(phi, widths, *point, q0=1.0).sample
    found, inner = slope(moments, config.fit), moments[1:-1]
    last = {
        "slope": found, "predicted": slope(theory, config.fit),
        "off": abs(found + log(meanfield.chi(phi, *point))),
        "spread": log10(inner.max() / inner.min()), "unequal": gap,
    }  # fmt: skip
    return profile({"moment": moments, "theory": theory}, last)


def masked_(net: nn.Module, sigma_w: float, sigma_b: float, g: torch.Generator):
    """Zero weights at random so that the rest is on the edge; return the density."""
    chance = meanfield.lottery_density("tanh", sigma_w, sigma_b=sigma_b)
    masks = bernoulli(net, chance, g)
    masks.apply_(net)
    return masks.density


def run_lottery(config: Lottery, cells: list[dict]) -> list[list[dict]]:
    """Measure m^l with and without the mask, on the same draws."""
    seed = cells[0]["seed"]
    sums, kept = np.zeros((len(cells), config.depth)), np.zeros(len(cells))
    for k, draw, net in networks(config, cells):
        variant, share = cells[k]["variant"], 1.0
        if variant.endswith("masked"):
            point = scales("tanh", variant)
            share = masked_(net, *point, draws(seed, draw, "mask"))
        x, v = inputs((1, config.width), seed, draw)
        sums[k] += layer_moments(net, (net(x) @ v).mean())
        kept[k] += share / config.draws
    found = []
    for moments, share in zip(sums / config.draws, kept, strict=True):
        rise = slope(moments, config.fit)
        last = {"slope": rise, "steep": abs(rise), "share": float(share)}
        found.append(profile({"moment": moments}, last))
    return found


def run_positions(config: Positions, cells: list[dict]) -> list[list[dict]]:
    """Measure m^l of filters, which are shared by all positions."""
    seed, sums = cells[0]["seed"], np.zeros((len(cells), config.depth))
    image = config.width, config.side, config.side
    below = replace(config, depth=config.depth - 1)  # the readout comes on top
    for k, draw, net in networks(below, cells, net="cnn", in_shape=image):
        x, v = inputs((1, *image), seed, draw)
        if cells[k]["variant"].endswith("equal"):
            x = x[:, :, :1, :1].expand(1, *image)
            x = x / x.square().mean().sqrt()
        sums[k] += layer_moments(net, (net(x) @ v).mean())
    found = []
    for cell, moments in zip(cells, sums / config.draws, strict=True):
        rise = slope(moments, config.fit)
        chi = meanfield.chi("tanh", *scales("tanh", cell["variant"]))
        last = {"slope": rise, "off": abs(rise + log(chi))}
        found.append(profile({"moment": moments}, last))
    return found


def two_inputs(net: nn.Sequential, x: Tensor) -> tuple[list[float], list[float]]:
    """Return variance and 1 - correlation of two inputs after every Linear layer."""
    q, gap = [], []
    with torch.no_grad():
        for module in net:
            x = module(x)
            if isinstance(module, nn.Linear):
                a, b = x  # (width,) each
                q.append(float((a.square().mean() + b.square().mean()) / 2))
                # through the difference, which keeps its digits
                a, b = a / a.norm(), b / b.norm()
                gap.append(float((a - b).square().sum() / 2))
    return q, gap


def run_pairs(config: Pairs, cells: list[dict]) -> list[list[dict]]:
    """Follow two orthogonal inputs through networks at every point."""
    seed, sums = cells[0]["seed"], np.zeros((len(cells), 2, config.depth))
    for k, draw, net in networks(config, cells, classes=config.width):
        (a, b), _ = inputs((2, config.width), seed, draw)
        b = b - (a @ b) / (a @ a) * a
        b = b / b.square().mean().sqrt()
        sums[k] += two_inputs(net, torch.stack([a, b]))
    found = []
    for cell, (q, gap) in zip(cells, sums / config.draws, strict=True):
        phi, point = cell["method"], scales(cell["method"], cell["variant"])
        theory = meanfield.signal(phi, config.depth, *point, q0=1.0, c0=0.0)
        columns = {"q": q, "q_theory": theory.q, "gap": gap, "gap_theory": theory.gap}
        found.append(profile(columns, {}))
    return found
