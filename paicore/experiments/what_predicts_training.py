"""Experiments of notebook 52: what can be known of a mask before it is trained?

`signs_*` measures every run of notebook 51 at its start and has what came of it,
`ranks_*` says which measure orders the masks of one density as training does, and how
well it predicts a method that was left out. `followed` follows the masked kernel of a
residual network through its training.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments.head_to_head import EXPERIMENTS as OF_51
from paicore.experiments.trace_and_training_masks import Case, cells
from paicore.experiments.what_predicts_followed import (
    FOLLOWED,
    Followed,
    run_followed,
)
from paicore.experiments.what_predicts_ranks import (
    RANKS,
    Ranks,
    rank_cells,
    run_ranks,
)
from paicore.experiments.what_predicts_runs import (
    Study,
    columns,
    run_cells,
    run_signs,
)
from paicore.train import Recipe

NOTEBOOK = "52_what_predicts_training"


class Place(NamedTuple):
    """A network on its data, and which experiments of notebook 51 have its runs.

    Attributes:
        quick: Names of the experiments that are measured in quick and smoke.
        paper: Names in paper.
        layers: Number of layers.
        seeds: Most seeds in quick.
        cost: Of `signs_*` in quick.
        ranked: Of `ranks_*`.
    """

    quick: tuple[str, ...]
    paper: tuple[str, ...]
    layers: int
    seeds: int
    cost: str
    ranked: str


def named(ground: str, *kinds: str) -> tuple[str, ...]:
    """Return names of experiments of notebook 51."""
    return tuple(f"{kind}_{ground}" for kind in kinds)


EVERY = ("primary", "transfer", "sweep")
PLACES = {
    "mnist": Place(
        named("mnist", *EVERY), named("mnist", *EVERY), 3, 8, "25 min", "5 min"
    ),
    "fashion": Place(
        named("fashion", "primary"), named("fashion", *EVERY), 5, 5, "18 min", "1 min"
    ),
    "cifar": Place(
        named("cifar", "primary"), named("cifar", "primary", "sweep"), 22, 8,
        "3 h (estimate)", "20 min (estimate)",
    ),
}  # fmt: skip


def study(ground: str, profile: str) -> Study:
    """Return the runs that a profile measures."""
    place = PLACES[ground]
    if profile == "paper":
        grounds = tuple(OF_51[name].profiles[profile] for name in place.paper)
        return Study(seeds=8, grounds=grounds, layers=place.layers)
    grounds = tuple(OF_51[name].profiles[profile] for name in place.quick)
    if profile == "quick":
        return Study(seeds=place.seeds, grounds=grounds, layers=place.layers)
    seeds = 2 if ground == "mnist" else 1
    grounds = tuple(  # a sweep has another density than the primary one
        replace(g, seeds=seeds, densities=(0.1,) if "sweep" in name else g.densities)
        for name, g in zip(place.quick, grounds, strict=True)
    )
    shape = {"seeds": seeds, "layers": place.layers, "per_class": seeds, "seen": 100}
    return Study(grounds=grounds, keep=False, **shape)


def ranks(ground: str, profile: str) -> Ranks:
    """Return the correlations of a profile's runs."""
    of = study(ground, profile)
    return Ranks(of=of, pooled=len(of.densities) > 1)


# The narrow ResNet-20 of notebook 32, on a small part of CIFAR-10.
FOLLOW = Followed(
    seeds=3,
    cases=(Case("resnet20", "cifar10", "resnet20", 4, train=1_000, test=250),),
    methods=("random", "snip", "synflow", "ntk_sap"),
    kernel=20,
    looks=(0, 5, 10, 20, 40, 80, 160),
    recipe=Recipe("sgd", lr=0.06, batch=32, steps=1),
)
FOLLOW_PAPER = replace(
    FOLLOW,
    cases=(Case("resnet20", "cifar10", "resnet20", 16),),
    kernel=50,
    looks=(0, 10, 100, 1_000, 10_000, 60_000),
    recipe=replace(FOLLOW.recipe, batch=128),
)
FOLLOW_SMOKE = replace(
    FOLLOW, seeds=1, kernel=10, looks=(0, 2, 4), per_class=2, options=(("depth", 8),),
    cases=(Case("resnet20", "digits", "resnet", 2, train=200, test=50),),
    recipe=replace(FOLLOW.recipe, batch=16),
    fewer=(("synflow", 2), ("ntk_sap", 2)),
)  # fmt: skip


def experiment(
    name: str,
    run: tuple[Callable, Callable, tuple[str, ...]],
    profiles: dict[str, Config],
    quick: str,
    paper: str,
) -> Experiment:
    """Declare an experiment of this notebook."""
    asked, runs, values = run
    cost = {"smoke": "seconds on 1 CPU core", "quick": f"{quick} on 1 CPU core",
            "paper": paper}  # fmt: skip
    return Experiment(NOTEBOOK, name, asked, runs, values, profiles, cost)


def declared() -> dict[str, Experiment]:
    """Declare all of them."""
    found = {}
    for ground, place in PLACES.items():
        for kind, make in (("signs", study), ("ranks", ranks)):
            profiles = {p: make(ground, p) for p in ("smoke", "quick", "paper")}
            run, quick = (run_cells, run_signs, columns(place.layers)), place.cost
            paper = "as notebook 51, and as long again (estimate)"
            if kind == "ranks":
                run, paper = (rank_cells, run_ranks, RANKS), "minutes after signs"
                quick = f"{place.ranked}, after signs_{ground} on the same machine,"
            name = f"{kind}_{ground}"
            found[name] = experiment(name, run, profiles, quick, paper)
    return found


EXPERIMENTS = declared() | {
    "followed": experiment(
        "followed", (cells, run_followed, FOLLOWED),
        {"smoke": FOLLOW_SMOKE, "quick": FOLLOW, "paper": FOLLOW_PAPER},
        "12 min", "1 day on a GPU (estimate)",
    )
}  # fmt: skip
