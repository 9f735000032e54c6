"""What the experiments of notebook 12 share: phases, networks, masks and factors.

A network's *point* is (sigma_w, sigma_b). Networks of one seed, shape and experiment
have the same unit weights at every point and with every activation, so that arms are
compared on the same draws.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore import Masks, prune, rescale, seeds
from paicore.kernels import meanfield

Batch = tuple[Tensor, Tensor]
# Edge of chaos with sigma_b = 0.2; the bias-free tanh and ReLU have one point each.
SIGMA_B = {"tanh": 0.2, "elu": 0.2, "relu": 0.0, "tanh0": 0.0}
ORDERED = 1.0  # sigma_w of the ordered phase, with the same sigma_b
FACTORS = ("none", "literal", "row", "layer", "activity", "calibrated")


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw; what is compared shares it."""
    return seeds.generator(seed, "trainable_depth", *names)


def activation(method: str) -> str:
    """Return the name of the activation that "tanh0" and the others stand for."""
    return method.removesuffix("0")


def edge(method: str) -> tuple[float, float]:
    """Return (sigma_w, sigma_b) of an activation's point on the edge of chaos."""
    sigma_b = SIGMA_B[method]
    phi = activation(method)
    return meanfield.edge_of_chaos(phi, sigma_b=sigma_b).sigma_w, sigma_b


def point(phi: str, phase: str) -> tuple[float, float]:
    """Return (sigma_w, sigma_b) of a phase, "ordered" or anything else: the edge."""
    return (ORDERED, SIGMA_B[phi]) if phase == "ordered" else edge(phi)


def sbp(
    net: nn.Module, density: float, batch: Batch, *, keep_readout: bool = False
) -> Masks:
    """Return the masks of SBP: SNIP's, on the weights that are to be trained."""
    return prune(
        net, "snip", density=density, batch=batch,
        keep_last_layer_dense=keep_readout, progress=False,
    )  # fmt: skip


def rescaled(
    net: nn.Module,
    masks: Mapping[str, Tensor],
    factor: str,
    x: Tensor,
    *,
    skip: tuple[str, ...] = (),
) -> nn.Module:
    """Return the masked network with one of the factors folded in.

    Args:
        net: Dense.
        masks: By name.
        factor: "none"; "literal", rows to length one; "row" and "layer", the trick
            with gain sigma_w; "activity" and "calibrated", ours.
        x: The pruning batch's inputs, read by our two.
        skip: Weights that are only masked.

    Returns:
        A new network.

    Raises:
        ValueError: There is no such factor.
    """
    if factor not in FACTORS:
        raise ValueError(f"factor: expected one of {FACTORS}, got {factor!r}")
    if factor == "none":
        return rescale.scaled(net, masks, {})
    if factor == "activity":
        return rescale.activity_rescaled(net, masks, x, skip=skip)
    if factor == "calibrated":
        return rescale.calibrated(net, masks, x, moment="mean_square")
    options = {"literal": {"gain": 1.0}, "row": {}, "layer": {"per": "layer"}}
    return rescale.rescaled(net, masks, skip=skip, **options[factor])
