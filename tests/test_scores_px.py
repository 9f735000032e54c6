"""PX against enumeration: where the data enter, and where they drop out."""

import copy

import cases
import path_references
import pytest
import torch
from cases import some_masks
from references import close
from torch import nn
from torch.nn import functional

from paicore import Masks, prune, seeds
from paicore.scores import gated_l2, px, synflow_l2


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
@pytest.mark.parametrize(
    ("pooling", "mode"), [("paths", "exact"), ("native", "authors")]
)
def test_with_a_dense_classifier_of_ones_the_data_drop_out_and_d_is_left(
    name, pooling, mode
):
    net, in_shape = path_references.make(name)
    dense, options = Masks.dense(net), {"classifier": "ones", "pooling": pooling}
    d = synflow_l2(net, dense, (inputs(in_shape), None), variant="D", mode=mode)
    for x in (inputs(in_shape), inputs(in_shape, 2) + 1):
        found = px(net, dense, (x, None), **options)
        ratios = torch.cat([(found[n] / d[n]).flatten() for n in dense])
        assert close(ratios, torch.full_like(ratios, float(ratios[0])), 1e-12)


def test_with_masks_that_empty_classes_unequally_the_classes_are_weighed():
    c = cases.case("mlp")
    masks = some_masks(c)
    w1, w2, w3 = [(w.detach() * masks[n]) for n, w in c.net.named_parameters()
                  if w.ndim == 2]  # fmt: skip
    m1, m2, m3 = [m.double() for m in masks.values()]

    def paths_of(x):
        """How many open paths, weighed by x^2, lead to each class."""
        x = x.flatten(1)
        h1 = x @ w1.T
        h2 = h1.relu() @ w2.T
        ones = ((x**2 @ m1.T) * (h1 > 0)) @ m2.T * (h2 > 0)
        return (ones @ m3.T).sum(0)

    squares = [(w**2).requires_grad_() for w in (w1, w2, w3)]
    out = squares[2] @ (squares[1] @ squares[0].sum(1))  # (k,)
    for x in (c.x, 3 * c.x.flip(0)[:2]):
        found = px(c.net, masks, (x, None), classifier="ones")
        slopes = torch.autograd.grad(out @ paths_of(x), squares, retain_graph=True)
        for score, w, slope in zip(found.values(), (w1, w2, w3), slopes, strict=True):
            assert close(score, w**2 * slope, 1e-12)
    d = synflow_l2(c.net, masks, (c.x, None), variant="D")
    ratios = torch.cat([(found[n] / d[n])[d[n] > 0] for n in d])
    assert ratios.max() > 1.2 * ratios.min()  # no constant times D


def pooled_by_hand(net, x, masks):
    """Official PX with the pooling that the network has, written out."""
    conv1, conv2, last = [p.detach() * masks[n] for n, p in net.named_parameters()]
    ones1, ones2, _ = [m.double() for m in masks.values()]

    def body(x, first, second, gates):
        h = functional.conv2d(x, first, padding=1) * gates[0]
        h = functional.conv2d(functional.max_pool2d(h, 2), second, padding=1)
        return functional.avg_pool2d(h * gates[1], 2).flatten(1)

    h1 = functional.conv2d(x, conv1, padding=1)
    h2 = functional.max_pool2d(h1.relu(), 2)
    h2 = functional.conv2d(h2, conv2, padding=1)
    first = body(x**2, ones1, ones2, (h1 > 0, h2 > 0)) @ last.T
    values = [each.clone().requires_grad_() for each in (conv1**2, conv2**2, last)]
    second = body(torch.ones_like(x[:1]), *values[:2], (1, 1)) @ values[2].T
    slopes = torch.autograd.grad((first * second).sum(), values)
    pairs = zip((conv1, conv2, last), slopes, strict=True)
    return [w**2 * slope.abs() for w, slope in pairs]


def test_official_pools_both_networks_as_the_network_does():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(4, 3, bias=False),
    ).double()  # fmt: skip
    x = inputs((1, 4, 4), 8)
    for masks in (Masks.dense(net), path_references.some_masks(net, 3, 0.8)):
        found = px(net, masks, (x, None))
        expected = pooled_by_hand(net, x, masks)
        for score, value in zip(found.values(), expected, strict=True):
            assert close(score, value, 1e-12)
    ours = px(net, masks, (x, None), pooling="paths")
    assert not close(ours["0.weight"], found["0.weight"], 1e-2)


class HeadFirst(nn.Module):
    """The classifier is registered first and called last."""

    def __init__(self, first):
        super().__init__()
        if first:
            self.head = nn.Linear(8, 3, bias=False)
        self.body = nn.Linear(5, 8, bias=False)
        if not first:
            self.head = nn.Linear(8, 3, bias=False)

    def forward(self, x):
        return self.head(self.body(x).relu())


def test_the_classifier_is_the_layer_called_last_in_whatever_order_it_was_made():
    plain, swapped = HeadFirst(False).double(), HeadFirst(True).double()
    swapped.load_state_dict(plain.state_dict())
    x = inputs((5,), 6)
    scores = [px(net, Masks.dense(net), (x, None)) for net in (plain, swapped)]
    assert all(torch.equal(scores[0][n], scores[1][n]) for n in scores[0])


def test_the_classifier_is_found_where_layers_are_not_called_as_modules():
    plain, net = HeadFirst(False).double(), Functional().double()
    net.load_state_dict(plain.state_dict())
    x = inputs((5,), 6)
    scores = [px(each, Masks.dense(each), (x, None)) for each in (plain, net)]
    assert all(torch.equal(scores[0][n], scores[1][n]) for n in scores[0])


class Functional(HeadFirst):
    """Uses the weights of its layers without calling them."""

    def __init__(self):
        super().__init__(False)

    def forward(self, x):
        hidden = functional.linear(x, self.body.weight).relu()
        return functional.linear(hidden, self.head.weight)


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


def test_biases_open_the_gates_of_official_and_count_in_exact():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    x, y = inputs((4,), 8), torch.arange(8) % 3

    def scores(raised, variant):
        twin = copy.deepcopy(net)
        with torch.no_grad():
            twin[0].bias.add_(raised)
            twin[2].bias.add_(raised)
        found = px(twin, Masks.dense(twin), (x, y), variant=variant)
        return torch.cat([each.flatten() for each in found.values()])

    # by hand: gates with biases, both networks without
    w, last = net[0].weight.detach(), net[2].weight.detach()
    opened = (x**2).sum(1, keepdim=True) * (net[0](x).detach() > 0)
    slope = (opened @ last.T).sum(0) @ last
    assert close(
        scores(0, "official")[:24], (w**2 * slope.abs()[:, None]).ravel(), 1e-12
    )
    # at 100 all gates are open: more bias opens nothing, yet stays in the slopes
    assert not close(scores(0.5, "official"), scores(0, "official"), 1e-2)
    assert close(scores(200, "official"), scores(100, "official"), 1e-12)
    assert not close(scores(200, "exact"), scores(100, "exact"), 1e-2)


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
        ({"pooling": "max"}, None, "pooling: expected 'native' or 'paths', got 'max'"),
        ({"variant": "exact"}, None, "needs labels"),
        ({"variant": "exact"}, torch.full((6,), 7), "expected labels 0 to 2"),
        ({"batch_size": 0}, None, "batch_size: expected at least 1"),
    ],
)
def test_bad_options_are_refused_by_name(options, y, says):
    c = cases.case("mlp")
    with pytest.raises(ValueError, match=says):
        px(c.net, Masks.dense(c.net), (c.x, y), **options)


X = torch.ones(4, 6)
BATCHES = {
    "expected finite inputs": [(X[:0], None), (X * torch.nan, None)],
    "expected a pair": [X, None, (X,)],
    "expected a tensor of inputs": [(X.numpy(), None), (None, None)],
}


@pytest.mark.parametrize("says", list(BATCHES))
def test_batches_that_cannot_be_scored_are_named(says):
    c = cases.case("mlp")
    for batch in BATCHES[says]:
        for score in (px, gated_l2):
            with pytest.raises((ValueError, TypeError), match=f"^batch: {says}"):
                score(c.net, Masks.dense(c.net), batch)


def test_labels_and_masks_that_are_none_are_named():
    c = cases.case("mlp")
    dense, x = Masks.dense(c.net), c.x[:4]
    for y in (torch.zeros(4), torch.zeros(4, 1).long(), torch.zeros(0).long(), [0] * 4):
        with pytest.raises(ValueError, match=r"^batch: expected integer labels \(4,\)"):
            px(c.net, dense, (x, y), variant="exact")
    with pytest.raises(ValueError, match="batch_size: expected at least 1"):
        px(c.net, dense, (x, torch.zeros(4).long()), variant="exact", batch_size=0)
    with pytest.raises(TypeError, match=r"^masks: expected a mapping, got None"):
        px(c.net, None, (x, None))


class Keeper(nn.Module):
    """Its forward pass reads the network that it was made with."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 4), nn.Linear(4, 3)
        self.step = lambda x: functional.linear(x, self.first.weight).relu()

    def forward(self, x):
        return self.last(self.step(x))


@pytest.mark.parametrize("variant", ["official", "exact"])
def test_a_forward_pass_that_reads_the_original_is_refused(variant):
    net, y = Keeper().double(), torch.zeros(4).long()
    with pytest.raises(TypeError, match="reference to the original network"):
        px(net, Masks.dense(net), (X, y), variant=variant)
