"""The spectra experiments: smoke values, slow references, and wrong answers.

``python tests/test_experiments_spectra.py`` writes tests/expected/42_spectra.csv anew;
a number that moves there makes the committed records stale.
"""

import copy
import dataclasses
import math

import experiment_cases as shared
import pytest
import torch
from torch.func import functional_call, jacrev

from paicore import data
from paicore.experiments import spectra as study
from paicore.experiments import spectra_masks, spectra_measures, spectra_paper
from paicore.experiments import spectra_runs as runs
from paicore.forward import prunable
from paicore.kernels import ntk

NOTEBOOK = "42_spectra"
SMOKE = study.EXPERIMENTS["draws"].profiles["smoke"]
CELL = {"method": "ntk_sap", "density": 0.262144, "seed": 0, "variant": "train"}


def smoke_values(name):
    """(experiment, run, step, column) to value; rounding of float32 is left out."""
    rows = shared.smoke_rows(NOTEBOOK, name)
    columns = study.EXPERIMENTS[name].values
    kept = {run: each for run, each in rows.items() if "float64" not in run}
    return shared.flat(name, kept, columns)


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_smoke_values_are_those_on_file(name):
    found, wanted = smoke_values(name), shared.expected_values(NOTEBOOK, name)
    assert set(found) == set(wanted)
    rel = 1e-3 if name == "checks" else 1e-6
    for key, value in found.items():
        close = pytest.approx(wanted[key], rel=rel, abs=1e-9, nan_ok=True)
        assert value == close, key


def test_float32_moves_little_and_more_parameters_move_more():
    rows = shared.smoke_rows(NOTEBOOK, "checks")
    dense = {run: found for run, found in rows.items() if run.startswith("dense")}
    apart = {run.split(",")[2]: found[0]["apart"] for run, found in dense.items()}
    assert apart["float64"] < 1e-4 < 1e-2 < apart["trainable"]


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_smoke_asks_what_quick_asks(name):
    smoke, quick = (study.EXPERIMENTS[name].profiles[p] for p in ("smoke", "quick"))
    assert type(smoke) is type(quick)
    assert {*smoke.methods} <= {*quick.methods}
    assert smoke.variants == quick.variants
    assert smoke.seeds <= quick.seeds


def test_the_order_of_methods_rests_on_five_draws_of_every_printed_method():
    quick = study.EXPERIMENTS["draws"].profiles["quick"]
    assert quick.seeds == 5
    assert {*study.PRINTED, *study.CONTROLS} == {*quick.methods}
    assert {*study.PRINTED} == {"dense", *spectra_paper.RMS, *spectra_paper.RATIOS}


def test_the_printed_convention_has_a_thousand_eigenvalues_at_every_digitised_index():
    both = ("figure", "figure_rest")
    methods = [study.EXPERIMENTS[n].profiles["quick"].methods for n in both]
    assert {*methods[0], *methods[1]} == {*study.PRINTED}
    for name in ("conventions", *both):
        quick = study.EXPERIMENTS[name].profiles["quick"]
        assert quick.samples * 10 == spectra_paper.SIZE
        found = runs.places(quick, spectra_paper.SIZE)
        assert {*spectra_paper.DENSE, 0, 999} <= {*found}


def test_dense_runs_once_and_only_leaves_the_others_out():
    config = dataclasses.replace(SMOKE, methods=("dense", "snip"), densities=(0.5, 0.1))
    found = spectra_masks.cells(config)
    assert len({(c["method"], c["density"]) for c in found}) == 3
    only = spectra_masks.cells(dataclasses.replace(config, only="snip"))
    assert {c["method"] for c in only} == {"snip"}


def slow_kernel(net, x, masks):
    """J J^T of the batch in training mode, by jacrev of the whole network."""
    twin = copy.deepcopy(net).double().train()
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    own = {n: w.detach() * masks[n] for n, w in prunable(twin).items()}
    rows = jacrev(lambda w: functional_call(twin, w, (x,)).flatten())(own)
    return sum((rows[n] * masks[n]).flatten(1) @ rows[n].flatten(1).T for n in own)


def test_the_kernel_is_that_of_the_batch_in_training_mode_over_what_is_left():
    config = dataclasses.replace(SMOKE, samples=3)
    kernel, masks = spectra_masks.kernel_of(config, CELL)
    net = spectra_masks.network(config, 0)
    x = spectra_masks.inputs(config, 0, "images")
    slow = slow_kernel(net, x, masks)
    torch.testing.assert_close(kernel, slow, rtol=1e-8, atol=1e-6)
    trace = ntk.trace(net, x, masks=masks, batch_norm="train", params="prunable")
    values = spectra_measures.spectrum(kernel)
    torch.testing.assert_close(values.sum(), trace.double())
    frozen, _ = spectra_masks.kernel_of(config, CELL, variant="frozen")
    assert not torch.allclose(frozen, kernel, rtol=0.1)
    dense, _ = spectra_masks.kernel_of(config, spectra_masks.dense_cell(CELL))
    assert not torch.allclose(dense, kernel, rtol=0.1)


def test_methods_share_weights_and_images_and_keep_equally_many():
    net = spectra_masks.network(SMOKE, 0)
    again = spectra_masks.network(SMOKE, 0)
    assert torch.equal(net[0].weight, again[0].weight)
    assert not torch.equal(net[0].weight, spectra_masks.network(SMOKE, 1)[0].weight)
    few = dataclasses.replace(SMOKE, samples=2)
    x, part = (spectra_masks.inputs(c, 0, "images") for c in (SMOKE, few))
    assert torch.equal(x[:2], part)
    counts = {
        name: spectra_masks.masks_of(SMOKE, net, {**CELL, "method": name}).kept
        for name in (*spectra_paper.RMS, "random")
    }
    total = spectra_masks.masks_of(SMOKE, net, {**CELL, "method": "dense"}).total
    assert {*counts.values()} == {total - int((1 - CELL["density"]) * total)}


def test_a_shuffled_mask_keeps_the_density_of_each_layer_and_nothing_else():
    net = spectra_masks.network(SMOKE, 0)
    mask = spectra_masks.masks_of(SMOKE, net, CELL)
    moved = spectra_masks.masks_of(SMOKE, net, {**CELL, "method": "ntk_sap_shuffled"})
    assert moved.layer_densities() == mask.layer_densities()
    assert moved != mask


def test_scores_are_told_what_the_reference_says():
    quick = study.EXPERIMENTS["draws"].profiles["quick"]
    told = {name: spectra_masks.options_of(quick, name) for name in quick.methods}
    assert told["ntk_sap"] == {"count_rule": "synflow", "rounds": 20, "repeats": 5,
                               "dtype": "float32"}  # fmt: skip
    assert told["synflow"] == {"count_rule": "synflow", "rounds": 100}
    assert told["iterative_snip"]["rounds"] == 20
    assert "rounds" not in told["snip"] and "rounds" not in told["grasp"]
    assert quick.scored == quick.noise == 100


def test_kept_masks_are_read_again_and_settings_part_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    made = []
    prune = spectra_masks._pruned

    def counted(net, method, *rest):
        made.append(method)
        return prune(net, method, *rest)

    monkeypatch.setattr(spectra_masks, "_pruned", counted)
    config = dataclasses.replace(SMOKE, keep=True)
    net, cell = spectra_masks.network(config, 0), {**CELL, "method": "magnitude"}
    first, again = (spectra_masks.masks_of(config, net, cell) for _ in range(2))
    assert first == again and made == ["magnitude"]
    spectra_masks.masks_of(config, net, {**cell, "density": 0.5})
    spectra_masks.masks_of(config, spectra_masks.network(config, 1), cell)
    assert made == ["magnitude"] * 3


def test_noise_is_normal_and_images_are_not():
    config = dataclasses.replace(SMOKE, samples=100)
    noise = spectra_masks.inputs(config, 0, "noise")
    images = spectra_masks.inputs(config, 0, "images")
    assert noise.shape == images.shape == (100, *data.load("digits").in_shape)
    assert abs(float(noise.mean())) < 0.05
    assert abs(float(noise.std()) - 1) < 0.05


def test_the_rms_splits_into_a_scale_and_a_rest():
    g = spectra_masks.draws(0, "test")
    values, dense = (torch.rand(50, generator=g).double().sort()[0] for _ in range(2))
    found = spectra_measures.distances(values, dense)
    split = math.log10(found["scale"]) ** 2 + found["scale_free"] ** 2
    assert found["rms"] ** 2 == pytest.approx(split)
    scaled = spectra_measures.distances(3 * values, dense)
    assert scaled["scale_free"] == pytest.approx(found["scale_free"])
    assert scaled["scale"] == pytest.approx(3 * found["scale"])
    same = spectra_measures.distances(dense, dense)
    assert same == {"rms": 0, "scale_free": 0, "scale": 1}


def test_the_alignment_ignores_scale_and_sees_directions():
    one = torch.diag(torch.tensor([4.0, 1.0]).double())
    assert spectra_measures.alignment(5 * one, one) == pytest.approx(1)
    turned = torch.diag(torch.tensor([1.0, 4.0]).double())
    assert spectra_measures.alignment(turned, one) == pytest.approx(8 / 17)
    values = [spectra_measures.spectrum(each) for each in (turned, one)]
    assert spectra_measures.distances(*values)["rms"] == 0


def test_what_is_below_rounding_is_lifted_and_counted():
    values = torch.tensor([-1e-9, 1e-20, 1.0]).double()
    lifted, count = spectra_measures.resolved(values, torch.float32)
    assert count == 2
    assert lifted.tolist() == [torch.finfo(torch.float32).eps] * 2 + [1.0]
    assert spectra_measures.resolved(torch.tensor([0.5, 1.0]), torch.float32)[1] == 0


def test_the_curve_on_file_is_no_distance_from_itself():
    exact = [0.0] * spectra_paper.SIZE
    for index, value in spectra_paper.DENSE.items():
        exact[index] = value
    assert {*spectra_paper.off(exact).values()} == {0}
    off = spectra_paper.off([1.1 * value for value in exact])
    assert off["off_rms"] == pytest.approx(math.log10(1.1))
    assert off["off_middle"] == off["off_ends"] == pytest.approx(0.1)
    exact[400] *= 1.5
    exact[980] *= 0.2
    off = spectra_paper.off(exact)
    assert off["off_middle"] == pytest.approx(0.5)
    assert off["off_ends"] == pytest.approx(0.8)


def test_indices_of_the_figure_are_shares_of_other_spectra():
    assert [spectra_paper.place(i, 1000) for i in (0, 5, 998)] == [0, 5, 998]
    assert [spectra_paper.place(i, 100) for i in (0, 100, 999)] == [0, 10, 99]


def steps(experiment, config):
    size = 10 * config.samples
    return () if experiment == "checks" else tuple(runs.places(config, size))


def test_every_claim_is_answered_by_quick_alone_and_in_its_setting():
    assert shared.orphans(NOTEBOOK, steps) == []
    assert [
        c for c in shared.mixed(NOTEBOOK) if c[0] not in ("K35", "K36", "K37")
    ] == []
    assert shared.unmet(NOTEBOOK) == []


if __name__ == "__main__":
    shared.write_expected(
        NOTEBOOK,
        {key: v for name in study.EXPERIMENTS for key, v in smoke_values(name).items()},
    )
