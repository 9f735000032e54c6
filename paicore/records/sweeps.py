"""Sweeps that resume: every finished run is kept, whatever happens to the others."""

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, field
from pathlib import Path

from paicore.records.calls import Call, Failure, RunError
from paicore.records.identity import by_id
from paicore.records.journal import Journal, opened
from paicore.records.places import under_root
from paicore.records.progress import Report, reporter
from paicore.records.workers import WorkerLost

IN_FLIGHT = 256  # futures at a time: enough for a cluster, small in memory
MOST_DEATHS = 3  # calls lost to dead workers, before a pass or a sweep gives up
DIED = "its worker died (memory? a run that it cannot import?)"

Task = list[str]  # the run ids of one call


class SweepStopped(RuntimeError):
    """A sweep ended early; what finished is in its journal."""


@dataclass
class _State:
    """What the driver of one sweep knows; only the driver writes the journal."""

    cells: dict[str, dict]
    journal: Journal
    report: Report
    call: Call
    errors: list[tuple[Task, Failure]] = field(default_factory=list)
    loss: str = DIED  # how the last lost call lost its worker

    def argument(self, task: Task) -> dict[str, dict]:
        """Return what the call gets: run id to cell."""
        return {name: self.cells[name] for name in task}

    def fail(self, task: Task, failure: Failure) -> None:
        """Note an error and let the other runs go on."""
        self.errors.append((task, failure))
        self.report(text=f"{named(task)} failed: {failure.reason}")

    def remaining(self, tasks: list[Task]) -> list[Task]:
        """Return the tasks that neither finished nor failed."""
        failed = [task for task, _ in self.errors]
        kept = self.journal.runs
        return [task for task in tasks if task not in failed and task[0] not in kept]

    def stopped(self, reason: str) -> SweepStopped:
        """Return the error that says what is kept."""
        kept = sum(name in self.journal.runs for name in self.cells)
        text = f"{reason}; {kept} of {len(self.cells)} kept, run again"
        return SweepStopped(text)


def sweep(
    run: Callable,
    configs: Iterable[dict],
    *,
    group: Callable[[dict], Hashable] | None = None,
    executor: Callable[[], Executor] | None = None,
    journal: str | Path | None = None,
    progress: Callable[[str], None] | bool | None = None,
    fresh: bool = False,
) -> list[dict]:
    """Run every cell once, keep each as soon as it is done, skip those kept before.

    Conventions: a cell is a dict of method, density, seed and variant; `run_id` names
    it. An error inside `run` lets all others finish, then raises `SweepStopped`. A
    worker that dies costs only the runs under way: a fresh executor takes what remains,
    with those runs last, and what is still left then runs one by one. A run whose
    worker dies also there has failed. Ctrl-C keeps everything finished. Kill the driver
    at any point and call again: the rows are those of a sweep that was never killed.

    Args:
        run: Cell to its rows, a list of mappings that JSON can hold and that leave the
            names of the cell free; with `group`, list of cells to the list of their
            rows. Importable by the workers when there are any.
        configs: The cells, each once.
        group: Cell to a key; cells of equal key go to one call.
        executor: Function that returns a ``concurrent.futures.Executor``, for example
            ``processes(2)`` or ``dask(client)``. None: one by one here.
        journal: File of the finished runs, below the root; None keeps none.
        progress: None for a bar or lines, False for silence, or a function of a line.
        fresh: True forgets what the journal holds.

    Returns:
        Rows of all cells in their order, each with run, method, density, seed,
        variant and what `run` returned.
    """
    cells = by_id(configs)
    path = None if journal is None else under_root(journal)
    with opened(path, fresh=fresh) as book:
        kept = sum(name in book.runs for name in cells)
        with reporter(len(cells), kept, progress) as report:
            for problem in book.problems:
                report(text=problem)
            state = _State(cells, book, report, Call(run, group is not None))
            _drive(state, _tasks(state, group), executor)
        if state.errors:
            order = list(cells)
            task, failure = min(state.errors, key=lambda pair: order.index(pair[0][0]))
            reason = f"{named(task)} failed: {failure.reason}"
            raise state.stopped(reason) from RunError(failure.trace)
        return [row for name in cells for row in flat(book.runs[name])]


def named(task: Task) -> str:
    """Return the name of a call: its first run, and how many are with it."""
    more = len(task) - 1
    return f"{task[0]} (with {more} more of its group)" if more else task[0]


def flat(entry: dict) -> list[dict]:
    """Return the rows of a journal entry with the run's id and cell in each."""
    return [{"run": entry["run"], **entry["cell"], **row} for row in entry["rows"]]


def _tasks(state: _State, group: Callable | None) -> list[Task]:
    """Return the calls that remain, in order; a group loses what it has done."""
    groups: dict[Hashable, Task] = {}
    for name, cell in state.cells.items():
        if name not in state.journal.runs:
            key = name if group is None else group(dict(cell))
            groups.setdefault(key, []).append(name)
    return list(groups.values())


def _drive(state: _State, tasks: list[Task], executor: Callable | None) -> None:
    """Run the tasks here, or in an executor that may break."""
    if executor is None:
        for task in tasks:
            _settle(state, task, lambda task=task: state.call(state.argument(task)))
        return
    for _ in range(2):
        lost = _drive_once(state, tasks, executor)
        tasks = state.remaining(tasks)
        if not tasks:
            return
        happened = "a worker died" if state.loss == DIED else state.loss
        state.report(text=f"{happened}; again for {len(tasks)} that remain")
        # Executors begin runs as submitted: the first of the lost are the suspects.
        tasks = [task for task in tasks if task not in lost] + lost[::-1]
    _drive_alone(state, tasks, executor)


def _drive_alone(state: _State, tasks: list[Task], executor: Callable) -> None:
    """Run each task alone in an executor; one that breaks it has failed."""
    deaths = 0
    for task in tasks:
        if _drive_once(state, [task], executor):
            state.fail(task, Failure(state.loss, state.loss))
            deaths += 1
        if deaths == MOST_DEATHS:
            return


def _drive_once(state: _State, tasks: list[Task], executor: Callable) -> list[Task]:
    """Run the tasks in a fresh executor; return those that lost their workers."""
    # A pool that breaks loses all under way and takes no more; a cluster goes on.
    lost, queue, whole = [], iter(tasks), True
    with _pool(state, executor) as (pool, flying):
        while flying or whole:
            try:
                while whole and len(flying) < IN_FLIGHT:
                    if (task := next(queue, None)) is None:
                        break
                    flying[pool.submit(state.call, state.argument(task))] = task
            except BrokenExecutor:
                lost.append(task)
                whole = False
            if not flying:
                break
            try:
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                _harvest(state, flying, [future for future in flying if future.done()])
                raise
            lost += _harvest(state, flying, done)
            whole = whole and len(lost) < MOST_DEATHS
    return lost


def _harvest(state: _State, flying: dict, done: Iterable) -> list[Task]:
    """Keep the results of finished futures; return the tasks that lost their worker."""
    lost, cancelled = [], False
    for future in [future for future in flying if future in done]:  # as submitted
        task, error = flying.pop(future), _error(future)
        if isinstance(error, BrokenExecutor):
            lost.append(task)
            state.loss = str(error) if isinstance(error, WorkerLost) else DIED
        elif isinstance(error, CancelledError):
            cancelled = True
        else:
            _settle(state, task, future.result)
    if cancelled:  # by whom? a sweep at work cancels nothing
        raise state.stopped("the executor dropped its runs (is its scheduler gone?)")
    return lost


def _error(future: Future) -> BaseException | None:
    """Return the error of a finished future; cancelled ones do not raise here."""
    return CancelledError() if future.cancelled() else future.exception()


def _settle(state: _State, task: Task, result: Callable) -> None:
    """Keep a result or note the error; a journal that cannot be written ends all."""
    try:
        found = result()
    except Exception as error:  # the call could not be sent, or its result not
        found = Failure.of(error)
    if isinstance(found, Failure):
        state.fail(task, found)
        return
    for entry in found:
        state.journal.append(*entry)
        state.report(entry[0])


@contextlib.contextmanager
def _pool(state: _State, executor: Callable) -> Iterator[tuple[Executor, dict]]:
    """Yield an executor and its futures; on an error end what has begun and cancel."""
    flying: dict[Future, Task] = {}
    try:
        pool = executor()
    except ConnectionError as error:
        raise state.stopped(str(error)) from error
    try:
        yield pool, flying
    except BaseException:
        if workers := list((getattr(pool, "_processes", None) or {}).values()):
            # The pool cancels by itself: a future cancelled here would trip its thread.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:  # a run may last hours; Ctrl-C is meant now
                worker.terminate()
        else:
            for future in flying:
                future.cancel()
            pool.shutdown(wait=False)
        raise
    pool.shutdown(wait=True)
