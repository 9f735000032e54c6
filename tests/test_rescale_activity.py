"""Activity-weighted rescaling: against sums over single weights and positions."""

import itertools

import cases
import pytest
import torch
from cases import some_masks
from torch import nn

from paicore import Masks, nets, prune, rescale, seeds


def normal(*shape, name="x"):
    g = seeds.generator(0, "activity", name)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def random_masks(net, density=0.5):
    g = seeds.generator(0, "activity", "masks")
    return prune(net, "random", density=density, generator=g)


def drawn(net):
    """The network in float64 with normal weights and biases."""
    net = net.double()
    for index, parameter in enumerate(net.parameters()):
        parameter.data.copy_(normal(*parameter.shape, name=index))
    return net


def convolution_masses(layer, mask, x):
    """a_i of a convolution by loops over units, weights, positions and samples."""
    side = layer.padding[0]
    x = nn.functional.pad(x, (side, side, side, side))
    stride, (height, width) = layer.stride[0], layer.kernel_size
    rows = range(0, x.shape[2] - height + 1, stride)
    columns = range(0, x.shape[3] - width + 1, stride)
    inputs = layer.weight.shape[1]
    found = []
    for unit in range(layer.out_channels):
        group = unit // (layer.out_channels // layer.groups)
        total = level = 0.0
        for j, u, v in itertools.product(range(inputs), range(height), range(width)):
            seen = [
                x[:, group * inputs + j, r + u, c + v].square()
                for r, c in itertools.product(rows, columns)
            ]
            activity = float(torch.stack(seen).mean())
            kept = bool(mask[unit, j, u, v])
            total += float(layer.weight[unit, j, u, v].detach()) ** 2 * kept * activity
            level += activity / layer.weight[0].numel()
        found.append(total / level)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_factors_of_a_convolution_are_those_of_sums_over_its_positions(groups, stride):
    layer = nn.Conv2d(4, 6, (3, 2), stride=stride, padding=1, groups=groups)
    net = drawn(nn.Sequential(layer, nn.Flatten()))
    x = normal(3, 4, 5, 5) * torch.tensor([5.0, 1, 0.2, 2]).view(4, 1, 1)
    masks = random_masks(net)
    a = convolution_masses(layer, masks["0.weight"], x)
    found = rescale.activity_factors(net, masks, x, gain=1.3)["0.weight"]
    torch.testing.assert_close(found, 1.3 / a.sqrt(), rtol=1e-12, atol=0)
    layerwise = rescale.activity_factors(net, masks, x, gain=1.3, per="layer")
    expected = (1.3 / a.mean().sqrt()).expand(6)
    torch.testing.assert_close(layerwise["0.weight"], expected, rtol=1e-12, atol=0)


def test_equal_activities_give_the_rescaling_trick():
    net = drawn(nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)))
    x, masks = normal(20, 8).sign(), random_masks(net)
    found = rescale.activity_factors(net, masks, x, gain=2.0)
    plain = rescale.rescaling_factors(net, masks, gain=2.0)
    torch.testing.assert_close(found["0.weight"], plain["0.weight"], rtol=1e-13, atol=0)
    assert not torch.allclose(found["2.weight"], plain["2.weight"], rtol=1e-3)
    louder = x * torch.tensor([3.0, *[1.0] * 7], dtype=torch.float64)
    other = rescale.activity_factors(net, masks, louder, gain=2.0)
    assert not torch.allclose(other["0.weight"], plain["0.weight"], rtol=1e-3)


@pytest.mark.parametrize("source", ["rescaled", "dense"])
def test_activities_are_read_in_the_network_that_was_named(source):
    net = drawn(nn.Sequential(nn.Linear(8, 9), nn.Tanh(), nn.Linear(9, 3)))
    x, masks = normal(20, 8), random_masks(net)
    found = rescale.activity_factors(net, masks, x, gain=1.3, source=source)
    new = rescale.activity_rescaled(net, masks, x, gain=1.3, source=source)
    h = (new if source == "rescaled" else net)[:2](x).detach().square().mean(0)
    squares = (net[2].weight.detach() * masks["2.weight"]).square()
    a = (squares * h).sum(1) / h.mean()
    torch.testing.assert_close(found["2.weight"], 1.3 / a.sqrt(), rtol=1e-12, atol=0)
    expected = net[2].weight * masks["2.weight"] * found["2.weight"][:, None]
    torch.testing.assert_close(new[2].weight, expected, rtol=1e-13, atol=0)
    assert torch.equal(new[2].bias, net[2].bias)


def test_the_weighted_output_of_rescaled_rows_has_the_variance_of_theory():
    """E over the signs of weights of a unit's square is gain^2 times mean phi^2."""
    net = drawn(nn.Sequential(nn.Linear(6, 4, bias=False)))
    x, masks = normal(50, 6) * torch.arange(1, 7), random_masks(net)
    new = rescale.activity_rescaled(net, masks, x, gain=1.3)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6))).double()
    flipped = new[0].weight.detach() * signs[:, None]  # (64, 4, 6)
    squares = torch.einsum("sij,nj->nis", flipped, x).square().mean((0, 2))
    heard = masks["0.weight"].any(1)
    expected = 1.3**2 * x.square().mean().expand(4) * heard
    torch.testing.assert_close(squares, expected, rtol=1e-12, atol=0)


def test_rows_that_keep_or_hear_nothing_have_factor_one():
    net = drawn(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))
    net[0].bias.data.fill_(-1e3)  # every unit is silent
    masks = dict(random_masks(net))
    masks["0.weight"][2] = False
    found = rescale.activity_factors(net, masks, normal(10, 6))
    assert found["0.weight"][2] == 1 and (found["0.weight"] != 1).sum() == 3
    assert torch.equal(found["2.weight"], torch.ones(3, dtype=torch.float64))
    masks["0.weight"][:] = False
    found = rescale.activity_factors(net, masks, normal(10, 6), per="layer")
    assert all((each == 1).all() for each in found.values())


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batch_norm_skipped_layers_and_shortcuts_are_taken(mode):
    c = cases.case("resnet8_bn")
    masks, skip = some_masks(c), {"fc1.weight", "conv1.weight"}
    found = rescale.activity_factors(c.net, masks, c.x, batch_norm=mode, skip=skip)
    assert list(found) == [name for name in masks if name not in skip]
    new = rescale.activity_rescaled(c.net, masks, c.x, batch_norm=mode, skip=skip)
    assert torch.equal(new.fc1.weight, c.net.fc1.weight * masks["fc1.weight"])
    assert Masks.dense(new).total == masks.total


def test_random_masks_get_nearly_the_factor_of_the_trick_on_average():
    net = nets.build(
        "mlp", in_shape=(300,), width=300, depth=4, activation="tanh",
        generator=seeds.generator(0, "wide"), dtype=torch.float64,
    )  # fmt: skip
    x, masks = normal(100, 300), random_masks(net, 0.2)
    found = rescale.activity_factors(net, masks, x)
    for name, plain in rescale.rescaling_factors(net, masks).items():
        ratio = found[name].log().mean() - plain.log().mean()
        assert abs(float(ratio)) < 0.05


def test_layers_called_with_a_named_input_are_taken():
    class Named(nn.Sequential):
        def forward(self, x):
            return self[1](input=torch.tanh(self[0](input=x)))

    net, x = drawn(Named(nn.Linear(6, 4), nn.Linear(4, 3))), normal(10, 6)
    plain = nn.Sequential(net[0], nn.Tanh(), net[1])
    masks = random_masks(net)
    other = Masks({"0.weight": masks["0.weight"], "2.weight": masks["1.weight"]})
    for call in (rescale.activity_factors, rescale.calibration_factors):
        found, expected = call(net, masks, x), call(plain, other, x)
        for one, two in zip(found.values(), expected.values(), strict=True):
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))
