"""Experiments of notebook 51: every method on the same ground.

Three networks, each with experiments of its own: `primary_*` compares all scores at
one density and one learning rate, `transfer_*` has Neural Tangent Transfer beside
rivals, `sweep_*` the other densities, `tuned_*` a learning rate per method, chosen on
held-out training images. On MNIST `parts_mnist` and `transfer_parts_mnist` say where
the gain comes from, and `cost` counts forward passes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments.head_to_head_cost import (
    COST,
    Cost,
    cost_cells,
    run_cost,
)
from paicore.experiments.head_to_head_ground import (
    SCORED,
    TRANSFERS,
    Ground,
    cells,
)
from paicore.experiments.head_to_head_parts import (
    OF_TRANSFER,
    PART,
    PARTS,
    run_part,
)
from paicore.experiments.head_to_head_training import (
    ARM,
    HELD,
    run_common,
    run_tuned,
)
from paicore.experiments.matching_a_teacher_students import Phase
from paicore.train import RECIPES, Recipe

NOTEBOOK = "51_head_to_head"
PRIMARY = 0.03  # the density of the primary comparison, declared in the claims file
RIVALS = ("random", "magnitude", "snip")
ITERATIVE = ("iterative_snip", "gated_l2", "px")  # 100 rounds over all images
SECOND = 0.01

# --- quick: the papers' small networks, short training -----------------------------
MNIST = Ground(seeds=8, densities=(PRIMARY,))
FASHION = replace(
    MNIST, data="fashion_mnist", net="lenet5",
    recipe=Recipe("adam", lr=1e-3, batch=64, steps=300),
    phase=Phase(steps=300, batch=16, lr=2e-3, frequency=25, l2=1e-5, log_every=300),
    masked=None,
)  # fmt: skip
CIFAR = replace(
    MNIST, data="cifar10", net="resnet20", width=4, tested=2_000, densities=(0.02,),
    methods=("dense", *SCORED, "sbp_sr"),
    rounds=tuple((name, 20) for name in ITERATIVE),
    recipe=Recipe(
        "sgd", lr=0.1, batch=32, steps=200, schedule="onecycle", weight_decay=1e-4
    ),
    rates=(0.03, 0.1, 0.3),
    phase=Phase(
        steps=80, batch=16, lr=2e-3, frequency=20, l2=1e-5, estimator="probe",
        probes=2, log_every=80,
    ),
    masked=None, matched=4_000,
)  # fmt: skip
STUDENTS = {"methods": (*TRANSFERS, *RIVALS)}
# With batch norm the kernel of a masked network is far from any teacher's.
PLAIN = {**STUDENTS, "options": (("batch_norm", False),)}
LESS = {"seeds": 3, "densities": (0.1, 0.01, 0.003)}
FEWER = {  # quick only, so that each network takes an hour on two cores
    ("tuned", "fashion"): {"seeds": 3},
    ("sweep", "fashion"): {"seeds": 2, "densities": (0.1, 0.01)},
    ("transfer", "cifar"): {"seeds": 3},
    ("tuned", "cifar"): {"seeds": 3},
    ("sweep", "cifar"): {"seeds": 2, "densities": (0.1, 0.005)},
}
ANALYSED = {"seeds": 5, "densities": (PRIMARY, SECOND)}
PHASES = tuple(
    (ground.net, method, (method == "ntt_masked" and ground.masked) or ground.phase)
    for ground in (MNIST, FASHION, CIFAR)
    for method in TRANSFERS
)

# --- paper: full widths, the authors' recipes ---------------------------------------
LONG = {"recipe": RECIPES["ntt_supervised"], "matched": None, "masked": None}
MNIST_PAPER = replace(MNIST, **LONG, phase=Phase())
FASHION_PAPER = replace(FASHION, **LONG, phase=Phase(batch=64, l2=1e-5))
CIFAR_PAPER = replace(
    CIFAR, width=16, tested=None, rounds=(), recipe=RECIPES["ntk_sap_resnet20"],
    matched=None,
    phase=replace(CIFAR.phase, steps=5_000, batch=64, probes=4, frequency=100),
)  # fmt: skip

# --- smoke: digits and tiny networks ------------------------------------------------
_TINY = {
    "data": "digits", "trained": 200, "tested": 50, "densities": (0.2,),
    "per_class": 2, "keep": False, "split": 60, "tries": 1, "matched": 32,
    "rounds": tuple(
        (name, 2) for name in (*ITERATIVE, "force", "synflow", "synflow_l2",
                               "synflow_dist", "ntk_sap")
    ),
}  # fmt: skip
_NETS = {
    "mnist": {"net": "mlp", "width": (16, 12)},
    "fashion": {"net": "conv2", "width": 2},
    "cifar": {"net": "resnet", "width": 2},
}


def tiny(name: str, config: Ground) -> Ground:
    """Return a setting that takes seconds."""
    ground = next(key for key in _NETS if name.endswith(key))
    depth = (("depth", 8),) if ground == "cifar" else ()
    short = {"steps": 2, "batch": 4, "frequency": 1, "log_every": 2}
    paired = name in ("primary_mnist", "transfer_mnist")
    changes = {**_TINY, "seeds": 2 if paired else 1}
    return replace(
        config, **changes, **_NETS[ground], options=config.options + depth,
        recipe=replace(config.recipe, batch=16, steps=4),
        phase=replace(config.phase, **short), masked=None,
    )  # fmt: skip


class Kind(NamedTuple):
    """What experiments of one kind share."""

    run: Callable
    values: tuple[str, ...]
    change: dict
    cost: dict[str, str]


COMMON = (run_common, ARM)
PRIMARY_COST = {"mnist": "6 min", "fashion": "25 min", "cifar": "30 min"}
SWEEP_COST = {"mnist": "7 min", "fashion": "12 min", "cifar": "20 min"}
KINDS = {
    "primary": Kind(*COMMON, {}, PRIMARY_COST),
    "transfer": Kind(
        *COMMON, STUDENTS, {"mnist": "8 min", "fashion": "60 min", "cifar": "25 min"}
    ),
    "sweep": Kind(*COMMON, LESS, SWEEP_COST),
    "tuned": Kind(
        run_tuned, (*ARM, *HELD), {},
        {"mnist": "10 min", "fashion": "25 min", "cifar": "35 min"},
    ),
    "parts": Kind(
        run_part, PART,
        {**ANALYSED, "methods": SCORED, "variants": tuple(PARTS)}, {"mnist": "36 min"},
    ),
    "transfer_parts": Kind(
        run_part, PART,
        {**ANALYSED, "methods": TRANSFERS, "variants": tuple(OF_TRANSFER)},
        {"mnist": "8 min"},
    ),
}  # fmt: skip
GROUNDS = {
    "mnist": (MNIST, MNIST_PAPER, "a day on a GPU (estimate)"),
    "fashion": (FASHION, FASHION_PAPER, "two days on a GPU (estimate)"),
    "cifar": (CIFAR, CIFAR_PAPER, "a week on a GPU (estimate)"),
}


def changed(kind: str, ground: str, config: Ground) -> Ground:
    """Return a ground's setting for one kind of experiment."""
    change = KINDS[kind].change
    if (kind, ground) == ("transfer", "cifar"):
        change = PLAIN
    return replace(config, **change)


def declared(kind: str, ground: str) -> Experiment:
    """Declare one experiment on one ground."""
    quick, paper, paper_cost = GROUNDS[ground]
    part, name = KINDS[kind], f"{kind}_{ground}"
    quick, paper = (changed(kind, ground, config) for config in (quick, paper))
    quick = replace(quick, **FEWER.get((kind, ground), {}))
    profiles = {"smoke": tiny(name, quick), "quick": quick, "paper": paper}
    cost = f"{part.cost[ground]} on 1 CPU core"
    costs = {"smoke": "seconds on 1 CPU core", "quick": cost, "paper": paper_cost}
    return Experiment(NOTEBOOK, name, cells, part.run, part.values, profiles, costs)


COSTS: dict[str, Config] = {
    "smoke": Cost(
        variants=("lenet_300_100",), images=10, phases=PHASES[:2],
    ),
    "quick": Cost(phases=PHASES),
    "paper": Cost(width=16, phases=PHASES),
}  # fmt: skip
EXPERIMENTS = {
    f"{kind}_{ground}": declared(kind, ground)
    for kind, part in KINDS.items()
    for ground in part.cost
} | {
    "cost": Experiment(
        NOTEBOOK, "cost", cost_cells, run_cost, COST, COSTS,
        {"smoke": "seconds on 1 CPU core", "quick": "2 min on 1 CPU core",
         "paper": "10 min on 1 CPU core"},
    )
}  # fmt: skip
