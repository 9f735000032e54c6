"""A run killed at any point and started again ends as if it was never killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import transfer_references as references

from paicore import seeds, transfer

OPTIONS = {
    "density": 0.4, "steps": 40, "frequency": 7, "batch": 6, "lr": 0.02,
    "log_every": 6, "progress": False,
}  # fmt: skip

# argv: checkpoint, where to put the result, how long to sleep in each save.
CHILD = """
import sys, time
import numpy as np
import torch
torch.set_num_threads(1)
import test_transfer_checkpoint as tests
from paicore.transfer import checkpoint

save = checkpoint.save
def slow(path, state, run):
    save(path, state, run)
    print(state.step, flush=True)
    time.sleep(float(sys.argv[3]))
checkpoint.save = slow
np.savez(sys.argv[2], **tests.flat(tests.run(checkpoint=sys.argv[1])))
"""


def run(net=None, x=None, seed=0, **options):
    net = net or references.mlp()
    x = references.inputs(20, 6) if x is None else x
    g = seeds.generator(seed, "checkpoint")
    return transfer.neural_tangent_transfer(net, x, generator=g, **OPTIONS | options)


def flat(result):
    """Everything in a result as arrays."""
    found = {f"theta {n}": v.numpy() for n, v in result.theta.items()}
    found |= {f"weight {n}": v.numpy() for n, v in result.weights.items()}
    found |= {f"mask {n}": v.numpy() for n, v in result.masks.items()}
    return found | {"log": np.array([list(row.values()) for row in result.log])}


def same(left, right):
    assert list(left) == list(right)
    for name in left:
        assert left[name].dtype == right[name].dtype
        assert left[name].tobytes() == right[name].tobytes(), name


def interrupted(path, step, **options):
    """Run into an error at the first row of the log from a step on."""
    from paicore.transfer import checkpoint

    save, stopped = checkpoint.save, RuntimeError("stopped")

    def stop(where, state, same):
        save(where, state, same)
        if state.step >= step:
            raise stopped

    checkpoint.save = stop
    try:
        with pytest.raises(RuntimeError, match="stopped"):
            run(checkpoint=path, **options)
    finally:
        checkpoint.save = save


@pytest.mark.parametrize(
    "options",
    [
        {}, {"optimizer": "sgd"}, {"estimator": "probe"}, {"moments": "clear"},
        {"scope": "global", "dtype": torch.float64},
    ],
    ids=str,
)  # fmt: skip
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, options):
    whole = flat(run(**options))
    for step in (6, 30):
        path = tmp_path / f"{step}.npz"
        interrupted(path, step, **options)
        same(flat(run(checkpoint=path, **options)), whole)


def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    path, done = tmp_path / "run.npz", tmp_path / "done.npz"
    call = [sys.executable, "-c", CHILD, str(path), str(done)]
    folders = [os.path.dirname(__file__), *sys.path]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    with subprocess.Popen(
        [*call, "60"], env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline().strip() == "6"
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert path.exists() and not done.exists()
    subprocess.run([*call, "0"], env=env, check=True, stdout=subprocess.DEVNULL)
    with np.load(done, allow_pickle=False) as file:
        same({name: file[name] for name in file.files}, flat(run()))


def test_a_finished_run_is_read_back_without_a_step(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    before = flat(run(checkpoint=path))
    monkeypatch.setattr("paicore.transfer.matching._terms", None)
    same(flat(run(checkpoint=path)), before)


def test_checkpoints_change_nothing_and_leave_no_other_file(tmp_path):
    same(flat(run(checkpoint=tmp_path / "run.npz")), flat(run()))
    assert [each.name for each in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("lr", {"lr": 0.01}), ("generator", {"seed": 1}),
        ("x", {"x": references.inputs(20, 6, seed=1)}),
        ("net", {"net": references.mlp(seed=1)}),
        ("scope", {"scope": {"fc1.weight": 0.2}}),
        ("validation", {"validation": references.inputs(4, 6)}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_the_checkpoint_of_another_run_is_refused_by_name(tmp_path, name, other):
    path = tmp_path / "run.npz"
    run(checkpoint=path, steps=8)
    with pytest.raises(ValueError, match=f"checkpoint: .* another {name} "):
        run(checkpoint=path, **{"steps": 8} | other)


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    path = tmp_path / "run.npz"
    run(checkpoint=path, steps=8)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-500], "text": b"step 3", "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"checkpoint: .* no readable checkpoint"):
        run(checkpoint=path, steps=8)


def test_a_checkpoint_needs_no_pickle(tmp_path):
    run(checkpoint=tmp_path / "run.npz", steps=8)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
