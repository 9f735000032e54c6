"""Worker processes: one thread each, and none outlives its driver."""

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess


class WorkerLost(BrokenExecutor):
    """A call lost its worker; the text says how, as other broken executors do not."""


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def processes(count: int) -> Callable[[], Executor]:
    """Return a factory of process pools, for ``sweep(executor=...)``.

    Conventions: workers are spawned, run with one torch thread and do not import the
    calling script, so that a notebook run as a script does not run again in each of
    them. What they call must therefore be in an importable module.

    Args:
        count: Number of workers, at least 1.

    Returns:
        Function without arguments that returns a fresh ``ProcessPoolExecutor``.

    Raises:
        ValueError: `count` is no positive integer.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"count: expected an int of at least 1, got {count!r}")

    def factory() -> Executor:
        return ProcessPoolExecutor(count, mp_context=_Context(), initializer=_begin)

    factory.description = f"{count} processes"  # for the record
    return factory


def asked_processes() -> Callable[[], Executor] | None:
    """Return a factory of ``PAICORE_JOBS`` processes, None for a single one."""
    text = os.environ.get("PAICORE_JOBS", "1")
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError(f"PAICORE_JOBS: expected a number of 1 or more, got {text!r}")
    return processes(int(text)) if int(text) > 1 else None


class _Process(SpawnProcess):
    """A spawned process that gets one thread and no main module."""

    @staticmethod
    def _Popen(process_obj):
        with _spawning():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    """The spawn context with `_Process`."""

    Process = _Process


@contextlib.contextmanager
def _spawning() -> Iterator[None]:
    """Set what a new process inherits: environment, and an empty ``__main__``."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    main = sys.modules["__main__"]
    os.environ.update(_ONE_THREAD)  # must be there before the worker imports torch
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _begin() -> None:
    """Prepare a worker: one thread, silent on Ctrl-C, gone when the driver dies."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    """Wait for the driver's end: a killed driver must not leave workers behind."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
