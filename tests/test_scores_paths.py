"""SynFlow-L2 and its kin against enumeration, conservation and published forms."""

from itertools import pairwise

import cases
import path_references
import pytest
import references
import torch
from cases import some_masks
from references import close

from paicore import Masks, data, nets, prune, seeds
from paicore.kernels import paths
from paicore.scores import gated_l2, synflow, synflow_dist, synflow_l2

NETS = ["mlp", "mlp_bias", "strided", "averaged", "pooled", "normed_moved", "residual"]
VARIANTS = "ABCDE"


def made(name):
    net, in_shape = path_references.make(name)
    return net, Masks.dense(net), torch.zeros(1, *in_shape)


def enumerated(name, weights=None):
    """SF and D of every parameter over the enumerated paths that begin at inputs."""
    net, in_shape = path_references.make(name)
    found = path_references.Enumerator(net, in_shape)
    products, members = found.products().abs(), found.membership()
    return net, members.T @ products, members.T @ products**2


def split(flat, net):
    parts = flat.split([p.numel() for p in net.parameters()])
    pairs = zip(net.named_parameters(), parts, strict=True)
    return {name: part.view(p.shape) for (name, p), part in pairs}


@pytest.mark.parametrize("name", ["mlp", "strided", "averaged", "pooled"])
def test_each_variant_is_its_closed_form_over_enumerated_paths(name):
    net, sf, d = enumerated(name)
    sf, d = split(sf, net), split(d, net)
    dense, x = Masks.dense(net), torch.zeros(1, *path_references.make(name)[1])
    forms = {
        "A": lambda n, w: sf[n] * w.abs(),
        "B": lambda n, w: sf[n] ** 2,
        "C": lambda n, w: d[n] / w.abs(),
        "D": lambda n, w: d[n],
    }
    for variant, form in forms.items():
        scores = synflow_l2(net, dense, (x, None), variant=variant, bias="keep")
        for weight, score in scores.items():
            w = net.get_parameter(weight).detach()
            assert close(score, form(weight, w), 1e-12), (variant, weight)


def test_e_is_the_trace_that_deleting_one_weight_costs():
    net, dense, x = made("mlp")
    scores = synflow_l2(net, dense, (x, None), variant="E")
    in_shape = tuple(x.shape[1:])
    whole = paths.trace(net, in_shape, params="prunable", bias="zero")
    for name, mask in dense.items():
        for i in range(mask.numel()):
            fewer = {n: m.clone() for n, m in dense.items()}
            fewer[name].view(-1)[i] = False
            left = paths.trace(
                net, in_shape, masks=fewer, params="prunable", bias="zero"
            )
            assert abs(float(scores[name].flatten()[i]) - (whole - left)) < 1e-10


def test_d_and_e_are_conserved_by_every_hidden_unit_and_a_and_c_are_not():
    c = cases.case("mlp")

    def mismatch(variant):
        found = synflow_l2(c.net, some_masks(c), (c.x, None), variant=variant)
        pairs = pairwise(found.values())
        return max(float((a.sum(1) - b.sum(0)).abs().max()) for a, b in pairs)

    # E sums over the paths through a weight what each adds to the trace.
    assert all(mismatch(variant) < 1e-12 for variant in "DE")
    assert all(mismatch(variant) > 1e-3 for variant in "AC")


def test_only_b_and_d_do_not_notice_a_rescaling_of_hidden_units():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)

    def scores():
        return {v: synflow_l2(c.net, dense, (c.x, None), variant=v) for v in VARIANTS}

    before = scores()
    first, second = list(references.layers(c.net).values())[:2]
    with torch.no_grad():
        factor = torch.linspace(0.1, 10, len(first), dtype=torch.float64)
        first.mul_(factor[:, None])
        second.div_(factor)
    after = scores()
    same = {
        v: all(close(after[v][n], before[v][n], 1e-10) for n in dense) for v in VARIANTS
    }
    assert same == {"A": False, "B": True, "C": False, "D": True, "E": False}


@pytest.mark.parametrize("name", ["lenet5", "mlp", "vgg11"])
def test_b_gives_the_masks_of_synflow_where_max_pooling_stays_or_is_not(name):
    if name == "vgg11":
        g = seeds.generator(0, "b")
        net = nets.build("vgg11", in_shape=(3, 32, 32), width=8, generator=g)
        x = torch.zeros(2, 3, 32, 32)
    else:
        c = cases.case(name)
        net, x = c.net, c.x
    options = {"density": 0.1, "batch": (x, None), "rounds": 5}
    synflows = prune(net, "synflow", **options)
    for mode in ("authors", "exact"):
        masks = prune(net, "synflow_l2", variant="B", mode=mode, **options)
        same = all(torch.equal(masks[n], synflows[n]) for n in masks)
        if mode == "authors" or name == "mlp":
            assert same
        elif name == "vgg11":  # max pooling counts its whole window, SynFlow's does not
            assert not same


def test_the_authors_mode_keeps_the_maximum_of_max_pooling():
    c = cases.case("lenet5")
    dense = Masks.dense(c.net)
    x = (c.x, None)
    published = synflow_dist(
        c.net, dense, x, input_weights=torch.ones(c.in_shape), mode="authors"
    )
    own = synflow(c.net, dense, x)
    assert all(close(published[n], own[n], 1e-12) for n in dense)
    exact = synflow_l2(c.net, dense, x, variant="D")
    authors = synflow_l2(c.net, dense, x, variant="D", mode="authors")
    first = next(iter(dense))
    assert float(exact[first].sum()) > 2 * float(authors[first].sum())


def test_average_pooling_inflates_the_authors_slopes_by_its_window():
    net, dense, x = made("averaged")
    exact = synflow_l2(net, dense, (x, None), variant="D")
    authors = synflow_l2(net, dense, (x, None), variant="D", mode="authors")
    ratios = torch.cat([(authors[n] / exact[n]).flatten() for n in dense])
    assert close(ratios, torch.full_like(ratios, float(ratios[0])), 1e-12)
    assert float(ratios[0]) == pytest.approx(round(float(ratios[0])), rel=1e-12)
    assert ratios[0] > 1.5


def test_biases_left_out_cannot_be_seen():
    net, dense, x = made("mlp_bias")
    with_biases = synflow_l2(net, dense, (x, None))
    assert any(
        not close(a, b, 1e-6)
        for a, b in zip(
            with_biases.values(),
            synflow_l2(net, dense, (x, None), bias="keep").values(),
            strict=True,
        )
    )
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("bias"):
                p.zero_()
    without = synflow_l2(net, dense, (x, None), bias="keep")
    assert all(close(with_biases[n], without[n], 1e-12) for n in dense)


def test_dist_weights_each_path_by_its_input():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)
    weights = torch.linspace(0, 1, 6, dtype=torch.float64).view(c.in_shape)
    scores = synflow_dist(c.net, dense, (c.x, None), input_weights=weights)
    state = weights.flatten()
    matrices = [p.detach().abs() for p in c.net.parameters() if p.ndim == 2]
    after = torch.ones(len(matrices[-1]), dtype=torch.float64)
    for matrix in reversed(matrices[1:]):
        after = matrix.T @ after
    expected = matrices[0] * after[:, None] * state  # SF of the first layer
    assert close(next(iter(scores.values())), expected, 1e-12)
    assert not next(iter(scores.values()))[:, 0].any()


def test_the_three_statistics_are_moments_of_the_raw_inputs():
    c = cases.case("mlp")
    x = c.x.abs()
    dense = Masks.dense(c.net)
    by_hand = {
        "mean": x.mean(0),
        "mean_sq": x.mean(0) ** 2,
        "second_moment": (x**2).mean(0),
    }
    for statistic, weights in by_hand.items():
        found = synflow_dist(c.net, dense, (x, None), statistic=statistic, variant="D")
        given = synflow_dist(
            c.net, dense, (x, None), input_weights=weights, variant="D"
        )
        assert all(close(found[n], given[n], 1e-14) for n in dense)


def test_dist_keeps_nothing_on_pixels_that_are_always_black():
    digits = data.load("digits")
    g = seeds.generator(0, "dist")
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 20), torch.nn.ReLU(),
        torch.nn.Linear(20, 10),
    )  # fmt: skip
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=g)
    mean = data.mean_image(digits)
    masks = prune(net, "synflow_dist", density=0.3, batch=(mean[None], None))
    black = mean.flatten() == 0
    assert black.any()
    assert not masks["1.weight"][:, black].any()


@pytest.mark.parametrize("name", ["mlp", "strided", "pooled", "residual"])
def test_gated_l2_is_the_sum_over_open_paths(name):
    net, in_shape = path_references.make(name)
    g = seeds.generator(1, "gated", name)
    x = torch.randn(3, *in_shape, generator=g, dtype=torch.float64)
    found = path_references.Enumerator(net, in_shape)
    jacobian, activations = found.jacobian(), found.activations(x)
    expected = split((activations**2).sum(0) @ jacobian**2, net)
    scores = gated_l2(net, Masks.dense(net), (x, None))
    for weight, score in scores.items():
        w = net.get_parameter(weight).detach()
        assert close(score, expected[weight] * w**2, 1e-12)


@pytest.mark.parametrize("score", [synflow_l2, synflow_dist, gated_l2])
def test_a_pruned_weight_scores_zero_whatever_stands_there(score):
    c = cases.case("mlp")
    masks = some_masks(c)
    with torch.no_grad():
        for name, mask in masks.items():
            c.net.get_parameter(name)[~mask] = 1e9
    scores = score(c.net, masks, (c.x.abs(), None))
    for name, mask in masks.items():
        assert torch.isfinite(scores[name]).all()
        assert not scores[name][~mask].any()
        assert scores[name][mask].any()


@pytest.mark.parametrize(
    ("score", "options", "says"),
    [
        (synflow_l2, {"variant": "F"}, "variant: expected 'A' to 'E', got 'F'"),
        (synflow_l2, {"variant": "E", "mode": "authors"}, "mode: expected 'exact'"),
        (synflow_l2, {"mode": "fast"}, "mode: expected 'exact' or 'authors'"),
        (synflow_l2, {"bias": "abs"}, "bias: expected 'keep' or 'zero'"),
        (synflow_dist, {"variant": "E"}, "variant: expected one of"),
        (synflow_dist, {"statistic": "median"}, "statistic: expected one of"),
        (synflow_dist, {}, "un-normalised"),
        (synflow_dist, {"input_weights": -torch.ones(1, 2, 3)}, "input_weights"),
        (synflow_dist, {"input_weights": torch.ones(3)}, "input_weights: expected sh"),
        (
            synflow_dist,
            {"input_weights": torch.ones(1, 2, 3), "statistic": "mean_sq"},
            "statistic: expected 'mean' with input_weights",
        ),
    ],
)
def test_bad_options_are_refused_by_name(score, options, says):
    c = cases.case("mlp")
    before = [p.clone() for p in c.net.parameters()]
    with pytest.raises(ValueError, match=says):
        score(c.net, Masks.dense(c.net), (c.x - 3, None), **options)
    assert all(
        torch.equal(a, b) for a, b in zip(before, c.net.parameters(), strict=True)
    )


def test_a_curved_activation_has_no_path_score():
    c = cases.case("mlp_tanh")
    with pytest.raises(ValueError, match=r"(?i)tanh"):
        synflow_l2(c.net, Masks.dense(c.net), (c.x, None))
