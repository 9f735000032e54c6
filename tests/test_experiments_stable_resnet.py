"""The Stable ResNet experiments at initialisation: smoke values and slow references.

``python tests/test_experiments_stable_resnet.py`` writes
tests/expected/13_stable_resnet.csv anew; a number that moves there makes the committed
records stale.
"""

import dataclasses

import experiment_cases as shared
import numpy as np
import pytest
import torch

from paicore import claims, data, nets, prune, records, seeds
from paicore.experiments import stable_resnet as study
from paicore.experiments import stable_resnet_layers as layers
from paicore.experiments import stable_resnet_theory as theory
from paicore.experiments import stable_resnet_vgg as vgg
from paicore.forward import prunable
from paicore.kernels import meanfield

NOTEBOOK = "13_stable_resnet"
DRAWN = ("growth", "edges", "dense", "layers", "sweep", "vgg")
TRAINED = tuple(name for name in study.EXPERIMENTS if name not in DRAWN)
QUICK = tuple(n for n, e in study.EXPERIMENTS.items() if "quick" in e.profiles)


def smoke_rows(name):
    """Run id to rows, of every smoke run."""
    return shared.smoke_rows(NOTEBOOK, name)


def expected():
    """Numbers at initialisation; of trained networks what the masks alone decide."""
    values = {}
    for name in study.EXPERIMENTS:
        columns = study.EXPERIMENTS[name].values if name in DRAWN else ("kept",)
        values |= shared.flat(name, smoke_rows(name), columns)
    return {key: value for key, value in values.items() if value == value}


def test_smoke_values_are_those_on_file():
    found = expected()
    for name in study.EXPERIMENTS:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-7)


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_runs_are_told_apart_and_rows_hold_what_is_declared(name):
    experiment = study.EXPERIMENTS[name]
    for config in experiment.profiles.values():
        cells = experiment.cells(config)
        assert len({records.run_id(cell) for cell in cells}) == len(cells)
    for run, rows in smoke_rows(name).items():
        for row in rows:
            assert set(row) == {"step", *experiment.values}, run


@pytest.mark.parametrize("name", DRAWN)
def test_a_run_does_not_depend_on_its_group(name):
    experiment = study.EXPERIMENTS[name]
    config = experiment.profiles["smoke"]
    cell = experiment.cells(config)[-1]
    if experiment.group is None:
        alone = experiment.run(config, cell)
    else:
        (alone,) = experiment.run(config, [cell])
    for row, wanted in zip(alone, smoke_rows(name)[records.run_id(cell)], strict=True):
        assert row == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(study.SWEEP, only="resnet104")
    assert {c["method"] for c in layers.cells(config)} == {"resnet104"}
    config = dataclasses.replace(study.VGG, only="vgg16,vgg16x3")
    assert {c["method"] for c in vgg.cells(config)} == {"vgg16", "vgg16x3"}
    config = dataclasses.replace(study.GROWTH, only="2")
    assert {c["method"] for c in theory.cells(config)} == {"2"}


@pytest.mark.parametrize("stable", [False, True])
def test_scaled_unit_networks_are_those_that_are_built(stable):
    found = theory.residual(4, 6, 3, 0, "x")
    branch = meanfield.branch_factor(4, stable=stable)
    theory.set_scales(found, 1.5, branch)
    wanted = nets.build(
        "residual_mlp", classes=3, in_shape=(6,), width=6, depth=4, bias=False,
        init=("gaussian", 1.5, 0.0), stable=stable, dtype=torch.float64,
        generator=theory.draws(0, "x", 4, "init"),
    )  # fmt: skip
    x = torch.randn(5, 6, generator=seeds.generator(1), dtype=torch.float64)
    torch.testing.assert_close(found(x), wanted(x), rtol=1e-12, atol=0)


def test_growth_of_wide_networks_is_the_recursions():
    config = theory.Growth(depths=(4,), width=300, draws=6)
    for variant in theory.KINDS:
        cell = {"method": "1", "seed": 0, "variant": variant}
        ours = theory.measured(config, cell, 4).mean()
        wanted = theory.predicted(config, cell, 4).mean()
        assert ours == pytest.approx(wanted, rel=0.35)


def test_growth_is_the_mean_of_squared_terms_by_finite_differences():
    config = theory.Growth(depths=(2,), width=3, draws=1, classes=2)
    cell = {"method": "2", "seed": 0, "variant": "stable"}
    net = theory.residual(2, 3, 2, 0, "growth", 0)
    theory.set_scales(net, 2**0.5, 2**-0.5)
    x, v = theory.one_sample(config, 0, "growth", 0)
    wanted = []
    for weight in list(prunable(net).values())[1:-1]:
        terms = []
        for i, j in np.ndindex(3, 3):
            old, ends = weight.data[i, j].item(), []
            for sign in (1, -1):
                weight.data[i, j] = old + sign * 1e-6
                with torch.no_grad():
                    ends.append(float((net(x) @ v).sum()))
            weight.data[i, j] = old
            terms.append((old * (ends[0] - ends[1]) / 2e-6) ** 2)
        wanted.append(np.mean(terms))
    assert theory.measured(config, cell, 2) == pytest.approx(wanted, rel=1e-6)


def test_spread_is_that_of_the_pruned_network():
    net = theory.residual(5, 12, 10, 0, "dense")
    g = seeds.generator(0, "test")
    batch = (torch.randn(8, 12, generator=g, dtype=torch.float64),
             torch.randint(10, (8,), generator=g))  # fmt: skip
    kept = list(
        prune(net, "snip", density=0.3, batch=batch).layer_densities().values()
    )[1:-1]
    found = theory.spread(layers.scored(net, batch), 0.3)
    assert found["cv"] == pytest.approx(np.std(kept) / np.mean(kept))
    assert found["least"] == pytest.approx(min(kept))
    just = prune(net, "snip", density=1 - found["s_cr"] + 1e-3, batch=batch)
    assert not just.collapsed
    assert prune(net, "snip", density=1 - found["s_cr"] - 2e-3, batch=batch).collapsed


@pytest.fixture(scope="module")
def small():
    """A narrow ResNet of 14 layers on digits, and a batch."""
    ds = data.load("digits")
    config = dataclasses.replace(study.LAYERS, depth=14, width=3)
    net = layers.resnet(config, "resnet", "stable", "relu", ds, 0)
    return net, data.sample(ds, 20, seeds.generator(0, "test"))


def test_masks_from_scores_are_those_of_prune(small):
    net, batch = small
    scores = layers.scored(net, batch)
    for density in (0.3, 0.05):
        wanted = prune(net, "snip", density=density, batch=batch)
        assert layers.from_scores(net, scores, density) == wanted


def test_sbp_sr_is_this_score_on_this_network(small):
    from paicore.scores import SBP_SR

    net, batch = small
    masks = layers.from_scores(net, layers.scored(net, batch), 0.1)
    assert prune(net, SBP_SR, density=0.1, batch=batch) == masks


def test_stages_hold_the_three_by_three_convolutions_of_the_branches(small):
    net, _ = small
    weights = prunable(net)
    found = layers.stages(net)
    assert len(found) == len(weights)
    for k in (1, 2, 3):
        own = [w for w, stage in zip(weights.values(), found, strict=True)
               if stage == k]  # fmt: skip
        assert [len(w) for w in own] == [3 * 2 ** (k - 1)] * 4
        assert {tuple(w.shape[2:]) for w in own} == {(3, 3)}
    assert found.count(0) == 4  # stem, two projections, readout


def test_looks_are_read_off_the_shares(small):
    net, batch = small
    scores = layers.scored(net, batch)
    masks = layers.from_scores(net, scores, 0.02)
    found = layers.looks(net, masks, {"a": 0.7, "b": 0.4})
    shares = [float(m.double().mean()) for m in masks.values()]
    second = [s for s, k in zip(shares, layers.stages(net), strict=True) if k == 2]
    mean = sum(second) / 4
    variance = sum((s - mean) ** 2 for s in second) / 4
    assert found["cv2"] == pytest.approx(variance**0.5 / mean)
    assert found["dead"] == sum(s == 0 for s in shares)
    assert (found["least"], found["s_cr"]) == (min(shares), 0.4)


def test_branches_share_their_weights_and_differ_in_their_factor():
    ds = data.load("digits")
    config = dataclasses.replace(study.LAYERS, depth=8, width=2)
    made = {
        (branch, phi): layers.resnet(config, "resnet", branch, phi, ds, 3)
        for branch in ("plain", "stable", "1", "0.1") for phi in ("relu", "tanh")
    }  # fmt: skip
    first = made["plain", "relu"]
    for net in made.values():
        for name, weight in prunable(first).items():
            assert torch.equal(weight, prunable(net)[name])
    x = torch.randn(4, *ds.in_shape, generator=seeds.generator(0))
    out = {key: net(x) for key, net in made.items()}
    torch.testing.assert_close(out["plain", "relu"], out["1", "relu"])
    for other in (("stable", "relu"), ("0.1", "relu"), ("plain", "tanh")):
        assert not torch.allclose(out["plain", "relu"], out[other])


def test_the_stream_is_what_the_blocks_hand_on(small):
    net, (x, _) = small
    seen = []
    hooks = [
        module.register_forward_hook(
            lambda *args: seen.append(float(args[2].detach().square().mean()))
        )
        for name, module in net.named_children()
        if name == "act1" or name.startswith("block")
    ]
    net(x.float())
    for hook in hooks:
        hook.remove()
    assert layers.stream(net, x.float()) == pytest.approx(seen)
    assert len(seen) == 7


def test_vgg_features_are_what_the_readout_receives():
    config = study.EXPERIMENTS["vgg"].profiles["smoke"]
    net, (x, _) = vgg.drawn(config, "vgg16", 0)
    torch.testing.assert_close(net[-1](vgg.features(net, x)), net(x))


def test_batch_norm_undoes_a_factor_on_a_row():
    config = dataclasses.replace(
        study.EXPERIMENTS["vgg"].profiles["smoke"], width=4, densities=(0.5,),
        methods=("vgg16", "vgg16_bn"), variants=("sbp row",),
    )  # fmt: skip
    found = {}
    for cell in vgg.cells(config):
        ((row,),) = vgg.run_vgg(config, [cell])
        found[cell["method"]] = row["agree"]
    assert found["vgg16_bn"] < 0.05 < found["vgg16"]


def test_no_claim_asks_for_what_is_not_there():
    steps = {"growth": study.GROWTH.depths}
    missing, mixed = [], []
    for claim in claims.load(NOTEBOOK):
        experiment = study.EXPERIMENTS[claim.experiment]
        profile = "quick" if claim.experiment in QUICK else "paper"
        cells = experiment.cells(experiment.profiles[profile])
        by = claim.rule.get("by", "method")
        for name in claim.rule.get("order", [""]):
            wanted = {k: v for k, v in claim.reduce.items() if k in cells[0]}
            wanted |= {by: name} if name else {}
            left = {
                (c["method"], c["density"], c["variant"])
                for c in cells if all(c[k] == v for k, v in wanted.items())
            }  # fmt: skip
            missing += [claim.id] * (claim.reduce["column"] not in experiment.values)
            mixed += [claim.id] * (len(left) != 1)
        if claim.reduce.get("step", "last") != "last":
            assert claim.experiment in steps, claim.id
    assert (missing, mixed) == ([], [])


def test_letters_are_known_and_tables_that_are_not_run_are_recalled():
    for claim in claims.load(NOTEBOOK):
        assert claim.requires, claim.id
        assert claim.paper["letter"] in "DM", claim.id
        if claim.experiment not in QUICK:
            assert claim.paper["letter"] == "M", claim.id
        elif claim.paper["letter"] == "D" and "data" in claim.requires:
            config = study.EXPERIMENTS[claim.experiment].profiles["quick"]
            assert claim.paper_setting["data"] == config.data, claim.id


def test_bounds_on_sbp_sr_and_snip_leave_the_references_margin():
    bound = {c.id: c.paper.get("value") for c in claims.load(NOTEBOOK)}
    assert bound["K44"] - bound["K45"] == pytest.approx(0.03)
    assert bound["K47"] - bound["K48"] == pytest.approx(0.2)


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, expected())
