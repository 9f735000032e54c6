import copy
import io
import zipfile
from itertools import pairwise

import cases
import numpy as np
import pytest
import references
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paicore import Masks, masks, nets, prune, seeds
from paicore.masks import allocate, densities, layer_quota, select, top_k

# Fixed scores without ties: 14,576 of them, as in the published counts.
SCORES = torch.rand(14576, generator=seeds.generator(0, "rules"), dtype=torch.float64)


def published_masks(scores, d):
    """The published rules, each as its code states it."""
    n = len(scores)
    ascending = scores.sort().values
    k = int((1.0 - d) * n)
    removed = torch.topk(-scores, int(n * (1.0 - d))).values
    return {
        "synflow": scores > torch.kthvalue(scores, k).values,
        "force": scores >= torch.topk(scores, int(n * d)).values[-1],
        # GraSP ranks minus the score and removes from the top
        "grasp": -scores <= removed[-1],
        "phew": torch.from_numpy(
            scores.numpy() > np.percentile(scores.numpy(), 100 * (1.0 - d))
        ),
        "ntt": scores > ascending[int((1.0 - d) * n)],
        "ntt_snip": scores >= ascending[int((1.0 - d) * n)],
        "open_lth": scores > ascending[int(np.ceil((1.0 - d) * n))],
    }


@pytest.mark.parametrize("d", [0.9, 0.5, 0.1, 0.05, 0.031, 0.007])
def test_count_rules_give_the_published_masks_bit_for_bit(d):
    for name, published in published_masks(SCORES, d).items():
        kept = masks.COUNT_RULES[name](len(SCORES), d)
        assert torch.equal(top_k(SCORES, kept), published), name


def test_counts_at_five_percent_are_the_recorded_ones():
    recorded = {
        "exact": 729, "synflow": 729, "force": 728, "grasp": 730, "phew": 729,
        "ntt": 728, "ntt_snip": 729, "open_lth": 727,
    }  # fmt: skip
    assert {n: rule(14576, 0.05) for n, rule in masks.COUNT_RULES.items()} == recorded


def test_ntt_rule_gives_the_kept_counts_of_the_released_runs():
    rule = masks.COUNT_RULES["ntt"]
    assert [rule(n, 0.03) for n in (235200, 30000, 1000)] == [7055, 899, 29]
    assert [rule(n, 0.03) for n in (500, 25000, 400000, 5000)] == [14, 749, 11999, 149]


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5]), min_size=1, max_size=40), st.data()
)
def test_top_k_keeps_exactly_k_and_breaks_ties_by_index(values, data):
    scores = torch.tensor(values, dtype=torch.float64)
    k = data.draw(st.integers(0, len(values)))
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert sorted(torch.nonzero(top_k(scores, k)).flatten().tolist()) == sorted(
        order[:k]
    )


@pytest.mark.parametrize("kind", ["distinct", "ties", "sorted", "spikes"])
def test_kth_smallest_of_many_equals_a_full_selection(kind):
    g = seeds.generator(3, kind)
    scores = torch.rand(3 * select.SMALL, generator=g, dtype=torch.float64)
    if kind == "ties":
        scores = (scores * 7).round()
    if kind == "sorted":
        scores = scores.sort().values
    if kind == "spikes":
        scores[:: len(scores) // 4096] = 1e30  # the strided sample sees only these
    for k in (1, 2, 500, len(scores) // 2, len(scores) - 1, len(scores)):
        assert select.kth_smallest(scores, k) == torch.kthvalue(scores, k).values


def test_top_k_refuses_nan_and_wrong_counts():
    with pytest.raises(ValueError, match="1 of 3 are NaN"):
        top_k(torch.tensor([0.0, float("nan"), 1.0]), 1)
    infinite = torch.tensor([float("inf"), 0.0, float("-inf")])  # their sum is NaN
    assert top_k(infinite, 1).tolist() == [True, False, False]
    with pytest.raises(ValueError, match=r"k: expected 0 to 2, got 3"):
        top_k(torch.zeros(2), 3)


@pytest.mark.parametrize("density", [1.0, 0.5, 0.1, 0.013, 1 / 270896])
def test_all_equal_scores_keep_exactly_the_count_on_resnet20(density):
    net = nets.build(
        "resnet20", in_shape=(3, 32, 32), generator=seeds.generator(0, "tie")
    )

    def flat(net, masks, batch, *, generator):
        return {n: torch.ones(m.shape, dtype=torch.float64) for n, m in masks.items()}

    found = prune(net, flat, density=density)
    assert found.total == 270896
    assert found.kept == int(np.floor(270896 * density + 0.5))


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.floats(0.02, 1.0),
    st.data(),
)
def test_global_and_quota_counts_are_exact(widths, density, data):
    sizes = [1, *widths]
    net = nn.Sequential(*[nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)])
    total = sum(w.numel() for w in references.layers(net).values())
    wanted = int(np.floor(total * density + 0.5))
    scope = data.draw(st.sampled_from(["global", "uniform", "er", "erk"]))
    generator = seeds.generator(0, "counts")
    if wanted == 0:
        with pytest.raises(ValueError, match="density"):
            prune(net, "random", density=density, scope=scope, generator=generator)
    else:
        kept = prune(net, "random", density=density, scope=scope, generator=generator)
        assert kept.kept == wanted


def test_global_equals_layerwise_for_one_layer():
    net = nn.Linear(30, 20)
    one = prune(net, "magnitude", density=0.1, scope="global")
    assert one == prune(net, "magnitude", density=0.1, scope="layerwise")


def test_erk_densities_follow_the_formula_and_full_layers_share_the_rest():
    shapes = {
        "a": torch.Size((64, 3, 3, 3)),
        "b": torch.Size((128, 64, 3, 3)),
        "c": torch.Size((10, 128)),
    }
    quota = layer_quota(shapes, "erk", 0.2)
    assert quota["a"] == quota["c"] == 1.0
    total = sum(s.numel() * quota[n] for n, s in shapes.items())
    assert total == pytest.approx(0.2 * sum(s.numel() for s in shapes.values()))
    small = layer_quota(shapes, "erk", 0.005)
    ratio = small["b"] / small["c"]
    expected = ((128 + 64 + 3 + 3) / (128 * 64 * 9)) / ((10 + 128) / (10 * 128))
    assert ratio == pytest.approx(expected, rel=1e-12)
    er = layer_quota(shapes, "er", 0.001)
    assert er["b"] / er["c"] == pytest.approx(((128 + 64) / (128 * 64)) / (138 / 1280))


def test_uniform_plus_keeps_the_first_convolution_and_a_fifth_of_the_last():
    shapes = {
        "conv": torch.Size((8, 1, 3, 3)),
        "mid": torch.Size((50, 72)),
        "last": torch.Size((10, 50)),
    }
    quota = layer_quota(shapes, "uniform_plus", 0.1)
    assert quota["conv"] == 1.0 and quota["last"] == 0.2
    total = sum(s.numel() * quota[n] for n, s in shapes.items())
    assert total == pytest.approx(0.1 * (72 + 3600 + 500))
    with pytest.raises(ValueError, match="density"):
        layer_quota(shapes, "uniform_plus", 0.01)


@pytest.mark.parametrize("density", [0.44, 0.46, 0.5, 0.2, 0.19, 0.9])
def test_uniform_plus_never_takes_the_last_layer_below_a_fifth(density):
    shapes = {
        "conv": torch.Size((64, 3, 3, 3)),
        "mid": torch.Size((20, 100)),
        "last": torch.Size((10, 20)),
    }
    if density * 3928 < 1728 + 40:
        with pytest.raises(ValueError, match="density"):
            layer_quota(shapes, "uniform_plus", density)
        return
    quota = layer_quota(shapes, "uniform_plus", density)
    assert quota["conv"] == 1.0 and quota["last"] >= 0.2
    total = sum(s.numel() * quota[n] for n, s in shapes.items())
    assert total == pytest.approx(density * 3928)


@pytest.mark.parametrize("density", [0.5, 0.1, 0.033])
def test_layerwise_keeps_the_exact_count_of_every_layer(density):
    c = cases.case("lenet5")
    kept = prune(c.net, "magnitude", density=density, scope="layerwise", rounds=3)
    for name, weight in references.layers(c.net).items():
        count = int(np.floor(weight.numel() * density + 0.5))
        order = weight.flatten().abs().argsort(descending=True, stable=True)[:count]
        expected = torch.zeros(weight.numel(), dtype=torch.bool)
        expected[order] = True
        assert torch.equal(kept[name].flatten(), expected)


def test_allocate_sums_to_the_total_under_caps():
    assert allocate(5, [1.6, 1.7, 1.7], [9, 9, 9]) == [1, 2, 2]
    assert sum(allocate(7, [6.5, 0.5], [3, 9])) == 7
    with pytest.raises(ValueError, match="total"):
        allocate(5, [1.0], [4])


def test_schedules_end_at_the_density_and_follow_their_formulas():
    assert densities(0.01, 4) == pytest.approx([0.01 ** (t / 4) for t in range(1, 5)])
    assert densities(0.2, 4, "linear") == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert densities(0.1, 2, [0.5, 0.1]) == [0.5, 0.1]
    for bad in ([0.1, 0.5], [0.5], [0.5, 0.2], [1.5, 0.1]):
        with pytest.raises(ValueError, match="schedule"):
            densities(0.1, 2, bad)
    with pytest.raises(ValueError, match="rounds"):
        densities(0.1, 0)
    with pytest.raises(TypeError, match="rounds"):
        densities(0.1, 2.0)


def _net_and_masks(name="resnet8_bn", density=0.3):
    c = cases.case(name)
    return c, prune(c.net, "random", density=density, generator=seeds.generator(2, "m"))


def test_masks_survive_deepcopy_saving_and_a_damaged_file_is_named(tmp_path):
    _, kept = _net_and_masks()
    assert copy.deepcopy(kept) == kept
    path = tmp_path / "kept.npz"
    kept.save(path)
    assert Masks.load(path) == kept
    assert list(tmp_path.iterdir()) == [path]  # nothing half written stays behind
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"kept\.npz"):
            Masks.load(path)
    with pytest.raises(FileNotFoundError, match="no mask file"):
        Masks.load(tmp_path / "absent.npz")
    np.savez(path, weights=np.ones(3))
    with pytest.raises(ValueError, match="other arrays"):
        Masks.load(path)
    np.savez(path, weights=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match=r"kept\.npz"):
        Masks.load(path)
    with pytest.raises(ValueError, match=r"\.npz"):
        kept.save(tmp_path / "kept.pt")


def test_a_saved_mask_opens_in_plain_numpy(tmp_path):
    _, kept = _net_and_masks()
    kept.save(tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as file:
        assert set(file.files) == set(kept)
        assert sum(int(file[name].sum()) for name in file.files) == kept.kept
    assert zipfile.is_zipfile(io.BytesIO((tmp_path / "kept.npz").read_bytes()))


def test_masks_work_inside_torch_func():
    c, kept = _net_and_masks("mlp")
    theta = dict(c.net.named_parameters())

    def output(theta):
        masked = {n: theta[n] * kept[n] if n in kept else theta[n] for n in theta}
        return torch.func.functional_call(c.net, masked, (c.x,)).sum()

    grads = torch.func.grad(output)(theta)
    assert all(torch.all(grads[name][~kept[name]] == 0) for name in kept)
    assert any(torch.any(grads[name][kept[name]] != 0) for name in kept)


def test_masks_copy_what_they_are_given():
    mask = torch.ones(2, 2, dtype=torch.bool)
    kept = Masks({"w": mask})
    mask[:] = False
    assert kept.kept == 4


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ValueError, "at least one"),
        ({"w": torch.ones(2)}, TypeError, "float32 at 'w'"),
        ({"w": [True]}, TypeError, "list at 'w'"),
    ],
)
def test_masks_refuse_what_is_no_mask(given, error, words):
    with pytest.raises(error, match=words):
        Masks(given)


def test_apply_sets_pruned_weights_to_zero_and_refuses_what_does_not_fit():
    c, kept = _net_and_masks()
    other = cases.case("mlp").net
    before = references.snapshot(other)
    with pytest.raises(ValueError, match="missing"):
        kept.apply_(other)
    assert references.same(before, references.snapshot(other))
    with torch.no_grad():
        next(iter(references.layers(c.net).values())).fill_(float("nan"))
    first = next(iter(kept))
    kept[first][:] = False  # even rubbish becomes zero
    kept.apply_(c.net)
    for name, weight in references.layers(c.net).items():
        assert torch.all(weight[~kept[name]] == 0)


def test_shuffle_moves_the_mask_and_keeps_every_layer_count():
    _, kept = _net_and_masks("lenet5", 0.2)
    moved = kept.shuffled(seeds.generator(5, "shuffle"))
    assert moved != kept
    assert moved.layer_densities() == kept.layer_densities()
    assert moved == kept.shuffled(seeds.generator(5, "shuffle"))


def test_reinitialised_draws_new_weights_and_leaves_the_network():
    c, _ = _net_and_masks("lenet5")
    before = references.snapshot(c.net)
    fresh = masks.reinitialised(c.net, seeds.generator(6, "again"))
    assert references.same(before, references.snapshot(c.net))
    for name, weight in references.layers(c.net).items():
        assert not torch.equal(weight, references.layers(fresh)[name])


def test_invert_keeps_the_lowest_scores():
    c = cases.case("mlp")
    low = prune(c.net, "magnitude", density=0.25, invert=True)
    kept = torch.cat([w.abs()[low[n]] for n, w in references.layers(c.net).items()])
    rest = torch.cat([w.abs()[~low[n]] for n, w in references.layers(c.net).items()])
    assert kept.max() <= rest.min()


def test_keep_last_layer_dense_counts_the_others_only():
    c = cases.case("lenet5")
    kept = prune(c.net, "magnitude", density=0.1, keep_last_layer_dense=True)
    *others, last = kept
    assert kept[last].all()
    n = sum(kept[name].numel() for name in others)
    assert sum(int(kept[name].sum()) for name in others) == int(0.1 * n + 0.5)
    with pytest.raises(ValueError, match="keep_last_layer_dense"):
        prune(nn.Linear(3, 2), "magnitude", density=0.5, keep_last_layer_dense=True)


def test_a_collapsed_layer_is_reported():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[1].weight.fill_(0.1)
    kept = prune(net, "magnitude", density=0.5)
    assert kept.collapsed == ["1.weight"]
    assert "collapsed" in kept.report(net, (4,))
    assert kept.effective(net, (4,)).kept == 0


@pytest.mark.parametrize("density", [0.5, 0.25, 0.1])
@pytest.mark.parametrize(
    "name", ["mlp", "residual_mlp", "circular_cnn", "conv1d", "functional_relu"]
)
def test_effective_masks_equal_one_deletion_at_a_time(name, density):
    c = cases.case(name)
    kept = prune(c.net, "random", density=density, generator=seeds.generator(8, name))
    live = kept.effective(c.net, c.in_shape)
    assert live == Masks(references.live_by_deletion(c.net, kept, c.in_shape))


class Pooled(nn.Module):
    """A convolution whose window is pooled as a module or by a function."""

    def __init__(self, pool, kind, features):
        super().__init__()
        self.conv = getattr(nn, f"Conv{kind}")(1, 1, 1, bias=False)
        self.pool, self.fc = pool, nn.Linear(features, 2, bias=False)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x)).flatten(1))


@pytest.mark.parametrize(
    ("pool", "kind", "in_shape"),
    [
        (nn.MaxPool2d(2), "2d", (1, 2, 2)),
        (lambda x: nn.functional.max_pool2d(x, 2), "2d", (1, 2, 2)),
        (nn.MaxPool2d(3, stride=2, padding=1), "2d", (1, 2, 2)),
        (nn.MaxPool1d(2), "1d", (1, 2)),
        (lambda x: nn.functional.max_pool1d(x, 2, stride=1), "1d", (1, 2)),
        (nn.MaxPool3d(2), "3d", (1, 2, 2, 2)),
    ],
)
def test_effective_counts_every_weight_of_a_max_pooling_window(pool, kind, in_shape):
    # the second layer splits the window's inputs: only one of them reaches the maximum
    layer = getattr(nn, f"Conv{kind}")(1, 1, 1, bias=False)
    lifted = nn.Sequential(
        nn.Flatten(), nn.Linear(int(np.prod(in_shape)), int(np.prod(in_shape))),
        nn.Unflatten(1, in_shape), layer, Pooled(pool, kind, 1),
    )  # fmt: skip
    assert Masks.dense(lifted).effective(lifted, in_shape) == Masks.dense(lifted)


def test_effective_density_is_finite_at_depth():
    net = nets.build(
        "resnet110", in_shape=(3, 32, 32), width=4, generator=seeds.generator(0, "deep")
    )
    dense = Masks.dense(net)
    assert dense.effective(net, (3, 32, 32)) == dense


def test_one_percent_random_of_lenet_300_100_is_a_tenth_of_that_effective():
    net = nets.build(
        "lenet_300_100", in_shape=(1, 28, 28), generator=seeds.generator(0, "lenet")
    )
    shares = []
    for seed in range(50):
        g = seeds.generator(seed, "effective")
        kept = prune(net, "random", density=0.01, generator=g)
        shares.append(100 * kept.effective(net, (1, 28, 28)).density)
    assert 0.06 <= np.mean(shares) <= 0.11
