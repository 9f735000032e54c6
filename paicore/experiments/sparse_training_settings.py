"""Settings of notebook 22's experiments: data, networks, methods, lengths."""

from dataclasses import replace

from paicore.experiments.matching_a_teacher_students import Phase
from paicore.experiments.sparse_training_curves import Training
from paicore.experiments.sparse_training_layers import Repeated
from paicore.train import RECIPES, Recipe

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
# Who stands beside the masks of `DIGITS`; notebook 23 begins with them.
STUDENTS = replace(
    DIGITS,
    methods=("ntt_ambient", "ntt_masked", "random", "scaled_random", "snip", "dense"),
    variants=("",),
    rivals=("random",),
)
# Every baseline on equal gain, layerwise and global, against the student of its seed.
GAINS = {"few": (), "variants": ("as_is", "calibrated"),
         "rivals": ("as_is", "ntt_ambient")}  # fmt: skip
EQUAL_GAIN = replace(
    SHORT,
    methods=(
        "random", "rand", "magnitude", "snip", "logit_snip", "global_random",
        "global_magnitude", "global_snip", "global_logit_snip", "mask_only_ambient",
    ),
    **GAINS,
)  # fmt: skip
EQUAL_GAIN_CNN = replace(LENET5, methods=("random", "magnitude", "snip"), **GAINS)
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
    densities=(0.01, 0.03, 0.1, 0.2),
)
SWEEP_CNN = replace(FASHION_CNN, data="mnist")
LAYERS = replace(
    LENET5,
    seeds=2,
    methods=("ntt_ambient", "ntt_masked", "random", "magnitude", "snip", "logit_snip"),
    few=(),
)
FIRST = replace(
    LENET5,
    seeds=3,
    methods=("ntt_ambient", "mask_only_ambient", "random", "snip", "dense"),
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
