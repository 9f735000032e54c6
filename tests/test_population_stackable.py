"""What one program for all members would get wrong is refused, networks untouched."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from paicore import data, seeds
from paicore.train import Recipe, population

DIGITS = data.load("digits").subset(train=64, test=20)
RECIPE = Recipe("sgd", 0.05, batch=16, steps=3, precision="float64")


class Net(nn.Module):
    """A network with a setting that is no parameter."""

    def __init__(self, **settings):
        super().__init__()
        self.first, self.last = nn.Linear(64, 5), nn.Linear(5, 10)
        self.register_buffer("seen", torch.zeros(5))
        for name, value in settings.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))


class Counting(Net):
    def forward(self, x):
        if self.training:
            self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x)


class Replacing(Net):
    def forward(self, x):
        if self.training:
            self.seen = 0.9 * self.seen + 0.1
        return super().forward(x)


class TrialOnly(Net):
    def forward(self, x):
        out = super().forward(x)
        return out * 2 if not self.training and out.sum().item() > 1e9 else out


def ordered(names):
    layers = {"a": nn.Linear(5, 5), "b": nn.Tanh()}
    middle = nn.Sequential()
    for name in names:
        middle.add_module(name, layers[name])
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), middle, nn.Linear(5, 10))


def tied(index):
    layers = [nn.Linear(5, 5, bias=False) for _ in range(3)]
    layers[2].weight = layers[index].weight
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), *layers, nn.Linear(5, 10))


def local(factor):
    class Local(Net):
        def forward(self, x):
            return factor * super().forward(x)

    return Local()


def hooked(register):
    net = Net()
    register(net)
    return net


def patched():
    net = Net()
    net.first.forward = lambda x: functional.linear(x, net.first.weight * 0)
    return net


PAIRS = {
    "order": lambda: (ordered("ab"), ordered("ba")),
    "tensor": lambda: (Net(scale=torch.tensor(1.0)), Net(scale=torch.tensor(2.0))),
    "list": lambda: (Net(scale=[1]), Net(scale=[2])),
    "partial": lambda: tuple(
        Net(act=partial(functional.leaky_relu, negative_slope=k)) for k in (0.1, 0.2)
    ),
    "underscore": lambda: (Net(_scale=1), Net(_scale=2)),
    "class": lambda: (local(1), local(2)),
    "ties": lambda: (tied(0), tied(1)),
    "gradient hook": lambda: tuple(
        hooked(lambda net: net.first.weight.register_hook(lambda g: g * 0))
        for _ in range(2)
    ),
    "backward pre-hook": lambda: tuple(
        hooked(
            lambda net: net.first.register_full_backward_pre_hook(lambda m, g: None)
        )
        for _ in range(2)
    ),
    "forward": lambda: (patched(), patched()),
    "replaced buffer": lambda: (Replacing(), Replacing()),
    "counter": lambda: (Counting(), Counting()),
    "evaluation": lambda: (TrialOnly(), TrialOnly()),
    "no statistics": lambda: tuple(
        nn.Sequential(
            nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(),
            nn.Linear(64, 10),
        )
        for _ in range(2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_what_members_cannot_share_is_refused_before_anything_is_touched(name):
    nets = PAIRS[name]()
    before = [{n: t.clone() for n, t in net.state_dict().items()} for net in nets]
    members = [(net, None, seeds.generator(i)) for i, net in enumerate(nets)]
    states = [generator.get_state() for *_, generator in members]
    with pytest.raises(ValueError, match=r"engine='loop'|expected the architecture"):
        population(members, DIGITS, RECIPE, engine="stacked")
    for net, values in zip(nets, before, strict=True):
        assert all(torch.equal(t, values[n]) for n, t in net.state_dict().items())
    for (*_, generator), state in zip(members, states, strict=True):
        assert torch.equal(generator.get_state(), state)


def test_equal_settings_of_any_kind_are_shared():
    settings = {"scale": [1, 2.0], "act": partial(functional.relu), "_k": {"a": (1,)}}
    members = [(Net(**settings), None, seeds.generator(i)) for i in range(2)]
    rows = population(members, DIGITS, RECIPE, engine="stacked")
    assert {row["member"] for row in rows} == {0, 1}


def test_views_of_one_buffer_and_the_global_generator_are_refused():
    buffer = torch.randn(64 * 5 + 32, dtype=torch.float64)
    nets = [Net().double() for _ in range(2)]
    nets[0].first.weight.data = buffer[:320].view(5, 64)
    nets[1].first.weight.data = buffer[32:].view(5, 64)
    members = [(net, None, seeds.generator(i)) for i, net in enumerate(nets)]
    with pytest.raises(ValueError, match=r"members\[1\]: .* shares"):
        population(members, DIGITS, RECIPE)
    with pytest.raises(ValueError, match="generator: expected one of its own"):
        population([(Net(), None, torch.default_generator)], DIGITS, RECIPE)
    with pytest.raises(TypeError, match="members: expected a list of triples"):
        population(5, DIGITS, RECIPE)
