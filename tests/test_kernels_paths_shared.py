"""Rank by counting, where calls share parameters or parts of one."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from paicore import prune, seeds
from paicore.kernels import paths


class Twice(nn.Module):
    """Two branches, of which `shared` says what they share."""

    def __init__(self, shared):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 4)
        self.c, self.d = nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.shared = nn.BatchNorm1d(4), shared
        self.last = nn.Linear(8, 2)
        self.one = nn.Parameter(torch.ones(1))
        if shared == "bias":
            self.d.bias = self.c.bias
        self.double()

    def forward(self, x):
        u, v = self.a(x), self.b(x)
        if self.shared == "norm":
            u, v = self.norm(u), self.norm(v)
        u, v = u.relu(), v.relu()
        u, v = self.c(u), self.c(v) if self.shared == "layer" else self.d(v)
        if self.shared == "number":
            u = u + self.one
        return self.last(torch.cat([u.relu(), v.relu()], 1))


@pytest.mark.parametrize("shared", ["layer", "norm", "bias"])
def test_a_parameter_that_two_calls_use_has_no_counted_units(shared):
    with pytest.raises(ValueError, match=r"second call: its units cannot be counted"):
        paths.rank(Twice(shared), (3,))


class Siamese(nn.Module):
    """One layer on both halves of the input, whose outputs are added."""

    def __init__(self, deep):
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3)
        self.shared, self.last = nn.Linear(3 if deep else 2, 3), nn.Linear(3, 2)
        self.deep = deep
        generator = seeds.generator(0, "siamese")
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator).double()

    def forward(self, x):
        u, v = x.chunk(2, 1)
        if self.deep:
            u, v = self.a(u).relu(), self.b(v).relu()
        return self.last(self.shared(u).relu() + self.shared(v).relu())


def numerical(net, in_shape, masks=None):
    jacobian = paths.enumerate(net, in_shape, masks=masks).jacobian()
    if masks is not None:
        alive = [masks[n] if n in masks else torch.ones_like(p, dtype=torch.bool)
                 for n, p in net.named_parameters()]  # fmt: skip
        jacobian = jacobian * torch.cat([each.flatten() for each in alive])
    return int(torch.linalg.matrix_rank(jacobian))


def test_a_shared_layer_between_the_same_units_is_counted_once():
    net = Siamese(deep=False)
    assert paths.rank(net, (4,)) == numerical(net, (4,)) == 6 + 3 + 6 + 2 - 3
    for seed in range(6):
        masks = prune(net, "random", density=0.5, generator=seeds.generator(seed))
        assert paths.rank(net, (4,), masks=masks) == numerical(net, (4,), masks)


def test_a_shared_layer_behind_different_units_is_refused():
    with pytest.raises(ValueError, match=r"uses shared.weight in a second call"):
        paths.rank(Siamese(deep=True), (4,))


def test_biases_that_are_left_out_may_be_shared():
    found = [paths.rank(Twice(each), (3,), bias="zero") for each in ("bias", "number")]
    weights = 2 * (3 * 4 + 4 * 4) + 8 * 2
    assert found == [weights - 16] * 2


def test_one_number_added_to_many_units_has_no_counted_units():
    with pytest.raises(ValueError, match=r"adds one parameter to several units"):
        paths.rank(Twice("number"), (3,))


class Halves(nn.Module):
    """Two layers whose weights are halves of one parameter."""

    def __init__(self):
        super().__init__()
        self.a, self.last = nn.Linear(3, 6, bias=False), nn.Linear(6, 2, bias=False)
        self.double()

    def forward(self, x):
        parts = [functional.linear(x, half).relu() for half in self.a.weight.chunk(2)]
        return self.last(torch.cat(parts, 1))


def test_parts_of_a_parameter_are_counted_as_layers_of_their_own():
    assert paths.rank(Halves(), (3,)) == 6 * 3 + 2 * 6 - 6


@pytest.mark.parametrize(
    ("layer", "in_shape", "features"),
    [(nn.Conv1d(1, 2, 3, padding=2, bias=False), (1, 1), 6),
     (nn.ConvTranspose1d(1, 2, 2, stride=2, bias=False), (1, 2), 8)],
)  # fmt: skip
def test_rank_only_bounds_positions_that_different_weights_reach(
    layer, in_shape, features
):
    last = nn.Linear(features, 2, bias=False)
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), last).double()
    right = numerical(net, in_shape)
    assert right < paths.rank(net, in_shape) <= right + 4
