"""Experiments of notebook 23: which part of the transfer does the work?

`ablations` and `ablations_digits` take one part away at a time, under Adam and under
plain gradient descent. `eigenmodes` ask which directions of the teacher's kernel
a student has. `smoke_test` is the whole method on the digits, `resnet_probes` on a
residual network, where kernels are estimated by probes. It has no batch norm: there
the ambient kernel of a masked network is hundreds of times the teacher's, because
what is left of a pruned channel is divided by its own small deviation.
"""

from dataclasses import replace

from paicore.experiments import Config, Experiment
from paicore.experiments.matching_a_teacher_students import Phase, cells
from paicore.experiments.sparse_training import tiny
from paicore.experiments.sparse_training_curves import CURVE, Training, run_curve
from paicore.experiments.sparse_training_settings import (
    FULL,
    SHORT,
    STUDENTS,
    shortened,
)
from paicore.experiments.what_does_the_work_modes import MODES, run_modes
from paicore.train import Recipe

NOTEBOOK = "23_what_does_the_work"
ARMS = (
    "ntt_ambient",
    "ntt_ambient_frozen",
    "ntt_ambient_no_kernel",
    "ntt_ambient_no_target",
    "mask_only_ambient",
    "weights_only_ambient",
    "ntt_masked",
    "random",
    "scaled_random",
    "snip",
)
PLAIN = Recipe("sgd", lr=0.02, momentum=0.0, batch=64, steps=300)

MNIST = replace(
    SHORT,
    methods=ARMS,
    variants=("adam", "sgd"),
    sgd=replace(PLAIN, steps=1_250),
    rivals=("random",),
)
SMOKE_TEST = STUDENTS
ON_DIGITS = replace(
    SMOKE_TEST,
    methods=(
        *("ntt_masked", "ntt_masked_frozen", "ntt_masked_no_kernel", "ntt_ambient"),
        *("mask_only_masked", "weights_only_masked", "scaled_random", "magnitude"),
        *("random", "snip", "dense"),
    ),
    densities=(0.1,),
    variants=("sgd", "adam"),
    sgd=PLAIN,
    recipe=shortened(300),
    looks=(20, 80, 160, 300),
    rivals=("random", "ntt_ambient"),
)
MODES_DIGITS = replace(
    SMOKE_TEST,
    methods=("ntt_masked", "ntt_ambient", "random", "scaled_random", "magnitude"),
    densities=(0.1,),
)
MODES_MNIST = replace(
    FULL,
    methods=("ntt_masked", "ntt_ambient", "random", "scaled_random"),
    few=(("ntt_masked", 2), ("random", 2), ("scaled_random", 2)),
)
RESNET = Training(
    seeds=2,
    data="cifar10",
    net="resnet20",
    width=4,
    batch_norm=False,
    matched=4_000,
    trained=4_000,
    tested=1_000,
    methods=("ntt_masked", "random", "snip", "dense"),
    densities=(0.1,),
    phase=Phase(
        steps=80, batch=16, lr=2e-3, frequency=20, l2=1e-5, estimator="probe",
        probes=2, log_every=80,
    ),
    recipe=shortened(150),
    looks=(50, 150),
    train_looked=200,
    rivals=("random",),
    keep=True,
)  # fmt: skip

_SGD = {"sgd": replace(PLAIN, steps=40)}
_BLOCK = {"data": "digits", "seeds": 1, "matched": None, "trained": None, "few": (),
          "keep": False, "net": "resnet", "width": 2, "tested": None}  # fmt: skip
SMOKE = {
    "ablations": tiny(MNIST, **_SGD),
    "ablations_digits": tiny(ON_DIGITS, **_SGD),
    "smoke_test": tiny(SMOKE_TEST),
    "eigenmodes": tiny(MODES_DIGITS),
    "eigenmodes_mnist": tiny(MODES_MNIST),
    "resnet_probes": replace(
        RESNET, **_BLOCK, phase=replace(RESNET.phase, steps=2, batch=4, frequency=1),
        recipe=shortened(3), looks=(3,),
    ),
}  # fmt: skip
GPU = replace(
    RESNET, seeds=5, width=16, matched=None, trained=None, tested=None,
    densities=(0.01, 0.03, 0.1),
    phase=replace(RESNET.phase, steps=5_000, batch=64, probes=4, frequency=100),
    recipe=shortened(42_200), looks=FULL.looks,
)  # fmt: skip
WHOLE = {"matched": None, "trained": FULL.trained, "phase": FULL.phase, "masked": None,
         "recipe": FULL.recipe, "looks": FULL.looks, "few": ()}  # fmt: skip
# name: function, values, quick, costs
DECLARED = {
    "ablations": (
        run_curve, CURVE, MNIST, "8 min on 1 CPU core after short of 22_sparse_training"
    ),
    "ablations_digits": (run_curve, CURVE, ON_DIGITS, "3 min on 1 CPU core"),
    "smoke_test": (run_curve, CURVE, SMOKE_TEST, "2 min on 1 CPU core"),
    "eigenmodes": (run_modes, MODES, MODES_DIGITS, "2 min on 1 CPU core"),
    "eigenmodes_mnist": (
        run_modes, MODES, MODES_MNIST,
        "1 min on 1 CPU core after transfer_loss of 21_matching_a_teacher",
    ),
    "resnet_probes": (run_curve, CURVE, RESNET, "6 min on 1 CPU core"),
}  # fmt: skip
PAPER: dict[str, tuple[Config, str]] = {
    "ablations": (
        replace(MNIST, **WHOLE, sgd=replace(PLAIN, steps=42_200)),
        "6 h on a GPU (estimate)",
    ),
    "resnet_probes": (GPU, "20 h on a GPU (estimate)"),
}


def experiment(name: str) -> Experiment:
    """Declare an experiment of this notebook."""
    run, values, quick, cost = DECLARED[name]
    none = (None, "the quick profile is the whole experiment")
    whole, paper_cost = PAPER.get(name, none)
    profiles = {"smoke": SMOKE[name], "quick": quick}
    costs = {"smoke": "seconds on 1 CPU core", "quick": cost, "paper": paper_cost}
    if whole is not None:
        profiles["paper"] = whole
    return Experiment(NOTEBOOK, name, cells, run, values, profiles, costs)


EXPERIMENTS = {name: experiment(name) for name in DECLARED}
