"""When one global threshold empties a layer: for every layer, without a sweep."""

from collections.abc import Mapping

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from paicore.forward.weights import check_plain


def first_kept(scores: Mapping[str, Tensor | ArrayLike]) -> dict[str, int]:
    """Return how many weights must be kept until each layer has its first.

    Conventions: one global ranking, largest first, equal scores in the order of the
    layers, as `paicore.prune` keeps them: a layer is empty if and only if fewer
    weights are kept than this number.

    Args:
        scores: name -> scores of one layer, any shape, in the order of the layers.

    Returns:
        dict name -> rank of the layer's largest score, from 1.

    Cost: one sort of all scores.
    """
    layers = ranked(scores)
    line = torch.cat(list(layers.values()))
    order = torch.argsort(line, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(line) + 1, device=order.device)
    parts = rank.split([len(values) for values in layers.values()])
    return {name: int(part.min()) for name, part in zip(layers, parts, strict=True)}


def critical_sparsities(
    scores: Mapping[str, Tensor | ArrayLike],
) -> dict[str, float]:
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
    ranks = first_kept(scores)
    total = sum(torch.as_tensor(values).numel() for values in scores.values())
    return {name: 1 - (rank - 1) / total for name, rank in ranks.items()}


def ranked(scores: Mapping[str, Tensor | ArrayLike]) -> dict[str, Tensor]:
    """Return the scores of each layer in one line, or refuse what has no order.

    Args:
        scores: name -> scores of one layer, any shape.

    Returns:
        dict name -> tensor (number of weights,), without a graph.

    Raises:
        TypeError: `scores` is no mapping.
        ValueError: there are no scores, or a layer has none; a layer's own are refused
            by name.
    """
    if not isinstance(scores, Mapping):
        kind = type(scores).__name__
        raise TypeError(f"scores: expected name -> scores of a layer, got {kind}")
    layers = {name: _flat(name, values) for name, values in scores.items()}
    if not layers or any(len(values) == 0 for values in layers.values()):
        raise ValueError("scores: expected at least one layer, none of them empty")
    return layers


def _flat(name: str, values: Tensor | ArrayLike) -> Tensor:
    """Return the scores of one layer in one line.

    Raises:
        TypeError: they are no numbers.
        ValueError: they are complex, or one is NaN.
    """
    try:
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(values).__name__
        raise TypeError(
            f"scores: expected numbers for {name!r}, got {kind} ({error})"
        ) from error
    check_plain(tensor, f"scores: {name!r}")
    if tensor.is_complex():
        raise ValueError(
            f"scores: expected real numbers for {name!r}, got {tensor.dtype}"
        )
    if torch.isnan(tensor).any():
        raise ValueError(f"scores: those of {name!r} hold NaN")
    return tensor.detach().flatten()
