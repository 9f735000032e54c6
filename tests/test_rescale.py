"""Rescaling: factors against loops over units, and what stays of the network."""

from math import sqrt

import cases
import pytest
import references
import torch
from cases import some_masks
from torch import nn

from paicore import Masks, nets, prune, rescale, seeds
from paicore.kernels import meanfield


def draw(name="rescale"):
    return seeds.generator(0, "rescale", name)


class Strided(nn.Module):
    """Convolutions with stride, groups, dilation and circular padding, then Linear."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(2, 6, 3, stride=2, padding=1, padding_mode="circular")
        self.grouped = nn.Conv2d(6, 8, (3, 2), groups=2, dilation=(1, 2))
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        y = torch.tanh(self.grouped(torch.tanh(self.wide(x))))
        return self.last(y.mean((2, 3)))


def strided():
    net = Strided().double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw()) / 3)
    return net


def holed(net, density=0.4):
    """Random masks in which the first layer has an empty row, and the last is empty."""
    masks = dict(prune(net, "random", density=density, generator=draw("holes")))
    first, *_, last = masks
    masks[first][1] = False
    masks[last][:] = False
    return Masks(masks)


def row_sums(weight):
    """Sum of squares of every output unit, one weight at a time."""
    return [sum(float(w) ** 2 for w in unit.flatten()) for unit in weight.detach()]


@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_rescaled_rows_have_the_sum_of_squares_of_the_gain(gain):
    net = strided()
    masks = holed(net)
    new = rescale.rescaled(net, masks, gain=gain)
    for name, weight in new.named_parameters():
        if name not in masks:
            continue
        for unit, (kept, total) in enumerate(
            zip(masks[name], row_sums(weight), strict=True)
        ):
            expected = gain**2 if kept.any() else 0.0
            assert total == pytest.approx(expected, rel=1e-14), (name, unit)


def test_rescaled_layers_have_on_average_the_sum_of_squares_of_the_gain():
    net = strided()
    masks = holed(net)
    new = rescale.rescaled(net, masks, gain=1.3, per="layer")
    for name, weight in new.named_parameters():
        if name in masks and masks[name].any():
            sums = row_sums(weight)
            assert sum(sums) / len(sums) == pytest.approx(1.3**2, rel=1e-14)
            old = dict(net.named_parameters())[name][masks[name]]
            ratios = weight[masks[name]] / old
            torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios))


def test_rows_and_layers_agree_where_rows_are_long():
    net = nets.build("mlp", in_shape=(4000,), width=20, depth=2, generator=draw())
    masks = rescale.bernoulli(net, 0.5, draw("mask"))
    rows = rescale.rescaling_factors(net, masks)["fc1.weight"]
    layer = rescale.rescaling_factors(net, masks, per="layer")["fc1.weight"]
    assert len(rows.unique()) == 20 and len(layer.unique()) == 1
    torch.testing.assert_close(rows, layer, rtol=0.1, atol=0)


def test_a_row_or_layer_without_kept_weights_has_factor_one():
    net = strided()
    masks = holed(net)
    for per in ("row", "layer"):
        found = rescale.rescaling_factors(net, masks, per=per)
        assert torch.equal(found["last.weight"], torch.ones(3, dtype=torch.float64))
    assert rescale.rescaling_factors(net, masks)["wide.weight"][1] == 1
    new = rescale.rescaled(net, masks)
    assert not new.last.weight.any() and torch.equal(new.last.bias, net.last.bias)


def test_the_measured_gain_is_the_sigma_w_of_the_initialisation():
    net = nets.build(
        "cnn", in_shape=(3, 8, 8), width=40, generator=draw(),
        init=("gaussian", 1.7, 0.1), dtype=torch.float64,
    )  # fmt: skip
    found = rescale.weight_scale(net)
    for name, scale in found.items():
        weight = dict(net.named_parameters())[name]
        sums = row_sums(weight)
        assert scale == pytest.approx(sqrt(sum(sums) / len(sums)), rel=1e-12)
        assert scale == pytest.approx(1.7, rel=5 / sqrt(2 * weight.numel()))
    masks = some_masks(cases.Case("sigma", net, None, None))
    default = rescale.rescaling_factors(net, masks)
    named = rescale.rescaling_factors(net, masks, gain=found)
    literal = rescale.rescaling_factors(net, masks, gain=1)
    for name, scale in found.items():
        torch.testing.assert_close(default[name], named[name])
        torch.testing.assert_close(default[name], scale * literal[name])


def test_dense_masks_with_the_measured_gain_per_layer_change_nothing():
    net = strided()
    new = rescale.rescaled(net, Masks.dense(net), per="layer")
    for one, two in zip(net.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-14, atol=0)


def test_skipped_and_unnamed_layers_are_only_masked():
    net = strided()
    masks = some_masks(cases.Case("skip", net, None, None))
    for new in (
        rescale.rescaled(net, masks, skip=["last.weight"]),
        rescale.rescaled(net, masks, gain={"wide.weight": 2.0, "grouped.weight": 2}),
    ):
        assert torch.equal(new.last.weight, net.last.weight * masks["last.weight"])
        assert not torch.equal(new.wide.weight, net.wide.weight * masks["wide.weight"])


@pytest.mark.parametrize("by", ["density", "overall"])
def test_divided_weights_are_masked_and_over_the_root_of_the_density(by):
    net = strided()
    masks = holed(net)
    new = rescale.divided(net, masks, by=by)
    shares = masks.layer_densities()
    for name, weight in net.named_parameters():
        found = dict(new.named_parameters())[name]
        if name not in masks:
            assert torch.equal(found, weight)
            continue
        share = shares[name] if by == "density" else masks.density
        expected = weight * masks[name] / sqrt(share) if share else 0 * weight
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


def test_dividing_is_right_for_random_masks_and_too_much_for_magnitude():
    net = nets.build("mlp", in_shape=(300,), width=300, depth=2, generator=draw())
    full = float(net.fc1.weight.detach().double().square().sum())
    # of a normal weight: E[z^2; |z| > 1.2816] / 0.2, the quantile of 0.9
    for score, expected in (("random", 1.0), ("magnitude", 3.249)):
        masks = prune(
            net, score, density=0.2, scope="layerwise", generator=draw("mask")
        )
        new = rescale.divided(net, masks)
        mass = float(new.fc1.weight.detach().double().square().sum())
        assert mass / full == pytest.approx(expected, rel=0.05)


def test_bernoulli_masks_keep_each_layer_with_its_own_probability():
    net = nets.build("mlp", in_shape=(200,), width=200, depth=3, generator=draw())
    chances = {"fc1.weight": 0.2, "fc2.weight": 0.7}
    masks = rescale.bernoulli(net, chances, draw())
    shares = masks.layer_densities()
    for name, chance in chances.items():
        assert shares[name] == pytest.approx(chance, abs=5 * sqrt(0.25 / 40_000))
    assert shares["fc3.weight"] == 1
    assert masks == rescale.bernoulli(net, chances, draw())
    assert masks != rescale.bernoulli(net, chances, draw("another"))
    assert rescale.bernoulli(net, 1.0, draw()) == Masks.dense(net)
    assert rescale.bernoulli(net, 0, draw()).kept == 0


@pytest.mark.parametrize("sigma_w", [1.6, 4.0])
def test_a_lottery_mask_puts_a_chaotic_network_at_the_edge_of_chaos(sigma_w):
    edge = meanfield.edge_of_chaos("tanh", sigma_b=0.2)
    x = torch.randn(20, 400, generator=draw(), dtype=torch.float64)
    found = {"dense": [], "masked": []}
    for seed in range(5):
        net = nets.build(
            "mlp", in_shape=(400,), width=400, depth=16, activation="tanh",
            init=("gaussian", sigma_w, 0.2), dtype=torch.float64,
            generator=seeds.generator(seed, "lottery"),
        )  # fmt: skip
        density = meanfield.lottery_density("tanh", sigma_w, sigma_b=0.2)
        masks = rescale.bernoulli(net, density, seeds.generator(seed, "mask"))
        for kind, each in (("dense", net), ("masked", rescale.scaled(net, masks, {}))):
            found[kind].append(float(each[:-2](x).detach().square().mean()))
    variance = {kind: sum(values) / 5 for kind, values in found.items()}
    assert variance["masked"] == pytest.approx(edge.q, rel=0.15)
    assert variance["dense"] > 1.4 * edge.q


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_new_network_keeps_type_mode_and_buffers_and_starts_without_gradients(
    dtype,
):
    c = cases.case("resnet8_bn")
    net = c.net.to(dtype)
    net(c.x.to(dtype)).sum().backward()
    net.eval()
    net.conv1.weight.requires_grad_(False)
    masks = some_masks(c)
    before = references.snapshot(net)
    new = rescale.rescaled(net, masks)
    assert references.same(before, references.snapshot(net))
    assert not new.training and not new.conv1.weight.requires_grad
    assert all(p.dtype == dtype and p.grad is None for p in new.parameters())
    for one, two in zip(net.buffers(), new.buffers(), strict=True):
        assert torch.equal(one, two) and one is not two
    new.get_parameter("conv1.weight").data.zero_()
    assert references.same(before, references.snapshot(net))


def test_a_weight_shared_by_two_layers_is_scaled_once_and_stays_shared():
    net = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5)).double()
    net[2].weight = net[0].weight
    masks = some_masks(cases.Case("tied", net, None, None))
    assert len(masks) == 1
    new = rescale.rescaled(net, masks, gain=2.0)
    assert new[0].weight is new[2].weight and new[0].weight is not net[0].weight
    assert row_sums(new[0].weight) == pytest.approx([4.0] * 5, rel=1e-14)


def test_factors_are_applied_to_rows_and_rubbish_under_the_mask_is_gone():
    net = nn.Sequential(nn.Linear(3, 2)).double()
    masks = Masks({"0.weight": torch.tensor([[True, False, True], [False] * 3])})
    new = rescale.scaled(net, masks, {"0.weight": torch.tensor([2.0, 3.0])})
    expected = 2 * net[0].weight[0] * torch.tensor([1.0, 0, 1])
    torch.testing.assert_close(new[0].weight[0], expected, rtol=0, atol=0)
    assert not new[0].weight[1].any()
