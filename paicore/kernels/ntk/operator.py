"""The tangent kernel as an operator: v -> J (J^T v), one pass back, one forward."""

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor, nn

from paicore.forward import isolated
from paicore.kernels.ntk.blocks import evenly
from paicore.kernels.ntk.checks import check_vector, finite
from paicore.kernels.ntk.plain import check_separate, is_plain
from paicore.kernels.ntk.settings import Options, Problem, bar, full_precision, prepare


@dataclass(frozen=True)
class Operator:
    """J^T and J of a problem, in chunks of samples where samples do not interact.

    Attributes:
        problem: The problem.
        step: Samples in a chunk.
        outputs: Number k of logits.
    """

    problem: Problem
    step: int
    outputs: int

    def back(self, x: Tensor, v: Tensor) -> dict[str, Tensor]:
        """Return J(x)^T v, name -> tensor, for v (n, k); pruned entries are zero."""
        total = None
        for start, stop in evenly(0, len(x), self.step):
            found = self._pulled(x[start:stop], v[start:stop], graph=False)
            pairs = zip(total or found, found, strict=True)
            total = [a + b for a, b in pairs] if total else found
        return self._surviving(total)

    def ahead(self, x: Tensor, direction: dict[str, Tensor]) -> Tensor:
        """Return J(x) d, (n, k), for a direction d by name.

        J^T w is linear in w, so its derivative in w along d is J d.
        """
        parts = []
        for start, stop in evenly(0, len(x), self.step):
            chunk = x[start:stop]
            w = x.new_zeros(len(chunk), self.outputs).requires_grad_()
            parts.append(self._pushed(self._pulled(chunk, w, graph=True), w, direction))
        return torch.cat(parts)

    def apply(self, v: Tensor) -> Tensor:
        """Return K v, (n, k), for v (n, k) or (n2, k)."""
        problem = self.problem
        x, x2 = problem.x, problem.x2
        if x2 is None and len(x) <= self.step:  # one graph serves both ways
            w = v.detach().clone().requires_grad_()
            found = self._pulled(x, w, graph=True)
            held = found if problem.differentiable else [f.detach() for f in found]
            return self._pushed(found, w, self._surviving(held))
        if x2 is None or not problem.coupled:
            return self.ahead(x, self.back(x if x2 is None else x2, v))
        both = torch.cat([x, x2])
        padded = torch.cat([v.new_zeros(len(x), v.shape[1]), v])
        return self.ahead(both, self.back(both, padded))[: len(x)]

    def _pulled(self, x: Tensor, w: Tensor, graph: bool) -> list[Tensor]:
        """Return J(x)^T w for one chunk, one tensor per parameter."""
        values = [self.problem.values[name] for name in self.problem.names]
        with torch.enable_grad():
            out = self.problem.run(x)
            return list(
                torch.autograd.grad(
                    out, values, w, allow_unused=True, materialize_grads=True,
                    create_graph=graph or self.problem.differentiable,
                )
            )  # fmt: skip

    def _pushed(self, pulled: list[Tensor], w: Tensor, direction) -> Tensor:
        """Return the derivative of J^T w in w along a direction: J d, (n, k)."""
        names = self.problem.names
        pairs = [
            (each, direction[name])
            for name, each in zip(names, pulled, strict=True)
            if each.requires_grad
        ]
        if not pairs:
            return torch.zeros_like(w)
        found = torch.autograd.grad(
            [each for each, _ in pairs], w, [along for _, along in pairs],
            allow_unused=True, materialize_grads=True,
            create_graph=self.problem.differentiable,
        )  # fmt: skip
        return found[0]

    def _surviving(self, tensors: list[Tensor]) -> dict[str, Tensor]:
        """Name tensors by parameter; pruned entries become zero."""
        named = dict(zip(self.problem.names, tensors, strict=True))
        for name, kept in self.problem.kept.items():
            if name in named:
                named[name] = torch.where(kept, named[name], 0)
        return named


def operator(problem: Problem) -> Operator:
    """Return the operator of a problem, its chunks within the memory bound."""
    numbers = []
    handles = [
        module.register_forward_hook(lambda m, a, out: numbers.append(_size(out)))
        for module in problem.net.modules()
    ]
    try:  # two samples: batch norm in train mode wants more than one
        with torch.no_grad():
            out = problem.run(problem.x[:2])
    finally:
        for handle in handles:
            handle.remove()
    _check_samples(problem, out)
    bytes_each = 3 * sum(numbers) * out.element_size() // min(len(problem.x), 2)
    total = len(problem.x) + (0 if problem.x2 is None else len(problem.x2))
    step = max(problem.max_bytes // max(bytes_each, 1), 1)
    return Operator(problem, total if problem.coupled else step, out.shape[1])


def _check_samples(problem: Problem, out: Tensor) -> None:
    """Refuse samples that interact, told by the logits of the first two."""
    if problem.coupled or len(out) == 1 or is_plain(problem.net):
        return
    with torch.no_grad():
        for row in (0, 1):
            check_separate(problem.run(problem.x[row : row + 1]), out, row)


def _size(out: object) -> int:
    """Count the numbers of a module's output."""
    return out.numel() if isinstance(out, Tensor) else 0


@isolated(deterministic=False)
def matvec(
    net: nn.Module,
    x: Tensor,
    v: Tensor,
    x2: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    r"""Return the product of the tangent kernel with a vector, without the kernel.

    .. math:: (K v)_{nc} = \sum_{n'c'} K_{nn'cc'} v_{n'c'} = J(x) \, m \odot J(x')^T v

    Conventions: as in `gram`, also for `at`: the product is differentiable then.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        v: Vector (n2, k), or several at once (r, n2, k).
        x2: Inputs (n2, *in_shape); None means x.
        **options: See `paicore.kernels.ntk`.

    Returns:
        Tensor (n, k) or (r, n, k), in logit^2 times the unit of `v`, of the dtype that
        `dtype` names.

    Raises:
        ValueError: `v` does not have the shape of the logits; what `gram` refuses is
            refused here too.

    Cost: one backward pass and one through it per vector, whatever k is.
    """
    check_vector(v)
    problem = prepare(net, x, x2, **options)
    engine = operator(problem)
    several = v.dim() == 3
    expected = (len(problem.x if x2 is None else problem.x2), engine.outputs)
    if v.dim() not in (2, 3) or tuple(v.shape[-2:]) != expected:
        raise ValueError(f"v: expected shape {expected} or (r, *{expected}), "
                         f"got {tuple(v.shape)}")  # fmt: skip
    v = v.to(problem.x)
    with full_precision():
        if not several:
            return finite(engine.apply(v))
        each = bar(problem, v.unbind(), "matvec")
        return finite(torch.stack([engine.apply(vector) for vector in each]))
