"""Rank of the Path Kernel, by counting.

Each hidden unit can be rescaled, its incoming edges by a and its outgoing ones by 1/a,
without changing any path product. These are all directions that change none, so

    rank Pi = (parameters on a path) - (hidden units on a path).

A unit is a neuron or a channel. Streams that meet in a residual add, and what an
activation, a pooling or a constant joins, are one unit; a unit that is an input, an
output, or fed by a constant (a stored mean) cannot be rescaled and is not counted.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from paicore.forward import isolated
from paicore.kernels.paths.algebra import Reach
from paicore.kernels.paths.problem import gradients, prepare

REPEATED = "uses {} in a second call: its units cannot be counted"
FIXED = 0.0  # the label of inputs, outputs and what is tied to them


class Units(Reach):
    """Follow which unit each entry of a signal belongs to.

    Every signal has an attribute `unit`: float64 labels, one per entry. Two labels
    are tied where paths pass from both into one entry. Every parameter has `places`,
    numbers of its entries, so that an entry that two calls use is noticed.
    """

    def __init__(self, values: Mapping[str, Tensor], *, sources: bool) -> None:
        super().__init__(sources=sources)
        sizes = [value.numel() for value in values.values()]
        places = torch.arange(sum(sizes), device=next(iter(values.values())).device)
        for value, part in zip(values.values(), places.split(sizes), strict=True):
            value.places = part.view(value.shape)
        self.used = torch.zeros_like(places, dtype=torch.bool)  # by a call before
        self.calls: dict[str, tuple] = {}  # the first call: places, units before, after
        self.repeated: list[tuple] = []  # names, units of a first call and of a later
        self.made = 0  # labels given so far
        self.units: list[Tensor] = []  # signals whose labels are new
        self.ties: list[tuple[Tensor, Tensor, Tensor]] = []  # (entries, label, label)

    def start(self, x: Tensor) -> None:
        """Inputs are fixed."""
        x.unit = torch.full_like(x, FIXED)

    def tie(self, out: Tensor, both: Tensor, first: Tensor, second) -> None:
        """Note that two labels meet in `out` where `both` streams carry paths."""
        second = torch.as_tensor(second).to(first).expand(out.shape)
        self.ties.append((out, torch.where(both, first, second), second))

    def use(self, x: Tensor, out: Tensor, *factors) -> None:
        """Note which parameters a call from x to out uses; see `_check_repeated`."""
        for each in factors:
            if not hasattr(each, "places"):
                continue
            names = ", ".join(sorted(each.walk.edges))
            call = (each.places, x.unit, out.unit)
            first = self.calls.setdefault(names, call)
            if self.used[each.places.flatten()].any():
                alike = all(
                    a.shape == b.shape for a, b in zip(first, call, strict=True)
                )
                if not alike or not torch.equal(first[0], call[0]):
                    self.refuse(REPEATED.format(names))
                self.repeated.append((names, first[1:], call[1:]))
            self.used[each.places.flatten()] = True

    def _sources(self, args: tuple, kwargs: dict) -> tuple:
        """Return what may hold a bias, unless biases are left out."""
        return (*args, *kwargs.values()) if self.sources else ()

    def fresh(self, out: Tensor, axis: int) -> Tensor:
        """Label the entries of a layer's output by neuron or channel."""
        size = out.shape[axis]
        labels = torch.arange(size, dtype=out.dtype, device=out.device) + self.made + 1
        shape = [1] * out.dim()
        shape[axis] = size
        out.unit = labels.view(shape).expand(out.shape)
        self.made += size
        self.units.append(out)
        return out

    def shape(self, func: Callable, x, *args, **kwargs):
        """Move the labels with their entries."""
        out = func(x, *args, **kwargs)
        label = "unit" if hasattr(x, "unit") else "places"  # places of a parameter
        moved = func(getattr(x, label), *args, **kwargs)
        pairs = ((out, moved),) if isinstance(out, Tensor) else zip(out, moved)  # noqa: B905
        for each, labels in pairs:
            setattr(each, label, labels)
        return out

    def join(self, func: Callable, tensors, *args, **kwargs) -> Tensor:
        """Move the labels with their entries; constants of zero carry nothing."""
        out = super().join(func, tensors, *args, **kwargs)
        labels = [getattr(t, "unit", torch.zeros_like(t)) for t in tensors]
        out.unit = func(labels, *args, **kwargs)
        return out

    def pad(self, func: Callable, x: Tensor, pad, mode="constant", value=None):
        """Move the labels with their entries."""
        out = super().pad(func, x, pad, mode, value)
        out.unit = func(x.unit, pad, mode=mode)
        return out

    def linear(self, func: Callable, x, weight, *args, **kwargs) -> Tensor:
        """Make one unit per neuron or channel."""
        out = super().linear(func, x, weight, *args, **kwargs)
        self.fresh(out, 1 if func.__name__.startswith("conv") else -1)
        self.use(x, out, weight, *self._sources(args, kwargs))
        return out

    def mul(self, func: Callable, a, b) -> Tensor:
        """Keep the units through a constant."""
        x, factor = (a, b) if hasattr(a, "unit") else (b, a)
        if hasattr(factor, "walk"):
            self.refuse("multiplies by a parameter: its units cannot be counted")
        out = super().mul(func, x, factor)
        out.unit = x.unit.expand(out.shape)
        return out

    def gate(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Keep the units through an activation."""
        out = super().gate(func, x, *args, **kwargs)
        out.unit = x.unit
        return out

    def dropout(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Keep the units."""
        out = super().dropout(func, x, *args, **kwargs)
        out.unit = x.unit
        return out

    def add(self, func: Callable, a, b, alpha=1) -> Tensor:
        """Tie the streams that meet; a constant fixes its units, a bias does not."""
        out = super().add(func, a, b, alpha)
        a, b = (a, b) if hasattr(a, "unit") else (b, a)
        unit = a.unit.expand(out.shape)
        if hasattr(b, "places") and self.sources:
            self.use(a, a, b)
            self._check_spread(b.places.expand(out.shape), unit)
        if hasattr(b, "unit"):
            self.tie(out, (a > 0) & (b > 0), unit, b.unit)
            unit = torch.where(a > 0, unit, b.unit)
        elif not hasattr(b, "walk") and self.sources:
            self.tie(out, (a > 0) & (self.lift(b) > 0), unit, FIXED)
        out.unit = unit
        return out

    sub = add

    def _check_spread(self, places: Tensor, unit: Tensor) -> None:
        """Refuse an added parameter with one entry for several units."""
        pairs = torch.stack([places.flatten().to(unit), unit.flatten()], 1).unique(
            dim=0
        )
        if len(pairs) > len(places.unique()):
            self.refuse("adds one parameter to several units: they cannot be counted")

    def batch_norm(
        self, func, x: Tensor, mean, var, weight=None, *args, **kwargs
    ) -> Tensor:
        """Make one unit per gamma; a stored mean fixes the unit before it."""
        out = super().batch_norm(func, x, mean, var, weight, *args, **kwargs)
        if self.sources:
            moved = self.lift(mean).view(1, -1, *[1] * (x.dim() - 2)) > 0
            self.tie(out, (x > 0) & moved, x.unit, FIXED)
        if weight is None:
            out.unit = x.unit
            return out
        self.fresh(out, 1)
        self.use(x, out, weight, *self._sources(args, kwargs))
        return out

    def _pooled(self, out: Tensor, x: Tensor) -> Tensor:
        """Keep the units of channels whose positions are joined."""
        labels = x.unit.flatten(2)
        if out.dim() < 2 or x.dim() < 3 or out.shape[1] != x.shape[1]:
            self.refuse("joins units that are not positions of a channel")
        if bool((labels != labels[:, :, :1]).any()):
            self.refuse("joins positions of a channel that are different units")
        first = labels[:, :, 0].view(*labels.shape[:2], *[1] * (out.dim() - 2))
        out.unit = first.expand(out.shape)
        return out

    def mean(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Keep the units of channels."""
        return self._pooled(super().mean(func, x, *args, **kwargs), x)

    sum = mean

    def avg_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Keep the units of channels."""
        return self._pooled(super().avg_pool(func, x, *args, **kwargs), x)

    def max_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Keep the units of channels."""
        return self._pooled(super().max_pool(func, x, *args, **kwargs), x)


@isolated
def rank(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
) -> int:
    """Return the rank of the Path Kernel: effective edges less effective units.

    Conventions: effective means on a surviving path from an input or a bias to an
    output. The rank of every tangent kernel of the network is at most this number.
    Values do not matter: it is the rank for generic parameters of multilayer networks,
    masked or not. It is an upper bound in three cases. Where parameters are zero (for
    fresh biases of zero it is reached unless pruning leaves units that only biases
    feed). Where positions of a small map, counted as one unit, are reached by
    different weights, so that each has a scale of its own: at a border with padding,
    also in dense networks, and under masked kernels. With transposed convolutions. A
    parameter that two calls use is refused, unless both lead between the same units.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; pruned weights are no edges.
        bias: As in `edge_sums`.

    Returns:
        The rank, or a bound on it; a channel counts as one unit.

    Cost: one forward and one backward pass for one input; labels of the activations.
    """
    problem = prepare(net, in_shape, masks, bias)
    values = problem.powers(0)
    reading = Units(values, sources=bias == "keep")
    problem.x.requires_grad_()  # so that every signal has a gradient
    out = reading.run(problem.twin, values, problem.x)
    reading.tie(out, out > 0, out.unit, FIXED)
    signals = [*reading.units, *(signal for signal, _, _ in reading.ties)]
    steps = dict(enumerate(signals)) | values
    grads = gradients(out.sum(), steps)
    names = problem.names("trainable", reading.added)
    edges = sum(int(((grads[n] > 0) & problem.alive[n]).sum()) for n in names)
    live = [(s > 0) & (grads[i] > 0) for i, s in enumerate(signals)]
    return edges - _count_units(reading, live)


def _count_units(reading: Units, live: list[Tensor]) -> int:
    """Count the classes of effective labels that are not fixed."""
    root = list(range(reading.made + 1))

    def find(label: int) -> int:
        while root[label] != label:
            root[label] = label = root[root[label]]
        return label

    n = len(reading.units)
    for (_, first, second), here in zip(reading.ties, live[n:], strict=True):
        pairs = torch.stack([first[here], second[here]], 1).unique(dim=0)
        for a, b in pairs.int().tolist():
            low, high = sorted((find(a), find(b)))
            root[high] = low
    labels = {int(u) for s, h in zip(reading.units, live[:n], strict=True)
              for u in s.unit[h].unique()}  # fmt: skip
    _check_repeated(reading, find, labels)
    return len({find(label) for label in labels} - {find(0)})


def _check_repeated(reading: Units, find: Callable[[int], int], labels: set) -> None:
    """Refuse a parameter in two calls, unless their units are the same ones.

    Its scale is that of the unit after it over that of the unit before it, so two
    calls with other units leave less free than their units.

    Raises:
        ValueError: a parameter is.
    """
    for names, *calls in reading.repeated:
        for before in zip(*calls, strict=True):
            pairs = torch.stack([unit.flatten() for unit in before], 1).unique(dim=0)
            for a, b in pairs.int().tolist():
                if {a, b} & labels and find(a) != find(b):
                    raise ValueError(f"net: {REPEATED.format(names)}")
