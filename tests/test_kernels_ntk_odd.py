"""Networks that do something unusual: the right kernel, or a refusal with a reason."""

import copy

import cases
import kernel_references as reference
import pytest
import torch
from references import close
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from paicore import seeds
from paicore.kernels import ntk


class Body(nn.Module):
    """Two layers and what is done between them."""

    def __init__(self, done=lambda h: h, first=None):
        super().__init__()
        self.first = nn.Linear(4, 6) if first is None else first
        self.last, self.done = nn.Linear(6, 3), done

    def forward(self, x):
        return self.last(self.done(self.first(x)).tanh())


def made(*args, n=5, **kwargs):
    """A network in float64 and inputs for it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Body(*args, **kwargs).double()
        return net, torch.randn(n, 4, dtype=torch.float64)


def calls(net, x):
    """Every function of `ntk` that looks at a network, as calls without arguments."""
    g = seeds.generator(0)
    v = torch.ones(len(x), 3)
    return {
        "gram": lambda: ntk.gram(net, x),
        "trace": lambda: ntk.trace(net, x),
        "frobenius": lambda: ntk.frobenius(net, x),
        "distance": lambda: ntk.distance(net, net, x),
        "eigenvalues": lambda: ntk.eigenvalues(net, x),
        "top": lambda: ntk.eigenvalues(net, x, top=2),
        "lanczos": lambda: ntk.lanczos(net, x, generator=g),
        "matvec": lambda: ntk.matvec(net, x, v),
        "trace_estimate": lambda: ntk.trace_estimate(net, x, probes=6, generator=g),
        "distance_estimate": lambda: ntk.distance_estimate(
            net, net, x, probes=2, generator=g
        ),
    }


@pytest.mark.parametrize("name", list(calls(None, torch.ones(1))))
def test_a_network_that_draws_random_numbers_is_refused_by_all(name):
    net, x = made(lambda h: functional.dropout(h, 0.5))
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"draws random numbers|samples|change with"):
        calls(net, x)[name]()
    assert torch.equal(state, torch.get_rng_state())


INTERACTING = {
    "mean": lambda h: h - h.mean(0),
    "sum so far": lambda h: h.cumsum(0),
    "first": lambda h: h - h[:1],
}


@pytest.mark.parametrize("name", list(calls(None, torch.ones(1))))
@pytest.mark.parametrize("kind", list(INTERACTING))
def test_samples_that_interact_are_refused_by_all(name, kind):
    net, x = made(INTERACTING[kind])
    with pytest.raises(ValueError, match="other samples of the batch"):
        calls(net, x)[name]()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_kernels_are_the_same_without_gradients_and_under_autocast(mode):
    net, x = made()
    right = ntk.gram(net, x), ntk.matvec(net, x, torch.ones(5, 3))
    with mode():
        assert torch.equal(ntk.gram(net, x), right[0])
        assert torch.equal(ntk.matvec(net, x, torch.ones(5, 3)), right[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ntk.gram(net, x, dtype=None), right[0])
        single = ntk.gram(net.float(), x.float(), dtype=None)
    assert close(single.double(), right[0], 1e-5)


class Keeper(nn.Module):
    """Its forward pass reads the network that it was made with."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.step = lambda x: functional.linear(x, self.first.weight).tanh()

    def forward(self, x):
        return self.last(self.step(x))


def test_a_forward_pass_that_reads_the_original_is_refused_at_given_values_too():
    net = Keeper().double()
    x = torch.ones(2, 4, dtype=torch.float64)
    values = {n: p.detach().clone() for n, p in net.named_parameters()}
    moving = {n: p.clone().requires_grad_() for n, p in values.items()}
    for options in ({}, {"at": values}, {"at": moving}):
        with pytest.raises(TypeError, match="reference to the original network"):
            ntk.gram(net, x, **options)


class OwnConv(nn.Conv1d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight, bias) ** 2


def test_a_convolution_with_a_pass_of_its_own_is_differentiated_as_it_is():
    net = nn.Sequential(OwnConv(1, 2, 3), nn.Flatten(), nn.Linear(4, 3)).double()
    x = seeds.generator(1, "odd")
    x = torch.randn(3, 1, 4, generator=x, dtype=torch.float64)
    assert close(ntk.gram(net, x), reference.gram(net, x))


def test_a_hook_on_all_modules_is_part_of_the_network():
    net, x = made()
    plain = ntk.gram(net, x)
    handle = register_module_forward_hook(
        lambda m, args, out: out**2 if isinstance(m, nn.Linear) else None
    )
    try:
        found, expected = ntk.gram(net, x), reference.gram(net, x)
    finally:
        handle.remove()
    assert close(found, expected)
    assert not close(plain, expected, 1e-2)


class Functional(nn.Module):
    """Calls no layer as a module."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        hidden = functional.linear(x, self.first.weight).tanh()
        return functional.linear(hidden, self.last.weight)


class Named(Body):
    """Calls a layer by the name of its argument."""

    def forward(self, x):
        return self.last(self.first(input=x).tanh())


class Held(Body):
    """A first layer that no gradient reaches."""

    def forward(self, x):
        with torch.no_grad():
            hidden = self.first(x)
        return self.last(hidden.tanh())


class TimeFirst(Body):
    """Runs the first layer on (time, sample, feature), with one time."""

    def forward(self, x):
        return self.last(self.first(x[None]).tanh()[0])


class OneByOne(Body):
    """Runs the samples in a loop."""

    def forward(self, x):
        return torch.cat([super(OneByOne, self).forward(each[None]) for each in x])


@pytest.mark.parametrize("kind", [Functional, Named, Held, TimeFirst, OneByOne])
def test_kernels_of_unusual_passes_equal_the_reference(kind):
    _, x = made()
    net = kind().double()
    if kind is not Held:
        expected = reference.gram(net, x)
        assert close(ntk.gram(net, x), expected)
        assert close(ntk.trace(net, x), torch.einsum("nncc->", expected))
        return
    twin = copy.deepcopy(net)
    rows = [
        torch.autograd.grad(f, [twin.last.weight, twin.last.bias], retain_graph=True)
        for f in twin(x).flatten()
    ]
    flat = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    whole = (flat @ flat.T).view(5, 3, 5, 3).transpose(1, 2)
    assert close(ntk.gram(net, x), whole)


def test_anomaly_detection_changes_nothing():
    net, x = made()
    right = ntk.gram(net, x)
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        assert close(ntk.gram(net, x), right)


def test_draws_stay_on_the_cpu_under_another_default_device():
    net, x = made()
    options = {"generator": seeds.generator(0)}
    with torch.device("meta"):
        assert ntk.lanczos(net, x, **options).values > 0
        assert ntk.trace_estimate(net, x, probes=6, **options).value > 0


def test_half_precision_has_traces_and_no_eigenvalues():
    net, x = made()
    exact = float(ntk.trace(net, x))
    net, g = net.bfloat16(), seeds.generator(0)
    found = ntk.trace_estimate(net, x, probes=90, generator=g, dtype=None)
    assert found.value == pytest.approx(exact, rel=0.1)
    for call in (lambda: ntk.eigenvalues(net, x, dtype=None),
                 lambda: ntk.eigenvalues(net, x, top=1, dtype=None),
                 lambda: ntk.lanczos(net, x, generator=g, dtype=None)):  # fmt: skip
        with pytest.raises(ValueError, match=r"^dtype: eigenvalues need float32"):
            call()


def test_lanczos_takes_at_most_the_products_that_it_was_given():
    net, x = made(n=20)
    g = seeds.generator(0)
    for top, bottom, steps in ((2, 2, 5), (3, 0, 7), (2, 0, 2)):
        found = ntk.lanczos(net, x, top=top, bottom=bottom, steps=steps, generator=g)
        assert found.products == steps
        assert len(found.values) == top + bottom
    for steps in (3, 0, -3):
        with pytest.raises(ValueError, match=r"^steps: expected at least 4"):
            ntk.lanczos(net, x, top=2, bottom=2, steps=steps, generator=g)


def test_a_long_call_in_small_blocks_is_the_whole_call():
    c = cases.case("lenet5", n=64)
    for options in ({}, {"masks": cases.some_masks(c)}):
        whole = ntk.gram(c.net, c.x, **options)
        for bound in (1 << 20, 1 << 17):
            found = ntk.gram(c.net, c.x, max_bytes=bound, **options)
            assert close(found, whole, 1e-12)
        part = ntk.gram(c.net, c.x, c.x[:5], max_bytes=1 << 20, **options)
        assert close(part, whole[:, :5], 1e-12)
