"""One forward pass that remembers what every known layer was given and gave.

A layer is known if its class leaves the forward pass of PyTorch as it is; then its
Jacobian follows from its input and the gradient at its output. Whether all uses of a
parameter were seen is read off the autograd graph, so that a weight used in another
way (functionally, tied to a module that is not known) goes to the fallback instead of
giving a wrong kernel.
"""

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import _global_forward_hooks

from paicore.forward import FrozenBatchNorm
from paicore.kernels.ntk.settings import Problem

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (_BatchNorm, FrozenBatchNorm)
METHODS = ("forward", "_conv_forward")
ROLES = ("weight", "bias")  # other parameters of a layer are not used by it


@dataclass(frozen=True)
class Call:
    """One call of a known layer.

    Attributes:
        module: The layer.
        given: Its input (n, ...); of a batch norm, the normalised input.
        edge: Where the gradient at its output is taken; None in a chain.
        shape: Shape of its output (n, ...).
        version: Version of the input when it was seen.
        slope: In a chain, phi' between the layer before and it; None for one.
    """

    module: nn.Module
    given: Tensor
    edge: GradientEdge | None
    shape: torch.Size
    version: int
    slope: Tensor | None = None

    @property
    def positions(self) -> int:
        """Number of positions at which the layer is used on each sample."""
        linear = isinstance(self.module, nn.Linear)
        return math.prod(self.shape[1:-1] if linear else self.shape[2:])


def is_known(module: nn.Module) -> bool:
    """Tell whether the Jacobian of a module is known in closed form.

    A hook on all modules may change any output, and makes every module unknown.

    Returns:
        Whether it is.
    """
    return (
        not _global_forward_hooks
        and _is_ordinary(module)
        and any(
            isinstance(module, kind)
            and all(_unchanged(module, kind, m) for m in METHODS)
            for kind in (*WEIGHTED, *NORMS)
        )
    )


def _is_ordinary(module: nn.Module) -> bool:
    """Tell whether a layer's weight and bias are two, and the bias one per output."""
    weight, bias = (module._parameters.get(role) for role in ROLES)
    if bias is None or weight is None:
        return True
    return bias is not weight and bias.shape == weight.shape[:1]


def _unchanged(module: nn.Module, kind: type, method: str) -> bool:
    """Tell whether a method, if there is one, is that of a class of PyTorch."""
    return method not in vars(module) and (
        getattr(type(module), method, None) is getattr(kind, method, None)
    )


def known_layers(problem: Problem) -> dict[nn.Module, dict[str, str]]:
    """Return the known layers: module -> {"weight": name, "bias": name}.

    Only parameters that the Jacobian is taken in are listed.
    """
    names = {id(p): n for n, p in problem.net.named_parameters() if n in problem.names}
    layers = {}
    for module in problem.net.modules():
        own = module._parameters  # None for a bias that is not there
        held = {r: names[id(own.get(r))] for r in ROLES if id(own.get(r)) in names}
        if held and is_known(module):
            layers[module] = held
    return layers


def captured(problem: Problem, x: Tensor, layers) -> tuple[Tensor, list[Call]]:
    """Run inputs through the network; return the logits (n, k) and the calls.

    Args:
        problem: The problem.
        x: Inputs (n, *in_shape).
        layers: The modules to watch.

    Returns:
        Logits with their graph, and one `Call` per call of a watched module.

    Raises:
        ValueError: an input of a layer was overwritten in place.
    """
    calls: list[Call] = []

    def remember(module, args, named, output):
        if output.grad_fn is None:
            return  # run without a graph: no parameter moves the logits through it
        given = args[0] if args else named["input"]
        with torch._C.DisableTorchFunction():  # this is not the network's own work
            calls.append(_call(module, given, output, problem.differentiable))

    handles = [
        # first, so that hooks of the caller that change the output come after
        module.register_forward_hook(remember, prepend=True, with_kwargs=True)
        for module in layers
    ]
    try:
        out = problem.run(x)
    finally:
        for handle in handles:
            handle.remove()
    for call in calls:
        if call.given._version != call.version:
            raise ValueError(f"net: the input of {call.module} was overwritten in "
                             "place; its Jacobian is lost")  # fmt: skip
    return out, calls


def _call(module: nn.Module, given: Tensor, output: Tensor, graph: bool) -> Call:
    """Note one call of a layer; its input with its graph if that is asked for."""
    given = given if graph else given.detach()
    if isinstance(module, NORMS):
        given = normalised(module, given)
    edge = get_gradient_edge(output)
    return Call(module, given, edge, output.shape, given._version)


def normalised(norm: nn.Module, x: Tensor) -> Tensor:
    """Return the input of a batch norm after normalisation, before the affine map."""
    if isinstance(norm, FrozenBatchNorm):  # the call is over: its index is one less
        mean, var = norm.statistics[(norm.calls - 1) % len(norm.statistics)]
    else:
        mean, var = norm.running_mean, norm.running_var
    return functional.batch_norm(x, mean, var, eps=norm.eps)


def uses(out: Tensor, values: dict[str, Tensor]) -> tuple[Counter, set[int]]:
    """Count the uses of each parameter in the graph of the logits.

    Args:
        out: Logits with their graph.
        values: name -> parameter.

    Returns:
        Counter of the uses by name, and the ids of all nodes of the graph.
    """
    edges = {name: get_gradient_edge(value) for name, value in values.items()}
    targets = {(id(e.node), e.output_nr): name for name, e in edges.items()}
    found, seen, stack = Counter(), {}, [out.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen[id(node)] = node  # held, so that ids stay unique
        for below, number in node.next_functions:
            name = targets.get((id(below), number))
            if name is None:
                stack.append(below)
            else:
                found[name] += 1
    return found, set(seen)
