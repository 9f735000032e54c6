"""Neural Tangent Transfer: train a sparse network to match a dense one, no labels."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from paicore import seeds
from paicore.forward import isolation
from paicore.kernels.ntk.settings import full_precision
from paicore.masks.container import Masks
from paicore.transfer import checkpoint as files
from paicore.transfer.checks import (
    check_checkpoint,
    check_inputs,
    check_network,
    run_dtype,
)
from paicore.transfer.divergence import check_alive, check_values, warn_if_faded
from paicore.transfer.objective import Terms, objective
from paicore.transfer.result import LOG, Transfer
from paicore.transfer.selection import count, first_masks, masked, turnover
from paicore.transfer.settings import Settings
from paicore.transfer.state import State, started
from paicore.transfer.tangents import Networks, networks
from paicore.transfer.validation import Validation, held_out

WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class Job:
    """What stays the same during a run.

    Attributes:
        settings: The keywords.
        networks: Teacher and architecture.
        x: Inputs, wherever they were given.
        like: A tensor of the dtype and device of the run.
        held: The validation block.
        nothing: Loss, but for L2, of a network that is zero.
        key: The number that all draws follow from.
        order: Function of an epoch to a permutation of the samples, or None.
    """

    settings: Settings
    networks: Networks
    x: Tensor
    like: Tensor
    held: Validation
    nothing: float
    key: int
    order: Callable[[int], Tensor] | None = None

    def generator(self, *names: str | int) -> torch.Generator:
        """Return the generator of one purpose."""
        return seeds.generator(self.key, "transfer", *names)

    def batches(self, step: int) -> Iterator[Tensor]:
        """Yield the batches from a step on: a new order each epoch, the rest dropped.

        The order of epoch e follows from the key and e alone.
        """
        size, place = self.settings.batch, step
        while True:
            epoch, begin = divmod(place, len(self.x) // size)
            order = self.permutation(epoch)
            for part in order[: len(order) // size * size].split(size)[begin:]:
                yield self.x[part.to(self.x.device)].to(self.like)
                place += 1

    def permutation(self, epoch: int) -> Tensor:
        """Return the order of the samples in an epoch, checked if it was given."""
        n = len(self.x)
        if self.order is None:
            return torch.randperm(n, generator=self.generator("order", epoch))
        found = self.order(epoch)
        fits = isinstance(found, Tensor) and found.shape == (n,)
        fits = fits and found.dtype in WHOLE
        if not fits or not torch.equal(found.cpu().long().sort()[0], torch.arange(n)):
            raise ValueError(f"order: expected a permutation of {n} samples as a "
                             f"tensor for epoch {epoch}, got {found!r}")  # fmt: skip
        return found.cpu().long()


def run(job: Job, state: State, path: Path | None, same: dict, progress) -> None:
    """Take every step that is left; log, save and stop where it is due."""
    settings = job.settings
    stream = job.batches(state.step)
    with _bar(settings.steps, state, progress) as bar:
        if not state.log:
            _report(job, state, bar)
        while state.step < settings.steps:
            terms = _terms(job, state, next(stream))
            check_alive(settings, job.nothing, state, terms, state.step + 1)
            state.descend(
                torch.autograd.grad(
                    terms.loss(settings), list(state.values.values()),
                    allow_unused=True, materialize_grads=True,
                )
            )  # fmt: skip
            is_logged = state.step % settings.log_every == 0
            is_logged |= state.step == settings.steps
            if is_logged and settings.log_before_update:
                _report(job, state, bar)
            if _is_due(settings, state.step):
                check_values(settings, state)
                state.reselect(settings)
            bar.update()
            if is_logged and not settings.log_before_update:
                _report(job, state, bar)
            if is_logged and path is not None:
                files.save(path, state, same)


def _is_due(settings: Settings, step: int) -> bool:
    """Tell whether masks are chosen anew after a step, as the released code does."""
    early = step < settings.steps - settings.frequency
    return settings.update_masks and early and step % settings.frequency == 0


def _terms(job: Job, state: State, x: Tensor) -> Terms:
    """Return the terms on a training batch."""
    draws = job.generator("probes", state.step)
    return objective(
        job.networks, state.values, state.masks, x, job.settings, draws
    )  # fmt: skip


def _report(job: Job, state: State, bar: tqdm) -> None:
    """Add a row to the log and show both distances."""
    draws = job.generator("validation", "probes")
    still = {name: value.detach() for name, value in state.values.items()}
    terms = objective(
        job.networks, still, state.masks, job.held.x, job.settings, draws, always=True
    )
    check_alive(job.settings, job.nothing, state, terms, max(state.step, 1))
    numbers = {
        "loss": terms.loss(job.settings),
        "kernel": terms.kernel,
        "target": terms.target,
        "l2": terms.l2,
    }
    row = {"step": state.step}
    row |= {name: float(each) for name, each in numbers.items()}
    row |= job.held.distances(still, state.masks)
    row |= {"kept": count(state.masks), "turnover": turnover(state.masks, state.first)}
    state.log.append({column: row[column] for column in LOG})
    _show(bar, row, refresh=False)


def _show(bar: tqdm, row: dict, *, refresh: bool) -> None:
    """Show both distances of a row, at once or with the next step."""
    shares = {n: f"{row[f'{n}_relative']:.3f}" for n in ("masked", "ambient")}
    bar.set_postfix(shares, refresh=refresh)


def _bar(total: int, state: State, progress: bool | None) -> tqdm:
    """Return a progress bar with the time left, silent where nobody watches."""
    if progress is None:
        quiet = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
        progress = sys.stderr.isatty() and not quiet
    bar = tqdm(
        total=total, initial=state.step, desc="transfer", unit="step",
        disable=not progress, leave=False,
    )  # fmt: skip
    if state.log:  # of a checkpoint
        _show(bar, state.log[-1], refresh=True)
    return bar


def prepared(
    net: nn.Module, x: Tensor, validation, settings: Settings, generator, order=None
) -> tuple[Job, State]:
    """Copy the teacher, choose the first masks and take the validation block.

    Args:
        net: The dense network; not changed.
        x: Inputs.
        validation: Held-out inputs or None.
        settings: The keywords.
        generator: Gives one number, the key of all draws.
        order: Function of an epoch to a permutation of the samples, or None.

    Returns:
        The job, and the state before the first step.
    """
    both = networks(net, x[: settings.batch], dtype=settings.dtype,
                    batch_norm=settings.batch_norm)  # fmt: skip
    values = both.values()
    masks = first_masks(net, values, x, settings)
    like = next(iter(values.values()))
    block = (x[: settings.batch] if validation is None else validation).to(like)
    key = int(torch.randint(2**62, (1,), generator=generator))
    draws = seeds.generator(key, "transfer", "validation")
    held = held_out(both, block, settings, draws)
    return (
        Job(settings, both, x, like, held, held.nothing(settings), key, order),
        started(values, masks, settings),
    )


def finished(state: State) -> Transfer:
    """Return the result of a run."""
    theta = {name: value.detach().clone() for name, value in state.values.items()}
    weights = masked(theta, state.masks)
    return Transfer(Masks(state.masks), weights, theta, state.log)


def transferred(
    net: nn.Module, x: Tensor, settings: Settings, generator, validation, order,
    progress: bool | None, checkpoint,
) -> Transfer:  # fmt: skip
    """Check everything that `Settings` cannot see, and run; see `transfer`."""
    path = check_checkpoint(checkpoint)
    if not isinstance(progress, (bool, type(None))):
        raise TypeError(f"progress: expected True, False or None, got {progress!r}")
    check_network(net, settings)
    check_inputs(x, validation, settings.batch, run_dtype(net, settings))
    seeds.check(generator)
    if order is not None and not callable(order):
        raise TypeError(f"order: expected a function of the epoch, got {order!r}")
    x = x.detach()
    validation = None if validation is None else validation.detach()
    before = generator.get_state()
    try:
        with isolation(net), full_precision():
            job, state = prepared(net, x, validation, settings, generator, order)
            same = {} if path is None else _identity(net, job, validation)
            if path is not None and path.exists():
                state = files.resumed(path, state, same)
            run(job, state, path, same, progress)
            warn_if_faded(settings, state)
            return finished(state)
    except BaseException:
        generator.set_state(before)  # so that the same call can be made again
        raise


def _identity(net: nn.Module, job: Job, validation: Tensor | None) -> dict:
    """Return what a checkpoint tells runs apart by."""
    data = {"x": job.x} | ({} if validation is None else {"validation": validation})
    data |= {} if job.order is None else {"order": job.permutation(0)}
    outputs = job.networks.taught(job.x[: job.settings.batch].to(job.like))
    return files.identity(job.settings, net.state_dict(), data, job.key, outputs)
