"""Trained after pruning: which depths and sparsities can still be trained.

The method is an arm, the variant the number of layers. "ordered" and "edge" are
pruned and trained as they are; "rescaled" is "edge" with the trick, row by row;
"activity" has our activity-weighted factor. The three on the edge share their masks.
"shuffled" and "shuffled_rescaled" are the control: the edge with the places of SBP's
masks drawn anew inside every layer, without and with the trick.
"""

from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import nn

from paicore import Masks, data, nets
from paicore.experiments import Config
from paicore.experiments.trainable_depth_nets import Batch, draws, point, rescaled, sbp
from paicore.train import Recipe, population

TRAINED_VALUES = (
    "test_accuracy", "test_loss", "train_loss", "kept", "empty", "diverged",
)  # fmt: skip
ARMS = ("ordered", "edge", "rescaled")
OURS = (*ARMS, "activity")
SHUFFLED = ("shuffled", "shuffled_rescaled")
FACTOR = {
    "ordered": "none", "edge": "none", "rescaled": "row", "activity": "activity",
    "shuffled": "none", "shuffled_rescaled": "row",
}  # fmt: skip


@dataclass(frozen=True)
class Arms(Config):
    """Networks that are drawn, pruned by SBP, rescaled or not, and trained.

    Attributes:
        methods: Arms, in the order of tables.
        places: Pairs of depth and density.
        data: Data set.
        net: "mlp", all of whose layers are pruned and rescaled, or "cnn", whose
            readout is neither.
        phi: Activation.
        width: Of every hidden layer, or channels.
        batch: Samples that SBP scores.
        lr: Learning rate of plain gradient descent, constant.
        steps: Number of updates; the one evaluation is after them.
        samples: Samples of an update.
        engine: Of `train.population`.
        variants: Paces, "lr x steps" behind the depth; empty for `lr` and `steps`.
    """

    methods: tuple[str, ...] = ARMS
    places: tuple[tuple[int, float], ...] = ()
    data: str = "mnist"
    net: str = "mlp"
    phi: str = "tanh"
    width: int = 100
    batch: int = 100
    lr: float = 1e-3
    steps: int = 10_000
    samples: int = 100
    engine: str = "stacked"
    variants: tuple[str, ...] = ("",)
    # Fields of the classes below; fields here would void the records that there are.
    readout: ClassVar[str] = "average"
    controls: ClassVar[tuple] = ()
    split: ClassVar[str] = "given"


@dataclass(frozen=True)
class Flat(Arms):
    """Convolutions whose readout sees every position, and their control.

    Attributes:
        readout: Of "cnn".
        controls: Places of the shuffled arms.
    """

    readout: str = "flatten"
    controls: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Resplit(Arms):
    """Arms on the data with training and test samples drawn anew from all.

    Attributes:
        split: "given" or "shuffled", one permutation for all seeds.
    """

    split: str = "shuffled"


def grid(depths: tuple[int, ...], sparsities: tuple[float, ...]) -> tuple:
    """Return every pair of depth and density."""
    return tuple((depth, round(1 - s, 9)) for depth in depths for s in sparsities)


def cells(config: Arms) -> list[dict]:
    """Every arm at every place, for every seed and pace."""
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": density, "seed": seed,
         "variant": f"{depth} {pace}".strip()}
        for depth, density in config.places
        for pace in config.variants
        for method in config.methods
        if method in only
        and (method not in SHUFFLED or (depth, density) in config.controls)
        for seed in range(config.seeds)
    ]  # fmt: skip


def together(config: Arms, cell: dict) -> Hashable:
    """Networks of one depth and seed are trained as one population."""
    return cell["variant"], cell["seed"]


def depth_of(cell: dict) -> int:
    """Return the number of layers that a variant names."""
    return int(cell["variant"].split()[0])


def recipe_of(config: Arms, cell: dict) -> Recipe:
    """Return how a cell is trained, evaluated once, at its end."""
    _, *pace = cell["variant"].split()
    lr, steps = pace[0].split("x") if pace else (config.lr, config.steps)
    return Recipe(
        "sgd", lr=float(lr), momentum=0.0, batch=config.samples, steps=int(steps),
        eval_every=int(steps),
    )  # fmt: skip


@lru_cache(maxsize=2)
def images(name: str, device: str, split: str = "given") -> data.Dataset:
    """Return the data set on its device; "shuffled" mixes training and test samples."""
    ds = data.load(name)
    if split == "shuffled":
        x, y = torch.cat([ds.train_x, ds.test_x]), torch.cat([ds.train_y, ds.test_y])
        order = torch.randperm(len(y), generator=draws(0, name, "split"))
        train, test = order.tensor_split([len(ds.train_y)])
        ds = replace(
            ds, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test]
        )
    return ds.to(device)


def initial(config: Arms, cell: dict) -> tuple[nn.Module, Masks]:
    """Return a cell's network before training, float64, and its masks."""
    net, batch = drawn(config, cell)
    is_cnn = config.net == "cnn"
    masks = sbp(net, cell["density"], batch, keep_readout=is_cnn)
    if cell["method"] in SHUFFLED:
        g = draws(cell["seed"], config.net, "shuffle", f"{cell['density']:g}")
        masks = masks.shuffled(g)
    skip = tuple(masks)[-1:] if is_cnn else ()
    new = rescaled(net, masks, FACTOR[cell["method"]], batch[0], skip=skip)
    return new, masks


def drawn(config: Arms, cell: dict) -> tuple[nn.Module, Batch]:
    """Draw a cell's dense network and the batch that SBP scores, on the CPU."""
    ds = images(config.data, config.device, config.split)
    options = {"readout": config.readout} if config.net == "cnn" else {}
    phase = "ordered" if cell["method"] == "ordered" else "edge"
    seed = cell["seed"]
    net = nets.build(
        config.net, in_shape=ds.in_shape, classes=ds.classes, width=config.width,
        depth=depth_of(cell), activation=config.phi,
        init=("gaussian", *point(config.phi, phase)), dtype=torch.float64,
        generator=draws(seed, config.net, "init"), **options,
    )  # fmt: skip
    x, y = data.sample(ds, config.batch, draws(seed, config.net, "batch"))
    return net, (x.cpu(), y.cpu())


def run_trained(config: Arms, group: list[dict]) -> list[list[dict]]:
    """Train the networks of one depth, pace and seed; one row each, after the end."""
    started = [initial(config, cell) for cell in group]
    members = [
        (net, masks, draws(cell["seed"], config.net, "order"))
        for cell, (net, masks) in zip(group, started, strict=True)
    ]
    rows = population(
        members, images(config.data, config.device, config.split),
        recipe_of(config, group[0]), device=config.device, engine=config.engine,
        progress=False,
    )  # fmt: skip
    last = {row["member"]: row for row in rows}
    return [
        [_row(last[k], recipe_of(config, group[0]).steps, masks)]
        for k, (_, masks) in enumerate(started)
    ]


def _row(row: dict, steps: int, masks: Masks) -> dict:
    """Return a run's row; a run that diverged has no accuracy."""
    names = ("test_accuracy", "test_loss", "train_loss")
    return {
        "step": steps, **{name: row[name] for name in names}, "kept": masks.kept,
        "empty": len(masks.collapsed), "diverged": float(row["diverged"] != ""),
    }  # fmt: skip


def _of(kind: type[Arms], config: Arms, **more) -> Arms:
    """Return a config of another kind with a config's settings, but for some."""
    return kind(
        **{each.name: getattr(config, each.name) for each in fields(config)} | more
    )


# The recalled training is 10,000 steps at 1e-3. Ten times fewer at ten times the rate
# have the same product, the time of the gradient flow.
DEPTHS, SPARSITIES = (5, 20, 40), (0.1, 0.5, 0.8, 0.9)
FULL = Arms(
    seeds=3, places=grid((2, 20, 40, 60, 80, 100), tuple(k / 10 for k in range(1, 10)))
)
MAPS = replace(FULL, places=grid(DEPTHS, SPARSITIES), lr=1e-2, steps=1_000)
FULL_ELU = replace(FULL, methods=OURS, phi="elu")
ELU = replace(
    MAPS, methods=OURS, phi="elu", places=((5, 0.2), (20, 0.2), (40, 0.2), (40, 0.5))
)
PACES = replace(
    MAPS, seeds=1, places=((20, 0.2),), variants=("0.01x1000", "0.001x10000")
)
# Rows 4.7 and 4.8 of the reference: digits, at the rate that was tried there.
DIGITS = replace(
    MAPS, seeds=5, data="digits", places=((40, 0.5), (20, 0.2), (40, 0.2)), lr=0.05,
    steps=500,
)  # fmt: skip
CNN = replace(
    DIGITS, net="cnn", width=16, places=((10, 0.5), (30, 0.5), (30, 0.2)), steps=200,
    samples=64, engine="loop",
)  # fmt: skip
# Row 4.8 reached more than 90 % in as many steps; with the average nothing does.
FLAT = _of(Flat, CNN, methods=(*ARMS, *SHUFFLED), controls=((30, 0.5), (30, 0.2)))
FLAT_FULL = replace(
    FLAT, methods=ARMS, seeds=3, data="mnist",
    places=((10, 0.5), (50, 0.5), (100, 0.5)), controls=(), steps=10_000, samples=100,
    engine="auto",
)  # fmt: skip
RESPLIT = _of(Resplit, DIGITS)
TINY = {"seeds": 1, "data": "digits", "width": 8, "batch": 20, "samples": 20,
        "lr": 0.05, "steps": 4}  # fmt: skip
