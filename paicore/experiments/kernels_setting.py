"""What the kernels' experiments share: a network, a batch, and their seeds."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from paicore import data, nets, seeds
from paicore.experiments import Config


@dataclass(frozen=True)
class Setting(Config):
    """A network at its initialisation and a batch, both in float64.

    Attributes:
        data: Name of the data set.
        net: Name of the network, with He's initialisation.
        width: Of the network; None for its own.
        samples: Size of the batch.
        methods: What is compared.
        densities: Fractions kept; (1.0,) where nothing is pruned.
        variants: Further settings; ("",) for none.
    """

    data: str = "mnist"
    net: str = "mlp"
    width: int | tuple[int, ...] | None = None
    samples: int = 20
    methods: tuple[str, ...] = ()
    densities: tuple[float, ...] = (1.0,)
    variants: tuple[str, ...] = ("",)


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


def draws(config: Setting, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, "kernels", config.data, config.net, what)


@lru_cache(maxsize=2)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def batch(config: Setting, seed: int) -> tuple[Tensor, Tensor]:
    """Return normalised training samples (n, c, h, w) and labels (n,)."""
    return data.sample(load(config.data), config.samples, draws(config, seed, "batch"))


def network(config: Setting, seed: int, **options) -> nn.Module:
    """Build the network in float64; options go to `nets.build`."""
    ds = load(config.data)
    given = {"width": config.width, **options}
    return nets.build(
        config.net,
        classes=ds.classes,
        in_shape=ds.in_shape,
        dtype=torch.float64,
        generator=draws(config, seed, "init"),
        **given,
    )
