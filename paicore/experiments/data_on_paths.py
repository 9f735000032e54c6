"""Experiments of notebook 33: what data do to scores on paths.

`digits`, `mnist` and `cifar` prune by a dozen scores, look at the masks and train what
is left, all in one call per seed, so that methods are compared in pairs. `occupancy`
says where first-layer weights survive. The others are small checks: `signs` of scores
whose pixels are normalised, `biases` and `rounds` of squared path sums, `identity` of
PX with SynFlow-L2 D, `classes` that a mask still reaches.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.data_on_paths_arms import (
    Compared,
    Setting,
    cells,
    draws,
    load,
    masks_of,
    network,
)
from paicore.experiments.data_on_paths_checks import (
    CLASSES,
    IDENTITY,
    LAYERS,
    SIGNS,
    STATISTICS,
    run_classes,
    run_identity,
    run_layers,
    run_signs,
)
from paicore.experiments.data_on_paths_facts import FACTS, facts, run_occupancy
from paicore.train import Recipe, population

NOTEBOOK = "33_data_on_paths"
FITTED = ("train_loss", "test_loss", "test_accuracy")
COMPARED = (*FITTED, *FACTS)
TRAINED = (
    *("random", "snip", "phew", "synflow", "synflow_dist", "synflow_l2_c"),
    *("synflow_l2_d", "l2_dist_a", "l2_dist_d", "l2_dist_normalised"),
    *("gated_l2", "px", "px_exact"),
)
SQUARED = ("synflow", "synflow_l2_a", "synflow_l2_c", "synflow_l2_d")


def of_one_seed(config: Compared, cell: dict) -> tuple[str, int]:
    """Return what the runs of one population have in common."""
    return cell["variant"], cell["seed"]


def run_compared(config: Compared, group: list[dict]) -> list[list[dict]]:
    """Choose masks, look at them, and train all networks of a seed together.

    Conventions: all see the same images in the same order. The loss of the training
    set is the mean over the batches since the row before.

    Returns:
        For each run the rows of its evaluations, `FITTED` and `FACTS` in each.
    """
    members = [
        (
            network(config, cell),
            masks_of(config, cell),
            draws(config, cell["seed"], "order"),
        )
        for cell in group
    ]
    looked = [facts(config, cell) for cell in group]
    rows = population(
        members,
        load(config.data, config.enlarge, config.device),
        config.recipe,
        device=config.device,
        progress=False,
    )
    found = [[] for _ in group]
    for row in rows:
        fitted = {name: row[name] for name in ("step", *FITTED)}
        found[row["member"]].append(fitted | looked[row["member"]])
    return found


_SHORT = Recipe("adam", lr=3e-3, batch=64, steps=400, eval_every=200)
MNIST = Compared(
    seeds=5, data="mnist", methods=TRAINED, densities=(0.1, 0.03, 0.01), recipe=_SHORT
)
DIGITS = replace(MNIST, data="digits")
# C uditsaxena/Synaptic-Flow: Adam at 1e-3, batches of 64, 100 epochs, 10 images a
# class, exponents 1, 1.5 and 2. 100 rounds as SynFlow has them.
CIFAR = replace(
    MNIST,
    seeds=3,
    data="cifar10",
    nets=("resnet20", "vgg11"),
    variants=("resnet20", "vgg11"),
    densities=(0.1, 0.0316, 0.01),
    rounds=100,
    recipe=Recipe(
        "adam", lr=1e-3, batch=64, epochs=100, augment=True, eval_every=39_050
    ),
)
PICTURED = ("synflow", "synflow_dist", "l2_dist_d", "gated_l2")
OCCUPANCY = Setting(seeds=1, methods=PICTURED)
SIGNED = Setting(
    seeds=5, methods=STATISTICS, variants=("pixels", "normalised")
)  # fmt: skip
BIASES = Setting(seeds=5, init="torch", methods=SQUARED, variants=("zero", "keep"))
ROUNDS = replace(
    BIASES,
    init="he",
    nets=("mlp",),
    width=(40, 40, 4, 40),
    variants=("1", "50"),
    densities=(0.01,),
)
SAME = Setting(
    seeds=5, methods=("px_ones", "px", "px_exact"), variants=("dense", "masked")
)  # fmt: skip
REACHED = Setting(
    seeds=5, methods=("synflow_l2_d", "px_ones", "px", "px_exact"),
    densities=DIGITS.densities,
)  # fmt: skip

# The bundled digits and narrow networks: every line above runs in seconds.
_NARROW = {"data": "digits", "nets": ("mlp",), "width": (24, 24, 24), "rounds": 4}
_FEW = {"seeds": 2, "per_class": 2}
SMOKE = {
    "digits": replace(
        DIGITS, **_NARROW, **_FEW, densities=(0.1,),
        recipe=replace(_SHORT, steps=40, eval_every=20),
    ),
    "mnist": replace(
        MNIST, **_NARROW, **_FEW | {"seeds": 1}, densities=(0.1,),
        recipe=replace(_SHORT, steps=40, eval_every=20),
    ),
    "cifar": replace(
        CIFAR, data="digits", enlarge=4, seeds=1, width=2, densities=(0.3,),
        methods=("synflow", "phew"), rounds=1, per_class=1,
        recipe=Recipe("adam", lr=1e-3, batch=8, steps=2, eval_every=2),
    ),
    "occupancy_digits": replace(OCCUPANCY, **_NARROW),
    "occupancy_mnist": replace(OCCUPANCY, **_NARROW, densities=(0.3,)),
    "signs": replace(SIGNED, **_NARROW, seeds=2),
    "biases": replace(BIASES, seeds=1, rounds=8),
    "rounds": replace(ROUNDS, seeds=1),
    "identity": replace(SAME, **_NARROW, seeds=2),
    "classes": replace(REACHED, **_NARROW, **_FEW | {"seeds": 1}),
}  # fmt: skip
PIXELS = ("grey", "weights")
LONG = {
    "digits": (run_compared, COMPARED, DIGITS, "3 min on 1 CPU core"),
    "mnist": (run_compared, COMPARED, MNIST, "5 min on 1 CPU core"),
    "cifar": (run_compared, COMPARED, None, "has a paper profile only"),
    "occupancy_digits": (run_occupancy, PIXELS, OCCUPANCY, "1 s on 1 CPU core"),
    "occupancy_mnist": (
        run_occupancy, PIXELS, replace(OCCUPANCY, data="mnist"), "2 s on 1 CPU core"
    ),
    "signs": (run_signs, SIGNS, SIGNED, "10 s on 1 CPU core"),
    "biases": (run_layers, LAYERS, BIASES, "5 s on 1 CPU core"),
    "rounds": (run_layers, LAYERS, ROUNDS, "5 s on 1 CPU core"),
    "identity": (run_identity, IDENTITY, SAME, "5 s on 1 CPU core"),
    "classes": (run_classes, CLASSES, REACHED, "35 s on 1 CPU core"),
}  # fmt: skip
EXPERIMENTS = {
    name: Experiment(
        notebook=NOTEBOOK,
        name=name,
        cells=cells,
        run=run,
        values=values,
        profiles={"smoke": SMOKE[name]}
        | ({"paper": CIFAR} if quick is None else {"quick": quick}),
        cost={
            "smoke": "seconds on 1 CPU core",
            "quick": cost,
            "paper": "40 h on 1 GPU, estimated" if quick is None else "quick is all",
        },
        group=of_one_seed if run is run_compared else None,
    )
    for name, (run, values, quick, cost) in LONG.items()
}
