"""What has no path form is refused by name; what leaves float64 is said."""

import cases
import pytest
import torch
from torch import nn
from torch.nn import functional

from paicore import Masks, nets, seeds
from paicore.kernels import paths


class Body(nn.Module):
    """A hidden layer and whatever is done with it."""

    def __init__(self, done):
        super().__init__()
        self.first, self.last, self.done = nn.Linear(4, 4), nn.Linear(4, 2), done
        self.gain = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return self.last(self.done(self, self.first(x)))


CURVED = [nn.Tanh(), nn.GELU(), nn.ELU(), nn.Sigmoid(), nn.SiLU(), nn.Softplus(),
        nn.ReLU6(), nn.Hardtanh(), nn.Softmax(1), nn.Mish()]  # fmt: skip


@pytest.mark.parametrize("bent", CURVED, ids=lambda m: type(m).__name__)
def test_activations_that_are_not_homogeneous_are_refused_by_name(bent):
    net = nn.Sequential(nn.Linear(4, 3), bent, nn.Linear(3, 2))
    kind = type(bent).__name__
    for call in (paths.trace, paths.rank, paths.eigenvalues, paths.enumerate):
        with pytest.raises(ValueError, match=rf"net: {kind} '1' calls .*homogeneous"):
            call(net, (4,))
    with pytest.raises(ValueError, match=rf"{kind} '1'"):
        paths.gated_trace(net, torch.ones(2, 4))
    assert paths.trace(net, (4,), mode="authors") > 0  # theirs refuses nothing


def test_a_functional_activation_is_refused_by_the_module_that_calls_it():
    net = Body(lambda net, x: torch.tanh(x))
    with pytest.raises(ValueError, match=r"Body '' calls tanh: it is not positively"):
        paths.trace(net, (4,))


TIED = {
    "called twice": lambda net, x: net.first(x.relu()),
    "gain twice": lambda net, x: net.gain * (net.gain * x).relu(),
    "its own transpose": lambda net, x: functional.linear(x, net.first.weight.t()),
}


@pytest.mark.parametrize("name", list(TIED))
def test_a_weight_tied_across_depth_is_refused_with_its_name(name):
    tied = "gain" if "gain" in name else "first.weight"
    with pytest.raises(ValueError, match=rf"uses {tied} again: .*tied across depth"):
        paths.edge_sums(Body(TIED[name]), (4,))


def test_a_layer_used_twice_in_depth_is_refused_by_name():
    c = cases.case("twice_called")
    with pytest.raises(ValueError, match=r"Linear 'hidden' uses hidden.weight again"):
        paths.trace(c.net, c.in_shape)


OPAQUE = {
    "multiplies two signals": lambda net, x: x * x.relu(),
    "divides by a signal or a parameter": lambda net, x: x / net.gain,
    "calls max": lambda net, x: x.max(1, keepdim=True)[0] + x,
    "calls abs": lambda net, x: x.abs(),
    "calls layer_norm": lambda net, x: functional.layer_norm(x, (4,)),
    "calls prelu": lambda net, x: functional.prelu(x, net.gain),
    "calls detach": lambda net, x: x.detach(),
    "calls item": lambda net, x: x * x.sum().item(),
    "on weights before using them": lambda net, x: x * (net.gain * net.gain),
    "pads by 1": lambda net, x: functional.pad(x, (1, 0), value=1.0)[:, :4],
    "joins a signal with constants": lambda net, x: torch.cat(
        [x[:, :2], torch.ones(len(x), 2)], 1
    ),
    "drops out at random": lambda net, x: functional.dropout(x),
    "normalises by its batch": lambda net, x: functional.batch_norm(
        x, None, None, training=True
    ),
    "with a factor alpha": lambda net, x: torch.add(x, x, alpha=2),
}


@pytest.mark.parametrize("reason", list(OPAQUE))
def test_what_has_no_path_form_is_refused_with_the_reason(reason):
    with pytest.raises(ValueError, match=rf"net: Body '' .*{reason}"):
        paths.trace(Body(OPAQUE[reason]), (4,))


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2, dilation=2), nn.MaxPool2d(2, return_indices=True)]
)
def test_max_poolings_without_path_form_are_refused(pool):
    net = nn.Sequential(nn.Conv2d(1, 1, 3), pool, nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"MaxPool2d '1' (pools|calls)"):
        paths.trace(net, (1, 6, 6))


def test_attention_and_recurrence_are_refused():
    layer = nn.TransformerEncoderLayer(4, 2, batch_first=True)
    net = nn.Sequential(nn.Unflatten(1, (2, 4)), layer, nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"MultiheadAttention '1.self_attn' calls"):
        paths.trace(net, (8,))


def test_outputs_that_are_no_logits_are_refused():
    with pytest.raises(ValueError, match=r"net: expected logits \(1, k\)"):
        paths.trace(nn.Conv2d(1, 1, 3), (1, 4, 4))
    with pytest.raises(ValueError, match="depend on the input"):
        body = Body(lambda net, x: x)
        body.forward = lambda x: torch.ones(len(x), 2)
        paths.trace(body, (4,))


def scaled(factor, depth=40):
    net = nets.build(
        "mlp", in_shape=(4,), width=4, depth=depth, bias=False,
        generator=seeds.generator(0, "range"), dtype=torch.float64,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(factor)
    return net


@pytest.mark.parametrize("call", [paths.trace, paths.edge_sums, paths.norm])
def test_sums_beyond_float64_are_refused_both_ways(call):
    with pytest.raises(ValueError, match="exceeds the range of float64"):
        call(scaled(1e5), (4,))
    with pytest.raises(ValueError, match="falls below the range of float64"):
        call(scaled(1e-5), (4,))
    call(scaled(10.0), (4,))


def test_a_network_without_a_path_has_sums_of_zero():
    net = scaled(1.0, 3)
    masks = Masks({
        name: torch.zeros_like(mask) if i == 1 else mask
        for i, (name, mask) in enumerate(Masks.dense(net).items())
    })  # fmt: skip
    assert paths.count(net, (4,), masks=masks) == 0
    assert paths.trace(net, (4,), masks=masks) == 0
    assert paths.norm(net, (4,), masks=masks) == 0
    assert len(paths.enumerate(net, (4,), masks=masks)) == 0
    assert float(paths.eigenvalues(net, (4,), masks=masks).values.abs().max()) == 0
    assert paths.frobenius(net, (4,), masks=masks).value == 0


GOOD = scaled(1.0, 3)
NAN = torch.full((1, 4), torch.nan)
WRONG = {
    r"mode: expected 'exact' or 'authors', got 'x'": lambda: paths.trace(
        GOOD, (4,), mode="x"
    ),
    r"mode: 'authors' takes no bias": lambda: paths.trace(
        GOOD, (4,), mode="authors", bias="zero"
    ),
    r"params: expected .* got 'all'": lambda: paths.trace(GOOD, (4,), params="all"),
    r"bias: expected .* got 'abs'": lambda: paths.edge_sums(GOOD, (4,), bias="abs"),
    r"q: expected 1 or 2, got 3": lambda: paths.norm(GOOD, (4,), q=3),
    r"input_weights: expected shape \(4,\), got \(5,\)": lambda: paths.trace(
        GOOD, (4,), input_weights=torch.ones(5)
    ),
    r"input_weights: expected finite numbers >= 0": lambda: paths.trace(
        GOOD, (4,), input_weights=-torch.ones(4)
    ),
    r"masks: expected the names": lambda: paths.trace(GOOD, (4,), masks={}),
    r"top: expected an int from 1 to 72, got 0": lambda: paths.eigenvalues(
        GOOD, (4,), top=0
    ),
    r"probes: expected an int >= 2 or None, got 1": lambda: paths.frobenius(
        GOOD, (4,), probes=1
    ),
    r"generator: random probes need one": lambda: paths.frobenius(GOOD, (4,), probes=5),
    r"vector: expected names and shapes": lambda: paths.matvec(GOOD, (4,), {}),
    r"x: expected finite": lambda: paths.gated_trace(
        GOOD, torch.full((1, 4), torch.nan)
    ),
    r"640 paths, more than limit=100": lambda: paths.enumerate(GOOD, (4,), limit=100),
}


@pytest.mark.parametrize("words", list(WRONG))
def test_wrong_arguments_are_named(words):
    with pytest.raises(ValueError, match=words):
        WRONG[words]()


@pytest.mark.parametrize("odd", [torch.eye(4).to_sparse(), torch.eye(4).to("meta")])
def test_inputs_without_values_or_sparse_are_named(odd):
    for call in (paths.gated_trace, paths.gated_sums):
        with pytest.raises(TypeError, match=r"^x: expected a dense tensor with values"):
            call(GOOD, odd)


def test_too_many_paths_are_refused_before_any_is_listed(monkeypatch):
    class Untouched:
        def __init__(self, **options):
            raise AssertionError("the network was unrolled")

    monkeypatch.setattr("paicore.kernels.paths.enumeration.Unroll", Untouched)
    net = nets.build("vgg11", in_shape=(3, 32, 32), width=2,
                     generator=torch.Generator())  # fmt: skip
    words = r"^net: it has about \d\.\d+e\+18 paths, more than limit=100000"
    with pytest.raises(ValueError, match=words):
        paths.enumerate(net, (3, 32, 32))
    deep = nn.Sequential(*[nn.Linear(100, 100, bias=False) for _ in range(160)])
    with pytest.raises(ValueError, match=r"^net: it has more than 1e308 paths, more"):
        paths.enumerate(deep, (100,))
    with pytest.raises(ValueError, match=r"^net: it has 640 paths.*limit=639"):
        paths.enumerate(GOOD, (4,), limit=639)
    with pytest.raises(AssertionError, match="unrolled"):
        paths.enumerate(GOOD, (4,), limit=640)


def test_an_error_leaves_the_network_as_it_was():
    net = Body(lambda net, x: torch.tanh(x))
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    with pytest.raises(ValueError, match="tanh"):
        paths.trace(net, (4,))
    assert hooks == [0, 0, 0]
    assert all(p.grad is None and vars(p) == {} for p in net.parameters())
    assert net(torch.ones(1, 4)).shape == (1, 2)
    assert functional.relu(torch.tensor([-1.0])) == 0


def test_an_enumeration_describes_its_paths():
    listed = paths.enumerate(nn.Sequential(nn.Linear(2, 1), nn.ReLU()), (2,))
    assert [listed.describe(p) for p in range(3)] == [
        "x[0] 0.weight[0, 0] f[0]",
        "x[1] 0.weight[0, 1] f[0]",
        "1 0.bias[0] f[0]",
    ]
