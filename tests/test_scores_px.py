"""PX against enumeration: where the data enter, and where they drop out."""

import cases
import path_references
import pytest
import torch
from cases import some_masks
from references import close

from paicore import Masks, prune, seeds
from paicore.scores import px, synflow_l2


def inputs(in_shape, n=4):
    g = seeds.generator(2, "px")
    return torch.randn(n, *in_shape, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("name", ["mlp", "strided", "pooled", "residual"])
def test_exact_is_the_diagonal_of_the_label_logits_kernel(name):
    net, in_shape = path_references.make(name)
    x, y = inputs(in_shape), torch.tensor([0, 1, 1, 0])
    expected = {n: torch.zeros_like(p) for n, p in net.named_parameters()}
    for sample, label in zip(x, y, strict=True):
        net.zero_grad()
        net.eval()(sample[None])[0, label].backward()
        for n, p in net.named_parameters():
            expected[n] += (p.detach() * p.grad) ** 2
    found = px(net, Masks.dense(net), (x, y), variant="exact", batch_size=3)
    assert all(close(found[n], expected[n], 1e-12) for n in found)


@pytest.mark.parametrize("name", ["mlp", "strided", "averaged", "pooled"])
def test_with_a_classifier_of_ones_the_data_drop_out_and_d_is_left(name):
    net, in_shape = path_references.make(name)
    dense, x = Masks.dense(net), inputs(in_shape)
    found = px(net, dense, (x, None), classifier="ones")
    d = synflow_l2(net, dense, (x, None), variant="D")
    ratios = torch.cat([(found[n] / d[n]).flatten() for n in dense])
    assert close(ratios, torch.full_like(ratios, float(ratios[0])), 1e-12)
    other = px(net, dense, (inputs(in_shape, 2) + 1, None), classifier="ones")
    ratios = torch.cat([(other[n] / d[n]).flatten() for n in dense])
    assert close(ratios, torch.full_like(ratios, float(ratios[0])), 1e-12)


def test_official_is_its_two_networks_written_out():
    c = cases.case("mlp")
    masks = some_masks(c)
    w1, w2, w3 = [
        (w.detach() * masks[n]) for n, w in c.net.named_parameters() if w.ndim == 2
    ]
    m1, m2 = [m.double() for m in list(masks.values())[:2]]
    x = c.x.flatten(1)
    h1 = x @ w1.T
    h2 = h1.relu() @ w2.T
    ones = ((x**2 @ m1.T) * (h1 > 0)) @ m2.T * (h2 > 0)  # (n, hidden)
    first = (ones @ w3.detach().T).sum(0)  # (k,)
    s1, s2, last = [t.clone().requires_grad_() for t in (w1**2, w2**2, w3)]
    second = last @ (s2 @ (s1 @ torch.ones(6, dtype=torch.float64)))
    slopes = torch.autograd.grad(first @ second, (s1, s2, last))
    expected = [
        w.detach() ** 2 * g.abs() for w, g in zip((w1, w2, w3), slopes, strict=True)
    ]
    found = px(c.net, masks, (c.x, None), batch_size=4)
    for score, value in zip(found.values(), expected, strict=True):
        assert close(score, value, 1e-12)


def test_the_kept_classifier_lets_the_data_in():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)

    def direction(x, **options):
        found = px(c.net, dense, (x, None), **options)
        flat = torch.cat([each.flatten() for each in found.values()])
        return flat / flat.norm()

    assert float((direction(c.x) - direction(c.x[:2])).norm()) > 1e-3
    same = direction(c.x, classifier="ones") - direction(c.x[:2], classifier="ones")
    assert float(same.norm()) < 1e-12


@pytest.mark.parametrize("variant", ["official", "exact"])
def test_px_prunes_a_residual_network_to_the_exact_count(variant):
    c = cases.case("resnet8_bn")
    masks = prune(c.net, "px", density=0.2, batch=(c.x, c.y), rounds=3, variant=variant)
    assert masks.kept == int(0.2 * masks.total + 0.5)


@pytest.mark.parametrize(
    ("options", "y", "says"),
    [
        ({"variant": "b"}, None, "variant: expected 'official' or 'exact', got 'b'"),
        ({"classifier": "fc"}, None, "classifier: expected 'kept' or 'ones'"),
        ({"variant": "exact"}, None, "needs labels"),
        ({"variant": "exact"}, torch.full((6,), 7), "expected labels 0 to 2"),
        ({"batch_size": 0}, None, "batch_size: expected at least 1"),
    ],
)
def test_bad_options_are_refused_by_name(options, y, says):
    c = cases.case("mlp")
    with pytest.raises(ValueError, match=says):
        px(c.net, Masks.dense(c.net), (c.x, y), **options)
