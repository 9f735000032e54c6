"""Blocks of the kernel under a memory bound: which samples meet which, and when."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from paicore.kernels.ntk.factors import factors, jacobian_rows
from paicore.kernels.ntk.forms import Form, Rows
from paicore.kernels.ntk.plain import check_separate
from paicore.kernels.ntk.plan import Plan, make_plan
from paicore.kernels.ntk.settings import Problem, bar


@dataclass(frozen=True)
class Source:
    """Where forms come from.

    Attributes:
        forms: Function of (start, stop) in the samples of x, then x2.
        outputs: Number k of logits.
        kept: Bytes held per sample.
    """

    forms: Callable[[int, int], list[Form]]
    outputs: int
    kept: int


def source(problem: Problem, *, diagonal: bool = False) -> Source:
    """Return the source of the forms of a problem."""
    x = problem.x
    samples = x if problem.x2 is None else torch.cat([x, problem.x2])
    with torch.enable_grad():
        if problem.coupled:
            return _coupled(problem, samples)
        plan, seen = make_plan(problem, samples, diagonal=diagonal)
        return _separate(problem, samples, plan, seen)


def _separate(problem: Problem, samples: Tensor, plan: Plan, seen) -> Source:
    """Forms of samples that do not interact; computed in chunks."""
    size = samples.element_size()
    most = max(problem.max_bytes // 2 // max(plan.work * size, 1), 1)
    ready = [seen] if len(seen[0]) == len(samples) <= most else []

    def forms(start: int, stop: int) -> list[Form]:
        parts = []
        for a, b in bar(problem, evenly(start, stop, most), "samples"):
            at_hand = ready.pop() if ready else None
            whole = b - a == len(samples)
            out, found = factors(
                problem, plan, samples[a:b], at_hand if whole else None
            )
            if a == 0:
                check_separate(plan.alone, out)
            parts.append(found)
        return [each[0].joined(each) for each in zip(*parts, strict=True)]

    return Source(forms, plan.outputs, plan.kept * size)


def _coupled(problem: Problem, samples: Tensor) -> Source:
    """Rows of a network with batch norm in train mode: one graph, all samples."""
    out = problem.run(samples)
    wanted = [problem.values[name] for name in problem.names]
    counts = [
        int(problem.kept[name].sum()) if name in problem.kept else value.numel()
        for name, value in zip(problem.names, wanted, strict=True)
    ]

    def forms(start: int, stop: int) -> list[Form]:
        chosen = out[start:stop].flatten()
        rows = jacobian_rows(problem, chosen, problem.names, wanted, shown=True)
        return [Rows(rows.unflatten(0, (stop - start, out.shape[1])))]

    held = sum(counts) * out.shape[1] * samples.element_size()
    return Source(forms, out.shape[1], held)


def evenly(start: int, stop: int, most: int) -> list[tuple[int, int]]:
    """Cut a range into as few pieces as needed, all nearly equal, none above `most`."""
    pieces = -(-(stop - start) // most)
    ends = [start + (stop - start) * i // pieces for i in range(pieces + 1)]
    return list(pairwise(ends))


def step_of(problem: Problem, begun: Source) -> int:
    """Return how many samples a block may have on each side.

    Both sides' forms take half of the memory bound, the block and the part that is
    added to it the other half.
    """
    total = len(problem.x) + (0 if problem.x2 is None else len(problem.x2))
    fits = problem.max_bytes // 2 // max(begun.kept, 1)
    step = total if total <= fits else max(fits // 2, 1)
    rows = math.isqrt(problem.max_bytes // 4 // problem.x.element_size())
    return min(step, max(rows // begun.outputs, 1))


def blocks(
    problem: Problem, outputs: str, begun: Source, step: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int], Tensor]]:
    """Yield the kernel block by block; of a symmetric one only the upper blocks.

    Args:
        problem: The problem.
        outputs: One of `OUTPUTS`.
        begun: Its source.
        step: Most samples of a block on each side, see `step_of`.

    Yields:
        (start, stop) in x, (start, stop) in x2 or x, block in `contract`'s layout.
    """
    n, cross = len(problem.x), problem.x2 is not None
    total = n + len(problem.x2) if cross else n
    if cross and step >= total:  # all samples at once, then cut
        whole = begun.forms(0, total)
        halves = [[form.part(*each) for form in whole] for each in ((0, n), (n, total))]
        yield (0, n), (0, total - n), product(*halves, outputs)
        return
    lefts = evenly(0, n, step)
    rights = evenly(n, total, step) if cross else lefts
    shift = n if cross else 0
    firsts = [0 if cross else i for i in range(len(lefts))]
    pairs = [(i, j) for i in range(len(lefts)) for j in range(firsts[i], len(rights))]
    held, left = None, []
    for i, j in bar(problem, pairs, "kernel"):
        if i != held:
            held, left = i, begun.forms(*lefts[i])
        right = left if lefts[i] == rights[j] else begun.forms(*rights[j])
        start, stop = rights[j]
        yield lefts[i], (start - shift, stop - shift), product(left, right, outputs)


def product(left: list[Form], right: list[Form], outputs: str) -> Tensor:
    """Return the sum of the products of all layers."""
    total = None
    for mine, other in zip(left, right, strict=True):
        total = mine.added(other, outputs, total)
    return total
