"""The trainable-depth experiments: smoke values, slow references, and wrong answers.

``python tests/test_experiments_trainable_depth.py`` writes
tests/expected/12_trainable_depth.csv anew; a number that moves there makes the
committed records stale.
"""

import dataclasses
import math

import experiment_cases as shared
import pytest
import torch
from torch.nn import functional

from paicore import Masks, claims, records
from paicore.claims import rules
from paicore.experiments import trainable_depth as study
from paicore.experiments import trainable_depth_nets as made
from paicore.experiments import trainable_depth_signal as signal
from paicore.experiments import trainable_depth_training as training
from paicore.forward import prunable

NOTEBOOK = "12_trainable_depth"
SIGNALS = study.EXPERIMENTS["signals"].profiles["smoke"]
TRAINED = (
    "digits", "digits_shuffled", "maps", "maps_elu", "convolutions",
    "convolutions_flat", "paces",
)  # fmt: skip


def smoke_rows(name):
    """Run id to rows, of every smoke run."""
    return shared.smoke_rows(NOTEBOOK, name)


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


def test_a_run_of_signals_does_not_depend_on_its_group():
    cells = [c for c in signal.cells(SIGNALS) if c["method"] == "elu"]
    cells = [c for c in cells if c["density"] == 0.2]
    whole = signal.run_signals(SIGNALS, cells)
    (alone,) = signal.run_signals(SIGNALS, cells[2:3])
    assert alone[0] == pytest.approx(whole[2][0], rel=1e-12)


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


def test_the_trick_raises_gradients_and_variances_on_an_edge_with_biases():
    rows = {run: row for run, (row,) in smoke_rows("signals").items()}
    for phi in ("tanh", "elu"):
        for mask in ("sbp", "shuffled"):
            plain, row = (rows[f"{phi},0.2,{mask} {f},0"] for f in ("none", "row"))
            assert row["log_g"] > plain["log_g"] + 0.2, (phi, mask)
            assert row["rise"] == pytest.approx(row["log_g"] - plain["log_g"])
            assert row["q"] > 2 * plain["q"], (phi, mask)


@pytest.mark.parametrize("name", TRAINED)
def test_every_smoke_run_has_finite_results(name):
    for run, (row,) in smoke_rows(name).items():
        assert 0 <= row["test_accuracy"] <= 1, run
        assert row["diverged"] == 0, run


def answered_by_paper_alone(claim):
    """Say whether a claim's place is in the paper profile only."""
    config = study.EXPERIMENTS[claim.experiment].profiles["paper"]
    place = int(claim.reduce["variant"]), claim.reduce["density"]
    return place in config.places


def test_every_derived_claim_has_its_runs_in_quick():
    derived = {c.id: c for c in claims.load(NOTEBOOK) if c.paper["letter"] != "M"}
    orphans = shared.orphans(NOTEBOOK, lambda name, config: (0,))
    found = {each[0] for each in orphans} & set(derived)
    assert all(answered_by_paper_alone(derived[name]) for name in found)
    assert found <= {"K41"}
    mixed = {each[0] for each in shared.mixed(NOTEBOOK)} & set(derived) - found
    extremes = ("min", "max")
    assert all(derived[k].reduce.get("statistic") in extremes for k in mixed)


# What a column can be; a claim that admits all of it says nothing.
SPAN = {
    "test_accuracy": (0.1, 1.0), "c": (-1.0, 1.0), "q": (0.0, 50.0),
    "share": (0.0, 50.0), "log_share": (-30.0, 30.0), "rise": (-30.0, 30.0),
    "heard": (1.0, 3.0),
}  # fmt: skip


def test_every_claim_can_fail_and_can_hold():
    for claim in claims.load(NOTEBOOK):
        assert claim.requires, claim.id
        if claim.claims_number:
            low, high = SPAN[claim.reduce["column"]]
            scale = claim.reduce.get("scale", 1)
            values = [scale * (low + (high - low) * k / 1000) for k in range(1001)]
            held = [rules.fits(claim, value, 0.0) for value in values]
            near = rules.fits(claim, claim.paper["value"], 0.0)
            assert not all(held), claim.id
            assert near, claim.id
        else:
            assert len(set(claim.rule["order"])) > 1, claim.id


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, expected())
