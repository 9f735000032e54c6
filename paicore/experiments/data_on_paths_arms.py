"""The masks of notebook 33: scores on paths, with and without data.

An arm is a score of the registry, its options, and the pixels it is shown. All arms of
one seed share weights, scoring images and, where a score draws, the draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config
from paicore.masks import Masks
from paicore.scores import prune
from paicore.train import Recipe

SLUG = "data_on_paths"


@dataclass(frozen=True)
class Arm:
    """One way to masks.

    Attributes:
        score: Name in SCORES; empty for the dense network.
        label: What a figure calls it.
        options: Of the score.
        is_raw: Whether it is shown pixels in [0, 1] instead of normalised ones.
        is_once: Whether it scores once, whatever the config's rounds.
    """

    score: str
    label: str
    options: Mapping[str, object] = field(default_factory=dict)
    is_raw: bool = False
    is_once: bool = False


def _dist(label: str, variant: str, statistic: str, *, is_raw: bool = True) -> Arm:
    """Return an arm whose paths are weighted by the data at their input."""
    options = {"variant": variant, "statistic": statistic}
    return Arm("synflow_dist", label, options, is_raw)


ARMS = {
    "dense": Arm("", "dense"),
    "random": Arm("random", "random", is_once=True),
    "snip": Arm("snip", "SNIP", is_once=True),
    "phew": Arm("phew", "PHEW", is_once=True),
    "synflow": Arm("synflow", "SynFlow"),
    # C uditsaxena/Synaptic-Flow: the mean, un-normalised, with SF and with A
    "synflow_dist": _dist("SynFlow-Dist", "SF", "mean"),
    "synflow_dist_square": _dist("SynFlow-Dist, mean squared", "SF", "mean_sq"),
    "synflow_dist_second": _dist("SynFlow-Dist, moment", "SF", "second_moment"),
    "l2_dist_a": _dist("L2-Dist A", "A", "mean"),
    "l2_dist_d": _dist("L2-Dist D", "D", "second_moment"),
    "l2_dist_normalised": _dist(
        "L2-Dist D, normalised", "D", "second_moment", is_raw=False
    ),
    "synflow_l2_a": Arm("synflow_l2", "SynFlow-L2 A", {"variant": "A"}),
    "synflow_l2_c": Arm("synflow_l2", "SynFlow-L2 C", {"variant": "C"}),
    "synflow_l2_d": Arm("synflow_l2", "SynFlow-L2 D", {"variant": "D"}),
    "gated_l2": Arm("gated_l2", "gated L2"),
    "px": Arm("px", "PX, official"),
    "px_ones": Arm("px", "PX, all ones", {"classifier": "ones"}),
    "px_exact": Arm("px", "PX, exact", {"variant": "exact"}),
}


@dataclass(frozen=True)
class Setting(Config):
    """A network, its images, and how it is pruned.

    Attributes:
        data: Name of the data set.
        enlarge: Factor on the sides of its images, so that digits fit a VGG.
        nets: Names of networks; variants of the experiment where there are several.
        width: Of the networks; None for their own.
        init: Of the weights; biases are zero unless it is "torch".
        methods: Names in `ARMS`.
        variants: Of the experiment; ("",) for none.
        densities: Fractions kept.
        per_class: Scoring images of each class. C uditsaxena/Synaptic-Flow: 10.
        rounds: Of the scores that prune in rounds, on the exponential schedule.
    """

    data: str = "digits"
    enlarge: int = 1
    nets: tuple[str, ...] = ("fc_100",)
    width: int | tuple[int, ...] | None = None
    init: str = "he"
    methods: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)
    densities: tuple[float, ...] = (0.1,)
    per_class: int = 10
    rounds: int = 20


@dataclass(frozen=True)
class Compared(Setting):
    """A setting, and how its networks are trained.

    Attributes:
        recipe: How all are trained.
        with_dense: Whether the unpruned network is run as well.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe("adam", lr=3e-3, steps=400))
    with_dense: bool = True


def cells(config: Setting) -> list[dict]:
    """Return every method at every density in every variant, dense ones first."""
    points = list(product(config.methods, config.densities, config.variants))
    if getattr(config, "with_dense", False):
        points = [("dense", 1.0, v) for v in config.variants] + points
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method, density, variant in points
        if not config.only or method in config.only.split(",")
        for seed in range(config.seeds)
    ]


def draws(config: Setting, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, SLUG, config.data, what)


@lru_cache(maxsize=4)
def load(name: str, enlarge: int = 1, device: str = "cpu") -> data.Dataset:
    """Load a data set once per process, each pixel repeated `enlarge` times."""
    ds = data.load(name)
    if enlarge > 1:
        pixel = torch.ones(enlarge, enlarge, dtype=torch.uint8)
        grown = {k: torch.kron(getattr(ds, k), pixel) for k in ("train_x", "test_x")}
        ds = replace(ds, **grown)
    return ds.to(device)


@lru_cache(maxsize=8)
def images(config: Setting, seed: int, *, is_raw: bool) -> tuple[Tensor, Tensor]:
    """Return the scoring images of a seed and their labels.

    Args:
        config: The setting.
        seed: Of the draw; the same images come raw and normalised.
        is_raw: Return pixels in [0, 1] instead of normalised ones.

    Returns:
        Inputs (n, c, h, w), float64, and labels (n,), balanced.
    """
    ds = load(config.data, config.enlarge, config.device)
    if is_raw:
        channels = len(ds.mean)
        ds = replace(ds, mean=(0.0,) * channels, std=(1.0,) * channels)
    count, draw = config.per_class * ds.classes, draws(config, seed, "batch")
    return data.sample(ds, count, draw, balanced=True)


def network(config: Setting, cell: Mapping) -> nn.Module:
    """Return a run's network at its initialisation."""
    ds = load(config.data, config.enlarge, config.device)
    name = cell["variant"] if cell["variant"] in config.nets else config.nets[0]
    net = nets.build(
        name,
        classes=ds.classes,
        in_shape=ds.in_shape,
        width=config.width,
        init=config.init,
        generator=draws(config, cell["seed"], f"init {name}"),
    )
    return net.to(config.device)


@lru_cache(maxsize=512)
def _masks(config: Setting, name: str, density: float, seed: int, variant: str):
    """Return the masks of one arm; others of the seed ask for them again."""
    net, arm = network(config, {"seed": seed, "variant": variant}), ARMS[name]
    rounds = {} if arm.is_once else {"rounds": config.rounds}
    return prune(
        net,
        arm.score,
        density=density,
        batch=images(config, seed, is_raw=arm.is_raw),
        generator=draws(config, seed, "scores"),
        progress=False,
        **rounds,
        **arm.options,
    )


def masks_of(config: Setting, cell: Mapping, name: str | None = None) -> Masks:
    """Return the masks of a run, or those of another arm at its seed and density."""
    name = name or cell["method"]
    if name == "dense":
        return Masks.dense(network(config, cell))
    # what leaves the masks alone is left out, so that groups find them again
    plain = replace(config, seeds=1, only="")
    return _masks(plain, name, cell["density"], cell["seed"], cell["variant"])
