"""Run a private copy and look at, or replace, the output of every layer on the way."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from paicore.forward import has_batch_norm, prunable
from paicore.forward.private import like, run
from paicore.forward.weights import LAYERS
from paicore.rescale.checks import check_one_of

# (name of the weight, layer, its input, its output) to a new output or None
Visit = Callable[[str, nn.Module, Tensor, Tensor], Tensor | None]
MODES = ("train", "eval")
CROWDED = "more than 1 value per channel"  # from PyTorch's batch norm


def visit_layers(twin: nn.Module, x: Tensor, visit: Visit) -> None:
    """Run a private copy once and visit its layers in the order of their calls.

    Args:
        twin: Private copy.
        x: Inputs (n, *in_shape).
        visit: Called after each layer; what it returns replaces the output.

    Raises:
        ValueError: a layer runs twice or never, or two layers share a weight, so
            that the weight has no single input and output; or the network cannot
            take the inputs.
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
        _run(twin, like(x, twin))
    idle = [name for name in names.values() if name not in calls]
    if idle:
        raise ValueError(f"net: the layers of {idle[:3]} are never called as modules")


def _run(twin: nn.Module, x: Tensor) -> None:
    """Run a private copy; what it says of inputs that it cannot take names them."""
    try:
        run(twin, x)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, ValueError) as error:
        if isinstance(error, ValueError) and CROWDED not in str(error):
            raise  # of a visit, which names its argument
        raise ValueError(
            f"x: the network cannot run on inputs {tuple(x.shape)}, read as {len(x)} "
            f"samples of shape {tuple(x.shape[1:])} ({error})"
        ) from error


def bias_of(layer: nn.Module) -> Tensor | float:
    """Return a layer's bias, shaped to be added to its output."""
    if layer.bias is None:
        return 0.0
    return layer.bias.detach().view(-1, *[1] * (layer.weight.dim() - 2))


def unit_axis(layer: nn.Module) -> int:
    """Return the axis of the output units, from the end: -1 of a Linear."""
    return 1 - layer.weight.dim()


def check_mode(net: nn.Module, batch_norm: str | None) -> None:
    """Refuse "frozen": its statistics would be those of the net before rescaling."""
    if batch_norm is not None:
        check_one_of("batch_norm", batch_norm, MODES)
    elif has_batch_norm(net):
        raise ValueError(f"batch_norm: the network has batch norm, name one of {MODES}")
