"""The networks of Table 1, as far as they go without ImageNet: counts and one step."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from paicore import nets, prune
from paicore.experiments import Config
from paicore.masks.counts import synflow
from paicore.seeds import generator
from paicore.train.masking import zero_pruned

BUILDER_VALUES = ("weights", "kept", "away", "alive", "moved", "loss")


@dataclass(frozen=True)
class Builders(Config):
    """Networks that take one masked step on noise.

    Attributes:
        methods: Names of networks.
        densities: Fractions kept.
        in_shape: Shape of one input.
        classes: Number of outputs.
        samples: Inputs of the step.
    """

    methods: tuple[str, ...] = ("torchvision_resnet18", "torchvision_resnet50")
    densities: tuple[float, ...] = (0.8**10,)
    variants: tuple[str, ...] = ("",)
    in_shape: tuple[int, ...] = (3, 64, 64)
    classes: int = 1000
    samples: int = 4


def run_builders(config: Builders, cell: dict) -> list[dict]:
    """Prune by size, take one step of gradient descent on noise.

    Returns:
        One row: weights that can be pruned, how many are kept and how far that is from
        the authors' count, "alive" pruned weights that are not zero after the step,
        "moved" the share of kept weights that the step changed, and the loss before.
    """
    name, seed = cell["method"], cell["seed"]
    net = nets.build(
        name, in_shape=config.in_shape, classes=config.classes,
        generator=generator(seed, "accuracy", "builders", name),
    )  # fmt: skip
    masks = prune(net, "magnitude", density=cell["density"], count_rule="synflow")
    zero_pruned(net, masks)
    g = generator(seed, "accuracy", "builders", "noise")
    x = torch.randn(config.samples, *config.in_shape, generator=g)
    y = torch.randint(config.classes, (config.samples,), generator=g)
    before = {n: p.detach().clone() for n, p in net.named_parameters() if n in masks}
    loss = functional.cross_entropy(net(x), y)
    loss.backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= 0.1 * parameter.grad
    zero_pruned(net, masks)
    after = {n: p.detach() for n, p in net.named_parameters() if n in masks}
    moved = sum(int((after[n] != before[n])[masks[n]].sum()) for n in masks)
    return [{
        "step": 0, "weights": masks.total, "kept": masks.kept,
        "away": abs(masks.kept - synflow(masks.total, cell["density"])),
        "alive": sum(int((after[n][~masks[n]] != 0).sum()) for n in masks),
        "moved": moved / masks.kept, "loss": float(loss.detach()),
    }]  # fmt: skip
