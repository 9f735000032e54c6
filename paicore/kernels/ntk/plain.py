"""Networks whose samples cannot interact, told by their modules alone.

Any other network is not refused: its first and its last sample are run alone as well,
and the logits are compared.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from paicore.forward import FrozenBatchNorm
from paicore.forward.linearise import ACTIVATIONS
from paicore.nets.modules import Flatten, Scale

PER_SAMPLE = {
    *ACTIVATIONS, nn.Sequential, nn.Identity, nn.Linear, nn.Conv1d, nn.Conv2d,
    nn.Conv3d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Dropout, nn.BatchNorm1d,
    nn.BatchNorm2d, FrozenBatchNorm, nn.Flatten, Flatten, Scale,
}  # fmt: skip
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks",
         "_backward_pre_hooks")  # fmt: skip


def is_plain(net: nn.Module) -> bool:
    """Tell whether a network is a chain of modules that treat each sample by itself.

    Conventions: dropout is off and batch norm in "frozen" or "eval" mode, as in every
    private copy whose samples do not interact. Subclasses, changed forward passes and
    hooks are unknown.

    Args:
        net: Private copy.

    Returns:
        Whether it is; False where that cannot be told.
    """
    if type(net) is not nn.Sequential or _has_any_global_hook():
        return False
    return all(map(_is_per_sample, net.modules()))


def _is_per_sample(module: nn.Module) -> bool:
    own = vars(module)
    return (
        type(module) in PER_SAMPLE
        and "forward" not in own
        and not any(own[each] for each in HOOKS)
        and own.get("start_dim", 1) == 1  # a Flatten must leave the samples apart
    )


def check_separate(alone: Tensor | None, out: Tensor, row: int = 0) -> None:
    """Refuse a network whose logits of one sample depend on the others.

    Args:
        alone: Logits (1, k) of a sample alone; None if there is no doubt.
        out: Logits of some samples together.
        row: Which of them the sample is.

    Raises:
        ValueError: the samples interact.
    """
    if alone is None:
        return
    out = out.detach()
    scale = float(torch.linalg.vector_norm(out, torch.inf))
    gap = float(torch.dist(out[row : row + 1], alone, torch.inf))
    if gap > math.sqrt(torch.finfo(out.dtype).eps) * scale:
        raise ValueError(
            "net: the logits of a sample change with the other samples of the batch "
            f"(by {gap:.3g} of {scale:.3g}), so there is no kernel per pair of samples"
        )
