"""What the edge-of-chaos experiments share: points, networks and measured moments.

A *point* is a pair of scales. As a variant it is a text of sigma_w and sigma_b, for
example "0.8 0.3"; "edge 0.3" has the sigma_w that puts this activation on the edge of
chaos. Networks of one seed and draw have the same unit weights and biases at every
point, so that points are compared on the same draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from paicore import nets, seeds
from paicore.experiments import Config
from paicore.forward import prunable
from paicore.kernels import meanfield

NAN = float("nan")


@dataclass(frozen=True)
class Setting(Config):
    """Fields of every config of this notebook.

    Attributes:
        points: Pairs of method and variant, in the order of tables.
    """

    points: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Networks(Setting):
    """Fields of those that draw networks.

    Attributes:
        depth: Number L of weight layers, the readout included.
        width: Width N of the hidden layers, and of made inputs.
        draws: Networks that one run averages over.
        classes: Number of outputs.
    """

    depth: int = 30
    width: int = 300
    draws: int = 40
    classes: int = 10


def cells(config: Setting) -> list[dict]:
    """Every point, for every seed."""
    return [
        {"method": method, "density": 1.0, "seed": seed, "variant": variant}
        for method, variant in config.points
        if not config.only or method in config.only.split(",")
        for seed in range(config.seeds)
    ]


def together(config: Setting, cell: dict) -> tuple[str, int]:
    """Runs of one method and seed share their draws."""
    return cell["method"], cell["seed"]


def scales(phi: str, variant: str) -> tuple[float, float]:
    """Return (sigma_w, sigma_b) of a variant such as "0.8 0.3" or "edge 0.3"."""
    first, second = variant.split()[:2]
    sigma_b = float(second)
    if first != "edge":
        return float(first), sigma_b
    return meanfield.edge_of_chaos(phi, sigma_b=sigma_b).sigma_w, sigma_b


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw; points that are compared share it."""
    return seeds.generator(seed, "edge_of_chaos", *names)


def unit_network(
    config: Networks, phi: str, *names: str | int, dtype=torch.float64, **options
) -> nn.Module:
    """Draw an MLP with sigma_w = sigma_b = 1; the first of the names is the seed.

    Args:
        config: Depth, width and classes.
        phi: Activation.
        *names: What the draw is for.
        dtype: Floating type.
        **options: Other values for arguments of `nets.build`.

    Returns:
        The network.
    """
    shape = {"in_shape": (config.width,), "width": config.width, "depth": config.depth}
    return nets.build(
        options.pop("net", "mlp"), activation=phi, init=("gaussian", 1.0, 1.0),
        generator=draws(*names, "init"), dtype=dtype,
        **{"classes": config.classes, **shape, **options},
    )  # fmt: skip


def at_point(net: nn.Module, unit: dict[str, Tensor], point: tuple[float, float]):
    """Give a network the unit weights times sigma_w, the unit biases times sigma_b."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            torch.mul(unit[name], point[name.endswith("bias")], out=parameter)
    return net


def units(net: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters by name."""
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def inputs(
    shape: Sequence[int], *names: str | int, dtype=torch.float64
) -> tuple[Tensor, Tensor]:
    """Return inputs and an output direction (10,), all of mean square one.

    Args:
        shape: (n, *in_shape).
        *names: What the draw is for; the first one is the seed.
        dtype: Floating type.

    Returns:
        Inputs and direction.
    """
    g = draws(*names, "inputs")
    x = torch.randn(*shape, generator=g, dtype=torch.float64)
    x = x / x.flatten(1).square().mean(1).sqrt().view(-1, *[1] * (x.dim() - 1))
    v = torch.randn(10, generator=g, dtype=torch.float64)
    return x.to(dtype), (v / v.square().mean().sqrt()).to(dtype)


def terms(net: nn.Module, loss: Tensor) -> list[Tensor]:
    """Return W dL/dW of every layer, the loss's graph being used up."""
    weights = list(prunable(net).values())
    grads = torch.autograd.grad(loss, weights)
    return [w.detach() * g for w, g in zip(weights, grads, strict=True)]


def layer_moments(net: nn.Module, loss: Tensor) -> np.ndarray:
    """Return the mean of (W dL/dW)^2 over the weights of every layer, (L,)."""
    return np.array([float((t * t).double().mean()) for t in terms(net, loss)])


def slope(moments: np.ndarray, fit: tuple[int, int], scale: Callable = float) -> float:
    """Return the slope of log m^l against scale(l) over layers fit[0] ... fit[1].

    Args:
        moments: (L,); layers count from 1.
        fit: First and last layer.
        scale: `float` for l itself, `np.log` for exponents.

    Returns:
        The slope.
    """
    span = np.arange(fit[0], fit[1] + 1)
    x = np.array([scale(layer) for layer in span])
    return float(np.polyfit(x, np.log(moments[span - 1]), 1)[0])


def profile(columns: dict[str, Sequence[float]], last: dict[str, float]) -> list[dict]:
    """Return one row per layer; what sums up a run stands in its last row only.

    Args:
        columns: Name to values (L,).
        last: Name to value.
    """
    length = len(next(iter(columns.values())))
    rows = [
        {"step": k + 1, **{n: float(v[k]) for n, v in columns.items()}}
        | dict.fromkeys(last, NAN)
        for k in range(length)
    ]
    rows[-1] |= last
    return rows
