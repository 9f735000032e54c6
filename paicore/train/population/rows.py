"""Rows of a population: those of `fit`, a member in front and an end marked."""

import math

from paicore.train.divergence import Diverged


def of_member(member: int, rows: list[dict]) -> list[dict]:
    """Return a member's rows with "member" first and "diverged" last."""
    return [{"member": member, **row, "diverged": ""} for row in rows]


def last_row(
    member: int, rows: list[dict], error: Diverged, rates: list[float], epoch: int
) -> dict:
    """Return the row that ends a diverged member.

    Args:
        member: Its number.
        rows: Its rows so far.
        error: What `fit` raises.
        rates: Learning rate of every step.
        epoch: Steps per epoch.

    Returns:
        A row at the step of the loss that is not finite; losses and accuracy are nan,
        "diverged" holds the error's message.
    """
    return {
        "member": member,
        "step": error.step,
        "epoch": error.step / epoch,
        "lr": rates[error.step - 1],
        "train_loss": math.nan,
        "test_loss": math.nan,
        "test_accuracy": math.nan,
        "best_test_accuracy": rows[-1]["best_test_accuracy"] if rows else math.nan,
        "diverged": str(error),
    }
