"""Experiments of notebook 32: does the Path Kernel's trace predict training?

`losses` trains every mask of small networks at many rates, `ranks` correlates traces
with the outcomes; `fc_family` and `conv_family`, with ranks of their own, do the same
on larger networks, `authors_grid` for the authors' 13 configurations. `movement` and
`batch_norm` follow kernels, weights and outputs during training. `kept` asks which
score keeps the trace, `collapse` which empties layers, `grasp_sign` what the reversed
sign of GraSP does.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments import trace_and_training_checks as checks
from paicore.experiments import trace_and_training_movement as movement
from paicore.experiments import trace_and_training_ranks as ranks
from paicore.experiments.trace_and_training_losses import (
    LOSSES,
    Training,
    group,
    run_losses,
)
from paicore.experiments.trace_and_training_masks import Case, Pruning, cells
from paicore.train import Recipe

NOTEBOOK = "32_trace_and_training"
ONE = "mlp"
DENSITIES = (0.316, 0.1, 0.0316, 0.01, 0.00316, 0.001)
# C, uditsaxena/Synaptic-Flow main.py: exponents 0 to 3 in halves; dense is the first.
AUTHORS = ("dense", "snip", "grasp", "synflow", "synflow_l2_a", "synflow_dist",
           "synflow_l2_a_dist")  # fmt: skip
GRID = tuple(0.02 * 3**k for k in range(8))
DIGITS = Case(ONE, width=64, depth=4, bias=False, rates=GRID, fixed=GRID[0])
MASKS = Training(
    seeds=5,
    cases=(DIGITS,),
    methods=("dense", *ranks.SETS["all"]),
    densities=DENSITIES,
    shuffled=True,
    engine="stacked",
    keep=True,
)
RANKS = ranks.Ranks(of=MASKS, floors=(0.0316, 0.001))

# C, the authors' family: six layers, PyTorch's own initialisation, Adam at 1e-3.
ADAM = (3e-4, 1e-3, 3e-3)
FC = Case("", "mnist", "mlp", depth=6, init="torch", rates=ADAM, fixed=1e-3)
FEW = {"train": 1_000, "test": 500}
FAMILY = Training(
    seeds=5,
    cases=tuple(replace(FC, name=f"fc_{n}", width=n, **FEW) for n in (100, 500, 1000)),
    methods=("dense", "random", "snip", "grasp", "synflow", "synflow_l2"),
    densities=(0.1, 0.01),
    recipe=Recipe("adam", lr=1e-3, batch=64, steps=40),
    probe=0,
    keep=True,
)
RANKS_FC = ranks.Ranks(
    of=FAMILY, methods=("all",), measures=("fixed_loss", "tuned_loss"), floors=(0.01,)
)
NARROW = Case(
    "resnet20_cifar10", "cifar10", "resnet20", 4, train=1_000, test=250,
    rates=(0.02, 0.06, 0.18), fixed=0.06,
)  # fmt: skip
CONV = Training(
    seeds=3,
    cases=(NARROW,),
    methods=("dense", "random", "magnitude", "snip", "grasp", "synflow", "synflow_l2"),
    recipe=Recipe("sgd", lr=0.06, batch=32, steps=50),
    probe=0,
    keep=True,
)

RANKS_CONV = ranks.Ranks(
    of=CONV, repeats=3, methods=("all",), measures=("fixed_loss", "tuned_loss"),
    floors=(0.1,),
)  # fmt: skip

WIDTHS = (32, 128, 512)
MOVEMENT = movement.Movement(
    seeds=5,
    cases=tuple(Case(str(n), width=n, depth=3, bias=False) for n in WIDTHS),
    methods=("dense", "random", "magnitude", "snip", "synflow", "synflow_l2"),
)
BATCH_NORM = movement.Movement(
    seeds=3,
    cases=(replace(NARROW, rates=(0.06,)),),
    methods=("dense", "random", "snip", "synflow"),
    kernel=2,
    looks=(0, 1, 10, 50),
    recipe=CONV.recipe,
)
KEPT = Pruning(
    seeds=5,
    cases=(Case(ONE, width=100, depth=4, bias=False),),
    methods=("synflow", "synflow_l2_a", "synflow_l2", "synflow_l2_d", "synflow_l2_e",
             "magnitude", "snip", "random"),
    densities=(0.316, 0.1, 0.0316, 0.01),
    rounds=30,
)  # fmt: skip
COLLAPSE = checks.Collapse(
    seeds=5,
    cases=(replace(FC, name="fc_100", width=100),),
    methods=tuple(checks.FORMS),
)
SIGN = Pruning(
    seeds=5,
    cases=(replace(DIGITS, rates=(0.02,), fixed=0.02),),
    methods=("grasp", "grasp_t1", "grasp_fork", "grasp_fork_t1", *checks.DATA_FREE),
)

# The paper profile: three densities and seeds, real lengths, controls as in `MASKS`.
LONG = {"seeds": 3, "densities": (0.1, 0.0316, 0.01), "rounds": 100, "shuffled": True,
        "keep": False}  # fmt: skip
PAPER_FC = replace(
    FAMILY, **LONG, recipe=Recipe("adam", lr=1e-3, batch=64, epochs=10),
    cases=tuple(replace(FC, name=f"fc_{n}", width=n)
                for n in (100, 500, 1000, 2000, 5000)),
)  # fmt: skip
PAPER_CONV = replace(
    CONV, **LONG,
    recipe=Recipe("sgd", lr=0.06, weight_decay=5e-4, epochs=100, augment=True),
    cases=tuple(
        Case(net, "cifar10", net, None, rates=(0.02, 0.06, 0.18), fixed=0.06)
        for net in ("resnet20", "vgg11_bn")
    ),
)  # fmt: skip
# The authors' 13 configurations: data, network, fixed rate (C, main.py `init-pk`).
CONVS = (
    ("resnet20", "cifar10", 1e-3),
    ("resnet20", "cifar100", 1e-3),
    ("wide_resnet20", "cifar10", 1e-3),
    ("wide_resnet20", "cifar100", 1e-3),
    ("vgg11", "cifar10", 1e-3),
    ("vgg11", "cifar100", 5e-4),
    ("vgg16", "cifar10", 1e-3),
    ("vgg16", "cifar100", 1e-4),
)
GRID13 = replace(
    CONV, seeds=7, methods=AUTHORS, densities=DENSITIES, rounds=100, keep=False,
    recipe=Recipe("adam", lr=1e-3, batch=64, epochs=10, augment=True),
    cases=PAPER_FC.cases + tuple(
        Case(f"{net}_{data}", data, net, None, rates=(rate / 3, rate, 3 * rate),
             fixed=rate)
        for net, data, rate in CONVS
    ),
)  # fmt: skip
PAPER_NORM = replace(
    BATCH_NORM,
    cases=(replace(NARROW, width=16, train=None, test=None, rates=(0.06,)),),
    rounds=100,
    kernel=32,
    looks=(0, 1, 10, 100, 1_000, 10_000),
    recipe=replace(CONV.recipe, batch=128),
)

# Smoke: the digits, narrow networks, two masks a method.
_TINY = Case("", width=16, depth=3, bias=False, rates=(0.02, 0.18), fixed=0.02,
             train=200, test=100)  # fmt: skip
_MASKS = replace(
    MASKS, seeds=2, cases=(replace(_TINY, name=ONE),), densities=(0.316, 0.0316),
    rounds=3, recipe=replace(MASKS.recipe, steps=10), probe=20, keep=False,
)  # fmt: skip
_FC = replace(
    FAMILY, seeds=1, few=(), rounds=3, keep=False,
    cases=tuple(
        replace(FC, name=f"fc_{n}", data="digits", width=n, train=200, test=100,
                rates=(1e-3, 3e-3))
        for n in (8, 16)
    ),
    recipe=replace(FAMILY.recipe, steps=5),
)  # fmt: skip
_NET = replace(
    _TINY, name=NARROW.name, net="resnet", width=2, depth=8, bias=None, fixed=0.02,
)  # fmt: skip
_CONV = {"seeds": 1, "cases": (_NET,), "rounds": 3}
SMOKE: dict[str, Config] = {
    "losses": _MASKS,
    "ranks": replace(RANKS, of=_MASKS, repeats=2, floors=(0.0316,)),
    "fc_family": _FC,
    "ranks_fc": replace(RANKS_FC, of=_FC, repeats=1, floors=(0.1,)),
    "conv_family": replace(
        CONV, **_CONV, keep=False, recipe=replace(CONV.recipe, steps=3)
    ),
    "ranks_conv": replace(
        RANKS_CONV, repeats=1,
        of=replace(CONV, **_CONV, keep=False, recipe=replace(CONV.recipe, steps=3)),
    ),
    "authors_grid": replace(_FC, methods=AUTHORS),
    "movement": replace(
        MOVEMENT, seeds=1, images=40, probe=20, kernel=8, looks=(0, 3, 6), rounds=3,
        cases=tuple(Case(str(n), width=n, depth=3, bias=False) for n in (8, 16, 32)),
    ),
    "batch_norm": replace(
        BATCH_NORM, **_CONV, probe=20, kernel=2, looks=(0, 1, 3),
    ),
    "kept": replace(
        KEPT, seeds=1, cases=(replace(_TINY, name=ONE),), densities=(0.316, 0.1),
        rounds=3,
    ),
    "collapse": replace(
        COLLAPSE, seeds=1, bottleneck=(16, 16, 3, 16), many=10, rounds=5,
        cases=(replace(FC, name="fc_100", data="digits", width=20),),
    ),
    "grasp_sign": replace(SIGN, seeds=1, cases=(replace(_TINY, name=ONE),)),
}  # fmt: skip


class Plan(NamedTuple):
    """What an experiment is made of."""

    run: Callable
    values: tuple[str, ...]
    quick: Config | None
    cost: str
    paper: Config | None = None
    paper_cost: str = ""
    cells: Callable = cells
    group: Callable | None = None


PLANS = {
    "losses": Plan(
        run_losses, LOSSES, MASKS, "5 min on 1 CPU core", group=group,
    ),
    "ranks": Plan(
        ranks.run_ranks, ranks.RANKS, RANKS,
        "30 s on 1 CPU core after losses on the same machine, else 5 min",
        cells=ranks.cells,
    ),
    "fc_family": Plan(
        run_losses, LOSSES, FAMILY, "8 min on 1 CPU core", PAPER_FC,
        "20 h on a GPU (estimate)", group=group,
    ),
    "ranks_fc": Plan(
        ranks.run_ranks, ranks.RANKS, RANKS_FC,
        "10 s on 1 CPU core after fc_family on the same machine, else 2 min",
        replace(RANKS_FC, of=PAPER_FC, repeats=3, floors=(0.01,)),
        "minutes after fc_family", cells=ranks.cells,
    ),
    "conv_family": Plan(
        run_losses, LOSSES, CONV, "4 min on 1 CPU core", PAPER_CONV,
        "60 h on a GPU (estimate)", group=group,
    ),
    "ranks_conv": Plan(
        ranks.run_ranks, ranks.RANKS, RANKS_CONV,
        "10 s on 1 CPU core after conv_family on the same machine, else 4 min",
        replace(RANKS_CONV, of=PAPER_CONV, floors=(0.01,)), "minutes after conv_family",
        cells=ranks.cells,
    ),
    "authors_grid": Plan(
        run_losses, LOSSES, None, "none: days of CPU", GRID13,
        "600 h on a GPU (estimate)", group=group,
    ),
    "movement": Plan(
        movement.run_width, movement.WIDTH, MOVEMENT, "1 min on 1 CPU core",
    ),
    "batch_norm": Plan(
        movement.run_modes, movement.MODES, BATCH_NORM, "2 min on 1 CPU core",
        PAPER_NORM, "2 h on a GPU (estimate)",
    ),
    "kept": Plan(
        checks.run_kept, checks.KEPT, KEPT, "10 s on 1 CPU core", group=checks.group,
    ),
    "collapse": Plan(
        checks.run_collapse, checks.COLLAPSE, COLLAPSE, "10 s on 1 CPU core",
        cells=checks.collapse_cells,
    ),
    "grasp_sign": Plan(
        checks.run_sign, checks.SIGN, SIGN, "5 s on 1 CPU core", group=checks.group,
    ),
}  # fmt: skip


def experiment(name: str) -> Experiment:
    """Declare an experiment of this notebook."""
    plan = PLANS[name]
    profiles = {"smoke": SMOKE[name], "quick": plan.quick, "paper": plan.paper}
    profiles = {name: config for name, config in profiles.items() if config}
    cost = {"smoke": "seconds on 1 CPU core", "quick": plan.cost}
    cost["paper"] = plan.paper_cost or "the quick profile is the whole experiment"
    return Experiment(
        NOTEBOOK, name, plan.cells, plan.run, plan.values, profiles, cost, plan.group
    )


EXPERIMENTS = {name: experiment(name) for name in PLANS}
