r"""What the data add: gates of real inputs on the paths.

.. math:: f_k(x) = \sum_{p \to k} \pi_p \, a_p(x) \, x_{s(p)}, \qquad
          J^f_\pi(x)_{kp} = a_p(x) \, x_{s(p)}

The activation a_p is the product of the gates along p: 0 or 1 at a ReLU (open where
its input is > 0), 1 or the slope at a LeakyReLU, the winner at a max pooling; x = 1
behind a bias. The tangent kernel is J^f_pi Pi J^f_pi^T.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.forward import isolated
from paicore.forward.weights import check_plain
from paicore.kernels.paths.algebra import Algebra, Gates
from paicore.kernels.paths.problem import (
    Problem,
    check_floor,
    check_range,
    gradients,
    prepare,
)


def checked_shape(x: Tensor) -> tuple[int, ...]:
    """Return the shape of one input, or refuse what is no finite batch.

    Raises:
        TypeError: it is no tensor.
        ValueError: it is empty, not floating or not finite.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a tensor, got {type(x).__name__}")
    check_plain(x, "x")
    if x.dim() < 2 or not len(x):
        raise ValueError(f"x: expected at least one input (n, *in_shape), got shape "
                         f"{tuple(x.shape)}")  # fmt: skip
    if not torch.is_floating_point(x) or not torch.isfinite(x).all():
        raise ValueError(f"x: expected finite floating-point inputs, got {x.dtype}")
    return tuple(x.shape[1:])


def _squares(
    net: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None, q: int
) -> tuple[Tensor, Problem, dict[str, Tensor]]:
    """Return sum_p |pi_p|^q a_p(x)^2 x_s^2, summed over x and outputs."""
    problem = prepare(net, checked_shape(x), masks)
    x = x.to(problem.x)
    gates = Gates()
    with torch.no_grad():
        gates.run(problem.twin, problem.theta, x)
    values = problem.powers(q)
    out = Algebra(q, gates=gates.kept).run(problem.twin, values, x**2).sum()
    check_range(out, "the gated sum over paths")
    pairs = ((problem.theta[name], each) for name, each in values.items())
    check_floor(out.detach(), pairs if q else (), "the gated sum over paths")
    return out, problem, values


@isolated
def gated_sums(
    net: nn.Module, x: Tensor, *, masks: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    r"""Sum the squared path derivatives through each parameter over the open paths.

    .. math:: T_i(X) = \sum_{x \in X} \sum_{p \ni i} a_p(x)^2 \, x_{s(p)}^2
              \left( \partial \pi_p / \partial \theta_i \right)^2

    Conventions: as in `edge_sums`, with gates. This is the share of each parameter in
    the trace of the tangent kernel when paths do not interfere. Times theta^2 it is a
    data-aware score, summed over the samples.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        x: Inputs (n, *in_shape) of any sign.
        masks: name -> bool tensor; a pruned weight is no edge, its sum is 0.

    Returns:
        dict name -> float64 tensor shaped like the parameter, >= 0.

    Cost: two forward passes and one backward pass for the batch; memory of one.
    """
    out, problem, values = _squares(net, x, masks, 2)
    found = gradients(out, values)
    for name, each in found.items():
        check_range(each, f"the gated sum over paths through {name!r}")
    return {name: each * problem.alive[name] for name, each in found.items()}


@isolated
def gated_trace(
    net: nn.Module,
    x: Tensor,
    *,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
) -> float:
    """Sum `gated_sums` over the parameters: the trace without interference.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        x: Inputs (n, *in_shape).
        masks: name -> bool tensor.
        params: "trainable", or "prunable" for the weights of Linear and Conv layers.

    Returns:
        The sum, over samples and outputs.

    Cost: as `gated_sums`.
    """
    problem = prepare(net, checked_shape(x), masks)
    names = problem.names(params, set())
    found = gated_sums(net, x, masks=masks)
    return float(sum(found[name].sum() for name in names))


@isolated
def activation_norm(
    net: nn.Module, x: Tensor, *, masks: Mapping[str, Tensor] | None = None
) -> float:
    r"""Frobenius norm of the path-activation matrix.

    .. math:: \|J^f_\pi(X)\|_F^2 = \sum_{x \in X} \sum_p a_p(x)^2 \, x_{s(p)}^2

    Conventions: constants on edges belong to pi_p, so only whether they are zero
    matters here; a parameter of value zero, such as a fresh bias, is still an edge.
    The trace of the tangent kernel is at most this norm squared times the trace of
    the Path Kernel.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        x: Inputs (n, *in_shape).
        masks: name -> bool tensor; pruned weights are no edges.

    Returns:
        The norm (not squared).

    Cost: two forward passes for the batch.

    Source: Iurada et al. (2024), first factor of the bound.
    """
    return float(_squares(net, x, masks, 0)[0].detach()) ** 0.5
