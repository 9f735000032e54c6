"""The transfer on the draws of the released first run, beside what its log says.

And the teachers of JAX's keys, among which the released code happened to take 1 and 2.
"""

import math

import torch
from torch import Tensor

from paicore import data, prune, seeds, transfer
from paicore.experiments import released_draws as draws
from paicore.experiments.matching_a_teacher_logs import LOGGED, Logs
from paicore.experiments.matching_a_teacher_students import (
    BLOCK,
    HELD_OUT,
    load,
    tangent_of,
    teacher,
)
from paicore.experiments.matching_a_teacher_tables import RELEASED, STEPS
from paicore.kernels import ntk

COLUMNS = ("ambient", "target", "l2")
TEACHER = ("square", "ambient")
REPLAY = (*LOGGED, *(f"{name}_gap" for name in COLUMNS))
# The released runs share one stream of batches, so the second one's place in it is not
# known: of it only the start is repeated.
REPEATED = 0


def run_released(config: Logs, cell: dict) -> list[dict]:
    """Match the released teacher of a run; a gap is relative to the logged value.

    Seed s stands for the log's run s + 1, whose teacher has JAX's key s + 1.

    Returns:
        Rows with `REPLAY`; of the second run only the first one.
    """
    seed, phase = cell["seed"], config.phase
    x, block = split(config)
    found = transfer.neural_tangent_transfer(
        draws.teacher_(teacher(config, seed), seed + 1).to(config.device),
        x.to(config.device), validation=block.to(config.device),
        density=cell["density"], tangent=tangent_of(cell["method"]),
        count_rule=config.count_rule, scope=config.scope,
        steps=phase.steps if seed == REPEATED else 1,
        batch=phase.batch, lr=phase.lr, frequency=phase.frequency,
        kernel_weight=phase.kernel_weight, l2=phase.l2, log_every=phase.log_every,
        log_before_update=True, order=lambda epoch: draws.order(epoch, len(x)),
        generator=seeds.generator(seed, "not used: nothing is drawn"), progress=False,
    )  # fmt: skip
    rows = found.log if seed == REPEATED else found.log[:1]
    return [_beside(config, row, seed) for row in rows if _is_shown(row["step"])]


def run_teacher(config: Logs, cell: dict) -> list[dict]:
    """Return a key's teacher's mean squared kernel and its first ambient distance.

    Conventions: seed s stands for key s + 1; on the released validation block.

    Returns:
        One row with `TEACHER`.
    """
    net = draws.teacher_(teacher(config, cell["seed"]), cell["seed"] + 1)
    masks = prune(
        net, "magnitude", density=cell["density"], scope=config.scope,
        count_rule=config.count_rule,
    )  # fmt: skip
    halves = split(config)[1].chunk(2)
    dense = ntk.gram(net, *halves, progress=False)
    sparse = ntk.gram(net, *halves, masks=masks, tangent="ambient", progress=False)
    square, gap = (float(k.square().mean()) for k in (dense, sparse - dense))
    return [{"step": 0, "square": square, "ambient": gap}]


def split(config: Logs) -> tuple[Tensor, Tensor]:
    """Return the images of the transfer and the validation block, as released."""
    ds = load(config.data)
    place = torch.from_numpy(draws.images(len(ds.train_x)))
    parts = (place[HELD_OUT:], place[:BLOCK])
    return tuple(data.normalise(ds, ds.train_x[part]) for part in parts)


def _is_shown(step: int) -> bool:
    """Say whether a row is kept: often at first, then at the steps of the log."""
    return step <= STEPS[4] or step in STEPS or step % STEPS[4] == 0


def _beside(config: Logs, row: dict, seed: int) -> dict:
    """Return a logged row and its distance to the released log, as a share of it."""
    values = {name: row[name] for name in ("step", *LOGGED)}
    return values | {
        f"{name}_gap": row[name] / logged(config, name, seed, row["step"]) - 1
        for name in COLUMNS
    }


def logged(config: Logs, name: str, seed: int, step: int) -> float:
    """Return a value of the released log; NaN where it is not known or not compared."""
    if (config.data, config.densities) != ("mnist", (0.03,)) or step not in STEPS:
        return math.nan
    runs = RELEASED[config.net][name]
    return runs[seed][STEPS.index(step)] if seed < len(runs) else math.nan
