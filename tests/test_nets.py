"""Networks by name: weight counts, image sizes, single use of every module."""

import pytest
import torch
from torch import nn

from paicore import nets
from paicore.nets.build import NETS

LAYERS = (nn.Linear, nn.Conv2d)
# The widest fully connected nets cost seconds and differ from fc_100 in width only.
CHEAP = [name for name in nets.names() if name not in ("fc_2000", "fc_5000")]
OURS = [name for name in CHEAP if not name.startswith("torchvision")]
RESNETS = ["resnet20", "resnet32", "resnet50", "resnet56", "resnet104", "resnet110"]


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


def total(net):
    return sum(w.numel() for w in weights(net))


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    ("name", "classes", "in_shape", "expected"),
    [
        ("lenet_300_100", 10, (1, 28, 28), 266_200),
        ("lenet5", 10, (1, 28, 28), 430_500),
        ("conv4_valid", 10, (3, 32, 32), 1_903_296),
        ("vgg11", 10, (3, 32, 32), 9_222_848),
        ("vgg16_bn", 10, (3, 32, 32), 14_715_584),
        ("vgg16_bn", 100, (3, 32, 32), 14_761_664),
        ("vgg16", 100, (3, 32, 32), 14_761_664),
        ("resnet20", 10, (3, 32, 32), 270_896),
        ("torchvision_resnet18", 200, (3, 64, 64), 11_269_312),
    ],
)
def test_prunable_weights_number_what_the_papers_say(name, classes, in_shape, expected):
    assert total(make(name, classes=classes, in_shape=in_shape)) == expected


def test_valid_conv4_has_the_published_weights_layer_by_layer():
    counts = [w.numel() for w in weights(make("conv4_valid"))]
    assert counts == [1728, 36_864, 73_728, 147_456, 1_638_400, 5120]


def test_fc_nets_have_six_linear_layers_of_their_width():
    net = make("fc_100", in_shape=(1, 28, 28))
    assert [w.shape[0] for w in weights(net)] == [100] * 5 + [10]


def test_3xvgg16_has_three_times_the_convolutions_between_the_same_poolings():
    def stages(net):
        counts = [0]
        for module in net:
            counts[-1] += isinstance(module, nn.Conv2d)
            if isinstance(module, nn.MaxPool2d):
                counts.append(0)
        return counts

    assert stages(small("vgg16")) == [2, 2, 3, 3, 3]
    assert stages(small("vgg16x3")) == [6, 6, 9, 9, 9]
    assert stages(small("vgg16x3_bn")) == [6, 6, 9, 9, 9]


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_depth_is_6n_plus_2_and_counts_its_layers(name):
    depth = int(name.removeprefix("resnet"))
    assert (depth - 2) % 6 == 0
    net = small(name, width=1)
    projections = [
        m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)
    ]
    assert len(projections) == 2
    assert len(weights(net)) - len(projections) == depth


def test_wide_resnet20_is_resnet20_of_twice_the_width():
    wide, plain = make("wide_resnet20"), make("resnet20", width=32)
    assert same(state(wide), state(plain))
    widths = {m.out_channels for m in wide.modules() if isinstance(m, nn.Conv2d)}
    assert widths == {32, 64, 128}


def fits(name, in_shape):
    """Which of the usual images a network takes."""
    if name.startswith("vgg"):
        return in_shape[1] % 32 == 0
    if name.startswith("torchvision"):
        return in_shape[0] == 3
    return in_shape[1] >= 16 or name not in ("lenet5", "conv4_valid")


SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
CASES = [(name, shape) for name in CHEAP for shape in SHAPES]


@pytest.mark.parametrize(("name", "in_shape"), [c for c in CASES if fits(*c)])
def test_nets_map_the_images_they_take_to_logits(name, in_shape):
    net = small(name, in_shape=in_shape, classes=7)
    with torch.no_grad():
        assert net(torch.ones(2, *in_shape)).shape == (2, 7)


@pytest.mark.parametrize(("name", "in_shape"), [c for c in CASES if not fits(*c)])
def test_nets_refuse_other_images_and_say_what_they_need(name, in_shape):
    with pytest.raises(ValueError, match=r"^in_shape: .* need.* got \("):
        small(name, in_shape=in_shape)


@pytest.mark.parametrize("name", ["mlp", "cnn", "conv2", "resnet", "vgg11"])
def test_rectangular_images_are_taken(name):
    net = small(name, in_shape=(2, 32, 64))
    assert net(torch.ones(2, 2, 32, 64)).shape == (2, 10)


@pytest.mark.parametrize("name", OURS)
def test_every_module_of_our_nets_is_called_exactly_once(name):
    net, calls = small(name), {}
    leaves = [m for m in net.modules() if not list(m.children())]
    for leaf in leaves:
        leaf.register_forward_hook(lambda m, *_: calls.update({m: calls.get(m, 0) + 1}))
    with torch.no_grad():
        net(torch.ones(2, 3, 32, 32))
    assert calls == dict.fromkeys(leaves, 1)


@pytest.mark.parametrize("name", OURS)
def test_torch_fx_traces_every_net_to_the_same_function(name):
    net = small(name).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(torch.fx.symbolic_trace(net)(x), net(x))
