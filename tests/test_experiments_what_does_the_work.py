"""Experiments of notebook 23: arms, modes, smoke values, claims.

``python tests/test_experiments_what_does_the_work.py`` writes
tests/expected/23_what_does_the_work.csv anew; a number that moves there makes the
committed records stale.
"""

import experiment_cases as shared
import pytest
import torch

from paicore.experiments import matching_a_teacher_students as students
from paicore.experiments import what_does_the_work as work
from paicore.experiments import what_does_the_work_modes as modes
from paicore.kernels import ntk

NOTEBOOK = "23_what_does_the_work"
SMALL = work.SMOKE["eigenmodes"]
FIXED = ("random", "scaled_random", "magnitude")


def untrained_values():
    """Modes of networks that nothing has trained, and kept counts of all arms."""
    rows = shared.smoke_rows(NOTEBOOK, "eigenmodes")
    rows = {run: f[:5] for run, f in rows.items() if run.startswith(FIXED)}
    # modes 8 to 10 of smoke's teacher share one eigenvalue, and "top" ends at mode 9
    pinned = [name for name in modes.MODES if not name.startswith("top_")]
    values = shared.flat("eigenmodes", rows, pinned)
    for name in ("ablations", "resnet_probes"):
        last = {r: f[-1:] for r, f in shared.smoke_rows(NOTEBOOK, name).items()}
        values |= shared.flat(name, last, ("kept",))
    return values


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in {key[0] for key in found}:
        own = {key: value for key, value in found.items() if key[0] == name}
        # quotients divide by small eigenvalues of a float32 network's kernel
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-6)


@pytest.mark.parametrize("name", work.EXPERIMENTS)
def test_profiles_compare_the_same_methods(name):
    profiles = work.EXPERIMENTS[name].profiles.values()
    assert len({config.methods for config in profiles}) == 1


@pytest.mark.parametrize("name", ["ablations_digits", "smoke_test", "resnet_probes"])
def test_every_smoke_run_has_accuracies(name):
    for rows in shared.smoke_rows(NOTEBOOK, name).values():
        assert all(0 <= row["test_accuracy"] <= 1 for row in rows)


def test_the_teacher_has_itself_along_every_mode():
    cell = {"method": "dense", "density": 1.0, "seed": 0, "variant": ""}
    rows = modes.run_modes(SMALL, cell)
    assert [row["step"] for row in rows] == list(modes.SHOWN)
    carried = [row["carried"] for row in rows]
    assert carried == sorted(carried)
    assert carried[-1] <= 1 + 1e-12
    for row in rows:
        assert row["quotient_masked"] == pytest.approx(1.0, rel=1e-6)
        assert row["relative_masked"] < 1e-12
        assert row["trace_ratio"] == pytest.approx(1.0)


def test_the_matrix_is_the_kernel_with_samples_outside_and_logits_inside():
    net = students.teacher(SMALL, 0)
    x = students.images("digits", 1, None)[1][:3]
    kernel, matrix = ntk.gram(net, x).detach(), modes.matrix(net, x)
    k = kernel.shape[-1]
    assert torch.equal(matrix[2 * k + 4, 1 * k + 7], kernel[2, 1, 4, 7])
    assert torch.allclose(matrix, matrix.T)


def test_the_mean_of_a_masked_kernel_is_below_the_ambient_one():
    for run, rows in shared.smoke_rows(NOTEBOOK, "eigenmodes").items():
        for row in rows:
            masked, ambient = row["quotient_masked"], row["quotient_ambient"]
            assert masked <= ambient * (1 + 1e-6), run


def test_only_the_second_variant_is_plain_gradient_descent():
    rows = shared.smoke_rows(NOTEBOOK, "ablations")
    adam, sgd = (rows[f"random,0.1,{v},0"][-1] for v in ("adam", "sgd"))
    assert adam["kept"] == sgd["kept"]
    assert adam["test_loss"] != sgd["test_loss"]
    assert (work.PLAIN.optimizer, work.PLAIN.momentum) == ("sgd", 0.0)


def test_no_kernel_term_leaves_the_kernel_further_from_the_teacher():
    rows = shared.smoke_rows(NOTEBOOK, "ablations_digits")
    full = rows["ntt_masked,0.1,adam,0"][-1]["own_share"]
    without = rows["ntt_masked_no_kernel,0.1,adam,0"][-1]["own_share"]
    assert full < without


def quick_steps(name, config):
    return modes.SHOWN if name.startswith("eigenmodes") else config.looks


def test_every_claim_has_its_runs_and_rows_in_quick():
    assert shared.orphans(NOTEBOOK, quick_steps) == []
    assert shared.mixed(NOTEBOOK) == []
    assert shared.unmet(NOTEBOOK) == []


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
