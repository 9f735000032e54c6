"""Signals of a chain of Linear layers: the same as those of autograd's batched pass."""

import importlib
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from paicore import prune, seeds
from paicore.forward.linearise import ACTIVATIONS
from paicore.kernels import ntk

CHAINS = [kind for kind in ACTIVATIONS if kind not in (nn.PReLU, nn.Threshold)]
PLAN = importlib.import_module("paicore.kernels.ntk.plan")


@pytest.fixture
def generator():
    return seeds.generator(3, "chain")


def chain(generator, *between, widths=(5, 7, 6, 3), bias=True):
    """A float64 chain of Linear layers with the given modules between them."""
    layers = [nn.Flatten()]
    for i, (below, above) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(below, above, bias=bias, dtype=torch.float64))
        with torch.no_grad():
            for each in layers[-1].parameters():
                each.copy_(torch.randn(each.shape, generator=generator).double())
        layers += [between[i % len(between)]] if i < len(widths) - 2 else []
    return nn.Sequential(*layers)


def signals_of(net, x, monkeypatch):
    """Which signals the plan of a kernel asks for."""
    found, made = [], PLAN.Plan

    def note(*args):
        found.append(args[-1])
        return made(*args)

    with monkeypatch.context() as patch:
        patch.setattr(PLAN, "Plan", note)
        ntk.gram(net, x)
    return found[0]


def without_chain(call, monkeypatch):
    """The result of a call that takes every network for no chain."""
    with monkeypatch.context() as patch:
        patch.setattr(PLAN, "stages_of", lambda *_: ())
        return call()


def both(call, monkeypatch):
    """The result of a call, and what it is without the chain's signals."""
    return call(), without_chain(call, monkeypatch)


@pytest.mark.parametrize("kind", CHAINS, ids=lambda kind: kind.__name__)
def test_every_activation_gives_the_kernel_of_the_batched_pass(
    kind, generator, monkeypatch
):
    net = chain(generator, kind()).eval()
    x = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x[:4], x[4:]), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)
    assert float(ours.abs().max()) > 0


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
@pytest.mark.parametrize("kind", [nn.ReLU, nn.Tanh, nn.GELU])
def test_gradients_through_a_masked_kernel_are_those_of_the_batched_pass(
    kind, tangent, generator, monkeypatch
):
    net = chain(generator, kind())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    masks = prune(net, "random", density=0.5, generator=generator)

    def gradients():
        at = {n: p.detach().requires_grad_() for n, p in net.named_parameters()}
        kernel = ntk.gram(net, x, masks=masks, tangent=tangent, at=at)
        return torch.autograd.grad(
            kernel.square().sum(), list(at.values()), allow_unused=True
        )

    for ours, batched in zip(*both(gradients, monkeypatch), strict=True):
        assert (ours is None) == (batched is None)
        if ours is not None:
            torch.testing.assert_close(ours, batched, rtol=1e-11, atol=1e-11)


def test_relu_in_place_and_no_biases_change_nothing(generator, monkeypatch):
    net = chain(generator, nn.ReLU(inplace=True), bias=False)
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x, outputs="class"), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)


def test_a_module_that_is_called_twice_counts_twice(generator, monkeypatch):
    shared = nn.Linear(5, 5, dtype=torch.float64)
    act = nn.Tanh()
    net = nn.Sequential(shared, act, shared, act, nn.Linear(5, 2, dtype=torch.float64))
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)


def test_activations_one_after_the_other_are_one_slope(generator, monkeypatch):
    net = chain(generator, nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Tanh()))
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)


def test_what_is_no_chain_takes_the_general_way(generator, monkeypatch):
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    ends = nn.Sequential(*chain(generator, nn.ReLU()), nn.Tanh())
    slopes = chain(generator, nn.PReLU(dtype=torch.float64))
    hooked = chain(generator, nn.ReLU())
    hooked[1].register_forward_hook(lambda module, args, out: 2 * out)
    for net in (ends, slopes, hooked):
        assert signals_of(net, x, monkeypatch) != "chain"
    steps = nn.Sequential(
        nn.Linear(5, 3, dtype=torch.float64), nn.ReLU(), nn.Flatten(),
        nn.Linear(6, 2, dtype=torch.float64),
    )  # fmt: skip
    pairs = torch.randn(4, 2, 5, generator=generator, dtype=torch.float64)
    assert signals_of(steps, pairs, monkeypatch) != "chain"


def with_extra(generator, change):
    net = chain(generator, nn.ReLU(), widths=(5, 5, 5))
    change(net)
    return net


ODD = {
    "an unused parameter": lambda net: net[1].register_parameter(
        "alpha", nn.Parameter(torch.ones(5, dtype=torch.float64))
    ),
    "another layer's weight": lambda net: net[3].register_parameter(
        "again", net[1].weight
    ),
    "its own weight again": lambda net: net[1].register_parameter(
        "again", net[1].weight
    ),
    "one bias for all outputs": lambda net: setattr(
        net[1], "bias", nn.Parameter(torch.ones(1, dtype=torch.float64))
    ),
    "a bias of two layers": lambda net: setattr(net[3], "bias", net[1].bias),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
@pytest.mark.parametrize("ends", [False, True])
def test_odd_parameters_of_a_layer_are_counted_as_they_are_used(
    change, ends, generator
):
    net = with_extra(generator, change)
    if ends:  # no chain
        net.append(nn.Tanh())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    values = list(net.parameters())
    rows = []
    for logit in net(x).flatten():
        found = torch.autograd.grad(logit, values, retain_graph=True, allow_unused=True)
        pairs = zip(found, values, strict=True)
        rows.append(torch.cat([
            (torch.zeros_like(v) if d is None else d).flatten() for d, v in pairs
        ]))  # fmt: skip
    jac = torch.stack(rows)
    expected = (jac @ jac.T).view(4, 5, 4, 5).transpose(1, 2)
    torch.testing.assert_close(ntk.gram(net, x), expected, rtol=1e-11, atol=1e-11)


BETWEEN = {
    "nothing": (nn.Identity(),),
    "an activation that overwrites": (nn.ELU(inplace=True),),
    "two in a row": (nn.Sequential(nn.LeakyReLU(0.1), nn.ELU(1.0, True)),),
    "another one per layer": (nn.ReLU(True), nn.Tanh()),
}


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
@pytest.mark.parametrize("max_bytes", [1 << 30, 2000])
def test_what_stands_between_layers_is_their_slope(
    between, max_bytes, generator, monkeypatch
):
    net = nn.Sequential(nn.Flatten(), nn.Tanh(), *chain(generator, *between)[1:])
    x = torch.randn(6, 1, 5, generator=generator, dtype=torch.float64)
    before = x.clone()
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x, max_bytes=max_bytes), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


def test_an_activation_that_overwrites_the_inputs_leaves_the_callers_alone(
    generator, monkeypatch
):
    net = nn.Sequential(nn.ReLU(inplace=True), *chain(generator, nn.ReLU())[1:])
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    before = x.clone()
    assert signals_of(net, x, monkeypatch) == "chain"
    ours, batched = both(lambda: ntk.gram(net, x), monkeypatch)
    torch.testing.assert_close(ours, batched, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


def test_a_chain_refuses_what_every_network_refuses(generator):
    net = chain(generator, nn.ReLU())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"x: the network cannot run on inputs"):
        ntk.gram(net, x[:, :4])
    with pytest.raises(ValueError, match="logits hold NaN or infinity"):
        ntk.gram(net, 1e308 * x.sign())
    net[5].to(torch.float32)
    with pytest.raises(ValueError, match="must have the same dtype"):
        ntk.gram(net, x, dtype=None)
    assert ntk.gram(net, x).dtype == torch.float64


def looped(net, x):
    """The kernel by a backward pass per sample and logit."""
    values, rows = [p for p in net.parameters() if p.is_floating_point()], []
    for row in net(x):
        for logit in row:
            found = torch.autograd.grad(logit, values, retain_graph=True)
            rows.append(torch.cat([each.flatten() for each in found]))
    jac = torch.stack(rows)
    k = len(row)
    return (jac @ jac.T).view(len(x), k, len(x), k).transpose(1, 2)


def doubled(module, *given):
    """Twice what a Linear layer is given, or its gradients; any hook may say so."""
    if isinstance(module, nn.Linear):
        return tuple(None if each is None else 2 * each for each in given[0])
    return None


GLOBAL = {
    "inputs": torch_module.register_module_forward_pre_hook,
    "gradients": torch_module.register_module_full_backward_pre_hook,
}


@pytest.mark.parametrize("register", GLOBAL.values(), ids=GLOBAL)
def test_hooks_on_all_modules_are_part_of_the_network(register, generator):
    net = chain(generator, nn.Tanh())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    without = ntk.gram(net, x)
    handle = register(doubled)
    try:
        expected, found = looped(net, x), ntk.gram(net, x)
    finally:
        handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert not torch.allclose(found, without)


def test_a_hook_on_a_layers_gradient_is_part_of_the_network(generator):
    net = chain(generator, nn.Tanh())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    without = ntk.gram(net, x)
    net[3].register_full_backward_pre_hook(doubled)
    found = ntk.gram(net, x)
    torch.testing.assert_close(found, looped(net, x), rtol=1e-11, atol=1e-11)
    assert not torch.allclose(found, without)


@pytest.mark.parametrize("is_buffer", [True, False])
def test_a_bias_that_is_no_parameter_moves_outputs_and_is_not_counted(
    is_buffer, generator
):
    net = chain(generator, nn.Tanh())
    bias = net[1].bias.detach()
    del net[1].bias
    if is_buffer:
        net[1].register_buffer("bias", bias)
    else:
        net[1].bias = bias
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(ntk.gram(net, x), looped(net, x), rtol=1e-11, atol=0)


def test_a_bias_of_another_dtype_is_refused_by_name(generator):
    net = chain(generator, nn.ReLU())
    net[1].bias = nn.Parameter(torch.ones(7))
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    with pytest.raises(ValueError, match="dtype"):
        ntk.gram(net, x, dtype=None)


def test_the_graph_of_a_kernel_does_not_hold_the_callers_inputs(generator):
    net = chain(generator, nn.ReLU())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        same = x.clone()
    at = {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}
    values = list(at.values())
    kernel = ntk.gram(net, x, at=at)
    x.zero_()
    pairs = [
        torch.autograd.grad(each.sum(), values, allow_unused=True)
        for each in (kernel, ntk.gram(net, same, at=at))
    ]
    for found, expected in zip(*pairs, strict=True):
        assert found is expected is None or torch.equal(found, expected)


def test_a_hidden_layer_without_units_gives_the_kernel_of_what_is_left(generator):
    with pytest.warns(UserWarning, match="zero-element"):  # from PyTorch
        net = chain(generator, nn.Tanh(), widths=(5, 0, 3))
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert torch.equal(
        ntk.gram(net, x), torch.eye(3, dtype=torch.float64).expand(4, 4, 3, 3)
    )
