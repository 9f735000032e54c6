"""PHEW on networks as they are written: sizes, constants, tied weights, spare heads."""

import pytest
import torch
from torch import nn

from paicore import Masks, seeds
from paicore.scores import phew


def draw():
    return seeds.generator(0, "phew", "odd")


def scores(net, *shape):
    return phew(net, Masks.dense(net), (torch.zeros(1, *shape), None), generator=draw())


class Conv(nn.Module):
    """A small convolutional network; `flat` makes rows of its maps."""

    def __init__(self, flat, after=lambda net, h: h):
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 3, 3), nn.Linear(12, 2)
        self.aux, self.flat, self.after = nn.Linear(12, 5), flat, after
        generator = seeds.generator(0, "phew", "conv")
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, x):
        h = self.flat(self.after(self, self.conv(x).relu()))
        return self.last(h)


SAME = {
    "size": Conv(lambda h: h.view(h.size(0), -1)),
    "shape": Conv(lambda h: h.reshape(h.shape[0], -1)),
    "added last": Conv(lambda h: h.flatten(1), lambda net, h: h + 1.0),
    "added first": Conv(lambda h: h.flatten(1), lambda net, h: 1.0 + h),
}


@pytest.mark.parametrize("name", list(SAME))
def test_the_walks_do_not_depend_on_how_a_network_is_written(name):
    # a step that does nothing draws a number where adding a constant does
    step = (lambda net, h: h.clone()) if "add" in name else (lambda net, h: h)
    right = scores(Conv(lambda h: h.flatten(1), step), 1, 4, 4)
    found = scores(SAME[name], 1, 4, 4)
    assert all(torch.equal(found[n], right[n]) for n in right)


class Spare(Conv):
    """A head without users, called before and after the classifier."""

    def forward(self, x):
        h = self.flat(self.conv(x).relu())
        self.aux(h)
        out = self.last(h)
        self.aux(h)
        return out


def test_a_head_that_leads_nowhere_is_not_walked():
    right = scores(Conv(lambda h: h.flatten(1)), 1, 4, 4)
    found = scores(Spare(lambda h: h.flatten(1)), 1, 4, 4)
    assert all(torch.equal(found[n], right[n]) for n in right)
    assert not found["aux.weight"].any()


def test_a_layer_alone_is_a_network():
    assert scores(nn.Linear(3, 2), 3)["weight"].all()


def test_tied_weights_are_walked_under_one_name():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    net[2].weight = net[0].weight
    found = scores(net, 4)
    assert set(found) == {"0.weight", "3.weight"}
    assert all(bool((each > 0).all()) for each in found.values())


class Tokens(nn.Module):
    """What is done with inputs (n, 4, 4) before the last layer."""

    def __init__(self, done):
        super().__init__()
        self.inner, self.last, self.done = nn.Linear(4, 4), nn.Linear(4, 2), done
        self.narrow = nn.Conv1d(4, 1, 1)

    def forward(self, x):
        return self.last(self.done(self, x))


REFUSED = {
    "on inputs of 3 dimensions": lambda net, x: net.inner(x).mean(2),
    "over channels or samples": lambda net, x: x.mean(1),
    "over channels or samples ": lambda net, x: torch.mean(x, dim=(-2,)),
    "between different numbers of channels": lambda net, x: (x + net.narrow(x)).mean(2),
}


@pytest.mark.parametrize("words", list(REFUSED))
def test_walks_over_other_axes_than_channels_are_refused_by_name(words):
    with pytest.raises(ValueError, match=rf"^net: .*{words.strip()} has no walks"):
        scores(Tokens(REFUSED[words]), 4, 4)


def test_means_over_positions_are_walked():
    found = scores(Tokens(lambda net, x: x.mean(-1)), 4, 4)
    assert found["last.weight"].all()


def test_an_output_that_is_no_tensor_or_does_not_depend_on_the_input_is_refused():
    class Pair(nn.Sequential):
        def forward(self, x):
            return super().forward(x), x

    class Constant(nn.Sequential):
        def __init__(self, *layers):
            super().__init__(*layers)
            self.start = nn.Parameter(torch.ones(1, 3))

        def forward(self, x):
            return super().forward(self.start)

    class Number(Constant):
        def forward(self, x):
            return self.start

    with pytest.raises(ValueError, match="net: expected a tensor back"):
        scores(Pair(nn.Linear(3, 2)), 3)
    for net in (Constant(nn.Linear(3, 2)), Number(nn.Linear(3, 2))):
        with pytest.raises(ValueError, match="depend on the input"):
            scores(net, 3)


@pytest.mark.parametrize(
    ("given", "error"), [(None, TypeError), (torch.default_generator, ValueError)]
)
def test_the_global_generator_is_none(given, error):
    net = nn.Linear(3, 2)
    with pytest.raises(error, match="generator: expected"):
        phew(net, Masks.dense(net), (torch.zeros(1, 3), None), generator=given)
