"""Experiments of Robust Pruning: Stable ResNets and SBP-SR.

`growth`, `edges` and `dense` check Theorem 2 and Propositions 2 and 3 without batch
norm. `layers` is Figures 2 and 4, `sweep` the branch factor, both at initialisation.
`tables` is a miniature of Tables 1, 2 and 9, `after_training` a control for its "obd",
`crossed` tells mask from function, `factors` trains other branch factors. `vgg` looks
at the networks of Table 5. The last six are the tables themselves, declared for GPUs.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments import stable_resnet_arms as arms
from paicore.experiments import stable_resnet_layers as layers
from paicore.experiments import stable_resnet_theory as theory
from paicore.experiments import stable_resnet_vgg as vgg
from paicore.train import RECIPES

NOTEBOOK = "13_stable_resnet"
SECONDS = "seconds on 1 CPU core"
MINUTES = "{} min on 1 CPU core"
WHOLE = "the quick profile is the whole experiment"
FACTORS = ("1", "0.5", "stable", "0.1", "0.03")

ARMS = (
    "random", "random_stable", "magnitude", "magnitude_stable", "snip", "sbp_sr",
    "grasp", "grasp_stable", "synflow", "obd",
)  # fmt: skip
TANH = ("random", "snip", "synflow", "sbp_sr")
PAIR = ("snip", "sbp_sr")
DENSE = ("dense", "dense_stable")
RIVALS = ("random", "snip", "grasp", "grasp_stable", "synflow", "sbp_sr")

TABLES = arms.Trained(
    seeds=5,
    methods=(*DENSE, *ARMS),
    places=(
        ("resnet32 relu", (*DENSE, *ARMS), (0.05, 0.02, 0.01)),
        ("resnet32 tanh", (*DENSE, *TANH), (0.05, 0.02, 0.01)),
    ),
)
AFTER = replace(
    TABLES, methods=("magnitude_trained",),
    places=(("resnet32 relu", ("magnitude_trained",), (0.05, 0.02, 0.01)),),
)  # fmt: skip
CROSSED = replace(
    TABLES, plan="crossed", methods=("plain", "stable"),
    places=(("plain", ("plain", "stable"), (0.01,)),
            ("stable", ("plain", "stable"), (0.01,))),
)  # fmt: skip
SWEPT = replace(
    TABLES, plan="factors", methods=("snip",),
    places=tuple((factor, ("snip",), (0.01,)) for factor in FACTORS),
)  # fmt: skip

# The tables of the paper, as recalled: GraSP's set-up, twice the filters, three runs.
_NETS = ("resnet32", "resnet50", "resnet104")
_LESS = (0.1, 0.05, 0.02)
_GRASP = RECIPES["grasp_resnet"]
TABLE_1 = replace(
    TABLES, seeds=3, data="cifar10", width=32, recipe=_GRASP,
    methods=(*RIVALS, "obd"),
    places=(
        ("resnet32 relu", ("obd",), _LESS),
        *((f"{net} relu", RIVALS, _LESS) for net in _NETS),
    ),
)  # fmt: skip
TABLE_2 = replace(
    TABLE_1, data="cifar100",
    recipe=replace(_GRASP, epochs=250, milestones=(125, 187)),
)  # fmt: skip
TABLE_9 = replace(
    TABLE_1, methods=PAIR,
    places=tuple(
        (f"{net} {phi}", PAIR, (0.1, 0.02, 0.005, 0.001))
        for net in _NETS[:2] for phi in ("relu", "tanh")
    ),
)  # fmt: skip
TABLE_3 = replace(
    TABLE_1, data="tiny_imagenet", methods=("snip", "grasp", "synflow", "sbp_sr"),
    recipe=replace(_GRASP, epochs=300, milestones=(150, 225)),
    places=tuple((f"{net} relu", ("snip", "grasp", "synflow", "sbp_sr"),
                  (0.15, 0.1, 0.05)) for net in _NETS),
)  # fmt: skip
TABLE_8 = replace(
    TABLE_3, seeds=1, data="imagenet", width=64,
    recipe=replace(_GRASP, batch=256, epochs=90, milestones=(30, 60, 80)),
    places=(("torchvision_resnet50 relu", TABLE_3.methods, (0.15, 0.1, 0.05)),),
)  # fmt: skip
TABLE_5 = replace(
    TABLE_1, width=64, recipe=RECIPES["grasp_vgg19"],
    methods=("snip", "synflow", "rescaled"),
    places=tuple((f"{net} relu", ("snip", "synflow", "rescaled"), (0.15, 0.1, 0.05))
                 for net in ("vgg16", "vgg16x3")),
)  # fmt: skip

_BRIEF = replace(arms.SHORT, batch=16, steps=2, eval_every=2)
_TINY = {"seeds": 1, "data": "digits", "net": "resnet", "depth": 8, "width": 2,
         "batch": 20}  # fmt: skip


def brief(config: arms.Trained, places: tuple | None = None) -> arms.Trained:
    """Return the smoke form of a trained config: an 8-layer ResNet, two steps."""
    found = places or tuple(
        (variant, methods, densities[:1]) for variant, methods, densities in
        config.places
    )  # fmt: skip
    return replace(config, **_TINY, places=found, recipe=_BRIEF)


def one(config: arms.Trained) -> arms.Trained:
    """Return the smoke form of a paper's table: its methods at one place."""
    return brief(config, (("resnet relu", config.methods, (0.1,)),))


class Part(NamedTuple):
    """What an experiment needs beyond its name."""

    module: object
    run: Callable
    values: tuple[str, ...]
    smoke: Config
    quick: Config | None
    cost: str = SECONDS
    paper: Config | None = None
    paper_cost: str = WHOLE
    together: Callable[[Config, dict], Hashable] | None = None


def _trained(smoke: Config, quick: Config | None, *rest) -> Part:
    """Describe an experiment that trains."""
    return Part(
        arms, arms.run_trained, arms.TRAINED_VALUES, smoke, quick, *rest,
        together=arms.together,
    )  # fmt: skip


def _table(paper: arms.Trained, cost: str) -> Part:
    """Describe one of the paper's tables."""
    return _trained(one(paper), None, "none: hours of CPU per run", paper, cost)


LAYERS = layers.Layers(seeds=5)
SWEEP = layers.Layers(
    seeds=5, methods=("resnet32", "resnet104"), variants=FACTORS,
    densities=(0.1, 0.05, 0.02, 0.01), data="digits", width=8,
)  # fmt: skip
GROWTH, DEEP = theory.Growth(seeds=5), theory.Dense(seeds=5)
EDGES, VGG = theory.Edges(), vgg.Vgg(seeds=5)
_SMALL = replace(LAYERS, **_TINY, densities=(0.1, 0.02))
PARTS = {
    "growth": Part(
        theory, theory.run_growth, theory.GROWTH_VALUES,
        replace(GROWTH, seeds=1, depths=(3, 6), width=20, draws=2), GROWTH,
        MINUTES.format(1),
    ),
    "edges": Part(theory, theory.run_edges, theory.EDGE_VALUES,
                  replace(EDGES, depth=200), EDGES),
    "dense": Part(
        theory, theory.run_dense, theory.DENSE_VALUES,
        replace(DEEP, seeds=1, methods=("6", "12"), width=20, batch=10), DEEP,
        MINUTES.format(1), together=theory.together,
    ),
    "layers": Part(
        layers, layers.run_layers, layers.LAYER_VALUES, _SMALL, LAYERS,
        MINUTES.format(2), replace(LAYERS, width=32), "10 min on 1 CPU core",
        layers.together,
    ),
    "sweep": Part(
        layers, layers.run_sweep, layers.LOOK_VALUES,
        replace(_SMALL, methods=("resnet",), variants=FACTORS), SWEEP,
        MINUTES.format(1), together=layers.together,
    ),
    "tables": _trained(
        brief(TABLES, (("resnet relu", (*DENSE, *ARMS), (0.1,)),
                       ("resnet tanh", (*DENSE, *TANH), (0.1,)))),
        TABLES, MINUTES.format("15 to 30"),
    ),
    "after_training": _trained(one(AFTER), AFTER, MINUTES.format(2)),
    "crossed": _trained(brief(CROSSED), CROSSED, MINUTES.format(2)),
    "factors": _trained(brief(SWEPT), SWEPT, MINUTES.format(2)),
    "vgg": Part(
        vgg, vgg.run_vgg, vgg.VGG_VALUES,
        replace(VGG, seeds=1, data="digits", enlarge=4, width=2, densities=(0.1,),
                batch=4),
        VGG, MINUTES.format(2), together=vgg.together,
    ),
    "table_1": _table(TABLE_1, "200 h on a GPU (estimate)"),
    "table_2": _table(TABLE_2, "300 h on a GPU (estimate)"),
    "table_9": _table(TABLE_9, "80 h on a GPU (estimate)"),
    "table_3": _table(TABLE_3, "1,600 h on a GPU (estimate)"),
    "table_5": _table(TABLE_5, "40 h on a GPU (estimate)"),
    "table_8": _table(TABLE_8, "500 h on GPUs (estimate)"),
}  # fmt: skip


def experiment(name: str, part: Part) -> Experiment:
    """Declare an experiment of this notebook."""
    profiles = {"smoke": part.smoke, "quick": part.quick, "paper": part.paper}
    profiles = {key: config for key, config in profiles.items() if config}
    costs = {"smoke": SECONDS, "quick": part.cost, "paper": part.paper_cost}
    return Experiment(
        NOTEBOOK, name, part.module.cells, part.run, part.values, profiles, costs,
        part.together,
    )  # fmt: skip


EXPERIMENTS = {name: experiment(name, part) for name, part in PARTS.items()}
