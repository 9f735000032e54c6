"""Spectrum, gates and greedy loss against explicit loops over all paths."""

import path_references
import pytest
import torch
from path_references import flat, inputs, known, make, some_masks
from references import close
from torch.func import functional_call

from paicore import seeds
from paicore.kernels import paths

NAMES = list(path_references.MAKERS)


@pytest.mark.parametrize("name", NAMES)
def test_gram_and_matvec_are_those_of_the_path_jacobian(name):
    net, in_shape, _, jacobian, _ = known(name)
    expected = jacobian.T @ jacobian
    assert close(paths.gram(net, in_shape), expected, 1e-12)
    generator = seeds.generator(2, "matvec")
    vector = {
        key: torch.randn(p.shape, generator=generator, dtype=torch.float64)
        for key, p in net.named_parameters()
    }
    product = paths.matvec(net, in_shape, vector)
    assert close(flat(product), expected @ flat(vector), 1e-12)
    masks = some_masks(net, 3)
    masked = path_references.Enumerator(net, in_shape, masks).jacobian()
    product = paths.matvec(net, in_shape, vector, masks=masks)
    assert close(flat(product), masked.T @ (masked @ flat(vector)), 1e-12)


@pytest.mark.parametrize("name", ["mlp", "mlp_bias", "strided"])
def test_the_diagonal_is_half_the_diagonal_hessian_of_the_squared_path_norm(name):
    net, in_shape, *_ = known(name)
    names = [key for key, _ in net.named_parameters()]
    sizes = [p.numel() for p in net.parameters()]
    theta = torch.cat([p.detach().flatten() for p in net.parameters()])
    ones = torch.ones(1, *in_shape, dtype=torch.float64)

    def squared_norm(values):  # the network of squares: all its gates are open
        parts = zip(names, values.split(sizes), net.parameters(), strict=True)
        squares = {key: part.view(p.shape) ** 2 for key, part, p in parts}
        return functional_call(net, squares, (ones,)).sum()

    hessian = torch.func.hessian(squared_norm)(theta)
    assert close(paths.gram(net, in_shape).diagonal(), hessian.diagonal() / 2, 1e-12)


@pytest.mark.parametrize("name", ["mlp", "strided", "normed_moved", "residual"])
@pytest.mark.parametrize("top", [None, 3])
def test_eigenvalues_are_those_of_the_path_kernel(name, top):
    net, in_shape, _, jacobian, _ = known(name)
    expected = torch.linalg.svdvals(jacobian) ** 2  # of Pi, which is n x n
    found = paths.eigenvalues(net, in_shape, top=top)
    n = len(found.values)
    assert n == (top or jacobian.shape[1])
    assert close(found.values, expected[:n], 1e-12)
    assert float(found.residuals.max()) <= 1e-12 * float(expected[0])


def test_lanczos_does_not_depend_on_its_start():
    net, in_shape, *_ = known("strided")
    first = paths.eigenvalues(net, in_shape, top=3)
    other = paths.eigenvalues(
        net, in_shape, top=3, generator=seeds.generator(5, "start")
    )
    assert close(first.values, other.values, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_frobenius_norm_is_exact_or_within_its_standard_error(name):
    net, in_shape, _, jacobian, _ = known(name)
    expected = float((jacobian.T @ jacobian).norm())
    exact = paths.frobenius(net, in_shape)
    assert exact.value == pytest.approx(expected, rel=1e-12)
    assert exact.standard_error == 0
    generator = seeds.generator(0, "probes")
    rough = paths.frobenius(net, in_shape, probes=100, generator=generator)
    assert 0 < rough.standard_error < 0.1 * expected
    assert abs(rough.value - expected) < 4 * rough.standard_error


@pytest.mark.parametrize("name", NAMES)
def test_gated_sums_and_activation_norm_equal_the_enumeration(name):
    net, _, found, jacobian, _ = known(name)
    x = inputs(name)
    open_ = found.activations(x) ** 2
    sums = paths.gated_sums(net, x)
    assert close(flat(sums), (open_ @ jacobian**2).sum(0), 1e-12)
    assert paths.gated_trace(net, x) == pytest.approx(float(flat(sums).sum()))
    norm = float(open_.sum() ** 0.5)
    assert paths.activation_norm(net, x) == pytest.approx(norm, rel=1e-12)


def test_gated_sums_of_a_masked_network_use_its_own_gates():
    net, in_shape, *_ = known("pooled")
    x, masks = inputs("pooled"), some_masks(net, 4)
    found = path_references.Enumerator(net, in_shape, masks)
    open_ = found.activations(x) ** 2
    sums = paths.gated_sums(net, x, masks=masks)
    assert close(flat(sums), (open_ @ found.jacobian() ** 2).sum(0), 1e-12)
    norm = float(open_.sum() ** 0.5)
    assert paths.activation_norm(net, x, masks=masks) == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_greedy_loss_is_the_trace_lost_with_one_edge(name):
    net, in_shape, found, jacobian, _ = known(name)
    squares, through = (jacobian**2).sum(1), found.membership()
    expected = squares @ through  # what the paths through an edge contribute
    assert close(flat(paths.greedy_loss(net, in_shape)), expected, 1e-12)


def test_greedy_loss_equals_traces_of_networks_with_one_edge_deleted():
    net, in_shape, *_ = known("pooled")
    masks = some_masks(net, 6, 0.8)
    whole = paths.trace(net, in_shape, masks=masks)
    loss = paths.greedy_loss(net, in_shape, masks=masks)
    for name, mask in masks.items():
        for i in range(mask.numel()):
            cut = {key: each.clone() for key, each in masks.items()}
            cut[name].view(-1)[i] = False
            found = float(loss[name].flatten()[i])
            rest = paths.trace(net, in_shape, masks=cut)
            assert found == pytest.approx(whole - rest, abs=1e-12 * whole)


@pytest.mark.parametrize("name", NAMES)
def test_signs_of_weights_do_not_change_any_sum(name):
    net, in_shape = make(name)
    before = paths.edge_sums(net, in_shape)
    top = paths.eigenvalues(net, in_shape).values
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.view(-1)[::2] *= -1
    after = paths.edge_sums(net, in_shape)
    for key in ("sf", "d", "t"):
        assert close(flat(getattr(after, key)), flat(getattr(before, key)), 1e-12)
    assert close(paths.eigenvalues(net, in_shape).values, top, 1e-12)


def test_a_step_against_the_gradient_moves_logits_by_the_kernel():
    name = "mlp_bias"
    net, in_shape, found, jacobian, _ = known(name)
    x, g = inputs(name), torch.linspace(-1, 1, 6, dtype=torch.float64)
    activations, parameters = found.activations(x), found.by_name()
    gradient = jacobian.T @ (activations.T @ g)
    left = []
    for eta in (1e-3, 5e-4, 2.5e-4):
        moved = found.theta - eta * gradient
        sizes = [p.numel() for p in parameters.values()]
        there = {
            key: part.view(parameters[key].shape)
            for key, part in zip(parameters, moved.split(sizes), strict=True)
        }
        probe = make(name)[0]
        probe.load_state_dict(there)
        gates = path_references.Enumerator(probe, in_shape).activations(x)
        assert torch.equal(gates, activations)  # no gate changed
        step = functional_call(net, there, (x,)).flatten() - net(x).flatten()
        rest = step.detach() + eta * activations @ jacobian @ gradient
        left.append(float(rest.norm()))
    assert left[0] / left[1] == pytest.approx(4, abs=0.1)
    assert left[1] / left[2] == pytest.approx(4, abs=0.1)
