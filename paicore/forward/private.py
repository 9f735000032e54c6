"""Private copies: the one door through which scores and kernels see a network."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from paicore.forward.batch_norm import set_mode
from paicore.forward.weights import (
    all_finite,
    check_plain,
    check_state,
    prunable,
)

HELD = ("_parameters", "_buffers", "_modules")  # filled by hand, tensor by tensor


def private_copy(
    net: nn.Module,
    *,
    masks: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = torch.float64,
    batch_norm: str | None = None,
    stats_from: Tensor | None = None,
    share: bool = False,
) -> nn.Module:
    """Return an independent copy of a network, masked, in a dtype and a norm mode.

    Conventions: the caller's parameters, buffers, mode, gradients and hooks cannot
    change through the copy, also when what follows raises. Dropout is off. Gradients
    of the copy start empty and every parameter of it requires one. Masks that do not
    fit, parameters that are complex or not finite, buffers that are complex or hold NaN
    and a missing mode raise ValueError, a network that cannot be copied TypeError.
    Forward hooks of the network are part of it and run in the copy.

    Args:
        net: Module mapping (n, *in_shape) to (n, k).
        masks: name -> bool tensor; pruned weights are zero in the copy.
        dtype: Floating dtype of the copy; None keeps the network's own.
        batch_norm: "train", "frozen" or "eval"; required if there is batch norm.
        stats_from: Inputs whose statistics "frozen" uses.
        share: Whether weights that need no change keep the network's memory. Only for
            a caller that writes to no weight, and a network that is plain (see
            `kernels.ntk.plain`): its modules hold nothing but tensors and settings.

    Returns:
        The copy, on the network's device.

    Raises:
        TypeError: `dtype` is no floating type.

    Cost: memory of one copy of the network.
    """
    check_state(net)
    if dtype is not None and not getattr(dtype, "is_floating_point", False):
        raise TypeError(
            f"dtype: expected a floating torch.dtype or None, got {dtype!r}"
        )
    if masks is not None:
        check_masks(net, masks)
    twin = _sharing(net, {}) if share else _copied(net)
    if dtype is not None:
        twin.to(dtype)
    for parameter in twin.parameters():
        parameter.grad = None
        parameter.requires_grad_(parameter.is_floating_point())
    if masks is not None:
        with torch.no_grad():
            for name, weight in prunable(twin).items():
                # where, not a product: rubbish in a pruned weight must not survive
                weight.data = torch.where(masks[name].to(weight.device), weight, 0)
    stats = None if stats_from is None else like(stats_from, twin)
    set_mode(twin, batch_norm, stats, run)
    return twin


def _copied(net: nn.Module) -> nn.Module:
    """Copy a network, and let the copy know what it must never touch."""
    try:
        twin = copy.deepcopy(net, _empty_tables(net))
    except Exception as error:
        raise TypeError(f"net: cannot be copied ({error})") from error
    # not a parameter or buffer, and never moved: names and tensors of the original
    object.__setattr__(twin, "originals", identities(net))
    return twin


def _sharing(module: nn.Module, made: dict[int, object]) -> nn.Module:
    """Copy a plain network, all but the memory of its parameters; a fifth of the time.

    Args:
        module: The network, or a part of it.
        made: What was copied before by identity: modules, parameters and buffers that
            stand in two places are one in the copy too.

    Returns:
        The copy.
    """
    if id(module) in made:
        return made[id(module)]
    twin = made[id(module)] = object.__new__(type(module))
    own = vars(twin)
    own.update(vars(module))
    for name, value in own.items():
        if isinstance(value, (dict, set)):
            held = name in HELD or not value  # an empty table is made faster anew
            own[name] = type(value)() if held else value.copy()
    for name, parameter in module._parameters.items():
        if parameter is not None and id(parameter) not in made:
            made[id(parameter)] = nn.Parameter(
                parameter.detach(), parameter.is_floating_point()
            )
        twin._parameters[name] = made.get(id(parameter))
    for name, buffer in module._buffers.items():
        if buffer is not None and id(buffer) not in made:
            made[id(buffer)] = buffer.detach().clone()
        twin._buffers[name] = made.get(id(buffer))
    for name, child in module._modules.items():
        twin._modules[name] = None if child is None else _sharing(child, made)
    return twin


def _empty_tables(net: nn.Module) -> dict[int, object]:
    """Return copies of the modules' empty tables by identity, a memo for ``deepcopy``.

    A module has a dozen, most of them for hooks: half the time of a small network's
    copy.

    Returns:
        dict id of a table -> an empty one.
    """
    tables = [each for module in net.modules() for each in vars(module).values()]
    return {
        id(each): type(each)()
        for each in tables
        if type(each) in (OrderedDict, dict, set) and not each
    }


def identities(net: nn.Module) -> dict[int, str]:
    """Identity of every parameter and buffer of a network, with its name."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return {id(tensor): name for name, tensor in tensors}


class Guard(TorchFunctionMode):
    """Refuse a call that reads the original network from inside its copy."""

    def __init__(self, originals: dict[int, str]) -> None:
        super().__init__()
        self.originals = originals

    def __torch_function__(self, func, types, args=(), kwargs=None):
        for value in (*args, *(kwargs or {}).values()):
            if id(value) in self.originals:
                raise TypeError(
                    "net: its forward pass keeps a reference to the original network "
                    f"(a lambda over self?) and reads {self.originals[id(value)]!r} "
                    "of it, so a copy of it cannot be pruned"
                )
        return func(*args, **(kwargs or {}))


def like(x: Tensor, net: nn.Module) -> Tensor:
    """Move inputs to the dtype and device of a network's floating parameters."""
    floating = (each for each in net.parameters() if each.is_floating_point())
    first = next(floating, None)
    if first is None:
        first = next(net.parameters())
    return x.detach().to(device=first.device, dtype=first.dtype)


def check_masks(net: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Refuse masks whose names, shapes or dtypes are not those of the network.

    Args:
        net: Any module.
        masks: name -> bool tensor.

    Raises:
        TypeError: `masks` is no mapping, or one of them no tensor.
        ValueError: a name, a shape or a dtype does not fit.
    """
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks: expected a mapping, got {type(masks).__name__}")
    weights = prunable(net)
    if set(masks) != set(weights):
        missing = sorted(set(weights) - set(masks))[:3]
        extra = sorted(set(masks) - set(weights))[:3]
        raise ValueError(f"masks: expected the names of the network's prunable "
                         f"weights; missing {missing}, unknown {extra}")  # fmt: skip
    for name, mask in masks.items():
        if not isinstance(mask, Tensor):
            kind = type(mask).__name__
            raise TypeError(f"masks: expected a bool tensor for {name!r}, got {kind}")
        if mask.dtype != torch.bool or mask.shape != weights[name].shape:
            raise ValueError(
                f"masks: expected bool {tuple(weights[name].shape)} for {name!r}, "
                f"got {mask.dtype} {tuple(mask.shape)}"
            )
        check_plain(mask, f"masks: {name!r}")


def run(net: nn.Module, x: Tensor) -> Tensor:
    """Run a private copy; a failure inside says what inputs it was given.

    Conventions: the inputs are copied first, since a network may change them in
    place. A forward pass that reads the original network is refused. The network's
    own errors pass through, with the shape of the inputs as a note.

    Args:
        net: Private copy.
        x: Inputs (n, *in_shape), of the dtype and device of the copy.

    Returns:
        What the network returns, a tensor.

    Raises:
        TypeError: the network returns something else than a tensor.
    """
    try:
        originals = getattr(net, "originals", {})  # none in a copy of a plain network
        with Guard(originals) if originals else nullcontext():
            out = net(x.clone())
    except Exception as error:
        error.add_note(f"batch: the network was given inputs {tuple(x.shape)}")
        raise
    if not isinstance(out, Tensor):
        raise TypeError(f"net: expected a tensor back, got {type(out).__name__}")
    return out


def outputs(net: nn.Module, x: Tensor) -> Tensor:
    """Run a private copy and check that it gives one row of outputs per sample.

    Args:
        net: Private copy.
        x: Inputs (n, *in_shape), of the dtype and device of the copy.

    Returns:
        Tensor (n, k).

    Raises:
        ValueError: the output has another shape or dtype.
    """
    out = run(net, x)
    if out.dim() != 2 or len(out) != len(x) or not out.is_floating_point():
        got = f"{out.dtype} {tuple(out.shape)}"
        raise ValueError(f"net: expected float outputs ({len(x)}, k), got {got}")
    return out


def logits(net: nn.Module, x: Tensor) -> Tensor:
    """Run a private copy and check that it gives finite (n, k) logits.

    Args:
        net: Private copy.
        x: Inputs (n, *in_shape), of the dtype and device of the copy.

    Returns:
        Tensor (n, k).

    Raises:
        ValueError: a logit is not finite.
    """
    out = outputs(net, x)
    if not all_finite(out):
        raise ValueError("net: the logits hold NaN or infinity")
    return out
