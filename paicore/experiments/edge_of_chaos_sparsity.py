"""When pruning empties a layer: SBP at any scale, magnitudes, and Figure 1.

The scores of SBP are SNIP's in float64 on the weights as they are drawn, the mean
cross-entropy of one batch; deep in the ordered phase float32 would underflow.
"""

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor, nn

from paicore import SCORES, Masks, data, nets, prune
from paicore.experiments.edge_of_chaos_nets import (
    NAN,
    Networks,
    at_point,
    draws,
    profile,
    scales,
    unit_network,
    units,
)
from paicore.forward import prunable
from paicore.kernels import meanfield
from paicore.masks import critical_sparsities

CRITICAL_VALUES = ("s_cr", "bound", "excess", "log_chi", "law", "layer")
MAGNITUDE_VALUES = ("s_cr", "exact", "bound", "excess")
LAYER_VALUES = ("share", "dead", "holes", "first", "last")
ORDERED = ("0.2", "0.3", "0.5", "0.8", "1")
AROUND = ("0.5", "0.8", "1", "1.1", "1.2", "1.3", "edge", "1.5", "1.7", "2")
PHASES = {"ordered": "1 0.3", "edge": "edge 0.2", "chaotic": "2 0.3"}
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Critical(Networks):
    """Critical sparsities of SBP; a method is depth x width x inputs.

    Attributes:
        sigma_b: Scale of the biases; a variant is sigma_w.
        batch: Number of samples that SBP scores.
    """

    points: tuple[tuple[str, str], ...] = (
        *(("100x100x100", each) for each in ORDERED),
        *(("200x50x50", each) for each in ("0.2", "0.5", "0.8", "1")),
        *(("100x100x784", each) for each in AROUND),
    )
    draws: int = 1
    sigma_b: float = 0.3
    batch: int = 100


@dataclass(frozen=True)
class Magnitudes(Networks):
    """One layer of smaller weights; a variant is the ratio of variances."""

    points: tuple[tuple[str, str], ...] = tuple(
        ("mlp", ratio) for ratio in ("2", "5", "10", "15")
    )
    depth: int = 100
    width: int = 100
    draws: int = 10
    classes: int = 100


@dataclass(frozen=True)
class Layers(Networks):
    """Shares kept per layer; a variant is a data set or "gaussian".

    Attributes:
        density: Fraction of all weights that is kept.
        batch: As in `Critical`.
        data: Data set of the variant "images".
    """

    points: tuple[tuple[str, str], ...] = tuple(
        (phase, kind) for kind in ("images", "gaussian") for phase in PHASES
    )
    depth: int = 100
    width: int = 100
    draws: int = 1
    density: float = 0.3
    batch: int = 100
    data: str = "mnist"


def random_labels(shape: tuple[int, ...], *names: str | int) -> Batch:
    """Return standard normal inputs and labels without meaning."""
    g = draws(*names, "batch")
    x = torch.randn(*shape, generator=g, dtype=torch.float64)
    return x, torch.randint(10, (len(x),), generator=g)


def sbp(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Return the score of SBP, which is SNIP's, by layer."""
    return SCORES["snip"].function(net, Masks.dense(net), batch)


def run_critical(config: Critical, cells: list[dict]) -> list[list[dict]]:
    """Score one draw at every scale and read off when the first layer is empty."""
    name, seed = cells[0]["method"], cells[0]["seed"]
    depth, width, fan_in = map(int, name.split("x"))
    shape = {"depth": depth, "width": width, "in_shape": (fan_in,)}
    net = unit_network(config, "tanh", seed, name, **shape)
    unit, batch = units(net), random_labels((config.batch, fan_in), seed, name)
    found = []
    for cell in cells:
        point = scales("tanh", f"{cell['variant']} {config.sigma_b:g}")
        empty = critical_sparsities(sbp(at_point(net, unit, point), batch))
        chi = meanfield.chi("tanh", *point)
        found.append([_critical(list(empty.values()), chi, depth, width)])
    return found


def _critical(empty: list[float], chi: float, depth: int, width: int) -> dict:
    """Compare the smallest of the layers' sparsities with both laws."""
    s_cr = min(empty)
    is_edge = abs(chi - 1) < 1e-9
    bound = meanfield.sbp_sparsity_bound(1.0 if is_edge else chi, depth, width)
    distance = 0.0 if is_edge else abs(log(chi))
    return {
        "step": 0, "s_cr": s_cr, "bound": bound, "excess": s_cr - bound,
        "log_chi": distance, "law": (depth * s_cr - 1) * distance,
        "layer": empty.index(s_cr) + 1,
    }  # fmt: skip


def run_magnitudes(config: Magnitudes, cells: list[dict]) -> list[list[dict]]:
    """Prune real networks by magnitude, their first layer drawn smaller."""
    ratios = [float(cell["variant"]) for cell in cells]
    sums, seed = np.zeros(len(cells)), cells[0]["seed"]
    for draw in range(config.draws):
        net = unit_network(config, "tanh", seed, draw)
        sizes = {name: w.detach().abs() for name, w in prunable(net).items()}
        first = next(iter(sizes))
        for k, ratio in enumerate(ratios):
            smaller = {**sizes, first: sizes[first] / ratio**0.5}
            sums[k] += meanfield.critical_sparsity(smaller).sparsity
    weights = config.width**2
    return [
        [_magnitudes(float(mean), ratio, weights)]
        for mean, ratio in zip(sums / config.draws, ratios, strict=True)
    ]


def _magnitudes(mean: float, ratio: float, weights: int) -> dict:
    """Compare a mean critical sparsity with the deep limit and its bound."""
    bound = meanfield.mbp_sparsity_bound(ratio, weights)
    exact = meanfield.mbp_sparsity(ratio, weights)
    return {"step": 0, "s_cr": mean, "exact": exact, "bound": bound,
            "excess": mean - bound}  # fmt: skip


def phase_masks(config: Layers, phase: str, kind: str, seed: int) -> Masks:
    """Return SBP's masks of one network of a phase."""
    if kind == "images":
        ds = data.load(config.data)
        shape = ds.in_shape
        batch = data.sample(ds, config.batch, draws(seed, "images"))
    else:
        shape = (784,)
        batch = random_labels((config.batch, *shape), seed, "layers")
    net = nets.build(
        "mlp", classes=config.classes, in_shape=shape, width=config.width,
        depth=config.depth, activation="tanh", dtype=torch.float64,
        init=("gaussian", *scales("tanh", PHASES[phase])),
        generator=draws(seed, "layers", "init"),
    )  # fmt: skip
    return prune(net, "snip", density=config.density, batch=batch, progress=False)


def block(shares: np.ndarray) -> dict[str, float]:
    """Return how many layers keep nothing, and where: first, last, holes between."""
    dead = np.flatnonzero(shares == 0) + 1
    if not len(dead):
        return {"dead": 0, "holes": 0, "first": NAN, "last": NAN}
    holes = int(dead[-1] - dead[0] + 1 - len(dead))
    first, last = int(dead[0]), int(dead[-1])
    return {"dead": len(dead), "holes": holes, "first": first, "last": last}


def run_layers(config: Layers, cell: dict) -> list[dict]:
    """Return the share that every layer keeps."""
    masks = phase_masks(config, cell["method"], cell["variant"], cell["seed"])
    shares = np.array(list(masks.layer_densities().values()))
    return profile({"share": shares}, block(shares))


def run_neurons(config: Layers, cell: dict) -> list[dict]:
    """Return how many incoming weights every neuron keeps; -1 where there is none."""
    masks = phase_masks(config, cell["method"], cell["variant"], cell["seed"])
    rows = []
    for k, mask in enumerate(masks.values(), 1):
        kept = mask.sum(1).tolist()
        kept += [-1] * (config.width - len(kept))
        rows.append({"step": k, "fan_in": mask.shape[1]}
                    | {neuron(i): n for i, n in enumerate(kept)})  # fmt: skip
    return rows


def neuron(index: int) -> str:
    """Return the name of a neuron's column."""
    return f"unit_{index:02}"
