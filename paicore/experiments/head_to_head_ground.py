"""The equal ground of notebook 51: network, data, counts and draws of every method.

All methods of one seed share initial weights, scoring images, training data and their
order, and keep equally many weights. A method adds a mask; Neural Tangent Transfer
also adds weights, and SBP-SR the factor on residual branches.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config
from paicore.experiments.matching_a_teacher_students import (
    Phase,
    Setting,
    Student,
    student,
)
from paicore.masks import Masks
from paicore.scores import SBP_SR, prune
from paicore.train import Recipe

NAME = "head_to_head"
SCORED = (
    "random", "erk", "magnitude", "snip", "iterative_snip", "force", "grasp", "synflow",
    "synflow_l2", "synflow_dist", "gated_l2", "px", "phew", "ntk_sap",
)  # fmt: skip
TRANSFERS = ("ntt_masked", "ntt_ambient")
# The masked steps cost a half of the ambient ones; released: 18,720, at 5e-4.
AMBIENT = Phase(steps=1_500, lr=2e-3, frequency=50, log_every=1_500)
MASKED = Phase(steps=400, lr=2e-3, frequency=50, log_every=400)
SHORT = Recipe("adam", lr=1e-3, batch=64, steps=1_200)


@dataclass(frozen=True)
class Ground(Config):
    """A network on a data set, how it is pruned, and how it is trained.

    Attributes:
        data: Name of the data set.
        net: Name of the network, with He's initialisation and zero biases.
        width: Of the network; None for its own.
        options: Pairs of a further option of the network and its value.
        trained: Number of training images; None for all.
        tested: Number of test images; None for all.
        held: Training images at the end that take the place of the test images, which
            are then out of reach; 0 for none.
        methods: Names in SCORES, "sbp_sr", of `TRANSFERS`, or "dense".
        densities: Fractions kept.
        variants: Parts, see `head_to_head_parts`; ("",) for none.
        per_class: Scoring images of each class, in one balanced batch. C
            alecwangcq/GraSP, YiteWang/NTK-SAP: 10.
        rounds: Pairs of a method and its number of rounds; others have their own.
        temperature: Of GraSP. C alecwangcq/GraSP: 200.
        recipe: How all networks are trained; its rate is the common one.
        rates: Learning rates that are tried, the least first.
        tries: Seeds that each rate is tried with.
        split: What `held` is while rates are tried.
        matched: Training images of the transfer, whose labels are not read.
        phase: How students are matched.
        masked: The same for "ntt_masked" where that differs.
        keep: Whether what was trained is kept under ``build/students``.
    """

    data: str = "mnist"
    net: str = "lenet_300_100"
    width: int | tuple[int, ...] | None = None
    options: tuple[tuple[str, bool | int], ...] = ()
    trained: int | None = None
    tested: int | None = None
    held: int = 0
    methods: tuple[str, ...] = ("dense", *SCORED)
    densities: tuple[float, ...] = (0.03,)
    variants: tuple[str, ...] = ("",)
    per_class: int = 10
    rounds: tuple[tuple[str, int], ...] = ()
    temperature: float = 200.0
    recipe: Recipe = SHORT
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    tries: int = 2
    split: int = 6_000
    matched: int | None = 8_000
    phase: Phase = AMBIENT
    masked: Phase | None = MASKED
    keep: bool = True


def cells(config: Ground) -> list[dict]:
    """Every method at every density for every seed, variants last; dense once."""
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method in config.methods
        if method in only
        for density in ((1.0,) if method == "dense" else config.densities)
        for seed in range(config.seeds)
        for variant in config.variants
    ]


def draws(config: Ground, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, NAME, config.data, config.net, what)


def images(config: Ground) -> data.Dataset:
    """Return the images of a setting; its test part is what accuracy is measured on."""
    return _images(config.data, config.trained, config.tested, config.held)


@lru_cache(maxsize=4)
def _images(name: str, trained: int | None, tested: int | None, held: int):
    """Load a data set once per process."""
    ds = data.load(name).subset(trained, tested)
    return held_out(ds, held) if held else ds


def held_out(ds: data.Dataset, held: int) -> data.Dataset:
    """Return a data set whose test part is the end of the training part."""
    n = len(ds.train_y) - held
    return replace(
        ds, train_x=ds.train_x[:n], train_y=ds.train_y[:n],
        test_x=ds.train_x[n:], test_y=ds.train_y[n:],
    )  # fmt: skip


def network(
    config: Ground, seed: int, method: str = "", what: str = "init"
) -> nn.Module:
    """Return a seed's network before pruning; "sbp_sr" has the same weights."""
    ds, options = images(config), dict(config.options)
    if method == "sbp_sr":
        options["stable"] = True
    return nets.build(
        config.net, classes=ds.classes, in_shape=ds.in_shape, width=config.width,
        generator=draws(config, seed, what), **options,
    )  # fmt: skip


def scoring_batch(config: Ground, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the labelled images of a seed that scores may look at, float64."""
    ds = images(config)
    count, g = config.per_class * ds.classes, draws(config, seed, "batch")
    return data.sample(ds, count, g, balanced=True)


def options_of(config: Ground, method: str, seed: int) -> dict:
    """Return what `prune` is told beyond density, batch and generator."""
    options: dict = {"grasp": {"temperature": config.temperature}}.get(method, {})
    if method == "synflow_dist":  # raw pixels, so that no weight is negative
        ds, g = images(config), draws(config, seed, "mean image")
        mean = data.mean_image(ds, config.per_class * ds.classes, g)
        options = {"input_weights": mean}
    rounds = dict(config.rounds)
    return options | ({"rounds": rounds[method]} if method in rounds else {})


@lru_cache(maxsize=64)
def masks_of(config: Ground, method: str, density: float, seed: int) -> Masks:
    """Return the masks of a run; those of "dense" keep everything."""
    if method in TRANSFERS:
        return matched(config, method, density, seed).masks
    net = network(config, seed, method)
    if method == "dense":
        return Masks.dense(net)
    return prune(
        net,
        SBP_SR if method == "sbp_sr" else method,
        density=density,
        batch=scoring_batch(config, seed),
        generator=draws(config, seed, "scores"),
        progress=False,
        **options_of(config, method, seed),
    )


@lru_cache(maxsize=4)
def matched(config: Ground, method: str, density: float, seed: int) -> Student:
    """Return the student of a transfer whose teacher is the seed's network.

    Conventions: every layer keeps the same fraction, as in the released code.
    """
    setting = Setting(
        data=config.data, net=config.net, matched=config.matched, keep=config.keep,
        phase=config.phase, masked=config.masked, device=config.device,
    )  # fmt: skip
    cell = {"method": method, "density": density, "seed": seed}
    return student(setting, network(config, seed), cell)


def begun(
    config: Ground, method: str, density: float, seed: int
) -> tuple[nn.Module, Masks]:
    """Return network and masks before training; pruned weights are not zeroed yet."""
    net = network(config, seed, method)
    masks = masks_of(config, method, density, seed)
    if method in TRANSFERS:
        theta = matched(config, method, density, seed).theta
        net.load_state_dict(theta, strict=False)
    return net, masks
