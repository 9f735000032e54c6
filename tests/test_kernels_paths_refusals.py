"""What hides from a reading of the forward pass is refused, not summed wrongly."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from paicore import seeds
from paicore.kernels import paths


class Body(nn.Module):
    """A hidden layer and whatever is done with it, all parameters positive."""

    def __init__(self, done):
        super().__init__()
        self.first, self.last, self.done = nn.Linear(4, 4), nn.Linear(4, 2), done
        self.gain = nn.Parameter(torch.ones(4))
        generator = seeds.generator(0, "body")
        for parameter in self.parameters():
            parameter.data = torch.rand(parameter.shape, generator=generator) + 0.1
        self.double()

    def forward(self, x):
        return self.last(self.done(self, self.first(x)))


class Reverse(torch.autograd.Function):
    """The identity, with a gradient of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


EDGES = {
    "trace": lambda net: paths.trace(net, (4,)),
    "authors": lambda net: paths.trace(net, (4,), mode="authors"),
    "edge_sums": lambda net: paths.edge_sums(net, (4,)),
    "greedy_loss": lambda net: paths.greedy_loss(net, (4,)),
    "gram": lambda net: paths.gram(net, (4,)),
    "rank": lambda net: paths.rank(net, (4,)),
    "gated_sums": lambda net: paths.gated_sums(net, torch.ones(2, 4)),
}


@pytest.mark.parametrize("name", list(EDGES))
def test_a_layer_with_a_backward_pass_of_its_own_is_refused_by_name(name):
    for net in (
        Body(lambda net, h: Reverse.apply(h)),
        nn.Sequential(First(), nn.Linear(4, 2)).double(),
    ):
        with pytest.raises(ValueError, match=r"net: Reverse brings its own backward"):
            EDGES[name](net)


class First(nn.Module):
    """Hands the input itself on."""

    def forward(self, x):
        return Reverse.apply(x)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("name", list(EDGES))
def test_checkpoints_are_refused(name, reentrant):
    def block(net, h):
        def inner(h):
            return functional.linear(functional.linear(h, net.inner[0]), net.inner[1])

        return checkpoint(inner, h, use_reentrant=reentrant)

    net = Body(block)
    net.inner = nn.ParameterList(torch.ones(4, 4) * 3 for _ in range(2)).double()
    words = r"CheckpointFunction brings its own" if reentrant else r"checkpoint.*again"
    with warnings.catch_warnings(), pytest.raises(ValueError, match=f"net: .*{words}"):
        warnings.simplefilter("ignore")  # torch warns of passes without gradients
        EDGES[name](net)


def test_hooks_of_the_caller_are_left_alone():
    net = Body(lambda net, h: h.relu())
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        inside = paths.trace(net, (4,))
    assert inside == paths.trace(net, (4,))


ALL = EDGES | {
    "norm": lambda net: paths.norm(net, (4,)),
    "count": lambda net: paths.count(net, (4,)),
    "enumerate": lambda net: paths.enumerate(net, (4,)),
}


def scripted(function):
    with warnings.catch_warnings():  # torch.jit says that it will go
        warnings.simplefilter("ignore")
        return torch.jit.script(function)


def bent(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x)


@pytest.mark.parametrize("name", [name for name in ALL if name != "authors"])
def test_a_scripted_function_of_a_signal_is_no_constant(name):
    call = scripted(bent)
    net = Body(lambda net, h: h + call(h))
    with pytest.raises(ValueError, match=r"Body '' uses a signal after a call that"):
        ALL[name](net)


@pytest.mark.parametrize("name", list(ALL))
def test_compiled_modules_are_refused_by_name(name):
    plain = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    whole = torch.compile(plain)
    with pytest.raises(ValueError, match=r"net: OptimizedModule '' is compiled"):
        ALL[name](whole)
    part = nn.Sequential(scripted(plain[0]), nn.ReLU(), nn.Linear(3, 2)).double()
    with pytest.raises(ValueError, match=r"net: RecursiveScriptModule '0' is compiled"):
        ALL[name](part)


KEYWORDS = {
    "tied": (
        lambda net, h: functional.linear(h, bias=None, weight=net.first.weight),
        "uses first.weight again",
    ),
    "product": (lambda net, h: torch.mul(h, other=h.relu()), "multiplies two signals"),
    "division": (lambda net, h: torch.div(input=h, other=net.gain), "divides by"),
    "joined": (
        lambda net, h: torch.cat([h[:, :2], net.gain[None, :2].expand(len(h), 2)], 1),
        "joins a signal with parameters",
    ),
}


@pytest.mark.parametrize("name", list(KEYWORDS))
def test_checks_do_not_depend_on_how_arguments_are_given(name):
    done, words = KEYWORDS[name]
    for call in (paths.trace, paths.enumerate):
        with pytest.raises(ValueError, match=words):
            call(Body(done), (4,))


def test_operands_given_by_name_are_operands():
    def named(net, h):
        h = torch.add(torch.mul(h, other=net.gain), other=torch.mul(0.5, other=h))
        return functional.linear(bias=None, weight=net.mixed, input=h)

    def placed(net, h):
        return functional.linear(h * net.gain + 0.5 * h, net.mixed)

    nets = [Body(named), Body(placed)]
    for net in nets:
        net.mixed = nn.Parameter(torch.eye(4).double() + 0.5)
    found = [paths.trace(net, (4,)) for net in nets]
    assert found[0] == found[1] > 0


def test_a_gain_in_place_is_a_gain():
    def in_place(net, h):
        h = h.relu()
        h *= net.gain
        return h.mul_(net.gain[:1])

    with pytest.raises(ValueError, match="uses gain again"):
        paths.trace(Body(in_place), (4,))

    def once(net, h):
        h *= net.gain
        return h

    nets = Body(once), Body(lambda net, h: h * net.gain)
    for call in (paths.trace, paths.norm, paths.count):
        assert call(nets[0], (4,)) == call(nets[1], (4,))
    listed = [paths.enumerate(net, (4,)).kernel() for net in nets]
    assert torch.equal(*listed)
    sums = [paths.gated_sums(net, torch.ones(2, 4)) for net in nets]
    assert all(torch.equal(sums[0][n], sums[1][n]) for n in sums[0])


def test_authors_without_biases_leaves_out_those_added_by_hand():
    net = Body(lambda net, h: (h + net.gain).relu())
    exact = paths.edge_slopes(net, (4,), bias="zero")
    theirs = paths.edge_slopes(net, (4,), bias="zero", mode="authors")
    assert set(exact) == {"first.weight", "last.weight"}
    assert all(torch.allclose(exact[n], theirs[n], rtol=1e-12) for n in exact)
    for done, words in (
        (lambda net, h: h + 1.0, "adds a constant"),
        (lambda net, h: torch.tanh(h + net.gain), r"cannot tell whether \['gain'\]"),
    ):
        with pytest.raises(ValueError, match=f"^bias: 'zero' in mode .*{words}"):
            paths.edge_slopes(Body(done), (4,), bias="zero", mode="authors")
