"""The prune loop: score what is alive, keep the largest, repeat.

Weights are numbered in one line over all layers ("flat index"), so that a round costs
what the survivors cost and not what the network once had.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from paicore.masks.counts import allocate, exact
from paicore.masks.quotas import QUOTAS, layer_quota
from paicore.masks.select import compress, top_k

SCOPES = ("global", "layerwise", *QUOTAS)


class Engine(Protocol):
    """What the loop asks of a score: values now, and to hear what was dropped."""

    def scores(self, alive: Tensor) -> Tensor:
        """Return the scores (a,) of the weights with flat indices `alive` (a,)."""

    def keep(self, kept: Tensor, dropped: Tensor) -> None:
        """Take note of the flat indices kept and dropped in this round."""


def check_scope(scope: str) -> str:
    """Return the scope, or refuse it."""
    if scope not in SCOPES:
        raise ValueError(f"scope: expected one of {SCOPES}, got {scope!r}")
    return scope


def prune_loop(
    shapes: Mapping[str, torch.Size],
    engine: Engine,
    targets: Sequence[float],
    *,
    scope: str = "global",
    rule: Callable[[int, float], int] = exact,
    revives: bool = False,
    device: torch.device | str = "cpu",
    progress: bool | None = None,
) -> dict[str, Tensor]:
    """Run the rounds of a method and return its masks.

    Conventions: the rule is applied in every round to that round's density and the
    original number of weights; a pruned weight never returns unless `revives`. With a
    quota the total is the rule's and layers share it by largest remainder.

    Args:
        shapes: name -> shape of every weight that takes part, in order.
        engine: Source of the scores.
        targets: Density after each round, never rising.
        scope: "global", "layerwise" or the name of a quota.
        rule: (n, density) to the number kept.
        revives: Whether every weight competes in every round.
        device: Where the indices live; that of the scores.
        progress: Whether to show a bar; None: if there are rounds and a terminal.

    Returns:
        dict name -> bool tensor.

    Raises:
        ValueError: the density keeps nothing at all.

    Cost: per round one scoring and one selection among the survivors.
    """
    sizes = [shape.numel() for shape in shapes.values()]
    if scope != "layerwise" and rule(sum(sizes), targets[-1]) < 1:
        raise ValueError(f"density: {targets[-1]:.3g} keeps none of {sum(sizes)}")
    everything = torch.arange(sum(sizes), device=device)
    alive = everything
    if progress is None:
        progress = len(targets) > 1 and sys.stderr.isatty()
    for density in tqdm(targets, desc="prune", disable=not progress, leave=False):
        candidates = everything if revives else alive
        values = engine.scores(candidates)
        keep = _choose(shapes, sizes, values, candidates, density, scope, rule)
        alive = compress(candidates, keep)
        engine.keep(alive, compress(candidates, ~keep))
    return unflatten(alive, shapes)


def unflatten(alive: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Turn flat indices of kept weights into masks by name."""
    total = sum(shape.numel() for shape in shapes.values())
    flat = torch.zeros(total, dtype=torch.bool, device=alive.device)
    flat[alive] = True
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {
        name: part.view(shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def segments(alive: Tensor, sizes: Sequence[int]) -> list[int]:
    """Return where each layer's part of sorted flat indices ends."""
    ends = torch.tensor(sizes, device=alive.device).cumsum(0)
    return torch.searchsorted(alive, ends).tolist()


def _choose(shapes, sizes, values, candidates, density, scope, rule) -> Tensor:
    """Mark the candidates to keep in this round."""
    if scope == "global":
        return top_k(values, min(rule(sum(sizes), density), len(values)))
    ends = segments(candidates, sizes)
    caps = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if scope == "layerwise":
        counts = [
            min(rule(n, density), cap) for n, cap in zip(sizes, caps, strict=True)
        ]
    else:
        quota = layer_quota(shapes, scope, density)
        ideal = [n * quota[name] for n, name in zip(sizes, shapes, strict=True)]
        counts = allocate(rule(sum(sizes), density), ideal, caps)
    if not any(counts):
        raise ValueError(f"density: {density:.3g} keeps no weight in any layer")
    parts = values.split(caps)
    return torch.cat([top_k(v, k) for v, k in zip(parts, counts, strict=True)])
