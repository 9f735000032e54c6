"""What `prune` is given: a density, a batch, a generator, and whether they can be used.

Every error names the argument, what was expected and what came.
"""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import private_copy, run
from paicore.forward.private import like
from paicore.forward.weights import check_plain
from paicore.scores.score import Score

FEW = 2  # samples that show whether a network takes inputs of a shape


def check_flags(**flags) -> None:
    """Refuse what is neither True nor False.

    Raises:
        TypeError: a flag is of another type.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name}: expected True or False, got {value!r}")


def check_inputs(score: Score, name: str, density, batch, generator) -> None:
    """Refuse a density, a batch or a generator that the score cannot use.

    Args:
        score: What will be run.
        name: What it is called in messages.
        density: As `prune` was given it.
        batch: As `prune` was given it.
        generator: As `prune` was given it.

    Raises:
        TypeError: one is of another type.
        ValueError: one is out of range, or missing.
    """
    if isinstance(density, bool) or not isinstance(density, Real):
        raise TypeError(f"density: expected a number in (0, 1], got {density!r}")
    if not 0 < density <= 1 or math.isnan(density):
        raise ValueError(f"density: expected a number in (0, 1], got {density}")
    if generator is not None:
        seeds.check(generator)
    if "generator" in score.needs and generator is None:
        raise ValueError(f"generator: {name} draws random numbers, got None; pass "
                         "paicore.seeds.generator(seed)")  # fmt: skip
    if batch is not None:
        _check_batch(batch)
    needed = score.needs & {"shape", "inputs", "labels"}
    if needed and batch is None:
        raise ValueError(f"batch: {name} needs {sorted(needed)}, got None")
    if "labels" in score.needs and batch[1] is None:
        raise ValueError(f"batch: {name} needs labels, got (x, None)")


def _check_batch(batch) -> None:
    """Refuse what is no pair of finite inputs and labels.

    Raises:
        TypeError: it is none, or of other types.
        ValueError: the inputs are empty or not finite.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError("batch: expected a pair (x, y), y may be None, "
                        f"got {type(batch).__name__}")  # fmt: skip
    x, y = batch
    for name, each in (("x", x), ("y", y)):
        if isinstance(each, Tensor):
            check_plain(each, f"batch: {name}")
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise TypeError(f"batch: expected float inputs (n, *in_shape), got {got}")
    if len(x) == 0 or not torch.isfinite(x).all():
        raise ValueError("batch: expected finite inputs, at least one, got "
                         f"{len(x)} samples or NaN/infinity")  # fmt: skip
    if y is None:
        return
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or y.shape != x.shape[:1]:
        got = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y)
        raise TypeError(f"batch: expected int64 labels ({len(x)},), got {got}")


def is_refusal(error: Exception) -> bool:
    """Tell whether a score refused something itself, and no network failed in it.

    What a network raises carries a note of `forward.run`, or is the cause of what the
    score says.

    Returns:
        Whether the error is about something else than what a network does.
    """
    is_named = isinstance(error, (TypeError, ValueError))
    return is_named and not (error.__cause__ or getattr(error, "__notes__", ()))


def check_runs(net: nn.Module, batch) -> None:
    """After a scoring that failed: say so if the network does not take these inputs.

    Raises:
        OutOfMemoryError: as it is.
        ValueError: the network cannot run on inputs of this shape.
    """
    if batch is None:
        return
    twin = private_copy(net, batch_norm="eval")
    try:
        with torch.no_grad():
            run(twin, like(batch[0][:FEW], twin))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        shape = tuple(batch[0].shape)
        raise ValueError(
            f"batch: the network cannot run on inputs x of shape {shape} ({error})"
        ) from error
