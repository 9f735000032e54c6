"""What the networks compute, against explicit formulas in float64."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

from paicore import nets
from paicore.nets.build import NETS
from paicore.nets.modules import ACTIVATIONS

LAYERS = (nn.Linear, nn.Conv2d)
OURS = [
    name
    for name in nets.names()
    if not name.startswith("torchvision") and name not in ("fc_2000", "fc_5000")
]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make(name, seed=0, in_shape=(3, 32, 32), **options):
    generator = torch.Generator().manual_seed(seed)
    return nets.build(name, in_shape=in_shape, generator=generator, **options)


def small(name, seed=0, in_shape=(3, 32, 32), **options):
    """The network of this name, narrowed where the name leaves the width open."""
    if "width" in NETS[name].options:
        options.setdefault("width", 4)
    return make(name, seed, in_shape, **options)


def weights(net):
    return [m.weight for m in net.modules() if isinstance(m, LAYERS)]


def test_mlp_computes_the_explicit_chain():
    net = small("mlp", depth=3, activation="tanh", dtype=torch.float64)
    x = normal(5, 3, 32, 32)
    first, second, third = weights(net)
    expected = torch.tanh(torch.tanh(x.reshape(5, -1) @ first.T) @ second.T) @ third.T
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


def test_mlp_takes_one_width_per_hidden_layer():
    net = make("mlp", width=(7, 5, 3), in_shape=(4,))
    assert [tuple(w.shape) for w in weights(net)] == [(7, 4), (5, 7), (3, 5), (10, 3)]


@pytest.mark.parametrize(
    ("options", "factor"),
    [({}, 1.0), ({"stable": True}, 1 / math.sqrt(4)), ({"branch_factor": 0.1}, 0.1)],
)
def test_residual_mlp_adds_scaled_branches_of_the_previous_layer(options, factor):
    net = make(
        "residual_mlp",
        in_shape=(6,),
        width=6,
        depth=4,
        init=("gaussian", 1.3, 0.2),
        activation="elu",
        dtype=torch.float64,
        **options,
    )
    linear = [m for m in net.modules() if isinstance(m, nn.Linear)]
    phi = nn.functional.elu
    x = normal(5, 6)
    y = x @ linear[0].weight.T + linear[0].bias
    for layer in linear[1:-1]:
        y = y + factor * (phi(y) @ layer.weight.T + layer.bias)
    expected = phi(y) @ linear[-1].weight.T + linear[-1].bias
    assert len(linear) == 6
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


def test_stable_factor_is_one_over_root_of_all_blocks_in_every_block():
    net = small("resnet32", stable=True)
    factors = [m.factor for m in net.modules() if isinstance(m, nets.Scale)]
    assert factors == [15**-0.5] * 15
    assert all(isinstance(factor, float) for factor in factors)
    assert not [m for m in small("resnet32").modules() if isinstance(m, nets.Scale)]


@pytest.mark.parametrize(("block", "projects"), [("block1", False), ("block2", True)])
def test_stable_block_scales_after_the_last_norm_and_before_the_addition(
    block, projects
):
    net = make("resnet", width=4, depth=8, stable=True, dtype=torch.float64)
    block = net.get_submodule(block)
    x = normal(6, 4, 8, 8)
    branch = block.branch
    inner = branch.bn2(branch.conv2(torch.relu(branch.bn1(branch.conv1(x)))))
    shortcut = block.shortcut.bn1(block.shortcut.conv1(x)) if projects else x
    expected = torch.relu(shortcut + inner / math.sqrt(3))
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_circular_padding_equals_an_explicit_wrap():
    net = make("cnn", width=3, depth=2, in_shape=(2, 5, 6), dtype=torch.float64)
    x = normal(4, 2, 5, 6)
    y = x
    for layer in (net.conv1, net.conv2):
        wrapped = torch.cat([y[..., -1:], y, y[..., :1]], dim=-1)
        wrapped = torch.cat([wrapped[..., -1:, :], wrapped, wrapped[..., :1, :]], -2)
        y = torch.relu(nn.functional.conv2d(wrapped, layer.weight, layer.bias))
    expected = net.fc1(y.mean((2, 3)))
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)
    zeros = nn.functional.conv2d(pad(x, (1, 1, 1, 1)), net.conv1.weight)
    assert not torch.allclose(net.conv1(x), zeros)


def test_cnn_does_not_see_a_cyclic_shift_of_the_image():
    net = small("cnn", dtype=torch.float64)
    x = normal(2, 3, 32, 32)
    shifted = x.roll((5, 11), (2, 3))
    torch.testing.assert_close(net(shifted), net(x), rtol=1e-10, atol=1e-12)


def test_a_flattened_readout_sees_every_position():
    options = {"width": 3, "depth": 2, "in_shape": (2, 5, 6), "dtype": torch.float64}
    net = make("cnn", readout="flatten", **options)
    x = normal(4, 2, 5, 6)
    y = torch.relu(net.conv2(torch.relu(net.conv1(x))))
    assert net.fc1.in_features == 3 * 5 * 6
    torch.testing.assert_close(net(x), net.fc1(y.flatten(1)), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(net(x.roll(2, 3)), net(x))


def test_conv4_drops_after_pools_and_between_dense_layer_and_its_activation():
    kinds = [type(m).__name__ for m in small("conv4_valid", dropout=True)]
    rates = [m.p for m in small("conv4_valid", dropout=True) if hasattr(m, "p")]
    places = [i for i, kind in enumerate(kinds) if kind == "Dropout"]
    before, after = [kinds[i - 1] for i in places], [kinds[i + 1] for i in places]
    assert before == ["MaxPool2d", "MaxPool2d", "Linear"]
    assert after == ["Conv2d", "Flatten", "ReLU"]
    assert rates == [0.25, 0.25, 0.5]
    assert "Dropout" not in [type(m).__name__ for m in small("conv4_valid")]


def test_global_average_names_its_kernel():
    pools = {
        in_shape: [m for m in small("vgg11", in_shape=in_shape) if "Avg" in str(m)]
        for in_shape in ((3, 32, 32), (3, 64, 32))
    }
    assert [p[0].kernel_size for p in pools.values()] == [(2, 2), (4, 2)]
    assert all(type(p[0]) is nn.AvgPool2d for p in pools.values())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["mlp", "residual_mlp", "cnn", "conv2", "resnet"])
def test_the_activation_option_reaches_every_activation(name, activation):
    net = small(name, activation=activation)
    kinds = {type(m) for n, m in net.named_modules() if "act" in n}
    assert kinds == {ACTIVATIONS[activation]}


@pytest.mark.parametrize("name", OURS)
def test_bias_false_leaves_no_bias_but_batch_norms(name):
    net = small(name, bias=False)
    layers = [m for m in net.modules() if isinstance(m, LAYERS)]
    assert layers and all(m.bias is None for m in layers)


def test_resnet_convolutions_before_batch_norm_have_no_bias_and_others_have():
    normed = [m for m in small("resnet").modules() if isinstance(m, nn.Conv2d)]
    bare = small("resnet", batch_norm=False).modules()
    assert all(m.bias is None for m in normed)
    assert all(m.bias is not None for m in bare if isinstance(m, nn.Conv2d))


def test_vgg_convolutions_have_a_bias_also_before_batch_norm():
    convs = [m for m in small("vgg16_bn").modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is not None for m in convs)


def test_small_modules_do_what_they_say():
    a, b = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    assert torch.equal(nets.Add()(a, b), a + b)
    assert torch.equal(nets.Scale(0.25)(a), 0.25 * a)
    assert torch.equal(nets.Flatten()(a), a.reshape(2, 12))
    assert str(nets.Scale(0.25)) == "Scale(factor=0.25)"
