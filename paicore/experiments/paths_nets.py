"""What the path experiments share: networks small enough to list, and their draws."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paicore import nets, seeds
from paicore.experiments import Config
from paicore.nets.initialise import initialise_


@dataclass(frozen=True)
class Setting(Config):
    """Fields of every config of this notebook.

    Attributes:
        methods: What is compared; often names of networks.
        densities: Fractions kept; (1.0,) where nothing is pruned.
        variants: Further settings; ("",) for none.
        samples: Number of inputs, where there are any.
    """

    methods: tuple[str, ...] = ()
    densities: tuple[float, ...] = (1.0,)
    variants: tuple[str, ...] = ("",)
    samples: int = 6


def cells(config: Setting) -> list[dict]:
    """Every method at every density in every variant, for every seed."""
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method in config.methods
        if not config.only or method in config.only.split(",")
        for density in config.densities
        for variant in config.variants
        for seed in range(config.seeds)
    ]


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body, self.add = nn.Sequential(*body), nets.Add()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        return self.add(x, self.body(x))


def _mlp(bias: bool, activation: Callable = nn.ReLU) -> list[nn.Module]:
    """Return the layers of 4-5-3-2."""
    return [
        nn.Linear(4, 5, bias), activation(), nn.Linear(5, 3, bias), activation(),
        nn.Linear(3, 2, bias),
    ]  # fmt: skip


def _conv() -> list[nn.Module]:
    """Return two padded convolutions, the second of stride 2, and a readout."""
    return [
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(2, 2, 3, padding=1, stride=2, bias=False), nn.ReLU(),
        nets.Flatten(), nn.Linear(8, 2, bias=False),
    ]  # fmt: skip


def _conv_average() -> list[nn.Module]:
    """Return two convolutions with biases, a global average and a readout."""
    return [
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 2), nn.ReLU(),
        nn.AvgPool2d(3), nets.Flatten(), nn.Linear(2, 3),
    ]  # fmt: skip


def _conv_max() -> list[nn.Module]:
    """Return two convolutions without biases, max and average pooling, a readout."""
    return [
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(),
        nn.MaxPool2d(2, stride=1), nn.Conv2d(2, 2, 2, bias=False), nn.ReLU(),
        nn.AvgPool2d(2), nets.Flatten(), nn.Linear(2, 2, bias=False),
    ]  # fmt: skip


def _residual() -> list[nn.Module]:
    """Return a convolution and a residual branch, both with batch norm."""
    return [
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU(),
        Residual(nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)),
        nn.ReLU(), nn.AvgPool2d(3), nets.Flatten(), nn.Linear(2, 2),
    ]  # fmt: skip


# Name -> layers, shape of one input.
NETS: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...]]] = {
    "mlp": (lambda: _mlp(False), (4,)),
    "mlp_bias": (lambda: _mlp(True), (4,)),
    "mlp_leaky": (lambda: _mlp(True, lambda: nn.LeakyReLU(0.2)), (4,)),
    "conv": (_conv, (1, 4, 4)),
    "conv_average": (_conv_average, (1, 4, 4)),
    "conv_max": (_conv_max, (1, 4, 4)),
    "residual": (_residual, (1, 3, 3)),
}


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw; scores that are compared share it."""
    return seeds.generator(seed, "paths", *names)


def network(name: str, seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a listed network in float64 and eval mode, and the shape of its input.

    Conventions: He's initialisation, biases uniform. Batch norm has a drawn gain,
    shift, mean and variance, as after training.
    """
    layers, in_shape = NETS[name]
    with torch.device("meta"):
        net = nn.Sequential(*layers())
    net = net.double().to_empty(device="cpu").eval()
    g = draws(seed, name, "init")
    initialise_(net, init="he", bias_init="torch", generator=g)
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        drawn = torch.randn(3, norm.num_features, generator=g, dtype=torch.float64)
        with torch.no_grad():
            norm.weight.add_(0.3 * drawn[0])
            norm.bias.add_(0.3 * drawn[1])
        norm.running_mean.copy_(0.3 * drawn[2])
        norm.running_var.copy_(torch.rand(norm.num_features, generator=g) + 0.5)
    return net, in_shape


def inputs(in_shape: tuple[int, ...], n: int, *names: str | int) -> Tensor:
    """Return standard normal inputs (n, *in_shape); the first name is the seed."""
    g = draws(*names, "inputs")
    return torch.randn(n, *in_shape, generator=g, dtype=torch.float64)


def relative(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference over the largest modulus of what is wanted."""
    if not wanted.numel():
        return 0.0
    gap = float((found - wanted).abs().max())
    return gap / float(wanted.abs().max()) if gap else 0.0


def flat(tensors: dict[str, Tensor], names=None) -> Tensor:
    """Chain tensors to one vector, in the order of the names."""
    return torch.cat([tensors[n].detach().flatten() for n in names or tensors])
