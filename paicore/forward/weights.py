"""Which tensors of a network can be pruned."""

import math

import torch
from torch import nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prunable(net: nn.Module) -> dict[str, nn.Parameter]:
    """Return the prunable weights of a network by name.

    Conventions: the weights of every Linear and Conv layer, in the order of the
    modules, named as in ``net.named_parameters()``. Biases and normalisation are
    never pruned or counted. A weight shared by several layers appears once.

    Args:
        net: Any module.

    Returns:
        dict name -> parameter.

    Raises:
        TypeError: `net` is no module.
        ValueError: a layer's weight is no parameter (pruned or re-parametrised by
            ``torch.nn.utils``), is not created yet, or there is no such layer.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"net: expected a torch.nn.Module, got {type(net).__name__}")
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    found: dict[str, nn.Parameter] = {}
    for path, module in net.named_modules():
        if not isinstance(module, LAYERS):
            continue
        weight = module.weight
        if isinstance(weight, nn.parameter.UninitializedParameter):
            raise ValueError(f"net: layer {path!r} has no weights yet; run it once")
        if id(weight) not in names:
            raise ValueError(
                f"net: the weight of layer {path!r} is no parameter; remove its "
                "re-parametrisation first (torch.nn.utils.prune.remove, "
                "torch.nn.utils.parametrize.remove_parametrizations)"
            )
        found[names[id(weight)]] = weight
    if not found:
        raise ValueError("net: expected at least one Linear or Conv layer, got none")
    return found


def check_plain(tensor: torch.Tensor, what: str) -> None:
    """Refuse a tensor without values, or with another layout than one per entry.

    Args:
        tensor: Any tensor.
        what: The argument, or which part of it.

    Raises:
        TypeError: it is on the meta device, sparse, nested or packed.
    """
    if tensor.is_meta or tensor.is_nested or tensor.layout != torch.strided:
        got = "a nested one" if tensor.is_nested else tensor.layout
        got = "the meta device" if tensor.is_meta else got
        raise TypeError(f"{what}: expected a dense tensor with values, got {got}")


def check_finite(weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights that are complex, of inference mode, or not finite, by name."""
    for name, weight in weights.items():
        if weight.is_complex():
            raise ValueError(f"net: weight {name!r} is complex, expected a real one")
        if weight.is_inference():
            raise ValueError(
                f"net: weight {name!r} was made under inference_mode; build the "
                "network outside it"
            )
        if not all_finite(weight):
            raise ValueError(f"net: weight {name!r} holds NaN or infinity")


def check_state(net: nn.Module) -> None:
    """Refuse parameters and buffers that no computation in float64 can stand for.

    Conventions: parameters must be real and finite. Buffers must be real and hold no
    NaN; infinity stands in attention masks and is left.

    Args:
        net: Any module.

    Raises:
        ValueError: one is complex, of inference mode, or not finite; by name.
    """
    weights = prunable(net)
    named = [(n, p, "weight" if n in weights else "parameter")
             for n, p in net.named_parameters()]  # fmt: skip
    named += [(name, each, "buffer") for name, each in net.named_buffers()]
    sums = []
    for name, tensor, kind in named:
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            raise ValueError(f"net: {kind} {name!r} has no values yet; run it once")
        if tensor.is_complex():
            raise ValueError(f"net: {kind} {name!r} is complex, expected a real one")
        if tensor.is_inference() and kind != "buffer":
            raise ValueError(f"net: {kind} {name!r} was made under inference_mode; "
                             "build the network outside it")  # fmt: skip
        if tensor.is_floating_point():
            sums.append((name, tensor.detach(), kind))
    if all(map(math.isfinite, _sums([tensor for _, tensor, _ in sums]))):
        return
    for name, tensor, kind in sums:
        if kind == "buffer" and torch.isnan(tensor).any():
            raise ValueError(f"net: buffer {name!r} holds NaN")
        if kind != "buffer" and not torch.isfinite(tensor).all():
            raise ValueError(f"net: {kind} {name!r} holds NaN or infinity")


def _sums(tensors: list[torch.Tensor]) -> list[float]:
    """Return the sum of each tensor, with one transfer if they share a device."""
    sums = [tensor.sum() for tensor in tensors]
    if len({(each.device, each.dtype) for each in sums}) == 1:
        return torch.stack(sums).tolist()
    return [each.item() for each in sums]


def all_finite(tensor: torch.Tensor) -> bool:
    """Tell whether no entry is NaN or infinite.

    A finite sum shows it in a tenth of the time; a sum that is not may have overflowed.

    Args:
        tensor: Real tensor.

    Returns:
        Whether all entries are finite.
    """
    if math.isfinite(tensor.detach().sum().item()):
        return True
    return bool(torch.isfinite(tensor).all())
