"""Gain calibration: outputs of the new network vary as those of the dense one."""

import copy

import cases
import pytest
import torch
from cases import some_masks
from torch import nn

from paicore import Masks, nets, prune, rescale, seeds

MOMENTS = {
    "variance": lambda out: out.var(correction=0),
    "unit_variance": lambda out: (
        out.transpose(0, 1).flatten(1).var(1, correction=0).mean()
    ),
    "mean_square": lambda out: out.square().mean(),
}
USABLE = [name for name in cases.NAMES if name != "twice_called"]


def outputs(net, x, mode):
    """Output of every layer, by the name of its weight; the network stays as it is."""
    twin = copy.deepcopy(net).train(mode == "train")
    names = {id(weight): name for name, weight in twin.named_parameters()}
    found = {}
    for module in twin.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            module.register_forward_hook(
                lambda m, _, out: found.__setitem__(names[id(m.weight)], out.detach())
            )
    twin(x)
    return found


def part(net, name, out):
    """An output without the layer's bias."""
    layer = net.get_submodule(name.rpartition(".")[0])
    if layer.bias is None:
        return out
    return out - layer.bias.detach().view(-1, *[1] * (out.dim() - 2))


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", USABLE)
def test_unit_variance_of_every_layer_is_the_dense_one(name, mode):
    c = cases.case(name, n=12)
    masks = some_masks(c)
    new = rescale.calibrated(c.net, masks, c.x, moment="unit_variance", batch_norm=mode)
    check(c, masks, new, mode, "unit_variance")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["mlp_bias", "circular_cnn", "resnet8_bn", "lenet5"])
def test_moment_of_every_layer_is_the_dense_one(name, moment):
    c = cases.case(name, n=12)
    masks = some_masks(c)
    new = rescale.calibrated(c.net, masks, c.x, moment=moment, batch_norm="train")
    check(c, masks, new, "train", moment)


def check(c, masks, new, mode, moment):
    dense, found = outputs(c.net, c.x, mode), outputs(new, c.x, mode)
    plain = outputs(rescale.scaled(c.net, masks, {}), c.x, mode)
    value, moved = MOMENTS[moment], 0
    for layer, out in dense.items():
        if part(new, layer, found[layer]).var() < 1e-20 * found[layer].var():
            continue  # it says nothing that depends on its inputs
        assert float(value(found[layer])) == pytest.approx(
            float(value(out)), rel=1e-10
        ), layer
        moved += abs(float(value(plain[layer]) / value(out)) - 1) > 1e-3
    assert moved  # without calibration the moments are others


def test_one_layer_is_divided_by_the_loss_of_its_standard_deviation():
    net = nn.Sequential(nn.Linear(6, 4)).double()
    x = torch.randn(30, 6, generator=seeds.generator(0, "one"), dtype=torch.float64)
    masks = some_masks(cases.Case("one", net, x, None))
    dense, kept = x @ net[0].weight.T, x @ (net[0].weight * masks["0.weight"]).T
    expected = (dense.var(0).sum() / kept.var(0).sum()).sqrt()
    found = rescale.calibration_factors(net, masks, x, moment="unit_variance")
    assert found == {"0.weight": pytest.approx(expected.item(), rel=1e-12)}


def test_factors_follow_from_the_layers_already_calibrated():
    c = cases.case("mlp", n=12)
    masks = some_masks(c)
    found = rescale.calibration_factors(c.net, masks, c.x)
    dense = outputs(c.net, c.x, "eval")
    plain = outputs(rescale.scaled(c.net, masks, {}), c.x, "eval")
    alone = {n: float((dense[n].var() / plain[n].var()).sqrt()) for n in dense}
    first, *others = found
    assert found[first] == pytest.approx(alone[first], rel=1e-12)
    for name in others:  # a ReLU net without biases passes every factor on
        assert found[name] != pytest.approx(alone[name], rel=1e-3)
    product = torch.tensor(list(found.values())).prod()
    assert float(product) == pytest.approx(alone[name], rel=1e-6)


def test_dense_masks_need_no_calibration():
    c = cases.case("resnet8_bn")
    found = rescale.calibration_factors(
        c.net, Masks.dense(c.net), c.x, batch_norm="train"
    )
    assert list(found.values()) == pytest.approx([1.0] * len(found), rel=1e-12)


def test_layers_before_a_batch_norm_in_train_mode_do_not_move_later_factors():
    c = cases.case("resnet8_bn", n=12)
    masks = some_masks(c)
    first = c.net.conv1.weight
    one = rescale.calibration_factors(c.net, masks, c.x, batch_norm="train")
    new = rescale.scaled(c.net, Masks.dense(c.net), {"conv1.weight": 7.0})
    two = rescale.calibration_factors(new, masks, c.x, batch_norm="train")
    assert not torch.equal(first, new.conv1.weight)
    assert list(two.values()) == pytest.approx(list(one.values()), rel=1e-4)
    stored = rescale.calibration_factors(c.net, masks, c.x, batch_norm="eval")
    assert list(stored.values()) != pytest.approx(list(one.values()), rel=1e-2)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_emptied_layer_and_what_hears_only_it_have_factor_one(moment):
    c = cases.case("mlp", n=12)
    masks = dict(some_masks(c))
    names = list(masks)
    masks[names[1]][:] = False
    found = rescale.calibration_factors(c.net, masks, c.x, moment=moment)
    assert found[names[0]] != 1 and found[names[1]] == found[names[2]] == 1


def test_a_constant_signal_has_no_variance_to_restore():
    net = nets.build(
        "mlp", in_shape=(7,), width=8, depth=3, bias_init="torch", activation="tanh",
        generator=seeds.generator(0, "constant"), dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(9, 7, generator=seeds.generator(1), dtype=torch.float64)
    masks = dict(some_masks(cases.Case("constant", net, x, None)))
    masks["fc1.weight"][:] = False  # its biases go on: the same for every sample
    found = rescale.calibration_factors(net, masks, x, moment="unit_variance")
    assert set(found.values()) == {1.0}
    new = rescale.calibrated(net, masks, x, moment="mean_square")
    dense, same = outputs(net, x, "eval"), outputs(new, x, "eval")
    for name in ("fc2.weight", "fc3.weight"):
        expected = pytest.approx(float(dense[name].square().mean()), rel=1e-10)
        assert float(same[name].square().mean()) == expected


@pytest.mark.parametrize("density", [0.3, 0.03])
def test_float32_networks_are_calibrated_to_single_precision(density):
    g = seeds.generator(0, "single")
    net = nets.build("cnn", in_shape=(1, 8, 8), width=8, depth=6, generator=g)
    x, y = torch.randn(40, 1, 8, 8, generator=g), torch.arange(40) % 10
    masks = prune(net, "snip", density=density, batch=(x, y))
    new = rescale.calibrated(net, masks, x)
    dense, found = (outputs(each, x, "eval") for each in (net, new))
    for name, out in dense.items():
        if masks[name].any() and found[name].any():
            assert float(found[name].var()) == pytest.approx(float(out.var()), rel=1e-4)
