"""Everything that is read off the kernel without building it."""

import cases
import kernel_references as reference
import pytest
import torch
from references import close

from paicore import Masks, seeds
from paicore.kernels import ntk
from paicore.kernels.ntk.spectrum import extremes

NAMES = ("mlp_bias", "lenet5", "resnet8_bn", "twice_called", "functional_relu")
SMALL = 20_000  # bytes; several blocks
COMBINATIONS = [
    (name, mode)
    for name in NAMES
    for mode in (("eval", "frozen", "train") if "mlp" not in name else (None,))
    if name != "lenet5" or mode == "eval"
]


def options_of(name, mode, density=0.5):
    c = cases.case(name, n=5)
    normed = any(isinstance(m, reference.NORMS) for m in c.net.modules())
    masks = cases.some_masks(c, density)
    return c, {"masks": masks, "batch_norm": mode if normed else None}


def flat(kernel):
    n, m, k, _ = kernel.shape
    return kernel.transpose(1, 2).reshape(n * k, m * k)


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_trace_norm_and_distance_equal_those_of_the_reference(name, mode):
    c, options = options_of(name, mode)
    kernel = reference.gram(c.net, c.x, **options)
    dense = reference.gram(c.net, c.x, batch_norm=options["batch_norm"])
    for bound in (SMALL, 1 << 30):
        given = {**options, "max_bytes": bound}
        assert close(ntk.trace(c.net, c.x, **given), flat(kernel).trace())
        assert close(ntk.frobenius(c.net, c.x, **given), kernel.norm())
        apart = ntk.distance(c.net, c.net, c.x, **given)
        assert close(apart, (kernel - dense).norm())
        share = ntk.distance(c.net, c.net, c.x, relative=True, **given)
        assert close(share, (kernel - dense).norm() / dense.norm())


@pytest.mark.parametrize("outputs", ["class", "sum"])
def test_norms_per_class_and_summed_equal_those_of_the_reference(outputs):
    c, options = options_of("lenet5", None)
    x2 = c.x[:3] * 0.5
    kernel = reference.gram(c.net, c.x, x2, outputs=outputs, **options)
    dense = reference.gram(c.net, c.x, x2, outputs=outputs)
    axes = (0, 1)
    for bound in (SMALL, 1 << 30):
        given = {**options, "outputs": outputs, "max_bytes": bound}
        assert close(ntk.frobenius(c.net, c.x, x2, **given), kernel.norm(dim=axes))
        apart = ntk.distance(c.net, c.net, c.x, x2, **given)
        assert close(apart, (kernel - dense).norm(dim=axes))
    square = reference.gram(c.net, c.x, outputs=outputs, **options)
    trace = ntk.trace(c.net, c.x, outputs=outputs, **options)
    assert close(trace, torch.einsum("nn...->...", square))
    assert close(ntk.frobenius(c.net, c.x, outputs=outputs, max_bytes=SMALL, **options),
                 square.norm(dim=axes))  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_matvec_equals_the_product_with_the_reference(name, mode):
    c, options = options_of(name, mode)
    g = seeds.generator(5, "matvec")
    x2 = c.x[:3] * 0.5
    for other, size in ((None, 5), (x2, 3)):
        kernel = reference.gram(c.net, c.x, other, **options)
        v = torch.randn(2, size, 3, generator=g, dtype=torch.float64)
        expected = torch.einsum("nmcd,rmd->rnc", kernel, v)
        for bound in (1, 1 << 30):
            found = ntk.matvec(c.net, c.x, v, other, max_bytes=bound, **options)
            assert close(found, expected)
        assert close(ntk.matvec(c.net, c.x, v[1], other, **options), expected[1])


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_eigenvalues_are_those_of_the_reference_all_or_the_largest(name, mode):
    c, options = options_of(name, mode)
    kernel = reference.gram(c.net, c.x, **options)
    per_class = torch.einsum("nmcc->cnm", kernel)
    for outputs, matrix in (
        ("full", flat(kernel)), ("class", per_class), ("sum", per_class.sum(0)),
    ):  # fmt: skip
        expected = torch.linalg.eigvalsh(matrix).flip(-1)
        found = ntk.eigenvalues(c.net, c.x, outputs=outputs, **options)
        assert close(found, expected)
        top = ntk.eigenvalues(c.net, c.x, top=3, outputs=outputs, **options)
        assert close(top, expected[..., :3])


def test_eigenvalues_of_a_float32_kernel_are_float64():
    c = cases.case("lenet5", n=5)
    options = {"dtype": None}
    expected = ntk.eigenvalues(c.net, c.x)
    for top in (None, 4):
        found = ntk.eigenvalues(c.net.float(), c.x.float(), top=top, **options)
        assert found.dtype == torch.float64
        assert close(found, expected[:top], 1e-4)


def test_repeated_eigenvalues_are_found_as_often_as_they_occur():
    # with every weight pruned only the last biases are left: K is a block of ones for
    # each output, so the largest eigenvalue, n, occurs k times
    c = cases.case("mlp_bias", n=5)
    masks = {n: torch.zeros_like(m) for n, m in Masks.dense(c.net).items()}
    found = ntk.eigenvalues(c.net, c.x, top=4, masks=masks)
    expected = torch.tensor([5.0, 5.0, 5.0, 0.0], dtype=torch.float64)
    assert float((found - expected).abs().max()) < 1e-12


def known_matrix(size=80):
    g = seeds.generator(6, "matrix")
    basis, _ = torch.linalg.qr(
        torch.randn(size, size, generator=g, dtype=torch.float64)
    )
    values = torch.logspace(3, -3, size, dtype=torch.float64)
    return basis * values @ basis.T, values


@pytest.mark.parametrize(("top", "bottom"), [(1, 0), (4, 0), (0, 2), (3, 1)])
def test_lanczos_values_lie_within_their_residuals(top, bottom):
    matrix, values = known_matrix()
    found = extremes(
        lambda v: matrix @ v, size=80, top=top, bottom=bottom, tolerance=1e-9,
        steps=None, generator=seeds.generator(0), device="cpu",
    )  # fmt: skip
    expected = torch.cat([values[:top], values[80 - bottom :]])
    gaps = (found.values - expected).abs()
    assert torch.all(gaps <= found.residuals + 1e-10)
    assert torch.all(found.residuals <= 1e-9 * found.values.max())


def test_lanczos_stops_early_and_its_residuals_say_how_far_it_came():
    matrix, values = known_matrix()
    options = {"size": 80, "top": 2, "bottom": 0, "tolerance": 1e-9, "device": "cpu"}
    runs = {
        steps: extremes(lambda v: matrix @ v, steps=steps,
                        generator=seeds.generator(0), **options)
        for steps in (6, None)
    }  # fmt: skip
    assert runs[6].products == 6 < runs[None].products < 80
    assert float(runs[6].residuals.max()) > float(runs[None].residuals.max())
    for each in runs.values():
        nearest = (each.values[:, None] - values).abs().min(1).values
        assert torch.all(nearest <= each.residuals + 1e-10)


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_trace_estimates_lie_within_their_standard_error(method):
    c, options = options_of("lenet5", None)
    exact = float(ntk.trace(c.net, c.x, **options))
    scores = []
    for seed in range(8):
        found = ntk.trace_estimate(
            c.net, c.x, probes=24, method=method, generator=seeds.generator(seed),
            **options,
        )  # fmt: skip
        assert found.standard_error > 0 or found.value == pytest.approx(exact)
        if found.standard_error:
            scores.append((found.value - exact) / found.standard_error)
    assert all(abs(score) < 5 for score in scores)
    mean = sum(scores) / max(len(scores), 1)
    assert abs(mean) < 4 / max(len(scores), 1) ** 0.5


def test_hutchinson_estimates_are_unbiased_and_their_spread_is_their_error():
    c, options = options_of("mlp_bias", None)
    exact = float(ntk.trace(c.net, c.x, **options))
    found = ntk.trace_estimate(
        c.net, c.x, probes=400, method="hutchinson", generator=seeds.generator(0),
        **options,
    )  # fmt: skip
    assert abs(found.value - exact) < 4 * found.standard_error
    matrix = flat(reference.gram(c.net, c.x, **options))
    off = matrix - torch.diag(matrix.diagonal())
    spread = float((2 * off.square().sum() / 400).sqrt())  # of random signs
    assert found.standard_error == pytest.approx(spread, rel=0.25)


def test_hutch_plus_plus_is_exact_where_the_sketch_spans_the_kernel():
    c, options = options_of("mlp_bias", None)
    exact = float(ntk.trace(c.net, c.x, **options))
    found = ntk.trace_estimate(c.net, c.x, probes=60, generator=seeds.generator(0),
                               **options)  # fmt: skip
    assert found.value == pytest.approx(exact, rel=1e-12)
    assert found.standard_error == 0


def test_distance_estimates_lie_within_their_standard_error():
    c, options = options_of("lenet5", None)
    x2 = c.x[:3] * 0.5
    exact = float(ntk.distance(c.net, c.net, c.x, x2, **options))
    found = ntk.distance_estimate(
        c.net, c.net, c.x, x2, probes=300, generator=seeds.generator(0), **options
    )
    assert 0 < found.standard_error < 0.1 * exact
    assert abs(found.value - exact) < 4 * found.standard_error
    same = ntk.distance_estimate(
        c.net, c.net, c.x, probes=2, generator=seeds.generator(0),
        other_masks=options["masks"], **options,
    )  # fmt: skip
    assert same == (0.0, 0.0)
