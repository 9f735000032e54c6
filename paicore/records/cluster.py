"""Sweeps on a Dask cluster: workers on any number of machines, one run each.

Needs the extra ``cluster`` (``pip install -e ".[cluster]"``). Workers import the
project, in the driver's version: start them in its environment, or install it where
they run, or set PYTHONPATH to the repository there. Start them with
``--nthreads 1``: each run gets one torch thread, the parallelism is in their number.
Data sets are read where the runs are, so PAICORE_DATA must be set for the workers too.

A machine with four GPUs, one worker per GPU (``PORT`` as the scheduler prints it)::

    dask scheduler --host 127.0.0.1 &
    for g in 0 1 2 3; do
        CUDA_VISIBLE_DEVICES=$g dask worker tcp://127.0.0.1:PORT \
            --nthreads 1 --resources GPU=1 &
    done
    python -m paicore.records run 00_tour --profile quick \
        --dask tcp://127.0.0.1:PORT --device cuda

A cluster under Slurm. **Not tested here**; names of queue, options and paths differ
from site to site::

    from dask_jobqueue import SLURMCluster
    from distributed import Client

    cluster = SLURMCluster(
        queue="gpu",
        cores=1,
        processes=1,
        memory="16GB",
        walltime="08:00:00",
        job_extra_directives=["--gres=gpu:1"],
        worker_extra_args=["--resources GPU=1"],
        job_script_prologue=[". .venv/bin/activate"],
    )
    cluster.scale(jobs=8)  # queued jobs join as they start
    executor = records.dask(Client(cluster), resources={"GPU": 1})
    records.load_or_run(experiment, settings, executor=executor)

The settings name the device of the workers: ``dataclasses.replace(settings,
device="cuda")`` on a login node without a GPU.
"""

import pickle
from collections.abc import Callable, Mapping
from concurrent import futures
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paicore.records.workers import WorkerLost

if TYPE_CHECKING:
    import distributed
    from distributed import Client


def dask(
    client: "Client | str", *, resources: Mapping[str, float] | None = None
) -> "DaskFactory":
    """Return a factory of executors on a Dask cluster, for ``sweep(executor=...)``.

    Conventions: Dask gives a run whose worker died to another worker, as often as its
    setting ``distributed.scheduler.allowed-failures`` says; only then the sweep counts
    the worker as dead and goes by its own rules. A lost scheduler stops the sweep with
    what is kept. Ctrl-C takes back what waits; what a worker has begun it finishes, and
    nobody reads it. A cluster that has no workers yet is waited for. Without the extra
    ``cluster`` a RuntimeError says what installs it.

    Args:
        client: A connected synchronous ``distributed.Client``, which stays open, or
            the address of a scheduler, for example ``"tcp://node1:8786"``.
        resources: What each call takes of its worker, for example ``{"GPU": 1}`` with
            workers started by ``--resources GPU=1``. None: a thread and nothing else.

    Returns:
        Function without arguments that returns a ``concurrent.futures.Executor``.

    Raises:
        TypeError: `client` is neither, or is asynchronous.
        ValueError: A resource is no positive number.
    """
    distributed = _distributed()
    if not isinstance(client, (str, distributed.Client)):
        kind = type(client).__name__
        raise TypeError(f"client: expected a Client or an address, got a {kind}")
    if not isinstance(client, str) and client.asynchronous:
        raise TypeError("client: expected a synchronous Client, got an asynchronous")
    for name, amount in (resources or {}).items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise ValueError(f"resources: expected a number of {name}, got {amount!r}")
        if not amount > 0:
            raise ValueError(f"resources: expected some {name}, got {amount!r}")
    return DaskFactory(client, dict(resources or {}))


@dataclass(frozen=True)
class DaskFactory:
    """What `dask` returns.

    Attributes:
        client: The client, or the address of a scheduler.
        resources: What each call takes of its worker.
    """

    client: "Client | str"
    resources: dict[str, float]

    description = "Dask"

    def __call__(self) -> Executor:
        """Return a fresh executor, on a connection of its own for an address."""
        client = self._connected()
        _check_offered(client, self.resources)
        return _DaskExecutor(client, self.resources, owned=client is not self.client)

    def on_each_worker(self, function: Callable, *arguments: object) -> list:
        """Return what `function` returns on each worker, without those that fail."""
        client = self._connected()
        try:
            sent = _packed(OneThread(function), arguments)
            found = client.run(_courier(), sent, on_error="ignore")
            return [pickle.loads(each) for each in found.values()]
        finally:
            if client is not self.client:
                client.close()

    def _connected(self) -> "Client":
        """Return a client that has its scheduler.

        Raises:
            ConnectionError: There is none.
        """
        if isinstance(self.client, str):
            try:
                return _distributed().Client(self.client, set_as_default=False)
            except (OSError, ValueError) as error:  # silence there, or no address
                text = f"no Dask scheduler at {self.client} ({error})"
                raise ConnectionError(text) from error
        if self.client.status != "running":
            raise ConnectionError(f"the Dask client is {self.client.status}")
        return self.client


@dataclass(frozen=True)
class OneThread:
    """A function that runs with one torch thread, on whichever worker it lands.

    Attributes:
        function: What is called.
    """

    function: Callable

    def __call__(self, *arguments: object) -> object:
        """Set the thread that calls, which is where torch keeps the number."""
        import torch

        torch.set_num_threads(1)
        return self.function(*arguments)


class _DaskExecutor(Executor):
    """Calls on a cluster, with the errors that a sweep knows how to take.

    Dask's own executor (``Client.get_executor``) leaves a future pending for ever when
    the scheduler goes while its result is fetched.
    """

    def __init__(self, client: "Client", resources: dict, owned: bool):
        self._client, self._owned = client, owned
        # not pure: equal calls of two sweeps, or a second try, are runs of their own
        self._options = {"pure": False, "resources": resources or None}
        self._flying: dict = {}  # Dask's futures to ours

    def submit(self, function: Callable, /, *arguments: object) -> Future:
        """Send one call."""
        packed = _packed(OneThread(function), arguments)
        try:
            sent = self._client.submit(_courier(), packed, **self._options)
        except Exception as error:  # Dask's errors of a closed client have no class
            raise BrokenExecutor("the Dask scheduler is gone") from error
        future: Future = Future()
        future.set_running_or_notify_cancel()  # `shutdown` cancels, not the future
        self._flying[sent] = future
        sent.add_done_callback(self._pass_on)
        return future

    def _pass_on(self, sent: "distributed.Future") -> None:
        """Give a future what Dask's future holds, errors in the sweep's terms."""
        future = self._flying.pop(sent)
        try:
            result = pickle.loads(sent.result())
        except BaseException as error:  # asyncio's CancelledError is no Exception
            gone = sent.cancelled() or isinstance(error, OSError)
            future.set_exception(CancelledError() if gone else _translated(error))
        else:
            future.set_result(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End; without `wait` what has not begun is taken back."""
        if wait and not cancel_futures:
            futures.wait(list(self._flying.values()))
        elif self._client.status == "running":
            self._client.cancel(list(self._flying))
        if self._owned:
            self._client.close()


def _packed(function: Callable, arguments: tuple) -> bytes:
    """Return a call as bytes, which Dask passes on without looking into them."""
    import cloudpickle

    return cloudpickle.dumps((function, arguments))


def _courier() -> Callable[[bytes], bytes]:
    """Return what Dask is to run: opens a packed call, runs it, packs its result.

    A scheduler or worker that cannot import a task loses its connections over it, again
    and again. This function is local, so it travels by value and imports everywhere;
    what a worker cannot import is then an error of the run.
    """

    def open_and_run(packed: bytes) -> bytes:
        import pickle

        function, arguments = pickle.loads(packed)
        return pickle.dumps(function(*arguments))

    return open_and_run


def _translated(error: BaseException) -> BaseException:
    """Return a Dask error as what it means for a sweep; others as they are."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        deaths = error.allowed_failures + 1
        return WorkerLost(f"its Dask worker died (memory? {deaths} in a row)")
    # Errors inside a run come back as results: these are of opening the call.
    if isinstance(error, (ImportError, AttributeError)):
        remedy = "install it where the workers run, or set PYTHONPATH there"
        return WorkerLost(f"the workers cannot import it ({error}): {remedy}")
    return error


def _check_offered(client: "Client", resources: Mapping[str, float]) -> None:
    """Refuse what no worker offers: such a call would wait for ever.

    Raises:
        ValueError: There are workers, and none has the resources.
    """
    if not resources:
        return
    info = client.scheduler_info()
    offers = [worker["resources"] for worker in info["workers"].values()]
    told = len(offers) == info.get("n_workers", len(offers))  # some versions tell five
    fits = any(
        all(offer.get(name, 0) >= amount for name, amount in resources.items())
        for offer in offers
    )
    if offers and told and not fits:
        start = ",".join(f"{name}={amount:g}" for name, amount in resources.items())
        text = f"none of {len(offers)} workers offers {dict(resources)}"
        raise ValueError(f"resources: {text}; start them with --resources {start}")


def _distributed():
    """Return Dask's module, or say what installs it."""
    try:
        import distributed
    except ImportError as error:
        text = 'dask: needs the extra "cluster": pip install -e ".[cluster]"'
        raise RuntimeError(f"{text} ({error})") from error
    return distributed
