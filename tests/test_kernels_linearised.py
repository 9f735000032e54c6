"""Linearised dynamics: exact for linear models, second order for smooth networks."""

from itertools import pairwise

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from paicore import nets, seeds
from paicore.kernels import linearised
from paicore.kernels.linearised.problem import matrix

LOSSES = ("mse", "cross_entropy")


def normal(*shape, name=0):
    g = seeds.generator(name, "linearised")
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def loss_of(outputs, targets, loss):
    if loss == "mse":
        return (outputs - targets).square().sum() / (2 * len(outputs))
    return cross_entropy(outputs, targets)


class LinearModel:
    """f(x)_k = sum_p features[x, k, p] theta_p: any Jacobian, shared by all outputs."""

    def __init__(self, n=5, m=3, k=4, size=40):
        self.features, self.test_features = (
            normal(n, k, size),
            normal(m, k, size, name=1),
        )
        self.theta = normal(size, name=2)
        self.targets = {
            "mse": normal(n, k, name=3),
            "cross_entropy": torch.arange(n) % k,
        }

    def outputs(self, theta=None):
        theta = self.theta if theta is None else theta
        return self.features @ theta, self.test_features @ theta

    @property
    def kernels(self):
        """Arguments of a prediction but for the times."""
        train, test = self.outputs()
        pairs = "nkp,mjp->nmkj"
        return {
            "gram": torch.einsum(pairs, self.features, self.features),
            "outputs": train,
            "cross_gram": torch.einsum(pairs, self.test_features, self.features),
            "cross_outputs": test,
        }

    def descend(self, loss, steps, lr):
        """Train by autograd; (train, test) outputs after each of `steps`."""
        theta, found = self.theta.clone().requires_grad_(), []
        for step in range(max(steps) + 1):
            if step in steps:
                found.append([f.detach() for f in self.outputs(theta)])
            value = loss_of(self.outputs(theta)[0], self.targets[loss], loss)
            (grad,) = torch.autograd.grad(value, theta)
            theta = (theta - lr * grad).detach().requires_grad_()
        return [torch.stack(f) for f in zip(*found, strict=True)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [40, 7])  # more and fewer parameters than outputs
def test_descent_of_a_linear_model_is_predicted_exactly(loss, size):
    model, steps = LinearModel(size=size), [0, 1, 2, 50, 400]
    prediction = linearised.gradient_descent(
        targets=model.targets[loss], steps=steps, lr=0.03, loss=loss, **model.kernels
    )
    train, test = model.descend(loss, steps, 0.03)
    torch.testing.assert_close(prediction.train, train, rtol=0, atol=1e-10)
    torch.testing.assert_close(prediction.test, test, rtol=0, atol=1e-10)
    assert (train[-1] - train[0]).abs().max() > 0.5


def test_a_step_that_is_too_large_diverges_in_the_prediction_as_in_training():
    model = LinearModel()
    top = torch.linalg.eigvalsh(matrix(model.kernels["gram"])).max()
    lr = float(2.2 * 5 / top)
    prediction = linearised.gradient_descent(
        targets=model.targets["mse"], steps=[0, 31], lr=lr, **model.kernels
    )
    train, _ = model.descend("mse", [0, 31], lr)
    torch.testing.assert_close(prediction.train, train, rtol=1e-9, atol=1e-9)
    assert train[1].norm() > 10 * train[0].norm()


def test_squared_flow_is_the_matrix_exponential():
    model, times = LinearModel(), [0.0, 0.1, 3.0]
    kernels, y = model.kernels, model.targets["mse"]
    prediction = linearised.gradient_flow(targets=y, times=times, **kernels)
    theta = kernels["gram"].permute(0, 2, 1, 3).reshape(20, 20)
    cross = kernels["cross_gram"].permute(0, 2, 1, 3).reshape(12, 20)
    residual = (kernels["outputs"] - y).flatten()
    for index, time in enumerate(times):
        decay = torch.matrix_exp(-theta * time / 5)
        train = y + (decay @ residual).view_as(y)
        torch.testing.assert_close(prediction.train[index], train, rtol=0, atol=1e-11)
        spent = torch.linalg.solve(theta, residual - decay @ residual)
        test = kernels["cross_outputs"] - (cross @ spent).view(3, 4)
        torch.testing.assert_close(prediction.test[index], test, rtol=0, atol=1e-10)


def test_outputs_that_no_training_output_depends_on_move_at_constant_speed():
    # f_*' = -Theta_* grad L with Theta = 0: the residual stays, the speed too
    y, other = normal(4, 2), normal(3, 4, name=1)
    options = {"gram": torch.zeros(4, 4), "outputs": torch.zeros(4, 2), "targets": y,
               "cross_gram": other, "cross_outputs": torch.zeros(3, 2)}  # fmt: skip
    flow = linearised.gradient_flow(times=[6.0], **options)
    descent = linearised.gradient_descent(steps=[12], lr=0.5, **options)
    for found in (flow, descent):
        torch.testing.assert_close(found.test[0], 6 * other @ y / 4)
        assert found.train.abs().max() == 0


def test_squared_flow_ends_in_kernel_regression():
    model = LinearModel()
    kernels, y = model.kernels, model.targets["mse"]
    prediction = linearised.gradient_flow(targets=y, times=[float("inf")], **kernels)
    torch.testing.assert_close(prediction.train[0], y, rtol=0, atol=1e-11)
    shift = torch.linalg.lstsq(
        model.features.flatten(0, 1), (y - kernels["outputs"]).flatten()
    ).solution
    test = model.outputs(model.theta + shift)[1]
    torch.testing.assert_close(prediction.test[0], test, rtol=0, atol=1e-10)


def test_cross_entropy_flow_is_the_flow_of_the_parameters():
    model, times, loss = LinearModel(), [0.0, 0.4, 2.0], "cross_entropy"
    labels = one_hot(model.targets[loss], 4)
    prediction = linearised.gradient_flow(
        targets=model.targets[loss], times=times, loss=loss, **model.kernels
    )

    def speed(theta):
        chances = torch.softmax(model.features @ theta, dim=1)
        return -torch.einsum("nk,nkp->p", chances - labels, model.features) / 5

    theta, h, found = model.theta, 1e-3, []
    for step in range(2001):  # classical Runge-Kutta of order four
        if any(abs(step * h - time) < h / 2 for time in times):
            found.append(model.outputs(theta))
        a = speed(theta)
        b = speed(theta + h / 2 * a)
        c = speed(theta + h / 2 * b)
        d = speed(theta + h * c)
        theta = theta + h / 6 * (a + 2 * b + 2 * c + d)
    train, test = (torch.stack(f) for f in zip(*found, strict=True))
    torch.testing.assert_close(prediction.train, train, rtol=0, atol=1e-8)
    torch.testing.assert_close(prediction.test, test, rtol=0, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_descent_tends_to_the_flow_at_first_order(loss):
    model = LinearModel()
    options = {"targets": model.targets[loss], "loss": loss, **model.kernels}
    flow = linearised.gradient_flow(times=[0.5], **options).train
    errors = []
    for steps in (200, 400):
        found = linearised.gradient_descent(steps=[steps], lr=0.5 / steps, **options)
        errors.append(float((found.train - flow).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("loss", LOSSES)
def test_directions_of_eigenvalue_zero_stay(loss):
    model = LinearModel(size=7)  # 20 outputs move in 7 directions
    still = torch.linalg.svd(model.features.flatten(0, 1))[0][:, 7:]
    options = {"targets": model.targets[loss], "loss": loss, **model.kernels}
    start = model.kernels["outputs"].flatten()
    for prediction in (
        linearised.gradient_flow(times=[1.0, 300.0], **options),
        linearised.gradient_descent(steps=[3, 3000], lr=0.1, **options),
    ):
        for f in prediction.train:
            moved = f.flatten() - start
            assert (still.T @ moved).abs().max() < 1e-11
            assert moved.norm() > 0.1
    if loss == "mse":
        end = linearised.gradient_flow(times=[float("inf")], **options).train[0]
        assert (still.T @ (end.flatten() - start)).abs().max() < 1e-11


@pytest.mark.parametrize("loss", LOSSES)
def test_a_kernel_shared_by_all_outputs_is_the_full_kernel_in_blocks(loss):
    x, other, weight = normal(6, 9), normal(2, 9, name=4), normal(9, 3, name=5)
    targets = {"mse": normal(6, 3, name=6), "cross_entropy": torch.arange(6) % 3}[loss]
    shared, cross = x @ x.T, other @ x.T
    blocks = [torch.einsum("nm,kj->nmkj", k, torch.eye(3).double())
              for k in (shared, cross)]  # fmt: skip
    options = {"outputs": x @ weight, "targets": targets, "loss": loss,
               "cross_outputs": other @ weight}  # fmt: skip
    runs = {
        linearised.gradient_flow: {"times": [0.3, 2.0]},
        linearised.gradient_descent: {"steps": [9], "lr": 0.1},
    }
    for run, times in runs.items():
        small = run(shared, cross_gram=cross, **options, **times)
        full = run(blocks[0], cross_gram=blocks[1], **options, **times)
        torch.testing.assert_close(small.train, full.train, rtol=0, atol=1e-9)
        torch.testing.assert_close(small.test, full.test, rtol=0, atol=1e-9)


def jacobian(net, x):
    """(n, k, P) by one backward pass per sample and output."""
    rows = []
    for value in net(x).flatten():
        grads = torch.autograd.grad(value, list(net.parameters()), retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(rows).unflatten(0, (len(x), -1))


@pytest.mark.parametrize("loss", LOSSES)
def test_residual_of_one_real_step_falls_four_times_when_the_step_halves(loss):
    net = nets.build(
        "mlp", classes=3, in_shape=(4,), width=20, depth=3, activation="tanh",
        bias_init="torch", dtype=torch.float64,
        generator=seeds.generator(0, "linearised"),
    )  # fmt: skip
    x, other = normal(6, 4), normal(5, 4, name=1)
    targets = {"mse": normal(6, 3, name=2), "cross_entropy": torch.arange(6) % 3}[loss]
    j, j_other = jacobian(net, x), jacobian(net, other)
    start = [p.detach().clone() for p in net.parameters()]
    with torch.no_grad():
        before, before_other = net(x), net(other)
    grads = torch.autograd.grad(loss_of(net(x), targets, loss), list(net.parameters()))
    residuals = []
    for lr in (4e-3, 2e-3, 1e-3):
        with torch.no_grad():
            for p, p0, g in zip(net.parameters(), start, grads, strict=True):
                p.copy_(p0 - lr * g)
            real = net(x), net(other)
        predicted = linearised.gradient_descent(
            torch.einsum("nkp,mjp->nmkj", j, j), before, targets, [1], lr=lr, loss=loss,
            cross_gram=torch.einsum("nkp,mjp->nmkj", j_other, j),
            cross_outputs=before_other,
        )  # fmt: skip
        pairs = zip(real, (predicted.train[0], predicted.test[0]), strict=True)
        residuals.append([float((r - p).norm()) for r, p in pairs])
        assert (real[0] - before).norm() > 20 * residuals[-1][0]
    for larger, smaller in pairwise(residuals):
        for a, b in zip(larger, smaller, strict=True):
            assert a / b == pytest.approx(4.0, abs=0.1)


def test_pytorch_mean_squared_error_is_ours_at_another_rate():
    model, lr, k = LinearModel(), 0.05, 4
    theta = model.theta.clone().requires_grad_()
    y = model.targets["mse"]
    value = torch.nn.functional.mse_loss(model.outputs(theta)[0], y)
    (grad,) = torch.autograd.grad(value, theta)
    real = model.outputs((theta - lr * grad).detach())[0]
    options = {"targets": y, "steps": [1], "lr": 2 * lr / k}
    found = linearised.gradient_descent(**options, **model.kernels)
    torch.testing.assert_close(found.train[0], real, rtol=0, atol=1e-12)


def test_nothing_of_the_callers_tensors_changes_and_single_precision_is_taken():
    model = LinearModel()
    kernels = {key: value.float() for key, value in model.kernels.items()}
    kernels["gram"].requires_grad_()
    copies = {key: value.detach().clone() for key, value in kernels.items()}
    found = linearised.gradient_flow(
        targets=model.targets["mse"].float(), times=[1], **kernels
    )
    assert found.train.dtype == torch.float64
    assert not found.train.requires_grad
    assert all(torch.equal(kernels[key], copies[key]) for key in copies)
