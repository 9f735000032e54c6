"""Sweeps that resume: every finished run is kept, whatever happens to the others."""

import contextlib
import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from dataclasses import dataclass, field
from pathlib import Path

from paicore.records.identity import by_id
from paicore.records.journal import Journal, opened
from paicore.records.places import under_root
from paicore.records.progress import Report, reporter

IN_FLIGHT = 256  # futures at a time: enough for a cluster, small in memory

Task = list[str]  # the run ids of one call


class SweepStopped(RuntimeError):
    """A sweep ended early; what finished is in its journal."""


@dataclass
class _State:
    """What the driver of one sweep knows; only the driver writes the journal."""

    cells: dict[str, dict]
    journal: Journal
    report: Report
    run: Callable
    grouped: bool
    errors: list[tuple[Task, Exception]] = field(default_factory=list)

    def argument(self, task: Task):
        """Return what `run` gets: a cell, or the list of cells of a group."""
        cells = [dict(self.cells[name]) for name in task]
        return cells if self.grouped else cells[0]

    def entries(self, task: Task, result: list) -> list[tuple]:
        """Return (run, cell, rows) for each run of a finished call, checked."""
        results = list(result) if self.grouped else [result]
        if len(results) != len(task):
            text = f"run: expected rows of {len(task)} runs, got {len(results)}"
            raise ValueError(text)
        pairs = zip(task, results, strict=True)
        found = [(n, self.cells[n], list(rows)) for n, rows in pairs]
        json.dumps(found)  # a TypeError here belongs to the run, not to the journal
        return found

    def fail(self, task: Task, error: Exception) -> None:
        """Note an error and let the other runs go on."""
        self.errors.append((task, error))
        self.report(text=f"{task[0]} failed: {type(error).__name__}: {error}")

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
    worker that dies costs only the runs under way: the executor is rebuilt once for
    what remains, then `SweepStopped` is raised. Ctrl-C keeps everything finished. Kill
    the driver at any point and call again: the rows are those of a sweep that was
    never killed.

    Args:
        run: Cell to its rows; with `group`, list of cells to the list of their rows.
            Importable by the workers when there are any.
        configs: The cells, each once.
        group: Cell to a key; cells of equal key go to one call.
        executor: Function that returns a ``concurrent.futures.Executor``, for example
            ``processes(2)`` or a Dask ``client.get_executor``. None: one by one here.
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
            state = _State(cells, book, report, run, group is not None)
            _drive(state, _tasks(state, group), executor)
        if state.errors:
            order = list(cells)
            task, error = min(state.errors, key=lambda pair: order.index(pair[0][0]))
            reason = f"{task[0]} failed: {type(error).__name__}: {error}"
            raise state.stopped(reason) from error
        return [row for name in cells for row in flat(book.runs[name])]


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
    """Run the tasks here, or in an executor that may break once."""
    if executor is None:
        for task in tasks:
            _settle(state, task, lambda task=task: state.run(state.argument(task)))
        return
    for attempt in (1, 2):
        if not tasks or _drive_once(state, tasks, executor):
            return
        failed = [task for task, _ in state.errors]
        tasks = [t for t in tasks if t not in failed and t[0] not in state.journal.runs]
        if attempt == 1 and tasks:
            state.report(text=f"a worker died; again for {len(tasks)} that remain")
    if tasks:
        reason = "workers died twice (memory? a run that they cannot import?)"
        raise state.stopped(reason)


def _drive_once(state: _State, tasks: list[Task], executor: Callable) -> bool:
    """Run the tasks in a fresh executor; False when it broke."""
    with _pool(executor) as (pool, flying):
        whole, queue = True, iter(tasks)
        while whole or flying:
            try:
                while whole and len(flying) < IN_FLIGHT:
                    if (task := next(queue, None)) is None:
                        break
                    flying[pool.submit(state.run, state.argument(task))] = task
            except BrokenExecutor:
                whole = False
            if not flying:
                return whole
            try:
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                _harvest(state, flying, [future for future in flying if future.done()])
                raise
            whole = _harvest(state, flying, done) and whole
        return whole


def _harvest(state: _State, flying: dict, done: Iterable) -> bool:
    """Keep the results of finished futures; False when the executor broke."""
    whole = True
    for future in [future for future in flying if future in done]:  # as submitted
        task = flying.pop(future)
        if isinstance(future.exception(), BrokenExecutor):
            whole = False
        else:
            _settle(state, task, future.result)
    return whole


def _settle(state: _State, task: Task, result: Callable) -> None:
    """Keep a result or note the error; a journal that cannot be written ends all."""
    try:
        entries = state.entries(task, result())
    except Exception as error:
        state.fail(task, error)
        return
    for entry in entries:
        state.journal.append(*entry)
        state.report(entry[0])


@contextlib.contextmanager
def _pool(executor: Callable[[], Executor]) -> Iterator[tuple[Executor, dict]]:
    """Yield an executor and its futures; on an error cancel what has not begun."""
    pool, flying = executor(), {}
    try:
        yield pool, flying
    except BaseException:
        for future in flying:
            future.cancel()
        workers = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False)
        for worker in workers:  # a run may last hours; Ctrl-C is meant now
            worker.terminate()
        raise
    pool.shutdown(wait=True)
