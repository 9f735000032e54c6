"""A sweep killed at any point and started again ends as if it was never killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sweep_cases import light_folder, never_killed, wait_for

from paicore import records
from paicore.records.calls import RunError
from paicore.records.journal import opened, read

# argv: journal, folder of traces, index of the append to tear (0: none), workers.
CHILD = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
from pathlib import Path
from paicore.records import processes, sweep
from work import CELLS, slow

journal, traces, tear, workers = sys.argv[1:]
write, count = os.write, 0

def torn_write(file, line):
    global count
    if not line.startswith(b'{"check'):
        return write(file, line)
    count += 1
    if count != int(tear):
        return write(file, line)
    done = write(file, line[: len(line) // 2])
    Path(traces, "torn").touch()
    time.sleep(60)  # the kill comes here, between the two halves of one line
    return done + write(file, line[len(line) // 2 :])

# no guard by __name__: workers must not run this script again, as no notebook has one
os.environ["TRACES"] = traces
os.write = torn_write
executor = processes(int(workers)) if int(workers) else None
rows = sweep(slow, CELLS, executor=executor, journal=journal, progress=False)
for row in rows:
    print(*(f"{name}={row[name]}" for name in sorted(row)))
"""


@pytest.fixture
def light(tmp_path, monkeypatch):
    """A folder that new processes import `work` and the light package from."""
    folder = light_folder(tmp_path / "light")
    (folder / "child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("TRACES", str(tmp_path))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "work", raising=False)
    return folder


class Child:
    """A sweep in a process of its own, and what its runs left behind."""

    def __init__(self, light, journal, workers=0):
        self.light, self.journal, self.workers = light, journal, workers
        self.traces = journal.parent
        self.begun = self.traces / "begun"

    def start(self, tear=0):
        words = (self.light / "child.py", self.journal, self.traces, tear, self.workers)
        command = [sys.executable, *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def kept(self):
        return set(read(self.journal)[0].runs)

    def runs_begun(self):
        return self.begun.read_text().split() if self.begun.exists() else []

    def kill(self, delay, from_first_run=True, tear=0):
        """Start, kill, and check that nothing kept before was begun again."""
        kept, before = self.kept(), len(self.runs_begun())
        process = self.start(tear)
        if from_first_run:
            wait_for(lambda: len(self.runs_begun()) > before)
        if tear:
            wait_for((self.traces / "torn").exists)
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before the kill"
        assert kept <= self.kept(), "a finished run was lost"
        assert not kept & set(self.runs_begun()[before:]), "a finished run began again"

    def finish(self):
        kept, before = self.kept(), len(self.runs_begun())
        out, _ = self.start().communicate(timeout=60)
        assert not kept & set(self.runs_begun()[before:])
        return out.splitlines()


def tear_by_hand(journal):
    """Cut the last line in the middle, as a kill of the machine would."""
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    journal.write_bytes(content[: last + (len(content) - last) // 2])


def test_killed_twenty_five_times_it_ends_with_the_rows_of_a_sweep_never_killed(
    light, tmp_path
):
    child = Child(light, tmp_path / "sweep.jsonl")
    draw = random.Random(20)
    for _ in range(18):
        child.kill(draw.uniform(0, 0.09))
    for _ in range(4):  # while Python starts, imports and reads the journal
        child.kill(draw.uniform(0, 0.2), from_first_run=False)
    for index in (1, 3, 6):  # inside the append of a line
        kept = child.kept()
        child.kill(0, tear=index)
        (tmp_path / "torn").unlink()
        assert not child.journal.read_bytes().endswith(b"\n"), "no torn line on disk"
        assert len(child.kept() - kept) == index - 1
    assert 20 < len(child.kept()) < 300, "the kills must fall into the sweep"
    tear_by_hand(child.journal)
    assert child.finish() == never_killed()
    names = [line.split(b'"')[7] for line in child.journal.read_bytes().splitlines()]
    assert len(names) == len(set(names)) == 300


def test_killed_with_its_workers_at_work_it_loses_nothing_and_leaves_no_worker(
    light, tmp_path
):
    child = Child(light, tmp_path / "sweep.jsonl", workers=2)
    for delay in (0.05, 0.2):
        child.kill(delay)
    begun = len(child.runs_begun())
    time.sleep(0.3)
    assert len(child.runs_begun()) == begun, "workers outlived their driver"
    assert child.finish() == never_killed()


def test_the_torn_line_is_cut_and_only_its_run_is_done_again(light, tmp_path):
    from work import CELLS, rows

    journal = tmp_path / "sweep.jsonl"
    whole = records.sweep(rows, CELLS[:9], journal=journal, progress=False)
    tear_by_hand(journal)
    done = []

    def noted(cell):
        done.append(cell["seed"])
        return rows(cell)

    again = records.sweep(noted, CELLS[:9], journal=journal, progress=False)
    assert again == whole
    assert done == [8]


@pytest.mark.parametrize("damage", [b"", b"x", b'{"check": "000000000000", "run"'])
def test_a_damaged_line_in_the_middle_is_reported_and_its_run_done_again(
    light, tmp_path, damage
):
    from work import CELLS, rows

    journal = tmp_path / "sweep.jsonl"
    whole = records.sweep(rows, CELLS[:5], journal=journal, progress=False)
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:1], damage, *lines[2:]]))
    said, done = [], []
    again = records.sweep(
        lambda cell: done.append(cell["seed"]) or rows(cell),
        CELLS[:5],
        journal=journal,
        progress=said.append,
    )
    assert again == whole
    assert done == [1]
    assert any("line 2" in line for line in said)


def test_a_worker_that_dies_once_costs_nothing(light, tmp_path, monkeypatch):
    from work import CELLS, deadly, rows

    monkeypatch.setenv("DIE", "once")
    said = []
    found = records.sweep(
        deadly, CELLS[:8], executor=records.processes(2), progress=said.append
    )
    assert (tmp_path / "died").exists()
    assert any("a worker died" in line for line in said)
    assert found == records.sweep(rows, CELLS[:8], progress=False)


def test_a_worker_that_always_dies_stops_the_sweep_and_the_rest_is_kept(
    light, tmp_path, monkeypatch
):
    from work import CELLS, deadly

    monkeypatch.setenv("DIE", "always")
    journal = tmp_path / "sweep.jsonl"
    says = r"snip,0\.1,,3 failed: its worker died .*; 7 of 8 kept, run again"
    with pytest.raises(records.SweepStopped, match=says):
        records.sweep(
            deadly,
            CELLS[:8],
            executor=records.processes(2),
            journal=journal,
            progress=False,
        )
    kept = set(read(journal)[0].runs)
    assert kept == {f"snip,0.1,,{seed}" for seed in (0, 1, 2, 4, 5, 6, 7)}


def test_workers_that_die_on_every_run_stop_the_sweep_early(light, monkeypatch):
    from work import CELLS, lethal

    said = []
    with pytest.raises(records.SweepStopped, match="0 of 40 kept"):
        records.sweep(
            lethal, CELLS[:40], executor=records.processes(1), progress=said.append
        )
    assert sum("its worker died" in line for line in said) == 3


def outcome(work, executor):
    """Return the message of the sweep that stops and what its journal then holds."""
    from work import CELLS

    with pytest.raises(records.SweepStopped) as stopped:
        records.sweep(
            work, CELLS[:6], executor=executor, journal="build/j.jsonl", progress=False
        )
    journal = Path(os.environ["PAICORE_ROOT"], "build/j.jsonl")
    kept = sorted(read(journal)[0].runs)
    journal.unlink()
    return str(stopped.value), kept


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("one_way", "One_Way: lost 1"),
        ("leaving", "SystemExit: 3"),
        ("nested", "ValueError: run snip,0.1,,2: a row is no JSON in UTF-8"),
        ("unreadable", "TypeError: run snip,0.1,,2: a row is no JSON: Object"),
        ("surrogate", "ValueError: run snip,0.1,,2: a row is no JSON in UTF-8"),
        ("taken", "ValueError: run snip,0.1,,2: a row holds ['run', 'seed'], which"),
        ("by_number", "TypeError: run snip,0.1,,2: expected rows of texts to values"),
        ("no_rows", "TypeError: run snip,0.1,,2: expected a list of rows, got a dict"),
        ("no_mapping", "TypeError: run snip,0.1,,2: expected rows of texts to val"),
    ],
)
def test_what_is_no_row_fails_its_run_alone_and_alike_with_and_without_workers(
    light, tmp_path, monkeypatch, name, says
):
    import work

    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    monkeypatch.setenv("BAD", name)
    alone = outcome(work.bad, None)
    assert f"snip,0.1,,2 failed: {says}" in alone[0] and "5 of 6 kept" in alone[0]
    assert alone[1] == [f"snip,0.1,,{seed}" for seed in (0, 1, 3, 4, 5)]
    assert outcome(work.bad, records.processes(2)) == alone


def test_rows_are_the_same_from_a_run_and_from_its_journal(light, tmp_path):
    from work import CELLS

    def odd(cell):
        return [{"step": 0, "pair": (1, 2), "none": None, "text": "µ"}]

    journal = tmp_path / "sweep.jsonl"
    first = records.sweep(odd, CELLS[:2], journal=journal, progress=False)
    assert first == records.sweep(odd, CELLS[:2], journal=journal, progress=False)


def test_a_keyboard_interrupt_inside_a_run_ends_the_sweep_without_noise(
    light, tmp_path
):
    child = Child(light, tmp_path / "sweep.jsonl", workers=2)
    text = (light / "child.py").read_text().replace("slow", "stopping")
    (light / "child.py").write_text(text)
    process = subprocess.Popen(
        [sys.executable, light / "child.py", child.journal, tmp_path, "0", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.communicate(timeout=20)[1]
    assert process.returncode not in (0, None)
    assert said.rstrip().endswith("KeyboardInterrupt: by hand")
    assert "InvalidStateError" not in said and "Exception in thread" not in said
    assert {"snip,0.1,,0", "snip,0.1,,1"} & child.kept()


def test_an_error_in_one_run_lets_the_others_finish_and_names_the_run(light, tmp_path):
    from work import CELLS, failing

    journal = tmp_path / "sweep.jsonl"
    for executor in (None, records.processes(1)):
        journal.unlink(missing_ok=True)
        with pytest.raises(records.SweepStopped, match=r"snip,0.1,,2 failed") as error:
            records.sweep(
                failing, CELLS[:6], executor=executor, journal=journal, progress=False
            )
        cause = error.value.__cause__
        assert isinstance(cause, RunError)
        assert 'raise ArithmeticError("no number here")' in str(cause)
        assert {name[-1] for name in read(journal)[0].runs} == set("0135")


def test_ctrl_c_does_not_wait_for_a_long_run(light, tmp_path, monkeypatch):
    monkeypatch.setenv("NAP", "60")
    child = Child(light, tmp_path / "sweep.jsonl", workers=1)
    process = child.start()
    wait_for(lambda: child.runs_begun())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode not in (0, None)


def test_ctrl_c_keeps_what_finished(light, tmp_path):
    child = Child(light, tmp_path / "sweep.jsonl", workers=1)
    process = child.start()
    wait_for(lambda: len(child.runs_begun()) > 5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert len(child.kept()) >= 4
    assert len(child.runs_begun()) < 250, "pending runs went on"


def test_a_finished_run_is_on_disk_before_the_next_begins(light, tmp_path, monkeypatch):
    from work import CELLS, rows

    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(sync(file)))

    def noted(cell):
        assert len(synced) == cell["seed"]
        return rows(cell)

    records.sweep(noted, CELLS[:4], journal=tmp_path / "j.jsonl", progress=False)
    assert len(synced) == 4


def test_a_second_sweep_of_one_journal_names_the_first(light, tmp_path):
    from work import CELLS, rows

    journal = tmp_path / "sweep.jsonl"
    with (
        opened(journal),
        pytest.raises(RuntimeError, match=f"process {os.getpid()} .* is writing"),
    ):
        records.sweep(rows, CELLS[:2], journal=journal, progress=False)
    assert len(records.sweep(rows, CELLS[:2], journal=journal, progress=False)) == 6


def test_two_sweeps_that_start_together_never_interleave(light, tmp_path):
    from work import CELLS, rows

    journal, errors, barrier = tmp_path / "sweep.jsonl", [], threading.Barrier(4)

    def one():
        barrier.wait()
        try:
            records.sweep(rows, CELLS[:40], journal=journal, progress=False)
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) <= 3
    assert journal.read_bytes().count(b"\n") == 40
