"""Path scores of networks that work in place, share, branch or leave the range."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from paicore import Masks, prune, seeds
from paicore.scores import gated_l2, phew, px, synflow_dist, synflow_l2

X = torch.rand(5, 6, generator=seeds.generator(0, "odd", "x"), dtype=torch.float64)
Y = torch.arange(5) % 3


class Net(nn.Module):
    """Two layers; `before` is done with the inputs."""

    def __init__(self, before=lambda net, x: x):
        super().__init__()
        self.first, self.last = nn.Linear(6, 4), nn.Linear(4, 3)
        self.before = before
        self.register_buffer("seen", torch.zeros(6))
        generator = seeds.generator(0, "odd", "net")
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.double()

    def forward(self, x):
        return self.last(self.first(self.before(self, x)).relu())


def halves(net, x):
    return x.mul_(0.5)


SCORES = {
    "px exact": lambda net, x: px(net, Masks.dense(net), (x, Y), variant="exact"),
    "px official": lambda net, x: px(net, Masks.dense(net), (x, Y)),
    "gated_l2": lambda net, x: gated_l2(net, Masks.dense(net), (x, Y)),
    "synflow_dist": lambda net, x: synflow_dist(
        net, Masks.dense(net), (X, Y), input_weights=x[0], mode="authors"
    ),
}


@pytest.mark.parametrize("name", list(SCORES))
def test_inputs_that_a_network_overwrites_stay_the_callers(name):
    x = X.clone()
    found = SCORES[name](Net(halves), x)
    assert torch.equal(x, X)
    right = SCORES[name](Net(lambda net, x: x * 0.5), X)
    assert all(torch.equal(found[n], right[n]) for n in right)


def test_pruning_by_exact_px_leaves_the_inputs():
    x = X.clone()
    prune(Net(halves), "px", density=0.5, batch=(x, Y), rounds=2, variant="exact")
    assert torch.equal(x, X)


def shifts(net, x):
    net.seen.mul_(0.5).add_(x.detach()[0])  # vmap cannot write a sample to a buffer
    return x


def counts(net, x):
    net.seen += 1  # vmap can: the next sample must not see it
    return x * net.seen


def chooses(net, x):
    return x if x.sum() > 3 else 2 * x  # vmap cannot branch on a sample


def doubled(net, x):
    return torch.where(x.sum(1, keepdim=True) > 3, x, 2 * x)


@pytest.mark.parametrize(("odd", "plain"), [(shifts, lambda net, x: x),
                                            (chooses, doubled)])  # fmt: skip
def test_exact_px_runs_samples_one_by_one_where_vmap_cannot(odd, plain):
    assert 0 < int((X.sum(1) > 3).sum()) < 5
    net = Net(odd)
    found = SCORES["px exact"](net, X)
    right = SCORES["px exact"](Net(plain), X)
    assert all(torch.allclose(found[n], right[n], rtol=1e-12) for n in right)
    assert not net.seen.any()


@pytest.mark.parametrize("name", ["px exact", "px official", "gated_l2"])
def test_inputs_of_another_size_are_named(name):
    words = r"^(batch|in_shape): the network cannot run on inputs of shape \(7,\)"
    with pytest.raises(ValueError, match=words):
        SCORES[name](Net(), torch.ones(5, 7))


def test_exact_px_keeps_what_a_forward_pass_counts_from_the_next():
    found = [
        px(Net(counts), Masks.dense(Net()), (X, Y), variant="exact", batch_size=size)
        for size in (1, 5)
    ]
    assert all(torch.allclose(found[0][n], found[1][n], rtol=1e-12) for n in found[0])


class Auxiliary(nn.Module):
    """A head that nothing uses is called after the classifier."""

    def __init__(self, used):
        super().__init__()
        self.net, self.aux, self.used = Net(), nn.Linear(4, 3).double(), used

    def forward(self, x):
        hidden = self.net.first(x).relu()
        out = self.net.last(hidden)
        aux = self.aux(hidden)
        return out + aux if self.used else out


def test_the_classifier_of_px_is_the_layer_before_the_output():
    found = px(Auxiliary(used=False), Masks.dense(Auxiliary(False)), (X, None))
    right = SCORES["px official"](Net(), X)
    assert all(torch.equal(found[f"net.{n}"], right[n]) for n in right)
    assert not found["aux.weight"].any()


def test_a_product_with_a_constant_is_no_classifier():
    class Mixed(Net):
        def forward(self, x):
            return functional.linear(super().forward(x), self.mix)

    net = Mixed()
    net.register_buffer("mix", torch.eye(3).double() * 2)
    found, right = SCORES["px official"](net, X), SCORES["px official"](Net(), X)
    ratios = torch.cat([(found[n] / right[n]).flatten() for n in right])
    assert torch.allclose(ratios, torch.full_like(ratios, 4.0))


def test_two_layers_before_the_output_are_no_classifier():
    net = Auxiliary(used=True)
    words = r"as the classifier, got \['aux.weight', 'net.last.weight'\]"
    with pytest.raises(ValueError, match=words):
        px(net, Masks.dense(net), (X, None))
    assert px(net, Masks.dense(net), (X, None), classifier="ones")


@pytest.mark.parametrize(
    "score", [synflow_l2, synflow_dist, gated_l2, px, phew], ids=lambda f: f.__name__
)
def test_a_call_without_masks_is_named(score):
    generator = seeds.generator(0, "odd")
    with pytest.raises(TypeError, match=r"^masks: expected a mapping, got None"):
        score(Net(), None, (X, Y), generator=generator)


@pytest.mark.parametrize(
    "score", [synflow_l2, synflow_dist, gated_l2, px, phew], ids=lambda f: f.__name__
)
def test_complex_inputs_are_named(score):
    net, generator = Net(), seeds.generator(0, "odd")
    with pytest.raises(ValueError, match=r"^batch: expected real numbers"):
        score(net, Masks.dense(net), (X * 1j, Y), generator=generator)


RANGES = {
    "px exact": lambda net, m: px(net, m, (X, Y), variant="exact"),
    "px": lambda net, m: px(net, m, (X, Y)),
    "gated_l2": lambda net, m: gated_l2(net, m, (X, Y)),
    "A": lambda net, m: synflow_l2(net, m, (X, Y), variant="A"),
    "B": lambda net, m: synflow_l2(net, m, (X, Y), variant="B", mode="authors"),
    "D": lambda net, m: synflow_l2(net, m, (X, Y), variant="D"),
    "E": lambda net, m: synflow_l2(net, m, (X, Y), variant="E"),
}


@pytest.mark.parametrize("name", list(RANGES))
@pytest.mark.parametrize(("size", "words"), [(1e-170, "falls below"),
                                             (1e110, "exceeds")])  # fmt: skip
def test_scores_beyond_float64_are_refused(name, size, words):
    net = nn.Sequential(nn.Linear(6, 4, bias=False), nn.Linear(4, 3, bias=False))
    net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(size)
    with pytest.raises(ValueError, match=f"^net: .*{words} the range of float64"):
        RANGES[name](net, Masks.dense(net))


def test_authors_and_exact_agree_on_biases_added_by_hand():
    class Added(Net):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.ones(4).double())

        def forward(self, x):
            return self.last(functional.relu(self.first(x) + self.shift))

    net = Added()
    exact, theirs = (
        synflow_l2(net, Masks.dense(net), (X, None), variant="D", mode=mode)
        for mode in ("exact", "authors")
    )
    assert all(torch.allclose(exact[n], theirs[n], rtol=1e-12) for n in exact)
