"""What the kernel is for: it predicts where the logits go when the network trains."""

import copy
import itertools

import pytest
import torch
from torch import nn

from paicore import nets, prune, seeds
from paicore.kernels import ntk


def gradient_in_logits(net, x, y):
    """Derivative of the mean cross-entropy in the logits, (n, k)."""
    out = net(x).detach().requires_grad_()
    nn.functional.cross_entropy(out, y).backward()
    return out.grad


def after_a_step(net, x, y, rate, masks=None):
    """Logits of the same batch after one step of gradient descent on kept weights."""
    twin = copy.deepcopy(net)
    nn.functional.cross_entropy(twin(x), y).backward()
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            kept = masks[name] if masks is not None and name in masks else 1
            parameter -= rate * kept * parameter.grad
    return twin(x).detach()


def masked_mlp():
    g = seeds.generator(0, "dynamics")
    net = nets.build("mlp", classes=3, in_shape=(8,), width=20, depth=3,
                     activation="tanh", generator=g).double()  # fmt: skip
    masks = prune(net, "random", density=0.3, generator=g)
    masks.apply_(net)
    x = torch.randn(10, 8, generator=g, dtype=torch.float64)
    return net, masks, x, torch.arange(10) % 3


def error_of(tangent, rate):
    """Relative error of the first-order prediction of one small step."""
    net, masks, x, y = masked_mlp()
    kernel = ntk.gram(net, x, masks=masks, tangent=tangent)
    push = gradient_in_logits(net, x, y)
    predicted = -rate * torch.einsum("nmcd,md->nc", kernel, push)
    moved = after_a_step(net, x, y, rate, masks) - net(x).detach()
    return float((moved - predicted).norm() / moved.norm())


def test_a_small_step_moves_the_logits_by_the_masked_kernel():
    errors = [error_of("masked", rate) for rate in (1e-2, 5e-3, 2.5e-3)]
    assert errors[-1] < 1e-2
    # the displacement is of first order, its error of second: the ratio halves
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.05)


def test_a_small_step_does_not_move_the_logits_by_the_ambient_kernel():
    errors = [error_of("ambient", rate) for rate in (1e-2, 5e-3, 2.5e-3)]
    assert min(errors) > 0.5
    assert errors[0] == pytest.approx(errors[2], rel=0.05)


@pytest.fixture(scope="module")
def step_of_a_resnet():
    """One real step of a ResNet-20 in training mode, and what two kernels predict."""
    g = seeds.generator(1, "dynamics")
    net = nets.build(
        "resnet20", classes=10, in_shape=(3, 32, 32), width=4, generator=g,
        dtype=torch.float64,
    ).train()  # fmt: skip
    x = torch.randn(32, 3, 32, 32, generator=g, dtype=torch.float64)
    y = torch.arange(32) % 10
    rate = 1e-4
    moved = after_a_step(net, x, y, rate) - net(x).detach()
    push = gradient_in_logits(net, x, y)
    return moved, {
        mode: -rate * ntk.matvec(net, x, push, batch_norm=mode)
        for mode in ("train", "frozen")
    }


def test_the_train_mode_kernel_predicts_a_real_step_of_a_resnet(step_of_a_resnet):
    moved, predicted = step_of_a_resnet
    assert float((predicted["train"] - moved).norm() / moved.norm()) < 0.02


def test_the_frozen_kernel_is_off_by_a_factor(step_of_a_resnet):
    moved, predicted = step_of_a_resnet
    assert float(predicted["frozen"].norm() / moved.norm()) > 5
