"""Masks during training: a pruned weight is exactly zero after every step.

Momentum, weight decay and Adam's running means move a weight whose gradient is zero,
so the weights are multiplied by the mask after each step. The kept weights see the
same gradients as with the mask inside the forward pass, since the pruned ones are zero
whenever a gradient is taken.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from paicore.forward.weights import check_plain


def check_masks(net: nn.Module, masks: Mapping[str, torch.Tensor] | None) -> None:
    """Refuse masks that do not fit a network.

    Args:
        net: The network.
        masks: Name of a parameter to bool tensor of its shape, or None.

    Raises:
        TypeError: `masks` is no mapping, or holds something else than bool tensors.
        ValueError: A name or a shape is not the network's.
    """
    if masks is None:
        return
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks: expected a mapping or None, got {type(masks)}")
    parameters = dict(net.named_parameters())
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(
                f"masks: {name!r} is no parameter of the network, which has "
                f"{', '.join(parameters)}"
            )
        if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
            got = getattr(mask, "dtype", type(mask))
            raise TypeError(f"masks[{name!r}]: expected a bool tensor, got {got}")
        check_plain(mask, f"masks[{name!r}]")
        if mask.shape != parameters[name].shape:
            raise ValueError(
                f"masks[{name!r}]: expected shape {tuple(parameters[name].shape)}, got "
                f"{tuple(mask.shape)}"
            )


def check_finite_weights(
    net: nn.Module, masks: Mapping[str, torch.Tensor] | None
) -> None:
    """Refuse kept weights that are infinite or no number.

    Args:
        net: The network.
        masks: Masks that fit it, or None. What they prune may be anything.

    Raises:
        ValueError: A kept weight is not finite; names its parameter.
    """
    for name, weight in net.named_parameters():
        bad = ~weight.detach().isfinite()
        if name in (masks or {}):
            bad &= masks[name].to(weight.device)
        if bad.any():
            raise ValueError(
                f"net: expected finite weights, got {int(bad.sum())} kept ones in "
                f"{name!r} that are not"
            )


@contextmanager
def projected(
    net: nn.Module, masks: Mapping[str, torch.Tensor] | None
) -> Iterator[Callable[[], None]]:
    """Zero the pruned weights now and at the end, whatever ends the training.

    Args:
        net: The network, where and as it is trained.
        masks: Name of a parameter to bool tensor, or None.

    Yields:
        A function that zeroes them in place, in one fused product, after a step.
    """
    zero_pruned(net, masks)
    parameters = dict(net.named_parameters())
    weights = [parameters[name].detach() for name in masks or {}]
    # In the weights' own dtype and memory layout, as the fused product wants them.
    factors = [
        torch.empty_like(weight).copy_(masks[name])
        for name, weight in zip(masks or {}, weights, strict=True)
    ]

    def project() -> None:
        if weights:
            torch._foreach_mul_(weights, factors)

    try:
        yield project
    finally:
        zero_pruned(net, masks)


@torch.no_grad()
def zero_pruned(net: nn.Module, masks: Mapping[str, torch.Tensor] | None) -> None:
    """Zero the pruned weights in place; a product would keep what is not finite.

    Args:
        net: The network.
        masks: Masks that fit it, or None.
    """
    for name, mask in (masks or {}).items():
        weight = net.get_parameter(name)
        weight.masked_fill_(~mask.to(weight.device), 0.0)
