"""Checkpoints that lost something, are of another network, or cannot be written."""

import io
import sys
from fractions import Fraction

import numpy as np
import pytest
import test_transfer_checkpoint as checkpoints
import torch
import transfer_references as references

from paicore import seeds
from paicore.transfer import checkpoint as files

SHORT = {"steps": 6, "log_every": 2, "frequency": 2}
MASK, VALUE, MOMENT = (f"{each}/fc1.weight" for each in ("mask", "value", "moment"))


def run(**options):
    return checkpoints.run(**SHORT | options)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Everything in the checkpoint of a finished run."""
    path = tmp_path_factory.mktemp("whole") / "run.npz"
    run(checkpoint=path)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


DAMAGE = {
    "no value": lambda a: a.pop(VALUE),
    "no mask": lambda a: a.pop(MASK),
    "no first mask": lambda a: a.pop("first/fc1.weight"),
    "no moment": lambda a: a.pop(MOMENT),
    "no step": lambda a: a.pop("step"),
    "no log": lambda a: a.pop("log"),
    "another moment": lambda a: a.update({"moment/zzz": a[MOMENT]}),
    "run is a list": lambda a: a.update(run="[]"),
    "step too late": lambda a: a.update(step=99),
    "step before the first": lambda a: a.update(step=-3),
    "step of no row": lambda a: a.update(step=4),
    "log of few columns": lambda a: a.update(log=a["log"][:, :5]),
    "log without rows": lambda a: a.update(log=a["log"][:0]),
    "mask of another shape": lambda a: a.update({MASK: np.ones((2, 2), bool)}),
    "mask of numbers": lambda a: a.update({MASK: a[MASK].astype(float)}),
    "value that broadcasts": lambda a: a.update({VALUE: a[VALUE][:1, :1]}),
    "value not a number": lambda a: a.update({VALUE: a[VALUE] * np.nan}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_that_lost_something_is_refused(tmp_path, arrays, damage):
    path, broken = tmp_path / "run.npz", dict(arrays)
    DAMAGE[damage](broken)
    with open(path, "wb") as file:
        np.savez(file, **broken)
    with pytest.raises(ValueError, match=r"^checkpoint: .* no readable checkpoint "):
        run(checkpoint=path)


def test_another_network_with_the_same_weights_is_refused(tmp_path):
    path, other = tmp_path / "run.npz", references.mlp(activation="tanh")
    other.load_state_dict(references.mlp().state_dict())
    run(checkpoint=path)
    with pytest.raises(ValueError, match=r"^checkpoint: .* another net .*same weights"):
        run(checkpoint=path, net=other)
    hooked = references.mlp()
    hooked.register_forward_hook(lambda module, inputs, out: 3 * out)
    with pytest.raises(ValueError, match=r"^checkpoint: .* another net "):
        run(checkpoint=path, net=hooked)
    run(checkpoint=path)


def test_after_an_error_the_same_call_can_be_made_again(tmp_path):
    path, g = tmp_path / "run.npz", seeds.generator(0, "checkpoint")
    before = g.get_state()
    given = SHORT | {"generator": g, "checkpoint": path, "progress": False}
    given |= {"density": 0.4, "batch": 6, "lr": 0.02}
    transfer = checkpoints.transfer.neural_tangent_transfer
    net, x = references.mlp(), references.inputs(20, 6)

    def broken(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(net, x, **given | {"order": broken})
    assert torch.equal(g.get_state(), before)
    once = transfer(net, x, **given)
    with pytest.raises(ValueError, match=r"another generator .* seed it as the first"):
        transfer(net, x, **given)
    g.set_state(before)
    assert transfer(net, x, **given).log == once.log


@pytest.mark.parametrize("name", ["lr", "l2", "kernel_weight", "density"])
def test_numbers_of_any_kind_are_the_same_run(tmp_path, name):
    path = tmp_path / "run.npz"
    run(checkpoint=path, **{name: 0.25})
    for other in (np.float32(0.25), Fraction(1, 4)):
        run(checkpoint=path, **{name: other})


def test_bfloat16_inputs_have_a_checkpoint(tmp_path):
    x = references.inputs(20, 6).bfloat16()
    one = run(checkpoint=tmp_path / "run.npz", x=x)
    assert run(checkpoint=tmp_path / "run.npz", x=x).log == one.log


@pytest.mark.parametrize("name", ["a\0.npz", "a" * 300 + ".npz"], ids=["nul", "long"])
def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path, monkeypatch, name):
    monkeypatch.setattr("paicore.transfer.matching.prepared", None)
    with pytest.raises(ValueError, match=r"^checkpoint: cannot write "):
        run(checkpoint=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_finished_checkpoint_is_read_where_nothing_can_be_written(
    tmp_path, monkeypatch
):
    path = tmp_path / "run.npz"
    once = run(checkpoint=path)
    monkeypatch.setattr("pathlib.Path.write_bytes", None)
    assert run(checkpoint=path).log == once.log


def test_what_a_killed_save_left_is_cleared_by_the_next(tmp_path):
    path = tmp_path / "run.npz"
    files.partial(path).write_bytes(b"half of a checkpoint")
    run(checkpoint=path)
    assert [each.name for each in tmp_path.iterdir()] == ["run.npz"]


def test_the_default_dtype_of_a_caller_does_not_reach_a_resumed_run(tmp_path):
    path, before = tmp_path / "run.npz", torch.get_default_dtype()
    whole = checkpoints.flat(checkpoints.run(steps=20))
    checkpoints.interrupted(path, 6, steps=20)
    net = references.mlp()
    torch.set_default_dtype(torch.float16)
    try:
        again = checkpoints.run(net=net, checkpoint=path, steps=20)
    finally:
        torch.set_default_dtype(before)
    checkpoints.same(checkpoints.flat(again), whole)


def test_the_order_in_which_masks_are_named_does_not_matter():
    masks = references.random_masks(references.mlp())
    turned = dict(reversed(masks.items()))
    assert list(turned) != list(masks)
    assert files.digest(turned) == files.digest(masks)
    assert files.digest(masks) != files.digest({n: ~m for n, m in masks.items()})


def test_the_bar_of_a_resumed_run_shows_the_distances_at_once(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    run(checkpoint=path)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run(checkpoint=path, progress=True)
    assert "6/6" in sys.stderr.getvalue()
    assert "masked=" in sys.stderr.getvalue()
