"""Experiments of the tour: what each score keeps, and what training makes of it.

`scores` holds every score of a network that fits on a page. The accuracy experiments
train pruned networks, `sanity` trains controls of the same masks, and the collapse
experiments train nothing: they ask what is left of the layers. Runs of one seed share
weights, scoring batch and order of the training data, whatever the method, so that
methods are compared in pairs; so do experiments on the same data and network.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config, Experiment
from paicore.masks import Masks, reinitialised
from paicore.scores import SCORES, prune
from paicore.train import Recipe, fit

# The tiny network: 2 inputs, 3 hidden ReLU units, 2 outputs, no biases. No input of
# its batch is negative, so the second hidden unit never fires.
TINY_WEIGHTS = {
    "fc1.weight": ((0.9, -0.2), (-0.8, -0.6), (0.4, 0.5)),
    "fc2.weight": ((0.3, 0.7, 0.1), (-0.6, 0.2, -0.9)),
}
TINY_INPUTS = ((1.0, 2.0), (2.0, 1.0), (1.0, 0.0), (0.0, 1.0))
TINY_LABELS = (0, 1, 1, 0)


@dataclass(frozen=True)
class Pruned(Config):
    """A network, its data, and how it is pruned and trained.

    Attributes:
        data: Name of the data set.
        net: Name of the network, with He's initialisation and zero biases.
        width: Of the network; None for its own.
        methods: Names in SCORES.
        densities: Fractions kept.
        variants: Controls, see `chosen`; ("",) for none.
        with_dense: Whether the unpruned network is run as well.
        per_class: Scoring samples of each class, in one balanced batch. C
            alecwangcq/GraSP, YiteWang/NTK-SAP: 10.
        rounds: Of SynFlow, on the exponential schedule; the others have one. C
            ganguli-lab/Synaptic-Flow: 100.
        temperature: Of GraSP. C alecwangcq/GraSP: 200.
        recipe: How networks are trained, None where none is. Adam at 1e-3 is C
            fmi-basel/neural-tangent-transfer; there batches of 64 and 50 epochs.
    """

    data: str = "digits"
    net: str = "mlp"
    width: int | tuple[int, ...] | None = None
    methods: tuple[str, ...] = ("random", "magnitude", "snip", "grasp", "synflow")
    densities: tuple[float, ...] = ()
    variants: tuple[str, ...] = ("",)
    with_dense: bool = False
    per_class: int = 10
    rounds: int = 100
    temperature: float = 200.0
    recipe: Recipe | None = None


def cells(config: Pruned) -> list[dict]:
    """Every method at every density in every variant; dense ones first."""
    points = list(product(config.methods, config.densities, config.variants))
    if config.with_dense:
        points.insert(0, ("dense", 1.0, ""))
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method, density, variant in points
        if not config.only or method in config.only.split(",")
        for seed in range(config.seeds)
    ]


def draws(config: Pruned, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, "tour", config.data, config.net, what)


def options(config: Pruned, method: str) -> dict:
    """Return what `prune` is told beyond density, batch and generator."""
    own = {
        "synflow": {"rounds": config.rounds},
        "grasp": {"temperature": config.temperature},
    }
    return own.get(method, {})


@lru_cache(maxsize=2)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def chosen(config: Pruned, cell: dict) -> tuple[nn.Module, Masks]:
    """Build a network at its initialisation and choose its masks.

    Conventions: "shuffled" permutes the masks inside each layer, "reinitialised" keeps
    them and draws the weights again, "inverted" keeps the lowest scores.

    Returns:
        Pair (network, masks).
    """
    ds, seed, method = load(config.data), cell["seed"], cell["method"]
    net = nets.build(
        config.net,
        classes=ds.classes,
        in_shape=ds.in_shape,
        width=config.width,
        generator=draws(config, seed, "init"),
    )
    if method == "dense":
        return net, Masks.dense(net)
    count, of_batch = config.per_class * ds.classes, draws(config, seed, "batch")
    masks = prune(
        net,
        method,
        density=cell["density"],
        batch=data.sample(ds, count, of_batch, balanced=True),
        generator=draws(config, seed, "scores"),
        invert=cell["variant"] == "inverted",
        progress=False,
        **options(config, method),
    )
    if cell["variant"] == "shuffled":
        masks = masks.shuffled(draws(config, seed, "shuffle"))
    if cell["variant"] == "reinitialised":
        net = reinitialised(net, draws(config, seed, "second init"))
    return net, masks


def describe(masks: Masks, net: nn.Module, in_shape: tuple[int, ...]) -> dict:
    """Say how many kept weights lie on a path, and how empty layers are."""
    live, empty = masks.effective(net, in_shape), masks.collapsed
    return {
        "effective_density": live.density,
        "effective_share": live.kept / masks.kept if masks.kept else math.nan,
        "smallest_layer_density": min(masks.layer_densities().values()),
        "collapsed_layers": len(empty),
        "collapsed_shortcuts": sum("shortcut" in name for name in empty),
    }


def run_collapse(config: Pruned, cell: dict) -> list[dict]:
    """Prune and look at the masks; nothing is trained."""
    net, masks = chosen(config, cell)
    return [{"step": 0, **describe(masks, net, load(config.data).in_shape)}]


def run_training(config: Pruned, cell: dict) -> list[dict]:
    """Prune, then train; one row per epoch."""
    ds = load(config.data)
    net, masks = chosen(config, cell)
    shape = describe(masks, net, ds.in_shape)
    rows = fit(
        net,
        ds,
        config.recipe,
        masks=masks,
        generator=draws(config, cell["seed"], "order"),
        device=config.device,
        progress=False,
    )
    return [{name: row[name] for name in ("step", *FITTED)} | shape for row in rows]


def tiny_network() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return the tiny network and its batch (x, y), in float64."""
    size = {"classes": 2, "in_shape": (2,), "width": 3, "depth": 2, "bias": False}
    draw = seeds.generator(0, "tour", "tiny")
    net = nets.build("mlp", **size, dtype=torch.float64, generator=draw)
    tables = {n: torch.tensor(w, dtype=torch.float64) for n, w in TINY_WEIGHTS.items()}
    net.load_state_dict(tables)
    x = torch.tensor(TINY_INPUTS, dtype=torch.float64)  # (4, 2)
    return net, (x, torch.tensor(TINY_LABELS))


def run_tiny(config: Pruned, cell: dict) -> list[dict]:
    """Score and prune the tiny network; one row per weight, numbered by "step"."""
    net, batch = tiny_network()
    method, seed = cell["method"], cell["seed"]
    masks = prune(
        net,
        method,
        density=cell["density"],
        batch=batch,
        generator=draws(config, seed, "scores"),
        progress=False,
        **options(config, method),
    )
    own = {"temperature": config.temperature} if method == "grasp" else {}
    draw = draws(config, seed, "scores")
    scores = SCORES[method].function(
        net, Masks.dense(net), batch, generator=draw, **own
    )
    rows = []
    for layer, name in enumerate(masks, 1):
        for to, out_of in product(*map(range, masks[name].shape)):
            row = {"step": len(rows), "layer": layer, "source": out_of, "target": to}
            score, kept = scores[name][to, out_of].item(), bool(masks[name][to, out_of])
            rows.append({**row, "score": score, "kept": kept})
    return rows


FITTED = ("train_loss", "test_accuracy", "best_test_accuracy")
SHAPE = (
    "effective_density",
    "effective_share",
    "smallest_layer_density",
    "collapsed_layers",
    "collapsed_shortcuts",
)
EDGES = ("layer", "source", "target", "score", "kept")

TINY = Pruned(data="tiny", net="tiny", densities=(0.5,), rounds=1, temperature=1.0)
MNIST = Pruned(
    seeds=3,
    data="mnist",
    net="lenet_300_100",
    densities=(0.2, 0.1, 0.03, 0.01, 0.003),
    with_dense=True,
    recipe=Recipe("adam", lr=1e-3, batch=128, epochs=5),
)
FASHION = replace(
    MNIST,
    data="fashion_mnist",
    net="lenet5",
    densities=(0.1, 0.02, 0.005),
    recipe=Recipe("adam", lr=1e-3, batch=128, steps=400),
)
SANITY = replace(
    MNIST,
    methods=("snip", "grasp", "synflow"),
    densities=(0.03,),
    variants=("mask", "shuffled", "reinitialised", "inverted"),
    with_dense=False,
)
COLLAPSE = replace(
    MNIST,
    seeds=20,
    densities=(1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    with_dense=False,
    recipe=None,
)
CONV = replace(
    COLLAPSE,
    seeds=5,
    data="cifar10",
    net="resnet20",
    width=8,
    densities=(1.0, 0.3, 0.1, 0.05, 0.02, 0.01, 0.003),
)

# The bundled digits and narrow networks: every line above runs in seconds.
_DIGITS = {"data": "digits", "net": "mlp", "width": (32, 16)}
_SHORT = Recipe("adam", lr=2e-3, batch=64, epochs=10)
_FEW = (0.3, 0.1, 0.03)
SMOKE = {
    "scores": TINY,
    "accuracy_mnist": replace(
        MNIST, **_DIGITS, seeds=2, densities=_FEW, recipe=_SHORT
    ),
    "accuracy_fashion": replace(
        FASHION, seeds=1, data="digits", net="conv2", width=4, densities=_FEW,
        recipe=replace(_SHORT, epochs=4),
    ),
    "sanity": replace(SANITY, **_DIGITS, seeds=2, recipe=_SHORT),
    "collapse_mlp": replace(COLLAPSE, **_DIGITS, seeds=2),
    "collapse_conv": replace(
        CONV, data="digits", seeds=1, width=2, densities=(0.3, 0.05), rounds=20
    ),
}  # fmt: skip
NO_PAPER = "this notebook belongs to no paper"
FIT = (*FITTED, *SHAPE)
QUICK = {
    "scores": (run_tiny, EDGES, TINY, "1 s on 1 CPU core"),
    "accuracy_mnist": (run_training, FIT, MNIST, "9 min on 2 busy CPU cores"),
    "accuracy_fashion": (run_training, FIT, FASHION, "20 min on 2 busy CPU cores"),
    "sanity": (run_training, FIT, SANITY, "3 min on 2 busy CPU cores"),
    "collapse_mlp": (run_collapse, SHAPE, COLLAPSE, "2 min on 2 busy CPU cores"),
    "collapse_conv": (run_collapse, SHAPE, CONV, "5 min on 2 busy CPU cores"),
}
EXPERIMENTS = {
    name: Experiment(
        notebook="00_tour",
        name=name,
        cells=cells,
        run=run,
        values=values,
        profiles={"smoke": SMOKE[name], "quick": quick},
        cost={"smoke": "seconds on 1 CPU core", "quick": cost, "paper": NO_PAPER},
    )
    for name, (run, values, quick, cost) in QUICK.items()
}
