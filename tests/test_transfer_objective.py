"""The identities of the two kernels and of the loss, in float64."""

import inspect

import pytest
import torch
import transfer_references as references
from torch.func import functional_call

from paicore import nets, seeds, transfer
from paicore.transfer.objective import objective
from paicore.transfer.settings import Settings
from paicore.transfer.tangents import networks

KINDS = ["mlp", "conv"]
TANGENTS = ["masked", "ambient"]
DEFAULTS = {
    name: each.default
    for name, each in inspect.signature(
        transfer.neural_tangent_transfer
    ).parameters.items()
    if name in Settings.__dataclass_fields__
}


def settings(**given):
    return Settings(**{**DEFAULTS, "density": 0.4, "dtype": torch.float64, **given})


def terms(net, values, masks, x, draws=None, **given):
    both = networks(net, x, dtype=torch.float64, batch_norm=given.get("batch_norm"))
    draws = draws or seeds.generator(0, "probes")
    return objective(both, values, masks, x, settings(**given), draws)


def kernel_of(net, values, masks, x, tangent, block="cross"):
    both = networks(net, x, dtype=torch.float64, batch_norm=None)
    return both.kernel(x, block, at=values, masks=masks, tangent=tangent)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tangent", TANGENTS)
@pytest.mark.parametrize("block", ["cross", "symmetric"])
@pytest.mark.parametrize("normalise", ["raw", "relative"])
def test_terms_and_gradients_equal_those_by_jacobians(kind, tangent, block, normalise):
    net, x, masks = references.setting(kind)
    values = references.values_of(net)
    options = {"tangent": tangent, "block": block}
    mine = terms(net, values, masks, x, normalise=normalise, **options)
    theirs = references.terms(
        net, values, masks, x, relative=normalise == "relative", **options
    )
    for ours, other in zip((mine.kernel, mine.target, mine.l2), theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-10, atol=0)
        pair = [
            torch.autograd.grad(each, list(values.values()), retain_graph=True,
                                allow_unused=True, materialize_grads=True)
            for each in (ours, other)
        ]  # fmt: skip
        for left, right in zip(*pair, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_both_kernels_agree_on_masks_of_ones_and_differ_on_others(kind):
    net, x, masks = references.setting(kind)
    values = references.values_of(net)
    ones = {name: torch.ones_like(mask) for name, mask in masks.items()}
    whole = [kernel_of(net, values, ones, x, tangent) for tangent in TANGENTS]
    torch.testing.assert_close(*whole, rtol=1e-10, atol=1e-12)
    thin = [kernel_of(net, values, masks, x, tangent) for tangent in TANGENTS]
    assert (thin[0] - thin[1]).norm() > 0.1 * thin[1].norm()


@pytest.mark.parametrize("kind", KINDS)
def test_the_masked_kernel_and_what_the_ambient_adds_are_positive(kind):
    net, x, masks = references.setting(kind)
    values = references.values_of(net)
    found = []
    for tangent in TANGENTS:
        kernel = kernel_of(net, values, masks, x, tangent, "symmetric").detach()
        n, _, k, _ = kernel.shape
        matrix = kernel.transpose(1, 2).reshape(n * k, n * k)
        torch.testing.assert_close(matrix, matrix.T)
        found.append(matrix)
    for matrix in (found[0], found[1] - found[0]):
        values = torch.linalg.eigvalsh(matrix)
        assert values[0] > -1e-10 * values[-1]
        assert values[-1] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tangent", TANGENTS)
@pytest.mark.parametrize("estimator", ["exact", "probe"])
def test_pruned_weights_have_gradient_exactly_zero(kind, tangent, estimator):
    net, x, masks = references.setting(kind)
    values = references.values_of(net)
    chosen = settings(tangent=tangent, estimator=estimator)
    loss = terms(net, values, masks, x, tangent=tangent, estimator=estimator)
    loss.loss(chosen).backward()
    for name, mask in masks.items():
        assert (values[name].grad[~mask] == 0).all()
        assert (values[name].grad[mask] != 0).any()


@pytest.mark.parametrize("estimator", ["exact", "probe"])
def test_the_dense_teacher_has_no_loss_and_no_gradient_but_for_l2(estimator):
    net, x, masks = references.setting("mlp")
    values = references.values_of(net)
    ones = {name: torch.ones_like(mask) for name, mask in masks.items()}
    found = terms(net, values, ones, x, estimator=estimator, l2=0.5)
    assert float(found.kernel.detach()) < 1e-20
    assert float(found.target.detach()) == 0
    found.loss(settings(estimator=estimator, l2=0.5)).backward()
    for name, value in values.items():
        pull = 2 * 0.5 / 0.4 * value.detach() if name in ones else 0 * value.detach()
        torch.testing.assert_close(value.grad, pull, rtol=1e-8, atol=1e-10)


def test_a_small_step_moves_the_logits_along_the_masked_kernel_only():
    net, x, masks = references.setting("mlp")
    values = references.values_of(net)
    eta = 1e-6

    def logits():
        return functional_call(net, references.product(values, masks), (x,))

    before = logits()
    pull = torch.cos(torch.arange(before.numel(), dtype=torch.float64)).view_as(before)
    gradients = torch.autograd.grad((before * pull).sum(), list(values.values()))
    with torch.no_grad():
        for value, gradient in zip(values.values(), gradients, strict=True):
            value -= eta * gradient
        moved = (logits() - before) / eta
    errors = []
    for tangent in TANGENTS:
        fresh = references.values_of(net)
        kernel = kernel_of(net, fresh, masks, x, tangent, "symmetric").detach()
        predicted = -torch.einsum("nmcd,md->nc", kernel, pull)
        errors.append(float((moved - predicted).norm() / moved.norm()))
    assert errors[0] < 1e-4
    assert errors[1] > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tangent", TANGENTS)
def test_probes_are_unbiased_in_value_and_gradient(kind, tangent):
    net, x, masks = references.setting(kind)
    values = references.values_of(net)

    def measured(**given):
        found = terms(net, values, masks, x, draws, tangent=tangent, **given).kernel
        slopes = torch.autograd.grad(found, list(values.values()), allow_unused=True,
                                     materialize_grads=True)  # fmt: skip
        return found.detach(), torch.cat([slope.flatten() for slope in slopes])

    draws = seeds.generator(0, "probes", kind, tangent)
    value, slope = measured()
    exact = torch.stack([value, slope.norm()])
    found = [measured(estimator="probe", probes=1) for _ in range(200)]
    # of the gradients the component along the exact one
    samples = torch.stack([
        torch.stack([value, each @ slope / slope.norm()]) for value, each in found
    ])  # fmt: skip
    error = samples.std(0) / len(samples) ** 0.5
    assert ((samples.mean(0) - exact).abs() < 4 * error).all()
    assert (error < 0.15 * exact).all()


def test_more_probes_have_less_noise():
    net, x, masks = references.setting("mlp")
    values = references.values_of(net)
    draws, spread = seeds.generator(0, "spread"), []
    for probes in (1, 16):
        found = [
            float(terms(net, values, masks, x, draws, estimator="probe", probes=probes)
                  .kernel.detach())
            for _ in range(40)
        ]  # fmt: skip
        spread.append(torch.tensor(found).std())
    assert spread[1] < 0.5 * spread[0]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("tangent", TANGENTS)
def test_the_gradient_by_probes_is_the_slope_with_batch_norm(mode, tangent):
    net = nets.build(
        "resnet20", classes=3, in_shape=(3, 8, 8), width=2, dtype=torch.float64,
        generator=seeds.generator(0, "bn"), activation="tanh",
    )  # fmt: skip
    x, masks = references.inputs(4, 3, 8, 8), references.random_masks(net)
    values, names = references.values_of(net), list(masks)[:3]

    def kernel():
        draws = seeds.generator(0, "probes")
        options = {"estimator": "probe", "probes": 2, "tangent": tangent}
        return terms(net, values, masks, x, draws, batch_norm=mode, **options).kernel

    slopes = torch.autograd.grad(kernel(), [values[name] for name in names])
    along = [slope / slope.norm() for slope in slopes]
    found, width = [], 1e-5
    for sign in (1, -2):  # to one side, then to the other
        with torch.no_grad():
            for name, each in zip(names, along, strict=True):
                values[name] += sign * width * each
        found.append(float(kernel().detach()))
    slope = (found[0] - found[1]) / (2 * width)
    assert slope == pytest.approx(float(sum(each.norm() for each in slopes)), rel=1e-5)


@pytest.mark.parametrize("over", [True, False])
def test_l2_is_divided_by_the_density_of_each_layer(over):
    net, x, masks = references.setting("mlp")
    values = references.values_of(net)
    names = list(masks)
    scope = {names[0]: 0.1, names[2]: 1.0}
    found = terms(net, values, masks, x, scope=scope, l2=0.01, l2_over_density=over)
    shares = {names[0]: 0.1, names[1]: 0.4, names[2]: 1.0}
    squares = {n: (values[n] * masks[n]).square().sum() for n in names}
    expected = sum(s / (shares[n] if over else 1) for n, s in squares.items())
    torch.testing.assert_close(found.penalty, 0.01 * expected)
    torch.testing.assert_close(found.l2, sum(squares.values()))
