"""Loss and accuracy on the test set."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from paicore.data import Dataset, scaling
from paicore.train.context import autocast, evaluating, placement


class Evaluation(NamedTuple):
    """Mean cross-entropy and the fraction of correct answers."""

    loss: float
    accuracy: float


@torch.no_grad()
def evaluate(
    net: nn.Module,
    ds: Dataset,
    *,
    batch: int = 1000,
    dtype: torch.dtype | None = None,
) -> Evaluation:
    """Measure a network on the test samples, in evaluation mode.

    Conventions: the network's modes are restored. The data are taken to its device.
    Ties between logits go to the smaller class.

    Args:
        net: Network mapping (n, c, h, w) to logits (n, classes).
        ds: The data set.
        batch: Samples per forward pass; changes memory, and the result by rounding.
        dtype: Dtype of the inputs; None for the network's own. bfloat16 with float32
            weights runs under autocast.

    Returns:
        `Evaluation` (loss, accuracy); a dead network has the loss log(classes).

    Raises:
        ValueError: `batch` is below 1.
    """
    if batch < 1:
        raise ValueError(f"batch: expected at least 1, got {batch}")
    device, own = placement(net)
    casting = dtype == torch.bfloat16 and own == torch.float32
    dtype = own if dtype is None or casting else dtype
    shift, width = scaling(ds, dtype, device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    parts = zip(ds.test_x.split(batch), ds.test_y.split(batch), strict=True)
    with evaluating(net), autocast(device, casting):
        for x, y in parts:
            x, y = x.to(device), y.to(device)
            logits = net(x.to(dtype).sub_(shift).div_(width))  # (b, classes)
            loss += F.cross_entropy(logits, y, reduction="sum")
            correct += (logits.argmax(1) == y).sum()
    n = len(ds.test_y)
    return Evaluation(loss.item() / n, correct.item() / n)
