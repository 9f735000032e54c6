import copy
import math
import re
from functools import partial

import pytest
import torch
from population_cases import members_of
from torch import nn
from train_cases import DIGITS, conv_bn, mlp, random_masks, seeded

from paicore import train
from paicore.nets import Scale

FEW = DIGITS.subset(train=170, test=90)
RECIPE = train.Recipe("sgd", 0.05, weight_decay=1e-2, batch=32, steps=20)
stacked = partial(train.population, engine="stacked")


def scaled(seed, factor=1.0):
    return nn.Sequential(mlp(seed), Scale(factor))


class Applied(nn.Module):
    def __init__(self, seed, function):
        super().__init__()
        self.net, self.function = mlp(seed), function

    def forward(self, x):
        return self.function(self.net(x))


class Choosing(nn.Linear):
    """A network whose way depends on its data."""

    def forward(self, x):
        x = super().forward(x.flatten(1))
        return x if x.sum() > 0 else -x


class Counted(nn.Module):
    """A network that holds a buffer of the given size."""

    def __init__(self, size):
        super().__init__()
        self.net = mlp()
        self.register_buffer("held", torch.zeros(size))

    def forward(self, x):
        return self.net(x)


def bad_populations():
    a, b, g = mlp(0), mlp(1), seeded(1)
    first = (mlp(0), None, seeded(0))
    mask = torch.ones(32, 64, dtype=torch.bool)
    hooked = mlp(1)
    hooked[1].register_forward_hook(lambda *_: None)
    cumulative = conv_bn()
    cumulative[1].momentum = None
    tied = mlp(1)
    tied[3].weight = first[0][3].weight
    frozen = mlp(1)
    frozen[1].bias.requires_grad_(False)
    return {
        "none": ([], ValueError, "members: expected at least one, got none"),
        "no triple": ([(a, g)], TypeError, "members[0]: expected a triple"),
        "a mask": ([first, (b, {"1.weight": mask.T}, g)], ValueError,
                   "members[1]: masks['1.weight']: expected shape (32, 64)"),
        "a generator": ([first, (b, None, 0)], TypeError, "members[1]: generator: exp"),
        "a weight": ([first, (nan(mlp(1)), None, g)], ValueError,
                     "members[1]: net: expected finite weights"),
        "one net twice": ([(a, None, seeded(0)), (a, None, g)], ValueError,
                          "members[1]: expected a network and a generator of its own, "
                          "shares '1.weight' with members[0]"),
        "a shared tensor": ([first, (tied, None, g)], ValueError,
                            "shares '3.weight' with members[0]"),
        "a shared generator": ([(a, None, g), (b, None, g)], ValueError,
                               "shares the generator with members[0]"),
        "another width": ([first, (mlp(1, hidden=16), None, g)], ValueError,
                          "members[1]: expected the architecture of members[0], got "
                          "Linear(in_features=64, out_features=16) instead of "
                          "Linear(in_features=64, out_features=32) as module '1'"),
        "another kind": ([first, (tanh(mlp(1)), None, g)], ValueError, "got Tanh() "
                         "instead of ReLU(inplace=False) as module '2'"),
        "another depth": ([first, (mlp(1)[:4].append(nn.Linear(32, 10)), None, g)],
                          ValueError, "as module '4'"),
        "another factor": ([(scaled(0), None, seeded(0)), (scaled(1, 0.5), None, g)],
                           ValueError, "got Scale(factor=0.5) instead of "
                           "Scale(factor=1.0) as module '1'"),
        "another function": ([(Applied(0, torch.tanh), None, seeded(0)),
                              (Applied(1, torch.sin), None, g)], ValueError,
                             "got Applied(function=sin) instead of"),
        "another buffer": ([(Counted(3), None, seeded(0)), (Counted(4), None, g)],
                           ValueError, "got (4,) instead of (3,) as buffer 'held'"),
        "a frozen one": ([first, (frozen, None, g)], ValueError,
                         "got (32,), frozen instead of (32,) as parameter '1.bias'"),
        "a hook": ([(hooked, None, g)], ValueError,
                   "net: '1' has hooks; use engine='loop'"),
        "a cumulative average": ([(cumulative, None, g)], ValueError,
                                 "(momentum=None); use engine='loop'"),
        "a choice": ([(Choosing(64, 10), None, g)], ValueError,
                     "net: cannot be stacked, use engine='loop' ("),
    }  # fmt: skip


def nan(net):
    net[1].weight.data[0, 0] = math.nan
    return net


def tanh(net):
    net[2] = nn.Tanh()
    return net


def state_of(generator):
    """Return the state of a generator, or nothing of something else."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return torch.zeros(0)


def snapshot(members):
    return [copy.deepcopy(each[0].state_dict()) for each in members]


@pytest.mark.parametrize("case", bad_populations())
def test_bad_members_are_refused_by_name_and_left_untouched(case):
    members, kind, message = bad_populations()[case]
    before = snapshot(members)
    states = [state_of(m[2]) for m in members if len(m) == 3]
    with pytest.raises(kind, match=re.escape(message)):
        stacked(members, FEW, RECIPE)
    for old, (net, *_) in zip(before, members, strict=True):
        for name, tensor in net.state_dict().items():
            assert torch.equal(old[name].nan_to_num(7), tensor.nan_to_num(7))
        assert net.training
    kept = [state_of(m[2]) for m in members if len(m) == 3]
    assert all(map(torch.equal, states, kept))


def test_bad_options_are_refused():
    for options, message in (
        ({"engine": "fast"}, "engine: expected one of"),
        ({"members_at_once": 0}, "members_at_once: expected a positive int or None"),
        ({"members_at_once": 2.0}, "got 2.0"),
        ({"members_at_once": True}, "got True"),
        ({"device": "cuda:99"}, "device: "),
    ):
        members = members_of(mlp)
        before = snapshot(members)
        with pytest.raises(ValueError, match=re.escape(message)):
            train.population(members, FEW, RECIPE, **options)
        after = [net.state_dict() for net, _, _ in members]
        for old, new in zip(before, after, strict=True):
            assert all(torch.equal(old[name], new[name]) for name in old)


def test_what_cannot_be_stacked_can_be_trained_in_a_loop():
    members = [(Choosing(64, 10), None, seeded(k)) for k in range(2)]
    rows = train.population(members, FEW, RECIPE, engine="loop")
    assert len(rows) == 8 and not any(row["diverged"] for row in rows)


def test_masks_of_one_member_do_not_touch_another():
    members = members_of(mlp, count=2)
    members[0] = (members[0][0], random_masks(members[0][0], 0.1), members[0][2])
    stacked(members, FEW, RECIPE)
    assert (members[1][0][1].weight != 0).all()
