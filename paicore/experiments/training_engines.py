"""How far the stacked engine, or bfloat16, is from `fit`, step by step.

Three members of unequal weights, masks and data order are trained twice, for a few
numbers of steps each. What is measured is the largest difference of any parameter or
buffer of any member.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from paicore import nets, seeds
from paicore.experiments import Config
from paicore.experiments.training_pairs import load
from paicore.scores import prune
from paicore.train import Recipe, fit, population

ENGINES_VALUES = ("gap", "train_loss")
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
        variants: "float64" and "float32": stacked against `fit`, in that precision.
            "bf16": `fit` in bfloat16 against `fit` in float32.
        checkpoints: Numbers of steps, rising.
        widths: Width of each network; None for its own.
        recipes: Recipe of each network; its steps are not read.
    """

    data: str = "mnist"
    train: int = 2000
    test: int = 100
    methods: tuple[str, ...] = ("lenet_300_100", "resnet")
    variants: tuple[str, ...] = ("float64", "float32", "bf16")
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


def fitted(members: list[tuple], ds, recipe: Recipe, device: str) -> list[float]:
    """Train members by `fit`, in place; return their training losses."""
    losses = []
    for net, masks, g in members:
        options = {"device": device, "progress": False}
        rows = fit(net, ds, recipe, masks=masks, generator=g, **options)
        losses.append(rows[-1]["train_loss"])
    return losses


def run_engines(config: Engines, cell: dict) -> list[dict]:
    """Train twice for each number of steps, which is the row's "step".

    Returns:
        One row per number of steps; "train_loss" is the mean over members and steps
        of the first way.
    """
    name, what, seed = cell["method"], cell["variant"], cell["seed"]
    ds = load(config.data).subset(train=config.train, test=config.test)
    precision = "float32" if what == "bf16" else what
    place, rows = config.methods.index(name), []
    for steps in config.checkpoints:
        first, second = (members(config, name, seed) for _ in range(2))
        changes = {"steps": steps, "eval_every": steps, "precision": precision}
        recipe = replace(config.recipes[place], **changes)
        losses = fitted(first, ds, recipe, config.device)
        if what == "bf16":
            fitted(second, ds, replace(recipe, precision=what), config.device)
        else:
            options = {"device": config.device, "progress": False}
            population(second, ds, recipe, engine="stacked", **options)
        gap = largest_gap([m[0] for m in first], [m[0] for m in second])
        loss = float(torch.tensor(losses, dtype=torch.float64).mean())
        rows.append({"step": steps, "gap": gap, "train_loss": loss})
    return rows
