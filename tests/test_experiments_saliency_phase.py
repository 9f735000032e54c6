"""What is trained and subtracted in the phases, and the exact trace's perturbations."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from paicore import Masks, data, prune
from paicore.experiments import (
    saliency,
    saliency_checks,
    saliency_exact,
    saliency_nets,
    saliency_rule,
)

ACCURACIES = (0.5, 0.3, 0.9, 0.8)  # own, shuffled, own, shuffled


def recorded(monkeypatch, module, accuracies):
    """Give `trained` made accuracies, and return the masks it is asked to train."""
    seen, left = [], iter(accuracies)

    def trained(recipe, ds, seed, name, masks):
        seen.append(masks)
        return next(left)

    monkeypatch.setattr(module, "trained", trained)
    return seen


def pruned(config, cell, repeats, rounds):
    """The masks of `phase` for a number of draws and rounds."""
    draws, seed, name = saliency_nets.draws, cell["seed"], cell["method"]
    in_shape = data.load(config.data).in_shape
    net, _ = saliency_nets.network(name, draws(seed, "phase", name), in_shape=in_shape)
    return prune(
        net, "ntk_sap", density=cell["density"], rounds=rounds, repeats=repeats,
        count_rule="synflow", batch=saliency_nets.blank(in_shape, config.samples),
        generator=draws(seed, "phase", name, "score"), progress=False,
    )  # fmt: skip


def test_phases_train_a_mask_and_its_shuffled_twin_and_subtract_them(monkeypatch):
    config = dataclasses.replace(saliency.SMOKE["phase"], shuffled=(1, 3))
    cell = {"method": "conv6", "density": 0.1, "seed": 0, "variant": "1"}
    seen = recorded(monkeypatch, saliency_rule, ACCURACIES)
    first, last = saliency_rule.run_phase(config, cell)
    assert (first["accuracy"], first["accuracy_shuffled"]) == (0.5, 0.3)
    assert first["by_place"] == pytest.approx(0.2) and first["over_one"] == 0
    assert last["by_place"] == pytest.approx(0.1)
    assert last["over_one"] == pytest.approx(0.4)
    for rounds, (own, moved) in zip((1, 3), (seen[:2], seen[2:]), strict=True):
        assert own == pruned(config, cell, 1, rounds)
        assert moved == own.shuffled(
            saliency_nets.draws(0, "phase", "conv6", "shuffle")
        )
        assert moved != own and moved.layer_densities() == own.layer_densities()


def test_what_is_connected_is_what_a_shuffle_takes_off_its_paths(monkeypatch):
    config = saliency.SMOKE["phase"]
    cell = {"method": "conv6", "density": 0.1, "seed": 0, "variant": "1"}
    seen = recorded(monkeypatch, saliency_rule, ACCURACIES)
    first, last = saliency_rule.run_phase(config, cell)
    assert first["connected"] > 0
    assert last["gains"] == last["effective"] - first["effective"]
    net, shape = saliency_nets.network("conv6", saliency_nets.draws(0, "x"))
    own, moved = (saliency_rule.effective(masks, net, shape) for masks in seen[:2])
    assert first["connected"] == pytest.approx(own - moved)


def test_gains_compare_every_way_with_the_first(monkeypatch):
    config = dataclasses.replace(saliency.SMOKE["gains"], ways=((2, 3), (2, 1), (1, 3)))
    cell = {"method": "conv6", "density": 0.1, "seed": 0, "variant": ""}
    seen = recorded(monkeypatch, saliency_checks, (0.9, 0.7, 0.95))
    rows = saliency_checks.run_gains(config, cell)
    assert [row["behind"] for row in rows] == pytest.approx([0, 0.2, -0.05])
    for masks, (repeats, rounds) in zip(seen, config.ways, strict=True):
        assert masks == pruned(config, cell, repeats, rounds)


def test_ranks_compare_the_limit_on_the_same_draws(monkeypatch):
    asked = []

    def sums(net, masks, batch, *, generator, repeats, estimator):
        asked.append((estimator, repeats, tuple(batch[0].shape)))
        signed = {
            n: torch.randn(m.shape, generator=generator) for n, m in masks.items()
        }
        return SimpleNamespace(signed=signed)

    monkeypatch.setattr(saliency_checks, "saliency_sums", sums)
    config = saliency_checks.Ranks(methods=("conv6",))
    cell = {"method": "conv6", "density": 0.1, "seed": 0, "variant": ""}
    (row,) = saliency_checks.run_ranks(config, cell)
    assert asked == [(each, 5, (32, 1, 8, 8)) for each in ("fd", "fd", "jvp")]
    assert row["limit_overlap"] == row["limit_spearman"] == 1
    assert abs(row["spearman"]) < 0.05 and row["overlap"] < 0.2
    assert row["off_share"] == pytest.approx(abs(row["overlap"] / row["predicted"] - 1))


def test_changes_of_a_linear_network_are_unbiased_for_the_masked_trace():
    net = nn.Sequential(nn.Linear(6, 4, bias=False)).double()
    g = saliency_nets.draws(0, "test")
    x = torch.randn(3, 6, generator=g, dtype=torch.float64)
    masks = Masks({"0.weight": torch.rand(4, 6, generator=g) < 0.5})
    found = saliency_exact.changes(net, masks, x, (1.0, 1e-4), 4000, g)
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-8)
    trace = float((masks["0.weight"] * x.square().sum(0)).sum())
    facts = saliency_exact.moments(found[0], trace)
    assert facts["away"] < 4 * facts["error"] < 0.15
    assert facts["away"] == abs(facts["ratio"] - 1)


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_the_exact_trace_is_that_of_frozen_norms_and_surviving_weights(density):
    config = dataclasses.replace(
        saliency.SMOKE["exact"], epsilons=(1e-4, 1e-12), number=150
    )
    cell = {"method": "resnet20", "density": density, "seed": 0, "variant": "2"}
    large, small = saliency_exact.run_exact(config, cell)
    assert large["trace"] == small["trace"]
    assert small["away"] < 4 * small["error"]  # in the limit D / epsilon has that mean
