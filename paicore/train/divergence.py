"""The stop when a loss is no longer finite, exact to the step on every device."""

import math

import torch


class Diverged(RuntimeError):
    """A loss is not finite: the message says where, `rows` holds the rows so far.

    Attributes:
        rows: The rows so far.
        step: The step of the loss, counted from 1.
    """

    rows: tuple[dict, ...] = ()

    def __init__(self, message: str, step: int = 0):
        super().__init__(message)
        self.step = step


def read_losses(
    pending: list[torch.Tensor], step: int, rates: list[float], epoch: int
) -> list[float]:
    """Read the losses that wait on the device, in one transfer.

    Args:
        pending: Losses of consecutive steps, scalars, at least one.
        step: The step of the last of them, counted from 1.
        rates: Learning rate of every step.
        epoch: Steps per epoch.

    Returns:
        The losses as numbers; if one is not finite, `Diverged` names its step.
    """
    losses = torch.stack(pending).tolist()
    for at, loss in enumerate(losses, step - len(losses) + 1):
        check_finite("training loss", loss, at, rates, epoch)
    return losses


def check_finite(
    what: str, loss: float, step: int, rates: list[float], epoch: int
) -> None:
    """Stop a run whose loss is not finite.

    Args:
        what: Which loss it is.
        loss: Its value.
        step: The step it belongs to, counted from 1.
        rates: Learning rate of every step.
        epoch: Steps per epoch.

    Raises:
        Diverged: `loss` is infinite or no number.
    """
    if not math.isfinite(loss):
        raise Diverged(
            f"{what} is {loss} at step {step} of {len(rates)} (epoch "
            f"{step / epoch:.4g}, learning rate {rates[step - 1]:.4g})",
            step,
        )
