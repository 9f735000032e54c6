"""Two limits in which a kernel is all there is: small steps, and wide layers.

``halving`` trains a network for a fixed number of steps and halves the step size; the
distance to the linearised prediction is of second order. ``width`` compares the kernel
at finite width with the closed form at infinite width.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from paicore.experiments.kernels_setting import Setting, batch, load, network
from paicore.kernels import linearised, meanfield, ntk

HALVING_VALUES = ("rate", "residual", "ratio")
WIDTH_VALUES = ("error", "slope")


@dataclass(frozen=True)
class Halving(Setting):
    """Gradient descent at smaller and smaller steps; methods are activations.

    Attributes:
        width: Of both hidden layers.
        variants: Numbers of steps, as texts.
        rate: Largest step size.
        halvings: How often it is halved.
    """

    width: int = 100
    methods: tuple[str, ...] = ("tanh", "gelu", "relu")
    variants: tuple[str, ...] = ("1", "10")
    rate: float = 1e-3
    halvings: int = 6


@dataclass(frozen=True)
class Width(Setting):
    """An MLP of depth 3 at several widths, with He's initialisation.

    Attributes:
        widths: Of both hidden layers, rising.
        methods: Activations.
    """

    widths: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    methods: tuple[str, ...] = ("relu",)


def descend(net: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int) -> Tensor:
    """Return the logits (n, k) after full-batch gradient descent; net stays as it is.

    Conventions: mean cross-entropy, no momentum; the network has no batch norm.
    """
    theta = {name: p.detach() for name, p in net.named_parameters()}
    for _ in range(steps):
        leaves = {name: p.requires_grad_() for name, p in theta.items()}
        loss = cross_entropy(functional_call(net, leaves, (x,)), y)
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        pairs = zip(leaves.items(), slopes, strict=True)
        theta = {name: (p - rate * slope).detach() for (name, p), slope in pairs}
    return functional_call(net, theta, (x,)).detach()


def run_halving(config: Halving, cell: dict) -> list[dict]:
    """Measure the distance to the linearised prediction at each step size.

    Returns:
        One row per step size; "ratio" is the distance over that at half the size.
    """
    seed, steps = cell["seed"], int(cell["variant"])
    net = network(config, seed, activation=cell["method"])
    x, y = batch(config, seed)
    start, kernel = net(x).detach(), ntk.gram(net, x, progress=False)
    rates = [config.rate / 2**k for k in range(config.halvings + 2)]
    residuals = []
    for rate in rates:
        straight = linearised.gradient_descent(
            kernel, start, y, [steps], lr=rate, loss="cross_entropy"
        )
        real = descend(net, x, y, rate, steps)
        residuals.append(float((real - straight.train[0]).norm()))
    return [
        {"step": k, "rate": rates[k], "residual": a, "ratio": a / b}
        for k, (a, b) in enumerate(pairwise(residuals))
    ]


def infinite(phi: str, x: Tensor, k: int, width: int) -> Tensor:
    """Return the closed form (n, n, k, k) at two hidden layers of this width."""
    shared = meanfield.infinite_ntk(
        phi, x.numpy(), depth=3, sigma_w=sqrt(2), widths=(width, width)
    )
    eye = torch.eye(k, dtype=torch.float64)
    return torch.einsum("nm,ij->nmij", torch.from_numpy(shared), eye)


def run_width(config: Width, cell: dict) -> list[dict]:
    """Measure the relative Frobenius error of one draw at each width.

    Returns:
        One row per width, which is its "step"; "slope", the same in all rows, is that
        of the least-squares line of log error over log width.
    """
    x, _ = batch(config, cell["seed"])
    classes, errors = load(config.data).classes, []
    for width in config.widths:
        options = {"width": width, "activation": cell["method"]}
        net = network(config, cell["seed"], **options)
        limit = infinite(cell["method"], x, classes, width)
        gap = ntk.gram(net, x, progress=False) - limit
        errors.append(float(gap.norm() / limit.norm()))
    slope = float(np.polyfit(np.log(config.widths), np.log(errors), 1)[0])
    return [
        {"step": width, "error": error, "slope": slope}
        for width, error in zip(config.widths, errors, strict=True)
    ]
