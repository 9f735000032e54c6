"""Small networks with data, one for every feature that scores must cope with."""

from dataclasses import dataclass

import torch
from torch import nn

from paicore import nets, prune, seeds


@dataclass(frozen=True)
class Case:
    name: str
    net: nn.Module
    x: torch.Tensor
    y: torch.Tensor

    @property
    def in_shape(self):
        return tuple(self.x.shape[1:])


class TwiceCalled(nn.Module):
    """One hidden layer and its norm used two times."""

    def __init__(self):
        super().__init__()
        self.first, self.hidden = nn.Linear(6, 5), nn.Linear(5, 5)
        self.norm, self.act, self.last = nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)

    def forward(self, x):
        x = self.act(self.first(x.flatten(1)))
        for _ in range(2):
            x = self.act(self.norm(self.hidden(x)))
        return self.last(x)


class PlainFunctional(nn.Module):
    """A network as a user writes it: functional ReLU, control flow, a residual."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(3)
        self.mix = nn.Conv2d(3, 3, 1, groups=3)
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        if x.shape[0] == 0:
            raise ValueError("no samples")
        x = torch.relu(self.norm(self.conv(x)))
        x = x + torch.nn.functional.relu(self.mix(x))
        return self.fc(x.mean((2, 3)))


def _built(name, in_shape, **options):
    generator = seeds.generator(0, "cases", name)
    return nets.build(
        name, classes=3, in_shape=in_shape, generator=generator, **options
    )


def _plain(make):
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    net = make()
    torch.set_rng_state(torch_state)
    return net


def _tied_scores():
    net = _plain(lambda: nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 3)))
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    return net


def _dead():
    net = _plain(lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    nn.init.constant_(net[0].bias[:2].data, -100.0)
    return net


MAKERS = {
    "mlp": (lambda: _built("mlp", (1, 2, 3), width=5, depth=3), (1, 2, 3)),
    "mlp_bias": (
        lambda: _built("mlp", (1, 2, 3), width=4, depth=3, bias_init="torch"),
        (1, 2, 3),
    ),
    "mlp_tanh": (
        lambda: _built("mlp", (1, 2, 3), width=5, depth=3, activation="tanh"),
        (1, 2, 3),
    ),
    "residual_mlp": (
        lambda: _built("residual_mlp", (1, 2, 3), width=5, depth=3),
        (1, 2, 3),
    ),
    "circular_cnn": (lambda: _built("cnn", (1, 5, 5), width=3, depth=3), (1, 5, 5)),
    "lenet5": (lambda: _built("lenet5", (1, 28, 28), width=2), (1, 28, 28)),
    "resnet8_bn": (
        lambda: _built("resnet20", (3, 8, 8), width=2),
        (3, 8, 8),
    ),
    "stable_resnet": (
        lambda: _built("resnet20", (3, 8, 8), width=2, stable=True),
        (3, 8, 8),
    ),
    "width_one": (lambda: _built("mlp", (1, 1, 2), width=1, depth=2), (1, 1, 2)),
    "dead_relu": (_dead, (6,)),
    "ties": (_tied_scores, (4,)),
    "twice_called": (lambda: _plain(TwiceCalled), (6,)),
    "functional_relu": (lambda: _plain(PlainFunctional), (1, 6, 6)),
    "conv1d": (
        lambda: _plain(
            lambda: nn.Sequential(
                nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(9, 3)
            )
        ),
        (2, 5),
    ),
}
NAMES = list(MAKERS)


def case(name: str, n: int = 6) -> Case:
    make, in_shape = MAKERS[name]
    generator = seeds.generator(1, "cases", name)
    x = torch.randn(n, *in_shape, generator=generator, dtype=torch.float64)
    return Case(name, make().double(), x, torch.arange(n) % 3)


def some_masks(c: Case, density: float = 0.6):
    """Random masks of a case, the same at every call."""
    g = seeds.generator(4, "some", c.name)
    return prune(c.net, "random", density=density, generator=g)
