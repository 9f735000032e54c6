"""Every layer as one linear map used at T positions: J = sum_t delta_t a_t.

A Linear layer has T = 1 (more for inputs (n, ..., features)); a convolution has one
position per output pixel, and its input there is the window below the kernel. Groups
are an axis of their own.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def inputs(module: nn.Module, given: Tensor) -> Tensor:
    """Return a layer's inputs position by position.

    Args:
        module: Linear or convolution.
        given: Its input (n, ..., features) or (n, channels, *sides).

    Returns:
        Tensor (n, G, I, T), I the inputs of one output of a group.
    """
    if isinstance(module, nn.Linear):
        flat = given.reshape(len(given), -1, given.shape[-1])  # (n, T, I)
        return flat.transpose(1, 2).unsqueeze(1)
    return windows(module, given).unflatten(1, (module.groups, -1))


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Put the positions of several calls side by side, on the last axis."""
    return torch.cat(list(parts), -1) if len(parts) > 1 else parts[0]


def inputs_of(modules: Sequence[nn.Module], given: Sequence[Tensor]) -> Tensor:
    """Return the inputs of several calls, positions side by side: (n, G, I, T)."""
    pairs = zip(modules, given, strict=True)
    return side_by_side([inputs(*pair) for pair in pairs])


def gradients(module: nn.Module, delta: Tensor) -> Tensor:
    """Return the gradients at a layer's output position by position.

    Args:
        module: Linear or convolution.
        delta: Gradients (n, k, ..., features) or (n, k, channels, *sides).

    Returns:
        Tensor (n, k, G, O, T), O the outputs of one group.
    """
    if isinstance(module, nn.Linear):
        flat = delta.flatten(2, -2) if delta.dim() > 3 else delta.unsqueeze(2)
        return flat.transpose(2, 3).unsqueeze(2)  # (n, k, 1, O, T)
    return delta.flatten(3).unflatten(2, (module.groups, -1))


def windows(conv: nn.Module, x: Tensor) -> Tensor:
    """Return the windows of a convolution: (n, channels * kernel size, T)."""
    sides = len(conv.kernel_size)
    if sides == 2:
        return functional.unfold(
            padded(conv, x), conv.kernel_size, dilation=conv.dilation,
            stride=conv.stride,
        )  # fmt: skip
    return window_view(conv, x).flatten(2 + sides).flatten(1, 1 + sides)


def window_view(conv: nn.Module, x: Tensor) -> Tensor:
    """Return the windows without a copy: (n, channels, *kernel, *sides of output)."""
    x, sides = padded(conv, x), len(conv.kernel_size)
    for axis in range(sides):
        reach = (conv.kernel_size[axis] - 1) * conv.dilation[axis] + 1
        x = x.unfold(2 + axis, reach, conv.stride[axis])
        x = x[..., :: conv.dilation[axis]]
    order = [0, 1, *range(2 + sides, 2 + 2 * sides), *range(2, 2 + sides)]
    return x.permute(order)


def padded(conv: nn.Module, x: Tensor) -> Tensor:
    """Pad the input of a convolution as the convolution does."""
    pads = conv._reversed_padding_repeated_twice
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    return functional.pad(x, pads, mode=mode) if any(pads) else x


def picked(module: nn.Module, given: Tensor, columns: Sequence[Tensor]) -> Iterator:
    """Yield the chosen inputs of one output after the other.

    Where fewer are chosen in all than there are, the windows of a convolution are
    never written out.

    Args:
        module: Linear or convolution.
        given: Its input.
        columns: For each output the indices (s,) into its I inputs.

    Yields:
        Tensor (n, s, T) for each output that has inputs left.
    """
    each = module.weight.shape[0] // getattr(module, "groups", 1)
    groups = [unit // each for unit in range(len(columns))]
    few = sum(map(len, columns)) < module.weight[0].numel() * (groups[-1] + 1)
    if isinstance(module, nn.Linear) or not few:
        seen = inputs(module, given)  # (n, G, I, T)
        chosen = zip(groups, columns, strict=True)
        yield from (seen[:, g, each] for g, each in chosen if len(each))
        return
    view = window_view(module, given.contiguous())  # faster to index than channels last
    sides = len(module.kernel_size)
    within = torch.unravel_index(torch.cat(list(columns)), module.weight.shape[1:])
    parts = zip(*(axis.split(list(map(len, columns))) for axis in within), strict=True)
    for group, (channel, *offsets) in zip(groups, parts, strict=True):
        if len(channel):
            channel = channel + group * module.weight.shape[1]
            yield view[(slice(None), channel, *offsets)].flatten(-sides)


def is_batched(module: nn.Module, given: Tensor, n: int) -> bool:
    """Tell whether an input has one row per sample, so that rows are samples."""
    rank = 2 if isinstance(module, nn.Linear) else 0
    if not rank and hasattr(module, "kernel_size"):
        rank = 2 + len(module.kernel_size)
    return len(given) == n and given.dim() >= rank
