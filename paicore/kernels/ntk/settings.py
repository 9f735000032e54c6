"""The keywords that all functions of `ntk` share, and the network they speak of."""

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm

from paicore.forward import MODES, has_batch_norm, logits, private_copy, prunable
from paicore.forward.private import like

OUTPUTS = ("full", "class", "sum")
TANGENTS = ("masked", "ambient")
PARAMS = ("trainable", "prunable")
MAX_BYTES = 1 << 30


class Options(TypedDict, total=False):
    """Keywords that every function of `ntk` takes; see `paicore.kernels.ntk`."""

    masks: Mapping[str, Tensor] | None
    tangent: Literal["masked", "ambient"]
    batch_norm: Literal["train", "frozen", "eval"] | None
    params: Literal["trainable", "prunable"]
    stats_from: Tensor | None
    dtype: torch.dtype | None
    at: Mapping[str, Tensor] | None
    max_bytes: int
    progress: bool | None


@dataclass(frozen=True)
class Problem:
    """A private network at its masked weights, and the parameters of the Jacobian.

    Attributes:
        net: Private copy.
        origin: What it is a copy of; held, as the copy knows it by its identity.
        values: name -> tensor of every parameter, all requiring gradients.
        names: Names of the parameters that the Jacobian is taken in.
        kept: name -> bool mask of surviving weights; empty in the ambient tangent.
        x: Inputs (n, *in_shape).
        x2: Inputs (n2, *in_shape), or None for the symmetric kernel.
        coupled: Whether samples interact (batch norm in train mode).
        differentiable: Whether results keep their graph to `at`.
        max_bytes: Bound on the working memory.
        progress: Whether to show a bar; None: at a terminal.
    """

    net: nn.Module
    origin: nn.Module
    values: Mapping[str, Tensor]
    names: tuple[str, ...]
    kept: Mapping[str, Tensor]
    x: Tensor
    x2: Tensor | None
    coupled: bool
    differentiable: bool
    max_bytes: int
    progress: bool | None

    def run(self, x: Tensor) -> Tensor:
        """Return the logits (n, k) of inputs, checked, with a graph to `values`."""
        if not self.differentiable:
            return logits(self.net, x)
        return logits(partial(functional_call, self.net, dict(self.values)), x)


def prepare(
    net: nn.Module,
    x: Tensor,
    x2: Tensor | None = None,
    *,
    masks: Mapping[str, Tensor] | None = None,
    tangent: str = "masked",
    batch_norm: str | None = None,
    params: str = "trainable",
    stats_from: Tensor | None = None,
    dtype: torch.dtype | None = torch.float64,
    at: Mapping[str, Tensor] | None = None,
    max_bytes: int = MAX_BYTES,
    progress: bool | None = None,
) -> Problem:
    """Check all arguments and return the problem; the network is left untouched.

    Args:
        net: Module mapping (n, *in_shape) to (n, k).
        x: Inputs (n, *in_shape).
        x2: Second inputs, or None.
        masks: name -> bool tensor.
        tangent: One of `TANGENTS`.
        batch_norm: One of the batch-norm modes.
        params: One of `PARAMS`.
        stats_from: Inputs that give the statistics of "frozen".
        dtype: Floating dtype, or None for the network's own.
        at: name -> tensor to evaluate at instead of the network's parameters.
        max_bytes: Bound on the working memory.
        progress: Whether to show a bar.

    Returns:
        The problem.
    """
    _one_of("tangent", tangent, TANGENTS)
    _one_of("params", params, PARAMS)
    _check_inputs(x, x2)
    _check_bound(max_bytes)
    stats_from = _statistics(net, batch_norm, stats_from, x, x2)
    if at is not None:
        _check_values(net, at)
    origin = net if at is None else _loaded(net, at)
    twin = private_copy(
        origin, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=stats_from
    )
    differentiable = at is not None and any(v.requires_grad for v in at.values())
    own = {n: p for n, p in twin.named_parameters() if p.is_floating_point()}
    values = _values(own, at, masks) if differentiable else own
    masked = masks is not None and tangent == "masked"
    weights = prunable(twin) if masked or params == "prunable" else {}
    device = next(twin.parameters()).device
    layout = torch.preserve_format
    if device.type == "cpu" and any(isinstance(m, nn.Conv2d) for m in twin.modules()):
        layout = torch.channels_last  # backward signals in a fifth less time
        twin.to(memory_format=layout)
    return Problem(
        net=twin,
        origin=origin,
        values=values,
        names=tuple(weights if params == "prunable" else values),
        kept={name: masks[name].to(device) for name in weights} if masked else {},
        x=_laid_out(x, twin, layout),
        x2=None if x2 is None else _laid_out(x2, twin, layout),
        coupled=batch_norm == "train" and has_batch_norm(net),
        differentiable=differentiable,
        max_bytes=max_bytes,
        progress=progress,
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")


def _check_bound(max_bytes: int) -> None:
    """Refuse a memory bound that is no positive integer."""
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
        raise TypeError(f"max_bytes: expected an int, got {max_bytes!r}")
    if max_bytes < 1:
        raise ValueError(f"max_bytes: expected at least 1, got {max_bytes}")


def check_outputs(outputs: str, allowed: tuple[str, ...] = OUTPUTS) -> str:
    """Return `outputs`, or refuse it."""
    _one_of("outputs", outputs, allowed)
    return outputs


def check_alike(outputs: int, other: int) -> None:
    """Refuse two networks whose logits do not compare."""
    if outputs != other:
        raise ValueError(f"other: expected {outputs} outputs, got {other}")


def _check_inputs(x: Tensor, x2: Tensor | None) -> None:
    """Refuse inputs that are no batch, or two batches of different samples."""
    for name, each in (("x", x), ("x2", x2)):
        if each is None and name == "x2":
            continue
        if not isinstance(each, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(each).__name__}")
        if each.dim() < 2 or not len(each):
            raise ValueError(f"{name}: expected at least one sample (n, *in_shape), "
                             f"got shape {tuple(each.shape)}")  # fmt: skip
    if x2 is not None and x2.shape[1:] != x.shape[1:]:
        raise ValueError(f"x2: expected samples of shape {tuple(x.shape[1:])}, "
                         f"got {tuple(x2.shape[1:])}")  # fmt: skip


def _statistics(net, batch_norm, stats_from, x, x2) -> Tensor | None:
    """Return the batch that gives the statistics of "frozen"."""
    if stats_from is not None and batch_norm != "frozen":
        raise ValueError(f'stats_from: only batch_norm="frozen" takes it (in "train" '
                         f"the batch itself does it), got {batch_norm!r}")  # fmt: skip
    if batch_norm != "frozen" or batch_norm not in MODES:
        return None
    if stats_from is not None:
        return stats_from
    return x if x2 is None else torch.cat([x, x2])


def _check_values(net: nn.Module, at: Mapping[str, Tensor]) -> None:
    """Refuse values whose names or shapes are not those of the parameters."""
    own = dict(net.named_parameters())
    if set(at) != set(own):
        missing, extra = sorted(set(own) - set(at))[:3], sorted(set(at) - set(own))[:3]
        raise ValueError("at: expected one tensor per parameter of the network; "
                         f"missing {missing}, unknown {extra}")  # fmt: skip
    for name, value in at.items():
        if value.shape != own[name].shape:
            raise ValueError(f"at: expected shape {tuple(own[name].shape)} for "
                             f"{name!r}, got {tuple(value.shape)}")  # fmt: skip


def _laid_out(x: Tensor, twin: nn.Module, layout: torch.memory_format) -> Tensor:
    """Move inputs to a copy's dtype and device; images into a memory layout."""
    x = like(x, twin)
    return x.to(memory_format=layout) if x.dim() == 4 else x


def _loaded(net: nn.Module, at: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of a network that holds the values of `at`."""
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            parameter.copy_(at[name])
    return twin


def _values(own, at, masks) -> dict[str, Tensor]:
    """Return the masked values of `at` with their graph, in the copy's dtype."""
    values = {}
    for name, parameter in own.items():
        value = at[name].to(parameter)
        if masks is not None and name in masks:
            value = torch.where(masks[name].to(value.device), value, 0)
        if not value.requires_grad:  # the backward signals need a graph through all
            value = value.detach().clone().requires_grad_()
        values[name] = value
    return values


@contextmanager
def full_precision() -> Iterator[None]:
    """Hold TF32 off, and put the flags back."""
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags:
            flag.allow_tf32 = False
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


def bar(problem: Problem, items: Sequence, name: str) -> Iterable:
    """Return items behind a progress bar, shown for long calls at a terminal."""
    shown = problem.progress
    if shown is None:
        shown = len(items) > 1 and sys.stderr.isatty()
    return tqdm(items, desc=name, leave=False) if shown else items
