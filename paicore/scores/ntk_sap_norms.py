"""Batch norm in the two branches of NTK-SAP: one records, both share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


class BranchNorm(nn.Module):
    """Batch norm whose statistics one forward pass records and others share.

    The k-th call of a pass uses what the k-th call of the recording pass left.

    Args:
        norm: The batch norm it stands for.
        coupled: Each pass uses its own batch statistics instead, with gradient.
        merged: What is recorded is what the recording pass uses, biased; else the
            recording pass only stands in for it and unbiased variances are recorded.
        batched: Runs under ``vmap``, which the faster kernel does not take.
    """

    def __init__(
        self, norm: _BatchNorm, *, coupled: bool, merged: bool, batched: bool
    ) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.coupled, self.merged, self.batched = coupled, merged, batched
        self.statistics: list[tuple[Tensor, Tensor]] = []
        self.recording, self.calls = False, 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, channels, ...)."""
        if self.coupled:
            return self._normalised(x, *self._moments(x))
        if self.recording:
            mean, variance = self._moments(x.detach())
            n = x.numel() // x.shape[1]
            kept = variance if self.merged else variance * (n / (n - 1))
            self.statistics.append((mean, kept))
        else:
            mean, variance = self.statistics[self.calls % len(self.statistics)]
            self.calls += 1
        return functional.batch_norm(
            x, mean, variance, self.weight, self.bias, training=False, eps=self.eps
        )

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of each channel, (channels,) both."""
        if x.numel() == x.shape[1]:
            raise ValueError("batch: expected more than one value per channel of a "
                             f"batch norm, got {tuple(x.shape)}")  # fmt: skip
        if not (self.batched or self.coupled):
            # A quarter of var_mean's time, but no gradient; in float64, since it sums
            # naively where channels are last, and rounding there moves float32 masks.
            found = torch.batch_norm_update_stats(x.double(), None, None, 0.0)
            return found[0].to(x), found[1].to(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        variance, mean = torch.var_mean(x, axes, correction=0)
        return mean, variance

    def _normalised(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The formula in small steps: forward mode through them is right."""
        wide = (1, -1, *[1] * (x.dim() - 2))
        out = (x - mean.view(wide)) * (variance + self.eps).rsqrt().view(wide)
        if self.weight is None:
            return out
        return out * self.weight.view(wide) + self.bias.view(wide)


@contextmanager
def recorded(norms: Sequence[BranchNorm]) -> Iterator[None]:
    """Record the statistics of the pass inside, in place of earlier ones."""
    for norm in norms:
        norm.statistics, norm.recording, norm.calls = [], True, 0
    try:
        yield
    finally:
        for norm in norms:
            norm.recording = False
