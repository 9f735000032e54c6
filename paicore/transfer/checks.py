"""What a transfer refuses of its network, inputs, generator and checkpoint."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from paicore.forward import prunable
from paicore.forward.private import check_masks
from paicore.forward.weights import all_finite, check_plain
from paicore.masks.container import Masks
from paicore.transfer.settings import DTYPES, Settings, check_density


def check_network(net: nn.Module, settings: Settings) -> None:
    """Refuse parameters, layer densities or first masks that a run cannot use.

    Args:
        net: The dense network.
        settings: The keywords.

    Raises:
        ValueError: a layer is unknown.
    """
    weights = prunable(net)
    for name, parameter in net.named_parameters():
        _check_parameter(name, parameter, settings)
    if isinstance(settings.scope, Mapping):
        unknown = sorted(map(str, set(settings.scope) - set(weights)))
        if unknown:
            raise ValueError(f"scope: expected names of prunable weights among "
                             f"{list(weights)}, got {unknown}")  # fmt: skip
        for name, value in settings.scope.items():
            check_density(f"scope[{name!r}]", value)
    if isinstance(settings.first_masks, Mapping):
        try:
            check_masks(net, Masks(settings.first_masks))
        except (TypeError, ValueError) as error:
            raise type(error)(f"first_masks: {error}") from error


def _check_parameter(name: str, parameter: nn.Parameter, settings: Settings) -> None:
    """Refuse a parameter that cannot be trained; a transfer trains all of them."""
    if isinstance(parameter, nn.parameter.UninitializedParameter):
        raise ValueError(f"net: parameter {name!r} has no values yet; run it once")
    if not parameter.is_floating_point():
        raise ValueError(f"net: parameter {name!r} is {parameter.dtype}, but a "
                         "transfer trains all; keep it in a buffer")  # fmt: skip
    if not parameter.requires_grad:
        raise ValueError(f"net: parameter {name!r} does not require gradients, but a "
                         "transfer trains all; let it require them")  # fmt: skip
    if parameter.is_meta:
        raise ValueError(f"net: parameter {name!r} is on the meta device and has no "
                         "values")  # fmt: skip
    if settings.dtype is None and parameter.dtype not in DTYPES:
        raise ValueError(
            f"dtype: None takes the network's own, {parameter.dtype}, which this "
            "optimiser cannot run in; expected float32 or float64"
        )


def run_dtype(net: nn.Module, settings: Settings) -> torch.dtype:
    """Return the floating type of a run."""
    return settings.dtype or next(net.parameters()).dtype


def check_inputs(
    x: Tensor, validation: Tensor | None, batch: int, dtype: torch.dtype
) -> None:
    """Refuse inputs that are no samples, or too few, or leave the range of a run.

    Args:
        x: Inputs (n, *in_shape).
        validation: Held-out inputs or None.
        batch: Samples in a batch.
        dtype: Floating type of the run.

    Raises:
        ValueError: they are too few, of different shapes, or not finite.
    """
    for name, each, least in (("x", x, batch), ("validation", validation, 2)):
        if each is None and name == "validation":
            continue
        check_tensor(name, each)
        if each.dim() < 2 or len(each) < least:
            raise ValueError(
                f"{name}: expected at least {least} samples (n, *in_shape), "
                f"got shape {tuple(each.shape)}"
            )
        if each.shape[1:] != x.shape[1:]:
            raise ValueError(f"{name}: expected samples of shape {tuple(x.shape[1:])}, "
                             f"got {tuple(each.shape[1:])}")  # fmt: skip
        if not all_finite(each.detach().to(dtype)):
            raise ValueError(f"{name}: holds NaN or infinity in {dtype}")


def check_tensor(name: str, x: Tensor) -> None:
    """Refuse what is no dense floating tensor with values, by name."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name}: expected a floating tensor (n, *in_shape), got {got}")
    check_plain(x, name)


def partial(path: Path) -> Path:
    """Return the name that a checkpoint is written under before it is in place."""
    return path.with_name(f".{path.name}.part")


def check_checkpoint(path: str | os.PathLike | None) -> Path | None:
    """Return the path of the checkpoint, or refuse it; tries to write there.

    Args:
        path: What was given.

    Returns:
        The path, or None.

    Raises:
        TypeError: it is no path.
        ValueError: it has another ending than .npz, no folder to lie in, or nothing
            can be written there.
    """
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"checkpoint: expected a path or None, got {path!r}")
    path = Path(os.fsdecode(path))
    if path.suffix != ".npz":
        raise ValueError(f"checkpoint: expected a name ending in .npz, got {path.name}")
    if not os.path.isdir(path.parent):
        raise ValueError(f"checkpoint: there is no folder {path.parent}")
    try:
        if not path.exists():  # a finished one may lie where nobody can write
            partial(path).write_bytes(b"")
            partial(path).unlink()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ValueError(f"checkpoint: cannot write {path} ({error})") from error
    return path
