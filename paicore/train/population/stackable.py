"""What one program for all members would get wrong is refused before it is run.

The stacked engine runs the first member's code with every member's tensors. So the
members must agree in all that is not a tensor, and nothing that a network does may
happen beside its parameters and registered buffers.
"""

import copy
import functools
import inspect
from collections.abc import Mapping

import torch
from torch import nn

from paicore.train.population.members import Member

OWN = frozenset(vars(nn.Module()))  # what every module has
ELSE = "use engine='loop'"


def check_stackable(members: list[Member]) -> None:
    """Refuse members that cannot share one program.

    Args:
        members: All of them, of one architecture by names and shapes.

    Raises:
        ValueError: A network does something outside of its tensors, or a member
            differs from the first in something that is no parameter or buffer.
    """
    for net, *_ in members:
        _check_modules(net)
        _check_hooks(net)
    expected = _description(members[0].net)
    for index, (net, *_) in enumerate(members[1:], 1):
        found = _description(net)
        for mine, first in zip(found, expected, strict=False):
            if mine != first:
                raise ValueError(
                    f"members[{index}]: {mine[0]!r} differs from that of members[0] in "
                    f"its order, class, settings or ties; {ELSE}"
                )
        if len(found) != len(expected):
            raise ValueError(f"members[{index}]: has other modules; {ELSE}")


def _check_modules(net: nn.Module) -> None:
    """Refuse hooks, patched forwards and norms that stacking would treat otherwise."""
    for name, module in net.named_modules():
        hooks = (
            module._forward_hooks, module._forward_pre_hooks,
            module._backward_hooks, module._backward_pre_hooks,
        )  # fmt: skip
        if any(hooks):
            raise ValueError(f"net: {name!r} has hooks; {ELSE}")
        if "forward" in vars(module):
            raise ValueError(f"net: {name!r} has a forward of its own; {ELSE}")
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if module.track_running_stats and module.momentum is None:
            text = "averages its statistics cumulatively (momentum=None)"
            raise ValueError(f"net: {name!r} {text}; {ELSE}")
        if module.running_mean is None:
            # its test accuracy depends on the batches that it is measured in
            raise ValueError(f"net: {name!r} stores no statistics; {ELSE}")


def _check_hooks(net: nn.Module) -> None:
    """Refuse hooks on parameters, which a stack of them does not have."""
    for name, parameter in net.named_parameters():
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            raise ValueError(f"net: {name!r} has hooks; {ELSE}")


def _description(net: nn.Module) -> list[tuple]:
    """Return, in order, what must agree of modules, and which tensors are tied."""
    names = {id(module): name for name, module in net.named_modules()}
    facts: list[tuple] = []
    for name, module in net.named_modules(remove_duplicate=False):
        settings = {k: v for k, v in vars(module).items() if k not in OWN}
        children = [(key, names.get(id(each))) for key, each in module.named_children()]
        facts.append((name, type(module), children, _value(settings, names)))
    first: dict[int, str] = {}
    for kind in (net.named_parameters, net.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            facts.append((name, first.setdefault(id(tensor), name)))
    return facts


def _value(value, names: Mapping[int, str]):
    """Return something that is equal for two settings only if they mean the same."""
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return type(value), value
    if isinstance(value, (torch.dtype, torch.device, torch.Size)):
        return value
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), tuple(value.detach().flatten().tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value), tuple(_value(each, names) for each in value)
    if isinstance(value, Mapping):
        return tuple((key, _value(each, names)) for key, each in value.items())
    if isinstance(value, nn.Module):
        return "module", names.get(id(value), id(value))
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return "partial", tuple(_value(each, names) for each in parts)
    if inspect.ismethod(value):
        return "method", value.__func__, names.get(id(value.__self__), id(value))
    # functions, classes and anything else: the same object, or not the same
    return "object", id(value)


@torch.no_grad()
def check_state(net: nn.Module, x: torch.Tensor) -> None:
    """Refuse a network whose training pass keeps something other than in place.

    Args:
        net: A member's network; a copy of it is run.
        x: Inputs of two samples, of the dtype and device of the run.

    Raises:
        ValueError: A pass replaces a buffer or changes a plain attribute.
    """
    twin = copy.deepcopy(net).to(x.device, x.dtype).train()
    buffers, held = dict(twin.named_buffers()), _attributes(twin)
    twin(x)
    for name, buffer in twin.named_buffers():
        if buffers.get(name) is not buffer:
            raise ValueError(f"net: replaces its buffer {name!r}; {ELSE}")
    if _attributes(twin) != held:
        raise ValueError(f"net: changes an attribute while it trains; {ELSE}")


def _attributes(net: nn.Module) -> list:
    """Return what a network holds besides tensors and modules, to tell a change."""
    names = {id(module): name for name, module in net.named_modules()}
    return [
        _value({k: v for k, v in vars(module).items() if k not in OWN}, names)
        for module in net.modules()
    ]
