"""What a batch mean does to the moments: SBP squares the gradient of the mean loss."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from paicore import data, nets
from paicore.experiments.edge_of_chaos_nets import (
    NAN,
    Networks,
    draws,
    inputs,
    layer_moments,
    profile,
    slope,
)
from paicore.kernels import meanfield

BATCH_VALUES = ("moment", "theory", "exponent", "predicted", "off", "ratio")
BATCHES = ("1", "16", "100", "1000")
REAL = "real"  # method name of the network on a data set


@dataclass(frozen=True)
class Net:
    """A network on the edge of chaos and the layers of its fit.

    Attributes:
        phi: Activation.
        sigma_b: Scale of its biases.
        depth: Number of weight layers.
        width: Of the hidden layers, and of made inputs.
        fit: First and last layer of the fitted exponent.
    """

    phi: str
    sigma_b: float
    depth: int
    width: int
    fit: tuple[int, int]


@dataclass(frozen=True)
class Batches(Networks):
    """Sizes of batches; a variant is a size.

    Attributes:
        nets: Pairs of method and network.
        data: Data set of the method "real".
        every: Layers are recorded in steps of this, and the last one.
    """

    points: tuple[tuple[str, str], ...] = tuple(
        (name, size) for name in ("tanh", "relu", "relu_deep", REAL) for size in BATCHES
    )
    draws: int = 8
    nets: tuple[tuple[str, Net], ...] = (
        ("tanh", Net("tanh", 0.2, 60, 300, (9, 55))),
        ("relu", Net("relu", 0.0, 15, 300, (4, 13))),
        ("relu_deep", Net("relu", 0.0, 60, 300, (9, 55))),
        (REAL, Net("tanh", 0.2, 100, 100, (9, 95))),
    )
    data: str = "mnist"
    every: int = 3


def build(config: Batches, chosen: Net, in_shape: tuple[int, ...], *names: str | int):
    """Draw a network on the edge of chaos, in float32."""
    edge = meanfield.edge_of_chaos(chosen.phi, sigma_b=chosen.sigma_b)
    return nets.build(
        "mlp", classes=config.classes, in_shape=in_shape, width=chosen.width,
        depth=chosen.depth, activation=chosen.phi, generator=draws(*names, "init"),
        init=("gaussian", edge.sigma_w, edge.sigma_b), dtype=torch.float32,
    )  # fmt: skip


def coherent(
    config: Batches, chosen: Net, size: int, *names: str | int
) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network, made inputs, and one output direction for all of them."""
    x, v = inputs((size, chosen.width), *names, dtype=torch.float32)
    return build(config, chosen, (chosen.width,), *names), x, v


def labelled(
    config: Batches, chosen: Net, size: int, *names: str | int
) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network, images of mean square one each, and their labels."""
    ds = data.load(config.data)
    x, y = data.sample(ds, size, draws(*names, "batch"), dtype=torch.float32)
    x = x / x.flatten(1).square().mean(1).sqrt().view(-1, 1, 1, 1)
    return build(config, chosen, ds.in_shape, *names), x, y


def moments(config: Batches, cells: list[dict], chosen: Net) -> np.ndarray:
    """Return m_B^l by cell and layer, the mean over the draws."""
    name, seed = cells[0]["method"], cells[0]["seed"]
    sizes = [int(cell["variant"]) for cell in cells]
    found = np.zeros((len(cells), chosen.depth))
    for draw in range(config.draws):
        drawn = labelled if name == REAL else coherent
        net, x, target = drawn(config, chosen, max(map(int, BATCHES)), seed, draw, name)
        for k, size in enumerate(sizes):
            outputs = net(x[:size])
            if name == REAL:
                loss = cross_entropy(outputs, target[:size])
            else:
                loss = (outputs @ target).mean()
            found[k] += layer_moments(net, loss)
    return found / config.draws


def prediction(config: Batches, chosen: Net) -> meanfield.ScoreMoments:
    """Return the theory of orthogonal inputs and one loss for all of them."""
    edge = meanfield.edge_of_chaos(chosen.phi, sigma_b=chosen.sigma_b)
    widths = [chosen.width] * chosen.depth + [config.classes]
    return meanfield.score_moments(
        chosen.phi, widths, edge.sigma_w, edge.sigma_b, q0=1.0
    )


def run_batches(config: Batches, cells: list[dict]) -> list[list[dict]]:
    """Measure the moments of one network for every size of the batch."""
    chosen = dict(config.nets)[cells[0]["method"]]
    theory = prediction(config, chosen) if cells[0]["method"] != REAL else None
    found = []
    for cell, measured in zip(cells, moments(config, cells, chosen), strict=True):
        power, size = slope(measured, chosen.fit, np.log), int(cell["variant"])
        expected = np.full(chosen.depth, NAN)
        if theory is not None:
            expected = theory.batch_mean(size)
        foreseen = slope(expected, chosen.fit, np.log) if theory is not None else NAN
        last = {
            "exponent": power, "predicted": foreseen, "off": power - foreseen,
            "ratio": float(measured[1] / measured[-2]),
        }  # fmt: skip
        rows = profile({"moment": measured, "theory": expected}, last)
        found.append([*rows[: -1 : config.every], rows[-1]])
    return found
