"""Run a private copy and look at, or replace, the output of every layer on the way."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from paicore.forward import has_batch_norm, prunable
from paicore.forward.private import like, run
from paicore.forward.weights import LAYERS

# (name of the weight, layer, its input, its output) to a new output or None
Visit = Callable[[str, nn.Module, Tensor, Tensor], Tensor | None]
MODES = ("train", "eval")


def visit_layers(twin: nn.Module, x: Tensor, visit: Visit) -> None:
    """Run a private copy once and visit its layers in the order of their calls.

    Args:
        twin: Private copy.
        x: Inputs (n, *in_shape).
        visit: Called after each layer; what it returns replaces the output.

    Raises:
        ValueError: a layer runs twice or never, or two layers share a weight, so
            that the weight has no single input and output.
    """
    names = {id(weight): name for name, weight in prunable(twin).items()}
    calls: list[str] = []

    def after(layer: nn.Module, inputs: tuple, named: dict, output: Tensor):
        name = names[id(layer.weight)]
        if name in calls:
            raise ValueError(
                f"net: weight {name!r} is used twice in one pass, so no single factor "
                "can be read off its input or output"
            )
        calls.append(name)
        return visit(name, layer, inputs[0] if inputs else named["input"], output)

    for module in twin.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(after, with_kwargs=True, prepend=True)
    with torch.no_grad():
        run(twin, like(x, twin))
    idle = [name for name in names.values() if name not in calls]
    if idle:
        raise ValueError(f"net: the layers of {idle[:3]} are never called as modules")


def bias_of(layer: nn.Module) -> Tensor | float:
    """Return a layer's bias, shaped to be added to its output."""
    if layer.bias is None:
        return 0.0
    return layer.bias.detach().view(-1, *[1] * (layer.weight.dim() - 2))


def unit_axis(layer: nn.Module) -> int:
    """Return the axis of the output units, from the end: -1 of a Linear."""
    return 1 - layer.weight.dim()


def check_inputs(x: Tensor) -> None:
    """Refuse inputs that are no finite batch."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise TypeError(f"x: expected float inputs (n, *in_shape), got {got}")
    if len(x) == 0 or not torch.isfinite(x).all():
        raise ValueError(
            f"x: expected finite inputs, at least one, got {len(x)} samples or "
            "NaN/infinity"
        )


def check_mode(net: nn.Module, batch_norm: str | None) -> None:
    """Refuse "frozen": its statistics would be those of the net before rescaling."""
    if batch_norm not in (*MODES, None):
        raise ValueError(f"batch_norm: expected one of {MODES}, got {batch_norm!r}")
    if batch_norm is None and has_batch_norm(net):
        raise ValueError(f"batch_norm: the network has batch norm, name one of {MODES}")
