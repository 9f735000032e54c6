"""The stacked engine: one chunk of members, step by step, as `fit` trains one."""

import math
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from paicore.data import Dataset
from paicore.train.context import autocast
from paicore.train.divergence import Diverged, check_finite
from paicore.train.fitting import CHECK_EVERY, update
from paicore.train.population.members import Member
from paicore.train.population.program import Program, evaluate
from paicore.train.population.rows import last_row, of_member
from paicore.train.population.stack import Stack, State, stacked, write
from paicore.train.population.stream import stacked_batches
from paicore.train.recipe import Recipe
from paicore.train.reporting import mean_loss, row


@dataclass(frozen=True)
class Plan:
    """What all chunks share: program, data on the device, recipe and rates."""

    program: Program
    ds: Dataset
    recipe: Recipe
    rates: list[float]
    dtype: torch.dtype

    @property
    def epoch(self) -> int:
        """Steps per epoch."""
        return self.recipe.steps_per_epoch(len(self.ds.train_y))


@dataclass
class _Run:
    """One chunk under way; place k of the stack holds member k until it diverges.

    Attributes:
        plan: See `Plan`.
        stack: The members' tensors.
        source: The member whose data and weights each place holds.
        rows: Of each member, as `fit` has them.
        ended: Of each diverged member, its error and its state at that time.
        pending: Losses (M,) that wait on the device.
        losses: Since the last row, step by step, one per place.
        sizes: The batches they are means of.
    """

    plan: Plan
    stack: Stack
    source: list[int]
    rows: list[list[dict]]
    ended: dict[int, tuple[Diverged, State]] = field(default_factory=dict)
    pending: list[torch.Tensor] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def read(self, step: int) -> list[int]:
        """Read the waiting losses; end members that diverged, return their places."""
        values = torch.stack(self.pending).tolist()  # (steps, M)
        self.pending = []
        self.losses += values
        bad: dict[int, None] = {}
        for at, losses in enumerate(values, step - len(values) + 1):
            for place, loss in enumerate(losses):
                if not math.isfinite(loss):
                    self.end("training loss", place, loss, at)
                    bad[place] = None
        return list(bad)

    def end(self, what: str, place: int, loss: float, step: int) -> None:
        """Keep a diverged member as it is now, unless its place held a copy."""
        if place in self.ended:
            return
        try:
            check_finite(what, loss, step, self.plan.rates, self.plan.epoch)
        except Diverged as error:
            self.ended[place] = error, self.stack.state(place)

    def fill(self, places: list[int]) -> bool:
        """Let places compute a copy of a living member; return whether one lives.

        Whatever is not finite there could reach others through a fused kernel.

        Args:
            places: Where a loss was not finite.

        Returns:
            False if all have diverged; nothing is copied then.
        """
        living = [k for k in range(len(self.rows)) if k not in self.ended]
        if not living:
            return False
        for place in places:
            self.stack.copy(living[0], place)
        for place in self.ended:
            self.source[place] = living[0]
        return True

    def judge(self, step: int) -> list[int]:
        """Add a row to each living member; return the places that diverged."""
        plan, bad = self.plan, []
        results = evaluate(plan.program, self.stack, plan.ds, plan.recipe, plan.dtype)
        for place, result in enumerate(results):
            if not math.isfinite(result.loss):
                self.end("test loss", place, result.loss, step)
                bad.append(place)
            if place in self.ended:
                continue
            mean = mean_loss([each[place] for each in self.losses], self.sizes)
            rows, lr = self.rows[place], plan.rates[step - 1]
            rows.append(row(rows, step, plan.epoch, lr, mean, result))
        self.losses, self.sizes = [], []
        return bad

    def write(self, members: list[Member]) -> None:
        """Give every member what was trained for it."""
        for place, member in enumerate(members):
            diverged = place in self.ended
            state = self.ended[place][1] if diverged else self.stack.state(place)
            write(state, member, self.plan.ds.device, self.plan.dtype)

    def all_rows(self, first: int) -> list[list[dict]]:
        """Return the rows of each member, the first of which has a number."""
        everything = []
        for place, plain in enumerate(self.rows):
            rows = of_member(first + place, plain)
            if place in self.ended:
                error = self.ended[place][0]
                ending = (error, self.plan.rates, self.plan.epoch)
                rows.append(last_row(first + place, rows, *ending))
            everything.append(rows)
        return everything


def train_together(
    plan: Plan, members: list[Member], first: int, bar: tqdm
) -> list[list[dict]]:
    """Train a chunk of members in one program, in place.

    Conventions: the networks are written at the end, or when anything but a lack of
    memory ends the training early; after that they and the plan can be used again.

    Args:
        plan: What all chunks share.
        members: The members of this chunk.
        first: The number of the first of them.
        bar: Moves by one per step and member.

    Returns:
        Rows of each member.

    Raises:
        OutOfMemoryError: From torch; no network was touched.
    """
    count = len(members)
    stack = stacked(members, plan.recipe, plan.ds.device, plan.dtype)
    run = _Run(plan, stack, list(range(count)), [[] for _ in members])
    try:
        _steps(run, [member.generator for member in members], bar)
    except torch.OutOfMemoryError:
        raise
    except BaseException:
        run.write(members)
        raise
    run.write(members)
    return run.all_rows(first)


def _steps(run: _Run, generators: list[torch.Generator], bar: tqdm) -> None:
    """Take every step, look for divergence and evaluate in between, as in `fit`."""
    plan, recipe, stack = run.plan, run.plan.recipe, run.stack
    device, total = plan.ds.device, len(plan.rates)
    every = recipe.eval_every or plan.epoch
    patience = 1 if device.type == "cpu" else CHECK_EVERY
    stream = stacked_batches(plan.ds, recipe, generators, run.source, plan.dtype)
    for step, (lr, (x, y)) in enumerate(zip(plan.rates, stream, strict=False), 1):
        with autocast(device, recipe.precision == "bf16"):
            losses = plan.program.training(stack.parameters, stack.buffers, x, y)
        run.pending.append(losses.detach())
        run.sizes.append(len(y))
        due = step % every == 0 or step == total
        bad = run.read(step) if due or len(run.pending) == patience else []
        if len(run.ended) < len(generators):
            update(stack.optimizer, losses.sum(), lr)
            stack.project()
        alive = run.fill(bad)
        if due and alive:
            alive = run.fill(run.judge(step))
        bar.update(len(generators) if alive else len(generators) * (total - step + 1))
        if not alive:
            return
