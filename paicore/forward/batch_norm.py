"""The three batch-norm modes, with one meaning each in kernels, scores and papers.

========  ==========================================================================
"train"   batch statistics, samples coupled, gradient through the statistics
"frozen"  statistics of one stated batch (unbiased variance), held constant
"eval"    the stored buffers
========  ==========================================================================
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

MODES = ("train", "frozen", "eval")


def has_batch_norm(net: nn.Module) -> bool:
    """Tell whether any module of the network is a batch norm."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


class FrozenBatchNorm(nn.Module):
    """Batch norm whose statistics are recorded once and then held constant.

    While recording it behaves as in training mode (biased variance in the forward
    pass) and stores mean and unbiased variance of each call; afterwards the k-th call
    of a forward pass uses the k-th stored pair, so that one module may be called
    several times.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.statistics: list[tuple[Tensor, Tensor]] = []
        self.recording, self.calls = True, 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, channels, ...) by the recorded statistics."""
        if self.recording:
            if x.numel() == x.shape[1]:
                raise ValueError("Expected more than 1 value per channel to take "
                                 f"statistics from, got {tuple(x.shape)}")  # fmt: skip
            axes = [axis for axis in range(x.dim()) if axis != 1]
            variance, mean = torch.var_mean(x, axes, correction=1)
            self.statistics.append((mean.detach(), variance.detach()))
            return functional.batch_norm(
                x, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
        mean, variance = self.statistics[self.calls % len(self.statistics)]
        self.calls += 1
        return functional.batch_norm(
            x, mean, variance, self.weight, self.bias, training=False, eps=self.eps
        )


def replace_modules(net: nn.Module, kind: type | tuple, make) -> None:
    """Replace every module of a kind by ``make(path, module)``, in place.

    A module that stands in several places is replaced by one module.
    """
    made: dict[int, nn.Module] = {}
    paths = [
        (path, module)
        for path, module in net.named_modules(remove_duplicate=False)
        if path and isinstance(module, kind)
    ]
    for path, module in paths:
        if id(module) not in made:
            made[id(module)] = make(path, module)
        parent, _, name = path.rpartition(".")
        setattr(net.get_submodule(parent), name, made[id(module)])


def set_mode(
    net: nn.Module, mode: str | None, stats_from: Tensor | None, run: Callable
) -> None:
    """Put a private copy into a batch-norm mode, in place; dropout is off in all.

    Args:
        net: Private copy; its weights are already masked.
        mode: One of `MODES`; may be None only without batch norm.
        stats_from: Inputs (n, *in_shape) that give the statistics of "frozen".
        run: How to run the copy, (net, inputs) to outputs.

    Raises:
        ValueError: the mode is unknown, missing, or cannot be had.
    """
    net.eval()
    if mode is not None and mode not in MODES:
        raise ValueError(f"batch_norm: expected one of {MODES}, got {mode!r}")
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    if mode is None:
        raise ValueError(
            f"batch_norm: the network has batch norm, so name one of {MODES}; "
            "they are different functions (see paicore.forward.batch_norm)"
        )
    if mode == "eval" and any(norm.running_mean is None for norm in norms):
        raise ValueError('batch_norm: "eval" needs stored statistics, got a network '
                         "with track_running_stats=False")  # fmt: skip
    if mode == "train":
        for norm in norms:
            norm.train()
    if mode == "frozen":
        _freeze(net, stats_from, run)


def _freeze(net: nn.Module, stats_from: Tensor | None, run: Callable) -> None:
    if stats_from is None:
        raise ValueError('stats_from: batch_norm="frozen" needs the batch that gives '
                         "the statistics, got None")  # fmt: skip
    if isinstance(net, _BatchNorm):
        raise ValueError("net: expected a network, got a single batch norm")
    replace_modules(net, _BatchNorm, lambda path, norm: FrozenBatchNorm(norm))
    with torch.no_grad():
        run(net, stats_from)
    for module in net.modules():
        if isinstance(module, FrozenBatchNorm):
            module.recording = False
