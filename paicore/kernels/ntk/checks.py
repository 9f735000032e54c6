"""What the functions of `ntk` refuse, each argument by its name."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from paicore.forward.weights import all_finite, check_plain

OUTPUTS = ("full", "class", "sum")
CROWDED = "more than 1 value per channel"  # from PyTorch's batch norm


def check_known(unknown: Mapping, options: Iterable[str]) -> None:
    """Refuse keywords that are no options."""
    for name in unknown:
        raise TypeError(f"{name}: unexpected keyword; expected one of "
                        f"{', '.join(options)}")  # fmt: skip


@contextmanager
def naming_inputs(name: str, x: Tensor | None, net: nn.Module) -> Iterator[None]:
    """Turn what a network says of inputs that it cannot take into a named error."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, ValueError) as error:
        if x is None or not getattr(error, "__notes__", ()):
            raise  # not from inside the network, see `forward.run`
        shape = tuple(x.shape)
        if CROWDED in str(error):
            reason = (
                f"batch statistics need more than one value per channel, got "
                f'inputs {shape}; give more samples ("frozen": in stats_from)'
            )
        else:
            reason = (
                f"the network cannot run on inputs {shape}, read as {len(x)} "
                f"samples of shape {shape[1:]}"
            )
        if any(isinstance(each, nn.Embedding) for each in net.modules()):
            reason += "; inputs become floating numbers: embed tokens beforehand"
        raise ValueError(f"{name}: {reason} ({error})") from error


def finite(result: Tensor) -> Tensor:
    """Return a result, or refuse one that left the range of its dtype."""
    if not all_finite(result):
        raise ValueError(f"x: the result leaves the range of {result.dtype}; scale the "
                         "inputs or compute in a wider dtype")  # fmt: skip
    return result


def check_vector(v: Tensor) -> None:
    """Refuse a vector that is no tensor, or not finite."""
    if not isinstance(v, Tensor):
        raise TypeError(f"v: expected a tensor, got {type(v).__name__}")
    if not torch.isfinite(v).all():
        raise ValueError("v: holds NaN or infinity")


def check_count(name: str, value: int, least: int, what: str = "") -> None:
    """Refuse what is no integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: {what}expected at least {least}, got {value}")


def check_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is no choice."""
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")


def check_bound(max_bytes: int) -> None:
    """Refuse a memory bound that is no positive integer."""
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
        raise TypeError(f"max_bytes: expected an int, got {max_bytes!r}")
    if max_bytes < 1:
        raise ValueError(f"max_bytes: expected at least 1, got {max_bytes}")


def check_outputs(outputs: str, allowed: tuple[str, ...] = OUTPUTS) -> str:
    """Return `outputs`, or refuse it."""
    check_one_of("outputs", outputs, allowed)
    return outputs


def check_alike(outputs: int, other: int) -> None:
    """Refuse two networks whose logits do not compare."""
    if outputs != other:
        raise ValueError(f"other: expected {outputs} outputs, got {other}")


def check_inputs(x: Tensor, x2: Tensor | None) -> None:
    """Refuse inputs that are no batch, or two batches of different samples."""
    _check_batch("x", x)
    if x2 is None:
        return
    _check_batch("x2", x2)
    if x2.shape[1:] != x.shape[1:]:
        raise ValueError(f"x2: expected samples of shape {tuple(x.shape[1:])}, "
                         f"got {tuple(x2.shape[1:])}")  # fmt: skip


def _check_batch(name: str, x: Tensor) -> None:
    """Refuse what is no batch of real samples."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}")
    check_plain(x, name)
    if x.is_complex():
        raise TypeError(f"{name}: expected real inputs, got {x.dtype}")
    if x.dim() < 2 or not len(x):
        raise ValueError(f"{name}: expected at least one sample (n, *in_shape), "
                         f"got shape {tuple(x.shape)}")  # fmt: skip


def statistics_batch(batch_norm, stats_from, x, x2) -> Tensor | None:
    """Return the batch that gives the statistics of "frozen", checked."""
    if stats_from is not None and batch_norm != "frozen":
        raise ValueError(f'stats_from: only batch_norm="frozen" takes it (in "train" '
                         f"the batch itself does it), got {batch_norm!r}")  # fmt: skip
    if batch_norm != "frozen":
        return None
    if stats_from is None:
        return x if x2 is None else torch.cat([x, x2])
    _check_batch("stats_from", stats_from)
    if stats_from.shape[1:] != x.shape[1:]:
        raise ValueError(f"stats_from: expected samples of shape {tuple(x.shape[1:])}, "
                         f"got {tuple(stats_from.shape[1:])}")  # fmt: skip
    if not torch.isfinite(stats_from).all():
        raise ValueError("stats_from: holds NaN or infinity")
    return stats_from


def check_values(net: nn.Module, at: Mapping[str, Tensor]) -> None:
    """Refuse values whose names or shapes are not those of the parameters."""
    if not isinstance(at, Mapping):
        raise TypeError(f"at: expected a mapping, got {type(at).__name__}")
    own = dict(net.named_parameters())
    if set(at) != set(own):
        missing, extra = sorted(set(own) - set(at))[:3], sorted(set(at) - set(own))[:3]
        raise ValueError("at: expected one tensor per parameter of the network; "
                         f"missing {missing}, unknown {extra}")  # fmt: skip
    for name, value in at.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise TypeError(f"at: expected a tensor for {name!r}, got {kind}")
        if value.shape != own[name].shape:
            raise ValueError(f"at: expected shape {tuple(own[name].shape)} for "
                             f"{name!r}, got {tuple(value.shape)}")  # fmt: skip
