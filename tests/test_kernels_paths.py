"""Path algebra: sums without enumeration against loops over all paths."""

import path_references
import pytest
import torch
from path_references import flat, inputs, known, make, some_masks
from references import close, same, snapshot

from paicore import Masks
from paicore.kernels import paths

NAMES = list(path_references.MAKERS)
UNBIASED = ["mlp", "strided"]


def listed(constants, members, sources, outputs):
    rounded = [round(float(c), 12) for c in constants]
    return sorted(zip(outputs, members, sources, rounded, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_enumeration_lists_the_paths_that_explicit_loops_find(name):
    net, in_shape, found, _, pi = known(name)
    ours = paths.enumerate(net, in_shape)
    theirs = [path for _, path in found.paths]
    assert listed(
        ours.constants, ours.members, ours.sources.tolist(), ours.outputs.tolist()
    ) == listed(
        [p.constant for p in theirs],
        [p.members for p in theirs],
        [p.source for p in theirs],
        [k for k, _ in found.paths],
    )
    assert len(ours) == len(pi) == paths.count(net, in_shape)


@pytest.mark.parametrize(
    ("name", "n"), [("mlp", 120), ("mlp_bias", 158), ("strided", 1352)]
)
def test_number_of_paths_is_the_closed_form(name, n):
    net, in_shape, *_ = known(name)
    assert paths.count(net, in_shape) == n
    # without its 5 * 3 * 2 + 3 * 2 + 2 bias paths
    assert paths.count(net, in_shape, bias="zero") == n - 38 * (name == "mlp_bias")


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_activations_times_path_products(name):
    net, in_shape, found, _, pi = known(name)
    x = inputs(name)
    logits = net(x).detach().flatten()
    assert float(logits.view(len(x), -1).std(0).min()) > 1e-3  # no dead network
    ours = paths.enumerate(net, in_shape)
    assert close(ours.activations(x) @ ours.products(), logits, 1e-12)
    assert close(found.activations(x) @ pi, logits, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_tangent_kernel_is_j_pi_j(name):
    net, in_shape, found, jacobian, _ = known(name)
    x = inputs(name)
    kernel, direct = path_references.tangent_kernel(net, found.by_name(), x)
    activations = found.activations(x)
    assert close(activations @ jacobian, direct, 1e-12)
    assert close(activations @ (jacobian @ jacobian.T) @ activations.T, kernel, 1e-12)
    ours = paths.enumerate(net, in_shape)
    a, pi_kernel = ours.activations(x), ours.kernel()
    assert close(a @ pi_kernel @ a.T, kernel, 1e-12)
    assert close((pi_kernel @ a.T * a.T).sum(), kernel.trace(), 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("masked", [False, True])
def test_sums_equal_the_enumeration(name, masked):
    net, in_shape, found, jacobian, pi = known(name)
    masks = some_masks(net, 1) if masked else None
    if masked:
        found = path_references.Enumerator(net, in_shape, masks)
        jacobian, pi = found.jacobian(), found.products()
    through = found.membership().T
    sums = paths.edge_sums(net, in_shape, masks=masks)
    assert close(flat(sums.sf), through @ pi.abs(), 1e-12)
    assert close(flat(sums.d), through @ pi**2, 1e-12)
    assert close(flat(sums.t), (jacobian**2).sum(0), 1e-12)
    exact = float((jacobian**2).sum())
    assert paths.trace(net, in_shape, masks=masks) == pytest.approx(exact, rel=1e-12)
    for q in (1, 2):
        expected = (pi.abs() ** q).sum() ** (1 / q)
        assert paths.norm(net, in_shape, q=q, masks=masks) == pytest.approx(
            float(expected), rel=1e-12
        )


@pytest.mark.parametrize("name", NAMES)
def test_input_weights_weigh_paths_by_their_source(name):
    net, in_shape, found, jacobian, pi = known(name)
    weights = inputs(name)[0].abs()
    per_path = torch.cat([weights.flatten(), torch.ones(1).double()])[
        [path.source for _, path in found.paths]
    ]
    sums = paths.edge_sums(net, in_shape, input_weights=weights)
    assert close(flat(sums.sf), found.membership().T @ (pi.abs() * per_path), 1e-12)
    assert close(flat(sums.t), (jacobian**2).T @ per_path, 1e-12)
    total = paths.norm(net, in_shape, q=2, input_weights=weights) ** 2
    assert total == pytest.approx(float(pi**2 @ per_path), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_zero_bias_keeps_the_paths_that_start_at_an_input(name):
    net, in_shape, found, jacobian, _ = known(name)
    from_input = torch.tensor([path.source >= 0 for _, path in found.paths])
    expected = (jacobian[from_input] ** 2).sum(0)
    sums = paths.edge_sums(net, in_shape, bias="zero")
    for key, each in sums.t.items():
        start = found.names[key]
        assert close(each.flatten(), expected[start : start + each.numel()], 1e-12)
    assert not any(key.endswith("bias") for key in sums.t)
    total = paths.trace(net, in_shape, bias="zero")
    assert total == pytest.approx(float(expected.sum()), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_prunable_traces_leave_out_the_shares_of_biases(name):
    net, in_shape, *_ = known(name)
    t = paths.edge_sums(net, in_shape).t
    weights = sum(float(t[key].sum()) for key in Masks.dense(net))
    assert paths.trace(net, in_shape, params="prunable") == pytest.approx(weights)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_zero_bias_still_counts_what_its_biases_add(name):
    net, in_shape = make(name)
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.endswith("bias"):
                parameter.zero_()
    jacobian = path_references.Enumerator(net, in_shape).jacobian()
    sums = paths.edge_sums(net, in_shape)
    assert close(flat(sums.t), (jacobian**2).sum(0), 1e-12)
    assert close(paths.gram(net, in_shape), jacobian.T @ jacobian, 1e-12)
    if name not in UNBIASED:
        assert any((sums.d[k] == 0).all() and (sums.t[k] > 0).all() for k in sums.t)


@pytest.mark.parametrize("name", ["mlp_bias", "normed_moved"])
def test_nothing_of_the_network_changes(name):
    net, in_shape = make(name)
    net.train()
    x, before = inputs(name), snapshot(net)
    kept = x.clone()
    paths.edge_sums(net, in_shape)
    paths.rank(net, in_shape)
    paths.gated_sums(net, x)
    paths.enumerate(net, in_shape).activations(x)
    paths.eigenvalues(net, in_shape, top=2)
    assert same(before, snapshot(net))
    assert torch.equal(x, kept)
    assert vars(x) == {}
