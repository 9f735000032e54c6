"""Pairs of masks: how much two versions of one score agree, for notebook 01_traps.

Runs of one seed share weights and scoring batch, whatever the version, so a pair
differs in its version only. The wrong versions are in `traps_wrong_scores`. All of it
runs on the CPU.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import combinations, product

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config
from paicore.experiments import traps_wrong_scores as wrong
from paicore.experiments.traps_paths import synflow_l2
from paicore.masks import Masks, top_k
from paicore.scores import grasp, prune, snip, synflow
from paicore.scores.loss import Batch

# Pair -> the two versions of a score whose masks are compared, see `VERSIONS`. The two
# controls compare one and the same definition on two batches.
PAIRS = {
    "grasp_control": ("grasp", "grasp_other"),
    "grasp_sign": ("grasp", "grasp_reversed"),
    "grasp_temperature": ("grasp", "grasp_t1"),
    "grasp_halves": ("grasp", "grasp_halves"),
    "grasp_two_batches": ("grasp_augmented", "grasp_two_batches"),
    "snip_control": ("snip", "snip_other"),
    "snip_per_batch": ("snip", "snip_per_batch"),
    "snip_redrawn": ("snip", "snip_redrawn"),
    "synflow_train_mode": ("synflow", "synflow_train_mode"),
}
TRAIN_MODE = "synflow_train_mode"  # is there only with batch norm


@dataclass(frozen=True)
class Setup:
    """A network and the data it is scored on.

    Attributes:
        data: Name of the data set.
        net: Name of the network, with He's initialisation and zero biases.
        width: Of the network; None for its own.
        depth: Of the network, where its name leaves it open.
        batch_norm: Whether the network has batch norm.
    """

    data: str
    net: str
    width: int | tuple[int, ...] | None = None
    depth: int | None = None
    batch_norm: bool = False


@dataclass(frozen=True)
class Overlaps(Config):
    """Pairs of masks.

    Attributes:
        setups: Networks and data.
        densities: Fractions kept.
        per_class: Scoring samples of each class, one balanced batch. C
            alecwangcq/GraSP: 10.
        temperature: GraSP's. C alecwangcq/GraSP: 200.
        rounds: Of SynFlow-L2, exponential schedule; the others have one round.
    """

    setups: tuple[Setup, ...] = ()
    densities: tuple[float, ...] = (0.05, 0.1)
    per_class: int = 10
    temperature: float = 200.0
    rounds: int = 10


def iou(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the kept weights that two masks share, over those that either keeps."""
    both = sum(int((one[name] & other[name]).sum()) for name in one)
    either = sum(int((one[name] | other[name]).sum()) for name in one)
    return both / either


def keep_largest(scores: Mapping[str, Tensor], density: float) -> Masks:
    """Return the masks of given scores, chosen globally in one round."""
    flat = torch.cat([score.flatten() for score in scores.values()])
    keep = top_k(flat, int(len(flat) * density + 0.5))
    parts = keep.split([score.numel() for score in scores.values()])
    return Masks({
        name: part.view(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    })  # fmt: skip


@lru_cache(maxsize=2)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def draws(setup: Setup, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the version is left out on purpose."""
    return seeds.generator(seed, "traps", setup.data, setup.net, what)


def network(setup: Setup, seed: int) -> nn.Module:
    """Build the network of a setup at its initialisation."""
    ds = load(setup.data)
    return nets.build(
        setup.net,
        classes=ds.classes,
        in_shape=ds.in_shape,
        width=setup.width,
        depth=setup.depth,
        generator=draws(setup, seed, "init"),
    )


def scoring_batch(
    setup: Setup, seed: int, per_class: int, name: str = "batch"
) -> Batch:
    """Draw the balanced batch that all versions of a seed share, or another one."""
    ds = load(setup.data)
    generator = draws(setup, seed, name)
    return data.sample(ds, per_class * ds.classes, generator, balanced=True)


def grasp_augmented(net, masks, batch, *, generator, temperature: float) -> dict:
    """Score by GraSP on one augmentation of the batch, the same in both passes."""
    x, y = batch
    return grasp(net, masks, (wrong.moved(x, generator), y), temperature=temperature)


# Version -> its function and the settings of the config that it takes.
VERSIONS: dict[str, tuple[Callable[..., dict], tuple[str, ...]]] = {
    "grasp": (grasp, ("temperature",)),
    "grasp_other": (grasp, ("temperature",)),
    "grasp_augmented": (grasp_augmented, ("temperature",)),
    "grasp_t1": (partial(grasp, temperature=1.0), ()),
    "grasp_reversed": (wrong.wrong_grasp_reversed, ("temperature",)),
    "grasp_halves": (wrong.wrong_grasp_class_halves, ("temperature",)),
    "grasp_two_batches": (wrong.wrong_grasp_two_batches, ("temperature",)),
    "snip": (snip, ()),
    "snip_other": (snip, ()),
    "snip_per_batch": (wrong.wrong_snip_per_batch, ("batch_size",)),
    "snip_redrawn": (wrong.wrong_snip_redrawn, ()),
    "synflow": (synflow, ()),
    "synflow_train_mode": (wrong.wrong_synflow_train_mode, ()),
}


@lru_cache(maxsize=12)
def version_scores(config: Overlaps, setup: Setup, seed: int, version: str) -> dict:
    """Score a network by one version; pairs and densities share the result."""
    net = network(setup, seed)
    name = "other batch" if version.endswith("_other") else "batch"
    batch = scoring_batch(setup, seed, config.per_class, name)
    generator = draws(setup, seed, "scores")
    score, takes = VERSIONS[version]
    settings = {"temperature": config.temperature, "batch_size": len(batch[0]) // 2}
    options = {name: settings[name] for name in takes}
    return score(net, Masks.dense(net), batch, generator=generator, **options)


@lru_cache(maxsize=12)
def l2_masks(
    config: Overlaps, setup: Setup, seed: int, density: float, variant: str
) -> Masks:
    """Prune by one formula of SynFlow-L2, or by SynFlow itself, in several rounds."""
    own = {"variant": variant} if variant != "SynFlow" else {}
    return prune(
        network(setup, seed),
        synflow_l2 if own else synflow,
        density=density,
        batch=(torch.zeros(1, *load(setup.data).in_shape), None),
        rounds=config.rounds,
        progress=False,
        **own,
    )


def is_asked(config: Config, method: str) -> bool:
    """Say whether a method is to be run."""
    return not config.only or method in config.only.split(",")


def points(setup: Setup) -> list[tuple[str, str]]:
    """Return (pair, variant) of a setup; a variant begins with the network's name."""
    normed = [pair for pair in PAIRS if setup.batch_norm or pair != TRAIN_MODE]
    letters = combinations("ABCD", 2)
    return [
        *((pair, setup.net) for pair in normed),
        *(("synflow_l2", f"{setup.net} {a}-{b}") for a, b in letters),
        ("synflow_l2_b", f"{setup.net} SynFlow-B"),
    ]


def overlap_cells(config: Overlaps) -> list[dict]:
    """Every pair on every network; seeds outermost, so that runs find shared scores."""
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for seed, setup in product(range(config.seeds), config.setups)
        for method, variant in points(setup)
        for density in config.densities
        if is_asked(config, method)
    ]


def run_overlap(config: Overlaps, cell: dict) -> list[dict]:
    """Prune by both versions of a pair and compare."""
    net, _, letters = cell["variant"].partition(" ")
    (setup,) = (setup for setup in config.setups if setup.net == net)
    seed, density = cell["seed"], cell["density"]
    if letters:
        masks = [
            l2_masks(config, setup, seed, density, variant)
            for variant in letters.split("-")
        ]
    else:
        masks = [
            keep_largest(version_scores(config, setup, seed, version), density)
            for version in PAIRS[cell["method"]]
        ]
    return [{"step": 0, "iou": iou(*masks), "kept": masks[0].kept}]


def one_seed(config: Overlaps, pair: str) -> dict[str, float]:
    """Return variant -> IoU of one pair, of seed 0 at the largest density."""
    config = replace(config, seeds=1, only=pair, densities=(max(config.densities),))
    return {
        cell["variant"]: run_overlap(config, cell)[0]["iou"]
        for cell in overlap_cells(config)
    }
