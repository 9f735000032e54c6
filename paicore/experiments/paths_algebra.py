"""The algebra of paths against their list: the factored kernel, sums, spectrum, rank.

``drawn`` is one network of 16 paths, path by path; ``algebra`` compares what takes a
few passes with the list of all paths on networks of every kind; ``spectrum`` and
``rank`` do so for eigenvalues and for the rank of masked networks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paicore import Masks, nets, prune
from paicore.experiments.paths_nets import (
    Setting,
    draws,
    flat,
    inputs,
    network,
    relative,
)
from paicore.kernels import ntk, paths

EDGES = ("source", "hidden_1", "hidden_2", "output")
KERNEL = tuple(f"kernel_{p:02}" for p in range(16))
DRAWN_VALUES = (*EDGES, "strength", "open_1", "open_2", *KERNEL)
ALGEBRA_VALUES = ("paths", "weights", "output", "kernel", "trace", "sums", "gram",
                  "top", "activity")  # fmt: skip
SPECTRUM_VALUES = ("enumerated", "lanczos", "counted")
RANK_VALUES = ("enumerated", "counted", "naive", "tangent", "off", "naive_off",
               "excess")  # fmt: skip


@dataclass(frozen=True)
class Drawn(Setting):
    """A network 2-2-2-2 without biases and two inputs.

    Attributes:
        weights: Rows of the three matrices, inputs along a row.
        points: The inputs.
    """

    methods: tuple[str, ...] = ("mlp",)
    weights: tuple = (
        ((0.9, -0.4), (-0.6, 0.8)),
        ((1.0, -0.5), (0.4, 0.7)),
        ((0.7, -0.8), (-0.3, 0.6)),
    )
    points: tuple = ((1.0, 2.0), (2.0, 1.0))
    samples: int = 2


@dataclass(frozen=True)
class Algebra(Setting):
    """Networks whose paths are listed; methods are their names."""

    methods: tuple[str, ...] = (
        "mlp", "mlp_bias", "mlp_leaky", "conv", "conv_average", "conv_max", "residual",
    )  # fmt: skip
    samples: int = 3


@dataclass(frozen=True)
class Spectrum(Setting):
    """An MLP with biases under random masks.

    Attributes:
        in_features: Number of inputs.
        width: Of the hidden layers.
        classes: Number of outputs.
        top: How many eigenvalues Lanczos is asked for.
    """

    methods: tuple[str, ...] = ("mlp",)
    densities: tuple[float, ...] = (1.0, 0.5, 0.25)
    in_features: int = 6
    width: tuple[int, ...] = (8, 6)
    classes: int = 3
    top: int = 8


@dataclass(frozen=True)
class Rank(Setting):
    """Small networks under random masks; methods are their names."""

    methods: tuple[str, ...] = ("mlp", "mlp_bias", "residual_mlp")
    densities: tuple[float, ...] = (1.0, 0.6, 0.4, 0.25)
    samples: int = 60


def drawn_network(config: Drawn) -> tuple[nn.Module, Tensor]:
    """Return the network with the config's weights, and the inputs (2, 2)."""
    net = nets.build(
        "mlp", in_shape=(2,), width=(2, 2), classes=2, bias=False,
        generator=draws(0, "drawn"), dtype=torch.float64,
    )  # fmt: skip
    with torch.no_grad():
        for parameter, rows in zip(net.parameters(), config.weights, strict=True):
            parameter.copy_(torch.tensor(rows, dtype=torch.float64))
    return net, torch.tensor(config.points, dtype=torch.float64)


def run_drawn(config: Drawn, cell: dict) -> list[dict]:
    """List the paths: their nodes, strength, gates, and row of the Path Kernel."""
    net, x = drawn_network(config)
    listed = paths.enumerate(net, (2,))
    pi, kernel = listed.products(), listed.kernel()
    entries = listed.activations(x).view(2, 2, len(listed)).abs().sum(1)  # (n, paths)
    rows = []
    for p, (first, second, third) in enumerate(listed.members):
        units = (first // 2, (second - 4) // 2, (third - 8) // 2)  # row of the matrix
        nodes = (int(listed.sources[p]), *units)
        gates = {f"open_{i + 1}": float(entries[i, p] > 0) for i in range(2)}
        row = dict(zip(EDGES, nodes, strict=True)) | gates
        row |= dict(zip(KERNEL, kernel[p].tolist(), strict=True))
        rows.append({"step": p, "strength": float(pi[p]), **row})
    return rows


def membership(listed: paths.Paths) -> Tensor:
    """Return which parameter is on which path, 0 or 1, (paths, P)."""
    out = torch.zeros(len(listed), len(listed.theta), dtype=torch.float64)
    for row, members in zip(out, listed.members, strict=True):
        row[list(members)] = 1.0
    return out


def run_algebra(config: Algebra, cell: dict) -> list[dict]:
    """Compare every quick computation with the list, as relative differences."""
    net, in_shape = network(cell["method"], cell["seed"])
    x = inputs(in_shape, config.samples, cell["seed"], cell["method"])
    listed = paths.enumerate(net, in_shape)
    a, j, pi = listed.activations(x), listed.jacobian(), listed.products()
    tangent, logits = a @ j, net(x).detach()
    mode = "eval" if cell["method"] == "residual" else None
    gram = ntk.gram(net, x, batch_norm=mode).permute(0, 2, 1, 3)
    own = paths.eigenvalues(net, in_shape, top=3).values
    opened = torch.tensor(paths.activation_norm(net, x), dtype=torch.float64)
    trace = torch.tensor(paths.trace(net, in_shape), dtype=torch.float64)
    return [{
        "step": 0,
        "paths": len(listed),
        "weights": len(listed.theta),
        "output": relative((a @ pi).view_as(logits), logits),
        "kernel": relative((tangent @ tangent.T).view(gram.shape), gram),
        "trace": relative(trace, (j**2).sum()),
        "sums": _sums_off(net, in_shape, listed),
        "gram": relative(paths.gram(net, in_shape), j.T @ j),
        "top": relative(own, torch.linalg.svdvals(j)[:3] ** 2),
        "activity": relative(opened, a.norm()),
    }]  # fmt: skip


def _sums_off(net: nn.Module, in_shape: tuple[int, ...], listed: paths.Paths) -> float:
    """Return the largest relative difference of SF, D and T from the list."""
    sums, pi = paths.edge_sums(net, in_shape), listed.products()
    through = membership(listed).T
    wanted = (through @ pi.abs(), through @ pi**2, (listed.jacobian() ** 2).sum(0))
    found = (flat(each) for each in (sums.sf, sums.d, sums.t))
    return max(relative(*pair) for pair in zip(found, wanted, strict=True))


def run_spectrum(config: Spectrum, cell: dict) -> list[dict]:
    """List all eigenvalues, and beside the first ones those of Lanczos; one a row."""
    g = draws(cell["seed"], "spectrum", "init")
    shape = (config.in_features,)
    net = nets.build(
        "mlp", in_shape=shape, width=config.width, classes=config.classes,
        bias_init="torch", generator=g, dtype=torch.float64,
    )  # fmt: skip
    masks = _random_masks(net, cell)
    listed = paths.enumerate(net, shape, masks=masks)
    values = torch.linalg.svdvals(listed.jacobian()) ** 2
    top = paths.eigenvalues(net, shape, top=config.top, masks=masks).values
    counted = paths.rank(net, shape, masks=masks)
    return [
        {
            "step": i,
            "enumerated": value,
            "lanczos": float(top[i]) if i < len(top) else float("nan"),
            "counted": counted,
        }
        for i, value in enumerate(values.tolist())
    ]


def _random_masks(net: nn.Module, cell: dict) -> Masks:
    """Return a random mask of the cell's density."""
    g = draws(cell["seed"], "masks", f"{cell['density']:g}")
    return prune(net, "random", density=cell["density"], generator=g, progress=False)


def rank_network(name: str, seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network of `NETS`, or a residual MLP, whose streams are tied."""
    if name != "residual_mlp":
        return network(name, seed)
    net = nets.build(
        name, in_shape=(3,), width=4, depth=2, classes=2, bias_init="torch",
        generator=draws(seed, name, "init"), dtype=torch.float64,
    )  # fmt: skip
    return net, (3,)


def run_rank(config: Rank, cell: dict) -> list[dict]:
    """Compare the counted rank with that of the listed Jacobian.

    Returns:
        One row. "naive" carries the dense law over: surviving parameters less all
        hidden units. "tangent" is the rank of a tangent kernel on many inputs.
    """
    net, in_shape = rank_network(cell["method"], cell["seed"])
    masks = _random_masks(net, cell)
    listed = paths.enumerate(net, in_shape, masks=masks)
    x = inputs(in_shape, config.samples, cell["seed"], cell["method"])
    j = listed.jacobian()
    found = int(torch.linalg.matrix_rank(j)) if len(listed) else 0
    tangent = int(torch.linalg.matrix_rank(listed.activations(x) @ j)) if found else 0
    counted = paths.rank(net, in_shape, masks=masks)
    units = len(listed.theta) - paths.rank(net, in_shape)
    naive = len(listed.theta) - (masks.total - masks.kept) - units
    return [{
        "step": 0, "enumerated": found, "counted": counted, "naive": naive,
        "tangent": tangent, "off": abs(counted - found),
        "naive_off": abs(naive - found), "excess": max(0, tangent - counted),
    }]  # fmt: skip
