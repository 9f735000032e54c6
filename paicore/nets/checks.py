"""Checks of what a caller hands in: each names the argument and what came."""

import torch

from paicore.nets.modules import ACTIVATIONS

FLAGS = ("bias", "batch_norm", "stable", "dropout")


def is_count(value: object) -> bool:
    """Say whether `value` is an integer of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def count(name: str, value: object) -> None:
    """Refuse anything but an integer of at least 1.

    Raises:
        ValueError: It is something else.
    """
    if not is_count(value):
        raise ValueError(f"{name}: expected an int of at least 1, got {value!r}")


def generator(value: object) -> None:
    """Refuse anything but a CPU generator: draws are the same on every device.

    Raises:
        TypeError: It is no generator.
        ValueError: It lives on another device.
    """
    if not isinstance(value, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator, got {value!r}")
    if value.device.type != "cpu":
        raise ValueError(f"generator: expected a CPU generator, got {value.device}")


def dtype(value: object) -> None:
    """Refuse anything but a real floating type of PyTorch.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise TypeError(f"dtype: expected a floating torch.dtype, got {value!r}")


def shape(value: object) -> None:
    """Refuse anything but a non-empty tuple of sizes, without the batch.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(value, tuple) or not value or not all(map(is_count, value)):
        raise ValueError(
            f"in_shape: expected a tuple of ints such as (3, 32, 32), got {value!r}"
        )


def image(in_shape: tuple[int, ...], least: int, kind: str) -> None:
    """Refuse what is no image, or one with a side shorter than `least`.

    Raises:
        ValueError: The shape does not fit `kind` of network.
    """
    if len(in_shape) != 3:
        raise ValueError(
            f"in_shape: {kind} needs (channels, height, width), got {in_shape}"
        )
    if min(in_shape[1:]) < least:
        raise ValueError(
            f"in_shape: {kind} needs height and width of at least {least}, "
            f"got {in_shape}"
        )


def flags(options: dict[str, object]) -> None:
    """Refuse yes-or-no options that are not bool, so that "no" is not taken as yes.

    Raises:
        TypeError: One of `FLAGS` is no bool.
    """
    for name in FLAGS:
        if not isinstance(options.get(name, False), bool):
            raise TypeError(f"{name}: expected True or False, got {options[name]!r}")


def activation(options: dict[str, object]) -> None:
    """Refuse an unknown activation.

    Raises:
        ValueError: It is not in `ACTIVATIONS`.
    """
    name = options.get("activation", "relu")
    if name not in list(ACTIVATIONS):
        raise ValueError(
            f"activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}"
        )
