"""What no other test checks of the traps, and the experiments' smoke values.

``python tests/test_experiments_traps.py`` writes tests/expected/01_traps.csv anew; a
number that moves there makes the committed records stale.
"""

import contextlib
import csv
import dataclasses
import itertools
import math
from pathlib import Path

import cases
import pytest
import references
import torch
from torch import nn
from torch.nn import functional

from paicore import SCORES, Masks, prune, records, seeds
from paicore.experiments import traps, traps_overlaps, traps_paths
from paicore.experiments import traps_wrong_scores as wrong_scores
from paicore.nets.modules import Scale
from paicore.scores import grasp

EXPECTED = Path(__file__).resolve().parent / "expected" / "01_traps.csv"
RELU = functional.relu
SEEN = []


def of_weights(net, in_shape):
    return traps_paths.path_kernel_terms(net, in_shape)["weights"]


class Watched(nn.Module):
    """A network that notes whether the ReLU it calls is PyTorch's own."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        SEEN.append(functional.relu is RELU)
        return self.last(functional.relu(self.first(x)))


# the tests that no other file has


def test_a_sweep_returns_every_density():
    asked = [0.5, 0.2, 0.1]
    cell = {"method": "random", "seed": 0, "variant": ""}
    rows = records.sweep(
        lambda cell: [{"step": 0, "kept": cell["density"]}],
        [{**cell, "density": density} for density in asked],
        progress=False,
    )
    assert [row["density"] for row in rows] == asked


def test_what_cannot_be_pruned_ends_no_program():
    net, done = nn.Linear(5, 4, bias=False), 0
    good = torch.arange(20.0)
    for values in (good, good / 0, good):
        with contextlib.suppress(Exception):
            prune(net, traps.given(values), density=0.5)
            done += 1
    assert done == 2


def test_inverting_takes_signed_and_zero_scores_in_order():
    net = nn.Linear(2, 2, bias=False)
    for values, lowest in (
        ([-2.0, -1.0, 1.0, 3.0], [True, True, False, False]),
        ([0.0, 2.0, 1.0, 3.0], [True, False, True, False]),
    ):
        score = traps.given(torch.tensor(values))
        kept = prune(net, score, density=0.5, invert=True)["weight"]
        assert kept.flatten().tolist() == lowest


def test_no_score_replaces_functional_relu():
    net, batch = Watched().double(), (torch.rand(6, 4).double(), torch.arange(6) % 3)
    for name in SCORES:
        SEEN.clear()
        generator = seeds.generator(0, "relu")
        prune(net, name, density=0.5, batch=batch, rounds=1, generator=generator)
        assert all(SEEN)
        assert functional.relu is RELU


def test_grasp_with_batch_norm_is_a_derivative_over_one_batch():
    c = cases.case("resnet8_bn")
    found = grasp(c.net, Masks.dense(c.net), (c.x, c.y), temperature=1.0)
    g = seeds.generator(0, "direction")
    ways = {n: torch.randn(s.shape, generator=g).double() for n, s in found.items()}
    step, norms = 1e-5, []
    for sign in (1, -1):
        moved = cases.case("resnet8_bn").net
        with torch.no_grad():
            for name, weight in references.layers(moved).items():
                weight.mul_(1 + sign * step * ways[name])
        norms.append(references.half_squared_gradient_norm(moved, c.x, c.y, 1.0))
    slope = float(norms[0] - norms[1]) / (2 * step)
    along = sum(float((found[n] * ways[n]).sum()) for n in found)
    assert along == pytest.approx(slope, rel=1e-5)


def path_sums(matrices, power):
    """Sum over paths of abs(product) ** power, for each weight, one path at a time."""
    sizes = [matrices[0].shape[1], *(len(matrix) for matrix in matrices)]
    sums = [torch.zeros_like(matrix) for matrix in matrices]
    for path in itertools.product(*map(range, sizes)):
        steps = list(zip(path[1:], path[:-1], strict=True))
        product = math.prod(
            abs(float(m[s])) for m, s in zip(matrices, steps, strict=True)
        )
        for matrix, step in zip(sums, steps, strict=True):
            matrix[step] += product**power
    return sums


def test_each_l2_formula_is_its_closed_form_over_enumerated_paths():
    c = cases.case("mlp")
    kept = cases.some_masks(c)
    weights = [w.detach() * kept[n] for n, w in references.layers(c.net).items()]
    flow, squared = path_sums(weights, 1), path_sums(weights, 2)
    closed = {
        "A": [f * w.abs() for f, w in zip(flow, weights, strict=True)],
        "B": [f**2 for f in flow],
        "C": [
            torch.where(w == 0, 0, d / w.abs())
            for d, w in zip(squared, weights, strict=True)
        ],
        "D": squared,
    }
    for variant, expected in closed.items():
        found = traps_paths.synflow_l2(c.net, kept, (c.x, None), variant=variant)
        for one, other in zip(found.values(), expected, strict=True):
            assert references.close(one, other, 1e-12), variant


def test_the_path_sum_of_weights_counts_weights():
    c = cases.case("mlp_bias")
    with torch.no_grad():
        for name, parameter in c.net.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    weights = [w.detach() for w in references.layers(c.net).values()]
    pairs = zip(path_sums(weights, 2), weights, strict=True)
    expected = sum(float((d / w**2).sum()) for d, w in pairs)
    assert of_weights(c.net, c.in_shape) == pytest.approx(expected, rel=1e-12)


# the experiments


def test_iou_by_hand():
    one, other = (
        {"w": torch.tensor(m)} for m in ([True, True, False], [True, False, True])
    )
    assert traps_overlaps.iou(one, other) == pytest.approx(1 / 3)
    assert traps_overlaps.iou(one, one) == 1


def test_masks_of_given_scores_are_those_of_prune():
    c = cases.case("lenet5")
    scores = SCORES["magnitude"].function(c.net, Masks.dense(c.net))
    kept = traps_overlaps.keep_largest(scores, 0.1)
    assert kept == prune(c.net, "magnitude", density=0.1)
    flat = torch.cat([score.flatten() for score in scores.values()])
    assert kept == prune(c.net, traps.given(flat), density=0.1)


def test_the_plain_grasp_is_the_library_s():
    c = cases.case("resnet8_bn")
    dense, batch = Masks.dense(c.net), (c.x, c.y)
    ours = grasp(c.net, dense, batch, temperature=2.0)
    plain = wrong_scores.theta_hg(c.net, dense, [batch], [batch], 2.0)
    assert all(references.close(plain[n], ours[n]) for n in ours)
    halves = wrong_scores.wrong_grasp_class_halves(c.net, dense, batch, temperature=2.0)
    named = grasp(c.net, dense, batch, temperature=2.0, split="class_halves")
    assert all(references.close(halves[n] / 4, named[n]) for n in ours)


def test_constants_on_a_path_are_raised_as_weights_are():
    norm = nn.BatchNorm2d(1, eps=0.0)
    norm.running_var.fill_(4.0)
    net = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), norm, nn.ReLU(), Scale(-0.5), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(1, 1, bias=False),
    ).double()  # fmt: skip
    with torch.no_grad():
        net[0].weight.fill_(-3.0)
        net[6].weight.fill_(2.0)
    path = 3 * (1 / 2) * 0.5 * (1 / 4) * 2  # one for each of 4 pixels
    for power in (1, 2):
        found = traps_paths.path_shares(net, Masks.dense(net), (1, 2, 2), power)
        for share in found.values():
            assert float(share) == pytest.approx(4 * path**power, rel=1e-12)


def test_an_unknown_formula_is_refused():
    c = cases.case("mlp")
    with pytest.raises(ValueError, match="variant: expected one of"):
        traps_paths.synflow_l2(c.net, Masks.dense(c.net), (c.x, None), variant="E")


def test_moved_images_keep_their_pixels_in_order():
    x = torch.arange(1.0, 65).view(1, 1, 8, 8)
    moved = wrong_scores.moved(x, seeds.generator(1, "moved"))
    assert moved.shape == x.shape
    inside = moved[0, 0, 1:-1, 1:-1]
    assert (inside.diff(dim=1) == 1).all() and (inside.diff(dim=0) == 8).all()


def smoke_values(name):
    """(experiment, run, column) to value, of the smoke runs of seed 0."""
    experiment = traps.EXPERIMENTS[name]
    config = dataclasses.replace(experiment.profiles["smoke"], seeds=1)
    return {
        (name, records.run_id(cell), column): float(row[column])
        for cell in experiment.cells(config)
        for row in experiment.run(config, cell)
        for column in experiment.values
        if "32" not in column
    }


@pytest.mark.parametrize("name", traps.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    with EXPECTED.open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    wanted = {tuple(key): float(value) for *key, value in lines if key[0] == name}
    found = smoke_values(name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        assert value == pytest.approx(wanted[key], rel=1e-9), key


def test_the_versions_of_a_pair_share_weights_and_batch():
    setup = traps.EXPERIMENTS["overlaps"].profiles["smoke"].setups[0]
    first, again, other = (traps_overlaps.network(setup, seed) for seed in (0, 0, 1))
    one, same, new = (
        next(iter(references.layers(n).values())) for n in (first, again, other)
    )
    assert torch.equal(one, same) and not torch.equal(one, new)
    x, y = traps_overlaps.scoring_batch(setup, 0, 2)
    assert torch.equal(x, traps_overlaps.scoring_batch(setup, 0, 2)[0])
    assert y.tolist() == 2 * list(range(10))


@pytest.mark.parametrize("name", traps.EXPERIMENTS)
def test_only_and_seeds_choose_the_runs(name):
    experiment = traps.EXPERIMENTS[name]
    quick = experiment.profiles["quick"]
    method = experiment.cells(quick)[0]["method"]
    chosen = experiment.cells(dataclasses.replace(quick, seeds=2, only=method))
    assert {cell["method"] for cell in chosen} == {method}
    assert {cell["seed"] for cell in chosen} == {0, 1}


def write_expected():
    """Write the values of today; for a change that is meant to move them."""
    with EXPECTED.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("experiment", "run", "column", "value"))
        for name in traps.EXPERIMENTS:
            for key, value in smoke_values(name).items():
                out.writerow((*key, f"{value:.12g}"))


if __name__ == "__main__":
    write_expected()
