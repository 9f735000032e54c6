"""What students are compared with: masks of the teacher's own weights.

Methods by name. "dense"; "random", "magnitude", "snip", "logit_snip" and, over all
layers together, "global_snip" and its like; "scaled_random": random weights divided by
the root of the density; "rand": the released code's random baseline. "ntt_masked" and
"ntt_ambient" are students, "ntt_ambient_frozen" one of an arm of the ablation;
"mask_only_masked" has a student's mask on the teacher's weights, "weights_only_masked"
a student's unmasked weights under a random mask of the same layer densities.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore import data, rescale, transfer
from paicore.experiments.matching_a_teacher_students import (
    Setting,
    Student,
    draws,
    load,
    student,
    teacher,
)
from paicore.masks import Masks
from paicore.scores import prune


def rival(config: Setting, net: nn.Module, cell: Mapping) -> Masks:
    """Return the mask of a method that matches nothing; `net` is left untouched."""
    method, seed = cell["method"], cell["seed"]
    if method == "dense":
        return Masks.dense(net)
    base = method.removeprefix("scaled_").removeprefix("global_")
    score = {"rand": "magnitude", "logit_snip": transfer.logit_snip}.get(base, base)
    ds = load(config.data, config.enlarge)
    masks = prune(
        net,
        score,
        density=cell["density"],
        count_rule=config.count_rule,
        scope="global" if method.startswith("global_") else config.scope,
        batch=data.sample(ds, config.scored, draws(config, seed, "batch")),
        generator=draws(config, seed, "mask"),
        progress=False,
    )
    if config.first_only:
        first, *others = masks
        whole = {name: torch.ones_like(masks[name]) for name in others}
        return Masks({first: masks[first], **whole})
    return transfer.shuffled_along_axis0(masks) if method == "rand" else masks


def start(
    config: Setting, cell: Mapping, inputs: tuple[Tensor, Tensor] | None = None
) -> tuple[nn.Module, Masks, Student | None]:
    """Return where a method's supervised training starts: weights, masks, student.

    Args:
        config: The setting.
        cell: The run.
        inputs: Images of the transfer and its validation block; None: the config's.

    Returns:
        The network with pruned weights 0, its masks, and the student behind them.
    """
    method, net = cell["method"], teacher(config, cell["seed"])
    if method.startswith(("ntt_", "mask_only_", "weights_only_")):
        match = student(config, net, cell, inputs=inputs)
        masks = match.masks
        if not method.startswith("mask_only_"):
            net.load_state_dict(match.theta, strict=False)
        if method.startswith("weights_only_"):
            masks = masks.shuffled(draws(config, cell["seed"], "shuffle"))
        return masks.apply_(net.cpu()), masks, match
    masks = rival(config, net, cell)
    if method == "scaled_random":
        net = rescale.divided(net, masks)
    return masks.apply_(net), masks, None
