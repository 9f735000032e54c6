"""Experiments of notebook 21: how well a sparse student matches its dense teacher.

`trajectories` follows outputs while teacher and student are trained, on the digits and
on MNIST. `transfer_loss` is the transfer at the released settings, whose log is
public; `transfer_interval` says where one more run of ours should end, and
`released_run` repeats the released first run on its own draws.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.matching_a_teacher_logs import (
    INTERVAL,
    LOG,
    Logs,
    run_interval,
    run_log,
)
from paicore.experiments.matching_a_teacher_released import (
    REPLAY,
    TEACHER,
    run_released,
    run_teacher,
)
from paicore.experiments.matching_a_teacher_students import Phase, cells
from paicore.experiments.matching_a_teacher_trajectories import (
    TRAJECTORY,
    Trajectories,
    run_trajectories,
)

NOTEBOOK = "21_matching_a_teacher"
METHODS = (
    "dense",
    "ntt_masked",
    "ntt_ambient",
    "scaled_random",
    "random",
    "magnitude",
)
NO_PAPER = "the quick profile is the whole experiment"

DIGITS = Trajectories(
    seeds=5,
    data="digits",
    width=(300, 100),
    methods=METHODS,
    densities=(0.1,),
    phase=Phase(steps=400, lr=2e-3, frequency=50),
    keep=True,
)
# C, nt_transfer/load_datasets.py, "mnist-2": the first 250 images of each class.
MNIST = replace(
    DIGITS,
    data="mnist",
    net="lenet_300_100",
    width=None,
    samples=(500, 500),
    pooled=False,
    rate=0.01,
    masked=Phase(steps=250, lr=2e-3, frequency=50),
)
# Everything else of the released MLP demo is a default of `Phase`.
LOSS = Logs(
    seeds=5,
    data="mnist",
    net="lenet_300_100",
    methods=("ntt_masked", "ntt_ambient"),
    few=(("ntt_masked", 2),),
    count_rule="ntt",
    keep=True,
)
CNN = replace(LOSS, net="lenet5", few=(), phase=Phase(l2=1e-5))
REPEATED = replace(LOSS, seeds=2, methods=("ntt_ambient",), few=(), keep=False)
ENDS = {"methods": ("ntt_ambient",), "variants": ("ambient_share", "target")}

_TINY = {"data": "digits", "net": "mlp", "width": (16, 8), "keep": False}
_SHORT = Phase(steps=30, batch=32, lr=2e-3, frequency=10, log_every=10)
SMOKE_PATHS = replace(
    DIGITS, seeds=1, width=(16, 8), phase=_SHORT, rate=0.5,
    marks=(0, 1, 2, 5, 10, 20), checked=(5, 10, 20), keep=False,
)  # fmt: skip
SMOKE_LOSS = replace(LOSS, **_TINY, seeds=2, few=(), densities=(0.1,), phase=_SHORT)
SMOKE_CNN = replace(
    CNN, **_TINY | {"net": "lenet5", "width": 2}, enlarge=2, seeds=1, densities=(0.1,),
    phase=replace(_SHORT, steps=10, batch=8, l2=1e-5),
)  # fmt: skip


def experiment(name, run, values, profiles, cost) -> Experiment:
    """Declare an experiment of this notebook."""
    costs = {"smoke": "seconds on 1 CPU core", "paper": NO_PAPER, **cost}
    return Experiment(NOTEBOOK, name, cells, run, values, profiles, costs)


EXPERIMENTS = {
    "trajectories": experiment(
        "trajectories",
        run_trajectories,
        TRAJECTORY,
        {"smoke": SMOKE_PATHS, "quick": DIGITS},
        {"quick": "2 min on 1 CPU core"},
    ),
    "trajectories_mnist": experiment(
        "trajectories_mnist",
        run_trajectories,
        TRAJECTORY,
        {"smoke": replace(SMOKE_PATHS, samples=(200, 100)), "quick": MNIST},
        {"quick": "3 min on 1 CPU core"},
    ),
    "transfer_loss": experiment(
        "transfer_loss",
        run_log,
        LOG,
        {"smoke": SMOKE_LOSS, "quick": LOSS, "paper": replace(LOSS, few=())},
        {
            "quick": "55 min on 1 CPU core",
            "paper": "1 h on a GPU (estimate)",
        },
    ),
    "transfer_interval": experiment(
        "transfer_interval",
        run_interval,
        INTERVAL,
        {
            "smoke": replace(SMOKE_LOSS, seeds=1, repeats=2, **ENDS),
            "quick": replace(LOSS, seeds=1, few=(), **ENDS),
        },
        {"quick": "seconds after transfer_loss on the same machine, else 25 min"},
    ),
    "released_run": experiment(
        "released_run",
        run_released,
        REPLAY,
        {
            "smoke": replace(REPEATED, **_TINY, densities=(0.1,), phase=_SHORT),
            "quick": REPEATED,
        },
        {"quick": "6 min on 1 CPU core"},
    ),
    "released_teachers": experiment(
        "released_teachers",
        run_teacher,
        TEACHER,
        {
            "smoke": replace(REPEATED, **_TINY, seeds=3, densities=(0.1,)),
            "quick": replace(REPEATED, seeds=30),
        },
        {"quick": "30 s on 1 CPU core"},
    ),
    "transfer_loss_cnn": experiment(
        "transfer_loss_cnn",
        run_log,
        LOG,
        {"smoke": SMOKE_CNN, "paper": CNN},
        {
            "quick": "none: 45 min and more of CPU per run",
            "paper": "10 h on a GPU (estimate)",
        },
    ),
}
