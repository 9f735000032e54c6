"""PHEW: weights in the order in which random walks first pass through them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated, private_copy, prunable
from paicore.forward.private import like
from paicore.scores.paths import check_given, inputs_of
from paicore.scores.phew_graph import Layer, Node, reachable, read

DRAWS = 65_536  # uniform numbers drawn at a time
Visit = tuple[str, int]  # weight, flat index


@isolated
def phew(
    net: nn.Module,
    masks,
    batch,
    *,
    generator: torch.Generator,
    density: float | None = None,
    kernel: str = "position",
    choice: str = "magnitude",
    max_walks: int = 100_000,
) -> dict[str, Tensor]:
    r"""Score each weight by when biased random walks first pass through it.

    .. math:: P(j \to i) \propto \|W_{ij}\|_1 \quad \text{(forward)}, \qquad
              P(i \to j) \propto \|W_{ij}\|_1 \quad \text{(backward)}

    Conventions: walks in turn from an input unit to an output and from an output unit
    to an input, starting units round robin. A unit is a channel; after the channel one
    position of the kernel is drawn in proportion to abs(w). Flattening leads to a
    random position, a residual join to either branch with equal chance. The first
    weight visited scores highest; one that no walk passed scores 0. The walks end when
    `density` of the weights are visited, or all that a walk can reach; a weight beyond
    their reach lies on no path, and is kept only where there is nothing else to keep.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight is no edge and scores 0.
        batch: Pair (x, y); only the shape of x is used.
        generator: Source of the walks, the only randomness.
        density: Fraction of the weights to visit, `prune` passes its own; None: as many
            as `max_walks` find.
        kernel: "position", or "whole" to visit the whole kernel of a channel pair.
        choice: "magnitude" as above; "uniform" walks edges of equal chance (a control).
        max_walks: Number of walks after which to give up.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: an option is unknown, a module has no walks, or there are too few
            walks for what is to be kept.

    Cost: no pass through the network but one to read it; a few microseconds a step.

    Source: Patil & Dovrolis (2021), ShreyasMalakarjunPatil/PHEW.
    """
    check_given(masks)
    if kernel not in ("position", "whole"):
        raise ValueError(f"kernel: expected 'position' or 'whole', got {kernel!r}")
    if choice not in ("magnitude", "uniform"):
        raise ValueError(f"choice: expected 'magnitude' or 'uniform', got {choice!r}")
    _check_numbers(generator, density, max_walks)
    twin = private_copy(net, masks=masks, batch_norm="eval")
    if choice == "uniform":
        with torch.no_grad():
            for weight in prunable(twin).values():
                weight.copy_((weight != 0).to(weight.dtype))
    x = like(torch.zeros(1, *inputs_of(batch).shape[1:], device="cpu"), twin)
    total = sum(mask.numel() for mask in masks.values())
    order = _visits(read(twin, x), _draws(generator), kernel, total, density, max_walks)
    return _scores(order, prunable(net), total)


def _check_numbers(generator, density, max_walks) -> None:
    """Refuse draws from the global generator, and numbers that are none.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: a number is out of range.
    """
    seeds.check(generator)
    if density is not None:
        if isinstance(density, bool) or not isinstance(density, (int, float)):
            raise TypeError(f"density: expected a number, got {density!r}")
        if not 0 < density <= 1:
            raise ValueError(f"density: expected a number in (0, 1], got {density!r}")
    if isinstance(max_walks, bool) or not isinstance(max_walks, int):
        raise TypeError(f"max_walks: expected an int, got {max_walks!r}")
    if max_walks < 1:
        raise ValueError(f"max_walks: expected at least 1, got {max_walks}")


def _scores(order: list[Visit], weights, total: int) -> dict[str, Tensor]:
    """Return total for the first visit, total - 1 for the next, 0 for none."""
    scores = {
        name: torch.zeros(w.numel(), dtype=torch.float64, device="cpu")
        for name, w in weights.items()
    }
    for rank, (name, index) in enumerate(order):
        scores[name][index] = total - rank
    return {
        name: scores[name].view(w.shape).to(w.device) for name, w in weights.items()
    }


def _visits(nodes, draws, kernel, total, density, max_walks) -> list[Visit]:
    """Walk until enough weights are visited; return them in order of first visit."""
    start, end = nodes[0], nodes[-1]
    reach = sum(int(each.sum()) for each in reachable(nodes).values())
    wanted = min(total if density is None else int(np.ceil(total * density)), reach)
    seen: dict[Visit, None] = {}
    for walk in range(max_walks):
        if len(seen) >= wanted:
            break
        if walk % 2 == 0:
            path = _forward(start, walk // 2 % start.units, end, draws)
        else:
            path = _backward(end, walk // 2 % end.units, draws)
        for layer, out, into in path:
            seen.update(dict.fromkeys(_edge(layer, out, into, kernel, draws)))
    if density is not None and len(seen) < wanted:
        raise ValueError(
            f"max_walks: {max_walks} walks visited {len(seen)} weights, {wanted} are "
            "to be kept; allow more walks, or keep fewer weights"
        )
    return list(seen)


def _forward(node: Node, unit: int, end: Node, draws) -> Iterator:
    """Walk from an input unit to the output; yields (layer, out, in)."""
    while node is not end:
        node = node.users[int(next(draws) * len(node.users))]
        if node.kind == "layer":
            chances = node.layer.forward[unit]
            if not chances[-1] > 0:
                return
            out = _pick(chances, draws)
            yield node.layer, out, unit
            unit = out
        elif node.kind == "reshape":
            unit = unit * node.positions + int(next(draws) * node.positions)


def _backward(node: Node, unit: int, draws) -> Iterator:
    """Walk from an output unit to an input; yields (layer, out, in)."""
    while node.kind != "input":
        if node.kind == "layer":
            chances = node.layer.backward[unit]
            if not chances[-1] > 0:
                return
            into = _pick(chances, draws)
            yield node.layer, unit, into
            unit = into
        elif node.kind == "reshape":
            unit //= node.positions
        node = node.inputs[int(next(draws) * len(node.inputs))]


def _edge(layer: Layer, out: int, into: int, kernel: str, draws) -> list[Visit]:
    """Return the weights of an edge that a walk passes: one position, or all alive."""
    column = into - out // layer.size * layer.fan
    values = layer.weight[out, column]
    base = (out * layer.fan + column) * len(values)
    if kernel == "whole":
        return [(layer.name, base + int(i)) for i in values.nonzero()[0]]
    if len(values) == 1:
        return [(layer.name, base)]
    return [(layer.name, base + _pick(values.cumsum(), draws))]


def _pick(cumulative: np.ndarray, draws: Iterator[float]) -> int:
    """Draw an index with chances given by its steps; a step of zero is never drawn."""
    at = int(np.searchsorted(cumulative, next(draws) * cumulative[-1], "right"))
    return min(at, len(cumulative) - 1)


def _draws(generator: torch.Generator) -> Iterator[float]:
    """Yield uniform numbers in [0, 1), drawn in blocks."""
    while True:
        block = torch.rand(
            DRAWS, generator=generator, dtype=torch.float64, device="cpu"
        )
        yield from block.tolist()
