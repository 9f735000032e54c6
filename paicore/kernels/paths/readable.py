"""What no reading of a forward pass can see, found beside it and refused by name."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

RECOMPUTED = (
    "net: saves for its backward pass through hooks (torch.utils.checkpoint); what is "
    "run again in the backward pass is no sum over paths"
)


def check_readable(net: nn.Module) -> None:
    """Refuse modules whose forward pass is compiled: its calls cannot be read.

    Raises:
        ValueError: a module is one of `torch.jit` or `torch.compile`.
    """
    for path, module in net.named_modules() if isinstance(net, nn.Module) else ():
        scripted = isinstance(module, torch.jit.ScriptModule)
        if scripted or hasattr(module, "_torchdynamo_orig_callable"):
            raise ValueError(
                f"net: {type(module).__name__} {path!r} is compiled, so its calls "
                "cannot be read as paths; pass the module that it was made from"
            )


def check_backward(out: Tensor) -> None:
    """Refuse a result with a backward pass of its own behind it.

    Raises:
        ValueError: a `torch.autograd.Function` that is not one of ours is behind it.
    """
    seen, left = set(), [out.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        left += [before for before, _ in node.next_functions]
        own = isinstance(node, BackwardCFunction)
        if own and not getattr(type(node)._forward_cls, "on_paths", False):
            name = type(node).__name__.removesuffix("Backward")
            raise ValueError(
                f"net: {name} brings its own backward pass (torch.autograd.Function): "
                "what it hands back is no sum over paths"
            )


@contextmanager
def naming_shape(x: Tensor, argument: str = "in_shape") -> Iterator[None]:
    """Turn what a network says of an input that it cannot take into a named error.

    Hooks on saved tensors are refused: a network that is run again in the backward
    pass is run on its own parameters there, whatever stood on the edges.

    Raises:
        OutOfMemoryError: as it is.
        ValueError: the network cannot run, or has such hooks.
    """
    try:
        with ExitStack() as stack:
            with suppress(RuntimeError):  # the caller has hooks of its own: they may be
                stack.enter_context(
                    torch.autograd.graph.disable_saved_tensors_hooks(RECOMPUTED)
                )
            yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError) as error:
        if str(error) == RECOMPUTED:
            raise ValueError(RECOMPUTED) from error
        raise ValueError(f"{argument}: the network cannot run on inputs of shape "
                         f"{tuple(x.shape[1:])} ({error})") from error  # fmt: skip
