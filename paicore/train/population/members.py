"""Members of a population: what they are, and that they fit together."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from paicore.data import Dataset
from paicore.train.checks import check
from paicore.train.recipe import Recipe


class Member(NamedTuple):
    """A network, its masks or None, and the CPU generator of its data order."""

    net: nn.Module
    masks: Mapping[str, torch.Tensor] | None
    generator: torch.Generator


def checked(members: Iterable, ds: Dataset, recipe: Recipe) -> list[Member]:
    """Return the members, after everything that `fit` would refuse was refused.

    Args:
        members: Triples (net, masks, generator).
        ds: The data set.
        recipe: The recipe.

    Returns:
        At least one `Member`; all of one architecture, none sharing anything.

    Raises:
        TypeError: A member is no triple, or something in it is of the wrong kind.
        ValueError: There is none, or one cannot be trained, or not with the others.
    """
    found = []
    if not isinstance(members, Iterable):
        kind = type(members).__name__
        raise TypeError(f"members: expected a list of triples, got a {kind}")
    for index, member in enumerate(members):
        if not isinstance(member, tuple) or len(member) != 3:
            text = "expected a triple (net, masks, generator)"
            raise TypeError(f"members[{index}]: {text}, got {type(member)}")
        net, masks, generator = member
        try:
            check(net, ds, recipe, masks, generator)
        except (TypeError, ValueError) as error:
            raise type(error)(f"members[{index}]: {error}") from error
        found.append(Member(net, masks, generator))
    if not found:
        raise ValueError("members: expected at least one, got none")
    _check_separate(found)
    expected = _architecture(found[0].net)
    for index, member in enumerate(found[1:], 1):
        _check_same(expected, _architecture(member.net), index)
    return found


def _check_separate(members: list[Member]) -> None:
    """Refuse members that share a generator or a tensor that training changes.

    Raises:
        ValueError: Two of them do.
    """
    owners: dict[int, int] = {}
    for index, (net, _, generator) in enumerate(members):
        shared = {id(generator): "the generator"}
        for name, tensor in _tensors(net).items():
            # storage, not address: two views of one buffer may overlap
            shared[tensor.untyped_storage().data_ptr() or id(tensor)] = repr(name)
        for key, name in shared.items():
            if key in owners:
                raise ValueError(
                    f"members[{index}]: expected a network and a generator of its own, "
                    f"shares {name} with members[{owners[key]}]"
                )
        owners.update(dict.fromkeys(shared, index))


def _check_same(expected: dict, found: dict, index: int) -> None:
    """Refuse a member of another architecture.

    Raises:
        ValueError: It differs from the first member.
    """
    for name in [*expected, *(name for name in found if name not in expected)]:
        mine, first = found.get(name, "nothing"), expected.get(name, "nothing")
        if mine != first:
            raise ValueError(
                f"members[{index}]: expected the architecture of members[0], got "
                f"{mine} instead of {first} as {name}"
            )


def _architecture(net: nn.Module) -> dict[str, str]:
    """Return a text on every module, parameter and buffer that must agree."""
    facts = {
        f"module {name!r}": f"{type(module).__qualname__}{_settings(module)}"
        for name, module in net.named_modules()
    }
    for name, parameter in net.named_parameters():
        trained = "" if parameter.requires_grad else ", frozen"
        facts[f"parameter {name!r}"] = f"{tuple(parameter.shape)}{trained}"
    for name, buffer in net.named_buffers():
        facts[f"buffer {name!r}"] = f"{tuple(buffer.shape)}"
    return facts


def _settings(module: nn.Module) -> str:
    """Return what a module was made with, as far as its attributes tell."""
    plain = (bool, int, float, str, tuple, type(None))
    parts = [
        f"{key}={value!r}" if isinstance(value, plain) else f"{key}={value.__name__}"
        for key, value in vars(module).items()
        if key != "training" and not key.startswith("_")
        if isinstance(value, plain) or hasattr(value, "__name__")
    ]
    return f"({', '.join(parts)})"


def _tensors(net: nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and buffers by name."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}
