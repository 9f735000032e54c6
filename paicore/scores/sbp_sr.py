"""SBP-SR: SNIP's score on a Stable ResNet, and nothing else."""

from math import isclose

import torch
from torch import Tensor, nn

from paicore.nets import Add, Scale
from paicore.scores.loss import Batch
from paicore.scores.score import Score
from paicore.scores.snip import snip


def sbp_sr(
    net: nn.Module,
    masks,
    batch: Batch,
    *,
    generator=None,
    reduction: str = "whole",
    batch_size: int | None = None,
    batch_norm: str = "train",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each weight of a Stable ResNet by its connection sensitivity.

    .. math:: s_j = |m_j \theta_j \, \partial L / \partial w_j|, \qquad
        y^l = y^{l-1} + F(W^l, y^{l-1}) / \sqrt{L}

    Conventions: the score is `snip`'s; what the name adds is the network, which is
    scored and afterwards trained with the factor in it. Any other network is refused.
    For another factor on the branches use "snip".

    Args:
        net: Stable ResNet, as ``nets.build(..., stable=True)`` makes it; not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape), y of shape (n,).
        generator: Not used.
        reduction: As in `snip`.
        batch_size: As in `snip`.
        batch_norm: As in `snip`.
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: one forward and one backward pass over the batch.

    Source: Hayou et al. (2021), as recalled; L counts the residual blocks of all
    stages, as in naver/force experiments/models.py.
    """
    check_stable(net)
    return snip(
        net, masks, batch, reduction=reduction, batch_size=batch_size,
        batch_norm=batch_norm, dtype=dtype,
    )  # fmt: skip


SBP_SR = Score(sbp_sr, "Hayou et al. 2021", frozenset({"inputs", "labels"}))


def check_stable(net: nn.Module) -> None:
    """Refuse a network whose L residual additions lack their factor 1/sqrt(L).

    Conventions: an addition is an `Add` module, its factor a `Scale`; one that is
    written into a forward method cannot be seen.

    Args:
        net: Any module.

    Raises:
        ValueError: there is no addition, or the factors are others.
    """
    modules = list(net.modules())
    additions = sum(isinstance(module, Add) for module in modules)
    factors = [module.factor for module in modules if isinstance(module, Scale)]
    right = [isclose(f * additions**0.5, 1, rel_tol=1e-9) for f in factors]
    if not additions or len(factors) != additions or not all(right):
        raise ValueError(
            "net: expected a Stable ResNet, as nets.build(..., stable=True) makes it, "
            "with one Scale of 1/sqrt(L) for each of L residual additions; got "
            f"{additions} additions and factors {sorted(set(factors))[:3]}"
        )
