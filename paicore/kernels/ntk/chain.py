r"""Backward signals of a chain of Linear layers, without a backward pass.

.. math:: \delta_L = I, \qquad
          \delta_l = (\delta_{l+1} W_{l+1}) \odot \phi'(h_l)

One product per layer for all samples and outputs, where autograd needs a batched
backward pass whose bookkeeping costs more than a small network's products.
"""

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from paicore.forward.linearise import ACTIVATIONS
from paicore.kernels.ntk.capture import Call
from paicore.kernels.ntk.settings import Problem
from paicore.nets.modules import Flatten

RELU = "ReluBackward0"  # autograd's name; another one takes the general way
# Elementwise and without parameters: the slope at an entry is a number.
LINKS = {
    *ACTIVATIONS, nn.Sequential, nn.Identity, nn.Linear, nn.Dropout, nn.Flatten,
    Flatten,
} - {nn.PReLU}  # fmt: skip


def is_chain(net: nn.Module, layers, calls: list[Call], out: Tensor) -> bool:
    """Tell whether a network is Linear layers with elementwise maps between them.

    Args:
        net: Private copy, plain (see `plain.py`).
        layers: Its known layers, module -> role -> name.
        calls: Their calls, in order.
        out: The logits (n, k).

    Returns:
        Whether it is, and each of its layers was seen at one position a sample.
    """
    if not calls or calls[-1].edge.node is not out.grad_fn or out._backward_hooks:
        return False
    for module in net.modules():
        kind = type(module)
        if kind not in LINKS or (kind is nn.Linear and module not in layers):
            return False
    if not all("weight" in layers[call.module] for call in calls):
        return False
    weights = {held["weight"] for held in layers.values() if "weight" in held}
    if any(held.get("bias") in weights for held in layers.values()):
        return False  # one tensor in two roles
    ends = [call.shape for call in calls]
    return all(len(shape) == 2 for shape in ends) and all(
        call.before is not None and call.given.shape == shape
        for call, shape in zip(calls[1:], ends[:-1], strict=True)
    )


def calls_by_name(layers, calls: list[Call]) -> dict[str, list[int]]:
    """Return name -> positions of its calls; in a chain these are all its uses."""
    by_name: dict[str, list[int]] = {}
    for index, call in enumerate(calls):
        for name in layers[call.module].values():
            by_name.setdefault(name, []).append(index)
    return by_name


def chain_signals(problem: Problem, layers, calls: list[Call]) -> list[Tensor]:
    """Return the gradients (n, k, O) of all outputs at the output of every call.

    Args:
        problem: The problem; its network is a chain.
        layers: Its known layers, module -> role -> name.
        calls: Their calls, in order.

    Returns:
        One tensor per call. Cost: L - 1 products of (n k, O) with a weight.
    """
    weights = [problem.values[layers[call.module]["weight"]] for call in calls]
    if not problem.differentiable:
        weights = [weight.detach() for weight in weights]
    n, k = calls[-1].shape
    delta = torch.eye(k, dtype=weights[-1].dtype, device=weights[-1].device)
    found = [delta.expand(n, k, k)]
    below = weights[-1]  # delta_L W_L, the same for every sample: (k, I)
    for index in range(len(calls) - 1, 0, -1):
        slope = _slope(calls[index - 1].edge, calls[index], problem.differentiable)
        found.append(below * slope.unsqueeze(1))  # (n, k, O)
        if index > 1:
            below = found[-1] @ weights[index - 1]  # (n, k, I)
    return found[::-1]


def _slope(edge: GradientEdge, after: Call, graph: bool) -> Tensor:
    """Return phi'(h), (n, O): the gradient of a layer's input at the one before."""
    node = after.before.node
    if node.name() == RELU and node.next_functions[0] == (edge.node, edge.output_nr):
        return (after.given > 0).to(after.given.dtype)  # ten times faster than a pass
    ones = torch.ones_like(after.given)
    return torch.autograd.grad(
        after.before, edge, ones, retain_graph=True, create_graph=graph
    )[0]
