"""Layers of every shape, weights used in several ways, and modules nobody foresaw."""

import kernel_references as reference
import pytest
import torch
from references import TOLERANCE, close
from torch import nn
from torch.nn import functional

from paicore import Masks, nets, prune, seeds
from paicore.kernels import ntk

CONVOLUTIONS = {
    "stride": {"stride": 2, "padding": 1},
    "uneven_stride": {"stride": (2, 1), "padding": (0, 2)},
    "groups": {"groups": 2, "padding": 1},
    "depthwise": {"groups": 4, "stride": 2},
    "dilation": {"dilation": 2, "padding": 2},
    "same": {"kernel_size": (3, 5), "padding": "same"},
    "circular": {"padding": 2, "padding_mode": "circular"},
    "reflect": {"padding": 1, "padding_mode": "reflect", "groups": 2},
    "replicate": {"padding": 1, "padding_mode": "replicate", "stride": 3},
    "no_bias": {"bias": False},
    "one_by_one": {"kernel_size": 1},
    "whole_image": {"kernel_size": (7, 6)},
    "whole_image_groups": {"kernel_size": (7, 6), "groups": 4},
}


def seeded(make):
    """Build a network with PyTorch's own initialisation, the same each time."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    net = make().double()
    torch.set_rng_state(state)
    return net


def inputs(*shape):
    g = seeds.generator(2, "layers")
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def some_masks(net, density=0.5):
    return prune(net, "random", density=density, generator=seeds.generator(3))


def agrees(net, x, **options):
    """Compare dense and masked kernels, square and cross, with the reference."""
    for masks in (None, some_masks(net)):
        for x2 in (None, x[1:3] * 0.5):
            found = ntk.gram(net, x, x2, masks=masks, **options)
            expected = reference.gram(net, x, x2, masks=masks, **options)
            if not close(found, expected):
                return False
    return bool(expected.abs().max() > 0)


class ConvNet(nn.Module):
    """A convolution between two others, so that its gradients are not trivial."""

    def __init__(self, **options):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 1)
        self.conv = nn.Conv2d(4, 4, **{"kernel_size": 3, **options})
        self.last = nn.LazyLinear(3)

    def forward(self, x):
        x = torch.tanh(self.conv(torch.relu(self.first(x))))
        return self.last(x.flatten(1))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_every_kind(name):
    x = inputs(4, 2, 7, 6)

    def make():
        net = ConvNet(**CONVOLUTIONS[name])
        net(x.float())  # creates the last layer
        return net

    assert agrees(seeded(make), x)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, stride=1, padding=1), nn.AvgPool2d(3, 2),
        nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.LPPool2d(2, 2),
    ],
    ids=lambda pool: type(pool).__name__,
)  # fmt: skip
def test_pooling_of_every_kind(pool):
    def make():
        return nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(3)
        )

    x = inputs(4, 1, 8, 8)

    def built():
        net = make()
        net(x.float())
        return net

    assert agrees(seeded(built), x)


def test_convolutions_in_one_and_three_dimensions():
    one = seeded(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3, stride=2, dilation=2, groups=2, padding=3,
                      padding_mode="circular"),
            nn.Tanh(), nn.Flatten(), nn.Linear(24, 3),
        )
    )  # fmt: skip
    assert agrees(one, inputs(4, 2, 9))
    three = seeded(
        lambda: nn.Sequential(
            nn.Conv3d(2, 4, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 0), groups=2),
            nn.ReLU(), nn.Flatten(), nn.Linear(64, 3),
        )
    )  # fmt: skip
    assert agrees(three, inputs(4, 2, 3, 5, 2))


class Twice(nn.Module):
    """One convolution at two scales, one Linear twice, and one bias tied to another."""

    def __init__(self):
        super().__init__()
        self.conv, self.small = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3, stride=2)
        self.small.weight = self.conv.weight
        self.mix, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
        self.last.bias = self.mix.bias

    def forward(self, x):
        a = torch.relu(self.conv(x)).mean((2, 3))
        b = torch.relu(self.small(x)).mean((2, 3))
        return self.last(torch.tanh(self.mix(torch.tanh(self.mix(a)) + b)))


def test_a_weight_used_twice_has_cross_terms():
    net, x = seeded(Twice), inputs(4, 1, 7, 7)
    assert agrees(net, x)


class Regrouped(nn.Module):
    """One weight used with one group and with two."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=2)
        self.two.weight = self.one.weight
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.two(torch.tanh(self.one(x))))
        return self.last(x.mean((2, 3)))


class Sequence(nn.Module):
    """Linear layers on (n, positions, features), with every fallback at once."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.place = nn.Parameter(torch.randn(5, 8) / 4)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.last = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(x) + self.place
        x = self.norm(x + self.attend(x, x, x, need_weights=False)[0])
        return self.last(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.cell(x)[0][:, -1])


class Folded(nn.Module):
    """Samples and positions folded into one axis, and positions put first."""

    def __init__(self):
        super().__init__()
        self.folded, self.swapped = nn.Linear(3, 4), nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        n, positions, _ = x.shape
        x = torch.tanh(self.folded(x.reshape(n * positions, -1)))
        x = x.view(n, positions, -1).transpose(0, 1)
        return self.last(torch.tanh(self.swapped(x)).mean(0))


class Standardised(nn.Conv2d):
    """A convolution whose class changes the weight before it is used."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias)


class Borrowed(nn.Module):
    """A weight used by its layer and, transposed, by a function."""

    def __init__(self):
        super().__init__()
        self.there, self.last = nn.Linear(4, 6), nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.there(x))
        return self.last(functional.linear(x, self.there.weight.T))


class Unused(nn.Module):
    """A layer that is called but has no effect, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
        self.idle, self.never = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        self.idle(x)
        return self.last(torch.relu(self.first(x)))


def standardised():
    return nn.Sequential(
        Standardised(1, 3, 3), nn.GroupNorm(1, 3), nn.PReLU(3), nn.Flatten(),
        nn.Linear(27, 3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (Sequence, (5, 3)), (Recurrent, (5, 3)), (Folded, (5, 3)),
        (standardised, (1, 5, 5)), (Borrowed, (4,)), (Unused, (4,)),
        (Regrouped, (2, 6, 6)),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)  # fmt: skip
@pytest.mark.parametrize("n", [4, 5])
def test_other_modules_go_through_the_fallback(make, shape, n):
    assert agrees(seeded(make), inputs(n, *shape))


def test_layers_that_overwrite_their_input_are_followed():
    def make():
        return nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True),
            nn.Conv2d(3, 3, 3), nn.ReLU6(inplace=True), nn.Flatten(), nn.Linear(27, 3),
        )  # fmt: skip

    assert agrees(seeded(make), inputs(4, 1, 7, 7), batch_norm="eval")


def test_late_layers_by_pairs_of_positions():
    # many channels on two by two pixels: the two-Gram product is the cheaper one
    net = nets.build("vgg11", classes=3, in_shape=(3, 32, 32), width=8,
                     generator=seeds.generator(0)).double()  # fmt: skip
    from paicore.kernels.ntk.plan import make_plan
    from paicore.kernels.ntk.settings import prepare

    x = inputs(3, 3, 32, 32)
    forms = {group.form for group in make_plan(prepare(net, x), x)[0].groups}
    assert forms == {"pairs", "tiles", "rows", "last", "bias"}
    assert close(ntk.gram(net, x), reference.gram(net, x))
    traced = ntk.gram(net, x, outputs="sum").trace()
    assert close(ntk.trace(net, x), traced)


def test_torchvision_resnet18_works():
    net = nets.build(
        "torchvision_resnet18", classes=2, in_shape=(3, 32, 32),
        generator=seeds.generator(0), dtype=torch.float64,
    ).eval()  # fmt: skip
    x = inputs(2, 3, 32, 32)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.fill_(2.0)
    expected = reference.gram(net, x, batch_norm="eval")
    assert close(ntk.gram(net, x, batch_norm="eval"), expected)


def test_samples_that_interact_are_refused():
    class Centred(nn.Sequential):
        def forward(self, x):
            return super().forward(x - x.mean(0))

    net = seeded(lambda: Centred(nn.Linear(4, 3)))
    for bound in (1, 1 << 30):
        with pytest.raises(ValueError, match="other samples of the batch"):
            ntk.gram(net, inputs(4, 4), max_bytes=bound)


def test_a_network_without_a_use_for_its_parameters_is_refused():
    class Constant(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach() + x.sum(1, keepdim=True) * 0

    with pytest.raises(ValueError, match="depend on no parameter"):
        ntk.gram(seeded(lambda: Constant(4, 3)), inputs(4, 4))


def test_masks_reach_the_weights_of_the_fallback():
    net, x = seeded(Borrowed), inputs(4, 4)
    empty = Masks({n: torch.zeros_like(m) for n, m in Masks.dense(net).items()})
    found = ntk.gram(net, x, masks=empty)
    assert close(found, reference.gram(net, x, masks=empty), TOLERANCE[torch.float64])
