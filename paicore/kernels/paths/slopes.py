"""Slopes of the path sums: what every sum over the paths of an edge is made of."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paicore.forward import isolated
from paicore.forward.private import Guard
from paicore.kernels.paths.algebra import Algebra
from paicore.kernels.paths.problem import (
    Problem,
    check_range,
    gradients,
    prepare,
    total,
)
from paicore.kernels.paths.readable import check_backward, naming_shape


@isolated
def edge_slopes(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    q: int = 2,
    masks: Mapping[str, Tensor] | None = None,
    mode: str = "exact",
    bias: str = "keep",
    input_weights: Tensor | None = None,
) -> dict[str, Tensor]:
    r"""Differentiate R_q by abs(theta)^q: every path sum of an edge follows from it.

    .. math:: \partial R_q / \partial |\theta_i|^q, \qquad
              R_q = \sum_p |\pi_p|^q \, w_{s(p)}

    Conventions: SF is this at q = 1 times abs(theta), T is this at q = 2 and D is T
    times theta^2. The modes are those of `trace`; "authors" takes `bias` and
    `input_weights` here. It runs the network as it is, so with bias="zero" a network
    that adds a constant is refused.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        q: 1 or 2.
        masks: name -> bool tensor; a pruned weight is no edge, its slope is 0.
        mode: "exact" or "authors".
        bias: As in `edge_sums`.
        input_weights: As in `edge_sums`.

    Returns:
        dict name -> float64 tensor shaped like the parameter, >= 0.

    Raises:
        ValueError: `q` or `mode` is unknown.

    Cost: one forward and one backward pass for one input, in float64.
    """
    if isinstance(q, bool) or q not in (1, 2):
        raise ValueError(f"q: expected 1 or 2, got {q!r}")
    if mode not in ("exact", "authors"):
        raise ValueError(f"mode: expected 'exact' or 'authors', got {mode!r}")
    problem = prepare(net, in_shape, masks, bias, input_weights)
    return exact_edges(problem, q)[0] if mode == "exact" else authors_edges(problem, q)


def exact_edges(
    problem: Problem, q: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return dR_q / d abs(theta)^q and what stands on the edges, by name."""
    values = problem.powers(q)
    out, added = total(problem, values, q)
    grads = gradients(out, values)
    names = problem.names("trainable", added)
    for name in names:
        check_range(grads[name], f"the sum over paths through {name!r}")
    slopes = {name: grads[name] * problem.alive[name] for name in names}
    return slopes, {name: values[name].detach() for name in names}


def authors_edges(problem: Problem, q: int) -> dict[str, Tensor]:
    """Return the gradients of the network run as it is on abs(theta)^q."""
    values = problem.powers(q)
    if problem.bias == "zero":
        _drop_sources(problem, values)
    # a copy, since networks may work in place; with a gradient, so that a backward
    # pass of a layer's own shows in the first layer too
    x = problem.x.detach().requires_grad_().clone()
    with Guard(problem.twin.originals), naming_shape(x):
        out = functional_call(problem.twin, values, (x,)).sum()
    check_backward(out)
    check_range(out, f"the output of the network of abs(theta)^{q}")
    grads = gradients(out, values)
    return {name: grads[name] * problem.alive[name] for name in grads}


@torch.no_grad()
def _drop_sources(problem: Problem, values: dict[str, Tensor]) -> None:
    """Set biases, beta and the stored means of the private copy to zero."""
    for name in _added(problem, values):
        values[name].zero_()
    for path, module in problem.twin.named_modules():
        if isinstance(mean := getattr(module, "running_mean", None), Tensor):
            mean.zero_()
        name = f"{path}.bias".lstrip(".")
        if name in values:
            values[name].zero_()


def _added(problem: Problem, values: dict[str, Tensor]) -> set[str]:
    """Return the names of the parameters that the network adds.

    Raises:
        ValueError: it adds a constant, which `bias="zero"` cannot leave out here, or
            holds bare parameters that may be added where no reading can tell.
    """
    reading = Algebra(1, sources=False)
    try:
        reading.run(problem.twin, values, problem.x)
    except ValueError as error:
        bare = [n for n in values if n.rpartition(".")[2] not in ("weight", "bias")]
        if bare:
            raise ValueError(
                f"bias: 'zero' in mode 'authors' cannot tell whether {bare} are added: "
                f"{error}"
            ) from error
        return set()
    if reading.left_out:
        raise ValueError(
            "bias: 'zero' in mode 'authors' runs the network as it is, which adds a "
            "constant; expected 'keep'"
        )
    return reading.added
