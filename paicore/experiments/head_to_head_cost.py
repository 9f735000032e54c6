"""What every method costs before training, in forward passes of its own network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from paicore import nets, transfer
from paicore.experiments import Config
from paicore.experiments.head_to_head_ground import NAME, SCORED, TRANSFERS
from paicore.experiments.matching_a_teacher_students import Phase, tangent_of
from paicore.masks import Masks
from paicore.scores import SBP_SR, SCORES, Score, prune
from paicore.seeds import generator

COST = ("once", "times", "total")
SHAPES = {"lenet_300_100": (1, 28, 28), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32)}


class Counter(TorchDispatchMode):
    """Counts operations while entered; PyTorch's own counter hooks into modules."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run one operation and add what it costs."""
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass(frozen=True)
class Cost(Config):
    """Methods and networks whose floating point operations are counted.

    Attributes:
        methods: Names in SCORES, "sbp_sr", or of `TRANSFERS`.
        densities: Not read: nothing is pruned.
        variants: Names of networks, see `SHAPES`.
        images: Images of a scoring; a forward pass over them is the unit.
        width: Channels of the residual network.
        phases: Network, method and how its students are matched.
    """

    methods: tuple[str, ...] = (*SCORED, "sbp_sr", *TRANSFERS)
    densities: tuple[float, ...] = (1.0,)
    variants: tuple[str, ...] = tuple(SHAPES)
    images: int = 100
    width: int = 4
    phases: tuple[tuple[str, str, Phase], ...] = ()


def cost_cells(config: Cost) -> list[dict]:
    """Every method on every network that it is defined on and that has a phase."""
    only = config.only.split(",") if config.only else config.methods
    students = {(net, method) for net, method, _ in config.phases}
    return [
        {"method": method, "density": 1.0, "seed": seed, "variant": net}
        for method in config.methods
        if method in only
        for net in config.variants
        if method not in TRANSFERS or (net, method) in students
        if method != "sbp_sr" or net == "resnet20"
        for seed in range(config.seeds)
    ]


def run_cost(config: Cost, cell: dict) -> list[dict]:
    """Count the operations before training, in units of a forward pass.

    Conventions: products of matrices and convolutions count, nothing else. The unit is
    a forward pass over all scoring images. Rounds are the scores' own; a round's cost
    is that of two rounds less that of one, as engines prepare themselves once. PHEW
    walks over weights in Python, which is not counted.

    Returns:
        One row: units "once", of the first round or the first step with what prepares
        it, how many "times", and the "total" of all.
    """
    method, name, seed = cell["method"], cell["variant"], cell["seed"]
    net = built(config, method, name, seed).double()
    g = generator(seed, NAME, "cost", "images")
    x = torch.rand(config.images, *SHAPES[name], generator=g, dtype=torch.float64)
    with Counter() as unit, torch.no_grad():
        net(x)
    if method in TRANSFERS:
        phases = {(n, m): phase for n, m, phase in config.phases}
        phase = phases[name, method]
        times, spend = phase.steps, partial(match, net, SHAPES[name], phase, method)
    else:
        score = SBP_SR if method == "sbp_sr" else SCORES[method]
        times = score.defaults.get("rounds", 1)
        spend = partial(choose, net, score, x, seed)
    once = counted(spend, 1)
    more = counted(spend, 2) - once if times > 1 else 0
    total = once + (times - 1) * more
    once, total = once / unit.total, total / unit.total
    return [{"step": 0, "once": once, "times": times, "total": total}]


def counted(spend: Callable[[int], object], times: int) -> int:
    """Return the operations of a number of rounds or steps."""
    with Counter() as counter:
        spend(times)
    return counter.total


def choose(net: nn.Module, score: Score, x: Tensor, seed: int, rounds: int) -> Masks:
    """Prune to a tenth in some rounds; labels do not matter here."""
    y = torch.arange(len(x)) % 10
    draw = generator(seed, NAME, "cost", "scores")
    return prune(
        net, score, density=0.1, batch=(x, y), rounds=rounds, generator=draw,
        progress=False,
    )  # fmt: skip


def match(
    net: nn.Module, shape: tuple[int, ...], phase: Phase, method: str, steps: int
) -> transfer.Transfer:
    """Match blank images for some steps."""
    x = torch.zeros(phase.batch, *shape, dtype=torch.float64)
    return transfer.neural_tangent_transfer(
        net, x, density=0.03, generator=generator(0, NAME, "cost", "transfer"),
        tangent=tangent_of(method), estimator=phase.estimator, probes=phase.probes,
        block=phase.block, steps=steps, batch=phase.batch, dtype=torch.float64,
        progress=False, log_every=10, frequency=10,
    )  # fmt: skip


def built(config: Cost, method: str, name: str, seed: int) -> nn.Module:
    """Return a network; a student's has no batch norm, SBP-SR's is stable."""
    options: dict = {"stable": True} if method == "sbp_sr" else {}
    if name == "resnet20":
        options["width"] = config.width
        options["batch_norm"] = method not in TRANSFERS
    draw = generator(seed, NAME, "cost", "init")
    return nets.build(name, in_shape=SHAPES[name], generator=draw, **options)
