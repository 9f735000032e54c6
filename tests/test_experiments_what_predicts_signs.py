"""Measures of notebook 52 against loops and definitions, float64."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from paicore import nets, prune, seeds
from paicore.experiments import what_predicts_signs as measure
from paicore.kernels import ntk
from paicore.masks import prunable
from paicore.train import Recipe, build_optimizer

ADAM = Recipe("adam", lr=1e-3, batch=4, steps=7)


def draw(name):
    return seeds.generator(0, "what_predicts tests", name)


def plain(density=0.5):
    """A small MLP, its random masks, a batch of 6 images of 3 classes."""
    net = nets.build("mlp", classes=3, in_shape=(5,), width=7, depth=3,
                     generator=draw("net"), dtype=torch.float64)  # fmt: skip
    masks = prune(net, "random", density=density, generator=draw("mask"))
    x = torch.randn(6, 5, generator=draw("x"), dtype=torch.float64)
    return net, masks, (x, torch.arange(6) % 3)


def residual():
    """A small ResNet with batch norm, random masks, a batch of 4 images."""
    net = nets.build("resnet", classes=3, in_shape=(1, 8, 8), width=2, depth=8,
                     generator=draw("net"))  # fmt: skip
    masks = prune(net, "random", density=0.5, generator=draw("mask"))
    x = torch.randn(4, 1, 8, 8, generator=draw("x"), dtype=torch.float64)
    return net, masks, (x, torch.arange(4) % 3)


def jacobian(net, masks, x):
    """Rows per image and class, in loops; pruned weights have no column's value."""
    twin = masks.apply_(net)
    names = [name for name, _ in twin.named_parameters()]
    rows = []
    for image in range(len(x)):
        for out in range(3):
            gradient = torch.autograd.grad(twin(x)[image, out], [*twin.parameters()])
            parts = zip(names, gradient, strict=True)
            rows.append(torch.cat([(g * masks.get(n, 1)).flatten() for n, g in parts]))
    return torch.stack(rows)


def test_trace_and_largest_eigenvalue_are_those_of_the_loop_jacobian():
    net, masks, (x, y) = plain()
    found = measure.of_kernel(measure.start_of(net, masks, (x, y)).gram, y)
    slow = jacobian(net, masks, x)
    singular = torch.linalg.svdvals(slow)
    assert found["trace"] == pytest.approx(slow.square().sum().item() / 6, rel=1e-12)
    assert found["largest"] == pytest.approx(singular[0].item() ** 2 / 6, rel=1e-10)
    shares = singular.square() / singular.square().sum()
    entropy = -sum(float(p) * math.log(p) for p in shares if p > 0)
    assert found["effective_rank"] == pytest.approx(math.exp(entropy), rel=1e-9)


@pytest.mark.parametrize("case", [plain, residual])
def test_the_kernel_gives_the_gradients_norm_in_train_mode_too(case):
    net, masks, batch = case()
    start = measure.start_of(net, masks, batch)
    n = len(start.labels)
    ahead = (start.outputs.softmax(1) - F.one_hot(start.labels, 3)) / n
    square = torch.einsum("ic,ijcd,jd->", ahead, start.gram, ahead)
    assert start.norm**2 == pytest.approx(square.item(), rel=1e-9)


def test_pruned_entries_decide_nothing_and_the_network_is_left_alone():
    net, masks, batch = plain()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    found = measure.signs(net, masks, batch, ADAM, 100, 50.0)
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None
    with torch.no_grad():
        for name, weight in prunable(net).items():
            weight[~masks[name]] = 9.0
    assert measure.signs(net, masks, batch, ADAM, 100, 50.0) == pytest.approx(found)
    assert set(found) == set(measure.SIGNS)


def centred_alignment(kernel, labels):
    """By the definition, with the matrix H."""
    n = len(labels)
    h = torch.eye(n, dtype=torch.float64) - 1 / n
    ideal = (labels[:, None] == labels[None]).double()
    one, other = h @ kernel @ h, h @ ideal @ h
    return (torch.trace(one @ other) / (one.norm() * other.norm())).item()


def test_alignment_is_its_definition_on_the_kernel_summed_over_the_outputs():
    net, masks, (x, y) = plain()
    kernel = ntk.gram(net, x, masks=masks, outputs="sum", progress=False)
    found = measure.of_kernel(measure.start_of(net, masks, (x, y)).gram, y)
    assert found["alignment"] == pytest.approx(centred_alignment(kernel, y), rel=1e-12)


def test_alignment_is_one_for_the_labels_and_knows_no_scale_order_or_constant():
    _, _, (x, y) = plain()
    kernel, order = x @ x.T, torch.randperm(6, generator=draw("order"))
    own = measure.alignment(kernel, y)
    assert 0 < abs(own) < 0.99
    assert measure.alignment(3 * kernel + 5, y) == pytest.approx(own)
    shuffled = kernel[order][:, order]
    assert measure.alignment(shuffled, y[order]) == pytest.approx(own)
    assert abs(measure.alignment(shuffled, y) - own) > 0.01
    ideal = (y[:, None] == y[None]).double()
    assert measure.alignment(ideal, y) == pytest.approx(1)
    assert measure.alignment(torch.ones(6, 6, dtype=torch.float64), y) == 0.0


def test_effective_rank_counts_equal_eigenvalues_and_knows_no_scale():
    for r in (1, 3, 7):
        values = torch.cat([torch.full((r,), 2.5), torch.zeros(5)]).double()
        assert measure.effective_rank(values) == pytest.approx(r)
        assert measure.effective_rank(1e6 * values) == pytest.approx(r)
    assert measure.effective_rank(torch.zeros(4)) == 0.0


def test_the_linearised_loss_is_that_of_descent_on_the_linear_model():
    net, masks, (x, y) = plain()
    start = measure.start_of(net, masks, (x, y))
    slow = jacobian(net, masks, x)
    theta = torch.zeros(slow.shape[1], dtype=torch.float64)
    for _ in range(9):
        outputs = start.outputs + (slow @ theta).view(6, 3)
        ahead = (outputs.softmax(1) - F.one_hot(y, 3)) / 6
        theta = theta - 0.3 * slow.T @ ahead.flatten()
    outputs = start.outputs + (slow @ theta).view(6, 3)
    wanted = F.cross_entropy(outputs, y).item()
    assert measure.linear_loss(start, 9, 0.3) == pytest.approx(wanted, rel=1e-10)


def test_the_rate_for_adam_makes_the_first_steps_equally_long():
    net, masks, batch = plain()
    start = measure.start_of(net, masks, batch)
    rate = measure.descent_rate(ADAM, 100, start, largest=1e-9)
    twin = masks.apply_(net)
    before = torch.cat([p.detach().flatten() for p in twin.parameters()])
    optimizer = build_optimizer(twin, ADAM)
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    for name, parameter in twin.named_parameters():
        parameter.grad *= masks.get(name, 1)
    optimizer.step()
    after = torch.cat([p.detach().flatten() for p in twin.parameters()])
    length = (after - before).norm().item()
    assert rate * start.norm == pytest.approx(length, rel=1e-4)
    assert start.moving < sum(p.numel() for p in net.parameters())


def test_the_rate_for_sgd_counts_momentum_and_schedule_and_stays_stable():
    start = measure.start_of(*plain())
    recipe = Recipe("sgd", lr=0.1, momentum=0.9, batch=4, steps=8, schedule="cosine")
    mean = sum(0.1 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)) / 8
    found = measure.descent_rate(recipe, 100, start, largest=1e-9)
    assert found == pytest.approx(10 * mean)
    assert measure.descent_rate(recipe, 100, start, largest=4.0) == 0.25


def test_descent_at_the_cap_never_raises_the_loss():
    start = measure.start_of(*plain())
    largest = measure.of_kernel(start.gram, start.labels)["largest"]
    losses = [measure.linear_loss(start, s, 1 / largest) for s in (0, 1, 2, 5, 20, 80)]
    assert all(a > b for a, b in itertools.pairwise(losses))
    assert losses[0] == pytest.approx(F.cross_entropy(start.outputs, start.labels))


def test_a_layer_is_nearly_empty_when_it_keeps_fewer_weights_than_outputs():
    _, masks, _ = plain()
    masks = type(masks)({n: torch.ones_like(m) for n, m in masks.items()})
    names = list(masks)
    assert measure.nearly_empty(masks) == 0
    for count, wanted in ((7, 0), (6, 1), (0, 1)):  # the first layer has 7 outputs
        some = torch.zeros(7 * 5, dtype=torch.bool)
        some[:count] = True
        changed = type(masks)({**masks, names[0]: some.view(7, 5)})
        assert measure.nearly_empty(changed) == wanted
        shown = measure.log_densities(changed)
        assert shown[0] == pytest.approx(math.log10(max(count, 0.5) / 35))
        assert shown[1:] == [0.0, 0.0]
