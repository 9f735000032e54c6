"""Exact selection of the largest scores."""

import math

import torch
from torch import Tensor

SMALL = 1 << 16  # below this many scores a plain selection is as fast


def top_k(scores: Tensor, k: int) -> Tensor:
    """Mark exactly the k largest of a vector of scores.

    Conventions: of equal scores at the border the ones with the lower index are kept.

    Args:
        scores: Vector (n,), no NaN.
        k: How many to keep, 0 <= k <= n.

    Returns:
        bool tensor (n,) with exactly k True.

    Raises:
        ValueError: k is out of range, or a score is NaN.

    Cost: a few passes over the scores; no sort.
    """
    n = len(scores)
    if not 0 <= k <= n:
        raise ValueError(f"k: expected 0 to {n}, got {k}")
    # one sum first: it is NaN if a score is, and costs a fifth of a look at each
    if torch.isnan(scores.sum()) and (bad := int(torch.isnan(scores).sum())):
        raise ValueError(f"scores: {bad} of {n} are NaN")
    if k in (0, n):
        return torch.full((n,), k == n, dtype=torch.bool, device=scores.device)
    border = kth_smallest(scores, n - k + 1)
    keep = scores >= border
    surplus = int(torch.count_nonzero(keep)) - k
    if surplus:  # ties at the border: drop the last of them
        ties = torch.nonzero(scores == border).squeeze(1)
        keep[ties[-surplus:]] = False
    return keep


def compress(values: Tensor, keep: Tensor) -> Tensor:
    """Return the entries of a vector where `keep` is True, in order.

    On a CPU through NumPy, which takes less than half of masked_select's time.
    """
    if values.device.type != "cpu":
        return values.masked_select(keep)
    return torch.from_numpy(values.numpy()[keep.numpy()])


def kth_smallest(scores: Tensor, k: int) -> Tensor:
    """Return the k-th smallest of a vector, k from 1; exact.

    A strided sample brackets the value, and only what lies in the bracket is
    selected from: about five times faster than a selection among millions. Should
    the bracket miss, everything is selected from.

    Args:
        scores: Vector (n,), no NaN.
        k: Rank, 1 <= k <= n.

    Returns:
        Scalar tensor.

    Source: the sampling step of Floyd & Rivest (1975).
    """
    n = len(scores)
    if n < SMALL:
        return torch.kthvalue(scores, k).values
    sample = scores[:: n // 4096].sort().values
    share = (k - 0.5) / n
    margin = 5 * math.sqrt(share * (1 - share) / len(sample)) + 2 / len(sample)
    low = sample[max(int((share - margin) * len(sample)), 0)]
    high = sample[min(math.ceil((share + margin) * len(sample)), len(sample) - 1)]
    below = int(torch.count_nonzero(scores < low))
    inside = compress(scores, (scores >= low) & (scores <= high))
    if below < k <= below + len(inside):
        return torch.kthvalue(inside, k - below).values
    return torch.kthvalue(scores, k).values
