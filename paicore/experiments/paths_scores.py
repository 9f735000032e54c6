r"""Every score written as a sum over listed paths, beside what the library computes.

With a list of paths p, J = d pi / d theta, A the path-activation matrix, g = dL/df and
u = A^T g = dL/dpi, each score of a weight i is a sum over the paths through i. Here
they are written that way: slow, and independent of the passes that the scores make.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from paicore import SCORES, Masks
from paicore.experiments.paths_algebra import membership
from paicore.experiments.paths_nets import (
    Setting,
    draws,
    flat,
    inputs,
    network,
    relative,
)
from paicore.forward import prunable
from paicore.kernels import paths

SCORE_VALUES = ("weights", "off")
TEMPERATURE = 200.0  # of GraSP's logits, as in alecwangcq/GraSP


@dataclass(frozen=True)
class Listed:
    """A network with its paths and a batch.

    Attributes:
        net: Without pooling and batch norm, so that no path has a constant.
        in_shape: Shape of one input.
        x: Inputs (n, *in_shape) of any sign.
        y: Labels (n,).
        pixels: Inputs >= 0 of the same shape, for weights of paths.
        bias: "keep", or "zero" for the paths that start at an input.
    """

    net: nn.Module
    in_shape: tuple[int, ...]
    x: Tensor
    y: Tensor
    pixels: Tensor
    bias: str = "keep"

    @cached_property
    def paths(self) -> paths.Paths:
        """The list."""
        return paths.enumerate(self.net, self.in_shape, bias=self.bias)

    @cached_property
    def a(self) -> Tensor:
        """Path activations (n k, paths)."""
        return self.paths.activations(self.x)

    @cached_property
    def pi(self) -> Tensor:
        """Path products (paths,)."""
        return self.paths.products()

    @cached_property
    def is_weight(self) -> Tensor:
        """Which parameters are weights, bool (P,)."""
        kinds = self.net.named_parameters()
        return flat({n: torch.full_like(p, "weight" in n) for n, p in kinds}).bool()

    @cached_property
    def j(self) -> Tensor:
        """Derivatives d pi / d theta for the weights (paths, weights)."""
        return self.paths.jacobian()[:, self.is_weight]

    @cached_property
    def through(self) -> Tensor:
        """Which path is on which weight, 0 or 1, (weights, paths)."""
        return membership(self.paths)[:, self.is_weight].T

    @cached_property
    def theta(self) -> Tensor:
        """The weights, chained."""
        return self.paths.theta[self.is_weight]

    def starts(self, weights: Tensor) -> Tensor:
        """Return the weight of each path by its input, 1 behind a bias."""
        one = torch.ones(1, dtype=torch.float64)
        return torch.cat([weights.flatten(), one])[self.paths.sources]

    def pulls(self, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return dL/df (n k,) and L_ff (n, k, k) of the mean cross-entropy."""
        n, k = len(self.x), len(self.a) // len(self.x)
        p = ((self.a @ self.pi).view(n, k) / temperature).softmax(1)
        curved = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        slope = (p - one_hot(self.y, k)) / (n * temperature)
        return slope.flatten(), curved / (n * temperature**2)


def snip(each: Listed) -> Tensor:
    """Return abs of the sum of pi_p dL/dpi_p."""
    u = each.a.T @ each.pulls()[0]
    return (each.through @ (each.pi * u)).abs()


def grasp(each: Listed) -> Tensor:
    """Return theta times the slope of u^T Pi u / 2, with Pi and u both moving."""
    g, curved = each.pulls(TEMPERATURE)
    u = each.a.T @ g
    theta = each.paths.theta.clone().requires_grad_()
    products = torch.stack([theta[list(m)].prod() for m in each.paths.members])
    (step,) = torch.autograd.grad(u @ products, theta, create_graph=True)
    half = (step[each.is_weight] ** 2).sum() / 2
    (pi_moves,) = torch.autograd.grad(half, theta)
    change = each.a @ (each.j @ (each.j.T @ u))
    bent = torch.einsum("nij,nj->ni", curved, change.view(curved.shape[:2]))
    u_moves = each.j.T @ (each.a.T @ bent.flatten())
    return each.theta * (pi_moves[each.is_weight] + u_moves)


def _sf(each: Listed) -> Tensor:
    return each.through @ each.pi.abs()


def _d(each: Listed) -> Tensor:
    return each.through @ each.pi**2


def _px_official(each: Listed) -> Tensor:
    """Bound of PX: ones under the gates times squares, the classifier as it is."""
    members = each.paths.members
    last = torch.stack([each.paths.theta[m[-1]] for m in members])
    outputs = each.paths.outputs
    opened = (each.a**2).sum(0) * last  # a path's share in the network of ones
    total = torch.zeros(int(outputs.max()) + 1, dtype=torch.float64)
    total.index_add_(0, outputs, opened)
    is_last = torch.zeros(len(each.paths.theta), dtype=torch.bool)
    is_last[[m[-1] for m in members]] = True
    unit = torch.where(is_last[each.is_weight], each.theta, each.theta**2)
    shares = each.through @ (total[outputs] * each.pi**2 / last)
    return each.theta**2 * (shares / unit).abs()


def _px_ones(each: Listed) -> Tensor:
    """Return D times how much the inputs open, which is the same for each output."""
    k = len(each.a) // len(each.x)
    return (each.a**2).sum() / k * _d(each)


def _px_exact(each: Listed) -> Tensor:
    """Return theta^2 times squared slopes of the label's logit."""
    rows = torch.arange(len(each.x)) * (len(each.a) // len(each.x)) + each.y
    return each.theta**2 * ((each.a[rows] @ each.j) ** 2).sum(0)


def _gated(each: Listed) -> Tensor:
    return each.theta**2 * ((each.a**2).sum(0) @ each.j**2)


def _dist(each: Listed, power: int, weights: Tensor) -> Tensor:
    return each.through @ (each.pi.abs() ** power * each.starts(weights))


_ONES = {"classifier": "ones"}
_SECOND = {"variant": "D", "statistic": "second_moment"}
# Row of the table: bias, name in SCORES, its options, the sum over paths.
ROWS: dict[str, tuple[str, str, dict, Callable[[Listed], Tensor]]] = {
    "magnitude": ("keep", "magnitude", {}, lambda e: e.theta.abs()),
    "snip": ("keep", "snip", {}, snip),
    "grasp": ("keep", "grasp", {"temperature": TEMPERATURE}, grasp),
    "synflow": ("zero", "synflow", {}, _sf),
    "synflow_dist": (
        "zero", "synflow_dist", {}, lambda e: _dist(e, 1, e.pixels.mean(0))
    ),
    "l2_A": ("zero", "synflow_l2", {"variant": "A"}, lambda e: _sf(e) * e.theta.abs()),
    "l2_B": ("zero", "synflow_l2", {"variant": "B"}, lambda e: _sf(e) ** 2),
    "l2_C": ("zero", "synflow_l2", {"variant": "C"}, lambda e: _d(e) / e.theta.abs()),
    "l2_D": ("zero", "synflow_l2", {"variant": "D"}, _d),
    "l2_E": (
        "zero", "synflow_l2", {"variant": "E"}, lambda e: e.through @ (e.j**2).sum(1)
    ),
    "l2_dist": (
        "zero", "synflow_dist", _SECOND,
        lambda e: _dist(e, 2, (e.pixels**2).mean(0)),
    ),
    "gated_l2": ("keep", "gated_l2", {}, _gated),
    "px": ("zero", "px", {}, _px_official),
    "px_ones": ("zero", "px", _ONES, _px_ones),
    "px_exact": ("keep", "px", {"variant": "exact"}, _px_exact),
}  # fmt: skip


@dataclass(frozen=True)
class Scores(Setting):
    """Rows of the table of scores; variants are networks."""

    methods: tuple[str, ...] = tuple(ROWS)
    variants: tuple[str, ...] = ("mlp", "mlp_bias", "mlp_leaky", "conv")


def library(name: str, each: Listed) -> Tensor:
    """Return what `paicore.SCORES` says of the dense network, chained."""
    _, score, options, _ = ROWS[name]
    x = each.pixels if score == "synflow_dist" else each.x
    dense = Masks.dense(each.net)
    options = {"generator": None, **options}
    found = SCORES[score].function(each.net, dense, (x, each.y), **options)
    return flat(found, prunable(each.net))


def off(name: str, each: Listed) -> float:
    """Return the largest difference of score and sum over paths, over the largest."""
    return relative(library(name, each), ROWS[name][3](each))


def listed_network(name: str, seed: int, samples: int, bias: str) -> Listed:
    """Return a network of `NETS` with its batch; all rows of a seed share it."""
    net, in_shape = network(name, seed)
    x = inputs(in_shape, samples, seed, name)
    g = draws(seed, name, "pixels")
    pixels = torch.rand(samples, *in_shape, generator=g, dtype=torch.float64)
    return Listed(net, in_shape, x, torch.arange(samples) % 2, pixels, bias)


def run_scores(config: Scores, cell: dict) -> list[dict]:
    """Compare one score with its sum over paths."""
    name, bias = cell["method"], ROWS[cell["method"]][0]
    each = listed_network(cell["variant"], cell["seed"], config.samples, bias)
    return [{"step": 0, "weights": len(each.theta), "off": off(name, each)}]
