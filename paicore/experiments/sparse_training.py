"""Experiments of notebook 22: do students train better than other sparse networks?

`supervised` is the released demo at full length, `released_rand` its random baseline on
the released draws, `short` a short form over five seeds. `lenet5`, `densities_*`,
`global_scope`, `across_data` and `conv4` vary one thing each; `gain_calibrated` on the
digits and `gain_calibrated_mnist` on MNIST take the gain out of the comparison;
`layers` and `first_layer` ask what survives where.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.matching_a_teacher_logs import INTERVAL
from paicore.experiments.matching_a_teacher_students import Phase, cells
from paicore.experiments.sparse_training_curves import CURVE, Training, run_curve
from paicore.experiments.sparse_training_layers import (
    LAYER,
    Repeated,
    run_interval,
    run_layers,
)
from paicore.experiments.sparse_training_repeated import REPEATED, run_repeated
from paicore.train import RECIPES, Recipe

NOTEBOOK = "22_sparse_training"
RELEASED = RECIPES["ntt_supervised"]
DENSITIES = (0.01, 0.03, 0.05, 0.07, 0.1, 0.2)
# Iterations of the released logs' table, and enough of the others for a curve.
LOOKS = (
    *(1, *range(101, 1002, 100)),
    *range(1501, 5002, 500),
    *range(10_001, 40_002, 5_000),
    *range(41_201, 42_102, 100),
)


def shortened(steps: int) -> Recipe:
    """Return the released recipe with fewer steps."""
    return replace(RELEASED, steps=steps)


FULL = Repeated(
    seeds=5,
    data="mnist",
    net="lenet_300_100",
    trained=54_000,
    methods=(
        "ntt_ambient", "rand", "dense", "ntt_masked", "random", "scaled_random",
        "magnitude", "snip", "logit_snip",
    ),
    few=(
        ("dense", 2), ("ntt_masked", 2), ("random", 2), ("scaled_random", 1),
        ("magnitude", 1), ("snip", 2), ("logit_snip", 1),
    ),
    count_rule="ntt",
    recipe=RELEASED,
    looks=LOOKS,
    train_looked=5_400,
    rivals=(),
    keep=True,
)  # fmt: skip
TWICE = {"methods": ("ntt_ambient", "rand"), "few": ()}
RAND = replace(
    FULL, seeds=1, methods=("rand",), few=(), recipe=shortened(1_001),
    looks=(1, 101, 201, 501, 1_001), keep=False,
)  # fmt: skip
MANY = (
    "ntt_ambient", "ntt_masked", "random", "scaled_random", "magnitude", "snip",
    "logit_snip", "global_snip", "dense",
)  # fmt: skip
# Few images and steps, as in the checks that thresholds were written for.
SHORT = Training(
    seeds=5,
    data="mnist",
    net="lenet_300_100",
    matched=8_000,
    trained=8_000,
    methods=MANY,
    few=(("ntt_masked", 2),),
    phase=Phase(steps=1_500, lr=2e-3, frequency=50, log_every=250),
    masked=Phase(steps=400, lr=2e-3, frequency=50, log_every=200),
    recipe=shortened(1_250),
    looks=(1, 30, 60, 125, 250, 500, 750, 1_000, 1_250),
    rivals=("random", "snip", "dense"),
    keep=True,
)
CNN_PHASE = Phase(
    steps=300, batch=16, lr=2e-3, frequency=25, l2=1e-5, log_every=300
)  # fmt: skip
LENET5 = replace(
    SHORT,
    net="lenet5",
    methods=tuple(name for name in MANY if name not in ("logit_snip", "global_snip")),
    few=(("ntt_masked", 2), ("scaled_random", 2), ("magnitude", 2)),
    phase=CNN_PHASE,
    masked=None,
    recipe=shortened(375),
    looks=(1, 30, 125, 250, 375),
    train_looked=500,
    tested=2_000,
)
DIGITS = Training(
    seeds=5,
    data="digits",
    width=(300, 100),
    methods=("random", "magnitude", "snip", "mask_only_masked"),
    densities=(0.05,),
    variants=("as_is", "divided", "calibrated"),
    phase=Phase(steps=600, batch=32, lr=2e-3, frequency=25, log_every=100),
    recipe=shortened(160),
    looks=(10, 20, 40, 80, 160),
    rivals=("as_is",),
    keep=True,
)
# Every baseline of `SHORT` on equal gain, against the student of the same seed.
EQUAL_GAIN = replace(
    SHORT,
    methods=("random", "magnitude", "snip", "logit_snip", "global_snip",
             "mask_only_ambient"),
    few=(),
    variants=("as_is", "calibrated"),
    rivals=("as_is", "ntt_ambient"),
)  # fmt: skip
SWEEP = replace(
    SHORT,
    seeds=2,
    methods=("ntt_ambient", "ntt_masked", "random", "scaled_random", "magnitude",
             "snip", "dense"),
    few=(("ntt_masked", 1),),
    densities=(0.01, 0.03, 0.1, 0.2),
    phase=replace(SHORT.phase, steps=1_000),
    masked=replace(SHORT.phase, steps=250),
    looks=(125, 1_250),
)  # fmt: skip
GLOBAL = replace(
    SHORT,
    seeds=3,
    scope="global",
    methods=("ntt_ambient", "random", "magnitude", "snip", "logit_snip"),
    few=(),
    phase=replace(SHORT.phase, first_masks="logit_snip"),
    rivals=("random", "snip"),
)
SOURCES = ("own", "fashion_mnist", "own+fashion_mnist", "turned", "noise")
ACROSS = replace(
    SHORT,
    seeds=3,
    methods=("ntt_ambient",),
    few=(),
    variants=SOURCES,
    phase=replace(SHORT.phase, steps=1_000),
    is_across=True,
    rivals=("random",),
)
FASHION_CNN = replace(
    LENET5,
    data="fashion_mnist",
    seeds=1,
    methods=("ntt_ambient", "random", "snip", "dense"),
    few=(),
    densities=(0.01, 0.1),
)
LAYERS = replace(
    LENET5,
    seeds=2,
    methods=("ntt_ambient", "ntt_masked", "random", "magnitude", "snip", "logit_snip"),
    few=(),
)
FIRST = replace(
    LENET5,
    seeds=3,
    methods=("ntt_ambient", "random", "snip", "dense"),
    few=(("dense", 1),),
    densities=(0.01,),
    first_only=True,
    rivals=("random", "snip"),
)
# C, nt_transfer/nn_models.py for the network; batches of 16 and probes are ours.
CONV4 = replace(
    FULL,
    data="cifar10",
    net="conv4_valid",
    trained=None,
    methods=("ntt_ambient", "ntt_masked", "random", "magnitude", "snip", "dense"),
    few=(),
    densities=DENSITIES,
    phase=Phase(batch=16, l2=1e-5, estimator="probe", probes=4),
)

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
        "4 min on 1 CPU core", "150 h on a GPU (estimate)",
    ),
    "gain_calibrated": (
        run_curve, CURVE, DIGITS, tiny(DIGITS), None, "2 min on 1 CPU core", "",
    ),
    "gain_calibrated_mnist": (
        run_curve, CURVE, EQUAL_GAIN,
        tiny(EQUAL_GAIN), None,
        "5 min on 1 CPU core after short", "",
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
