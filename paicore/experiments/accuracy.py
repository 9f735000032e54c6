"""Experiments of notebook 43: does NTK-SAP train better, and because of what?

`figure1` and its two companions are the paper's Figure 1 on ResNet-20, split so that
each part can be run alone, `vgg16`, `tiny` and `table1_*` its other networks. `digits`
asks the same of six convolutions, beside masks that are shuffled inside layers.
`rounds`, `epsilons` and `draws` change one setting of the score, `cost` counts passes,
`builders` tries the networks of Table 1.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments.accuracy_arms import ARM_VALUES, Arms, arms, run_arm
from paicore.experiments.accuracy_builders import (
    BUILDER_VALUES,
    Builders,
    run_builders,
)
from paicore.experiments.accuracy_cost import COST_VALUES, Cost, cost_cells, run_cost
from paicore.experiments.paths_nets import cells
from paicore.train import RECIPES, Recipe

NOTEBOOK = "43_accuracy"
SECONDS = "seconds on 1 CPU core"
SEVEN = (
    "ntk_sap", "snip", "iterative_snip", "grasp", "synflow", "magnitude", "random"
)  # fmt: skip
ALL = ("dense", *SEVEN)
# The paper's grid: 0.8 to the power of 2, 4, ..., 18.
GRID = tuple(0.8**k for k in range(2, 19, 2))
EXTREME, TABLES, BETWEEN = (
    tuple(0.8**k for k in exponents)
    for exponents in ((14, 18), (2, 6, 10), (4, 8, 12, 16))
)
ROUNDS = (("ntk_sap", 20), ("iterative_snip", 100), ("synflow", 100))

# --- paper: settings and their letters are in `accuracy_printed` -------------------
RESNET20 = Arms(
    seeds=3, methods=ALL, densities=EXTREME, data="cifar10", net="resnet20", width=16,
    noise=100, augmented=True, rounds=ROUNDS, scoring="float32",
    recipe=RECIPES["ntk_sap_resnet20"],
)  # fmt: skip
LONG = (("ntk_sap", 100), *ROUNDS[1:])
VGG16 = replace(
    RESNET20, densities=GRID, data="cifar100", net="vgg16_bn", width=0, images=1_000,
    noise=1_000, repeats=1, rounds=LONG, recipe=RECIPES["ntk_sap_vgg16"],
)  # fmt: skip
TINY = replace(
    VGG16, data="tiny_imagenet", net="torchvision_resnet18", classes=1_000,
    images=2_000, noise=2_000,
    recipe=replace(
        RECIPES["ntk_sap_resnet20"], lr=0.2, batch=256, epochs=200,
        milestones=(100, 150),
    ),
)  # fmt: skip
IMAGENET = replace(
    TINY, seeds=1, data="imagenet", densities=(0.8**10, 0.8**14), images=10_000,
    noise=10_000,
    recipe=replace(
        RECIPES["ntk_sap_resnet20"], batch=448, epochs=90, milestones=(30, 60, 80)
    ),
)  # fmt: skip
ONE = {"methods": ("ntk_sap",), "rounds": ()}
EPSILONS = ("", "eps=2.5e-05", "eps=1e-05", "eps=1e-06")
LAST = ("ntk_sap", "T=20")
PAPER_ROUNDS = replace(
    RESNET20, **ONE, densities=GRID[4:], rival=LAST,
    variants=("T=1", "T=2", "T=4", "T=10", "T=20"),
)  # fmt: skip
PAPER_EPSILONS = replace(
    RESNET20, methods=("ntk_sap",), densities=(*TABLES, *EXTREME), variants=EPSILONS
)

# --- quick: a narrow ResNet-20 on a part of CIFAR-10, six convolutions on digits ----
NARROW = replace(
    RESNET20, densities=(0.8**14,), width=4, trained=6_400, tested=2_000,
    augmented=False, rounds=(("ntk_sap", 20), ("iterative_snip", 20), ("synflow", 100)),
    extra=(("ntk_sap", "T=1"),),
    recipe=Recipe(
        "sgd", lr=0.1, batch=32, steps=400, schedule="onecycle", weight_decay=1e-4,
        eval_every=100,
    ),
)  # fmt: skip
FEW = (0.8**8, 0.8**14, 0.8**18)
DIGITS = Arms(
    seeds=5, methods=ALL, densities=GRID, few=FEW, wide=("snip", "grasp"),
    shuffled=FEW[1:],
)  # fmt: skip
AT_DIGITS = Arms(seeds=5, densities=FEW)

# --- smoke --------------------------------------------------------------------------
SMALL = {
    "seeds": 1, "data": "digits", "trained": 64, "tested": 32, "net": "conv6",
    "width": 0, "classes": 0, "images": 16, "noise": 8, "augmented": False,
    "repeats": 1, "scoring": "float64", "few": (), "densities": (0.3,),
    "rounds": (("ntk_sap", 2), ("iterative_snip", 2), ("synflow", 3)),
    "recipe": Recipe("sgd", lr=0.1, batch=16, steps=2, eval_every=1),
}  # fmt: skip
BRIEF = {"methods": ("ntk_sap", "snip")}


class Part(NamedTuple):
    """What an experiment needs beyond its name."""

    quick: Config | None
    cost: str
    paper: Config | None = None
    paper_cost: str = "quick is the whole of it"
    smoke: dict | None = None
    cells: Callable = arms
    run: Callable = run_arm
    values: tuple[str, ...] = ARM_VALUES


NO_CPU = "none: days of CPU"
NO_DATA = "the data set is not available here"
PARTS = {
    "figure1": Part(
        NARROW, "12 min on 1 CPU core", RESNET20, "1 h on a GPU (estimate)",
        {"net": "resnet20", "width": 2},
    ),
    "figure1_lower": Part(
        replace(NARROW, methods=SEVEN, densities=(0.8**10,), extra=()),
        "11 min on 1 CPU core",
        replace(RESNET20, methods=SEVEN, densities=TABLES), "1.5 h on a GPU (estimate)",
        BRIEF,
    ),
    "figure1_between": Part(
        None, NO_CPU, replace(RESNET20, methods=SEVEN, densities=BETWEEN),
        "2 h on a GPU (estimate)", BRIEF,
    ),
    "vgg16": Part(None, NO_CPU, VGG16, "6 h on a GPU (estimate)", BRIEF),
    "tiny": Part(None, NO_DATA, TINY, f"10 h on a GPU (estimate); {NO_DATA}", BRIEF),
    "table1_resnet18": Part(
        None, NO_DATA, IMAGENET, f"3 days on a GPU (estimate); {NO_DATA}", BRIEF
    ),
    "table1_resnet50": Part(
        None, NO_DATA, replace(IMAGENET, net="torchvision_resnet50"),
        f"6 days on a GPU (estimate); {NO_DATA}", BRIEF,
    ),
    "digits": Part(DIGITS, "10 min on 1 CPU core", smoke={"shuffled": (0.3,)}),
    "rounds": Part(
        replace(AT_DIGITS, **ONE, rival=LAST, variants=PAPER_ROUNDS.variants),
        "4 min on 1 CPU core", PAPER_ROUNDS, "40 min on a GPU (estimate)",
        {"variants": ("T=1", "T=3"), "rival": ("ntk_sap", "T=3")},
    ),
    "epsilons": Part(
        replace(AT_DIGITS, densities=FEW[:2], variants=(*EPSILONS, "jvp")),
        "4 min on 1 CPU core",
        PAPER_EPSILONS, "1 h on a GPU (estimate)",
        {"variants": ("", "eps=1e-06", "jvp")},
    ),
    "draws": Part(
        replace(AT_DIGITS, variants=("", "real", "given", "R=1")),
        "4 min on 1 CPU core",
    ),
    "cost": Part(
        Cost(), SECONDS,
        smoke={"methods": ("ntk_sap", "snip"), "width": 2, "in_shape": (1, 8, 8),
               "samples": 8, "timed": 1, "scoring": "float64"},
        cells=cost_cells, run=run_cost, values=COST_VALUES,
    ),
    "builders": Part(
        Builders(), SECONDS,
        smoke={"methods": ("resnet20",), "in_shape": (1, 8, 8), "classes": 10},
        cells=cells, run=run_builders, values=BUILDER_VALUES,
    ),
}  # fmt: skip


def smoke_of(part: Part) -> Config:
    """Return the smoke form of an experiment."""
    config = part.quick or part.paper
    small = SMALL | {"shuffled": ()} if isinstance(config, Arms) else {"seeds": 1}
    return replace(config, **small | (part.smoke or {}))


def experiment(name: str, part: Part) -> Experiment:
    """Declare an experiment of this notebook."""
    profiles = {"smoke": smoke_of(part), "quick": part.quick, "paper": part.paper}
    return Experiment(
        notebook=NOTEBOOK,
        name=name,
        cells=part.cells,
        run=part.run,
        values=part.values,
        profiles={kind: config for kind, config in profiles.items() if config},
        cost={"smoke": SECONDS, "quick": part.cost, "paper": part.paper_cost},
    )


EXPERIMENTS = {name: experiment(name, part) for name, part in PARTS.items()}
