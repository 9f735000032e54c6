r"""Chains of Linear layers with elementwise maps between them, without autograd.

.. math:: h_l = W_l a_{l-1} + b_l, \quad a_l = \phi(h_l), \qquad
          \delta_L = I, \quad \delta_l = (\delta_{l+1} W_{l+1}) \odot \phi'(h_l)

One product per layer and direction for all samples and outputs. On a small network the
bookkeeping of hooks and of a batched backward pass costs more than these products.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from paicore.forward.linearise import ACTIVATIONS
from paicore.forward.weights import all_finite
from paicore.kernels.ntk.capture import Call
from paicore.kernels.ntk.settings import Problem
from paicore.nets.modules import Flatten

# Elementwise and without parameters: the slope at an entry is a number.
CURVES = {*ACTIVATIONS} - {nn.PReLU}
STILL = {nn.Identity, nn.Dropout}  # in a private copy dropout is off
FLAT = {nn.Flatten, Flatten}


class Stage(NamedTuple):
    """A Linear layer, and the maps between the layer before and it."""

    between: tuple[nn.Module, ...]
    linear: nn.Linear


def stages_of(net: nn.Module, layers, samples: Tensor) -> tuple[Stage, ...]:
    """Cut a network into stages.

    Args:
        net: Private copy, plain (see `plain.py`).
        layers: Its known layers, module -> role -> name.
        samples: The inputs (n, *in_shape) that will be run.

    Returns:
        Its stages; none if it is no chain, or one that these inputs do not fit.
    """
    stages, between, shape = [], [], samples.shape[1:]
    for module in _in_order(net):
        kind = type(module)
        if kind is nn.Linear:
            if module not in layers or shape != module.weight.shape[1:]:
                return ()
            stages.append(Stage(tuple(between), module))
            shape, between = module.weight.shape[:1], []
        elif kind in FLAT and getattr(module, "end_dim", -1) == -1:
            between += [module] if len(shape) > 1 else []
            shape = torch.Size([math.prod(shape)])
        elif kind in CURVES:
            between.append(module)
        elif kind not in STILL:
            return ()
    return () if between or not _alike(stages, layers, samples) else tuple(stages)


def _in_order(net: nn.Module) -> Iterator[nn.Module]:
    """Yield what a network calls, one after the other; a module may come twice."""
    for child in net._modules.values():
        if type(child) is nn.Sequential:
            yield from _in_order(child)
        else:
            yield child


def _alike(stages: list[Stage], layers, samples: Tensor) -> bool:
    """Tell whether all tensors have one dtype, and each is one parameter's only."""
    held = [layers[stage.linear] for stage in stages]
    if not all("weight" in each for each in held):
        return False
    weights, kinds = {each["weight"] for each in held}, {samples.dtype}
    for _, linear in stages:
        bias = linear.bias
        if bias is not linear._parameters.get("bias"):
            return False  # a buffer or a constant
        kinds |= {each.dtype for each in (linear.weight, bias) if each is not None}
    return len(kinds) == 1 and not any(each.get("bias") in weights for each in held)


def calls_by_name(layers, calls: list[Call]) -> dict[str, list[int]]:
    """Return name -> positions of its calls; in a chain these are all its uses."""
    by_name: dict[str, list[int]] = {}
    for index, call in enumerate(calls):
        for name in layers[call.module].values():
            by_name.setdefault(name, []).append(index)
    return by_name


def chain_pass(
    problem: Problem, stages: tuple[Stage, ...], x: Tensor
) -> tuple[Tensor, list[Call]]:
    """Run inputs through a chain; return the logits (n, k) and the calls.

    Args:
        problem: The problem.
        stages: Of its network.
        x: Inputs (n, *in_shape), which fit.

    Returns:
        As `capture.captured`, with slopes in the place of edges.

    Raises:
        ValueError: a logit is not finite.
    """
    graph, calls = problem.differentiable, []
    out = x.clone() if graph else x  # the graph must not hold the caller's memory
    names = {id(p): name for name, p in problem.net.named_parameters()}
    with torch.set_grad_enabled(graph):
        for between, linear in stages:
            given, slope = _linked(between, out, graph) if calls else (out, None)
            if not calls:
                for module in between:  # their slopes move no parameter
                    given = module(given.clone())
            weight, bias = (
                None if own is None else problem.values[names[id(own)]]
                for own in (linear.weight, linear.bias)
            )
            out = functional.linear(given, weight, bias)
            calls.append(Call(linear, given, None, out.shape, 0, slope))
    if not all_finite(out):
        raise ValueError("net: the logits hold NaN or infinity")
    return out, calls


def _linked(
    between: tuple[nn.Module, ...], h: Tensor, graph: bool
) -> tuple[Tensor, Tensor | None]:
    """Return phi(h) and phi'(h), (n, O); the slope None stands for one everywhere."""
    if not between:
        return h, None
    if [type(each) for each in between] == [nn.ReLU]:  # a tenth of the time
        given = h.relu() if graph else h.relu_()
        return given, given.detach().sign()
    with torch.enable_grad():
        h = h if graph else h.detach().requires_grad_()
        given = h.clone()  # which an activation may overwrite
        for module in between:
            given = module(given)
        ones = torch.ones_like(given)
        slope = torch.autograd.grad(
            given, h, ones, retain_graph=graph, create_graph=graph
        )[0]
    return (given, slope) if graph else (given.detach(), slope)


def chain_signals(problem: Problem, layers, calls: list[Call]) -> list[Tensor]:
    """Return the gradients (n, k, O) of all outputs at the output of every call.

    Args:
        problem: The problem; its network is a chain.
        layers: Its known layers, module -> role -> name.
        calls: Their calls as from `chain_pass`, in order.

    Returns:
        One tensor per call. Cost: L - 1 products of (n k, O) with a weight.
    """
    graph = problem.differentiable
    weights = [problem.values[layers[call.module]["weight"]] for call in calls]
    if not graph:
        weights = [weight.detach() for weight in weights]
    n, k = calls[-1].shape
    delta = torch.eye(k, dtype=weights[-1].dtype, device=weights[-1].device)
    found = [delta.expand(n, k, k)]
    below = weights[-1].expand(n, -1, -1)  # delta_L W_L, alike for every sample
    for index in range(len(calls) - 1, 0, -1):
        if (slope := calls[index].slope) is not None:
            fresh = index < len(calls) - 1 and not graph
            slope = slope.unsqueeze(1)
            below = below.mul_(slope) if fresh else below * slope
        found.append(below)  # (n, k, O)
        if index > 1:
            below = below @ weights[index - 1]  # (n, k, I)
    return found[::-1]
