"""What is known of the released code: counts, initial L2, presets, its baselines."""

import pytest
import torch
import transfer_references as references

from paicore import masks as masking
from paicore import nets, prune, seeds, transfer
from paicore.masks import Masks
from paicore.transfer.selection import by_magnitude, count, masked

# (C) section 1.5 of the reference: kept per layer at a density under the rule "ntt"
KEPT = {
    "lenet_300_100": (0.03, (1, 28, 28), [7055, 899, 29], 7983, 266_200),
    "lenet5": (0.03, (1, 28, 28), [14, 749, 11_999, 149], 12_911, 430_500),
    "conv4_valid": (
        0.03, (3, 32, 32), [51, 1105, 2211, 4423, 49_151, 153], 57_094, 1_903_296,
    ),
}  # fmt: skip


def official(name, seed=0):
    """A network as the released code draws it."""
    return nets.build(
        name, classes=10, in_shape=KEPT[name][1], init="glorot_truncated",
        bias_init="normal", generator=seeds.generator(seed, "official", name),
    )  # fmt: skip


def first_masks(net, density, **options):
    """The masks before the first step, without a run."""
    from test_transfer_objective import settings

    chosen = settings(density=density, count_rule="ntt", **options)
    values = dict(net.named_parameters())
    return by_magnitude(values, chosen, list(masking.prunable(net)))


@pytest.mark.parametrize("name", KEPT)
def test_kept_counts_are_those_of_the_released_code(name):
    density, _, layers, total, whole = KEPT[name]
    found = first_masks(official(name), density)
    assert [int(mask.sum()) for mask in found.values()] == layers
    assert count(found) == total
    assert sum(mask.numel() for mask in found.values()) == whole


def test_the_first_convolution_alone_at_one_percent_keeps_four_weights():
    net = official("lenet5")
    names = list(masking.prunable(net))
    scope = {names[0]: 0.01, **dict.fromkeys(names[1:], 1.0)}
    found = first_masks(net, 0.01, scope=scope)
    kept = [int(mask.sum()) for mask in found.values()]
    assert kept == [4, 25_000, 400_000, 5_000]


@pytest.mark.parametrize(
    ("name", "logged"), [("lenet_300_100", 83.0), ("lenet5", 91.9)]
)
def test_initial_l2_is_that_of_the_logs(name, logged):
    for seed in range(3):
        net = official(name, seed)
        values = dict(net.named_parameters())
        kept = masked(values, first_masks(net, 0.03))
        l2 = sum(kept[n].detach().square().sum() for n in masking.prunable(net))
        assert float(l2) == pytest.approx(logged, abs=0.5)


@pytest.mark.parametrize(
    ("preset", "l2"), [("official_mlp", 1e-4), ("official_cnn", 1e-5)]
)
def test_presets_hold_the_released_values(preset, l2):
    released = {
        "optimizer": "adam", "lr": 5e-4, "batch": 64, "steps": 18_720,
        "frequency": 100, "kernel_weight": 1e-3, "target_weight": 1.0, "l2": l2,
        "l2_over_density": True, "tangent": "ambient", "block": "cross",
        "normalise": "raw", "count_rule": "ntt", "estimator": "exact",
        "scope": "layerwise", "first_masks": "magnitude", "update_masks": True,
        "moments": "keep",
    }  # fmt: skip
    assert dict(transfer.PRESETS[preset]) == released
    with pytest.raises(TypeError):
        transfer.PRESETS[preset]["lr"] = 1.0


def test_a_preset_runs():
    net, x = references.mlp(), references.inputs(70, 6)
    options = transfer.PRESETS["official_mlp"] | {"steps": 2}
    result = transfer.neural_tangent_transfer(
        net, x, density=0.4, generator=seeds.generator(0), **options
    )
    assert result.masks.kept == sum(n - int(0.6 * n) - 1 for n in (7 * 6, 5 * 7, 3 * 5))


def test_logit_snip_is_the_weight_times_the_slope_of_the_squared_logits():
    net, x, masks = references.setting("conv")
    found = transfer.logit_snip(net, masks, (x, None))
    values = references.values_of(net)
    out = torch.func.functional_call(net, references.product(values, masks), (x,))
    out.square().sum().backward()
    for name, mask in masks.items():
        expected = (values[name] * values[name].grad * mask).detach().abs()
        torch.testing.assert_close(found[name], expected, rtol=1e-10, atol=1e-12)


def test_logit_snip_is_a_score_for_prune_and_needs_no_labels():
    net, x, _ = references.setting("mlp")
    masks = prune(net, transfer.logit_snip, density=0.3, batch=(x, None))
    assert masks.kept == int(0.3 * masks.total + 0.5)
    other = prune(net, transfer.logit_snip, density=0.3, batch=(x + 1, None))
    assert masks != other
    with pytest.raises(TypeError, match="batch"):
        prune(net, transfer.logit_snip, density=0.3)


def test_logit_snip_gives_the_first_masks_from_128_inputs():
    net, x = references.mlp(), references.inputs(140, 6)
    options = {"density": 0.3, "steps": 1, "update_masks": False}
    result = transfer.neural_tangent_transfer(
        net, x, first_masks="logit_snip", generator=seeds.generator(0), **options
    )
    expected = prune(
        net, transfer.logit_snip, density=0.3, scope="layerwise", batch=(x[:128], None)
    )
    assert result.masks == expected


def test_the_shuffle_keeps_the_inputs_of_every_unit_and_moves_them():
    net = official("lenet5")
    masks = prune(net, "magnitude", density=0.1, scope="layerwise")
    moved = transfer.shuffled_along_axis0(masks)
    assert moved != masks
    for name, mask in masks.items():
        axis = 1 if mask.dim() == 2 else 2
        assert torch.equal(mask.sum(axis), moved[name].sum(axis))
        assert not torch.equal(mask, moved[name])
    # every line on its own: columns of a dense layer do not move together
    dense = list(masks)[2]
    assert not torch.equal(masks[dense].sum(0), moved[dense].sum(0))


def test_the_shuffle_is_the_same_every_time_unless_it_is_given_a_generator():
    masks = Masks({"w": torch.eye(30, dtype=torch.bool)})
    once = transfer.shuffled_along_axis0(masks)
    assert once == transfer.shuffled_along_axis0(masks)
    assert once != transfer.shuffled_along_axis0(masks, seeds.generator(1))


def test_the_shuffle_reaches_every_place_alike():
    mask = torch.zeros(4000, 5, dtype=torch.bool)
    mask[:, 0] = True
    shares = transfer.shuffled_along_axis0(Masks({"w": mask}))["w"].double().mean(0)
    assert ((shares - 0.2).abs() < 4 * (0.16 / 4000) ** 0.5).all()
