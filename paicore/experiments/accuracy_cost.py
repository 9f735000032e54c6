"""What pruning costs: passes, counted as floating point operations, and seconds."""

import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from paicore import Masks
from paicore.experiments import Config
from paicore.experiments.accuracy_arms import LABELLED
from paicore.experiments.saliency_nets import network
from paicore.scores import SCORES
from paicore.seeds import generator

COST_VALUES = ("units", "rounds", "draws", "passes", "seconds")


@dataclass(frozen=True)
class Cost(Config):
    """One scoring of each method on one network.

    Attributes:
        methods: Names of scores.
        densities: Of what a score is told; nothing is pruned.
        net: Name of the network.
        width: Channels of the first stage.
        in_shape: Shape of one input.
        samples: Images of a scoring.
        repeats: Draws R a round.
        rounds: Pairs of a method and its number of rounds.
        scoring: Precision of the scores that take one.
        timed: How often a scoring is timed; the median counts.
    """

    methods: tuple[str, ...] = (
        "ntk_sap", "iterative_snip", "snip", "grasp", "synflow", "magnitude", "random",
    )  # fmt: skip
    densities: tuple[float, ...] = (1.0,)
    variants: tuple[str, ...] = ("",)
    net: str = "resnet20"
    width: int = 16
    in_shape: tuple[int, ...] = (3, 32, 32)
    samples: int = 100
    repeats: int = 5
    rounds: tuple[tuple[str, int], ...] = (
        ("ntk_sap", 20), ("iterative_snip", 100), ("synflow", 100),
    )  # fmt: skip
    scoring: str = "float32"
    timed: int = 3


def cost_cells(config: Cost) -> list[dict]:
    """Every method once for every seed."""
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": 1.0, "seed": seed, "variant": ""}
        for method in config.methods
        if method in only
        for seed in range(config.seeds)
    ]


def run_cost(config: Cost, cell: dict) -> list[dict]:
    """Count and time one scoring.

    Conventions: a unit is a forward pass of the network over the labelled images. A
    scoring of NTK-SAP is one draw.

    Returns:
        One row: "units" and "seconds" of one scoring, "draws" a round, and "passes",
        the units of a whole pruning.
    """
    method, seed = cell["method"], cell["seed"]
    draw = generator(seed, "accuracy", "cost", "init")
    net, in_shape = network(
        config.net, draw, in_shape=config.in_shape, width=config.width
    )
    g = generator(seed, "accuracy", "cost", "images")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)
    with FlopCounterMode(display=False) as unit, torch.no_grad():
        outputs = net(x).shape[1]
    y = torch.randint(outputs, (config.samples,), generator=g)
    dtype = getattr(torch, config.scoring)
    options = {"dtype": dtype} if method in (*LABELLED, "ntk_sap") else {}
    options |= {"repeats": 1} if method == "ntk_sap" else {}

    def score() -> None:
        again = generator(seed, "accuracy", "cost", "score")
        SCORES[method].function(
            net, Masks.dense(net), (x, y), generator=again, **options
        )

    with FlopCounterMode(display=False) as whole:
        score()
    units = whole.get_total_flops() / unit.get_total_flops()
    rounds = dict(config.rounds).get(method, 1)
    draws = config.repeats if method == "ntk_sap" else 1
    return [{
        "step": 0, "units": units, "rounds": rounds, "draws": draws,
        "passes": units * rounds * draws, "seconds": median_time(score, config.timed),
    }]  # fmt: skip


def median_time(score, number: int) -> float:
    """Return the median seconds of some calls."""
    found = []
    for _ in range(number):
        start = time.perf_counter()
        score()
        found.append(time.perf_counter() - start)
    return sorted(found)[len(found) // 2]
