"""Gradients of the training loss, as the gradient-based scores share them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from paicore.forward import logits, prunable
from paicore.forward.private import like

Batch = tuple[Tensor, Tensor]


def chunks(x: Tensor, y: Tensor, batch_size: int | None) -> Iterator[Batch]:
    """Split samples in order.

    Args:
        x: Inputs (n, *in_shape).
        y: Labels (n,).
        batch_size: Size of the parts; None keeps all together.

    Yields:
        Pairs (x, y).

    Raises:
        TypeError: `batch_size` is no integer.
        ValueError: `batch_size` is below 1.
    """
    if batch_size is None:
        yield x, y
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise TypeError(f"batch_size: expected an int or None, got {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    yield from zip(x.split(batch_size), y.split(batch_size), strict=True)


def cross_entropy(twin: nn.Module, x: Tensor, y: Tensor, temperature=1.0) -> Tensor:
    """Mean cross-entropy of logits / temperature of a private copy.

    Args:
        twin: Private copy.
        x: Inputs (n, *in_shape).
        y: Labels (n,), from 0 to k - 1.
        temperature: Divisor of the logits.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: a label has no output.
    """
    out = logits(twin, like(x, twin))  # (n, k)
    y = y.to(out.device)
    if int(y.min()) < 0 or int(y.max()) >= out.shape[1]:
        raise ValueError(
            f"batch: expected labels 0 to {out.shape[1] - 1} for {out.shape[1]} "
            f"outputs, got {int(y.min())} to {int(y.max())}"
        )
    return functional.cross_entropy(out / temperature, y)


def gradients(
    loss: Tensor, weights: dict[str, Tensor], *, create_graph: bool = False
) -> dict[str, Tensor]:
    """Gradients by name; a weight the loss does not reach has gradient zero."""
    found = torch.autograd.grad(
        loss, list(weights.values()), create_graph=create_graph, allow_unused=True
    )
    return {
        name: torch.zeros_like(weight) if grad is None else grad
        for (name, weight), grad in zip(weights.items(), found, strict=True)
    }


def weights_of(twin: nn.Module) -> dict[str, Tensor]:
    """Prunable weights of a private copy, by name."""
    return dict(prunable(twin))
