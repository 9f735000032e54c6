"""Experiments of notebook 22: do students train better than other sparse networks?

`supervised` is the released demo at full length, `released_rand` its random baseline on
the released draws, `short` a short form over five seeds. `lenet5`, `densities_*`,
`global_scope`, `across_data` and `conv4` vary one thing each; `gain_calibrated` on the
digits (with `digits_students`), `gain_calibrated_mnist` and `gain_calibrated_lenet5`
take the gain out of the comparison; `layers` and `first_layer` ask what survives where.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.matching_a_teacher_logs import INTERVAL
from paicore.experiments.matching_a_teacher_students import Phase, cells
from paicore.experiments.sparse_training_curves import CURVE, Training, run_curve
from paicore.experiments.sparse_training_layers import LAYER, run_interval, run_layers
from paicore.experiments.sparse_training_repeated import REPEATED, run_repeated
from paicore.experiments.sparse_training_settings import (
    ACROSS,
    CONV4,
    DENSITIES,
    DIGITS,
    EQUAL_GAIN,
    EQUAL_GAIN_CNN,
    FASHION_CNN,
    FIRST,
    FULL,
    GLOBAL,
    LAYERS,
    LENET5,
    LOOKS,
    RAND,
    RELEASED,
    SHORT,
    STUDENTS,
    SWEEP,
    SWEEP_CNN,
    TWICE,
    shortened,
)

NOTEBOOK = "22_sparse_training"

_TINY = {"data": "digits", "net": "mlp", "width": (16, 8), "seeds": 1, "keep": False,
         "matched": None, "trained": None, "tested": None, "few": ()}  # fmt: skip
_PHASE = Phase(steps=20, batch=16, lr=2e-3, frequency=5, log_every=20)
_TRAIN = {"phase": _PHASE, "masked": None, "recipe": shortened(40), "looks": (1, 40),
          "densities": (0.1,), "train_looked": 100}  # fmt: skip
_CONV = {"enlarge": 2, "width": 2, "recipe": shortened(5), "looks": (5,),
         "phase": replace(_PHASE, steps=4, batch=4, frequency=2)}  # fmt: skip


def tiny(config: Training, **changes) -> Training:
    """Return the smoke form of a config: digits, a narrow network, few steps."""
    return replace(config, **{**_TINY, **_TRAIN, **changes})


def paper(config: Training, phase: Phase | None = None, **changes) -> Training:
    """Return a config at full length, on all images, over all densities."""
    whole = {"seeds": 5, "matched": None, "trained": FULL.trained, "few": (),
             "phase": phase or FULL.phase, "masked": None, "recipe": RELEASED,
             "tested": None, "looks": LOOKS, "densities": DENSITIES,
             "rivals": ()}  # fmt: skip
    return replace(config, **{**whole, **changes})


WHOLE_CNN = {"phase": Phase(l2=1e-5), "densities": (0.03,)}
AT = {"looks": (1, 20, 40), "at": (20, 40), "repeats": 2}
# name: function, values, quick (None: none), smoke, paper (None: none), costs
DECLARED = {
    "supervised": (
        run_curve, CURVE, FULL, tiny(FULL), paper(FULL, few=()),
        "27 min on 1 CPU core after transfer_loss of 21_matching_a_teacher; alone "
        "85 min", "6 h on a GPU (estimate)",
    ),
    "supervised_interval": (
        run_interval, INTERVAL, replace(FULL, seeds=1, **TWICE),
        tiny(FULL, **TWICE, **AT), None,
        "1 min after supervised on the same machine, else 45 min", "",
    ),
    "released_rand": (
        run_repeated, REPEATED, RAND, tiny(RAND, trained=1_200), None,
        "1 min on 1 CPU core", "",
    ),
    "short": (
        run_curve, CURVE, SHORT, tiny(SHORT), None, "5 min on 1 CPU core", "",
    ),
    "lenet5": (
        run_curve, CURVE, LENET5, tiny(LENET5, net="lenet5", **_CONV),
        paper(LENET5, **WHOLE_CNN), "14 min on 1 CPU core",
        "30 h on a GPU (estimate)",
    ),
    "densities_mnist": (
        run_curve, CURVE, SWEEP, tiny(SWEEP, densities=(0.1, 0.3)), paper(SWEEP),
        "5 min on 1 CPU core", "10 h on a GPU (estimate)",
    ),
    "densities_fashion": (
        run_curve, CURVE, replace(SWEEP, data="fashion_mnist"),
        tiny(SWEEP, densities=(0.1, 0.3)), paper(SWEEP, data="fashion_mnist"),
        "5 min on 1 CPU core", "10 h on a GPU (estimate)",
    ),
    "densities_lenet5": (
        run_curve, CURVE, FASHION_CNN,
        tiny(FASHION_CNN, net="lenet5", **_CONV),
        paper(FASHION_CNN, phase=Phase(l2=1e-5)),
        "8 min on 1 CPU core", "150 h on a GPU (estimate)",
    ),
    "densities_lenet5_mnist": (
        run_curve, CURVE, SWEEP_CNN, tiny(SWEEP_CNN, net="lenet5", **_CONV),
        paper(SWEEP_CNN, phase=Phase(l2=1e-5)),
        "6 min on 1 CPU core after lenet5", "150 h on a GPU (estimate)",
    ),
    "gain_calibrated": (
        run_curve, CURVE, DIGITS, tiny(DIGITS), None, "2 min on 1 CPU core", "",
    ),
    "digits_students": (
        run_curve, CURVE, STUDENTS, tiny(STUDENTS), None,
        "1 min on 1 CPU core after smoke_test of 23_what_does_the_work, else 2 min", "",
    ),
    "gain_calibrated_mnist": (
        run_curve, CURVE, EQUAL_GAIN,
        tiny(EQUAL_GAIN), None,
        "5 min on 1 CPU core after short", "",
    ),
    "gain_calibrated_lenet5": (
        run_curve, CURVE, EQUAL_GAIN_CNN, tiny(EQUAL_GAIN_CNN, net="lenet5", **_CONV),
        None, "4 min on 1 CPU core after lenet5", "",
    ),
    "global_scope": (
        run_curve, CURVE, GLOBAL, tiny(GLOBAL), paper(GLOBAL, densities=(0.03,)),
        "2 min on 1 CPU core", "2 h on a GPU (estimate)",
    ),
    "across_data": (
        run_curve, CURVE, ACROSS,
        tiny(ACROSS, variants=("own", "turned", "noise")),
        paper(ACROSS, densities=(0.03,)), "4 min on 1 CPU core",
        "2 h on a GPU (estimate)",
    ),
    "layers": (
        run_layers, LAYER, LAYERS, tiny(LAYERS, net="lenet5", **_CONV),
        paper(LAYERS, **WHOLE_CNN),
        "1 min on 1 CPU core after lenet5, else 5 min", "20 h on a GPU (estimate)",
    ),
    "first_layer": (
        run_curve, CURVE, FIRST, tiny(FIRST, net="lenet5", **_CONV), None,
        "6 min on 1 CPU core", "",
    ),
    "conv4": (
        run_curve, CURVE, None, tiny(CONV4, net="conv4_valid", **_CONV),
        paper(CONV4, phase=CONV4.phase, trained=None, methods=CONV4.methods),
        "none: hours of CPU per run", "60 h on a GPU (estimate)",
    ),
}  # fmt: skip


def experiment(name: str) -> Experiment:
    """Declare an experiment of this notebook."""
    run, values, quick, smoke, whole, cost, whole_cost = DECLARED[name]
    profiles = {"smoke": smoke, "quick": quick, "paper": whole}
    profiles = {name: config for name, config in profiles.items() if config}
    cost = {"smoke": "seconds on 1 CPU core", "quick": cost}
    cost["paper"] = whole_cost or "the quick profile is the whole experiment"
    return Experiment(NOTEBOOK, name, cells, run, values, profiles, cost)


EXPERIMENTS = {name: experiment(name) for name in DECLARED}
