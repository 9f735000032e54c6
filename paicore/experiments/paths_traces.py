r"""Traces at initialisation: closed forms, and what the authors' code prints instead.

A chain of layers n_0, ..., n_L with independent weights of mean 0 and variance v_l has

.. math:: \mathbb E \operatorname{tr} \Pi
          = n_L \prod_l n_{l-1} v_l \; \sum_l \frac{1}{v_l} .

With biases of variance b_l each layer is the start of paths as well.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from paicore import nets
from paicore.experiments.paths_nets import Setting, draws
from paicore.kernels import paths

EXPECTED_VALUES = ("trace", "expected", "away")
POOLING_VALUES = ("exact", "authors", "ratio", "ratio_all")


@dataclass(frozen=True)
class Expectation(Setting):
    """The trace of fully connected networks, drawn many times; methods are networks.

    Attributes:
        variants: "he" and "torch" leave biases out; "torch_biases" has them, and the
            trace is the authors', over all parameters.
        in_shape: Shape of one input.
        depth: Number of Linear layers.
        number: Of draws.
    """

    methods: tuple[str, ...] = ("fc_100", "fc_500", "fc_1000")
    variants: tuple[str, ...] = ("he", "torch", "torch_biases")
    in_shape: tuple[int, ...] = (1, 28, 28)
    depth: int = 6
    number: int = 30


@dataclass(frozen=True)
class Pooling(Setting):
    """Both traces of convolutional networks, He's initialisation.

    Attributes:
        methods: Names of networks.
        variants: "as built", or "eps 0" with a batch norm that divides by 1.
        in_shape: Shape of one input.
        width: Channels of the first layer; None for the network's own.
        depth: Of "resnet"; None for the network's own.
    """

    methods: tuple[str, ...] = ("resnet20", "vgg11_bn")
    variants: tuple[str, ...] = ("as built", "eps 0")
    in_shape: tuple[int, ...] = (3, 32, 32)
    width: int | None = None
    depth: int | None = None


def expected_trace(sizes: tuple[int, ...], init: str, *, biases: bool = False) -> float:
    """Return the expected trace of a chain of Linear layers.

    Args:
        sizes: n_0, ..., n_L.
        init: "he", variance 2 / fan_in, or "torch", 1 / (3 fan_in).
        biases: Whether layers have biases of the variance 1 / (3 fan_in), and their
            own terms count.

    Returns:
        The expectation over weights and biases.
    """
    variances = [{"he": 2.0, "torch": 1 / 3}[init] / n for n in sizes[:-1]]
    gains = [n * v for n, v in zip(sizes[:-1], variances, strict=True)]
    inverses = [1 / v for v in variances]
    whole = prod(gains) * sum(inverses)
    if biases:
        for layer, n in enumerate(sizes[:-1]):
            later = prod(gains[layer + 1 :])
            variance = 1 / (3 * n)
            whole += later * (1 + variance * sum(inverses[layer + 1 :]))
    return sizes[-1] * whole


def run_expectation(config: Expectation, cell: dict) -> list[dict]:
    """Measure the trace of many draws; one a row.

    Returns:
        Rows; "away" is how many standard errors the mean of all draws so far lies
        from the expectation, without sign, and nan for the first draw.
    """
    name, variant = cell["method"], cell["variant"]
    init, keeps = variant.split("_")[0], variant == "torch_biases"
    width = int(name.removeprefix("fc_"))
    sizes = (prod(config.in_shape), *[width] * (config.depth - 1), 10)
    expected = expected_trace(sizes, init, biases=keeps)
    options = {"mode": "authors"} if keeps else {"bias": "zero"}
    found = []
    for number in range(config.number):
        net = nets.build(
            "mlp", in_shape=config.in_shape, width=width, depth=config.depth,
            init=init, generator=draws(cell["seed"], "expectation", name, number),
        )  # fmt: skip
        found.append(paths.trace(net, config.in_shape, **options))
    return [
        {"step": k, "trace": found[k], "expected": expected,
         "away": _away(found[: k + 1], expected)}
        for k in range(config.number)
    ]  # fmt: skip


def _away(values: list[float], expected: float) -> float:
    """Return the distance of the mean from what is expected, in standard errors."""
    if len(values) < 2:
        return float("nan")
    drawn = torch.tensor(values, dtype=torch.float64)
    return float((drawn.mean() - expected).abs() / (drawn.std() / len(values) ** 0.5))


def run_pooling(config: Pooling, cell: dict) -> list[dict]:
    """Compare the authors' trace with the exact one, over weights and over all."""
    given = {"width": config.width, "depth": config.depth}
    g = draws(cell["seed"], "pooling", cell["method"])
    net = nets.build(cell["method"], in_shape=config.in_shape, generator=g, **given)
    for module in net.modules():
        if cell["variant"] == "eps 0" and isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    found = {
        (mode, params): paths.trace(net, config.in_shape, mode=mode, params=params)
        for mode in ("exact", "authors")
        for params in ("prunable", "trainable")
    }
    exact, authors = found["exact", "prunable"], found["authors", "prunable"]
    every = found["authors", "trainable"] / found["exact", "trainable"]
    return [{"step": 0, "exact": exact, "authors": authors, "ratio": authors / exact,
             "ratio_all": every}]  # fmt: skip
