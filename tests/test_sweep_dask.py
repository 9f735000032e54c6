"""A sweep on a Dask cluster: the rows of a serial one, whatever is killed."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from records_cases import GROUPED, empty_repository, journal_of
from sweep_cases import light_folder, never_killed, wait_for

from paicore import records
from paicore.records.__main__ import main
from paicore.records.cluster import OneThread
from paicore.records.journal import read

needed = 'needs Dask: pip install -e ".[cluster]"'
dask = pytest.importorskip("dask", reason=needed)
distributed = pytest.importorskip("distributed", reason=needed)

# What workers import; traces of all runs go into one folder.
FAR = """
import os, signal, time
from pathlib import Path
from paicore.records import run_id
from work import CELLS, rows

TRACES = Path(os.environ["TRACES"])

def note(*words):
    with open(TRACES / "begun", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def noted(cell):
    note(run_id(cell))
    time.sleep(0.02)
    return rows(cell)

def together(group):
    note(*map(run_id, group))
    time.sleep(0.02)
    return [rows(cell) for cell in group]

def lethal(cell):
    if cell["seed"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(cell)

def placed(cell):
    note("+", os.getpid())
    time.sleep(0.02)
    note("-", os.getpid())
    return rows(cell)

def by_seed(cell):
    return cell["seed"] // 4
"""

# In place of the torch of the workers, which takes seconds to import.
TORCH = """
from types import SimpleNamespace
__version__, threads = "0", [8]
version = SimpleNamespace(cuda=None)

def set_num_threads(count):
    threads[:] = [count]

def get_num_threads():
    return threads[0]
"""

# argv: address of the scheduler, journal
DRIVER = """
import sys
from paicore.records import dask, sweep
from far import CELLS, noted

address, journal = sys.argv[1:]
options = {"executor": dask(address), "journal": journal, "progress": False}
rows = sweep(noted, CELLS[:200], **options)
for row in rows:
    print(*(f"{name}={row[name]}" for name in sorted(row)))
"""

# A cluster that can be killed whole.
CLUSTER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://",
        host="127.0.0.1", dashboard_address=":0", local_directory=sys.argv[1],
    )
    print(cluster.scheduler_address, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A folder that workers import from, in their environment and on our path."""
    folder = tmp_path_factory.mktemp("dask")
    light = light_folder(folder / "light")
    (light / "far.py").write_text(FAR)
    (light / "torch.py").write_text(TORCH)
    here = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(light), here]))
        patch.setenv("TRACES", str(folder))
        patch.syspath_prepend(str(light))
        for name in ("work", "far"):
            patch.delitem(sys.modules, name, raising=False)
        import far

        yield far


@pytest.fixture(scope="module")
def cluster(far):
    """Two worker processes on the loopback, every port a free one."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,  # so that it takes the resource to keep calls apart
        resources={"GPU": 1},
        host="127.0.0.1",
        dashboard_address=":0",
        local_directory=str(far.TRACES),
        silence_logs="CRITICAL",  # deaths are on purpose
    ) as found:
        yield found


@pytest.fixture
def client(cluster, far):
    (far.TRACES / "begun").unlink(missing_ok=True)
    cluster.scheduler.allowed_failures = 3
    with distributed.Client(cluster) as found:
        found.wait_for_workers(2, timeout=20)
        yield found


def begun(far):
    """What the runs noted, one list of words per line."""
    path = far.TRACES / "begun"
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text.splitlines()]


def lines(journal):
    """How many lines a journal has while it grows."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def in_order(journal):
    """The runs in a journal, by line, so that one kept twice shows."""
    return [line.split(b'"')[7].decode() for line in journal.read_bytes().splitlines()]


def test_serial_processes_and_dask_give_the_same_rows(client, far):
    cells, ways = far.CELLS[:24], (records.processes(2), records.dask(client))
    alone = records.sweep(far.rows, cells, progress=False)
    for executor in ways:
        options = {"executor": executor, "progress": False}
        assert records.sweep(far.noted, cells, **options) == alone
        grouped = records.sweep(far.together, cells, group=far.by_seed, **options)
        assert grouped == alone
    assert sum(len(words) == 4 for words in begun(far)) == 2 * 6, "groups, not runs"


@pytest.mark.parametrize("allowed", [3, 0])
def test_a_worker_killed_at_work_loses_nothing_and_doubles_nothing(
    client, cluster, far, tmp_path, allowed
):
    cluster.scheduler.allowed_failures = allowed
    victim = next(iter(client.run(os.getpid).values()))
    cells, said, journal = far.CELLS[:60], [], tmp_path / "sweep.jsonl"

    def kill():
        wait_for(lambda: len(begun(far)) > 10)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    rows = records.sweep(
        far.noted,
        cells,
        executor=records.dask(client),
        journal=journal,
        progress=said.append,
    )
    killer.join()
    assert victim not in client.run(os.getpid).values()
    assert rows == records.sweep(far.rows, cells, progress=False)
    assert sorted(in_order(journal)) == sorted(map(records.run_id, cells))
    assert len(begun(far)) > len(cells), "the kill must fall into a run"
    ours = [line for line in said if "its Dask worker died" in line]
    assert bool(ours) == (allowed == 0), "with tries left, Dask sees to it alone"


def test_a_run_that_kills_its_workers_fails_alone_with_its_reason(
    client, cluster, far, tmp_path
):
    cluster.scheduler.allowed_failures = 0
    journal = tmp_path / "sweep.jsonl"
    says = (
        r"snip,0\.1,,3 failed: its Dask worker died \(memory\? 1 in a row\); "
        "7 of 8 kept, run again"
    )
    with pytest.raises(records.SweepStopped, match=says):
        records.sweep(
            far.lethal,
            far.CELLS[:8],
            executor=records.dask(client),
            journal=journal,
            progress=False,
        )
    kept = {f"snip,0.1,,{seed}" for seed in (0, 1, 2, 4, 5, 6, 7)}
    assert set(in_order(journal)) == kept


def test_a_killed_driver_loses_no_finished_run(client, cluster, far, tmp_path):
    journal = tmp_path / "sweep.jsonl"
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, tmp_path / "driver.py", cluster.scheduler_address, journal]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    wait_for(lambda: lines(journal) > 20)
    process.kill()
    process.wait()
    kept, before = in_order(journal), len(begun(far))
    assert 20 < len(kept) < 190
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == never_killed(200)
    again = {name for line in begun(far)[before:] for name in line}
    assert not again & set(kept)
    assert in_order(journal)[: len(kept)] == kept
    assert len(in_order(journal)) == len(set(in_order(journal))) == 200


def test_a_lost_scheduler_stops_the_sweep_and_says_what_is_kept(far, tmp_path):
    (far.TRACES / "begun").unlink(missing_ok=True)
    (tmp_path / "cluster.py").write_text(CLUSTER)
    words = [sys.executable, tmp_path / "cluster.py", tmp_path]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    journal = tmp_path / "sweep.jsonl"
    with subprocess.Popen(words, **out) as process:
        address = process.stdout.readline().strip()
        executor = records.dask(address)
        killer = threading.Thread(
            target=lambda: (wait_for(lambda: lines(journal) > 4), process.kill())
        )
        killer.start()
        options = {"executor": executor, "journal": journal, "progress": False}
        with pytest.raises(records.SweepStopped) as stopped:
            records.sweep(far.noted, far.CELLS, **options)
        killer.join()
    kept = len(read(journal)[0].runs)
    assert 4 < kept < 300
    assert str(stopped.value).endswith(
        f"(is its scheduler gone?); {kept} of 300 kept, run again"
    )
    says = rf"no Dask scheduler at {address} .*; {kept} of 300 kept, run again"
    short = {"distributed.comm.timeouts.connect": "500ms"}
    with (
        dask.config.set(short),
        pytest.raises(records.SweepStopped, match=says),
    ):
        records.sweep(far.noted, far.CELLS, **options)


def test_what_the_workers_cannot_import_is_named_with_the_remedy(
    client, far, tmp_path, monkeypatch
):
    (tmp_path / "only_here.py").write_text("def run(cell):\n    return []\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from only_here import run

    says = r"the workers cannot import it \(No module named 'only_here'\): install .*"
    with pytest.raises(records.SweepStopped, match=says + "0 of 20 kept"):
        records.sweep(
            run, far.CELLS[:20], executor=records.dask(client), progress=False
        )


def test_a_resource_is_for_one_call_at_a_time_and_one_that_nobody_has_is_refused(
    client, far
):
    executor = records.dask(client, resources={"GPU": 1})
    records.sweep(far.placed, far.CELLS[:20], executor=executor, progress=False)
    says = r"none of 2 workers offers {'TPU': 2}; start them with --resources TPU=2"
    with pytest.raises(ValueError, match=says):
        records.dask(client, resources={"TPU": 2})()
    noted = begun(far)
    assert len(noted) == 40
    for worker in {worker for _, worker in noted}:
        marks = [mark for mark, each in noted if each == worker]
        assert marks == ["+", "-"] * (len(marks) // 2), "two calls shared a GPU"


def test_a_record_of_populations_on_a_cluster_is_the_serial_one_and_says_so(
    cluster, client, tmp_path, monkeypatch
):
    root = empty_repository(tmp_path, monkeypatch)
    monkeypatch.setattr(
        "paicore.records.__main__.find", lambda notebook: {"tiny": GROUPED}
    )
    words = ["run", "00_tour", "tiny", "--profile", "quick", "--device", "cpu"]
    assert main(words) == 0
    made = root / "build/figures/00_tour/quick/tiny.csv"
    serial = made.read_bytes()
    journal_of(root).unlink()
    assert main([*words, "--dask", cluster.scheduler_address]) == 0
    assert made.read_bytes() == serial
    facts = records.stored(GROUPED, "quick", "build/figures").provenance
    assert facts["runs"]["group"] == "by_density"
    assert facts["machine"]["executor"] == "Dask"
    (worker,) = facts["machine"]["workers"]
    assert (worker["count"], worker["threads"]) == (2, 1)
    assert worker["paicore"] == facts["code"]["modules"]["paicore"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--device", "auto"], "dask: add --device cpu or cuda"),
        (["--device", "cpu", "--jobs", "2"], "jobs: a cluster has its own number"),
        (["--device", "cpu"], "no Dask scheduler at nowhere"),
    ],
)
def test_the_command_line_explains_what_does_not_go_together(
    more, says, capsys, tmp_path, monkeypatch
):
    empty_repository(tmp_path, monkeypatch)
    monkeypatch.setattr(
        "paicore.records.__main__.find", lambda notebook: {"tiny": GROUPED}
    )
    words = ["run", "00_tour", "tiny", "--profile", "quick", "--dask", "nowhere://x"]
    assert main([*words, *more]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("client", "resources", "error", "says"),
    [
        (3, None, TypeError, "client: expected a Client or an address, got a int"),
        ("tcp://x:1", {"GPU": "1"}, ValueError, "expected a number of GPU, got '1'"),
        ("tcp://x:1", {"GPU": 0}, ValueError, "resources: expected some GPU, got 0"),
    ],
)
def test_what_is_no_cluster_and_no_resource_is_refused(client, resources, error, says):
    with pytest.raises(error, match=says):
        records.dask(client, resources=resources)


def test_without_dask_a_sentence_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match=r'needs the extra "cluster": pip install'):
        records.dask("tcp://x:1")


def test_a_call_runs_with_one_torch_thread():
    import torch

    torch.set_num_threads(2)
    try:
        assert OneThread(torch.get_num_threads)() == 1
    finally:
        torch.set_num_threads(1)
