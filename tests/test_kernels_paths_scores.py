"""Scores in path terms, conservation and invariance."""

import path_references
import pytest
import torch
from path_references import flat, make
from references import close, half_squared_gradient_norm
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from paicore import Masks, nets, seeds
from paicore.kernels import paths
from paicore.scores import synflow


def batch(name, n=6):
    generator = seeds.generator(0, "scores", name)
    shape = (n, *path_references.MAKERS[name][1])
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return x, torch.arange(n) % 2


def matrices(net):
    return [p.detach() for p in net.parameters()]


def chained(weights):
    """1^T W_L ... W_1 1, the sum over paths of a bias-free MLP."""
    state = torch.ones(weights[0].shape[1], dtype=torch.float64)
    for weight in weights:
        state = weight @ state
    return state.sum()


def test_the_four_synflow_l2_scores_are_closed_forms_of_the_sums():
    net, in_shape = make("mlp")
    sums = paths.edge_sums(net, in_shape)
    moduli = [w.abs().requires_grad_() for w in matrices(net)]
    squares = [(w**2).requires_grad_() for w in matrices(net)]
    first = torch.autograd.grad(chained(moduli), moduli)
    second = torch.autograd.grad(chained(squares), squares)
    for i, name in enumerate(sums.t):
        theta, a, b = matrices(net)[i], first[i], second[i]
        sf, d, t = sums.sf[name], sums.d[name], sums.t[name]
        assert close(sf * theta.abs(), a * theta**2, 1e-12)  # A
        assert close(sf**2, (theta * a) ** 2, 1e-12)  # B
        assert close(d / theta.abs(), b * theta.abs(), 1e-12)  # C
        assert close(d, theta * b * theta, 1e-12)  # D
        assert close(t, d / theta**2, 1e-12)
        order = sf.flatten().argsort()
        assert torch.equal(((theta * a) ** 2).flatten().argsort(), order)


@pytest.mark.parametrize("name", ["strided", "averaged", "normed_moved", "residual"])
def test_the_synflow_score_is_sf_without_biases(name):
    net, in_shape = make(name)
    dense = Masks.dense(net)
    scores = synflow(net, dense, (torch.zeros(1, *in_shape), None))
    sums = paths.edge_sums(net, in_shape, bias="zero")
    assert all(close(sums.sf[key], scores[key], 1e-12) for key in dense)


@pytest.mark.parametrize("name", ["mlp_bias", "pooled", "normed_moved", "residual"])
def test_snip_and_the_gradient_norm_have_path_forms(name):
    net, in_shape = make(name)
    x, y = batch(name)
    found = path_references.Enumerator(net, in_shape)
    jacobian, pi, activations = found.jacobian(), found.products(), found.activations(x)
    logits = net(x)
    (g,) = torch.autograd.grad(functional.cross_entropy(logits, y), logits)
    u = activations.T @ g.flatten()  # dL/dpi
    loss = functional.cross_entropy(net(x), y)
    grads = torch.autograd.grad(loss, list(net.parameters()))
    grads = torch.cat([each.flatten() for each in grads])
    theta = flat(dict(net.named_parameters()))
    snip = (found.membership().T @ (pi * u)).abs()
    assert close(snip, (theta * grads).abs(), 1e-12)
    kernel = jacobian @ jacobian.T
    assert close(u @ kernel @ u, (grads**2).sum(), 1e-12)


def products_of(found, theta):
    """pi as a differentiable function of theta."""
    return torch.stack([
        path.constant * theta[list(path.members)].prod() for _, path in found.paths
    ])  # fmt: skip


@pytest.mark.parametrize("name", ["mlp_bias", "residual"])
def test_grasp_has_a_path_form(name):
    net, in_shape = make(name)
    x, y = batch(name)
    found = path_references.Enumerator(net, in_shape)
    theta, activations = found.theta.clone().requires_grad_(), found.activations(x)
    jacobian = found.jacobian()
    logits = (activations @ found.products()).view(len(x), 2).requires_grad_()
    loss = functional.cross_entropy(logits, y)
    (g,) = torch.autograd.grad(loss, logits, create_graph=True)
    u = (activations.T @ g.flatten()).detach()
    # first part: Pi moves while u stays
    fixed = u @ products_of(found, theta)
    (step,) = torch.autograd.grad(fixed, theta, create_graph=True)
    (first,) = torch.autograd.grad((step**2).sum() / 2, theta)
    # second part: u moves with the curvature of the loss
    change = (activations @ (jacobian @ (jacobian.T @ u))).view_as(logits)
    (bent,) = torch.autograd.grad((g * change).sum(), logits)
    second = jacobian.T @ (activations.T @ bent.flatten())
    score = found.theta * (first + second)

    parameters = dict(net.named_parameters())
    loss = functional.cross_entropy(net(x), y)
    grads = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    half = sum((each**2).sum() for each in grads) / 2
    hg = torch.autograd.grad(half, list(parameters.values()))
    direct = torch.cat([h.flatten() for h in hg]) * flat(parameters)
    assert close(score, direct, 1e-12)


def test_half_the_squared_gradient_norm_is_the_quadratic_form_of_the_kernel():
    net, in_shape = make("mlp")
    x, y = batch("mlp")
    ours = paths.enumerate(net, in_shape)
    logits = net(x)
    (g,) = torch.autograd.grad(functional.cross_entropy(logits, y), logits)
    u = ours.activations(x).T @ g.flatten()
    expected = half_squared_gradient_norm(net, x, y, 1.0)
    assert close(u @ ours.kernel() @ u / 2, expected, 1e-12)


@pytest.mark.parametrize("name", ["mlp", "strided"])
def test_a_bound_with_all_weights_one_scores_as_d_whatever_the_data(name):
    net, in_shape = make(name)
    x, _ = batch(name)
    ours = paths.enumerate(net, in_shape)
    open_ = (ours.activations(x) ** 2).sum(1).view(len(x), 2)  # ones-net on x^2
    assert close(open_[:, 0], open_[:, 1], 1e-12)
    squares = {
        key: (p.detach() ** 2).requires_grad_() for key, p in net.named_parameters()
    }
    ones = torch.ones(1, *in_shape, dtype=torch.float64)
    bound = (open_ * functional_call(net, squares, (ones,))).sum()
    grads = torch.autograd.grad(bound, list(squares.values()))
    px = torch.cat([
        (s * g).flatten() for s, g in zip(squares.values(), grads, strict=True)
    ]).detach()  # fmt: skip
    d = flat(paths.edge_sums(net, in_shape).d)
    assert close(px / open_[:, 0].sum(), d, 1e-12)


def weighted(kind, in_shape):
    if kind == "ones":
        return None
    generator = seeds.generator(3, "weights")
    return torch.rand(in_shape, generator=generator, dtype=torch.float64)


def mismatch(before, after):
    return float((before - after).abs().max() / before.abs().max())


@pytest.mark.parametrize("kind", ["ones", "mean"])
def test_sf_and_d_are_conserved_at_every_unit_and_a_and_c_are_not(kind):
    net, in_shape = make("mlp")
    weights = weighted(kind, in_shape)
    sums = paths.edge_sums(net, in_shape, input_weights=weights)
    theta = matrices(net)
    sf, d = list(sums.sf.values()), list(sums.d.values())
    a = [each * w.abs() for each, w in zip(sf, theta, strict=True)]
    c = [each / w.abs() for each, w in zip(d, theta, strict=True)]
    for score, holds in ((sf, True), (d, True), (a, False), (c, False)):
        for first, second in ((0, 1), (1, 2)):
            gap = mismatch(score[first].sum(1), score[second].sum(0))
            assert gap < 1e-12 if holds else gap > 1e-3
    for q, score in ((1, sf), (2, d)):
        total = paths.norm(net, in_shape, q=q, input_weights=weights) ** q
        assert [float(s.sum()) for s in score] == pytest.approx([total] * 3, rel=1e-12)


@pytest.mark.parametrize("kind", ["ones", "mean"])
def test_sf_and_d_are_conserved_at_every_channel_and_layer_with_max_pooling(kind):
    net, in_shape = make("pooled")
    weights = weighted(kind, in_shape)
    options = {"bias": "zero", "input_weights": weights}
    sums = paths.edge_sums(net, in_shape, **options)
    theta = {key: p.detach() for key, p in net.named_parameters()}
    for q, score in ((1, sums.sf), (2, sums.d)):
        first, second, last = score.values()
        assert mismatch(first.sum((1, 2, 3)), second.sum((0, 2, 3))) < 1e-12
        assert mismatch(second.sum((1, 2, 3)), last.sum(0)) < 1e-12
        total = paths.norm(net, in_shape, q=q, **options) ** q
        assert float(last.sum()) == pytest.approx(total, rel=1e-12)
    for score in (
        {key: each * theta[key].abs() for key, each in sums.sf.items()},
        {key: each / theta[key].abs() for key, each in sums.d.items()},
    ):
        first, second, _ = score.values()
        assert mismatch(first.sum((1, 2, 3)), second.sum((0, 2, 3))) > 1e-3


def test_biases_add_their_share_to_the_flow_of_the_next_layer():
    net, in_shape = make("mlp_bias")
    sums = paths.edge_sums(net, in_shape)
    for q, score in ((1, sums.sf), (2, sums.d)):
        w1, b1, w2, b2, w3, b3 = score.values()
        assert close(w2.sum(0), w1.sum(1) + b1, 1e-12)
        assert close(w3.sum(0), w2.sum(1) + b2, 1e-12)
        total = paths.norm(net, in_shape, q=q) ** q
        assert float(w3.sum() + b3.sum()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", ["mlp_bias", "pooled"])
def test_rescaling_hidden_units_changes_the_trace_but_not_sf_and_d(name):
    net, in_shape = make(name)
    x, _ = batch(name)
    before, logits = paths.edge_sums(net, in_shape), net(x).detach()
    trace = paths.trace(net, in_shape)
    first, second = [m for m in net if isinstance(m, (nn.Linear, nn.Conv2d))][:2]
    factor = torch.linspace(0.3, 4, first.weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        first.weight.mul_(factor.view(-1, *[1] * (first.weight.dim() - 1)))
        first.bias.mul_(factor)
        second.weight.div_(factor.view(1, -1, *[1] * (second.weight.dim() - 2)))
    after = paths.edge_sums(net, in_shape)
    assert close(net(x).detach(), logits, 1e-12)
    assert close(flat(after.sf), flat(before.sf), 1e-12)
    assert close(flat(after.d), flat(before.d), 1e-12)
    assert not close(flat(after.t), flat(before.t), 1e-2)
    assert abs(paths.trace(net, in_shape) / trace - 1) > 1e-2
    theta = flat(dict(net.named_parameters()))
    old = flat(dict(make(name)[0].named_parameters()))
    for new_score, old_score in (
        (flat(after.sf) * theta.abs(), flat(before.sf) * old.abs()),  # A
        (flat(after.d) / theta.abs(), flat(before.d) / old.abs()),  # C
    ):
        assert not close(new_score, old_score, 1e-2)


def test_pruned_weights_have_no_share_although_their_derivative_is_not_zero():
    net, in_shape = make("mlp")
    masks = {key: mask.clone() for key, mask in Masks.dense(net).items()}
    masks["2.weight"][0, 0] = False
    sums = paths.edge_sums(net, in_shape, masks=masks)
    assert sums.t["2.weight"][0, 0] == 0
    zeroed = make("mlp")[0]
    with torch.no_grad():
        zeroed[2].weight[0, 0] = 0.0
    kept = paths.edge_sums(zeroed, in_shape)
    assert kept.t["2.weight"][0, 0] > 0
    assert kept.d["2.weight"][0, 0] == 0
    garbage = make("mlp")[0]
    with torch.no_grad():
        garbage[2].weight[0, 0] = 1e30
    again = paths.edge_sums(garbage, in_shape, masks=masks)
    assert torch.equal(flat(again.t), flat(sums.t))


def test_deep_networks_of_the_paper_keep_their_scores_in_range():
    net = nets.build(
        "resnet110", in_shape=(3, 32, 32), width=4, generator=seeds.generator(0, "far")
    )
    sums = paths.edge_sums(net, (3, 32, 32))
    assert torch.isfinite(flat(sums.sf)).all()
    assert torch.isfinite(flat(sums.t)).all()
    assert float(flat(sums.d).min()) >= 0
