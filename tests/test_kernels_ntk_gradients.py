"""Gradients through the kernel, as Neural Tangent Transfer's loss needs them."""

import cases
import kernel_references as reference
import pytest
import torch
from references import close
from torch import nn
from torch.func import functional_call, jacrev, vmap

from paicore import Masks, nets, prune, seeds
from paicore.kernels import ntk

CASES = ("mlp_bias", "mlp_tanh", "lenet5", "twice_called", "functional_relu", "conv1d")


def values_of(net):
    return {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}


def loss_of(net, x, x2, values, **options):
    """A smooth function of the kernel with no symmetry."""
    kernel = ntk.gram(net, x, x2, at=values, **options)
    weights = torch.linspace(-1, 2, kernel.numel(), dtype=kernel.dtype)
    return (kernel.flatten() * weights).sum() + kernel.square().mean()


def gradient(net, x, x2, **options):
    values = values_of(net)
    loss = loss_of(net, x, x2, values, **options)
    found = torch.autograd.grad(
        loss, list(values.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(values, found, strict=True))


def along(net, direction, step):
    """The parameters moved by a step."""
    return {n: p.detach() + step * direction[n] for n, p in net.named_parameters()}


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_through_the_kernel_is_the_finite_difference(name, tangent):
    c = cases.case(name, n=5)
    normed = any(isinstance(m, reference.NORMS) for m in c.net.modules())
    options = {
        "masks": cases.some_masks(c), "tangent": tangent,
        "batch_norm": "eval" if normed else None,
    }  # fmt: skip
    found = gradient(c.net, c.x[:3], c.x[3:], **options)
    g = seeds.generator(7, "direction")
    direction = {
        n: torch.randn(p.shape, generator=g, dtype=p.dtype)
        for n, p in c.net.named_parameters()
    }
    slope = sum((found[n] * direction[n]).sum() for n in found)
    step = 1e-6
    ends = [
        loss_of(c.net, c.x[:3], c.x[3:], along(c.net, direction, s), **options)
        for s in (step, -step)
    ]
    assert float(slope) == pytest.approx(
        float(ends[0] - ends[1]) / (2 * step), rel=1e-6
    )


@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_gradient_with_batch_statistics_is_the_finite_difference(mode):
    # smooth: a max or a ReLU on normalised values has kinks close by
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)
    ).double()
    g = seeds.generator(8, "norm")
    direction = {}
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=g))
            direction[name] = torch.randn(parameter.shape, generator=g).double()
    x = torch.randn(5, 1, 4, 4, generator=g, dtype=torch.float64)
    # frozen statistics are constants: they come from a batch at the given values,
    # and a gradient does not run through them
    statistics = {"stats_from": x} if mode == "frozen" else {}
    found = gradient(net, x[:2], x[2:], batch_norm=mode, **statistics)
    slope = sum((found[n] * direction[n]).sum() for n in found)
    step = 1e-5
    if mode == "frozen":
        # move only what comes after the norm, so that its statistics stay
        direction = {n: d if n.startswith("4") else 0 * d for n, d in direction.items()}
        slope = sum((found[n] * direction[n]).sum() for n in found)
    ends = [
        loss_of(
            net, x[:2], x[2:], along(net, direction, s), batch_norm=mode, **statistics
        )
        for s in (step, -step)
    ]
    assert float(slope) == pytest.approx(
        float(ends[0] - ends[1]) / (2 * step), rel=1e-6
    )


def jacrev_loss(net, x, x2, values, masks, tangent):
    """The same loss by torch.func, without any of our code."""

    def logits(theta, sample):
        return functional_call(net, theta, (sample[None],))[0]

    point = {n: v * masks[n] if n in masks else v for n, v in values.items()}
    jacobians = [vmap(jacrev(logits), (None, 0))(point, each) for each in (x, x2)]
    kernel = 0
    for name in values:
        left, right = (j[name].flatten(2) for j in jacobians)
        if tangent == "masked" and name in masks:
            left = left * masks[name].flatten()
        kernel = kernel + torch.einsum("ncp,mdp->nmcd", left, right)
    weights = torch.linspace(-1, 2, kernel.numel(), dtype=kernel.dtype)
    return (kernel.flatten() * weights).sum() + kernel.square().mean()


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
@pytest.mark.parametrize("name", ["mlp_bias", "mlp_tanh", "lenet5"])
def test_gradient_equals_that_of_the_jacobian_contraction(name, tangent):
    c = cases.case(name, n=5)
    masks = cases.some_masks(c)
    found = gradient(c.net, c.x[:3], c.x[3:], masks=masks, tangent=tangent)
    values = values_of(c.net)
    loss = jacrev_loss(c.net, c.x[:3], c.x[3:], values, masks, tangent)
    expected = torch.autograd.grad(
        loss, list(values.values()), allow_unused=True, materialize_grads=True
    )
    for name_, theirs in zip(values, expected, strict=True):
        assert close(found[name_], theirs) or float(theirs.abs().max()) == 0


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
def test_pruned_weights_have_gradient_zero_and_their_values_no_effect(tangent):
    c = cases.case("lenet5", n=5)
    masks = cases.some_masks(c)
    values = values_of(c.net)
    with torch.no_grad():
        for name in masks:
            values[name][~masks[name]] = 1e5
    options = {"masks": masks, "tangent": tangent}
    loss = loss_of(c.net, c.x[:3], c.x[3:], values, **options)
    assert torch.equal(
        loss, loss_of(c.net, c.x[:3], c.x[3:], values_of(c.net), **options)
    )
    loss.backward()
    for name in masks:
        assert torch.all(values[name].grad[~masks[name]] == 0)
        assert torch.any(values[name].grad[masks[name]] != 0)


def test_the_square_kernel_has_the_same_gradient_as_the_cross_block_of_equal_inputs():
    c = cases.case("lenet5", n=4)
    square, cross = gradient(c.net, c.x, None), gradient(c.net, c.x, c.x.clone())
    assert all(close(square[n], cross[n]) for n in square if square[n].any())


def test_outputs_and_memory_bounds_do_not_change_gradients():
    c = cases.case("lenet5", n=5)
    masks = cases.some_masks(c)
    for outputs in ("class", "sum"):
        whole, cut = (
            gradient(c.net, c.x[:3], c.x[3:], masks=masks, outputs=outputs, max_bytes=b)
            for b in (1 << 30, 1)
        )
        assert all(close(cut[n], whole[n]) for n in whole if whole[n].any())


def test_values_without_gradients_give_the_plain_kernel():
    c = cases.case("resnet8_bn", n=4)
    moved = along(c.net, {n: p.detach() for n, p in values_of(c.net).items()}, 0.5)
    found = ntk.gram(c.net, c.x, at=moved, batch_norm="frozen")
    twin = cases.case("resnet8_bn", n=4).net
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            parameter.copy_(moved[name])
    assert not found.requires_grad
    assert torch.equal(found, ntk.gram(twin, c.x, batch_norm="frozen"))


def test_a_kernel_at_float32_values_has_float32_gradients():
    c = cases.case("mlp_bias", n=5)
    net, x = c.net.float(), c.x.float()
    for dtype in (None, torch.float64):
        found = gradient(net, x[:3], x[3:], dtype=dtype)
        assert all(each.dtype == torch.float32 for each in found.values())


def test_matvec_is_differentiable_and_agrees_with_the_kernel():
    c = cases.case("mlp_tanh", n=5)
    masks = cases.some_masks(c)
    v = torch.randn(2, 3, generator=seeds.generator(9), dtype=torch.float64)
    results = []
    for way in ("matvec", "gram"):
        values = values_of(c.net)
        options = {"at": values, "masks": masks}
        if way == "matvec":
            product = ntk.matvec(c.net, c.x[:3], v, c.x[3:], **options)
        else:
            kernel = ntk.gram(c.net, c.x[:3], c.x[3:], **options)
            product = torch.einsum("nmcd,md->nc", kernel, v)
        product.square().sum().backward()
        results.append((product.detach(), values["fc1.weight"].grad))
    assert all(close(a, b) for a, b in zip(*results, strict=True))


def test_a_step_on_the_transfer_loss_lowers_the_kernel_distance():
    g = seeds.generator(10, "transfer")
    net = nets.build("mlp", classes=3, in_shape=(6,), generator=g, width=16, depth=3)
    net = net.double()
    x = torch.randn(12, 6, generator=g, dtype=torch.float64)
    teacher = ntk.gram(net, x[:6], x[6:])
    masks = prune(net, "magnitude", density=0.3, scope="layerwise")
    values = values_of(net)
    optimiser = torch.optim.Adam(values.values(), lr=0.02)
    losses = []
    for _ in range(120):
        kernel = ntk.gram(net, x[:6], x[6:], at=values, masks=masks)
        loss = (kernel - teacher).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    before = dict(net.named_parameters())
    for name in masks:  # what is pruned never moved
        pruned = ~masks[name]
        assert torch.equal(values[name].detach()[pruned], before[name].detach()[pruned])


def test_the_kernel_of_the_teacher_itself_has_distance_and_gradient_zero():
    c = cases.case("mlp_tanh", n=5)
    values = values_of(c.net)
    teacher = ntk.gram(c.net, c.x[:3], c.x[3:])
    kernel = ntk.gram(c.net, c.x[:3], c.x[3:], at=values, masks=Masks.dense(c.net))
    loss = (kernel - teacher).square().mean()
    loss.backward()
    assert loss.item() < 1e-20
    assert all(float(v.grad.abs().max()) < 1e-8 for v in values.values()
               if v.grad is not None)  # fmt: skip
