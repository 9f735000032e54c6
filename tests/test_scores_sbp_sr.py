"""SBP-SR: SNIP's score, on Stable ResNets only, and what the factor changes."""

from functools import cache

import cases
import numpy as np
import pytest
import references
import torch

from paicore import SCORES, data, nets, prune, seeds
from paicore.scores.sbp_sr import SBP_SR, check_stable, sbp_sr

SEEDS, STAGES = 5, ("block{}.".format, (range(2, 6), range(7, 11), range(12, 16)))


def resnet(seed=0, name="resnet20", **options):
    return nets.build(
        name, in_shape=(1, 8, 8), generator=seeds.generator(seed, "sbp_sr"), **options
    )


@pytest.mark.parametrize("mode", ["train", "frozen", "eval"])
def test_the_score_is_that_of_snip(mode):
    c = cases.case("stable_resnet")
    masks = cases.some_masks(c)
    before = references.snapshot(c.net)
    options = {"batch_norm": mode, "batch_size": 3, "reduction": "per_batch"}
    found = sbp_sr(c.net, masks, (c.x, c.y), **options)
    expected = SCORES["snip"].function(c.net, masks, (c.x, c.y), **options)
    assert all(torch.equal(found[name], each) for name, each in expected.items())
    assert references.same(before, references.snapshot(c.net))
    one = prune(c.net, SBP_SR, density=0.3, batch=(c.x, c.y), batch_norm=mode)
    assert one == prune(c.net, "snip", density=0.3, batch=(c.x, c.y), batch_norm=mode)


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: resnet(width=2), "got 9 additions and factors \\[\\]"),
        (lambda: resnet(width=2, branch_factor=0.5), "and factors \\[0.5\\]"),
        (lambda: cases.case("mlp").net, "got 0 additions"),
    ],
)
def test_other_networks_are_refused_and_stay_as_they_are(make, got):
    net = make()
    before = references.snapshot(net)
    x, y = torch.ones(2, 1, 8, 8), torch.arange(2)
    with pytest.raises(ValueError, match=f"^net: expected a Stable ResNet, .*{got}"):
        prune(net, SBP_SR, density=0.5, batch=(x, y))
    assert references.same(before, references.snapshot(net))


def test_one_wrong_factor_of_many_is_seen():
    net = resnet(width=2, stable=True)
    check_stable(net)
    scale = next(m for m in net.modules() if isinstance(m, nets.Scale))
    scale.factor *= 1.01
    with pytest.raises(ValueError, match=r"^net: expected a Stable ResNet"):
        check_stable(net)


@pytest.mark.parametrize("name", ["resnet32", "residual_mlp"])
def test_networks_built_stable_pass(name):
    options = {"width": 2} if name == "resnet32" else {"width": 8, "depth": 7}
    check_stable(resnet(name=name, stable=True, **options))


def test_stable_and_plain_networks_of_one_seed_have_the_same_weights_and_names():
    plain, stable = resnet(width=4), resnet(width=4, stable=True)
    for (one, a), (two, b) in zip(
        plain.named_parameters(), stable.named_parameters(), strict=True
    ):
        assert one == two and torch.equal(a, b)  # so a mask of one fits the other


@cache
def densities(stable, density):
    """Layer densities of ResNet-32 on digits after SNIP, one dict per seed."""
    digits, found = data.load("digits"), []
    for seed in range(SEEDS):
        g = seeds.generator(seed, "sbp_sr", "batch")
        batch = data.sample(digits, 100, g)
        net = resnet(seed, "resnet32", width=8, stable=stable)
        found.append(prune(net, "snip", density=density, batch=batch).layer_densities())
    return found


def variation(stable, stage):
    """Coefficient of variation of the blocks' densities in one stage, over seeds."""
    named, blocks = STAGES
    begins = tuple(named(block) for block in blocks[stage])
    rows = [
        [d for name, d in found.items() if name.startswith(begins)]
        for found in densities(stable, 0.1)
    ]
    return np.mean([np.std(row) / np.mean(row) for row in rows])


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_the_stable_factor_evens_out_the_densities_within_a_stage(stage):
    assert variation(True, stage) < variation(False, stage)


def test_fewer_layers_die_at_two_percent_with_the_stable_factor():
    dead = {
        stable: np.mean([
            sum(d == 0 for d in found.values()) for found in densities(stable, 0.02)
        ])
        for stable in (False, True)
    }  # fmt: skip
    assert dead[False] >= 3 and dead[True] <= 1
