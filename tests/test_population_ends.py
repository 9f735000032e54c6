import copy
import io
import math
from functools import partial

import pytest
import torch
from population_cases import alone, copied, differences, members_of, resnet
from tqdm import tqdm
from train_cases import DIGITS, conv_bn, mlp, seeded

from paicore import train
from paicore.train.population import Member, chunks, engine, memory
from paicore.train.population.stack import Stack
from paicore.train.population.stack import stacked as stack_of

FEW = DIGITS.subset(train=170, test=90)
RECIPE = train.Recipe("sgd", 0.05, weight_decay=1e-2, batch=32, steps=20)
stacked = partial(train.population, engine="stacked")


def snapshot(members):
    return [copy.deepcopy(net.state_dict()) for net, _, _ in members]


def diverging(make, place=1):
    """Return members of which one overflows: after some steps, or at once.

    Batch norm forgives large weights before it, so that its networks get infinities.
    """
    members, factor = members_of(make), 1e18 if make is mlp else 1e38
    readout = [p for p in members[place][0].parameters() if p.ndim == 2][-1]
    readout.data.mul_(factor)
    return members


@pytest.mark.parametrize("make", [mlp, conv_bn, resnet])
@pytest.mark.parametrize("place", [0, 1])
def test_a_member_that_diverges_is_marked_and_the_others_are_unaffected(make, place):
    members, calm = diverging(make, place), members_of(make)
    looped, lonely = copied(members), copied(members)
    recipe = train.Recipe("sgd", 0.05, batch=32, steps=12, eval_every=4)
    rows = stacked(members, FEW, recipe)
    from_loop = train.population(looped, FEW, recipe, engine="loop")
    for key in ("member", "step", "epoch", "lr", "test_accuracy", "diverged"):
        values = [[row[key] for row in table] for table in (rows, from_loop)]
        assert repr(values[0]) == repr(values[1])
    (end,) = [row for row in rows if row["diverged"]]
    net, masks, g = lonely[place]
    with pytest.raises(train.Diverged) as caught:
        train.fit(net, FEW, recipe, masks=masks, generator=g)
    assert (end["member"], end["step"]) == (place, caught.value.step)
    assert end["diverged"] == str(caught.value) and math.isnan(end["train_loss"])
    assert torch.equal(members[place][2].get_state(), g.get_state())
    left = net.state_dict()  # as fit leaves it
    for name, tensor in members[place][0].state_dict().items():
        assert torch.allclose(tensor, left[name], rtol=1e-3, atol=1e-6), name
    stacked(calm, FEW, recipe)
    others = [k for k in range(3) if k != place]
    assert differences([members[k] for k in others], [calm[k] for k in others]) == 0


def test_the_place_of_a_diverged_member_computes_a_copy_of_a_living_one(monkeypatch):
    copy_place, copies = Stack.copy, []

    def watched(self, source, target):
        copy_place(self, source, target)
        held = [each for state in self.optimizer.state.values()
                for each in state.values() if each.ndim]  # fmt: skip
        tensors = [*self.parameters.values(), *self.buffers.values(), *held]
        assert len(held) == 2 * len(self.parameters)
        copies.append((source, target))
        for tensor in [*tensors, *self.factors.values()]:
            assert torch.equal(tensor[source], tensor[target])
            assert tensor.isfinite().all()

    monkeypatch.setattr(Stack, "copy", watched)
    recipe = train.Recipe("adam", 1e-3, batch=32, steps=12)
    rows = stacked(diverging(conv_bn, 0), FEW, recipe)
    assert copies == [(1, 0)]
    assert [row["member"] for row in rows if row["diverged"]] == [0]


def test_losses_that_are_read_late_end_a_member_at_the_step_it_diverged():
    members = [Member(*each) for each in members_of(mlp)]
    cpu = torch.device("cpu")
    plan = engine.Plan(None, FEW, RECIPE, [0.1] * 20, torch.float32)
    stack = stack_of(members, RECIPE, cpu, torch.float32)
    run = engine._Run(plan, stack, [0, 1, 2], [[], [], []])
    losses = [[1.0, 2.0, 3.0], [1.0, math.inf, 3.0], [1.0, math.nan, math.nan]]
    run.pending = [torch.tensor(each) for each in losses]
    assert run.read(10) == [1, 2] and run.losses[0] == [1.0, 2.0, 3.0]
    assert {k: error.step for k, (error, _) in run.ended.items()} == {1: 9, 2: 10}
    assert run.fill([1, 2]) and run.source == [0, 0, 0]
    run.pending = [torch.tensor([math.nan, 1.0, 1.0])]
    assert not run.fill(run.read(11)) and run.ended[0][0].step == 11


def test_a_diverged_member_keeps_the_weights_and_statistics_that_fit_leaves():
    members = diverging(mlp)
    lonely = copied(members)
    recipe = train.Recipe("sgd", 1e150, batch=32, steps=12, precision="float64")
    stacked(members, FEW, recipe)
    for net, masks, g in lonely:
        with pytest.raises(train.Diverged):
            train.fit(net, FEW, recipe, masks=masks, generator=g)
    for (net, _, _), (other, _, _) in zip(members, lonely, strict=True):
        for tensor, expected in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.allclose(tensor, expected, rtol=1e-9, equal_nan=True)


def test_all_members_may_diverge():
    members = members_of(mlp)
    hot = train.Recipe("sgd", 1e30, momentum=0.0, batch=32, steps=12, eval_every=4)
    rows = stacked(members, FEW, hot, progress=False)
    ends = [row for row in rows if row["diverged"]]
    assert [row["member"] for row in ends] == [0, 1, 2]
    assert all(row["step"] < 12 for row in ends)


def out_of_memory(monkeypatch, most, at_step=7):
    """Let the stacked engine run out of memory with more than some members."""
    project, sizes = Stack.project, []

    def limited(self):
        project(self)
        count = len(next(iter(self.parameters.values())))
        sizes.append(count)
        if count > most and len(sizes) % at_step == 0:
            raise torch.OutOfMemoryError("simulated")

    monkeypatch.setattr(Stack, "project", limited)
    return sizes


def test_a_chunk_that_runs_out_of_memory_starts_again_in_halves(monkeypatch):
    members = members_of(conv_bn, count=5)
    expected = copied(members)
    rows = stacked(expected, FEW, RECIPE)
    sizes = out_of_memory(monkeypatch, most=2)
    again = stacked(members, FEW, RECIPE)
    assert list(dict.fromkeys(sizes)) == [5, 3, 2, 1]
    assert [row["member"] for row in again] == [row["member"] for row in rows]
    assert differences(members, expected) < 1e-5
    for (_, _, g), (_, _, other) in zip(members, expected, strict=True):
        assert torch.equal(g.get_state(), other.get_state())


def test_memory_for_not_even_one_member_is_an_error_and_keeps_finished_chunks(
    monkeypatch,
):
    members = members_of(mlp)
    before, expected = snapshot(members), copied(members)
    alone(expected, FEW, RECIPE)
    attempt, calls = chunks._attempt, []

    def failing(chunk, first, train, bar):
        calls.append(first)
        if first == 2:
            out_of_memory(monkeypatch, most=0, at_step=1)
        return attempt(chunk, first, train, bar)

    monkeypatch.setattr(chunks, "_attempt", failing)
    with pytest.raises(torch.OutOfMemoryError, match="simulated"):
        stacked(members, FEW, RECIPE, members_at_once=1)
    assert calls == [0, 1, 2]
    assert differences(members[:2], expected[:2]) < 1e-4
    net, masks, g = members[2]
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[2][name] * masks.get(name, 1))
    assert torch.equal(g.get_state(), seeded(102).get_state())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_ctrl_c_leaves_pruned_weights_zero_and_finished_chunks_trained(
    error, monkeypatch
):
    members = members_of(mlp, count=4)
    expected = copied(members)
    alone(expected, FEW, RECIPE)
    project, steps = Stack.project, []

    def interrupted(self):
        steps.append(None)
        if len(steps) == 2 * 20 + 5:  # in the third chunk, before its projection
            raise error("now")
        project(self)

    monkeypatch.setattr(Stack, "project", interrupted)
    before = snapshot(members)
    with pytest.raises(error, match="now"):
        stacked(members, FEW, RECIPE, members_at_once=1)
    assert differences(members[:2], expected[:2]) < 1e-4
    assert differences(members[2:3], expected[2:3]) > 1e-3  # not to the end
    assert not torch.equal(members[2][0][1].bias, before[2]["1.bias"])
    for net, masks, _ in members:
        named = dict(net.named_parameters())
        assert all(
            (named[key][~mask] == 0).all() for key, mask in (masks or {}).items()
        )
        assert all(p.grad is None for p in named.values()) and net.training
    assert torch.equal(members[3][0][1].bias, before[3]["1.bias"])


def test_the_number_of_members_follows_from_the_memory_that_is_free():
    assert memory.members_that_fit(free=1000, each=100, count=27) == 8
    assert memory.members_that_fit(free=1000, each=100, count=5) == 5
    assert memory.members_that_fit(free=10, each=100, count=5) == 1
    assert memory.members_that_fit(free=10, each=0, count=5) == 5


def test_chunks_are_of_equal_size_up_to_one():
    sizes = []

    def note(chunk, first):
        sizes.append((first, len(chunk)))
        return [[] for _ in chunk]

    members = members_of(mlp, count=7)
    chunks.in_chunks([Member(*m) for m in members], 3, note, tqdm(disable=True))
    assert sizes == [(0, 3), (3, 2), (5, 2)]


def test_the_bar_goes_back_with_a_chunk_that_starts_again():
    bar = tqdm(total=3, file=io.StringIO(), disable=False)

    def hungry(chunk, first):
        bar.update(len(chunk))
        if len(chunk) > 2:
            raise torch.OutOfMemoryError("simulated")
        return [[] for _ in chunk]

    chunks.in_chunks([Member(*m) for m in members_of(mlp)], 3, hungry, bar)
    assert bar.n == 3
    bar.close()
