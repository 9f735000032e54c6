"""How far two ways of training are apart, step by step: engines and precisions.

Three members of unequal weights, masks and data order are trained in both ways, for a
few numbers of steps each. What is measured is the largest difference of any parameter
or buffer of any member. The first three of `WAYS` were declared before any run; the
last two were added when ResNets in float32 were found far apart, to say which of the
two engines rounds.
"""

import statistics
from dataclasses import dataclass, replace

from torch import nn

from paicore import nets, seeds
from paicore.experiments import Config
from paicore.experiments.training_pairs import load
from paicore.scores import prune
from paicore.train import Recipe, population

ENGINES_VALUES = ("gap", "train_loss")
# Variant to two ways, each an engine and a precision; the second is the reference.
WAYS = {
    "float64": (("stacked", "float64"), ("loop", "float64")),
    "float32": (("stacked", "float32"), ("loop", "float32")),
    "bf16": (("loop", "bf16"), ("loop", "float32")),
    "fit rounds": (("loop", "float32"), ("loop", "float64")),
    "stacked rounds": (("stacked", "float32"), ("loop", "float64")),
}
DENSITIES = (0.1, 1.0, 0.5)  # of the members; the second has no masks

MLP = Recipe("sgd", lr=0.05, weight_decay=1e-3, batch=64, steps=1)
# Every feature at once: batch norm, crops and flips, a smaller last batch.
RESNET = replace(MLP, nesterov=True, batch=32, augment=True, drop_last=False)


@dataclass(frozen=True)
class Engines(Config):
    """Members trained twice; methods are networks, variants what differs.

    Attributes:
        data: Name of the data set.
        train: Number of training samples that are used.
        test: Likewise of test samples.
        methods: Names of networks.
        variants: Names in `WAYS`. "loop" there is `fit`, member by member.
        checkpoints: Numbers of steps, rising.
        widths: Width of each network; None for its own.
        recipes: Recipe of each network; its steps are not read.
    """

    data: str = "mnist"
    train: int = 2000
    test: int = 100
    methods: tuple[str, ...] = ("lenet_300_100", "resnet")
    variants: tuple[str, ...] = tuple(WAYS)
    checkpoints: tuple[int, ...] = (1, 5, 20, 100)
    widths: tuple[int | tuple[int, ...] | None, ...] = (None, 4)
    recipes: tuple[Recipe, ...] = (MLP, RESNET)


def cells(config: Engines) -> list[dict]:
    """Every network in every precision, for every seed."""
    return [
        {"method": method, "density": 1.0, "seed": seed, "variant": variant}
        for method in config.methods
        if not config.only or method in config.only.split(",")
        for variant in config.variants
        for seed in range(config.seeds)
    ]


def members(config: Engines, name: str, seed: int) -> list[tuple]:
    """Return three members, unequal in weights, masks and data order."""
    ds, made = load(config.data), []
    width = config.widths[config.methods.index(name)]
    options = {"depth": 8} if name == "resnet" else {}
    for k, density in enumerate(DENSITIES):
        names = ("training", "engines", config.data, name, k)
        g = seeds.generator(seed, *names, "init")
        shape = {"classes": ds.classes, "in_shape": ds.in_shape, "width": width}
        net = nets.build(name, generator=g, **shape, **options)
        draw = seeds.generator(seed, *names, "masks")
        masks = None
        if density < 1:
            masks = prune(net, "random", density=density, generator=draw)
        made.append((net, masks, seeds.generator(seed, *names, "order")))
    return made


def largest_gap(nets_a: list[nn.Module], nets_b: list[nn.Module]) -> float:
    """Return the largest difference of any parameter or buffer of paired networks."""
    worst = 0.0
    for a, b in zip(nets_a, nets_b, strict=True):
        theirs = b.state_dict()
        for name, tensor in a.state_dict().items():
            gap = (tensor.double() - theirs[name].double()).abs().max()
            worst = max(worst, float(gap))
    return worst


def trained(config: Engines, cell: dict, steps: int, way: tuple[str, str]) -> tuple:
    """Train the three members in one way.

    Args:
        config: The config.
        cell: Names the network and the seed.
        steps: Number of updates.
        way: Engine and precision.

    Returns:
        Pair (networks, mean training loss over members and steps).
    """
    name, (engine, precision) = cell["method"], way
    ds = load(config.data).subset(train=config.train, test=config.test)
    made = members(config, name, cell["seed"])
    changes = {"steps": steps, "eval_every": steps, "precision": precision}
    recipe = replace(config.recipes[config.methods.index(name)], **changes)
    options = {"device": config.device, "engine": engine, "progress": False}
    rows = population(made, ds, recipe, **options)
    losses = [row["train_loss"] for row in rows]
    return [net for net, _, _ in made], statistics.fmean(losses)


def run_engines(config: Engines, cell: dict) -> list[dict]:
    """Train in both ways for each number of steps, which is the row's "step".

    Returns:
        One row per number of steps; "train_loss" is that of the reference.
    """
    rows = []
    for steps in config.checkpoints:
        ways = WAYS[cell["variant"]]
        (found, _), (wanted, loss) = (trained(config, cell, steps, w) for w in ways)
        gap = largest_gap(found, wanted)
        rows.append({"step": steps, "gap": gap, "train_loss": loss})
    return rows
