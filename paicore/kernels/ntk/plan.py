"""Which form each layer takes, by operation count, decided once from a first look.

Counts are multiply-adds for a block of r rows (samples times outputs) against
itself; a layer has P weights (nnz surviving), O outputs and I inputs at T positions.

=========  ==============================  =========================================
form       building J                      product
=========  ==============================  =========================================
columns    r T P                           r^2 P / 2
two-Gram   none                            r^2 T^2 (O + c) + (r/k)^2 T^2 I
gathered   r T nnz                         r^2 nnz / 2
per unit   none                            (r/k)^2 I O + r^2 (O + c)
=========  ==============================  =========================================

c stands for the elementwise work per entry of a block, which runs far below the rate
of a matrix product.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paicore.kernels.ntk.capture import NORMS, Call, captured, known_layers, uses
from paicore.kernels.ntk.chain import Stage, calls_by_name, chain_pass, stages_of
from paicore.kernels.ntk.plain import check_separate, is_plain
from paicore.kernels.ntk.positions import is_batched
from paicore.kernels.ntk.settings import Problem

ELEMENTWISE = 20  # multiply-adds of a matrix product in the time of one such entry
LOOK = 1024  # a pass of a plain network keeps less than this many times its input
SPARSE = 0.4  # above this density a layer's columns are built whole, then selected


@dataclass(frozen=True)
class Group:
    """All uses of one weight or bias.

    Attributes:
        name: Name of the parameter.
        calls: Positions of its calls in the list of calls.
        form: "outer", "last", "pairs", "units", "rows", "tiles", "gather", "bias",
            "gamma", "beta".
        bias: Whether the layer's bias is counted in this form.
        mask: Surviving weights (G, O, I) as bool, or None.
        width: Output channels in a tile.
        columns: For a gathered weight the surviving inputs of each output; empty if
            they are so many that all columns are built.
    """

    name: str
    calls: tuple[int, ...]
    form: str
    bias: bool = False
    mask: Tensor | None = None
    width: int = 1
    columns: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What `factors` needs to know before it sees any samples.

    Attributes:
        layers: Known layers, module -> role -> name.
        groups: One per parameter, but for biases counted with their weight.
        missed: Names of the parameters that the fallback takes.
        outputs: Number k of logits.
        kept: Numbers held per sample between the signals and the product.
        work: Numbers needed per sample while its signals are computed.
        alone: Logits (1, k) of the first sample alone, to see whether samples interact;
            None where no module could make them.
        stages: Of a chain (`chain.py`); none of another network.
        signals: "chain" (`chain.py`), "batched" (all outputs in one batched backward
            pass) or "each" (one pass per output).
    """

    layers: dict[nn.Module, dict[str, str]]
    groups: tuple[Group, ...]
    missed: tuple[str, ...]
    outputs: int
    kept: int
    work: int
    alone: Tensor | None
    stages: tuple[Stage, ...]
    signals: str


@dataclass(frozen=True)
class Size:
    """The sizes of one layer's uses together, from one sample."""

    groups: int
    inputs: int
    outputs: int
    positions: int

    @property
    def weights(self) -> int:
        """Number P of weights."""
        return self.groups * self.outputs * self.inputs


def make_plan(
    problem: Problem, samples: Tensor, *, diagonal: bool = False
) -> tuple[Plan, tuple[Tensor, list[Call]]]:
    """Look at one sample, or at all of a plain network, and decide all forms.

    Args:
        problem: The problem.
        samples: Its inputs x, then x2.
        diagonal: Whether only the diagonal of the kernel is wanted.

    Returns:
        The plan, valid for every block of samples, and the pass it was made from.

    Raises:
        ValueError: no parameter has an effect on the logits.
    """
    layers = known_layers(problem)
    plain = is_plain(problem.net)
    stages = stages_of(problem.net, layers, samples) if plain else ()
    seen = passed(problem, samples[: _look(problem, samples, plain)], layers, stages)
    first, calls = seen
    two = None if plain else _paired(problem, samples, layers, first)
    if stages:
        by_name, missed = calls_by_name(layers, calls), ()
    else:
        by_name, missed = _seen(problem, layers, first, calls, two)
    if not by_name and not missed:
        raise ValueError("net: the logits depend on no parameter of the network")
    k = first.shape[1]
    rows = 1 if diagonal else len(samples) * k
    groups = _groups(problem, layers, calls, by_name, rows, first)
    kept, work = _memory(groups, calls, k, len(first))
    kept += k * sum(problem.values[name].numel() for name in missed)
    linear = all(isinstance(call.module, nn.Linear) for call in calls)
    alone = None if plain else first.detach()
    batched = linear and not torch.is_anomaly_enabled()  # which knows no batches
    signals = "chain" if stages else "batched" if batched else "each"
    plan = Plan(layers, tuple(groups), missed, k, kept, work, alone, stages, signals)
    return plan, seen


def passed(
    problem: Problem, x: Tensor, layers, stages: tuple[Stage, ...]
) -> tuple[Tensor, list[Call]]:
    """Run inputs through the network; return the logits (n, k) and the calls."""
    if stages:
        return chain_pass(problem, stages, x)
    return captured(problem, x, layers)


def _paired(problem: Problem, samples: Tensor, layers, first: Tensor):
    """Return the calls of the first and last sample together, checked; None if one."""
    if len(samples) == 1:
        return None
    out, calls = captured(problem, torch.cat([samples[:1], samples[-1:]]), layers)
    with torch.no_grad():
        check_separate(first, out)
        check_separate(problem.run(samples[-1:]), out, 1)
    return calls


def _look(problem: Problem, samples: Tensor, plain: bool) -> int:
    """Return how many samples the plan may see: what it computes need not be redone.

    More than one only where rows are known to be samples.
    """
    size = LOOK * samples[0].numel() * samples.element_size()
    return len(samples) if plain and len(samples) * size <= problem.max_bytes else 1


def _seen(problem, layers, first, calls, two) -> tuple[dict[str, list[int]], tuple]:
    """Return name -> calls for parameters whose every use was seen, and the others.

    `two` are the calls of two samples, if there are: rows of a layer may be time steps.
    """
    wanted = {name: problem.values[name] for name in problem.names}
    counted, nodes = uses(first, wanted)
    by_name: dict[str, list[int]] = defaultdict(list)
    alone, parts = set(), {}
    for index, call in enumerate(calls):
        if id(call.edge.node) not in nodes:
            continue  # its output does not reach the logits
        for name in layers[call.module].values():
            by_name[name].append(index)
            # rows that are no samples, or one weight cut into groups in two ways
            groups = getattr(call.module, "groups", 1)
            same = parts.setdefault(name, groups) == groups
            rows = is_batched(call.module, call.given, len(first))
            if two is not None:
                rows &= len(two) == len(calls) and len(two[index].given) == 2
            if not (same and rows):
                alone.add(name)
    missed = tuple(
        name for name, number in counted.items()
        if name in alone or number != len(by_name[name])
    )  # fmt: skip
    seen = {n: i for n, i in by_name.items() if n not in missed and counted[n]}
    return seen, missed


def _groups(problem, layers, calls, by_name, rows, first: Tensor) -> list[Group]:
    """Choose the form of every parameter that was seen on the way to the logits."""
    groups, counted = [], set()
    for name, indices in by_name.items():
        module = calls[indices[0]].module
        roles = layers[module]
        if isinstance(module, NORMS):
            kind = "gamma" if roles.get("weight") == name else "beta"
            groups.append(Group(name, tuple(indices), kind))
        elif roles.get("weight") == name:
            beside = roles.get("bias")
            joint = by_name.get(beside) == indices
            group = _weight(problem, name, calls, indices, rows, first, joint)
            groups.append(group)
            if group.bias:
                counted.add(beside)
        else:
            groups.append(Group(name, tuple(indices), "bias"))
    return [group for group in groups if group.name not in counted]


def size_of(calls: list[Call], indices) -> Size:
    """Measure the uses of one weight."""
    weight = calls[indices[0]].module.weight
    groups = getattr(calls[indices[0]].module, "groups", 1)
    positions = sum(calls[i].positions for i in indices)
    return Size(groups, weight.shape[1:].numel(), len(weight) // groups, positions)


def _weight(problem, name, calls, indices, rows, first, joint) -> Group:
    """Choose the form of one weight."""
    k = first.shape[1]
    size = size_of(calls, indices)
    mask = problem.kept.get(name)
    if mask is not None:
        mask = mask.reshape(size.groups, size.outputs, size.inputs)
    form = _form(size, mask, rows, k)
    if form in ("outer", "units") and _gives(calls, indices[0], first):
        form = "last"
    bytes_each = calls[indices[0]].given.element_size()
    per_channel = max(rows * size.inputs * bytes_each, 1)
    width = max(1, min(size.outputs, problem.max_bytes // 8 // per_channel))
    bias = joint and form in ("outer", "last", "pairs", "units")
    columns = _columns(mask) if form == "gather" else ()
    return Group(name, tuple(indices), form, bias, mask, width, columns)


def _gives(calls: list[Call], index: int, first: Tensor) -> bool:
    """Tell whether the output of a call is the logits, as they are."""
    edge, node = calls[index].edge, first.grad_fn
    if edge is None:  # of a chain
        return index == len(calls) - 1
    # a hook on the tensor may change the gradient at it
    return edge.node is node and first._backward_hooks is None


def _columns(mask: Tensor) -> tuple[Tensor, ...]:
    """Return the indices of the surviving inputs of every output."""
    if mask.float().mean() > SPARSE:
        return ()
    flat = mask.flatten(0, 1)  # (G O, I)
    return flat.nonzero()[:, 1].split(flat.sum(1).tolist())


def _form(size: Size, mask: Tensor | None, rows: int, k: int) -> str:
    """Return the cheapest form of a weight."""
    single = size.positions == 1 and size.groups == 1
    if mask is not None:
        nnz = int(torch.count_nonzero(mask))
        return "units" if single and nnz > 2 * size.outputs else "gather"
    if single:
        return "outer"
    columns = rows * size.weights * (size.positions + rows / 2)
    few = size.positions**2
    pairs = rows**2 * few * (size.outputs + ELEMENTWISE)
    pairs += (rows / k) ** 2 * few * size.inputs
    if rows > 1 and size.groups == 1 and pairs < columns:
        return "pairs"
    gradients = size.groups * size.outputs * size.positions
    return "rows" if size.weights <= gradients else "tiles"


def _memory(groups, calls, k, n) -> tuple[int, int]:
    """Return the numbers per sample that are held, and that the signals need, of n."""
    kept, widest = 0, 0
    for group in groups:
        first = calls[group.calls[0]]
        ends = sum(calls[i].shape.numel() for i in group.calls) // n
        given = sum(calls[i].given.numel() for i in group.calls) // n
        held = k * first.module.weight.numel()
        if group.form == "gather":
            widest = max(widest, held if not group.columns else 0)
            held = k * int(torch.count_nonzero(group.mask))
        elif group.form in ("tiles", "outer", "last", "pairs", "units"):
            held = k * ends + given
        elif group.form in ("bias", "gamma", "beta"):
            held = k * first.shape[1]
        kept, widest = kept + held, max(widest, held)
    norms = [call for call in calls if isinstance(call.module, NORMS)]
    ends = sum(call.shape.numel() for call in calls) // n
    deltas = ends - sum(call.shape.numel() for call in norms) // n
    # gradients of all outputs, the graph of the forward pass, one layer's columns
    return kept, k * deltas + 6 * ends + widest
