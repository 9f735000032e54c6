"""What surrounds training and evaluation, and is put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from paicore.train.recipe import Recipe


@contextmanager
def training(
    net: nn.Module, recipe: Recipe, device: torch.device, generator: torch.Generator
) -> Iterator[None]:
    """Move and cast a network; put modes, layout and random states back afterwards.

    Args:
        net: The network; stays on the device and in the dtype it is trained in.
        recipe: Its precision decides the dtype.
        device: Where to train.
        generator: A copy of it seeds the global generators, for dropout; it is not
            advanced.

    Yields:
        Nothing; the modes are as before until the caller sets them.
    """
    modes = [(module, module.training) for module in net.modules()]
    on_gpu = device.type == "cuda"
    double = recipe.precision == "float64"
    net.to(device, torch.float64 if double else torch.float32)
    if on_gpu and not double:
        net.to(memory_format=torch.channels_last)
    try:
        with seeded(generator, device), flushing(enabled=not on_gpu):
            yield
    finally:
        if on_gpu:
            net.to(memory_format=torch.contiguous_format)
        net.zero_grad(set_to_none=True)
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode and every module back afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def placement(net: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return device and dtype of a network's first parameter.

    Args:
        net: Any module with parameters.

    Returns:
        Its device and dtype.

    Raises:
        ValueError: It has no parameters.
    """
    for parameter in net.parameters():
        return parameter.device, parameter.dtype
    raise ValueError("net: expected a network with parameters, got one without")


def autocast(device: torch.device, enabled: bool) -> torch.autocast:
    """Return bfloat16 autocast for a device, or a context that does nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@contextmanager
def seeded(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Seed the global generators from a copy of a generator, and put them back.

    Args:
        generator: CPU generator; it is not advanced.
        device: A GPU, whose generator is seeded too, or the CPU.

    Yields:
        Nothing.
    """
    copy = torch.Generator().set_state(generator.get_state())
    seed = int(torch.randint(2**62, (), generator=copy))
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield


@contextmanager
def flushing(enabled: bool) -> Iterator[None]:
    """Let this thread round denormal numbers to zero.

    The weights of a dead unit see weight decay only, and Adam's running mean of their
    squares fades into denormals, on which a CPU is several times slower.

    Args:
        enabled: False leaves the flag as it is.

    Yields:
        Nothing; the flag is as before afterwards.
    """
    # There is no getter; a denormal that vanishes shows that the flag was set.
    before = (torch.tensor(1e-40) * torch.ones(())).item() == 0.0
    torch.set_flush_denormal(enabled or before)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
