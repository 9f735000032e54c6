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

from paicore.forward import has_batch_norm, logits, private_copy, prunable
from paicore.forward.private import identities, like
from paicore.forward.weights import all_finite
from paicore.kernels.ntk.checks import (
    check_bound,
    check_inputs,
    check_known,
    check_one_of,
    check_values,
    naming_inputs,
    statistics_batch,
)
from paicore.kernels.ntk.plain import is_plain

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
        call = self.net
        if self.differentiable:
            call = partial(functional_call, self.net, dict(self.values))
            call.originals = getattr(self.net, "originals", {})
        with naming_inputs("x", x, self.net):
            return logits(call, x)


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
    **unknown,
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
        **unknown: Nothing; what is here was mistyped.

    Returns:
        The problem.
    """
    check_known(unknown, Options.__annotations__)
    check_one_of("tangent", tangent, TANGENTS)
    check_one_of("params", params, PARAMS)
    check_inputs(x, x2)
    check_bound(max_bytes)
    origin = net if at is None else _loaded(net, at)
    batch = statistics_batch(batch_norm, stats_from, x, x2)
    source = "x" if stats_from is None else "stats_from"
    with naming_inputs(source, batch, net):
        twin = private_copy(
            origin, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=batch,
            share=is_plain(origin),
        )  # fmt: skip
    if at is not None and hasattr(twin, "originals"):
        twin.originals.update(identities(net))  # nor may it read the caller's network
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
        x=_laid_out("x", x, twin, layout),
        x2=None if x2 is None else _laid_out("x2", x2, twin, layout),
        coupled=batch_norm == "train" and has_batch_norm(net),
        differentiable=differentiable,
        max_bytes=max_bytes,
        progress=progress,
    )


def prepare_other(other: nn.Module, x, x2, masks, options) -> Problem:
    """Return the problem of a second network under the same options."""
    if not isinstance(other, nn.Module):
        raise TypeError(f"other: expected a torch.nn.Module, got {type(other)}")
    return prepare(other, x, x2, **{**options, "masks": masks, "at": None})


def _laid_out(name: str, x: Tensor, twin: nn.Module, layout) -> Tensor:
    """Move inputs to a copy's dtype and device, images into a layout; check them."""
    x = like(x, twin)
    if not all_finite(x):
        raise ValueError(f"{name}: holds NaN or infinity in {x.dtype}")
    return x.to(memory_format=layout) if x.dim() == 4 else x


def _loaded(net: nn.Module, at: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of a network that holds the values of `at`."""
    check_values(net, at)
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
