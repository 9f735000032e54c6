"""Unroll a small network into a graph whose nodes are single numbers.

The network runs on numbers of nodes instead of values: what moves values moves them
as well, and which weight multiplies which entry is read off a Jacobian.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jacrev

from paicore.kernels.paths.algebra import Algebra
from paicore.kernels.paths.reading import Walk, is_batch_norm

NOWHERE, CONSTANT, FIRST = 0, 1, 2  # padding; the source of 1; the first input
LARGEST = 2**25  # entries of the Jacobian of one call, at most


class Edge(NamedTuple):
    """One step into a node.

    Attributes:
        tail: Node that it comes from.
        parameter: Flat index of its parameter, -1 if it has none.
        constant: Its fixed factor.
        gate: (call, entry, position) or None. The gate is the `entry` of what that
            call of an activation kept, or whether a max pooling chose `position`.
    """

    tail: int
    parameter: int = -1
    constant: float = 1.0
    gate: tuple[int, int, int] | None = None


class Unroll(Algebra):
    """Run on node numbers; parameters hold their flat index + 1, 0 where pruned.

    Attributes:
        into: For each node the edges into it; tails have lower numbers.
        calls: Number of activations and max poolings so far.
    """

    def __init__(self, *, sources: bool) -> None:
        super().__init__(1, sources=sources)
        self.into: list[list[Edge]] = [[], []]
        self.calls = 0

    def start(self, x: Tensor) -> None:
        """Number the entries of the input."""
        self.into += [[] for _ in range(x.numel())]
        x.copy_((torch.arange(x.numel()) + FIRST).view(x.shape))

    def nodes(self, shape: torch.Size, into: list[list[Edge]]) -> Tensor:
        """Add a node for each entry of a result; one without edges is nowhere."""
        numbers = []
        for edges in into:
            edges = [edge for edge in edges if edge.constant and edge.tail]
            numbers.append(len(self.into) if edges else NOWHERE)
            self.into += [edges] if edges else []
        return torch.tensor(numbers, dtype=torch.float64).view(shape)

    def extend(self, into: list[list[Edge]], value, shape, sign: float = 1.0) -> None:
        """Add edges from a signal, a parameter or a constant to every entry."""
        walk = getattr(value, "walk", None)
        if not self.sources and not (walk and walk.signal):
            self.added |= walk.edges if walk else frozenset()
            return
        value = torch.as_tensor(value, dtype=torch.float64).expand(shape)
        for edges, number in zip(into, value.flatten().tolist(), strict=True):
            if walk is None:
                edges.append(Edge(CONSTANT, constant=sign * number))
            elif walk.signal:
                edges.append(Edge(int(number), constant=sign))
            elif number:
                edges.append(Edge(CONSTANT, int(number) - 1, sign))

    def _jacobian(self, call: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
        """Return the Jacobian (entries of the result, entries of `at`) of a call."""
        size = call(at).numel() * at.numel()
        if size > LARGEST:
            self.refuse(f"is too large to enumerate: {size} pairs, at most {LARGEST}")
        return jacrev(lambda given: call(given).flatten())(at).flatten(1)

    def linear(self, func: Callable, x, weight, bias=None, *args, **kwargs) -> Tensor:
        """One edge for each weight and position; the Jacobian holds the tails."""
        if not hasattr(weight, "walk") or weight.walk.signal:
            self.refuse("multiplies by something that is no parameter")
        rest = (None, *args) if args else ()

        def call(w: Tensor) -> Tensor:
            return func(x, w, *rest, **kwargs)

        numbers = [int(number) - 1 for number in weight.flatten().tolist()]
        into = [
            [Edge(round(t), p) for t, p in zip(tails, numbers, strict=True) if p >= 0]
            for tails in self._jacobian(call, weight).tolist()
        ]
        shape = call(weight).shape
        if bias is not None:
            axis = 1 if func.__name__.startswith("conv") else len(shape) - 1
            self.extend(into, _along(bias, axis, len(shape)), shape)
        return self.nodes(shape, into)

    def _fixed(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Edges of constants: sums and averages."""
        factors = self._jacobian(lambda given: func(given, *args, **kwargs), x)
        tails = [int(tail) for tail in x.flatten().tolist()]
        into = [
            [Edge(t, constant=c) for t, c in zip(tails, row, strict=True) if c]
            for row in factors.tolist()
        ]
        return self.nodes(func(x, *args, **kwargs).shape, into)

    mean = sum = avg_pool = _fixed

    def max_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Edges from all of the window, with the winner as gate."""

        def call(given: Tensor) -> Tensor:
            return self.every(func, given, *args, **kwargs)

        tails = [int(tail) for tail in x.flatten().tolist()]
        plane = x.shape[2:].numel()
        into = [
            [
                Edge(tails[i], gate=(self.calls, entry, i % plane))
                for i, inside in enumerate(row)
                if inside
            ]
            for entry, row in enumerate(self._jacobian(call, x).tolist())
        ]
        self.calls += 1
        return self.nodes(call(x).shape, into)

    def gate(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """One edge with a gate for each entry."""
        into = [
            [Edge(int(tail), gate=(self.calls, entry, -1))]
            for entry, tail in enumerate(x.flatten().tolist())
        ]
        self.calls += 1
        return self.nodes(x.shape, into)

    def add(self, func: Callable, a, b, alpha=1) -> Tensor:
        """Edges from both sides."""
        if alpha != 1:
            self.refuse("adds with a factor alpha")
        return self._sum(a, b, 1.0, 1.0)

    def sub(self, func: Callable, a, b) -> Tensor:
        """Edges from both sides, with the constant -1 on one."""
        signs = (-1.0, 1.0) if "rsub" in func.__name__ else (1.0, -1.0)
        return self._sum(a, b, *signs)

    def _sum(self, a, b, *signs: float) -> Tensor:
        shape = torch.broadcast_shapes(*(getattr(v, "shape", ()) for v in (a, b)))
        into: list[list[Edge]] = [[] for _ in range(shape.numel())]
        for value, sign in zip((a, b), signs, strict=True):
            self.extend(into, value, shape, sign)
        return self.nodes(shape, into)

    def mul(self, func: Callable, a, b) -> Tensor:
        """One edge for each entry, with a parameter or a constant."""
        x, factor = (a, b) if getattr(a, "walk", (False,))[0] else (b, a)
        trained = hasattr(factor, "walk")
        factor = torch.as_tensor(factor, dtype=torch.float64)
        x, factor = torch.broadcast_tensors(x, factor)
        pairs = zip(x.flatten().tolist(), factor.flatten().tolist(), strict=True)
        if trained:
            edges = [[Edge(int(t), int(p) - 1)] if p else [] for t, p in pairs]
        else:
            edges = [[Edge(int(t), constant=c)] for t, c in pairs]
        return self.nodes(x.shape, edges)

    def batch_norm(
        self, func, x, mean, var, weight=None, bias=None, training=False,
        momentum=0.1, eps=1e-5,
    ) -> Tensor:  # fmt: skip
        """Constant and stored mean, then gamma and beta."""
        if training or not is_batch_norm(func):
            self.refuse("normalises by its batch, which couples all paths")
        out = self._sum(x, _along(mean, 1, x.dim()), 1.0, -1.0)
        out = self.mul(torch.mul, _signal(out), _along((var + eps).rsqrt(), 1, x.dim()))
        if weight is not None:
            out = self.mul(torch.mul, _signal(out), _along(weight, 1, x.dim()))
        if bias is not None:
            out = self._sum(_signal(out), _along(bias, 1, x.dim()), 1.0, 1.0)
        return out


def _along(vector: Tensor, axis: int, dims: int) -> Tensor:
    """View a vector along one axis of a tensor; what lies behind it stays known."""
    view = vector.view([-1 if each == axis else 1 for each in range(dims)])
    view.__dict__.update(vector.__dict__)
    return view


def _signal(x: Tensor) -> Tensor:
    """Mark a result inside a call as a signal."""
    x.walk = Walk(True, frozenset())
    return x
