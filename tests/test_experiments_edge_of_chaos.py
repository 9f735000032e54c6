"""The edge-of-chaos experiments: smoke values, slow references, and wrong answers.

``python tests/test_experiments_edge_of_chaos.py`` writes
tests/expected/11_edge_of_chaos.csv anew; a number that moves there makes the committed
records stale.
"""

import dataclasses
import math

import experiment_cases as shared
import numpy as np
import pytest
import torch

from paicore import nets, prune
from paicore.experiments import edge_of_chaos as study
from paicore.experiments import (
    edge_of_chaos_batches,
    edge_of_chaos_nets,
    edge_of_chaos_slopes,
    edge_of_chaos_sparsity,
    edge_of_chaos_theory,
)
from paicore.kernels import meanfield

NOTEBOOK = "11_edge_of_chaos"
SINGLE = {"batches": 1e-3}  # in float32; the others agree to 1e-6


def smoke_values(name):
    """(experiment, run, step, column) to value, of every smoke run."""
    rows = shared.smoke_rows(NOTEBOOK, name)
    return shared.flat(name, rows, study.EXPERIMENTS[name].values)


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), shared.expected_values(NOTEBOOK, name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        close = pytest.approx(
            wanted[key], rel=SINGLE.get(name, 1e-6), abs=1e-9, nan_ok=True
        )
        assert value == close, key


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (study.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert type(smoke) is type(quick)
    assert smoke.seeds <= quick.seeds
    assert quick.seeds == 5 or name in ("plane", "edge", "rates", "limits", "neurons")


@pytest.mark.parametrize("name", ["slopes", "batches", "critical", "lottery"])
def test_a_run_does_not_depend_on_its_group(name):
    experiment, config = study.EXPERIMENTS[name], study.SMOKE[name]
    config = dataclasses.replace(config, points=config.points[:3])
    cells = experiment.cells(config)
    whole = experiment.run(config, cells)
    (alone,) = experiment.run(config, cells[1:2])
    for one, other in zip(whole[1], alone, strict=True):
        assert one == pytest.approx(other, rel=1e-12, nan_ok=True)


def test_only_leaves_the_other_methods_out():
    config = dataclasses.replace(study.SMOKE["slopes"], only="relu")
    assert {c["method"] for c in edge_of_chaos_nets.cells(config)} == {"relu"}


def test_points_are_read_from_variants():
    assert edge_of_chaos_nets.scales("tanh", "0.8 0.3") == (0.8, 0.3)
    edge = edge_of_chaos_nets.scales("relu", "edge 0")
    assert edge == pytest.approx((math.sqrt(2), 0.0))
    assert edge_of_chaos_nets.scales("tanh", "1.6 0.2 masked") == (1.6, 0.2)


def test_a_network_at_a_point_is_the_one_drawn_there():
    config = study.SMOKE["slopes"]
    net = edge_of_chaos_nets.unit_network(config, "tanh", 3, 1)
    unit = edge_of_chaos_nets.units(net)
    for point in ((2.0, 0.0), (1.5, 0.3)):
        found = edge_of_chaos_nets.at_point(net, unit, point)
        wanted = nets.build(
            "mlp", in_shape=(24,), width=24, depth=12, activation="tanh",
            init=("gaussian", *point), dtype=torch.float64,
            generator=edge_of_chaos_nets.draws(3, 1, "init"),
        )  # fmt: skip
        pairs = zip(found.parameters(), wanted.parameters(), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-14) for a, b in pairs)


def test_moments_are_squared_changes_of_the_loss():
    config = dataclasses.replace(study.SMOKE["slopes"], width=4, depth=3)
    net = edge_of_chaos_nets.unit_network(config, "tanh", 0, 0)
    x, v = edge_of_chaos_nets.inputs((2, 4), 0, 0)
    found = edge_of_chaos_nets.layer_moments(net, (net(x) @ v).mean())
    step = 1e-5
    for k, weight in enumerate(p for p in net.parameters() if p.dim() == 2):
        changes = []
        for index in np.ndindex(*weight.shape):
            kept, ends = weight[index].item(), []
            for sign in (1, -1):  # d loss / d log w = w d loss / d w
                weight.data[index] = kept * (1 + sign * step)
                ends.append((net(x) @ v).mean().item())
            weight.data[index] = kept
            changes.append((ends[0] - ends[1]) / (2 * step))
        assert found[k] == pytest.approx(np.mean(np.square(changes)), rel=1e-6)


def test_inputs_have_mean_square_one_whatever_their_shape():
    x, v = edge_of_chaos_nets.inputs((3, 5, 2, 2), 0)
    assert x.flatten(1).square().mean(1).tolist() == pytest.approx([1, 1, 1])
    assert float(v.square().mean()) == pytest.approx(1)


def test_slopes_and_exponents_are_those_of_made_moments():
    layers = np.arange(1, 31)
    falls = edge_of_chaos_nets.slope(0.7**-layers, (9, 25))
    assert falls == pytest.approx(-math.log(0.7))
    power = edge_of_chaos_nets.slope(layers**2.5, (9, 25), np.log)
    assert power == pytest.approx(2.5)


@pytest.mark.parametrize(("sigma_b", "is_equal"), [(0.0, True), (0.3, False)])
def test_only_bias_free_relu_has_equal_sums(sigma_b, is_equal):
    config = study.SMOKE["slopes"]
    net = edge_of_chaos_nets.unit_network(config, "relu", 0, 0)
    unit = edge_of_chaos_nets.units(net)
    edge_of_chaos_nets.at_point(net, unit, (1.2, sigma_b))
    x, v = edge_of_chaos_nets.inputs((1, 24), 0, 0)
    parts = edge_of_chaos_nets.terms(net, torch.tanh(net(x) @ v).sum())
    assert (edge_of_chaos_slopes.unequal(parts) < 1e-10) == is_equal


def test_a_solved_edge_passes_two_integrals_and_the_wrong_one_fails_at_a_kink():
    for phi, sigma_b in (("relu", 0.0), ("tanh", 0.2), ("elu", 0.2)):
        edge = meanfield.edge_of_chaos(phi, sigma_b=sigma_b)
        chi = edge_of_chaos_theory.adaptive_chi(phi, edge.sigma_w, edge.q)
        assert chi == pytest.approx(1, abs=1e-12)
        off = edge_of_chaos_theory.adaptive_chi(phi, 1.01 * edge.sigma_w, edge.q) - 1
        assert off > 0.01
        wrong = edge_of_chaos_theory.hermite_chi(phi, edge.sigma_w, edge.q)
        assert (abs(wrong - 1) < 1e-9) == (phi == "tanh")


def test_two_inputs_are_followed_by_their_correlation():
    config = dataclasses.replace(study.SMOKE["pairs"], depth=2)
    net = edge_of_chaos_nets.unit_network(config, "tanh", 0, 0, classes=24)
    x, _ = edge_of_chaos_nets.inputs((2, 24), 0, 0)
    q, gap = edge_of_chaos_slopes.two_inputs(net, x)
    y = net[1](x).detach()  # flattened, then the first Linear layer
    assert q[0] == pytest.approx(float(y.square().mean()))
    cosine = torch.nn.functional.cosine_similarity(y[:1], y[1:])
    assert gap[0] == pytest.approx(1 - float(cosine))
    assert len(q) == len(gap) == 2


def test_a_masked_network_has_the_lottery_density():
    config = study.SMOKE["lottery"]
    net = edge_of_chaos_nets.unit_network(config, "tanh", 0, 0)
    g = edge_of_chaos_nets.draws(0, "test")
    density = edge_of_chaos_slopes.masked_(net, 2.5, 0.2, g)
    assert density == pytest.approx(meanfield.lottery_density("tanh", 2.5, sigma_b=0.2),
                                    abs=0.03)  # fmt: skip
    weights = [p for p in net.parameters() if p.dim() == 2]
    kept = sum(int((w != 0).sum()) for w in weights)
    assert kept / sum(w.numel() for w in weights) == pytest.approx(density)


def test_the_critical_sparsity_is_that_of_a_sweep():
    config = study.SMOKE["critical"]
    point = (0.5, 0.3)
    net = edge_of_chaos_nets.unit_network(
        config, "tanh", 0, "5x4x4", depth=5, width=4, in_shape=(4,)
    )
    edge_of_chaos_nets.at_point(net, edge_of_chaos_nets.units(net), point)
    batch = edge_of_chaos_sparsity.random_labels((config.batch, 4), 0, "5x4x4")
    cell = {"method": "5x4x4", "variant": "0.5", "seed": 0, "density": 1.0}
    ((row,),) = edge_of_chaos_sparsity.run_critical(config, [cell])
    total = 4 * 4 * 4 + 10 * 4
    for kept in range(total, 0, -1):
        masks = prune(net, "snip", density=kept / total, batch=batch, progress=False)
        dead = [k for k, m in enumerate(masks.values(), 1) if not m.any()]
        if dead:
            break
    assert row["s_cr"] == pytest.approx(1 - kept / total)
    assert [row["layer"]] == dead
    assert row["law"] == pytest.approx(
        (5 * row["s_cr"] - 1) * abs(math.log(meanfield.chi("tanh", *point)))
    )


def test_only_the_first_layer_of_a_magnitude_network_is_smaller():
    config = dataclasses.replace(study.SMOKE["magnitudes"], draws=1)
    (large, small) = (
        edge_of_chaos_sparsity.run_magnitudes(
            config,
            [{"method": "mlp", "variant": r, "seed": 0, "density": 1.0}],
        )[0][0]
        for r in ("1.0001", "400")
    )
    assert large["s_cr"] > 0.95 > 0.3 > small["s_cr"]
    net = edge_of_chaos_nets.unit_network(config, "tanh", 0, 0)
    first, *rest = [p.detach().abs() for p in net.parameters() if p.dim() == 2]
    below = torch.cat([w.flatten() for w in rest]) <= first.max() / 20
    removed = first.numel() + int(below.sum())
    total = first.numel() + sum(w.numel() for w in rest)
    assert small["s_cr"] == pytest.approx(removed / total)


def test_blocks_of_empty_layers_are_counted_by_hand():
    found = edge_of_chaos_sparsity.block(np.array([0, 0, 0.1, 0, 0.5, 0.2]))
    assert found == {"dead": 3, "holes": 1, "first": 1, "last": 4}
    assert edge_of_chaos_sparsity.block(np.array([0.1, 0.2]))["dead"] == 0


def test_neurons_and_layers_tell_the_same_masks():
    config, cell = study.SMOKE["neurons"], {"method": "edge", "variant": "images",
                                            "seed": 0, "density": 1.0}  # fmt: skip
    rows = edge_of_chaos_sparsity.run_neurons(config, cell)
    layers = edge_of_chaos_sparsity.run_layers(config, cell)
    for row, layer in zip(rows, layers, strict=True):
        counts = [row[name] for name in row if name.startswith("unit_")]
        counts = [n for n in counts if n >= 0]
        share = sum(counts) / (len(counts) * row["fan_in"])
        assert share == pytest.approx(layer["share"])
    assert len([n for n in rows[-1].values() if n == -1]) == 90  # ten outputs only


def test_the_batch_of_one_is_the_first_sample_of_the_others():
    config = study.SMOKE["batches"]
    chosen = dict(config.nets)["tanh"]
    _, one, v = edge_of_chaos_batches.coherent(config, chosen, 1000, 0, 0, "tanh")
    assert one.shape == (1000, 24) and v.shape == (10,)
    _, x, y = edge_of_chaos_batches.labelled(config, chosen, 50, 0, 0, "real")
    assert x.shape == (50, 1, 8, 8) and y.dtype == torch.int64
    assert x.flatten(1).square().mean(1).tolist() == pytest.approx([1] * 50, rel=1e-5)


if __name__ == "__main__":
    every = [smoke_values(name) for name in study.EXPERIMENTS]
    shared.write_expected(NOTEBOOK, {k: v for one in every for k, v in one.items()})
