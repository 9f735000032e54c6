"""Which weights the student keeps: the largest, among all of them, at every update.

What competes is theta, not m * theta: a pruned weight keeps its value while it is out,
and comes back when kept ones have shrunk below it. Revival is the method.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.forward import prunable
from paicore.masks.counts import count_rule
from paicore.masks.select import top_k
from paicore.transfer.baselines import logit_snip
from paicore.transfer.settings import Settings

SNIP_SAMPLES = 128  # inputs behind first_masks="logit_snip", as in the authors' code

Tensors = Mapping[str, Tensor]


def largest(scores: Tensors, settings: Settings) -> dict[str, Tensor]:
    """Mark the largest scores, per layer or over all layers.

    Conventions: counts are those of the count rule; a layer that a mapping of
    densities puts at 1 is dense under every rule; ties go to the lower index.

    Args:
        scores: name -> tensor shaped like the weight.
        settings: Gives scope, density and count rule.

    Returns:
        dict name -> bool tensor; a count of none is refused.
    """
    rule = count_rule(settings.count_rule)
    if settings.scope == "global":
        flat = torch.cat([score.flatten() for score in scores.values()])
        kept = _at_least_one(rule(len(flat), settings.density), "the network", settings)
        parts = top_k(flat, kept).split([score.numel() for score in scores.values()])
        return {n: p.view_as(scores[n]) for n, p in zip(scores, parts, strict=True)}
    dense = isinstance(settings.scope, Mapping)
    masks = {}
    for name, density in settings.densities(scores).items():
        size = scores[name].numel()
        kept = size if dense and density == 1 else rule(size, density)
        kept = _at_least_one(kept, f"layer {name!r}", settings)
        masks[name] = top_k(scores[name].flatten(), kept).view_as(scores[name])
    return masks


def _at_least_one(kept: int, where: str, settings: Settings) -> int:
    """Return a count, or refuse the density that led to none."""
    if kept < 1:
        raise ValueError(f"density: the rule {settings.count_rule!r} keeps no weight "
                         f"of {where}, got {settings.density}")  # fmt: skip
    return kept


def by_magnitude(values: Tensors, settings: Settings, names) -> dict[str, Tensor]:
    """Mark the largest weights, whether they are pruned at the moment or not."""
    return largest({name: values[name].detach().abs() for name in names}, settings)


def first_masks(
    net: nn.Module, values: Tensors, x: Tensor, settings: Settings
) -> dict[str, Tensor]:
    """Return the masks that a run starts with.

    Args:
        net: The dense network.
        values: Its parameters in the student's dtype.
        x: Inputs; the first 128 of them give the logit-SNIP scores.
        settings: Says which masks.

    Returns:
        dict name -> bool tensor on the network's device.

    Conventions: masks that were given are let through as long as they could come from
    another count rule.
    """
    names = list(prunable(net))
    chosen = by_magnitude(values, settings, names)
    if settings.first_masks == "magnitude":
        return chosen
    if settings.first_masks == "logit_snip":
        norm = settings.batch_norm
        options = {} if norm is None else {"batch_norm": norm}
        scores = logit_snip(net, None, (x[:SNIP_SAMPLES], None), **options)
        return largest(scores, settings)
    given = {n: settings.first_masks[n].to(values[n].device).clone() for n in names}
    _check_counts(given, chosen, settings)
    return given


def _check_counts(given: Tensors, chosen: Tensors, settings: Settings) -> None:
    """Refuse first masks that keep another number than the density asks for."""
    if settings.scope != "global":
        for name, mask in given.items():
            kept, asked = count({name: mask}), count({name: chosen[name]})
            if abs(kept - asked) > 2:  # the largest step from the exact rule to another
                density = settings.densities([name])[name]
                raise ValueError(f"first_masks: keep {kept} of layer {name!r}, but "
                                 f"density {density} asks for {asked}")  # fmt: skip
    kept, asked = count(given), count(chosen)
    if abs(kept - asked) > len(given):  # most rules differ by one weight per layer
        raise ValueError(f"first_masks: keep {kept} weights, but density "
                         f"{settings.density} asks for {asked}")  # fmt: skip


def count(masks: Tensors) -> int:
    """Return how many weights masks keep."""
    return sum(int(torch.count_nonzero(mask)) for mask in masks.values())


def turnover(masks: Tensors, first: Tensors) -> float:
    """Return the share of the kept weights that were not kept at first."""
    fresh = sum(int(torch.count_nonzero(m & ~first[n])) for n, m in masks.items())
    return fresh / max(count(masks), 1)


def masked(values: Tensors, masks: Tensors) -> dict[str, Tensor]:
    """Return m * theta; `where`, so that what is pruned has gradient exactly zero."""
    return {
        name: torch.where(masks[name], value, 0) if name in masks else value
        for name, value in values.items()
    }
