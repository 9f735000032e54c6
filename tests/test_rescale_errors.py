"""Odd networks and bad arguments: refused by name, nothing touched on the way."""

from functools import partial
from math import inf, nan

import cases
import pytest
import references
import torch
from cases import some_masks
from torch import nn
from torch.nn import functional

from paicore import Masks, rescale, seeds

X = torch.randn(6, 5, generator=seeds.generator(0, "odd"), dtype=torch.float64)
ON_DATA = (
    rescale.calibrated, rescale.calibration_factors,
    rescale.activity_factors, rescale.activity_rescaled,
)  # fmt: skip
ON_WEIGHTS = (
    rescale.divided, rescale.rescaled, rescale.rescaling_factors,
    partial(rescale.scaled, factors={}),
)  # fmt: skip
EVERY = (*ON_WEIGHTS, *(partial(each, x=X) for each in ON_DATA))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 5)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(torch.tanh(self.one(x)))


class Bypassed(nn.Module):
    """A layer whose weight is used without calling the layer."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        return functional.linear(torch.tanh(self.one(x)), self.two.weight)


class Raises(nn.Module):
    """A forward pass that stops after its first layer."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        self.one(x)
        raise RuntimeError("out of order")


def plain():
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    torch.set_rng_state(torch_state)
    return net


def masks_of(net):
    return some_masks(cases.Case("odd", net, X, None))


def refused(net, call, error, match, **arguments):
    """A call is refused with a message, and the network stays bit for bit."""
    before, state = references.snapshot(net), torch.get_rng_state()
    with pytest.raises(error, match=match):
        call(net, **{"masks": masks_of(net), **arguments})
    assert references.same(before, references.snapshot(net))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("call", ON_DATA)
@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (Tied, ValueError, "^net: weight 'one.weight' is used twice"),
        (Bypassed, ValueError, "^net: the layers of .'two.weight'. are never called"),
        (Raises, ValueError, "^x: the network cannot run on inputs .*out of order"),
    ],
)
def test_networks_without_one_output_per_layer_are_refused(call, make, error, match):
    net = make().double()
    refused(net, call, error, match, x=X)
    for other in ON_WEIGHTS:  # the weights alone are well defined
        other(net, masks_of(net))


@pytest.mark.parametrize("call", ON_DATA)
def test_a_module_called_twice_is_refused(call):
    c = cases.case("twice_called")
    match = "^net: weight 'hidden.weight' is used twice"
    refused(c.net, call, ValueError, match, x=c.x, batch_norm="train")


@pytest.mark.parametrize("call", ON_DATA)
@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (X.tolist(), TypeError, "^x: expected float inputs"),
        (X.long(), TypeError, "^x: expected float inputs .* got torch.int64"),
        (X[0], TypeError, "^x: expected float inputs"),
        (X[:0], ValueError, "^x: expected finite inputs, .* got 0 samples"),
        (X / 0, ValueError, "^x: expected finite inputs"),
    ],
)
def test_inputs_that_are_no_batch_are_refused(call, x, error, match):
    refused(plain(), call, error, match, x=x)


@pytest.mark.parametrize("call", ON_DATA)
@pytest.mark.parametrize("mode", [None, "frozen", "test"])
def test_a_batch_norm_mode_must_be_one_that_rescaling_can_use(call, mode):
    c = cases.case("resnet8_bn")
    masks = some_masks(c)
    match = r"^batch_norm: .*\('train', 'eval'\)"
    refused(c.net, call, ValueError, match, x=c.x, masks=masks, batch_norm=mode)


@pytest.mark.parametrize("call", EVERY)
def test_masks_and_networks_that_do_not_fit_are_refused(call):
    net = plain()
    wrong = Masks({"0.weight": torch.ones(4, 5, dtype=torch.bool)})
    refused(net, call, ValueError, "^masks: .* missing .'2.weight'", masks=wrong)
    refused(net, call, TypeError, "^masks: expected a mapping", masks=[1])
    with pytest.raises(TypeError, match=r"^net: expected a torch\.nn\.Module"):
        call(X, masks=wrong)
    net[2].weight.data[0, 0] = inf  # NaN would not equal itself afterwards
    refused(net, call, ValueError, "^net: weight '2.weight' holds NaN or infinity")


@pytest.mark.parametrize(
    "call",
    [rescale.rescaled, *(partial(each, x=X) for each in ON_DATA)],
)
def test_a_network_that_is_masked_already_tells_no_dense_scale(call):
    net = plain()
    masks_of(net).apply_(net)
    refused(net, call, ValueError, "^net: expected the dense network")


def test_a_masked_network_is_rescaled_to_a_gain_that_is_given():
    net = plain()
    masks = masks_of(net)
    expected = rescale.rescaled(net, masks, gain=1.5)
    new = rescale.rescaled(masks.apply_(net), masks, gain=1.5)
    assert torch.equal(new[0].weight, expected[0].weight)


@pytest.mark.parametrize("call", [rescale.rescaled, ON_DATA[-1]])
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"gain": "sigma"}, ValueError, "^gain: expected 'sigma_w' .* got 'sigma'"),
        ({"gain": 0}, ValueError, "^gain: expected a positive"),
        ({"gain": inf}, ValueError, "^gain: expected a positive"),
        ({"gain": True}, TypeError, "^gain: .* got True"),
        ({"gain": None}, TypeError, "^gain: .* got None"),
        ({"gain": {"3.weight": 1.0}}, ValueError, "^gain: expected names"),
        ({"gain": {"0.weight": "1"}}, TypeError, "^gain: .* got '1'"),
        ({"per": "unit"}, ValueError, "^per: expected one of .* got 'unit'"),
        ({"skip": "0.weight"}, TypeError, "^skip: .* the string '0.weight'"),
        ({"skip": ["bias"]}, ValueError, "^skip: expected names of prunable"),
    ],
)
def test_bad_settings_of_the_trick_are_refused(call, arguments, error, match):
    inputs = {} if call is rescale.rescaled else {"x": X}
    refused(plain(), call, error, match, **inputs, **arguments)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (partial(rescale.divided, by="layer"), "^by: expected one of"),
        (partial(rescale.calibrated, x=X, moment="std"), "^moment: expected one of"),
        (partial(rescale.activity_factors, x=X, source="net"), "^source: expected one"),
    ],
)
def test_unknown_choices_are_refused(call, match):
    refused(plain(), call, ValueError, match)


@pytest.mark.parametrize(
    ("factors", "error", "match"),
    [
        ([1.0], TypeError, "^factors: expected a mapping"),
        ({"1.weight": 1.0}, ValueError, "^factors: expected names .*'1.weight'"),
        ({"0.weight": "2"}, TypeError, "^factors: expected numbers or tensors"),
        ({"0.weight": torch.ones(5)}, ValueError, r"^factors: .* \(4,\) .* got \(5,\)"),
        ({"0.weight": nan}, ValueError, "^factors: those of '0.weight' hold NaN"),
    ],
)
def test_factors_that_do_not_fit_are_refused(factors, error, match):
    refused(plain(), rescale.scaled, error, match, factors=factors)


def test_weights_that_overflow_their_type_are_refused():
    net = plain().half()
    refused(net, rescale.scaled, ValueError, "^net: weight '0.weight' holds NaN or inf",
            factors={"0.weight": 1e8})  # fmt: skip


def test_biases_that_outweigh_the_weights_have_no_factor():
    net = nn.Sequential(nn.Linear(1, 4)).double()
    with torch.no_grad():  # dense, the weights cancel the biases: every output is 0
        net[0].weight.copy_(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]))
        net[0].bias.copy_(-net[0].weight[:, 0])
    masks = Masks({"0.weight": torch.tensor([[True], [False], [False], [False]])})
    x = torch.full((4, 1), 1.0, dtype=torch.float64)
    for moment in ("variance", "mean_square"):
        refused(net, rescale.calibrated, ValueError, "^moment: no factor of '0.weight'",
                masks=masks, x=x, moment=moment)  # fmt: skip
    found = rescale.calibration_factors(net, masks, x, moment="unit_variance")
    assert found == {"0.weight": 1.0}


def test_outputs_that_overflow_are_refused():
    net = plain()
    net[2].weight.data.mul_(1e200)
    refused(net, rescale.calibrated, ValueError, "^net: the output of layer '2.weight'",
            x=X)  # fmt: skip


@pytest.mark.parametrize(
    ("density", "generator", "error", "match"),
    [
        (1.5, seeds.generator(0), ValueError, "^density: .* got 1.5"),
        (nan, seeds.generator(0), ValueError, "^density: .* got nan"),
        (True, seeds.generator(0), TypeError, "^density: .* got True"),
        ("half", seeds.generator(0), TypeError, "^density: .* got 'half'"),
        ({"1.weight": 0.5}, seeds.generator(0), ValueError, "^density: expected names"),
        (0.5, None, TypeError, "^generator: expected a torch.Generator, got None"),
    ],
)
def test_bad_probabilities_are_refused(density, generator, error, match):
    with pytest.raises(error, match=match):
        rescale.bernoulli(plain(), density, generator)


@pytest.mark.parametrize("call", EVERY)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_gradient_mode_of_the_caller_does_not_matter(call, mode):
    net = plain()
    masks = masks_of(net)
    expected = call(net, masks)
    with mode():
        found = call(net, masks)
    if isinstance(found, dict):
        assert all(
            torch.equal(torch.as_tensor(v), torch.as_tensor(expected[k]))
            for k, v in found.items()
        )
        return
    assert all(
        torch.equal(one, two) and not two.is_inference() and two.requires_grad
        for one, two in zip(expected.parameters(), found.parameters(), strict=True)
    )


def test_activities_beyond_the_range_are_refused():
    net = plain()
    masks = masks_of(net)
    with pytest.raises(ValueError, match=r"^x: the squared activities leave the range"):
        rescale.activity_factors(net, masks, X * 1e200)


def test_a_hook_of_the_caller_acts_on_what_is_calibrated():
    net = plain()
    masks = masks_of(net)
    right = rescale.calibrated(net, masks, X)
    net[0].register_forward_hook(lambda layer, args, out: 3 * out)
    hooked = rescale.calibrated(net, masks, X)
    assert torch.equal(hooked[0].weight, right[0].weight)
