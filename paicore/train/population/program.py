"""The one computation that trains all members: vmap over stacked tensors."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, vmap

from paicore.data import Dataset, scaling
from paicore.train.context import autocast
from paicore.train.evaluation import Evaluation
from paicore.train.population.stack import Stack
from paicore.train.recipe import Recipe


@dataclass(frozen=True)
class Program:
    """Stacked losses, of training and of evaluation.

    Attributes:
        training: (parameters, buffers, x (b, M, c, h, w), y (b, M)) to losses (M,), in
            training mode; updates the buffers in place.
        plain: The same, never compiled: for a single step.
        test: (parameters, buffers, x (b, c, h, w), y (b,)) to the sum of the losses
            and the number of correct answers, (M,) each, in evaluation mode.
    """

    training: Callable
    plain: Callable
    test: Callable


def program(
    net: nn.Module, device: torch.device, dtype: torch.dtype, *, compiled: bool
) -> Program:
    """Return the program of an architecture; nothing in it belongs to `net`.

    Args:
        net: Any member's network.
        device: Where it will run.
        dtype: Of the parameters.
        compiled: Whether torch.compile makes kernels for training.

    Returns:
        The `Program`, for any number of members.
    """
    training = copy.deepcopy(net).to(device, dtype).train()
    judging = copy.deepcopy(training).eval()

    def loss(parameters, buffers, x, y):
        logits = functional_call(training, (parameters, buffers), (x,))
        return F.cross_entropy(logits, y)

    def test(parameters, buffers, x, y):
        logits = functional_call(judging, (parameters, buffers), (x,))
        total = F.cross_entropy(logits, y, reduction="sum")
        return total, (logits.argmax(1) == y).sum()

    plain = vmap(loss, in_dims=(0, 0, 1, 1), randomness="different")
    # Few shapes of batches: kernels for each of them beat kernels for any.
    fast = torch.compile(plain, dynamic=False) if compiled else plain
    judged = vmap(test, in_dims=(0, 0, None, None), randomness="different")
    return Program(fast, plain, judged)


def check_program(
    plan: Program, stack: Stack, ds: Dataset, dtype: torch.dtype, casting: bool
) -> None:
    """Refuse a network whose training vmap cannot express, before any draw.

    Args:
        plan: Its program.
        stack: Of one member; its buffers change.
        ds: The data set, on the device.
        dtype: Of the inputs.
        casting: Whether bfloat16 autocast is on.

    Raises:
        ValueError: It is such a network.
        OutOfMemoryError: From torch.
    """
    x, y = ds.train_x[:2].to(dtype).unsqueeze(1), ds.train_y[:2].unsqueeze(1)
    try:
        with torch.no_grad(), autocast(ds.device, casting):
            plan.plain(stack.parameters, stack.buffers, x, y)
            plan.test(stack.parameters, stack.buffers, x[:, 0], y[:, 0])
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        text = f"net: cannot be stacked, use engine='loop' ({reason})"
        raise ValueError(text) from error


@torch.no_grad()
def evaluate(
    plan: Program, stack: Stack, ds: Dataset, recipe: Recipe, dtype: torch.dtype
) -> list[Evaluation]:
    """Measure all members on the test samples, each batch read once for all.

    Args:
        plan: The program.
        stack: The members.
        ds: The data set, on their device.
        recipe: Gives the batch that fits into memory, and the precision.
        dtype: Of the inputs.

    Returns:
        One `Evaluation` per member, equal to `paicore.train.evaluate` to rounding.
    """
    members = len(next(iter(stack.parameters.values())))
    shift, width = scaling(ds, dtype, ds.device)
    loss = torch.zeros(members, dtype=torch.float64, device=ds.device)
    correct = torch.zeros(members, dtype=torch.int64, device=ds.device)
    batch = max(recipe.batch, 1000 // members)
    parts = zip(ds.test_x.split(batch), ds.test_y.split(batch), strict=True)
    with autocast(ds.device, recipe.precision == "bf16"):
        for x, y in parts:
            x = x.to(dtype).sub_(shift).div_(width)
            total, right = plan.test(stack.parameters, stack.buffers, x, y)
            loss += total
            correct += right
    n = len(ds.test_y)
    pairs = zip(loss.tolist(), correct.tolist(), strict=True)
    return [Evaluation(total / n, right / n) for total, right in pairs]
