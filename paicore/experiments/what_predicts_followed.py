"""The masked tangent kernel of a residual network, followed through its training.

Batch norm is in train mode, in training and in the kernel, which therefore depends on
the whole batch of images that it is taken on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paicore import data
from paicore.experiments.head_to_head_ground import Ground, begun, draws, images
from paicore.experiments.trace_and_training_masks import Case, case_of
from paicore.experiments.trace_and_training_movement import Movement, stepped
from paicore.experiments.what_predicts_signs import Start, of_kernel, start_of
from paicore.masks import Masks

FOLLOWED = (
    "loss", "trace", "largest", "effective_rank", "alignment", "trace_ratio",
    "largest_ratio", "alignment_gain", "moved", "turned",
)  # fmt: skip


@dataclass(frozen=True)
class Followed(Movement):
    """Training in which kernels are looked at.

    Attributes:
        kernel: Training images that the kernel is taken on, as many of each class.
        options: Pairs of a further option of the network and its value.
        fewer: Pairs of a method and its number of rounds; others have their own.
    """

    options: tuple[tuple[str, int], ...] = ()
    fewer: tuple[tuple[str, int], ...] = ()


def ground_of(config: Followed, case: Case) -> Ground:
    """Return the equal ground of notebook 51 with this network and these images."""
    return Ground(
        data=case.data, net=case.net, width=case.width, options=config.options,
        trained=case.train, tested=case.test, per_class=config.per_class,
        rounds=config.fewer, keep=False,
    )  # fmt: skip


def run_followed(config: Followed, cell: Mapping) -> list[dict]:
    """Train one masked network and measure its kernel at every look.

    Conventions: "loss" is the mean cross-entropy of the looked at images in train mode,
    trace and largest eigenvalue are of K / n; the rest is relative to the start K_0:
    two ratios, the difference of alignments, "moved" |K - K_0| / |K_0| and "turned" one
    minus the cosine between K and K_0, which a factor on the kernel does not change.

    Returns:
        One row per look.
    """
    case, seed = case_of(config, cell["variant"]), cell["seed"]
    ground = ground_of(config, case)
    net, masks = begun(ground, cell["method"], cell["density"], seed)
    masks.apply_(net)
    ds, draw = images(ground), draws(ground, seed, "probe")
    batch = data.sample(ds, config.kernel, draw, balanced=True)
    watched = replace(config, recipe=replace(config.recipe, steps=config.looks[-1]))
    rows, first = [], None
    for step in stepped(watched, case, net, masks, seed):
        if step in config.looks:
            now = look(net, masks, batch)
            first = first or now
            rows.append({"step": step, **now[1], **since(now, first)})
    return rows


Look = tuple[Tensor, dict[str, float]]


def look(net: nn.Module, masks: Masks, batch: tuple[Tensor, Tensor]) -> Look:
    """Return the kernel and what is read off it; the network is left as it is."""
    start: Start = start_of(net, masks, batch)
    loss = F.cross_entropy(start.outputs, start.labels).item()
    return start.gram, {"loss": loss, **of_kernel(start.gram, start.labels)}


def since(now: Look, first: Look) -> dict[str, float]:
    """Return what has changed from one look to another."""
    (kernel, seen), (before, was) = now, first
    cosine = torch.sum(kernel * before) / (kernel.norm() * before.norm())
    return {
        "trace_ratio": seen["trace"] / was["trace"],
        "largest_ratio": seen["largest"] / was["largest"],
        "alignment_gain": seen["alignment"] - was["alignment"],
        "moved": float((kernel - before).norm() / before.norm()),
        "turned": round(1 - float(cosine), 12),  # 0 at the start
    }
