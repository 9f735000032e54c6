"""Every run of notebook 51 with what was measured before it and what came of it.

Networks, masks, recipes and draws are those of notebook 51. The images that kernels are
taken on are drawn for each seed, apart from those that scores have seen.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
from torch import Tensor, nn

from paicore import data
from paicore.experiments import Config
from paicore.experiments.head_to_head_ground import (
    Ground,
    begun,
    cells,
    draws,
    images,
    network,
)
from paicore.experiments.head_to_head_training import trained
from paicore.experiments.matching_a_teacher_students import kept
from paicore.experiments.what_predicts_signs import (
    SIGNS,
    log_densities,
    of_kernel,
    signs,
    start_of,
)
from paicore.masks import Masks
from paicore.train import evaluate

NAME = "what_predicts"
OUTCOMES = ("final_loss", "mean_loss", "accuracy")
# What a ground's runs have in common does not decide what one of them gives.
NOT_OF_A_RUN = ("seeds", "only", "device", "keep", "methods", "densities", "variants",
                "rates", "tries", "split")  # fmt: skip

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Study(Config):
    """Runs of notebook 51, and how they are measured.

    Attributes:
        grounds: Its settings, the primary one first, all of one network; a run that two
            of them have counts once.
        per_class: Images of each class that kernels are taken on.
        seen: Training images that the final training loss is taken on, the first ones.
        layers: Number of layers that have a column of their own.
        keep: Whether what was measured is kept under ``build/students``.
    """

    grounds: tuple[Ground, ...] = ()
    per_class: int = 10
    seen: int = 10_000
    layers: int = 3
    keep: bool = True

    @property
    def data(self) -> str:
        """Name of the data set; claims require it."""
        return self.grounds[0].data

    @property
    def net(self) -> str:
        """Name of the network; claims require it."""
        return self.grounds[0].net

    @property
    def densities(self) -> tuple[float, ...]:
        """All densities, falling; claims require them."""
        return tuple(sorted({d for g in self.grounds for d in g.densities}, reverse=1))

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods, in order."""
        return tuple(dict.fromkeys(m for g in self.grounds for m in g.methods))


def columns(layers: int) -> tuple[str, ...]:
    """Return the value columns of a network with so many layers."""
    return (*SIGNS, *OUTCOMES, *layer_names(layers))


def layer_names(layers: int) -> tuple[str, ...]:
    """Return the columns of layer densities."""
    return tuple(f"layer_{k}" for k in range(1, layers + 1))


def run_cells(config: Study) -> list[dict]:
    """Every run of every ground, each once; a ground has its own number of seeds."""
    found = {}
    for ground in config.grounds:
        seeds = min(config.seeds, ground.seeds)
        for cell in cells(replace(ground, seeds=seeds, only=config.only)):
            found.setdefault((cell["method"], cell["density"], cell["seed"]), cell)
    return list(found.values())


def run_signs(config: Study, cell: Mapping) -> list[dict]:
    """Measure one run before training, and fetch what came of it.

    Returns:
        One row of `columns`. "final_loss" is the cross-entropy after training on the
        first training images, "mean_loss" the mean over the steps of training,
        "accuracy" that on the test images, a fraction; the last two are notebook 51's
        numbers. A run that diverged counts as one that learnt nothing. "layer_1" and so
        on are decimal logarithms of layer densities, nan for layers that do not exist.
    """
    row = measured(config, cell["method"], cell["density"], cell["seed"])
    return [{"step": 0, **row}]


@lru_cache(maxsize=4096)
def measured(
    config: Study, method: str, density: float, seed: int
) -> Mapping[str, float]:
    """Return the row of a run, measured once."""
    config = replace(config, seeds=1, only="")
    ground = ground_of(config, method, density)
    plain = {k: v for k, v in asdict(ground).items() if k not in NOT_OF_A_RUN}
    what = NAME, plain, config.per_class, config.seen, config.layers
    found = kept(
        config.keep,
        (*what, method, density, seed),
        tuple(network(ground, seed, method).parameters()),
        lambda: _measure(config, ground, method, density, seed),
    )
    return {name: float(value) for name, value in found.items()}


def ground_of(config: Study, method: str, density: float) -> Ground:
    """Return the first ground that has a run."""
    for ground in config.grounds:
        dense = method == "dense" and density == 1
        if method in ground.methods and (dense or density in ground.densities):
            return replace(ground, device=config.device)
    raise ValueError(f"method, density: no ground has {method} at {density:g}")


def _measure(
    config: Study, ground: Ground, method: str, density: float, seed: int
) -> dict[str, float]:
    """Measure a network, then train it."""
    net, masks = begun(ground, method, density, seed)
    batch, count = probe(config, ground, seed), len(images(ground).train_y)
    largest = dense_largest(config, ground, seed)
    found = signs(net, masks, batch, ground.recipe, count, largest)
    shape = log_densities(masks)
    layers = shape + [math.nan] * (config.layers - len(shape))
    found |= dict(zip(layer_names(config.layers), layers, strict=True))
    return found | outcome(config, ground, net, masks, seed)


def probe(config: Study, ground: Ground, seed: int) -> tuple[Tensor, Tensor]:
    """Return the images of a seed that kernels are taken on, as many of each class."""
    ds = images(ground)
    draw = draws(ground, seed, "probe")
    return data.sample(ds, config.per_class * ds.classes, draw, balanced=True)


@lru_cache(maxsize=64)
def dense_largest(config: Study, ground: Ground, seed: int) -> float:
    """Return the largest eigenvalue of K / n of a seed's dense network."""
    net = network(ground, seed)
    x, labels = probe(config, ground, seed)
    gram = start_of(net, Masks.dense(net), (x, labels)).gram
    return of_kernel(gram, labels)["largest"]


def outcome(
    config: Study, ground: Ground, net: nn.Module, masks: Masks, seed: int
) -> dict[str, float]:
    """Train a network as notebook 51 does, in place, and look at it afterwards.

    Returns:
        `OUTCOMES`.
    """
    ds = images(ground)
    alone = replace(ground, keep=False)  # so that the network is there afterwards
    found = trained(alone, net, masks, seed, ground.recipe.lr)
    if math.isnan(found["correct"]):
        lost = math.log(ds.classes)
        return dict(zip(OUTCOMES, (lost, lost, 1 / ds.classes), strict=True))
    x, y = ds.train_x[: config.seen], ds.train_y[: config.seen]
    final = evaluate(net, replace(ds, test_x=x, test_y=y)).loss
    accuracy = found["correct"] / len(ds.test_y)
    return dict(zip(OUTCOMES, (final, found["train_loss"], accuracy), strict=True))


def tables(config: Study, density: float, seeds: int) -> list[Table]:
    """Return the masks of one density, a table for each seed; dense is not among them.

    Returns:
        Column to array over the masks: "method", "density" and `columns`.
    """
    found = []
    for seed in range(seeds):
        ran = [
            cell["method"]
            for cell in run_cells(replace(config, seeds=seeds))
            if (cell["density"], cell["seed"]) == (density, seed)
            if cell["method"] != "dense"
        ]
        rows = [measured(config, method, density, seed) for method in ran]
        table = {name: np.array([r[name] for r in rows]) for name in rows[0]}
        places = {"method": np.array(ran), "density": np.full(len(ran), density)}
        found.append(places | table)
    return found


def seeds_of(config: Study, density: float) -> int:
    """Return how many seeds there are at a density."""
    most = max(g.seeds for g in config.grounds if density in g.densities)
    return min(config.seeds, most)
