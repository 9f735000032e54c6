"""What surrounds a computation on a private copy, and leaves no trace."""

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch import nn

from paicore.forward.allocator import keep_freed_memory


@contextlib.contextmanager
def isolation(net: nn.Module, *, deterministic: bool = True) -> Iterator[None]:
    """Compute with gradients, deterministically on a GPU, beside the global generators.

    Conventions: works under ``no_grad``, ``inference_mode``, ``autocast`` and another
    default device as well, which are off inside. A network that
    draws random numbers in evaluation mode (``F.dropout`` without ``training=``) is
    refused, because its masks would depend on the global state, which is put back.

    Args:
        net: The network, for its device.
        deterministic: Whether to ask for deterministic algorithms on a GPU.

    Yields:
        Nothing.

    Raises:
        ValueError: the global generator was used, or the network has no values.
    """
    keep_freed_memory()
    if any(each.is_meta for each in net.parameters()):
        raise ValueError("net: its parameters are on the meta device, without values")
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    gpu = [device] if device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        _cpu_factories(),
        _deterministic(enabled=deterministic and bool(gpu)),
        torch.random.fork_rng(gpu),
    ):
        before = _random_states(gpu)
        yield
        pairs = zip(before, _random_states(gpu), strict=True)
        moved = not all(torch.equal(*pair) for pair in pairs)
    if moved:
        raise ValueError(
            "net: its forward pass draws random numbers in evaluation mode (dropout "
            "without training=self.training?), so no score of it is well defined"
        )


def _cpu_factories() -> contextlib.AbstractContextManager:
    """Put bare factories and draws back to the CPU under another default device."""
    if torch.get_default_device().type == "cpu":
        return contextlib.nullcontext()
    return torch.device("cpu")


def _random_states(gpu: list[torch.device]) -> list[torch.Tensor]:
    """Return the states of the global generators of the CPU and of a GPU."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(each) for each in gpu)]


def isolated(function=None, *, deterministic: bool = True):
    """Run a function whose first argument is a network inside `isolation`."""
    if function is None:
        return functools.partial(isolated, deterministic=deterministic)

    @functools.wraps(function)
    def wrapper(net, *args, **kwargs):
        if not isinstance(net, nn.Module):
            raise TypeError(f"net: expected a torch.nn.Module, got {type(net)}")
        with isolation(net, deterministic=deterministic):
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
