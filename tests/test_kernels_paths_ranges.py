"""Path sums of nothing, of numbers out of range, and of inputs that must not change."""

import itertools

import path_references
import pytest
import torch
from torch import nn

from paicore import Masks
from paicore.kernels import paths


def test_a_kernel_of_zero_has_eigenvalues_of_zero():
    widths = (10, 20, 20, 2)
    layers = [nn.Linear(m, n, bias=False) for m, n in itertools.pairwise(widths)]
    net = nn.Sequential(*layers)
    masks = Masks({n: m & (n != "0.weight") for n, m in Masks.dense(net).items()})
    found = paths.eigenvalues(net, (10,), top=3, masks=masks)
    assert found.values.tolist() == found.residuals.tolist() == [0.0, 0.0, 0.0]


def test_generators_are_checked_before_anything_is_computed():
    net = nn.Linear(4, 2)
    for given, error in ((3, TypeError), (torch.default_generator, ValueError)):
        for call in (paths.eigenvalues, paths.frobenius):
            with pytest.raises(error, match=r"^generator: expected"):
                call(net, (4,), generator=given)


def test_numbers_whose_squares_are_zero_are_said_to_leave_the_range():
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False))
    net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1e-170)
    x = torch.ones(2, 3).double()
    for call in (
        lambda: paths.trace(net, (3,)),
        lambda: paths.norm(net, (3,)),
        lambda: paths.gated_sums(net, x),
    ):
        with pytest.raises(ValueError, match="falls below the range of float64"):
            call()
    assert paths.count(net, (3,)) == 12
    closed = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 2))
    closed[0].weight.data.fill_(-1.0)
    assert paths.gated_trace(closed, torch.ones(1, 3)) > 0  # the last bias
    assert float(paths.gated_sums(closed, torch.ones(1, 3))["0.weight"].sum()) == 0


def test_complex_numbers_are_refused():
    net, in_shape = path_references.make("mlp")
    vector = {n: p.detach() * 1j for n, p in net.named_parameters()}
    calls = {
        r"vector: '.*': expected real": lambda: paths.matvec(net, in_shape, vector),
        "input_weights: expected real": lambda: paths.trace(
            net, in_shape, input_weights=torch.ones(4) * 1j
        ),
        "x: expected finite floating-point": lambda: paths.enumerate(
            net, in_shape
        ).activations(torch.ones(2, 4) * 1j),
    }
    for words, call in calls.items():
        with pytest.raises(ValueError, match=f"^{words}"):
            call()


class Overwriting(nn.Module):
    """Works on its input in place."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2).double()

    def forward(self, x):
        return self.layer(x.mul_(0.5))


@pytest.mark.parametrize("mode", ["exact", "authors"])
def test_input_weights_that_a_network_overwrites_stay_the_callers(mode):
    weights = torch.ones(4, dtype=torch.float64)
    found = [
        paths.edge_slopes(Overwriting(), (4,), mode=mode, input_weights=weights)
        for _ in range(2)
    ]
    assert weights.tolist() == [1.0] * 4
    assert all(torch.equal(found[0][n], found[1][n]) for n in found[0])
