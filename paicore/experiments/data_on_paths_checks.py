"""Small checks of notebook 33: signs, biases, rounds, PX and D, classes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.experiments.data_on_paths_arms import (
    ARMS,
    Setting,
    images,
    masks_of,
    network,
)
from paicore.experiments.data_on_paths_facts import blanks, overlap, ratio_spread
from paicore.forward import linearised, private_copy, prunable
from paicore.masks import Masks
from paicore.scores import SCORES, prune

STATISTICS = ("mean", "mean_sq", "second_moment")
SIGNS = (
    "negative_first",
    "negative_all",
    "smallest",
    "blank_share",
    "collapsed",
    "effective_share",
)
LAYERS = ("weights", "kept", "empty")
IDENTITY = ("spread", "overlap")
CLASSES = ("reached", "fewest", "most")


def pixel_weights(config: Setting, seed: int, statistic: str, *, is_raw: bool):
    """Return the weight of each pixel, (c, h, w), of any sign.

    Args:
        config: The setting.
        seed: Of the scoring images.
        statistic: "mean", "mean_sq" (the mean squared) or "second_moment".
        is_raw: Whether pixels lie in [0, 1] instead of being normalised.
    """
    x, _ = images(config, seed, is_raw=is_raw)
    if statistic == "second_moment":
        return (x**2).mean(0)
    return x.mean(0) if statistic == "mean" else x.mean(0) ** 2


def signed_dist(
    net: nn.Module, masks: Mapping, batch, *, generator=None, weights: Tensor
) -> dict[str, Tensor]:
    r"""Score by path moduli times weights of any sign at the inputs.

    .. math:: s_i = \sum_{p \ni i} |\pi_p| \, w_{s(p)}

    Conventions: SynFlow-Dist without its refusal of negative weights; for weights >= 0
    the two are equal.

    Args:
        net: Module; not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Not used.
        generator: Not used.
        weights: Weight of each input, of the shape of one input.

    Returns:
        dict name -> float64 tensor shaped like the weight, signed.
    """
    twin = private_copy(net, masks=masks, dtype=torch.float64, batch_norm="eval")
    plain = linearised(twin, tuple(weights.shape))
    values = prunable(twin)
    total = plain(weights[None].double()).sum()
    slopes = torch.autograd.grad(total, list(values.values()))
    return {
        name: (value * slope).detach()
        for (name, value), slope in zip(values.items(), slopes, strict=True)
    }


def run_signs(config: Setting, cell: dict) -> list[dict]:
    """Score and prune with pixels in [0, 1] and normalised ones; see `SIGNS`.

    Conventions: the method is the statistic, the variant "pixels" or "normalised".
    Shares of negative scores are those of the dense network, in which first-layer
    weights on pixels of weight zero count as not negative; smallest is the least
    score over the largest modulus.

    Returns:
        One row.
    """
    is_raw, seed = cell["variant"] == "pixels", cell["seed"]
    net = network(config, cell)
    weights = pixel_weights(config, seed, cell["method"], is_raw=is_raw)
    scores = list(signed_dist(net, Masks.dense(net), None, weights=weights).values())
    every = torch.cat([each.flatten() for each in scores])
    masks = prune(
        net,
        signed_dist,
        density=cell["density"],
        rounds=config.rounds,
        progress=False,
        weights=weights,
    )
    live = masks.effective(net, tuple(weights.shape))
    return [
        {
            "step": 0,
            "negative_first": float((scores[0] < 0).double().mean()),
            "negative_all": float((every < 0).double().mean()),
            "smallest": float(every.min() / every.abs().max()),
            "blank_share": blanks(config, cell, masks)["blank_share"],
            "collapsed": len(masks.collapsed),
            "effective_share": live.kept / masks.kept,
        }
    ]


def run_layers(config: Setting, cell: dict) -> list[dict]:
    """Prune and count every layer; "step" is the layer, from 1.

    Conventions: the variant is a number of rounds, or what becomes of biases while
    scores are taken: "zero" or "keep". SynFlow calls the latter "abs".

    Returns:
        One row per layer: its weights, those kept, and the number of empty layers of
        the whole network.
    """
    arm, variant = ARMS[cell["method"]], cell["variant"]
    options, rounds = {}, config.rounds
    if variant.isdigit():
        rounds = int(variant)
    else:
        keep = "abs" if arm.score == "synflow" else "keep"
        options["bias"] = keep if variant == "keep" else "zero"
    masks = prune(
        network(config, cell),
        arm.score,
        density=cell["density"],
        batch=images(config, cell["seed"], is_raw=arm.is_raw),
        rounds=rounds,
        progress=False,
        **arm.options,
        **options,
    )
    return [
        {
            "step": layer,
            "weights": mask.numel(),
            "kept": int(mask.sum()),
            "empty": len(masks.collapsed),
        }
        for layer, mask in enumerate(masks.values(), 1)
    ]


def run_identity(config: Setting, cell: dict) -> list[dict]:
    """Compare a form of PX with D, once, on dense masks or on masks of D.

    Conventions: the variant "dense" is the network as drawn, "masked" what D leaves
    of it at the config's first density.

    Returns:
        One row: spread, see `ratio_spread`, and the overlap of what the two scores
        keep of the weights when each keeps the best tenth.
    """
    net = network(config, cell).double()
    batch = images(config, cell["seed"], is_raw=False)
    masks, options = Masks.dense(net), {"batch": batch, "progress": False}
    if cell["variant"] == "masked":
        d = {"variant": "D", "rounds": config.rounds}
        density = config.densities[0]
        masks = prune(net, "synflow_l2", density=density, **d, **options)
    arm, chosen, scores = ARMS[cell["method"]], [], []
    for name, own in (("synflow_l2", {"variant": "D"}), (arm.score, arm.options)):
        scores.append(SCORES[name].function(net, masks, batch, **own))
        chosen.append(best_tenth(scores[-1], masks))
    return [
        {"step": 0, "spread": ratio_spread(scores[1], scores[0]),
         "overlap": overlap(*chosen)}
    ]  # fmt: skip


def run_classes(config: Setting, cell: dict) -> list[dict]:
    """Count what masks leave to each class.

    Returns:
        One row: reached, the classes at which a path of kept weights ends; fewest and
        most, the classifier's weights on such paths, of the poorest and the richest.
    """
    net, masks = network(config, cell), masks_of(config, cell)
    shape = tuple(images(config, cell["seed"], is_raw=True)[0].shape[1:])
    *_, last = masks.effective(net, shape).values()
    left = last.flatten(1).sum(1)
    row = {"reached": int((left > 0).sum()), "fewest": int(left.min())}
    return [{"step": 0, **row, "most": int(left.max())}]


def best_tenth(scores: Mapping[str, Tensor], masks: Masks) -> Masks:
    """Return the masks of the tenth of the kept weights that scores highest."""
    flat = torch.cat([each.flatten() for each in scores.values()])
    keep = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    keep[flat.argsort(descending=True, stable=True)[: max(1, masks.kept // 10)]] = True
    parts = keep.split([mask.numel() for mask in masks.values()])
    return Masks(
        {n: part.view(masks[n].shape) for n, part in zip(masks, parts, strict=True)}
    )
