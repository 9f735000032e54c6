"""What surrounds a computation on a private copy, and leaves no trace."""

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def isolation(net: nn.Module) -> Iterator[None]:
    """Compute with gradients, deterministically on a GPU, beside the global generators.

    Conventions: works under ``no_grad`` and ``inference_mode`` as well. A network that
    draws random numbers in evaluation mode (``F.dropout`` without ``training=``) is
    refused, because its masks would depend on the global state, which is put back.

    Args:
        net: The network, for its device.

    Yields:
        Nothing.

    Raises:
        ValueError: the global generator was used.
    """
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    gpu = [device] if device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        _deterministic(enabled=bool(gpu)),
        torch.random.fork_rng(gpu),
    ):
        before = torch.get_rng_state()
        yield
        moved = not torch.equal(before, torch.get_rng_state())
    if moved:
        raise ValueError(
            "net: its forward pass draws random numbers in evaluation mode (dropout "
            "without training=self.training?), so no score of it is well defined"
        )


def isolated(function):
    """Run a function whose first argument is a network inside `isolation`."""

    @functools.wraps(function)
    def wrapper(net, *args, **kwargs):
        if not isinstance(net, nn.Module):
            raise TypeError(f"net: expected a torch.nn.Module, got {type(net)}")
        with isolation(net):
            return function(net, *args, **kwargs)

    return wrapper


@contextlib.contextmanager
def _deterministic(enabled: bool) -> Iterator[None]:
    """Deterministic algorithms, where there is a choice; the flags are put back."""
    if not enabled:
        yield
        return
    was = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warn)
