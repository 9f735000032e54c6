"""Rank of the Path Kernel by counting, against the rank of its Jacobian."""

import path_references
import pytest
import torch
from path_references import make
from torch import nn

from paicore import Masks, nets, prune, seeds
from paicore.kernels import paths

EXACT = [name for name in path_references.MAKERS if name != "strided"]


def numerical(net, in_shape, masks=None):
    jacobian = path_references.Enumerator(net, in_shape, masks).jacobian()
    return int(torch.linalg.matrix_rank(jacobian)) if len(jacobian) else 0


def generic(name):
    """A case whose zero biases are drawn anew."""
    net, in_shape = make(name)
    generator = seeds.generator(1, "generic")
    with torch.no_grad():
        for parameter in net.parameters():
            fresh = torch.randn(parameter.shape, generator=generator).double()
            parameter.copy_(torch.where(parameter == 0, fresh, parameter))
    return net, in_shape


def random_masks(net, seed):
    density = (0.8, 0.5, 0.3)[seed % 3]
    generator = seeds.generator(seed, "rank")
    return prune(net, "random", density=density, generator=generator)


@pytest.mark.parametrize("name", list(path_references.MAKERS))
def test_rank_of_a_dense_network_is_edges_less_units(name):
    net, in_shape = make(name)
    hidden = {"mlp": 8, "mlp_bias": 8, "strided": 4, "averaged": 4, "pooled": 4,
              # tied streams count once; a gain is an edge after one more unit
              "normed": 2 + 2 + 2, "residual": 4 + 3 + 4}  # fmt: skip
    found = paths.rank(net, in_shape)
    assert found == numerical(net, in_shape)
    if name in hidden:
        assert found == sum(p.numel() for p in net.parameters()) - hidden[name]


@pytest.mark.parametrize("name", EXACT)
def test_rank_of_masked_networks_is_effective_edges_less_effective_units(name):
    net, in_shape = generic(name)
    for seed in range(12):
        masks = random_masks(net, seed)
        assert paths.rank(net, in_shape, masks=masks) == numerical(net, in_shape, masks)


def test_kept_weights_less_all_units_is_wrong_on_some_masked_networks():
    net, in_shape = make("mlp")
    found = [random_masks(net, seed) for seed in range(12)]
    naive = [each.kept - 8 for each in found]
    right = [paths.rank(net, in_shape, masks=each) for each in found]
    wrong = sum(a != b for a, b in zip(naive, right, strict=True))
    assert 3 <= wrong < 12


def test_rank_bounds_a_convolution_whose_positions_are_reached_by_different_weights():
    net, in_shape = make("strided")  # 2 x 2 maps under a 3 x 3 kernel
    gaps = []
    for seed in range(30):
        masks = random_masks(net, seed)
        found = paths.rank(net, in_shape, masks=masks)
        gaps.append(found - numerical(net, in_shape, masks))
    assert min(gaps) == 0
    assert gaps.count(0) >= 25
    assert max(gaps) <= 2


def test_rank_bounds_the_rank_of_every_tangent_kernel_and_is_reached():
    net, in_shape = make("mlp_bias")
    x = torch.randn(60, 4, generator=seeds.generator(0, "x"), dtype=torch.float64)
    gaps = []
    for seed in range(6):
        masks = random_masks(net, seed)
        found = path_references.Enumerator(net, in_shape, masks)
        _, jacobian = path_references.tangent_kernel(net, found.by_name(), x)
        rank = int(torch.linalg.matrix_rank(jacobian * found.alive))
        gaps.append(paths.rank(net, in_shape, masks=masks) - rank)
    assert min(gaps) == 0


def test_rank_without_biases_counts_only_paths_from_inputs():
    net, in_shape = make("mlp_bias")
    masks = random_masks(net, 1)
    bare = make("mlp")[0]
    bare.load_state_dict({k: v for k, v in net.state_dict().items() if "weight" in k})
    assert paths.rank(net, in_shape, masks=masks, bias="zero") == paths.rank(
        bare, in_shape, masks=masks
    )


def test_rank_of_resnet20_counts_channels_of_streams_once():
    net = nets.build(
        "resnet20", in_shape=(3, 8, 8), width=2, generator=seeds.generator(0, "net")
    )
    parameters = sum(p.numel() for p in net.parameters())
    # before each gain one unit per channel; after it one per channel of a stream
    norms = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    inner = 3 * (2 + 4 + 8)  # behind the first convolution of each block
    streams = 2 + 4 + 8
    assert paths.rank(net, (3, 8, 8)) == parameters - norms - inner - streams


def test_rank_is_zero_without_a_path_and_does_not_overflow_at_depth():
    net = nets.build(
        "mlp", in_shape=(50,), width=50, depth=250, classes=2, bias=False,
        generator=seeds.generator(0, "deep"),
    )  # fmt: skip
    dense = Masks.dense(net)
    assert paths.rank(net, (50,)) == dense.total - 249 * 50
    empty = Masks(
        {name: mask & (i != 3) for i, (name, mask) in enumerate(dense.items())}
    )
    assert paths.rank(net, (50,), masks=empty) == 0


def test_units_that_cannot_be_counted_are_refused():
    net = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 4)), nn.AvgPool1d(2),
                        nn.Flatten(), nn.Linear(2, 2))  # fmt: skip
    with pytest.raises(ValueError, match=r"AvgPool1d '2' joins positions"):
        paths.rank(net, (4,))
