"""Where a method's gain over a uniform random mask comes from, station by station.

A station is a network that is trained; a part is the difference of two stations. On
the way "uniform", "layers", "positions", "values", "scaled values" each station takes
over one more thing of the method, so that the four parts sum to the whole, exactly,
because right answers are counted.

uniform     a random mask, the same density in every layer, fresh weights
layers      the method's mask permuted inside its layers: its layer densities
positions   the method's mask, still with fresh weights
values      the method's mask with the weights that it was made from
scaled ...  the same with each layer's output variance as in the dense network
carried     mask and weights permuted together: the values without the positions
teacher     of a transfer: the student's mask with the teacher's weights
"""

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import nn

from paicore.experiments.head_to_head_ground import (
    TRANSFERS,
    Ground,
    begun,
    draws,
    images,
    masks_of,
    network,
    scoring_batch,
)
from paicore.experiments.head_to_head_training import trained
from paicore.masks import Masks, prunable
from paicore.rescale import calibrated
from paicore.scores import prune

PART = ("gain", "before", "after", "tested")
SCALED = "scaled "
Ends = Mapping[str, tuple[str, str]]
# Part to the stations before and after it, in the order stated above ...
IN_ORDER: Ends = {
    "layers": ("uniform", "layers"),
    "positions": ("layers", "positions"),
    "values": ("positions", "values"),
    "scale": ("values", "scaled values"),
}
# ... with the scale first, so that masks are compared at equal scale ...
SCALE_FIRST: Ends = {
    "scale first": ("uniform", "scaled uniform"),
    "then layers": ("scaled uniform", "scaled layers"),
    "then positions": ("scaled layers", "scaled positions"),
    "then values": ("scaled positions", "scaled values"),
}
# ... and with the values before the positions.
VALUES_FIRST: Ends = {
    "values first": ("layers", "carried"),
    "positions last": ("carried", "values"),
}
WHOLE: Ends = {"whole": ("uniform", "scaled values")}
PARTS: Ends = IN_ORDER | WHOLE | SCALE_FIRST | VALUES_FIRST
# A transfer restores the scale by itself; its values come in two steps.
OF_TRANSFER: Ends = {
    "layers": ("uniform", "layers"),
    "positions": ("layers", "positions"),
    "values": ("positions", "teacher"),
    "matching": ("teacher", "values"),
    "whole": ("uniform", "values"),
}


def ends_of(method: str, part: str) -> tuple[str, str]:
    """Return the stations before and after a part."""
    return (OF_TRANSFER if method in TRANSFERS else PARTS)[part]


def run_part(config: Ground, cell: dict) -> list[dict]:
    """Train both ends of a part.

    Returns:
        One row: right answers "before" and "after", their difference "gain", and the
        number of test images.
    """
    method, seed = cell["method"], cell["seed"]
    before, after = (
        station(
            config, name, "" if "uniform" in name else method, cell["density"], seed
        )
        for name in ends_of(method, cell["variant"])
    )
    tested = len(images(config).test_y)
    row = {"gain": after - before, "before": before, "after": after, "tested": tested}
    return [{"step": 0, **row}]


@lru_cache(maxsize=64)
def station(config: Ground, name: str, method: str, density: float, seed: int) -> float:
    """Train one station; "uniform" ones have no method, so that all share them.

    Returns:
        Its number of right answers.
    """
    base = name.removeprefix(SCALED)
    net, masks = STATIONS[base](config, method, density, seed)
    if name != base:
        net = calibrated(net, masks, scoring_batch(config, seed)[0])
    return trained(config, net, masks, seed, config.recipe.lr)["correct"]


def fresh(config: Ground, seed: int) -> nn.Module:
    """Return a network with weights that no mask was made from."""
    return network(config, seed, what="fresh")


def _uniform(config: Ground, method: str, density: float, seed: int):
    net = fresh(config, seed)
    g = draws(config, seed, "uniform")
    masks = prune(
        net, "random", density=density, scope="uniform", generator=g, progress=False
    )
    return net, masks


def _layers(config: Ground, method: str, density: float, seed: int):
    masks = masks_of(config, method, density, seed)
    return fresh(config, seed), masks.shuffled(draws(config, seed, "shuffle"))


def _positions(config: Ground, method: str, density: float, seed: int):
    return fresh(config, seed), masks_of(config, method, density, seed)


def _teacher(config: Ground, method: str, density: float, seed: int):
    return network(config, seed, method), masks_of(config, method, density, seed)


def _carried(config: Ground, method: str, density: float, seed: int):
    return carried(
        *begun(config, method, density, seed), draws(config, seed, "shuffle")
    )


STATIONS: Mapping[str, Callable[..., tuple[nn.Module, Masks]]] = {
    "uniform": _uniform, "layers": _layers, "positions": _positions,
    "teacher": _teacher, "values": begun, "carried": _carried,
}  # fmt: skip


def carried(
    net: nn.Module, masks: Masks, generator: torch.Generator
) -> tuple[nn.Module, Masks]:
    """Permute weights and masks together inside each layer.

    Args:
        net: Any module; not changed.
        masks: Its masks; not changed.
        generator: CPU generator; the masks become ``masks.shuffled`` of it.

    Returns:
        New network and masks.
    """
    twin, moved = copy.deepcopy(net), {}
    weights = prunable(twin)
    for name, mask in masks.items():
        order = torch.randperm(mask.numel(), generator=generator).to(mask.device)
        moved[name] = mask.flatten()[order].view_as(mask)
        with torch.no_grad():
            weight = weights[name]
            weight.copy_(weight.flatten()[order].view_as(weight))
    return twin, Masks(moved)
