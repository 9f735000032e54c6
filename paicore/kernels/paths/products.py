"""The Path Kernel of the parameters as an operator: products with vectors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from paicore.kernels.paths.problem import Problem, gradients, total


@dataclass(frozen=True)
class Operator:
    """G on flat vectors of the surviving parameters.

    Attributes:
        apply: Maps (m,) to (m,).
        alive: Flat bool tensor (P,) with m surviving entries.
        shapes: name -> shape, in order.
        diagonal: Its diagonal (m,), >= 0; zero only if all of G is.
    """

    apply: Callable[[Tensor], Tensor]
    alive: Tensor
    shapes: dict[str, torch.Size]
    diagonal: Tensor


def operator(problem: Problem, params: str) -> Operator:
    """Build the graph of dR_2/ds once; each product is one backward pass through it."""
    values = problem.powers(2)
    out, added = total(problem, values, 2)
    names = problem.names(params, added)
    values = {name: values[name] for name in names}
    slopes = gradients(out, values, create_graph=True)
    whole = flat({name: slopes[name] for name in names})
    alive = flat({name: problem.alive[name] for name in names})
    theta = flat({name: problem.theta[name] for name in names})[alive]
    diagonal = whole.detach()[alive]

    def apply(v: Tensor) -> Tensor:
        u = torch.zeros_like(whole).masked_scatter_(alive, theta * v)
        mixed = flat(gradients(whole @ u, values, retain_graph=True))[alive]
        return diagonal * v + theta * mixed

    shapes = {name: values[name].shape for name in names}
    return Operator(apply, alive, shapes, diagonal)


def flat(tensors: Mapping[str, Tensor]) -> Tensor:
    """Chain tensors to one vector, in their order."""
    return torch.cat([each.flatten() for each in tensors.values()])


def dense(given: Operator) -> Tensor:
    """Return G on the surviving parameters, one product per column."""
    m = int(given.alive.sum())
    rows = torch.zeros(m, m, dtype=torch.float64, device=given.alive.device)
    unit = torch.zeros_like(rows[0]) if m else rows
    for i in range(m):
        unit[i] = 1.0
        rows[i] = given.apply(unit)
        unit[i] = 0.0
    return (rows + rows.T) / 2
