"""What a mask looks like: blank pixels, units in use, trace, overlaps.

A pixel is blank when its mean over the scoring images is zero, so that it is zero in
every one of them. A unit is in use when it lies on a path of kept weights.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.experiments.data_on_paths_arms import Setting, images, masks_of, network
from paicore.kernels import paths
from paicore.masks import Masks

OTHERS = ("synflow", "synflow_l2_c", "synflow_l2_d")
HIDDEN = 5  # hidden layers of an FC network, each with a column
FACTS = (
    "kept",
    "collapsed",
    "effective_share",
    "blank_pixels",
    "blank_share",
    "blank_excess",
    "trace_share",
    "narrowest",
    *(f"width_{layer}" for layer in range(1, HIDDEN + 1)),
    *(f"overlap_{name}" for name in OTHERS),
)


def blank(config: Setting, seed: int) -> Tensor:
    """Return which pixels are zero in all scoring images of a seed, (c, h, w)."""
    return images(config, seed, is_raw=True)[0].mean(0) == 0


def on_pixels(masks: Masks) -> Tensor | None:
    """Return how many first-layer weights each pixel keeps; None for convolutions."""
    first = next(iter(masks.values()))
    return first.sum(0) if first.dim() == 2 else None


def blanks(config: Setting, cell: Mapping, masks: Masks) -> dict[str, float]:
    """Say what share of the first layer's survivors lies on blank pixels.

    Returns:
        blank_pixels, the number of blank pixels; blank_share, a fraction of the kept
        weights of the first layer; blank_excess, that less the share of the pixels.
        Nan for convolutions, and the last two where the first layer is empty.
    """
    kept = on_pixels(masks)
    if kept is None:
        return dict.fromkeys(("blank_pixels", "blank_share", "blank_excess"), math.nan)
    empty = blank(config, cell["seed"]).flatten()
    alive = int(kept.sum())
    share = int(kept[empty].sum()) / alive if alive else math.nan
    excess = share - int(empty.sum()) / len(empty)
    return {
        "blank_pixels": int(empty.sum()),
        "blank_share": share,
        "blank_excess": excess,
    }


def widths(masks: Masks, net: nn.Module, in_shape: tuple[int, ...]) -> list[int]:
    """Return the units (channels) in use in every layer but the last.

    Args:
        masks: Of the network.
        net: The network.
        in_shape: Shape of one input.
    """
    live = list(masks.effective(net, in_shape).values())
    return [int(each.flatten(1).any(1).sum()) for each in live[:-1]]


def overlap(one: Masks, other: Masks) -> float:
    """Return how many weights both keep, of those that at least one keeps."""
    both = sum(int((one[name] & other[name]).sum()) for name in one)
    either = sum(int((one[name] | other[name]).sum()) for name in one)
    return both / either if either else math.nan


def facts(config: Setting, cell: Mapping) -> dict[str, float]:
    """Return everything in `FACTS` about the masks of a run.

    Conventions: trace_share is the Path Kernel's trace over the weights, of the masked
    network over that of the dense one, no data in it. Columns width_k are nan where
    there is no such hidden layer or the network is convolutional.
    """
    net, masks = network(config, cell), masks_of(config, cell)
    shape = tuple(images(config, cell["seed"], is_raw=True)[0].shape[1:])
    used, options = (
        widths(masks, net, shape),
        {"params": "prunable", "bias": "zero"},
    )
    found = {
        "kept": masks.kept,
        "collapsed": len(masks.collapsed),
        "effective_share": masks.effective(net, shape).kept / masks.kept,
        **blanks(config, cell, masks),
        "trace_share": paths.trace(net, shape, masks=masks, **options)
        / paths.trace(net, shape, **options),
        "narrowest": min(used),
    }
    is_plain = on_pixels(masks) is not None and len(used) <= HIDDEN
    columns = used + [math.nan] * (HIDDEN - len(used)) if is_plain else [math.nan] * 5
    found |= {f"width_{k}": value for k, value in enumerate(columns, 1)}
    for name in OTHERS:
        theirs = None if cell["method"] == "dense" else masks_of(config, cell, name)
        found[f"overlap_{name}"] = overlap(masks, theirs) if theirs else math.nan
    return found


def run_occupancy(config: Setting, cell: dict) -> list[dict]:
    """Count what each pixel keeps; "step" is the pixel, row by row.

    Returns:
        One row per pixel: grey, the mean grey level of the scoring images between 0
        and 1, and weights, the number of its first-layer weights that are kept.
    """
    grey = images(config, cell["seed"], is_raw=True)[0].mean(0).flatten()
    kept = on_pixels(masks_of(config, cell))
    return [
        {"step": pixel, "grey": round(float(grey[pixel]), 5), "weights": int(n)}
        for pixel, n in enumerate(kept)
    ]


def ratio_spread(scores: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return how far two scores are from proportional: 0 if they are, at most 1.

    Conventions: (largest - smallest) / largest of their ratio, over the weights whose
    `other` score is positive.
    """
    theirs = torch.cat([other[name].flatten() for name in scores])
    ours = torch.cat([each.flatten() for each in scores.values()])
    ratio = ours[theirs > 0] / theirs[theirs > 0]
    return float((ratio.max() - ratio.min()) / ratio.max())
