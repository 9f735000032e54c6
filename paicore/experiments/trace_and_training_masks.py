"""What notebook 32 shares: cases, the networks and masks of a seed, draws.

A case is a network on a data set with its learning rates. Draws of one seed are shared
by all methods and densities, so that masks are compared in pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config
from paicore.masks import Masks
from paicore.scores import prune

NAME = "trace_and_training"
SHUFFLED = " shuffled"  # ends the variant of a mask permuted inside its layers
# Method to score and options; GraSP's temperature is part of what it is.
PRUNERS = {
    "random": ("random", {}),
    "magnitude": ("magnitude", {}),
    "snip": ("snip", {}),
    "grasp": ("grasp", {"temperature": 200.0}),
    "grasp_t1": ("grasp", {"temperature": 1.0}),
    "grasp_fork": ("grasp", {"temperature": 200.0, "sign": "fork"}),
    "grasp_fork_t1": ("grasp", {"temperature": 1.0, "sign": "fork"}),
    "synflow": ("synflow", {}),
    "synflow_l2_a": ("synflow_l2", {"variant": "A"}),
    "synflow_l2": ("synflow_l2", {"variant": "C"}),
    "synflow_l2_d": ("synflow_l2", {"variant": "D"}),
    "synflow_l2_e": ("synflow_l2", {"variant": "E"}),
    "synflow_dist": ("synflow_dist", {}),
    "synflow_l2_dist": ("synflow_dist", {"variant": "D"}),
    "synflow_l2_a_dist": ("synflow_dist", {"variant": "A"}),
}


@dataclass(frozen=True)
class Case:
    """A network on a data set, and the learning rates it is trained with.

    Attributes:
        name: Of the case; the variant of its rows.
        data: Name of the data set.
        net: Name of the network.
        width: Of the network; None for its own.
        depth: Likewise.
        bias: Likewise.
        init: As in `nets.build`; "torch" draws biases, the others have zeros.
        train: Number of training images; None for all.
        test: Likewise of test images.
        rates: Grid of learning rates, rising.
        fixed: The one rate for all masks, one of `rates`.
    """

    name: str
    data: str = "digits"
    net: str = "mlp"
    width: int | None = 64
    depth: int | None = None
    bias: bool | None = None
    init: str = "he"
    train: int | None = None
    test: int | None = None
    rates: tuple[float, ...] = (0.02,)
    fixed: float = 0.02


@dataclass(frozen=True)
class Pruning(Config):
    """Which masks are drawn, of which networks.

    Attributes:
        cases: The networks.
        methods: Names in `PRUNERS`, or "dense".
        densities: Fractions kept.
        few: Pairs (name of a case, number of seeds) for cases that have fewer.
        shuffled: Whether every mask comes a second time, permuted inside its layers.
        rounds: Of the iterative scores; SNIP, GraSP and magnitude have one.
        per_class: Scoring images of each class.
    """

    cases: tuple[Case, ...] = ()
    methods: tuple[str, ...] = ()
    densities: tuple[float, ...] = (0.1,)
    few: tuple[tuple[str, int], ...] = ()
    shuffled: bool = False
    rounds: int = 20
    per_class: int = 10

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets, case by case; claims require them."""
        return tuple(case.data for case in self.cases)

    @property
    def widths(self) -> tuple[int | None, ...]:
        """Widths of the networks, case by case; claims require them."""
        return tuple(case.width for case in self.cases)


class Place(NamedTuple):
    """A mask's name in a seed: method, density, and whether it is shuffled."""

    method: str
    density: float
    shuffled: bool


def cells(config: Pruning) -> list[dict]:
    """Every mask of every case, dense networks once."""
    few, found = dict(config.few), []
    for case, place in product(config.cases, places(config)):
        if config.only and place.method not in config.only.split(","):
            continue
        variant = case.name + SHUFFLED * place.shuffled
        found += [
            {"method": place.method, "density": place.density, "seed": seed,
             "variant": variant}
            for seed in range(min(config.seeds, few.get(case.name, config.seeds)))
        ]  # fmt: skip
    return found


def places(config: Pruning) -> list[Place]:
    """Return the masks of one case and seed, in order."""
    found = []
    for method in config.methods:
        if method == "dense":
            found.append(Place(method, 1.0, False))
            continue
        kinds = (False, True) if config.shuffled else (False,)
        found += [Place(method, d, kind) for d in config.densities for kind in kinds]
    return found


def case_of(config: Pruning, variant: str) -> Case:
    """Return the case that a variant names, shuffled or not."""
    name = variant.removesuffix(SHUFFLED)
    return next(case for case in config.cases if case.name == name)


def draws(case: Case, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; method and width are left out."""
    return seeds.generator(seed, NAME, case.data, case.net, what)


@lru_cache(maxsize=2)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def network(case: Case, seed: int) -> nn.Module:
    """Return the network at its initialisation, float32."""
    ds = load(case.data)
    given = {"width": case.width, "depth": case.depth, "bias": case.bias}
    return nets.build(
        case.net, classes=ds.classes, in_shape=ds.in_shape, init=case.init,
        generator=draws(case, seed, f"init {case.width}"),
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def scoring_batch(config: Pruning, case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Return the images that scores see, as many of each class."""
    ds = load(case.data)
    count, draw = config.per_class * ds.classes, draws(case, seed, "batch")
    return data.sample(ds, count, draw, balanced=True)


def pruned(
    config: Pruning, case: Case, seed: int, method: str, density: float
) -> Masks:
    """Return the masks of a method; "dense" keeps everything.

    Conventions: scores see normalised images, but the mean image of SynFlow-Dist is
    one of raw pixels. One draw of random numbers serves all densities.
    """
    net = network(case, seed)
    if method == "dense":
        return Masks.dense(net)
    score, options = PRUNERS[method]
    batch = scoring_batch(config, case, seed)
    if score.startswith("synflow"):
        options = {**options, "rounds": config.rounds}
    if score == "synflow_dist":
        images = len(batch[1]), draws(case, seed, "mean image")
        options["input_weights"] = data.mean_image(load(case.data), *images)
    return prune(
        net, score, density=density, batch=batch,
        generator=draws(case, seed, "mask"), progress=False, **options,
    )  # fmt: skip


def all_masks(config: Pruning, case: Case, seed: int) -> Iterator[tuple[Place, Masks]]:
    """Yield every mask of a case and seed; a shuffled one follows its own."""
    own = None
    for place in places(config):
        if place.shuffled:
            what = f"shuffle {place.method} {place.density:.9g}"
            yield place, own.shuffled(draws(case, seed, what))
        else:
            own = pruned(config, case, seed, place.method, place.density)
            yield place, own
