"""Path sums of unusual networks, under unusual conditions, with unusual arguments."""

import path_references
import pytest
import torch
from torch import nn
from torch.nn import functional

from paicore import seeds
from paicore.kernels import paths

NET, SHAPE = path_references.make("mlp")
X = path_references.inputs("mlp")
CALLS = {
    "trace": lambda net: paths.trace(net, (4,)),
    "authors": lambda net: paths.trace(net, (4,), mode="authors"),
    "edge_sums": lambda net: path_references.flat(paths.edge_sums(net, (4,)).t),
    "edge_slopes": lambda net: path_references.flat(paths.edge_slopes(net, (4,))),
    "norm": lambda net: paths.norm(net, (4,)),
    "count": lambda net: paths.count(net, (4,)),
    "greedy_loss": lambda net: path_references.flat(paths.greedy_loss(net, (4,))),
    "gram": lambda net: paths.gram(net, (4,)),
    "eigenvalues": lambda net: paths.eigenvalues(net, (4,)).values,
    "frobenius": lambda net: paths.frobenius(net, (4,)).value,
    "rank": lambda net: paths.rank(net, (4,)),
    "matvec": lambda net: path_references.flat(
        paths.matvec(net, (4,), {n: p.detach() for n, p in net.named_parameters()})
    ),
    "gated_sums": lambda net: path_references.flat(paths.gated_sums(net, X)),
    "gated_trace": lambda net: paths.gated_trace(net, X),
    "activation_norm": lambda net: paths.activation_norm(net, X),
    "activations": lambda net: paths.enumerate(net, (4,)).activations(X),
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_results_are_the_same_without_gradients(name, mode):
    right = torch.as_tensor(CALLS[name](NET))
    with mode():
        found = torch.as_tensor(CALLS[name](NET))
    assert torch.equal(found, right)
    assert bool((right != 0).any())


class Noisy(nn.Module):
    """Adds noise to what it multiplies, unseen by the reading."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.layer(x) * torch.rand(3, dtype=torch.float64))


@pytest.mark.parametrize("name", list(CALLS))
def test_a_network_that_draws_random_numbers_is_refused(name):
    net, state = Noisy(), torch.get_rng_state()
    with pytest.raises(ValueError, match="draws random numbers"):
        CALLS[name](net)
    assert torch.equal(state, torch.get_rng_state())


class Keeper(nn.Module):
    """Its forward pass reads the network that it was made with."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(4, 3), nn.Linear(3, 2)
        self.step = lambda x: functional.linear(x, self.layer.weight)

    def forward(self, x):
        return self.last(self.step(x).relu())


@pytest.mark.parametrize("name", list(CALLS))
def test_a_forward_pass_that_reads_the_original_is_refused(name):
    with pytest.raises(TypeError, match="reference to the original network"):
        CALLS[name](Keeper().double())


def test_draws_stay_on_the_cpu_under_another_default_device():
    rank = paths.rank(NET, SHAPE)
    with torch.device("meta"):
        found = paths.frobenius(NET, SHAPE, probes=3, generator=seeds.generator(0))
        assert found.value > 0
        assert paths.rank(NET, SHAPE) == rank
        assert len(paths.enumerate(NET, SHAPE)) == 120


SHAPES = [6, None, "a", (4.0,), (True,), 4]
KINDS = {
    "in_shape: expected a tuple of ints": [
        lambda shape=shape: paths.trace(NET, shape) for shape in SHAPES
    ],
    "x: expected a tensor": [lambda: paths.gated_trace(NET, None),
                             lambda: paths.gated_sums(NET, [1.0])],
    "vector: expected name -> tensor": [
        lambda: paths.matvec(NET, SHAPE, None),
        lambda: paths.matvec(NET, SHAPE, {"0.weight": 1.0}),
    ],
    "input_weights: expected a tensor": [
        lambda: paths.norm(NET, SHAPE, input_weights=3)
    ],
    "limit: expected an int": [
        lambda: paths.enumerate(NET, SHAPE, limit="a"),
        lambda: paths.enumerate(NET, SHAPE, limit=float("nan")),
    ],
}  # fmt: skip
VALUES = {
    "in_shape: expected positive": [lambda: paths.trace(NET, (-4,)),
                                    lambda: paths.trace(NET, (0,))],
    r"in_shape: the network cannot run on inputs of shape \(5,\)": [
        lambda: paths.trace(NET, (5,)), lambda: paths.rank(NET, (5,)),
        lambda: paths.trace(NET, (5,), mode="authors"),
    ],
    "x: expected at least one": [lambda: paths.gated_sums(NET, X[:0])],
    "vector: holds NaN": [lambda: paths.matvec(
        NET, SHAPE, {n: p.detach() * torch.nan for n, p in NET.named_parameters()}
    )],
    "top: expected an int": [lambda: paths.eigenvalues(NET, SHAPE, top=True)],
    "probes: expected an int": [lambda: paths.frobenius(NET, SHAPE, probes="a")],
    "q: expected 1 or 2": [lambda: paths.norm(NET, SHAPE, q=True),
                           lambda: paths.edge_slopes(NET, SHAPE, q=True)],
}  # fmt: skip


@pytest.mark.parametrize("words", [*KINDS, *VALUES])
def test_wrong_arguments_are_named(words):
    error = TypeError if words in KINDS else ValueError
    for call in {**KINDS, **VALUES}[words]:
        with pytest.raises(error, match=f"^{words}"):
            call()
