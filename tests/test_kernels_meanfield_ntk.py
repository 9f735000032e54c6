"""The infinite-width NTK against identities, integrals and wide networks."""

from math import sqrt

import numpy as np
import pytest
import torch
from meanfield_integrals import PHI, SLOPE, adaptive_pair

from paicore import nets, seeds
from paicore.kernels import meanfield

G = seeds.generator(0, "meanfield", "ntk")
X = torch.randn(4, 6, generator=G, dtype=torch.float64).numpy()


def empirical(net, x):
    """Mean over outputs of the diagonal NTK of a network, (n, n), by loops."""
    parameters = list(net.parameters())
    total = 0.0
    for out in range(net(x).shape[1]):
        rows = []
        for sample in range(len(x)):
            value = net(x[sample : sample + 1])[0, out]
            grads = torch.autograd.grad(value, parameters)
            rows.append(torch.cat([g.flatten() for g in grads]))
        jacobian = torch.stack(rows)
        total = total + jacobian @ jacobian.T
    return (total / net(x).shape[1]).numpy()


def test_he_initialised_relu_adds_the_same_to_the_diagonal_in_every_layer():
    for depth in (1, 2, 7):
        kernel = meanfield.infinite_ntk("relu", X, depth=depth, sigma_w=sqrt(2))
        expected = depth * 2 * np.mean(X * X, axis=1)
        np.testing.assert_allclose(np.diag(kernel), expected, rtol=1e-13)


def test_linear_network_has_one_product_per_layer():
    kernel = meanfield.infinite_ntk("identity", X, depth=5, sigma_w=1.3)
    np.testing.assert_allclose(kernel, 5 * 1.3**10 * X @ X.T / 6, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "erf", "tanh", "elu"])
def test_one_hidden_layer_is_made_of_two_integrals(name):
    a, b = X[:2]
    sw, sb = 1.4, 0.3
    qa, qb, k = (sb**2 + sw**2 * np.mean(u * v) for u, v in ((a, a), (b, b), (a, b)))
    c = k / sqrt(qa * qb)
    value, slope = (adaptive_pair(f[name], qa, qb, c) for f in (PHI, SLOPE))
    expected = sw**2 * value + sb**2 + k * sw**2 * slope
    kernel = meanfield.infinite_ntk(name, a[None], b[None], depth=2, sigma_w=sw,
                                    sigma_b=sb)  # fmt: skip
    assert kernel.item() == pytest.approx(expected, abs=1e-7)


def test_cross_block_is_the_block_of_the_joint_kernel():
    options = {"depth": 4, "sigma_w": 1.4, "sigma_b": 0.2}
    joint = meanfield.infinite_ntk("relu", X, **options)
    cross = meanfield.infinite_ntk("relu", X[:3], X, **options)
    np.testing.assert_allclose(cross, joint[:3], rtol=1e-12)
    scaled = meanfield.infinite_ntk("relu", X, -2 * X, depth=4, sigma_w=1.4)
    mirrored = meanfield.infinite_ntk("relu", X, -X, depth=4, sigma_w=1.4)
    np.testing.assert_allclose(scaled, 2 * mirrored, rtol=1e-12)


def test_kernel_is_symmetric_and_positive_definite():
    x = np.concatenate([X, X[:1] * (1 + 1e-9), X[1:2]])
    kernel = meanfield.infinite_ntk("relu", x, depth=6, sigma_w=sqrt(2), sigma_b=0.1)
    np.testing.assert_allclose(kernel, kernel.T, rtol=1e-13)
    assert np.linalg.eigvalsh(kernel).min() > -1e-7  # a pair 1e-9 apart, a pair equal
    np.testing.assert_allclose(kernel[1], kernel[5], rtol=1e-13)


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_networks_approach_it_as_their_width_grows(phi):
    widths, errors = (64, 160, 400), []
    for width in widths:
        found = []
        for seed in range(16):
            net = nets.build(
                "mlp", classes=2, in_shape=(6,), width=width, depth=4, activation=phi,
                init=("gaussian", 1.4, 0.3), dtype=torch.float64,
                generator=seeds.generator(seed, "meanfield", "wide"),
            )  # fmt: skip
            found.append(empirical(net, torch.tensor(X)))
        limit = meanfield.infinite_ntk(phi, X, depth=4, sigma_w=1.4, sigma_b=0.3,
                                       widths=(width,) * 3)  # fmt: skip
        scale = np.sqrt(np.outer(np.diag(limit), np.diag(limit)))
        errors.append(np.sqrt(np.mean(((np.array(found) - limit) / scale) ** 2)))
    assert errors[-1] < 0.2
    rate = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert rate == pytest.approx(-0.5, abs=0.2)  # as the root of the width


def test_widths_weigh_the_layers_as_the_weights_themselves_do():
    options = {"depth": 3, "sigma_w": 1.2, "sigma_b": 0.5}
    narrow, wide = (
        meanfield.infinite_ntk("relu", X, widths=(n, n), bias=False, **options)
        for n in (100, 300)
    )
    wider = meanfield.infinite_ntk("relu", X, widths=(500, 500), bias=False, **options)
    np.testing.assert_allclose(wide - narrow, wider - wide, rtol=1e-10)
    biased = meanfield.infinite_ntk("relu", X, widths=(100, 100), **options)
    assert np.all(np.diag(biased - narrow) > 1)


def test_bad_arguments_are_named():
    good = {"depth": 3, "sigma_w": 1.0}
    for word, call in {
        "x2": lambda: meanfield.infinite_ntk("relu", X, X[:, :5], **good),
        "x:": lambda: meanfield.infinite_ntk("relu", X[0], **good),
        "widths": lambda: meanfield.infinite_ntk("relu", X, widths=(5,), **good),
        "depth": lambda: meanfield.infinite_ntk("relu", X, depth=0, sigma_w=1.0),
    }.items():
        with pytest.raises(ValueError, match=f"^{word}"):
            call()


RAGGED, NAN = [[1], [1, 2]], float("nan")
META, SPARSE = torch.ones(2, 3, device="meta"), torch.eye(3).to_sparse()


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("x", ["abc", None, RAGGED, X * 1j, META, SPARSE], TypeError),
        ("x2", ["abc", RAGGED, X * 1j, META, SPARSE], TypeError),
        ("x", [X[0], X[:0], X[:, :0], X * NAN], ValueError),
        ("x2", [X[0], X * NAN], ValueError),
        ("depth", [3.0, "3", True, None, -1], ValueError),
        ("sigma_w", ["1", None, X], TypeError),
        ("sigma_w", [-1.0, NAN], ValueError),
        ("sigma_b", ["1", None, True], TypeError),
        ("widths", [5, 5.0, "55", {5, 6}], TypeError),
        ("widths", [(5.0, 6.0), (5, -1), (5, True), (5,)], ValueError),
        ("bias", [None, "no", 0.5, 1], TypeError),
        ("phi", [3, None], TypeError),
        ("phi", ["rel"], ValueError),
    ],
)  # fmt: skip
def test_odd_arguments_are_named(name, values, error):
    good = {"phi": "relu", "x": X, "depth": 3, "sigma_w": 1.0}
    for value in values:
        with pytest.raises(error, match=f"^{name}: "):
            meanfield.infinite_ntk(**good | {name: value})


def test_tensors_arrays_and_counts_of_numpy_are_taken():
    right = meanfield.infinite_ntk("relu", X, depth=3, sigma_w=1.0, widths=(5, 6))
    leaf = torch.tensor(X, requires_grad=True)
    found = meanfield.infinite_ntk("relu", leaf, depth=np.int64(3), sigma_w=1.0,
                                   widths=np.array([5, 6]))  # fmt: skip
    assert np.array_equal(found, right)
