"""Whole runs of Neural Tangent Transfer: what they keep, find, log and leave alone."""

import inspect

import pytest
import torch
import transfer_references as references

from paicore import data, nets, prune, seeds, transfer
from paicore.masks import Masks
from paicore.transfer.result import LOG

SMALL = {
    "density": 0.4, "steps": 25, "frequency": 4, "batch": 6, "lr": 0.02,
    "dtype": torch.float64, "log_every": 10, "progress": False,
}  # fmt: skip


def run(net, x, seed=0, **options):
    g = seeds.generator(seed, "transfer", "run")
    return transfer.neural_tangent_transfer(net, x, generator=g, **SMALL | options)


@pytest.fixture(scope="module")
def problem():
    return references.mlp(), references.inputs(20, 6)


@pytest.fixture(scope="module")
def plain(problem):
    return run(*problem)


def test_no_argument_can_carry_a_label():
    names = list(inspect.signature(transfer.neural_tangent_transfer).parameters)
    assert not {"y", "labels", "targets", "batch_y", "ds", "dataset"} & set(names)
    with pytest.raises(TypeError):
        run(references.mlp(), references.inputs(8, 6), y=torch.zeros(8))


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_a_run_ends_where_the_written_out_method_ends(kind, tangent):
    net, x, _ = references.setting(kind)
    steps = {"steps": 9, "frequency": 2, "batch": 6}
    result = run(net, x, tangent=tangent, l2=1e-2, kernel_weight=0.1, **steps)
    g = seeds.generator(0, "transfer", "run")
    batches = references.order(g, len(x), 6, 9)
    theta, masks = references.transfer(
        net, x, batches, density=0.4, frequency=2, lr=0.02, tangent=tangent,
        kernel_weight=0.1, l2=1e-2,
    )  # fmt: skip
    assert result.masks == masks
    for name, value in theta.items():
        torch.testing.assert_close(result.theta[name], value, rtol=1e-7, atol=1e-9)


def test_the_network_stays_as_it_was(problem):
    net, x = problem
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, modes = torch.get_rng_state(), [m.training for m in net.modules()]
    run(net, x, steps=3)
    assert all(torch.equal(before[n], v) for n, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [m.training for m in net.modules()]
    assert all(p.grad is None for p in net.parameters())


def test_weights_are_theta_under_the_masks(plain):
    for name, weight in plain.weights.items():
        if name not in plain.masks:
            assert torch.equal(weight, plain.theta[name])
            continue
        mask = plain.masks[name]
        assert torch.equal(weight[mask], plain.theta[name][mask])
        assert (weight[~mask] == 0).all()
        assert (plain.theta[name][~mask] != 0).all()


def test_apply_loads_the_masked_weights_in_place(plain):
    net = references.mlp(seed=5).float()
    own = dict(net.named_parameters())
    assert plain.apply_(net) is net
    for name, parameter in net.named_parameters():
        assert parameter is own[name]
        assert torch.equal(parameter, plain.weights[name].float())
    with pytest.raises(ValueError, match="architecture"):
        plain.apply_(references.mlp(hidden=(7, 6)))


def test_deselected_weights_come_back(problem):
    net, x = problem
    seen = [
        run(net, x, steps=steps, frequency=1, log_every=1, lr=0.05).masks
        for steps in range(2, 14)
    ]  # the same run, stopped later and later
    returned = 0
    for name in seen[0]:
        history = torch.stack([masks[name] for masks in seen]).int()
        left = (history.diff(dim=0) == -1).cumsum(0) > 0
        returned += int((left[:-1] & (history.diff(dim=0)[1:] == 1)).sum())
    assert returned > 0


def test_masks_stand_still_at_the_end_and_without_updates(problem):
    net, x = problem
    first = prune(net, "magnitude", density=0.4, scope="layerwise")
    assert run(net, x, update_masks=False).masks == first
    assert run(net, x, frequency=13).masks == first  # 13 is not below 25 - 13
    assert run(net, x, frequency=12).masks != first


def test_cleared_moments_leave_pruned_weights_bit_identical(problem):
    net, x = problem
    held = {
        moments: [
            run(net, x, steps=steps, frequency=5, moments=moments, lr=0.05)
            for steps in (11, 12, 13)  # 5 and, from 11 steps on, nothing else
        ]
        for moments in ("keep", "clear")
    }
    moved = {}
    for moments, (early, _, late) in held.items():
        assert early.masks == late.masks
        assert early.log[-1]["turnover"] > 0
        moved[moments] = any(
            not torch.equal(early.theta[n][~m], late.theta[n][~m])
            for n, m in early.masks.items()
        )
    assert moved == {"keep": True, "clear": False}


def test_a_log_row_says_what_its_columns_are(problem):
    net, x = problem
    held_out = references.inputs(6, 6, seed=3)
    result = run(net, x, validation=held_out, tangent="ambient", l2=1e-3)
    assert [row["step"] for row in result.log] == [0, 10, 20, 25]
    assert all(tuple(row) == LOG for row in result.log)
    values = {n: v.clone().requires_grad_() for n, v in result.theta.items()}
    found = {
        tangent: references.terms(net, values, result.masks, held_out, tangent)
        for tangent in ("masked", "ambient")
    }
    whole = references.kernel(
        net, references.values_of(net), {}, held_out[:3], held_out[3:], "masked"
    )
    kernel, target, l2 = map(float, (each.detach() for each in found["ambient"]))
    expected = {
        "step": 25, "kernel": kernel, "target": target, "l2": l2,
        "loss": 1e-3 * kernel + target + 1e-3 / 0.4 * l2, "ambient": kernel,
        "masked": float(found["masked"][0].detach()), "kept": result.masks.kept,
    }  # fmt: skip
    row = result.log[-1]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name
    norm = float(whole.detach().square().mean())
    for name in ("masked", "ambient"):
        share = (row[name] / norm) ** 0.5
        assert row[f"{name}_relative"] == pytest.approx(share, rel=1e-9)
    first = prune(net, "magnitude", density=0.4, scope="layerwise")
    fresh = sum(int((m & ~first[n]).sum()) for n, m in result.masks.items())
    assert row["turnover"] == pytest.approx(fresh / result.masks.kept)
    assert result.log[0]["turnover"] == 0


@pytest.mark.parametrize(
    "option",
    [
        {"tangent": "ambient"}, {"block": "symmetric"}, {"estimator": "probe"},
        {"normalise": "relative"}, {"count_rule": "ntt"}, {"scope": "global"},
        {"scope": {"fc1.weight": 0.2}}, {"first_masks": "logit_snip"},
        {"update_masks": False}, {"frequency": 5}, {"steps": 24}, {"batch": 5},
        {"lr": 0.01}, {"optimizer": "sgd"}, {"kernel_weight": 0.0},
        {"target_weight": 0.5}, {"l2": 0.0}, {"l2_over_density": False},
        {"moments": "clear"}, {"dtype": torch.float32}, {"density": 0.3},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_changes_the_result(problem, plain, option):
    result = run(*problem, **option)
    if "dtype" in option:
        assert {value.dtype for value in result.theta.values()} == {torch.float32}
        return
    assert any(not torch.equal(v, plain.theta[n]) for n, v in result.theta.items())


def test_the_number_of_probes_and_the_seed_change_the_result(problem, plain):
    one, four = (run(*problem, estimator="probe", probes=p) for p in (1, 4))
    assert any(not torch.equal(v, four.theta[n]) for n, v in one.theta.items())
    other = run(*problem, seed=1)
    assert any(not torch.equal(v, plain.theta[n]) for n, v in other.theta.items())


def test_the_same_call_gives_the_same_bits(problem, plain):
    again = run(*problem)
    assert again.masks == plain.masks
    assert again.log == plain.log
    assert all(torch.equal(v, plain.theta[n]) for n, v in again.theta.items())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_gets_the_same(problem, plain, context):
    with context():
        result = run(*problem)
    assert all(torch.equal(v, plain.theta[n]) for n, v in result.theta.items())


def test_given_masks_are_where_a_run_starts_whatever_first_masks_hold(problem, plain):
    net, x = problem
    first = prune(net, "magnitude", density=0.4, scope="layerwise")
    same = run(net, x, first_masks=dict(first))
    assert all(torch.equal(v, plain.theta[n]) for n, v in same.theta.items())


def test_validation_inputs_do_not_change_the_result(problem, plain):
    other = run(*problem, validation=references.inputs(4, 6, seed=9), log_every=25)
    assert all(torch.equal(v, plain.theta[n]) for n, v in other.theta.items())
    assert other.log[-1]["target"] != plain.log[-1]["target"]


def test_a_layer_at_density_one_is_dense_under_every_rule(problem):
    names = list(Masks.dense(problem[0]))
    scope = {names[0]: 0.2, **dict.fromkeys(names[1:], 1.0)}
    result = run(*problem, scope=scope, count_rule="ntt")
    shares = result.masks.layer_densities()
    assert shares[names[0]] == (0.2 * 42 // 1) / 42
    assert [shares[name] for name in names[1:]] == [1.0, 1.0]


def test_global_masks_keep_the_count_over_all_layers(problem):
    result = run(*problem, scope="global")
    total = result.masks.total
    assert {row["kept"] for row in result.log} == {int(0.4 * total + 0.5)}
    layers = prune(problem[0], "magnitude", density=0.4, scope="layerwise")
    assert result.masks.layer_densities() != layers.layer_densities()


def test_given_masks_are_where_a_run_starts(problem):
    net, x = problem
    g = seeds.generator(0, "random")
    given = prune(net, "random", density=0.4, scope="layerwise", generator=g)
    assert run(net, x, first_masks=given, update_masks=False).masks == given


@pytest.mark.parametrize("mode", ["train", "frozen", "eval"])
@pytest.mark.parametrize("estimator", ["exact", "probe"])
def test_networks_with_batch_norm_are_matched_in_every_mode(mode, estimator):
    net = nets.build(
        "resnet20", classes=3, in_shape=(3, 8, 8), width=2, dtype=torch.float64,
        generator=seeds.generator(0, "bn"),
    )  # fmt: skip
    x = references.inputs(8, 3, 8, 8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    result = run(
        net, x, steps=2, batch=4, estimator=estimator, batch_norm=mode, lr=1e-3,
        normalise="relative", kernel_weight=1.0, log_every=2,
    )  # fmt: skip
    assert result.log[-1]["loss"] != result.log[0]["loss"]
    assert all(torch.equal(before[n], v) for n, v in net.state_dict().items())


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
def test_the_loss_and_the_matched_distance_fall_on_real_digits(tangent):
    digits = data.load("digits")
    x = data.normalise(digits, digits.train_x)
    net = nets.build(
        "mlp", classes=10, in_shape=digits.in_shape, width=(60, 30),
        generator=seeds.generator(0, "digits"), init="glorot_truncated",
    )  # fmt: skip
    options = {
        "density": 0.2, "steps": 150, "batch": 32, "lr": 2e-3, "frequency": 25,
        "dtype": torch.float32, "log_every": 50, "validation": x[:32],
    }  # fmt: skip
    rows = run(net, x[32:], tangent=tangent, **options).log
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    for name in ("target", "kernel", tangent):
        assert rows[-1][name] < 0.6 * rows[0][name], name
