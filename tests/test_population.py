import math

import pytest
import torch
from population_cases import alone, copied, differences, members_of, resnet
from torch import nn
from train_cases import DIGITS, conv_bn, mlp, random_masks, redrawn, seeded

from paicore import train

FEW = DIGITS.subset(train=170, test=90)

# 20 steps: 170 samples in batches of 32 leave a last batch of 10 with drop_last=False.
RECIPES = {
    "momentum": train.Recipe("sgd", 0.05, weight_decay=1e-2, batch=32, steps=20),
    "nesterov, decay of weights": train.Recipe(
        "sgd", 0.05, nesterov=True, weight_decay=1e-2, decay="weights", batch=32,
        steps=20, schedule="onecycle",
    ),
    "adam": train.Recipe(
        "adam", 1e-3, weight_decay=1e-3, batch=32, steps=20, schedule="cosine"
    ),
    "augmented, short last batch": train.Recipe(
        "sgd", 0.05, weight_decay=1e-3, batch=32, steps=20, schedule="multistep",
        milestones=(5, 12), augment=True, drop_last=False,
    ),
    "adam, augmented, decay of weights": train.Recipe(
        "adam", 1e-3, weight_decay=1e-3, decay="weights", batch=32, steps=20,
        augment=True, drop_last=False, eval_every=7,
    ),
    "plain": train.Recipe("sgd", 0.1, momentum=0.0, batch=32, steps=20),
}  # fmt: skip


def of(name, **changes):
    return train.Recipe(**{**vars(RECIPES[name]), **changes})


def same_rows(rows, expected, tolerance):
    assert [list(row) for row in rows] == [list(row) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        for key, value in row.items():
            if key in ("train_loss", "test_loss"):
                assert value == pytest.approx(other[key], rel=tolerance, abs=tolerance)
            else:
                assert value == other[key], key


@pytest.mark.parametrize("name", RECIPES)
def test_the_stacked_engine_equals_fit_alone_in_float64(name):
    recipe = of(name, precision="float64")
    members = members_of(resnet)
    reference = copied(members)
    expected = alone(reference, FEW, recipe)
    rows = train.population(members, FEW, recipe, engine="stacked")
    same_rows(rows, expected, 1e-10)
    assert differences(members, reference) < 1e-10
    for (net, masks, g), (_, _, other) in zip(members, reference, strict=True):
        assert torch.equal(g.get_state(), other.get_state())
        named = dict(net.named_parameters())
        assert all(
            (named[key][~mask] == 0).all() for key, mask in (masks or {}).items()
        )
        assert next(net.buffers()).dtype == torch.float64


@pytest.mark.parametrize("make", [mlp, conv_bn])
@pytest.mark.parametrize("at_once", [None, 2])
def test_the_stacked_engine_equals_fit_alone_in_float32(make, at_once):
    recipe = of("momentum")
    members = members_of(make, count=5)
    reference = copied(members)
    expected = alone(reference, FEW, recipe)
    rows = train.population(
        members, FEW, recipe, engine="stacked", members_at_once=at_once
    )
    same_rows(rows, expected, 1e-4)
    assert differences(members, reference) < 1e-4


def test_the_members_are_not_equal_to_each_other():
    members = members_of(conv_bn, count=2)
    rows = train.population(members, FEW, of("momentum"), engine="stacked")
    assert differences(members[:1], members[1:]) > 0.01
    assert rows[0]["train_loss"] != rows[-1]["train_loss"]


@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_the_loop_engine_is_fit_bit_for_bit(engine):
    members = members_of(conv_bn)
    reference = copied(members)
    expected = alone(reference, FEW, of("augmented, short last batch"))
    rows = train.population(
        members, FEW, of("augmented, short last batch"), engine=engine
    )
    assert rows == expected and differences(members, reference) == 0.0


def test_bfloat16_trains_stacked_about_as_it_does_alone():
    members = members_of(conv_bn)
    reference = copied(members)
    recipe = of("momentum", precision="bf16")
    expected = alone(reference, FEW, recipe)
    rows = train.population(members, FEW, recipe, engine="stacked")
    assert rows[-1]["test_loss"] == pytest.approx(expected[-1]["test_loss"], rel=0.05)
    assert members[0][0][0].weight.dtype == torch.float32


def test_a_parameter_that_is_frozen_or_unused_is_as_in_fit():
    class Spare(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net, self.spare = net, nn.Linear(3, 3)

        def forward(self, x):
            return self.net(x)

    def make(seed):
        net = Spare(mlp(seed))
        redrawn(net, seed).net[1].weight.requires_grad_(False)
        return net

    members = members_of(make)
    reference = copied(members)
    recipe = of("momentum", precision="float64")
    alone(reference, FEW, recipe)
    train.population(members, FEW, recipe, engine="stacked")
    assert differences(members, reference) < 1e-10
    net, masks, _ = members[0]
    assert not net.net[1].weight.requires_grad
    assert (net.net[1].weight[~masks["net.1.weight"]] == 0).all()


def test_masks_may_name_different_parameters_and_hide_anything():
    members = members_of(mlp)
    (first, masks, _), (second, _, _) = members[:2]
    first[1].weight.data[~masks["1.weight"]] = math.nan
    one = {"3.weight": random_masks(second, 0.1)["3.weight"]}
    members[1] = (second, one, members[1][2])
    reference = copied(members)
    recipe = of("adam", precision="float64")
    alone(reference, FEW, recipe)
    train.population(members, FEW, recipe, engine="stacked")
    assert differences(members, reference) < 1e-10
    assert (second[3].weight[~one["3.weight"]] == 0).all()
    assert (second[1].weight != 0).all()


def dropped(seed):
    """Return a network that starts as its twins but for nothing."""
    return redrawn(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5),
                      nn.Linear(32, 10)), 0,
    )  # fmt: skip


def test_dropout_differs_between_members_and_repeats_with_the_seed():
    def run():
        members = [(dropped(k), None, seeded(3)) for k in range(2)]
        rows = train.population(members, FEW, of("plain"), engine="stacked")
        return rows, members

    torch.manual_seed(1)
    rows, members = run()
    torch.manual_seed(2)
    assert run()[0] == rows
    # Same weights and same data order: only dropout tells the two apart.
    assert differences(members[:1], members[1:]) > 1e-3


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_modes_gradients_and_the_global_generator_are_left_as_they_were(engine):
    members = [(dropped(k), None, seeded(k)) for k in range(2)]
    members[0][0].eval()
    members[1][0][2].eval()
    members[1][0][1].weight.grad = torch.ones(32, 64)
    state = torch.get_rng_state()
    train.population(members, FEW, of("plain"), engine=engine)
    assert torch.equal(state, torch.get_rng_state())
    assert (torch.tensor(1e-40) * torch.ones(())).item() != 0
    assert not any(module.training for module in members[0][0].modules())
    assert [m.training for m in members[1][0]] == [True, True, False, True]
    assert all(p.grad is None for net, _, _ in members for p in net.parameters())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_training_inside_no_grad_is_training(context):
    expected = train.population(members_of(mlp), FEW, of("plain"), engine="stacked")
    members = members_of(mlp)
    with context():
        rows = train.population(members, FEW, of("plain"), engine="stacked")
        assert not torch.is_grad_enabled()
    assert rows == expected


def test_one_program_is_compiled_for_all_masks_and_chunks(monkeypatch):
    asked = []

    def compiler(function, **options):
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compiler)
    options = {"engine": "stacked", "members_at_once": 2}
    train.population(members_of(mlp), FEW, of("plain"), **options)
    assert asked == []  # never by itself on a CPU
    train.population(members_of(mlp), FEW, of("plain"), **options, compile=True)
    assert asked == [{"dynamic": False}]


def test_progress_counts_members(capsys):
    train.population(members_of(mlp), FEW, of("plain"), engine="stacked")
    assert capsys.readouterr().err == ""
    for engine in ("stacked", "loop"):
        options = {"engine": engine, "progress": True}
        train.population(members_of(mlp), FEW, of("plain"), **options)
        shown = capsys.readouterr().err
        assert "/3.0" in shown and "member" in shown


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("precision", ["float64", "float32", "bf16"])
def test_a_gpu_trains_a_population_like_fit_on_a_cpu(precision, compiled):
    recipe = of("augmented, short last batch", precision=precision)
    members = members_of(resnet)
    reference = copied(members)
    expected = alone(reference, FEW, recipe)
    rows = train.population(members, FEW, recipe, device="cuda", compile=compiled)
    tolerance = {"float64": 1e-9, "float32": 1e-2, "bf16": 2e-1}[precision]
    for row, other in zip(rows, expected, strict=True):
        assert row["test_loss"] == pytest.approx(other["test_loss"], rel=tolerance)
    for net, masks, _ in members:
        assert next(net.parameters()).is_cuda
        named = dict(net.named_parameters())
        assert all((named[k][~m.cuda()] == 0).all() for k, m in (masks or {}).items())
