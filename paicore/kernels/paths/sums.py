r"""Path sums per edge and over all paths: SF, D, T, trace, norms, counts.

A path p runs from an input, or from the constant 1 behind a bias, to one output; pi_p
is the product of its parameters and constants. With s = theta^2,

.. math:: SF_i = \sum_{p \ni i} |\pi_p|, \quad D_i = \sum_{p \ni i} \pi_p^2, \quad
          T_i = \sum_{p \ni i} (\pi_p / \theta_i)^2 = \partial R_2 / \partial s_i .

The Path Kernel is Pi = J J^T with J = d pi / d theta, and its trace is the sum of T.
Batch norm is in mode "eval" in all of `paths`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from paicore.forward import isolated
from paicore.kernels.paths.problem import (
    check_range,
    gradients,
    prepare,
    total,
)
from paicore.kernels.paths.slopes import authors_edges, exact_edges


@dataclass(frozen=True)
class EdgeSums:
    """The three sums of every parameter, by name and shaped like it.

    Attributes:
        sf: SF, sums of abs(pi_p): SynFlow's score.
        d: D, sums of pi_p^2: SynFlow's score of the squared network.
        t: T, sums of (d pi_p / d theta_i)^2: the share of the Path Kernel's trace;
            positive also where theta_i = 0, but zero where pruned.
    """

    sf: dict[str, Tensor]
    d: dict[str, Tensor]
    t: dict[str, Tensor]


@isolated
def edge_sums(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
    input_weights: Tensor | None = None,
) -> EdgeSums:
    r"""Sum the path products through each parameter: SF, D and T.

    Conventions: all parameters count, weights, biases, gamma and beta. A constant c on
    an edge (average pooling 1/n, `Scale`, batch norm 1/sqrt(var + eps)) enters as
    abs(c) in SF and c^2 in D and T. Max pooling counts all of its window, ReLU and
    LeakyReLU have open gates. A stored mean is a constant source before gamma.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; a pruned weight is no edge, its sums are 0.
        bias: "keep", or "zero" for the network without biases, beta and stored means;
            these are then missing from the result.
        input_weights: Weight w_s >= 0 of each path by its input, of shape `in_shape`;
            None: ones. Paths from biases have weight 1.

    Returns:
        EdgeSums of float64 tensors on the network's device.

    Cost: two forward and two backward passes for one input, in float64.

    Accuracy: about 1e-15 relative; every term is >= 0, so nothing cancels.

    Source: Tanaka et al. (2020) for SF; Gebhart et al. (2021) for T. Differs from
    uditsaxena/Synaptic-Flow path_kernel.py: see `trace`.
    """
    problem = prepare(net, in_shape, masks, bias, input_weights)
    first, modulus = exact_edges(problem, 1)
    t, square = exact_edges(problem, 2)
    sf = {name: each * modulus[name] for name, each in first.items()}
    return EdgeSums(sf, {name: each * square[name] for name, each in t.items()}, t)


@isolated
def trace(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    mode: str = "exact",
    params: str = "trainable",
    bias: str = "keep",
    input_weights: Tensor | None = None,
) -> float:
    r"""Trace of the Path Kernel.

    .. math:: \operatorname{tr} \Pi = \sum_i \partial R_2 / \partial \theta_i^2

    Conventions: "exact" is the sum of T of `edge_sums`. "authors" squares all
    parameters, runs the network otherwise as it is (batch norm in eval mode) on ones
    and adds up all gradients: constants stay unsquared, so average pooling over n
    positions inflates the trace n-fold; max pooling counts one position of its window;
    stored means and eps stay unsquared; no module is refused but compiled ones, and
    those with a backward pass of their own. The trace is linear in the number of
    outputs and not invariant to rescaling hidden units: compare it within one
    architecture. Each bias of an output adds exactly 1, which may hide the rest in a
    sparse network: params="prunable", bias="zero" is what data-free scores see.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; pruned weights are no edges.
        mode: "exact" or "authors".
        params: "trainable" sums over all parameters, "prunable" over the weights of
            Linear and Conv layers; paths from biases count in both.
        bias: As in `edge_sums`; "exact" only.
        input_weights: As in `edge_sums`; "exact" only.

    Returns:
        The trace.

    Raises:
        ValueError: `mode` is unknown or takes no such option.

    Cost: one forward and one backward pass for one input, in float64.

    Source: Gebhart et al. (2021); "authors" is uditsaxena/Synaptic-Flow
    path_kernel.py, with its tracker's train-mode batch norm left out.
    """
    if mode not in ("exact", "authors"):
        raise ValueError(f"mode: expected 'exact' or 'authors', got {mode!r}")
    problem = prepare(net, in_shape, masks, bias, input_weights)
    if mode == "authors":
        if bias != "keep" or input_weights is not None:
            raise ValueError("mode: 'authors' takes no bias='zero' or input_weights")
        t = authors_edges(problem, 2)
    else:
        t, _ = exact_edges(problem, 2)
    left_out = set(problem.theta) - set(t)
    return float(sum(t[name].sum() for name in problem.names(params, left_out)))


@isolated
def norm(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    q: int = 2,
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
    input_weights: Tensor | None = None,
) -> float:
    r"""Path norm of a network.

    .. math:: R_q^{1/q}, \qquad R_q = \sum_p |\pi_p|^q \, w_{s(p)}

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        q: 1 or 2.
        masks: name -> bool tensor; pruned weights are no edges.
        bias: As in `edge_sums`.
        input_weights: As in `edge_sums`.

    Returns:
        The norm; its square at q = 2 is the sum of squared path products.

    Raises:
        ValueError: `q` is neither 1 nor 2.

    Cost: one forward pass for one input, in float64.

    Source: Gonon et al. (2024) for general networks. Differs from
    agonon/pathnorm_toolkit: the stored mean is a source (added), and constants of
    pooling and eps are raised to the power q.
    """
    if isinstance(q, bool) or q not in (1, 2):
        raise ValueError(f"q: expected 1 or 2, got {q!r}")
    problem = prepare(net, in_shape, masks, bias, input_weights)
    return float(total(problem, problem.powers(q), q)[0].detach()) ** (1 / q)


@isolated
def count(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
) -> float:
    """Count the surviving paths from inputs and biases to outputs.

    Conventions: a path counts whatever the values of its parameters; a constant of
    zero (an unused stored mean) is no edge. 0 means that the trace is 0 too.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor.
        bias: "keep" counts paths from biases, beta and stored means, "zero" does not.

    Returns:
        The number, exact up to 2^53.

    Cost: one forward pass for one input, in float64.
    """
    problem = prepare(net, in_shape, masks, bias)
    return float(total(problem, problem.powers(0), 0)[0].detach())


@isolated
def greedy_loss(
    net: nn.Module,
    in_shape: tuple[int, ...],
    *,
    masks: Mapping[str, Tensor] | None = None,
    params: str = "trainable",
    bias: str = "keep",
) -> dict[str, Tensor]:
    r"""Loss of the Path Kernel's trace when one parameter alone is deleted.

    .. math:: E_i = T_i + s_i \sum_j \partial^2 R_2 / \partial s_i \partial s_j,
              \qquad s = \theta^2

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed. Batch norm is in mode
            "eval"; curved activations (tanh, GELU, ...) are refused.
        in_shape: Shape of one input.
        masks: name -> bool tensor; pruned weights are no edges, their loss is 0.
        params: Whose trace: "trainable" or "prunable", as in `trace`.
        bias: As in `edge_sums`.

    Returns:
        dict name -> tensor shaped like the parameter, >= 0.

    Cost: one forward and two nested backward passes for one input, in float64.

    Accuracy: equal to deleting edges one by one to rounding.
    """
    problem = prepare(net, in_shape, masks, bias)
    values = problem.powers(2)
    out, added = total(problem, values, 2)
    t = gradients(out, values, create_graph=True)
    names = problem.names(params, added)
    whole = sum((t[name] * problem.alive[name]).sum() for name in names)
    check_range(whole, "the trace of the Path Kernel")
    slopes = gradients(whole, values)
    return {
        name: ((t[name] + values[name] * slopes[name]) * problem.alive[name]).detach()
        for name in names
    }
