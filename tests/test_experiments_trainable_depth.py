"""The trainable-depth experiments: smoke values, slow references, and wrong answers.

``python tests/test_experiments_trainable_depth.py`` writes
tests/expected/12_trainable_depth.csv anew; a number that moves there makes the
committed records stale.
"""

import dataclasses
import math
from functools import cache
from itertools import groupby

import experiment_cases as shared
import pytest
import torch
from torch.nn import functional

from paicore import Masks, claims, records
from paicore.experiments import trainable_depth as study
from paicore.experiments import trainable_depth_nets as made
from paicore.experiments import trainable_depth_signal as signal
from paicore.experiments import trainable_depth_training as training
from paicore.forward import prunable
from paicore.train import RECIPES

NOTEBOOK = "12_trainable_depth"
SIGNALS = study.EXPERIMENTS["signals"].profiles["smoke"]
TRAINED = ("digits", "maps", "maps_elu", "convolutions", "paces")


@cache
def smoke_rows(name):
    """Run id to rows, of every smoke run."""
    experiment = study.EXPERIMENTS[name]
    config, found = experiment.profiles["smoke"], {}

    def key(cell):
        return str(experiment.group(config, cell))

    for _, group in groupby(sorted(experiment.cells(config), key=key), key):
        cells = list(group)
        for cell, rows in zip(cells, experiment.run(config, cells), strict=True):
            found[records.run_id(cell)] = rows
    return found


def expected():
    """Signals as they are; of trained networks what the masks alone decide."""
    values = {}
    for name in ("signals", "profiles"):
        columns = study.EXPERIMENTS[name].values
        values |= shared.flat(name, smoke_rows(name), columns)
    for name in TRAINED:
        values |= shared.flat(name, smoke_rows(name), ("kept", "empty"))
    return values


def test_smoke_values_are_those_on_file():
    found = expected()
    for name in study.EXPERIMENTS:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-7)


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (study.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert type(smoke) is type(quick)
    assert smoke.methods == quick.methods
    cells = study.EXPERIMENTS[name].cells(quick)
    assert len({records.run_id(cell) for cell in cells}) == len(cells)


def test_the_paper_profile_is_the_recalled_recipe_on_the_recalled_grid():
    config = study.EXPERIMENTS["maps"].profiles["paper"]
    wanted = RECIPES["robust_pruning_mlp"]
    for cell in training.cells(config)[:1]:
        found = training.recipe_of(config, cell)
        assert dataclasses.replace(found, eval_every=None) == wanted
    assert {depth for depth, _ in config.places} == {2, 20, 40, 60, 80, 100}
    densities = sorted({density for _, density in config.places})
    assert densities == pytest.approx([k / 10 for k in range(1, 10)])
    quick = study.EXPERIMENTS["maps"].profiles["quick"]
    assert quick.lr * quick.steps == pytest.approx(wanted.lr * wanted.steps)


def test_a_run_of_signals_does_not_depend_on_its_group():
    cells = [c for c in signal.cells(SIGNALS) if c["method"] == "elu"]
    cells = [c for c in cells if c["density"] == 0.2]
    whole = signal.run_signals(SIGNALS, cells)
    (alone,) = signal.run_signals(SIGNALS, cells[2:3])
    assert alone[0] == pytest.approx(whole[2][0], rel=1e-12)


def test_a_trained_run_does_not_depend_on_its_group():
    config = study.EXPERIMENTS["maps"].profiles["smoke"]
    cells = [c for c in training.cells(config) if c["variant"] == "6"]
    whole = training.run_trained(config, cells)
    (alone,) = training.run_trained(config, cells[1:2])
    assert alone[0] == pytest.approx(whole[1][0], rel=1e-4)


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(SIGNALS, only="relu")
    assert {c["method"] for c in signal.cells(config)} == {"relu"}
    config = dataclasses.replace(training.MAPS, only="edge")
    assert {c["method"] for c in training.cells(config)} == {"edge"}


def test_phases_lie_where_they_should():
    assert made.edge("tanh") == pytest.approx((1.30415, 0.2), abs=1e-5)
    assert made.edge("elu") == pytest.approx((1.22925, 0.2), abs=1e-5)
    assert made.edge("relu") == pytest.approx((math.sqrt(2), 0.0))
    assert made.edge("tanh0") == pytest.approx((1.0, 0.0))
    assert made.point("elu", "ordered") == (1.0, 0.2)
    assert made.point("tanh", "rescaled") == made.edge("tanh")


def test_factors_set_the_row_sums_they_name():
    net, batch, named = signal.masks_of(SIGNALS, "tanh", 0, 0.5)
    sigma_w = made.edge("tanh")[0]
    for factor, wanted, rel in (("literal", 1.0, 1e-9), ("row", sigma_w, 0.15)):
        new = made.rescaled(net, named("sbp"), factor, batch[0])
        for name, weight in prunable(new).items():
            sums = weight.detach().square().sum(1)
            alive = named("sbp")[name].any(1)
            assert torch.allclose(
                sums[alive].sqrt(), torch.tensor(wanted).double(), rtol=rel
            ), name
    with pytest.raises(ValueError, match="factor: expected one of"):
        made.rescaled(net, named("sbp"), "rows", batch[0])


def test_arms_on_the_edge_share_weights_and_masks():
    config = study.EXPERIMENTS["maps_elu"].profiles["smoke"]
    cells = [c for c in training.cells(config) if c["variant"] == "4"]
    nets, masks = zip(*(training.initial(config, c) for c in cells), strict=True)
    ordered, edge, rescaled, activity = (list(prunable(n).values())[1] for n in nets)
    assert masks[1] == masks[2] == masks[3]
    for other in (rescaled, activity):
        ratio = (other / edge)[masks[1]["fc2.weight"]]
        assert ratio.min() > 0
        assert not torch.allclose(ratio, torch.ones_like(ratio))
    both = masks[0]["fc2.weight"] & masks[1]["fc2.weight"]
    shares = (ordered / edge)[both]
    assert torch.allclose(shares, torch.full_like(shares, 1 / made.edge("elu")[0]))


def test_a_convolution_keeps_its_readout_whole_and_unscaled():
    config = study.EXPERIMENTS["convolutions"].profiles["smoke"]
    cell = training.cells(config)[2]
    assert cell["method"] == "rescaled"
    dense, _ = training.drawn(config, cell)
    new, masks = training.initial(config, cell)
    name = list(masks)[-1]
    assert masks[name].all()
    assert torch.equal(prunable(new)[name], prunable(dense)[name])
    second = "conv2.weight"
    only_masked = prunable(dense)[second] * masks[second]
    assert not torch.equal(prunable(new)[second], only_masked)
    kept = sum(int(m.sum()) for k, m in masks.items() if k != name)
    total = sum(m.numel() for k, m in masks.items() if k != name)
    assert kept == math.floor(total * cell["density"] + 0.5)


def test_shuffled_masks_have_the_layers_densities_and_other_places():
    _, _, named = signal.masks_of(SIGNALS, "tanh", 0, 0.2)
    own, control = named("sbp"), named("shuffled")
    assert own.layer_densities() == control.layer_densities()
    assert own != control


def test_layers_are_those_of_a_loop_by_hand():
    net, (x, _) = signal.dense(SIGNALS, "elu", 1)
    found, h = signal.layers(net, x), x
    parts = [(m.weight, m.bias) for m in net if hasattr(m, "weight")]
    for k, (weight, bias) in enumerate(parts):
        h = (h if k == 0 else functional.elu(h)) @ weight.T + bias
        assert torch.allclose(found[k], h)
    q, c = signal.correlations(found)
    a, b = found[3][0].detach(), found[3][1].detach()
    cosines = [float(a @ b / (a.norm() * b.norm()))]
    for i in range(2, len(x), 2):
        a, b = found[3][i].detach(), found[3][i + 1].detach()
        cosines.append(float(a @ b / (a.norm() * b.norm())))
    assert c[3] == pytest.approx(sum(cosines) / len(cosines))
    assert q[3] == pytest.approx(float((found[3] ** 2).mean()))
    tiny = signal.correlations([1e-150 * y for y in found])[1]
    assert tiny == pytest.approx(c)  # a signal that vanishes keeps its correlation


def test_the_gradient_ratio_is_that_of_finite_differences():
    config = dataclasses.replace(SIGNALS, width=3, inputs=3, depth=5, low=2, far=4)
    net, batch = signal.dense(config, "tanh", 0)
    norms = []
    for layer in (config.low, config.far):
        weight, total = list(prunable(net).values())[layer - 1].data, 0.0
        for index in [(i, j) for i in range(3) for j in range(3)]:
            kept, ends = weight[index].item(), []
            for sign in (1, -1):
                weight[index] = kept + sign * 1e-6
                with torch.no_grad():
                    ends.append(
                        float(functional.cross_entropy(net(batch[0]), batch[1]))
                    )
            weight[index] = kept
            total += ((ends[0] - ends[1]) / 2e-6) ** 2
        norms.append(math.sqrt(total))
    found = signal.gradient_ratio(config, net, batch)
    assert found == pytest.approx(norms[0] / norms[1], rel=1e-6)


def test_a_mask_on_loud_inputs_is_heard_and_a_random_one_is_not():
    config = dataclasses.replace(SIGNALS, depth=3, width=400)
    net, (x, _) = signal.dense(config, "relu", 0)
    phi = functional.relu(signal.layers(net, x)[0]).square().mean(0)
    loud = phi >= phi.median()
    whole = Masks.dense(net)
    masks = {name: whole[name].clone() for name in whole}
    masks["fc2.weight"] &= loud
    weight = prunable(net)["fc2.weight"].detach() ** 2
    by_hand = float((weight[:, loud] @ phi[loud]).sum()
                    / (weight[:, loud].sum() * phi.mean()))  # fmt: skip
    assert by_hand > 1.2
    assert signal.heard(net, Masks(masks), x) == pytest.approx(by_hand)
    control = Masks(masks).shuffled(made.draws(0, "test"))
    assert signal.heard(net, control, x) == pytest.approx(1, abs=0.02)
    assert signal.heard(net, whole, x) == pytest.approx(1, abs=0.02)


def test_theory_is_that_of_wide_networks():
    config = dataclasses.replace(SIGNALS, width=600, inputs=600, depth=6, batch=40)
    for phi in ("tanh", "elu", "relu"):
        net, (x, _) = signal.dense(config, phi, 0)
        q, c = signal.correlations(signal.layers(net, x))
        wanted = signal.theory(config, phi)
        assert q[4] == pytest.approx(wanted.q[4], rel=0.15)
        assert 1 - c[4] == pytest.approx(wanted.gap[4], rel=0.15)


def test_the_trick_raises_gradients_and_none_raises_nothing():
    for run, (row,) in smoke_rows("signals").items():
        if "none" in run:
            assert row["rise"] == 0, run
        assert row["share"] > 0, run


@pytest.mark.parametrize("name", TRAINED)
def test_every_smoke_run_has_finite_results(name):
    for run, (row,) in smoke_rows(name).items():
        assert 0 <= row["test_accuracy"] <= 1, run
        assert row["diverged"] == 0, run


def test_a_pace_is_read_from_the_variant():
    cells = training.cells(training.PACES)
    recipes = {c["variant"]: training.recipe_of(training.PACES, c) for c in cells}
    fast, slow = recipes["20 0.01x1000"], recipes["20 0.001x10000"]
    assert (fast.lr, fast.steps, slow.lr, slow.steps) == (0.01, 1000, 0.001, 10_000)
    assert {training.depth_of(c) for c in cells} == {20}


def test_a_run_that_diverges_has_a_row_without_accuracy():
    config = study.EXPERIMENTS["digits"].profiles["smoke"]
    config = dataclasses.replace(config, phi="elu", lr=1e9, steps=30)
    rows = training.run_trained(config, training.cells(config)[:1])
    assert rows[0][0]["diverged"] == 1
    assert math.isnan(rows[0][0]["test_accuracy"])


def quick_claims(recalled):
    """Claims that are recalled, or those that are derived."""
    return [c for c in claims.load(NOTEBOOK) if (c.paper["letter"] == "M") == recalled]


def test_every_derived_claim_has_its_runs_in_quick():
    recalled = {claim.id for claim in quick_claims(True)}
    orphans = shared.orphans(NOTEBOOK, lambda name, config: (0,))
    assert {each[0] for each in orphans} <= recalled
    mixed = {each[0] for each in shared.mixed(NOTEBOOK)}
    assert mixed <= recalled


def test_every_claim_can_fail():
    for claim in claims.load(NOTEBOOK):
        assert claim.rule["kind"] != "equal" or claim.rule["tolerance"] < 2, claim.id
        assert claim.requires, claim.id


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, expected())
