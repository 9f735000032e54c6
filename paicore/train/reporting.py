"""What a training tells: a row per evaluation, and a progress bar."""

import os
import sys

from tqdm import tqdm

from paicore.train.evaluation import Evaluation


def mean_loss(losses: list[float], sizes: list[int]) -> float:
    """Return the mean over samples of losses that are means over batches."""
    return sum(a * b for a, b in zip(losses, sizes, strict=True)) / sum(sizes)


def row(
    rows: list[dict],
    step: int,
    epoch: int,
    lr: float,
    train_loss: float,
    result: Evaluation,
) -> dict:
    """Return the row of an evaluation that follows the given rows.

    Args:
        rows: The rows before it.
        step: Updates done.
        epoch: Steps per epoch.
        lr: Learning rate of the last of them.
        train_loss: Mean training loss since the row before.
        result: The evaluation.

    Returns:
        The row, see `fit`.
    """
    before = [row["test_accuracy"] for row in rows]
    return {
        "step": step,
        "epoch": step / epoch,
        "lr": lr,
        "train_loss": train_loss,
        "test_loss": result.loss,
        "test_accuracy": result.accuracy,
        "best_test_accuracy": max([*before, result.accuracy]),
    }


def bar(total: int, progress: bool | None, unit: str = "step", per: int = 1) -> tqdm:
    """Return a progress bar with the time left, silent where nobody watches.

    Args:
        total: Number of steps in all.
        progress: Show it; None for only at a terminal.
        unit: What it counts.
        per: Steps of one unit.

    Returns:
        The bar, which is updated in steps and shows units.
    """
    if progress is None:
        quiet = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
        progress = sys.stderr.isatty() and not quiet
    scale = {"unit_scale": 1 / per} if per > 1 else {}
    return tqdm(total=total, unit=unit, disable=not progress, leave=False, **scale)
