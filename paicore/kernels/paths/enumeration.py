"""All paths of a small network, one by one: for teaching and for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from paicore.forward import isolated, isolation
from paicore.kernels.paths.algebra import Algebra, Gates
from paicore.kernels.paths.gated import checked_shape
from paicore.kernels.paths.problem import Problem, prepare
from paicore.kernels.paths.unroll import CONSTANT, FIRST, Edge, Unroll

Gate = tuple[int, int, int]
EXACT = 2**53  # below, a float64 holds every count


@dataclass(frozen=True)
class Paths:
    """The paths of a network, n of them, over P parameters.

    Parameters are numbered along ``net.named_parameters()``, flattened.

    Attributes:
        constants: float64 (n,), the product of the fixed factors on each path.
        members: For each path the numbers of its parameters, input side first.
        sources: int64 (n,), flat entry of the input, -1 for the constant 1.
        outputs: int64 (n,), which output it ends at.
        gates: For each path the gates of its activations and poolings.
        theta: float64 (P,), the parameters; pruned weights are zero.
        names: For each parameter number its name and index, such as "fc1.weight[0, 2]".
        problem: The private copy of the network that `activations` runs.
    """

    constants: Tensor
    members: tuple[tuple[int, ...], ...]
    sources: Tensor
    outputs: Tensor
    gates: tuple[tuple[Gate, ...], ...]
    theta: Tensor
    names: tuple[str, ...]
    problem: Problem

    def __len__(self) -> int:
        return len(self.members)

    def _factors(self) -> tuple[Tensor, Tensor]:
        """Return parameter numbers (n, longest), filled with P, and their values."""
        numbers = _filled(self.members, len(self.theta))
        return numbers, torch.cat([self.theta, self.theta.new_ones(1)])[numbers]

    def products(self) -> Tensor:
        """Return pi, the product of constants and parameters of each path, (n,)."""
        return self.constants * self._factors()[1].prod(1)

    def jacobian(self) -> Tensor:
        """Return d pi / d theta (n, P), each entry the product of the other factors."""
        numbers, values = self._factors()
        out = torch.zeros(len(self), len(self.theta) + 1, dtype=torch.float64)
        for place in range(numbers.shape[1]):
            others = values.clone()
            others[:, place] = 1.0
            derivative = self.constants * others.prod(1)
            out.scatter_(1, numbers[:, [place]], derivative[:, None])
        return out[:, :-1]

    def kernel(self) -> Tensor:
        """Return the Path Kernel J J^T (n, n), J from `jacobian`."""
        jacobian = self.jacobian()
        return jacobian @ jacobian.T

    def activations(self, x: Tensor) -> Tensor:
        """Return the path-activation matrix (samples * k, n) of inputs x.

        Row (x, k) holds a_p(x) * x_s where path p ends at output k, and 0 elsewhere;
        times `products` it gives the logits.
        """
        checked_shape(x)
        x = x.to(self.problem.x)
        gates = Gates()
        with isolation(self.problem.twin), torch.no_grad():
            k = gates.run(self.problem.twin, self.problem.theta, x).shape[1]
        keys = sorted({gate for path in self.gates for gate in path})
        column = {gate: i for i, gate in enumerate(keys)}
        values = [_gate_values(gates.kept[call], *rest) for call, *rest in keys]
        table = torch.stack([*values, x.new_ones(len(x))], 1)  # (samples, gates + 1)
        places = _filled([[column[g] for g in p] for p in self.gates], len(keys))
        open_ = table[:, places].prod(2)  # (samples, n)
        inputs = torch.cat([x.flatten(1), x.new_ones(len(x), 1)], 1)  # -1: constant
        out = x.new_zeros(len(x), k, len(self))
        out[:, self.outputs, torch.arange(len(self))] = open_ * inputs[:, self.sources]
        return out.flatten(0, 1)

    def describe(self, p: int) -> str:
        """Return path number p in words, such as "x[3] fc1.weight[0, 3] ... f[1]"."""
        source = int(self.sources[p])
        start = "1" if source < 0 else f"x[{source}]"
        steps = [self.names[i] for i in self.members[p]]
        return " ".join([start, *steps, f"f[{int(self.outputs[p])}]"])


def _filled(rows, fill: int) -> Tensor:
    """Return lists of different lengths as one int64 matrix."""
    longest = max((len(row) for row in rows), default=0)
    filled = [[*row, *[fill] * (longest - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.int64).view(len(rows), longest)


def _gate_values(kept, entry: int, position: int) -> Tensor:
    """Return one gate for every sample, from what `Gates` kept of its call."""
    if isinstance(kept, Tensor):
        return (kept.flatten(1)[:, entry] == position).double()
    is_open, slope = kept
    chosen = is_open.flatten(1)[:, entry].double()
    return chosen + (1 - chosen) * slope


@isolated
def enumerate_paths(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
    limit: int = 100_000,
) -> Paths:
    """List every path of a small network.

    Conventions: as in `edge_sums`. Convolutions are unrolled to one edge per weight
    and position, poolings to one edge per position of the window, batch norm in mode
    "eval" to a constant, a gain and a bias. Paths with a zero constant are left out,
    paths with a zero parameter are not. More paths than `limit`, counted before any
    is listed, or a layer that is too large, raise ValueError.

    Args:
        net: Module mapping (n, *in_shape) to (n, k), on the CPU; not changed. Batch
            norm is in mode "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; pruned weights are no edges.
        bias: "keep", or "zero" for the network without biases, beta and stored means.
        limit: Largest number of paths that is listed.

    Returns:
        Paths.

    Raises:
        TypeError: `limit` is no int.
        ValueError: the network is not on the CPU.

    Cost: time and memory in proportion to paths times depth, in Python.
    """
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit: expected an int, got {limit!r}")
    problem = prepare(net, in_shape, masks, bias)
    if problem.x.device.type != "cpu":
        raise ValueError(f"net: expected a network on the CPU, got {problem.x.device}")
    _check_count(problem, limit)
    numbers, names, start = {}, [], 1
    for name, alive in problem.alive.items():
        indices = torch.arange(start, start + alive.numel(), dtype=torch.float64)
        numbers[name] = indices.view(alive.shape) * alive
        names += [f"{name}{list(i)}" for i in torch.ones_like(alive).nonzero().tolist()]
        start += alive.numel()
    unroll = Unroll(sources=bias == "keep")
    with torch.no_grad():
        ends = unroll.run(problem.twin, numbers, problem.x)
    found = _walks(unroll.into, [int(end) for end in ends.flatten()])
    return Paths(
        constants=torch.tensor([walk[1] for _, walk in found], dtype=torch.float64),
        members=tuple(walk[2] for _, walk in found),
        sources=torch.tensor([walk[0] for _, walk in found], dtype=torch.int64),
        outputs=torch.tensor([end for end, _ in found], dtype=torch.int64),
        gates=tuple(walk[3] for _, walk in found),
        theta=torch.cat([each.flatten() for each in problem.theta.values()]),
        names=tuple(names),
        problem=problem,
    )


def _check_count(problem: Problem, limit: int) -> None:
    """Count the paths by one forward pass, layer by layer, before any is listed.

    Raises:
        ValueError: there are more than `limit`.
    """
    # Also refuses what node numbers cannot show; by the graph, so with gradients.
    counting = Algebra(0, sources=problem.bias == "keep")
    found = counting.run(problem.twin, problem.powers(0), problem.x).sum().detach()
    count = float(found) if torch.isfinite(found) else inf
    if count > limit + 0.5:  # averages divide and multiply back
        number = f"{count:.0f}" if count < EXACT else f"about {count:.3g}"
        number = number if count < inf else "more than 1e308"
        raise ValueError(f"net: it has {number} paths, more than limit={limit}")


def _walks(into: list[list[Edge]], ends: list[int]) -> list:
    """Return (output, (source, constant, members, gates)) of every path."""
    needed = set(ends) - {0}
    for node in range(len(into) - 1, -1, -1):
        needed |= {edge.tail for edge in into[node]} if node in needed else set()
    walks: dict[int, list] = {}
    for node in sorted(needed):
        if into[node]:
            walks[node] = [_step(w, e) for e in into[node] for w in walks[e.tail]]
        else:
            source = -1 if node == CONSTANT else node - FIRST
            walks[node] = [(source, 1.0, (), ())]
    return [(k, walk) for k, end in enumerate(ends) if end for walk in walks[end]]


def _step(walk: tuple, edge: Edge) -> tuple:
    """Extend a walk by an edge."""
    source, constant, members, gates = walk
    return (
        source,
        constant * edge.constant,
        (*members, edge.parameter) if edge.parameter >= 0 else members,
        (*gates, edge.gate) if edge.gate else gates,
    )
