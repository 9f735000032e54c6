"""Odd arguments of the rescalings: refused by name; random masks in any mode."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from paicore import Masks, rescale, seeds

X = torch.randn(6, 5, generator=seeds.generator(0, "odd"), dtype=torch.float64)


def plain():
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    for index, p in enumerate(net.parameters()):
        g = seeds.generator(index, "plain")
        p.data.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    return net


def half():
    return rescale.bernoulli(plain(), 0.5, seeds.generator(0))


MIXED = {1: 2.0, "a": 3.0}
TRICK = {
    "no skip": ({"skip": None}, TypeError, "skip: expected names of weights"),
    "number to skip": ({"skip": 3}, TypeError, "skip: expected names of weights"),
    "nested": ({"skip": ["0.weight", []]}, TypeError, "skip: expected names"),
    "mixed to skip": ({"skip": [1, "a"]}, ValueError, "skip: .* got .'1', 'a'."),
    "mixed gain": ({"gain": MIXED}, ValueError, "gain: .* got .'1', 'a'."),
    "large gain": ({"gain": 10**400}, ValueError, "gain: expected a positive finite"),
    "large gains": ({"gain": {"0.weight": 10**400}}, ValueError, "gain: .* got inf"),
    "tiny gain": ({"gain": Fraction(1, 10**400)}, ValueError, "gain: .* got 0.0"),
    "per": ({"per": ["row"]}, ValueError, "per: expected one of"),
}


@pytest.mark.parametrize("case", TRICK)
def test_odd_settings_of_the_trick_are_refused_by_name(case):
    options, error, match = TRICK[case]
    for call, inputs in ((rescale.rescaled, {}), (rescale.activity_rescaled, {"x": X})):
        with pytest.raises(error, match=f"^{match}"):
            call(plain(), half(), **inputs, **options)


FACTORS = {
    "mixed": (MIXED, ValueError, "names .* got .'1', 'a'."),
    "large": ({"0.weight": 10**400}, ValueError, "those of '0.weight' hold NaN or inf"),
    "complex": ({"0.weight": 1j}, TypeError, "expected numbers or tensors"),
    "complex tensor": (
        {"0.weight": torch.ones(4, dtype=torch.complex64)}, TypeError,
        "expected real ones for '0.weight', got torch.complex64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FACTORS)
def test_odd_factors_are_refused_by_name(case):
    factors, error, match = FACTORS[case]
    with pytest.raises(error, match=f"^factors: .*{match}"):
        rescale.scaled(plain(), half(), factors)


def test_masks_with_names_of_mixed_kinds_are_refused():
    masks = {1: torch.ones(2, dtype=torch.bool), "a": torch.ones(2, dtype=torch.bool)}
    for call in (rescale.divided, rescale.rescaled):
        with pytest.raises(
            ValueError, match=r"^masks: expected names .* got .'1', 'a'"
        ):
            call(plain(), masks)
    with pytest.raises(ValueError, match=r"^masks: .* got .'1', 'a'."):
        rescale.calibrated(plain(), masks, X)


@pytest.mark.parametrize("name", ["calibrated", "activity_rescaled"])
def test_inputs_that_the_network_cannot_take_are_named(name):
    call = getattr(rescale, name)
    with pytest.raises(ValueError, match=r"^x: the network cannot run on .*\(6, 3\)"):
        call(plain(), half(), X[:, :3])
    with pytest.raises(TypeError, match=r"^x: expected a dense tensor .*sparse"):
        call(plain(), half(), X.to_sparse())
    with pytest.raises(TypeError, match=r"^x: expected a dense tensor .* meta"):
        call(plain(), half(), X.to("meta"))
    normed = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"^x: .*more than 1 value per channel"):
        call(normed, Masks.dense(normed), X[:1], batch_norm="train")


def test_weights_without_finite_values_have_no_scale():
    net = plain()
    net[0].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^net: weight '0.weight' holds NaN"):
        rescale.weight_scale(net)
    with pytest.raises(ValueError, match=r"^net: weight '0.weight' is on the meta"):
        rescale.weight_scale(plain().to("meta"))


def test_random_masks_depend_on_no_mode_of_the_caller():
    expected, net = half(), plain()
    with torch.device("meta"):
        assert rescale.bernoulli(net, 0.5, seeds.generator(0)) == expected
    with torch.inference_mode():
        found = rescale.bernoulli(net, 0.5, seeds.generator(0))
    assert found == expected
    assert not any(mask.is_inference() for mask in found.values())
    fraction = rescale.bernoulli(net, Fraction(1, 2), seeds.generator(0))
    assert fraction == expected


@pytest.mark.parametrize(
    ("density", "generator", "match"),
    [
        (0.5, "global", "generator: .* got torch's global one"),
        (MIXED, "own", "density: .* got .'1', 'a'."),
        (10**400, "own", "density: .* got inf"),
    ],
    ids=["global", "mixed", "large"],
)
def test_odd_arguments_of_random_masks_are_refused(density, generator, match):
    kinds = {"global": torch.default_generator, "own": seeds.generator(0)}
    with pytest.raises(ValueError, match=f"^{match}"):
        rescale.bernoulli(plain(), density, kinds[generator])
