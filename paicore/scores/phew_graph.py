"""A network as walks see it: layers with edges between channels, and what joins them.

A unit is a channel of a tensor (an entry, where there are no channels). Activations,
pooling and normalisation lead from a unit to the same unit, flattening to one of the
channel's positions, an addition to either of its terms, a layer along one of its edges.
"""

import operator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.modules.batchnorm import _BatchNorm

from paicore.forward.linearise import ACTIVATIONS, FUNCTIONS
from paicore.forward.weights import LAYERS, prunable

SAME_MODULES = (
    *ACTIVATIONS, _BatchNorm, nn.Identity, nn.modules.dropout._DropoutNd,
    nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd,
)  # fmt: skip
SAME = {"mul", "div", "truediv", "mean", "contiguous", "clone", "to", "float", "double"}
POOLS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "dropout")
RESHAPES = {"flatten", "view", "reshape", "squeeze"}
ADDS = {operator.add, operator.iadd, torch.add, "add", "add_"}


@dataclass
class Layer:
    """The edges of one Linear or Conv layer, between channels.

    Attributes:
        name: Name of its weight.
        weight: abs(w), (out, in / groups, kernel positions).
        forward: Cumulative sums over outputs of each input's kernel norms, (in, out).
        backward: Cumulative sums over inputs of each output's kernel norms, (out, in).
        fan: Inputs of a group.
        size: Outputs of a group.
    """

    name: str
    weight: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    fan: int
    size: int


@dataclass
class Node:
    """One tensor of the network, and how a unit of it is reached.

    Attributes:
        kind: "input", "layer", "same", "reshape" or "add".
        inputs: The nodes that it is made of.
        users: The nodes that are made of it.
        units: Its channels.
        positions: Of a reshape: entries for each channel of its input.
        layer: Of a layer.
    """

    kind: str
    units: int
    inputs: list["Node"] = field(default_factory=list)
    users: list["Node"] = field(default_factory=list)
    positions: int = 1
    layer: Layer | None = None


def read(twin: nn.Module, x: Tensor) -> list[Node]:
    """Read a private copy in eval mode into nodes.

    Args:
        twin: Private copy, masked.
        x: One input (1, *in_shape).

    Returns:
        The nodes in the order of the computation: the input first, the output last.

    Raises:
        ValueError: the network cannot be traced, or holds what no walk passes.
    """
    names = {id(weight): name for name, weight in prunable(twin).items()}
    if isinstance(twin, LAYERS):  # traced alone, a layer falls apart into functions
        twin = nn.Sequential(twin)
    try:
        traced = fx.symbolic_trace(twin)
        with torch.no_grad():
            ShapeProp(traced).propagate(x)
    except Exception as error:
        raise ValueError(
            f"net: walks need a network that torch.fx can trace ({error})"
        ) from error
    nodes: dict[fx.Node, Node] = {}
    wanted = _ancestors(traced.graph)
    for each in traced.graph.nodes:
        # sizes are no tensors; parameters are no signals
        if each in wanted and each.op != "get_attr" and "tensor_meta" in each.meta:
            nodes[each] = _node(traced, each, nodes, names)
    if not any(each.op == "placeholder" for each in nodes):
        raise ValueError("net: expected logits that depend on the input")
    return list(nodes.values())


def _ancestors(graph: fx.Graph) -> set[fx.Node]:
    """Return the output's node and all that it is made of; others lead nowhere."""
    result = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(result, fx.Node):
        raise ValueError(f"net: expected a tensor back, got {result}")
    found, left = set(), [result]
    while left:
        if (node := left.pop()) not in found:
            found.add(node)
            left += node.all_input_nodes
    return found


def reachable(nodes: list[Node]) -> dict[str, np.ndarray]:
    """Mark the weights that a walk can pass, forwards or backwards.

    Args:
        nodes: From `read`.

    Returns:
        dict name -> bool array (out, in / groups, kernel positions).
    """
    ahead, back = _ahead(nodes), _back(nodes)
    found: dict[str, np.ndarray] = {}
    for node in nodes:
        if (layer := node.layer) is None:
            continue
        source, target = ahead[id(node.inputs[0])], back[id(node)]
        columns = np.arange(len(target))[:, None] // layer.size * layer.fan
        into = source[columns + np.arange(layer.fan)]  # (out, in / groups)
        passed = (layer.weight > 0) & (into | target[:, None])[..., None]
        found[layer.name] = found.get(layer.name, False) | passed
    return found


def _ahead(nodes: list[Node]) -> dict[int, np.ndarray]:
    """Mark the units that a walk from the input can reach."""
    reach: dict[int, np.ndarray] = {}
    for node in nodes:
        found = [reach[id(each)] for each in node.inputs]
        if node.kind == "input":
            reach[id(node)] = np.ones(node.units, dtype=bool)
        elif node.kind == "layer":
            edges = np.diff(node.layer.forward, prepend=0.0) > 0  # (in, out)
            reach[id(node)] = edges[found[0]].any(0)
        else:
            reach[id(node)] = np.logical_or.reduce(found).repeat(node.positions)
    return reach


def _back(nodes: list[Node]) -> dict[int, np.ndarray]:
    """Mark the units that a walk back from the output can reach."""
    reach = {id(node): np.zeros(node.units, dtype=bool) for node in nodes}
    reach[id(nodes[-1])][:] = True
    for node in reversed(nodes):
        here = reach[id(node)]
        if node.kind == "layer":
            here = (np.diff(node.layer.backward, prepend=0.0) > 0)[here].any(0)
        here = here.reshape(-1, node.positions).any(1)
        for each in node.inputs:
            reach[id(each)] |= here
    return reach


def _node(traced: fx.GraphModule, each: fx.Node, nodes: dict, names: dict) -> Node:
    """Turn one traced call into a node and link it with what it is made of."""
    shape = _shape(each)
    inputs = [nodes[other] for other in each.all_input_nodes if other in nodes]
    kind, layer = _kind(traced, each), None
    if kind == "layer":
        module = traced.get_submodule(each.target)
        if isinstance(module, nn.Linear) and len(shape) != 2:
            _refuse(each, f"on inputs of {len(shape)} dimensions ")
        layer = _layer(names[id(module.weight)], module)
    made = Node(kind, shape[1], inputs, layer=layer)
    if kind == "reshape":
        made.positions, rest = divmod(made.units, inputs[0].units)
        if rest or len(shape) != 2:
            _refuse(each)
    elif kind == "same" and (len(inputs) != 1 or inputs[0].units != made.units):
        _refuse(each)
    elif kind == "add" and any(node.units != made.units for node in inputs):
        _refuse(each, "between different numbers of channels ")
    for node in inputs:
        node.users.append(made)
    return made


def _kind(traced: fx.GraphModule, each: fx.Node) -> str:
    """Name what a traced call does to units."""
    if each.op == "placeholder":
        return "input"
    if each.op == "call_module":
        module = traced.get_submodule(each.target)
        if isinstance(module, LAYERS):
            return "layer"
        if isinstance(module, nn.Flatten):
            return "reshape"
        if isinstance(module, SAME_MODULES):
            return "same"
        return _refuse(each)
    if each.target in ADDS:  # of a number: the units stay
        return "add" if len(each.all_input_nodes) == 2 else "same"
    name = getattr(each.target, "__name__", str(each.target))
    if name == "mean" and not _over_positions(each):
        return _refuse(each, "over channels or samples ")
    if name in RESHAPES:
        return "reshape"
    if name in SAME or name.startswith(POOLS) or FUNCTIONS.fullmatch(name):
        return "same"
    return _refuse(each)


def _over_positions(each: fx.Node) -> bool:
    """Tell whether a mean leaves samples and channels alone."""
    axes = each.kwargs.get("dim", each.args[1] if len(each.args) > 1 else None)
    axes = (axes,) if isinstance(axes, int) else axes or (0,)
    rank = len(_shape(each.all_input_nodes[0]))
    return all(axis % rank > 1 for axis in axes)


def _refuse(each: fx.Node, where: str = "") -> str:
    """Refuse a call through which no walk is defined.

    Raises:
        ValueError: always.
    """
    name = getattr(each.target, "__name__", each.target)
    raise ValueError(
        f"net: {name!r} {where}has no walks; PHEW takes Linear, Conv, BatchNorm, "
        "pooling, elementwise activations, flattening and residual adds"
    )


def _shape(each: fx.Node) -> tuple[int, ...]:
    """Return the shape of a traced tensor."""
    meta = each.meta.get("tensor_meta")
    if not hasattr(meta, "shape") or len(meta.shape) < 2:
        _refuse(each)
    return tuple(meta.shape)


def _layer(name: str, module: nn.Module) -> Layer:
    """Sum the kernels of a layer into edges between channels."""
    weight = module.weight.detach().abs().double().cpu()
    weight = weight.view(*weight.shape[:2], -1)  # (out, in / groups, positions)
    groups = getattr(module, "groups", 1)
    out, fan, _ = weight.shape
    norms = torch.zeros(out, fan * groups, dtype=torch.float64)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        norms[rows, group * fan : (group + 1) * fan] = weight[rows].sum(2)
    return Layer(
        name, weight.numpy(), norms.T.cumsum(1).numpy(),
        norms.cumsum(1).numpy(), fan, out // groups,
    )  # fmt: skip
