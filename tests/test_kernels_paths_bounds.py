"""What the Path Kernel bounds, and its expectation over initialisations."""

import path_references
import pytest
import torch
from scipy.stats import spearmanr

from paicore import nets, prune, seeds
from paicore.kernels import paths


def random_case(seed):
    """Enumerated small network number `seed` with its three spectra."""
    generator = seeds.generator(seed, "bounds")
    net = nets.build(
        "mlp", in_shape=(3,), width=(4, 3), classes=2, generator=generator,
        bias_init=("zero", "torch")[seed % 2], dtype=torch.float64,
    )  # fmt: skip
    masks = prune(net, "random", density=(1.0, 0.6)[seed % 2], generator=generator)
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    found = path_references.Enumerator(net, (3,), masks)
    activations, jacobian = found.activations(x), found.jacobian()
    sigma = torch.linalg.svdvals(activations) ** 2
    lam = torch.linalg.svdvals(jacobian) ** 2
    nu = torch.linalg.svdvals(activations @ jacobian) ** 2
    return (net, masks, x), nu, sigma, lam


def padded(values, n):
    return torch.cat([values, values.new_zeros(max(0, n - len(values)))])[:n]


@pytest.mark.parametrize("seed", range(50))
def test_eigenvalues_of_the_tangent_kernel_are_bounded(seed):
    (net, masks, x), nu, sigma, lam = random_case(seed)
    n = len(nu)
    sigma, lam = padded(sigma, n), padded(lam, n)
    slack = 1 + 1e-10
    floor = 1e-12 * float(nu[0])
    for i in range(n):
        for j in range(n - i):
            assert nu[i + j] <= slack * sigma[i] * lam[j] + floor
    assert (nu.cumsum(0) <= slack * (sigma * lam).cumsum(0) + floor).all()
    trace = paths.trace(net, (3,), masks=masks)
    activity = paths.activation_norm(net, x, masks=masks)
    assert nu.sum() <= slack * (sigma * lam).sum()
    assert (sigma * lam).sum() <= slack * sigma[0] * trace
    assert sigma[0] <= slack * activity**2
    assert float(nu.sum()) <= slack * activity**2 * trace


def test_the_product_of_equal_indices_is_no_bound():
    j = torch.diag(torch.tensor([1.0, 0.1], dtype=torch.float64))
    pi = torch.diag(torch.tensor([0.1, 1.0], dtype=torch.float64))
    nu = torch.linalg.eigvalsh(j @ pi @ j.T).flip(0)
    sigma = torch.linalg.eigvalsh(j @ j.T).flip(0)
    lam = torch.linalg.eigvalsh(pi).flip(0)
    assert float(nu[1]) == pytest.approx(0.01)
    assert float(sigma[1] * lam[1]) == pytest.approx(0.001)
    assert nu[1] > 9 * sigma[1] * lam[1]
    assert nu[1] <= sigma[0] * lam[1] + 1e-15  # bound 1 holds


def test_the_product_of_equal_indices_fails_on_a_network_too():
    worst = 0.0
    for seed in range(50):
        _, nu, sigma, lam = random_case(seed)
        n = min(len(nu), len(sigma), len(lam))
        rank = int((nu[:n] > 1e-8 * nu[0]).sum())
        worst = max(worst, float((nu / sigma[: len(nu)] / lam[: len(nu)])[:rank].max()))
    assert worst > 1.5


def one_backward(weights):
    """Squared norm and trace of a bias-free MLP, by matrices alone."""
    squares = [(w**2).requires_grad_() for w in weights]
    state = torch.ones(weights[0].shape[1], dtype=torch.float64)
    for each in squares:
        state = each @ state
    total = state.sum()
    grads = torch.autograd.grad(total, squares)
    return float(total.detach()), float(sum(g.sum() for g in grads))


@pytest.mark.parametrize(
    ("init", "norm", "trace"),
    [("he", 10 * 2**3, 10 * 2**3 * 75 / 2), ("torch", 10 / 27, 10 / 9 * 75)],
)
def test_expectations_at_initialisation_are_the_closed_forms(init, norm, trace):
    found = []
    for seed in range(300):
        net = nets.build(
            "mlp", in_shape=(20,), width=(30, 25), bias=False, init=init,
            generator=seeds.generator(seed, "expectation"), dtype=torch.float64,
        )  # fmt: skip
        found.append((paths.norm(net, (20,)) ** 2, paths.trace(net, (20,))))
        if seed < 3:
            direct = one_backward([p.detach() for p in net.parameters()])
            assert found[-1] == pytest.approx(direct, rel=1e-12)
    found = torch.tensor(found, dtype=torch.float64)
    error = found.std(0) / 300**0.5
    expected = torch.tensor([norm, trace], dtype=torch.float64)
    assert ((found.mean(0) - expected).abs() < 4 * error).all()
    assert (error < 0.03 * expected).all()


def test_the_papers_fc_100_has_the_expected_trace_with_and_without_biases():
    found = []
    for seed in range(10):
        net = nets.build("fc_100", in_shape=(1, 28, 28), init="torch",
                         generator=seeds.generator(seed, "fc"))  # fmt: skip
        weights = paths.trace(net, (1, 28, 28), params="prunable")
        bare = paths.trace(net, (1, 28, 28), bias="zero")
        all_ = paths.trace(net, (1, 28, 28), mode="authors")
        assert all_ == pytest.approx(paths.trace(net, (1, 28, 28)), rel=1e-12)
        found.append((weights, all_ - weights, bare))
    found = torch.tensor(found, dtype=torch.float64)
    error = found.std(0) / 10**0.5
    expected = torch.tensor([60.03, 14.98, 52.84], dtype=torch.float64)
    assert ((found.mean(0) - expected).abs() < 4 * error).all()
    assert (error < 0.05 * expected).all()


def tangent_trace(net, x, masks):
    """Trace of the tangent kernel over surviving weights, one backward per logit."""
    total, parameters = 0.0, list(net.parameters())
    for each in x:
        for logit in net(each[None])[0]:
            grads = torch.autograd.grad(logit, parameters, retain_graph=True)
            pairs = zip(grads, masks.values(), strict=True)
            total += float(sum((g[mask] ** 2).sum() for g, mask in pairs))
    return total


@pytest.mark.parametrize("change", ["scales", "masks"])
def test_the_trace_ranks_networks_as_the_tangent_kernel_does(change):
    x = torch.randn(16, 10, generator=seeds.generator(0, "x"), dtype=torch.float64)
    pairs = []
    for seed in range(40):
        generator = seeds.generator(seed, "traces", change)
        net = nets.build(
            "mlp", in_shape=(10,), width=20, classes=4, bias=False,
            generator=generator, dtype=torch.float64,
        )  # fmt: skip
        draws = torch.rand(3, generator=generator).tolist()
        density = 0.05 + 0.95 * draws[0] if change == "masks" else 1.0
        masks = prune(net, "random", density=density, generator=generator)
        masks.apply_(net)
        if change == "scales":
            with torch.no_grad():
                for parameter, draw in zip(net.parameters(), draws, strict=True):
                    parameter.mul_(4**draw)
        ours = paths.trace(net, (10,), masks=masks)
        pairs.append((tangent_trace(net, x, masks), ours))
    assert spearmanr(*zip(*pairs, strict=True)).statistic > 0.85
