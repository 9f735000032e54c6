"""Identities of the NTK-SAP saliency, in float64."""

from itertools import pairwise
from math import log, sqrt

import cases
import pytest
import references
import torch
from cases import some_masks
from references import close
from torch import nn
from torch.func import functional_call, jacrev

from paicore import Masks, nets, seeds
from paicore.scores import ntk_sap, saliency_sums


def g(name="draw"):
    return seeds.generator(0, "ntk_sap", name)


def built(name, in_shape, **options):
    return nets.build(
        name, classes=3, in_shape=in_shape, generator=g("net"),
        dtype=torch.float64, **options,
    )  # fmt: skip


HOMOGENEOUS = {
    "relu": lambda: (built("mlp", (5,), width=6, depth=4), (5,)),
    "leaky": lambda: (
        built("mlp", (5,), width=6, depth=3, activation="leaky_relu"), (5,)
    ),
    "pooled": lambda: (built("lenet5", (1, 28, 28), width=2), (1, 28, 28)),
    "plain_conv": lambda: (built("vgg11", (3, 32, 32), width=2), (3, 32, 32)),
}  # fmt: skip
HOW = [
    {"epsilon": 1e-4}, {"epsilon": 1.0}, {"epsilon": 1e-8}, {"estimator": "jvp"},
    {"weights": "given"},
]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_each_layers_signed_sum_is_twice_the_output_change(name, how):
    net, in_shape = HOMOGENEOUS[name]()
    x = torch.zeros(3, *in_shape, dtype=torch.float64)
    kept = some_masks(cases.Case(name, net, x, None), density=0.9)
    found = saliency_sums(net, kept, (x, None), generator=g(), repeats=1, **how)
    (value,) = found.values
    assert value > 0
    # a difference of 1e-4 of the logits has four digits fewer
    rtol = 1e-8 if how.get("epsilon") == 1e-8 else 1e-12
    for layer in found.signed.values():
        assert abs(float(layer.sum() / (2 * value)) - 1) < rtol


@pytest.mark.parametrize("stacked", [1, 2])
def test_a_weight_that_two_layers_share_counts_twice_in_the_conservation(stacked):
    first, middle, last = (nn.Linear(4, 4, bias=False).double() for _ in range(3))
    middle.weight = first.weight
    net = nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last)
    found = saliency_sums(
        net, Masks.dense(net), (torch.zeros(5, 4), None), generator=g(), repeats=2,
        stacked=stacked,
    )  # fmt: skip
    shared, own = found.signed.values()
    value = found.values.sum()
    assert close(shared.sum(), 4 * value) and close(own.sum(), 2 * value)


@pytest.mark.parametrize("name", ["mlp_bias", "residual_mlp", "resnet8_bn"])
def test_biases_residuals_and_frozen_norms_break_the_conservation(name):
    c = cases.case(name)
    found = saliency_sums(c.net, some_masks(c), (c.x, None), generator=g(), repeats=1)
    ratios = [float(s.sum() / (2 * found.values)) for s in found.signed.values()]
    assert max(abs(ratio - 1) for ratio in ratios) > 0.05


@pytest.mark.parametrize("estimator", ["fd", "jvp"])
@pytest.mark.parametrize("stacked", [1, 2])
def test_a_layer_before_batch_norm_in_train_mode_has_signed_sum_zero(
    estimator, stacked
):
    c = cases.case("resnet8_bn")
    for module in c.net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    options = {"repeats": 2, "estimator": estimator, "stacked": stacked}
    sums = {}
    for mode in ("train", "frozen"):
        found = saliency_sums(
            c.net, Masks.dense(c.net), (c.x, None), generator=g(), batch_norm=mode,
            **options,
        )  # fmt: skip
        *before_norm, _ = found.signed.values()
        sums[mode] = [float(s.sum() / s.abs().sum()) for s in before_norm]
    assert max(map(abs, sums["train"])) < 1e-12
    assert max(map(abs, sums["frozen"])) > 0.1


def jacobian(net, x, kept):
    """d f(w * m) / d w over the prunable weights: (n k, P), one row at a time."""
    own = {n: w.detach() for n, w in references.layers(net).items()}

    def f(w):
        values = {n: w[n] * kept[n] for n in own}
        return functional_call(net, values, (x,)).flatten()

    rows = jacrev(f)(own)
    return torch.cat([rows[n].flatten(1) for n in own], 1)


def through_masks(net, x, kept, reduce):
    """m d/dm reduce(J), with J = d f(theta * m) / d(theta * m) by name, dense."""
    own = {n: w.detach() for n, w in references.layers(net).items()}
    m = {n: kept[n].double().requires_grad_() for n in own}

    def f(w):
        return functional_call(net, w, (x,)).flatten()

    rows = jacrev(f)({n: own[n] * m[n] for n in own})
    value = reduce({n: rows[n].flatten(1) for n in own}, m)
    grads = torch.autograd.grad(value, list(m.values()))
    found = {n: (m[n] * d).detach() for n, d in zip(m, grads, strict=True)}
    return value.detach(), found


def exact_sums(net, x, kept, step):
    """Those of the squared Jacobian-vector product along step."""

    def squared(rows, m):
        change = sum(rows[n] @ (m[n] * step[n]).flatten() for n in m)
        return change.square().sum()

    return through_masks(net, x, kept, squared)


def trace_sums(net, x, kept):
    """Those of the trace of the kernel in the masked tangent space."""

    def trace(rows, m):
        return sum((rows[n] * m[n].flatten()).square().sum() for n in m)

    return through_masks(net, x, kept, trace)


def steps(kept):
    generator = g()
    return {
        n: torch.randn(m.shape, generator=generator, dtype=torch.float64)
        for n, m in kept.items()
    }


@pytest.mark.parametrize("name", ["mlp_bias", "mlp_tanh", "residual_mlp", "conv1d"])
def test_jvp_is_the_gradient_of_the_squared_jacobian_vector_product(name):
    c = cases.case(name)
    kept = some_masks(c)
    value, expected = exact_sums(c.net, c.x, kept, steps(kept))
    found = saliency_sums(
        c.net, kept, (c.x, None), generator=g(), repeats=1, estimator="jvp",
        weights="given", inputs="real",
    )  # fmt: skip
    assert close(found.values, value.view(1))
    assert all(close(found.signed[n], expected[n]) for n in kept)


def test_jvp_through_train_mode_batch_norm_is_the_jacobians():
    c = cases.case("functional_relu")
    kept = some_masks(c)
    c.net.train()
    c.net.norm.track_running_stats, c.net.norm.running_mean = False, None
    c.net.norm.running_var = None
    value, expected = exact_sums(c.net, c.x, kept, steps(kept))
    found = saliency_sums(
        c.net, kept, (c.x, None), generator=g(), repeats=1, estimator="jvp",
        weights="given", inputs="real", batch_norm="train",
    )  # fmt: skip
    assert close(found.values, value.view(1))
    assert all(close(found.signed[n], expected[n]) for n in kept)


def test_a_linear_network_changes_by_epsilon_times_the_limit_at_any_epsilon():
    net = built("mlp", (5,), depth=1)
    batch = (torch.zeros(4, 5, dtype=torch.float64), None)
    dense = Masks.dense(net)
    limit = saliency_sums(net, dense, batch, generator=g(), estimator="jvp")
    for epsilon in (1e-6, 1e-2, 100.0):
        found = saliency_sums(net, dense, batch, generator=g(), epsilon=epsilon)
        assert close(found.values, epsilon * limit.values, 1e-8)
        for n in dense:
            assert close(found.signed[n], epsilon * limit.signed[n], 1e-8)


def test_the_finite_difference_reaches_the_limit_at_order_sqrt_epsilon():
    c = cases.case("resnet8_bn")
    kept = some_masks(c)
    options = {"repeats": 1, "generator": None}
    errors = []
    limit = ntk_sap(c.net, kept, (c.x, None), **options | {"generator": g()},
                    estimator="jvp")  # fmt: skip
    whole = torch.cat([limit[n].flatten() for n in kept])
    for epsilon in (1e-8, 1e-10, 1e-12):
        found = ntk_sap(c.net, kept, (c.x, None), **options | {"generator": g()},
                        epsilon=epsilon)  # fmt: skip
        flat = torch.cat([found[n].flatten() for n in kept]) / epsilon
        errors.append(float((flat - whole).norm() / whole.norm()))
    assert errors[-1] < 1e-3
    for large, small in pairwise(errors):
        assert 7 < large / small < 14


GIVEN = {"estimator": "jvp", "weights": "given", "inputs": "real"}


def test_the_mean_change_is_the_trace_and_its_variance_twice_the_squared_norm():
    c = cases.case("mlp")
    kept = some_masks(c)
    rows = jacobian(c.net, c.x, kept).detach()
    kernel = rows @ rows.T
    trace, squared = float(kernel.trace()), float(kernel.square().sum())
    assert close(torch.linalg.eigvalsh(kernel).sum(), (rows**2).sum())
    draws, options = 8000, GIVEN | {"estimator": "fd", "epsilon": 1e-8}
    found = saliency_sums(
        c.net, kept, (c.x, None), generator=g(), repeats=draws, stacked=draws, **options
    )
    change = found.values / 1e-8
    assert abs(float(change.mean()) - trace) < 4 * sqrt(2 * squared / draws)
    assert abs(float(change.var()) / (2 * squared) - 1) < 0.15


def test_the_error_falls_as_one_over_the_root_of_the_draws():
    c = cases.case("mlp")
    kept, generator = some_masks(c), g("scaling")
    _, exact = trace_sums(c.net, c.x, kept)

    def squared_error(draws):
        found = saliency_sums(
            c.net, kept, (c.x, None), repeats=draws, stacked=draws,
            generator=generator, **GIVEN,
        ).signed  # fmt: skip
        return sum(float((found[n] / draws - exact[n]).square().sum()) for n in kept)

    sizes, again = (64, 1024), 12
    few, many = (sum(squared_error(n) for _ in range(again)) for n in sizes)
    slope = log(many / few) / 2 / log(sizes[1] / sizes[0])
    assert abs(slope + 0.5) < 0.1


def test_the_score_is_not_the_squared_gradient_norm():
    net, in_shape = HOMOGENEOUS["relu"]()
    x = torch.randn(6, *in_shape, generator=g("x"), dtype=torch.float64)
    kept = Masks.dense(net)
    rows = jacobian(net, x, kept).detach()
    value, sums = trace_sums(net, x, kept)
    direct = 2 * (rows**2).sum()  # d/dm of the m^2 before each squared gradient
    assert close(value, (rows**2).sum())
    for layer in sums.values():  # each layer has 2 tr, of which 1 / L is direct
        assert close(layer.sum(), direct)
    assert sum(int((s < 0).sum()) for s in sums.values()) > 0.02 * kept.total
