"""Networks known to treat samples apart need one forward pass; all others are tested.

Also what the private copy takes for granted: its quick test for NaN and its own tables.
"""

import copy

import kernel_references as reference
import pytest
import torch
from references import close
from torch import nn

from paicore import nets, seeds
from paicore.forward import private_copy
from paicore.kernels import ntk
from paicore.kernels.ntk import plan
from paicore.kernels.ntk.plain import is_plain


def linear(first=4, last=3):
    return nn.Linear(first, last).double()


def chain():
    return nn.Sequential(linear(), nn.Tanh(), linear(3, 2))


def inputs(*shape):
    g = seeds.generator(5, "plain")
    return torch.randn(*shape, generator=g, dtype=torch.float64)


class Subclass(nn.Sequential):
    def forward(self, x):
        return super().forward(x - x.mean(0))


def hooked(kind):
    net = chain()
    if kind == "forward":
        net[0].register_forward_hook(lambda module, args, out: out - out.mean(0))
    else:
        net[0].register_forward_pre_hook(lambda module, args: args[0] - args[0].mean(0))
    return net


def patched():
    net = chain()
    net[1].forward = lambda x: torch.tanh(x - x.mean(0))
    return net


MIXING = {
    "subclass": lambda: Subclass(linear()),
    "forward_hook": lambda: hooked("forward"),
    "forward_pre_hook": lambda: hooked("pre"),
    "patched_forward": patched,
    "softmax_over_samples": lambda: nn.Sequential(linear(), nn.Softmax(0)),
}


@pytest.mark.parametrize("name", MIXING)
def test_samples_that_interact_are_found_wherever_it_happens(name):
    net = MIXING[name]()
    assert not is_plain(net)
    with pytest.raises(ValueError, match="other samples of the batch"):
        ntk.gram(net, inputs(5, 4))


@pytest.mark.parametrize("name", ["mlp", "lenet5", "conv4", "vgg11", "vgg11_bn"])
def test_chains_of_layers_are_plain(name):
    net = nets.build(name, classes=3, in_shape=(3, 32, 32), width=2,
                     generator=seeds.generator(0))  # fmt: skip
    assert is_plain(net)


def test_other_networks_are_not_plain():
    resnet = nets.build("resnet20", classes=3, in_shape=(3, 8, 8), width=2,
                        generator=seeds.generator(0))  # fmt: skip
    assert not is_plain(resnet)
    assert not is_plain(nn.Sequential(nn.Flatten(0), nn.Linear(4, 3)))
    assert not is_plain(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))
    assert not is_plain(nn.Linear(4, 3))  # no chain; its kernel is right all the same


@pytest.mark.parametrize("few", [True, False])
def test_the_first_look_changes_nothing(monkeypatch, few):
    torch.manual_seed(0)
    net, x = chain(), inputs(6, 4)
    monkeypatch.setattr(plan, "LOOK", 1 << 40 if few else 1)
    passes = []
    run = plan.passed
    monkeypatch.setattr(
        plan, "passed", lambda *args: passes.append(len(args[1])) or run(*args)
    )
    found = ntk.gram(net, x[:4], x[4:])
    assert passes == [1 if few else 6]
    assert close(found, reference.gram(net, x[:4], x[4:]))
    assert close(ntk.trace(net, x, max_bytes=500), ntk.trace(net, x), 1e-12)


def test_overwritten_inputs_are_refused():
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = linear(4, 4), linear()

        def forward(self, x):
            hidden = torch.tanh(self.first(x)) + 0
            out = self.last(hidden)
            hidden.mul_(2)
            return out

    with pytest.raises(ValueError, match="overwritten in place"):
        ntk.gram(Overwriting(), inputs(3, 4))


@pytest.mark.parametrize("bad", [[torch.nan, 1.0], [torch.inf, -torch.inf]])
def test_weights_that_are_not_finite_are_refused(bad):
    net = nn.Sequential(nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([bad]))
    with pytest.raises(ValueError, match="NaN or infinity"):
        private_copy(net, dtype=None)


def test_finite_weights_whose_sum_overflows_are_accepted():
    net = nn.Sequential(nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.fill_(3e38)
    assert torch.equal(private_copy(net, dtype=None)[0].weight, net[0].weight)


def test_a_private_copy_shares_no_table_with_the_network():
    net = chain()
    twin = private_copy(net)
    plain = copy.deepcopy(net)
    for mine, theirs, usual in zip(
        net.modules(), twin.modules(), plain.modules(), strict=True
    ):
        assert set(vars(usual)) <= set(vars(theirs))
        for name, table in vars(mine).items():
            if isinstance(table, (dict, set)):
                assert vars(theirs)[name] is not table
                assert type(vars(theirs)[name]) is type(vars(usual)[name])
    handle = twin[0].register_forward_hook(lambda module, args, out: out)
    assert not net[0]._forward_hooks
    handle.remove()


def twice():
    """A plain network in which a layer and a norm stand in two places."""
    layer, norm = linear(3, 3), nn.BatchNorm1d(3).double()
    return nn.Sequential(layer, norm, nn.ReLU(), nn.Sequential(layer, norm), linear(3))


def test_a_copy_that_shares_weights_is_the_network_but_for_their_memory():
    net = twice().eval()
    twin = private_copy(net, dtype=None, batch_norm="eval", share=True)
    assert is_plain(net)
    assert twin[0] is twin[3][0] is not net[0]
    assert twin[1] is twin[3][1] is not net[1]
    theirs = dict(net.named_parameters())
    for name, parameter in twin.named_parameters():
        assert parameter is not theirs[name]
        assert parameter.data_ptr() == theirs[name].data_ptr()
    state = copy.deepcopy(net.state_dict())
    assert list(twin.state_dict()) == list(state)
    assert str(twin) == str(net)
    x = inputs(5, 3)
    assert torch.equal(twin(x), net(x))
    twin.train()
    twin(x).sum().backward()
    twin[2].register_forward_hook(lambda *args: None)
    assert not net.training
    assert not net[2]._forward_hooks
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(state[n], t) for n, t in net.state_dict().items())
