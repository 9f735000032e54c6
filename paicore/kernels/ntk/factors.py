"""From samples to forms: forward pass, backward signals, one form per layer."""

import torch
from torch import Tensor, nn

from paicore.kernels.ntk.capture import NORMS, Call
from paicore.kernels.ntk.chain import chain_signals
from paicore.kernels.ntk.forms import Form, Last, Outer, Pairs, Rows, Tiles, Units
from paicore.kernels.ntk.plan import Group, Plan, passed
from paicore.kernels.ntk.positions import (
    gradients,
    inputs,
    inputs_of,
    picked,
    side_by_side,
)
from paicore.kernels.ntk.settings import Problem, bar

SMALL = 4096  # columns; narrower parts of the Jacobian are put side by side


def factors(
    problem: Problem, plan: Plan, x: Tensor, seen: tuple[Tensor, list[Call]] | None
) -> tuple[Tensor, list[Form]]:
    """Return the logits of some samples and the forms of all layers.

    Args:
        problem: The problem; samples do not interact.
        plan: Its plan.
        x: Samples (n, *in_shape).
        seen: Their forward pass as from `passed`, if it was made before.

    Returns:
        Logits (n, k), and forms in a fixed order, whose kernels add up to the
        kernel of the network.
    """
    with torch.enable_grad():
        out, calls = seen or passed(problem, x, plan.layers, plan.stages)
        deltas = signals(problem, plan, out, calls)
    forms = [
        form
        for group in plan.groups
        if (form := _form(problem, group, calls, deltas)) is not None
    ]
    if plan.missed:
        forms.append(Rows(fallback(problem, plan.missed, x)))
    return out, _merged(forms)


def signals(problem: Problem, plan: Plan, out: Tensor, calls: list[Call]) -> list:
    """Return the gradients (n, k, ...) at the output of every call.

    Of a batch norm the gradients in gamma and beta, (n, k, 2, channels).
    """
    if not calls:
        return []
    if plan.signals == "chain":
        return chain_signals(problem, plan.layers, calls)
    n, k, graph = *out.shape, problem.differentiable
    edges = [call.edge for call in calls]
    eye = torch.eye(k, dtype=out.dtype, device=out.device)[:, None].expand(k, n, k)
    options = {"retain_graph": True, "create_graph": graph, "allow_unused": True}
    if plan.signals == "batched":
        found = torch.autograd.grad(out, edges, eye, is_grads_batched=True, **options)
        return [None if each is None else each.transpose(0, 1) for each in found]
    held: list = [None] * len(calls)
    for c in range(k):
        found = torch.autograd.grad(out, edges, eye[c], **options)
        for index, delta in enumerate(found):
            if delta is None:
                continue
            part = _reduced(calls[index], delta)
            if held[index] is None:
                held[index] = [] if graph else part.new_empty(n, k, *part.shape[1:])
            if graph:
                held[index].append(part)
            else:
                held[index][:, c] = part
    return [torch.stack(e, 1) if isinstance(e, list) else e for e in held]


def _reduced(call: Call, delta: Tensor) -> Tensor:
    """Return the gradients in gamma and beta of a batch norm, else delta itself."""
    if not isinstance(call.module, NORMS):
        return delta
    delta, given = (t.flatten(2) if t.dim() > 2 else t.unsqueeze(2)
                    for t in (delta, call.given))  # fmt: skip
    parts = [torch.linalg.vecdot(delta, given), delta.sum(2)]
    return torch.stack(parts, 1)  # (n, 2, channels)


def _form(problem, group: Group, calls, deltas) -> Form | None:
    """Build the form of one parameter from its calls; None if it has no effect."""
    used = [i for i in group.calls if deltas[i] is not None]
    if not used:
        return None
    modules = tuple(calls[i].module for i in used)
    if group.form in ("gamma", "beta"):
        return Rows(sum(deltas[i][:, :, int(group.form == "beta")] for i in used))
    if group.form in ("last", "outer", "units"):
        return _single(problem, group, calls[used[0]], deltas[used[0]])
    given = tuple(calls[i].given for i in used)
    ends = tuple(gradients(m, deltas[i]) for m, i in zip(modules, used, strict=True))
    if group.form == "bias":
        return Rows(sum(end.sum(4).flatten(2) for end in ends))
    if group.form == "tiles":
        return Tiles(modules, ((given, ends),), group.width)
    if group.form == "rows":
        width = ends[0].shape[3]
        return Rows(torch.cat(list(Tiles(modules, ((given, ends),), width).tiles()), 2))
    if group.form == "gather":
        return Rows(gathered(group, modules, given, ends))
    seen = inputs_of(modules, given)[:, 0]  # (n, I, T)
    return Pairs(seen, side_by_side(ends)[:, :, 0], group.bias)


def _single(problem: Problem, group: Group, call: Call, delta: Tensor) -> Form:
    """Build the form of a layer that is used at one position."""
    seen = call.given
    if seen.dim() > 2:
        seen = inputs(call.module, seen)[:, 0, :, 0]  # (n, I)
        delta = gradients(call.module, delta)[:, :, 0, :, 0]  # (n, k, O)
    kept = None if group.mask is None else group.mask[0].to(seen.dtype)
    if group.form == "last":
        return Last(seen, delta.shape[1], kept, group.bias)
    if group.form == "outer":
        return Outer(seen, delta, group.bias)
    limit = min(problem.max_bytes // 4 // seen.element_size(), 1 << 18)  # in cache
    return Units(seen, delta, kept, group.bias, limit)


def gathered(group: Group, modules: tuple[nn.Module, ...], given, ends) -> Tensor:
    """Return the surviving columns (n, k, nnz) of a layer."""
    mask = group.mask  # (G, O, I)
    delta = side_by_side(ends)  # (n, k, G, O, T)
    if len(group.columns) == 0:  # many survive: all columns, then a selection
        seen = inputs_of(modules, given).unsqueeze(1).transpose(3, 4)
        whole = (delta @ seen).flatten(2)  # (n, k, G O I)
        return whole[:, :, mask.flatten()]
    calls = zip(modules, given, strict=True)
    chosen = zip(*(picked(*call, group.columns) for call in calls), strict=True)
    units = [divmod(u, mask.shape[1]) for u, c in enumerate(group.columns) if len(c)]
    parts = [
        delta[:, :, g, o] @ side_by_side(each).transpose(1, 2)
        for (g, o), each in zip(units, chosen, strict=True)
    ]
    return torch.cat(parts, 2) if parts else delta.new_zeros(*delta.shape[:2], 0)


def fallback(problem: Problem, names: tuple[str, ...], x: Tensor) -> Tensor:
    """Return Jacobian rows (n, k, p) of some parameters, one sample at a time."""
    wanted = [problem.values[name] for name in names]
    rows = []
    for sample in x.split(1):
        with torch.enable_grad():
            out = problem.run(sample)[0]
        rows.append(jacobian_rows(problem, out, names, wanted))
    return torch.stack(rows)


def jacobian_rows(problem, out: Tensor, names, wanted, shown: bool = False) -> Tensor:
    """Return the surviving columns of the Jacobian of some logits (r,): (r, p)."""
    rows, held = [], None
    logits = bar(problem, out.unbind(), "rows") if shown else out.unbind()
    for row, logit in enumerate(logits):
        found = torch.autograd.grad(
            logit, wanted, retain_graph=True, allow_unused=True,
            create_graph=problem.differentiable,
        )  # fmt: skip
        flat = flat_row(problem, names, wanted, found)
        if problem.differentiable:
            rows.append(flat)
            continue
        if held is None:  # in place: a list would hold every row twice
            held = flat.new_empty(len(out), len(flat))
        held[row] = flat
    return torch.stack(rows) if problem.differentiable else held


def flat_row(problem: Problem, names, wanted, found) -> Tensor:
    """Lay gradients by parameter side by side, surviving entries only."""
    parts = []
    for name, value, gradient in zip(names, wanted, found, strict=True):
        gradient = torch.zeros_like(value) if gradient is None else gradient
        kept = problem.kept.get(name)
        parts.append(gradient.flatten() if kept is None else gradient[kept])
    return torch.cat(parts)


def _merged(forms: list[Form]) -> list[Form]:
    """Put narrow columns side by side, so that one product takes them all."""
    narrow = [f for f in forms if isinstance(f, Rows) and f.rows.shape[2] <= SMALL]
    if len(narrow) < 2:
        return forms
    rest = [form for form in forms if not any(form is each for each in narrow)]
    return [*rest, Rows(torch.cat([each.rows for each in narrow], 2))]
