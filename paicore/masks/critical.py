"""When one global threshold empties a layer: for every layer, without a sweep."""

from collections.abc import Mapping

import torch
from torch import Tensor


def first_kept(scores: Mapping[str, Tensor]) -> dict[str, int]:
    """Return how many weights must be kept until each layer has its first.

    Conventions: one global ranking, largest first, equal scores in the order of the
    layers, as `paicore.prune` keeps them: a layer is empty if and only if fewer
    weights are kept than this number.

    Args:
        scores: name -> scores of one layer, any shape, in the order of the layers.

    Returns:
        dict name -> rank of the layer's largest score, from 1.

    Raises:
        ValueError: there are no scores, a layer has none, or one is NaN.

    Cost: one sort of all scores.
    """
    layers = {name: values.detach().flatten() for name, values in scores.items()}
    if not layers or any(len(values) == 0 for values in layers.values()):
        raise ValueError("scores: expected at least one layer, none of them empty")
    for name, values in layers.items():
        if torch.isnan(values).any():
            raise ValueError(f"scores: those of {name!r} hold NaN")
    line = torch.cat(list(layers.values()))
    order = torch.argsort(line, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(line) + 1, device=order.device)
    parts = rank.split([len(values) for values in layers.values()])
    return {name: int(part.min()) for name, part in zip(layers, parts, strict=True)}


def critical_sparsities(scores: Mapping[str, Tensor]) -> dict[str, float]:
    r"""Return the sparsity from which on each layer is empty.

    .. math:: s_l = 1 - (r_l - 1) / n

    Conventions: sparsity is the fraction removed; r_l is `first_kept`. The smallest of
    them is the critical sparsity of the network. Without ties it equals
    `paicore.kernels.meanfield.critical_sparsity`, which removes whatever ties with the
    threshold; here ties are kept in order, as pruning to an exact count does.

    Args:
        scores: name -> scores of one layer, any shape, in the order of the layers.

    Returns:
        dict name -> sparsity in (0, 1]; 1 for the layer with the largest score.

    Cost: one sort of all scores.

    Source: Hayou et al. (2021), definition of the critical sparsity.
    """
    total = sum(values.numel() for values in scores.values())
    return {name: 1 - (rank - 1) / total for name, rank in first_kept(scores).items()}
