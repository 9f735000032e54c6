"""`population`: checks, the choice of an engine, and what surrounds both."""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain

import torch
from torch import nn

from paicore.data import Dataset
from paicore.train.checks import training_device
from paicore.train.context import flushing, seeded
from paicore.train.masking import zero_pruned
from paicore.train.population.chunks import in_chunks
from paicore.train.population.engine import Plan, train_together
from paicore.train.population.loop import train_in_turn
from paicore.train.population.members import Member, checked
from paicore.train.population.memory import estimate
from paicore.train.population.program import check_program, program
from paicore.train.population.stack import stacked
from paicore.train.population.stackable import check_stackable, check_state
from paicore.train.recipe import Recipe
from paicore.train.reporting import bar as progress_bar
from paicore.train.schedules import learning_rates

ENGINES = ("auto", "loop", "stacked")


def population(
    members: Iterable[tuple[nn.Module, Mapping | None, torch.Generator]],
    ds: Dataset,
    recipe: Recipe,
    *,
    device: torch.device | str | None = None,
    engine: str = "auto",
    members_at_once: int | None = None,
    compile: bool | None = None,
    progress: bool | None = None,
) -> list[dict]:
    """Train many networks of one architecture in place, each as `fit` would.

    Conventions: those of `fit` hold for every member: its own weights, masks, order,
    crops and flips, pruned weights exactly zero. Engine "loop" is `fit`, bit for bit.
    Engine "stacked" computes all members in one program and equals `fit` to rounding;
    dropout alone differs, since members draw from one global generator, seeded from
    the first member of each chunk. A member whose loss is not finite ends there, as
    `fit` leaves it, and the others go on. When memory runs out, the chunk of members
    under way starts again in halves; if not even one fits, torch's error is raised.
    When an error or Ctrl-C ends the training, the members before the current chunk are
    trained, those in it are as they are then, those after it are not trained; pruned
    weights are zero in all of them. Arguments that cannot be meant raise TypeError or
    ValueError before anything is touched.

    Args:
        members: Triples (net, masks or None, CPU generator). Nets of one architecture:
            names, shapes and kinds of modules and their settings are equal. No two
            share a tensor or a generator.
        ds: The data set.
        recipe: How to train.
        device: Where to train; None for the device of the first network.
        engine: "loop", "stacked" or "auto": stacked on a GPU, loop on a CPU, where
            stacking gains nothing. Stacking needs networks that `torch.func.vmap`
            takes, without hooks and without batch norm of momentum None.
        members_at_once: Most members in one chunk of the stacked engine; None for as
            many as fit: on a GPU from its free memory, on a CPU all.
        compile: Whether torch.compile makes the kernels of the stacked engine, once
            for all masks, which takes up to a minute or two; None for on a GPU only.
        progress: Show a progress bar; None for only at a terminal.

    Returns:
        The rows of `fit`, with the member's number as "member" in front, members in
        order; "diverged" is "" in them. A diverged member ends with a row at the step
        of the loss that is not finite: losses and accuracy are nan and "diverged" is
        the message of `Diverged`.

    Raises:
        ValueError: `engine` or `members_at_once` is none of the above.

    Cost: that of `fit` per member with "loop". Stacked, M members take the memory of
    M, and on a GPU the launches of one.

    Accuracy: 1e-10 of `fit` after 20 steps in float64 with batch norm. In float32 1e-4
    where training does not amplify rounding; a ResNet with batch norm at a high rate
    may be 1 apart by then, as `fit` in float32 is from float64 (`03_training`).
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {ENGINES}, got {engine!r}")
    _check_count(members_at_once)
    # A caller's no_grad would leave nothing to train with.
    with torch.inference_mode(False), torch.enable_grad():
        found = checked(members, ds, recipe)
        device = training_device(found[0].net, device)
        rates = learning_rates(recipe, len(ds.train_y))
        ds = ds.to(device)
        on_gpu = device.type == "cuda"
        if engine == "stacked" or (engine == "auto" and on_gpu):
            compiled = on_gpu if compile is None else compile
            check_stackable(found)
            plan = _plan(found[0], ds, recipe, rates, compiled)
            train = partial(_train_stacked, plan, at_once=members_at_once)
        else:
            train = partial(train_in_turn, ds=ds, recipe=recipe, rates=rates,
                            device=device)  # fmt: skip
        for net, masks, _ in found:
            zero_pruned(net, masks)
        steps = len(rates)
        with progress_bar(len(found) * steps, progress, "member", steps) as bar:
            return list(chain.from_iterable(train(found, bar=bar)))


def _plan(member: Member, ds: Dataset, recipe: Recipe, rates, compiled: bool) -> Plan:
    """Return what all chunks share, after a trial of one member's copy."""
    dtype = torch.float64 if recipe.precision == "float64" else torch.float32
    plan = program(member.net, ds.device, dtype, compiled=compiled)
    with seeded(member.generator, ds.device):
        check_state(member.net, ds.train_x[:2].to(dtype))
        trial = stacked([member], recipe, ds.device, dtype)
        check_program(plan, trial, ds, dtype, recipe.precision == "bf16")
    return Plan(plan, ds, recipe, rates, dtype)


def _train_stacked(plan: Plan, members: list[Member], *, bar, at_once: int | None):
    """Train in chunks; return the rows of each member."""
    device = plan.ds.device

    def train(chunk: list[Member], first: int) -> list[list[dict]]:
        on_cpu = device.type == "cpu"
        with seeded(chunk[0].generator, device), flushing(on_cpu):
            return train_together(plan, chunk, first, bar)

    if at_once is None and device.type == "cuda":
        with seeded(members[0].generator, device):
            at_once = estimate(plan, members[0], len(members))
    return in_chunks(members, at_once or len(members), train, bar)


def _check_count(members_at_once: int | None) -> None:
    """Refuse what is no positive integer or None.

    Raises:
        ValueError: It is none.
    """
    bad = isinstance(members_at_once, bool) or not isinstance(members_at_once, int)
    if members_at_once is not None and (bad or members_at_once < 1):
        raise ValueError(
            f"members_at_once: expected a positive int or None, got {members_at_once!r}"
        )
