"""What the Path Kernel says of the tangent kernel: bounds, ranks, and one real step.

With nu, sigma and lam the eigenvalues of the tangent kernel, of A A^T and of the Path
Kernel, largest first: nu_{i+j-1} <= sigma_i lam_j, and partial sums of nu are at most
those of sigma_i lam_i. That nu_k <= sigma_k lam_k for each k is not true.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from paicore import nets, prune
from paicore.experiments.paths_nets import Setting, draws, inputs, network
from paicore.kernels import ntk, paths

BOUND_VALUES = ("first", "sums", "index", "chain", "tangent", "von_neumann",
                "sigma_trace", "px", "loose")  # fmt: skip
RANKING_VALUES = ("kept", "path", "tangent", "rho", "rho_kept")
STEP_VALUES = ("rate", "residual", "ratio", "off", "switched")
TINY = 1e-10  # eigenvalues below this share of the largest are rounding


@dataclass(frozen=True)
class Bounds(Setting):
    """Random small networks; "masked" has a random mask, "matrices" is no network.

    Attributes:
        kept: Density of "masked".
        size: Side of both square Gaussian matrices of "matrices".
    """

    methods: tuple[str, ...] = ("mlp", "mlp_bias", "masked", "conv", "matrices")
    samples: int = 4
    kept: float = 0.6
    size: int = 4


@dataclass(frozen=True)
class Ranking(Setting):
    """Traces of both kernels over many networks; methods are what varies.

    Attributes:
        number: Of networks.
        in_features: Number of inputs.
        width: Of both hidden layers.
        classes: Number of outputs.
        scale: Greatest factor of a layer in "scales"; the least is 1.
        least: Smallest density in "masks".
        fixed: Density in "fixed".
    """

    methods: tuple[str, ...] = ("scales", "masks", "fixed", "draws")
    samples: int = 16
    number: int = 40
    in_features: int = 10
    width: int = 20
    classes: int = 4
    scale: float = 4.0
    least: float = 0.05
    fixed: float = 0.3


@dataclass(frozen=True)
class Steps(Setting):
    """One step of an MLP 6-8-6-3, halved again and again; methods are activations.

    Attributes:
        rate: Largest step size.
        halvings: How often it is halved.
    """

    methods: tuple[str, ...] = ("relu", "leaky_relu")
    rate: float = 0.8
    halvings: int = 14


def spectra(a: Tensor, j: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return nu, sigma and lam, each with as many entries as nu, zeros added."""
    values = [torch.linalg.svdvals(each) ** 2 for each in (a @ j, a, j)]
    n = len(a)
    return tuple(torch.cat([v, v.new_zeros(max(0, n - len(v)))])[:n] for v in values)


def ratios(nu: Tensor, sigma: Tensor, lam: Tensor) -> dict[str, float]:
    """Return how far each inequality is used up; above 1 it is broken.

    Conventions: over the numerical rank of the tangent kernel; 0 if it is zero, as for
    a network whose units are all off.
    """
    rank = int((nu > TINY * nu[0]).sum())
    if not rank:
        return {"first": 0.0, "sums": 0.0, "index": 0.0}
    first = max(
        float(nu[i + j] / (sigma[i] * lam[j]))
        for i in range(rank)
        for j in range(rank - i)
    )
    sums = (nu.cumsum(0) / (sigma * lam).cumsum(0))[:rank]
    index = (nu / (sigma * lam))[:rank]
    return {"first": first, "sums": float(sums.max()), "index": float(index.max())}


def network_pair(config: Bounds, name: str, seed: int):
    """Return A and J of a network, and its two passes: tr Pi and the norm of A."""
    net, in_shape = network("mlp_bias" if name == "masked" else name, seed)
    masks = None
    if name == "masked":
        g = draws(seed, "bounds", "masks")
        masks = prune(net, "random", density=config.kept, generator=g, progress=False)
    x = inputs(in_shape, config.samples, seed, "bounds", name)
    listed = paths.enumerate(net, in_shape, masks=masks)
    whole = paths.trace(net, in_shape, masks=masks)
    opened = paths.activation_norm(net, x, masks=masks)
    return listed.activations(x), listed.jacobian(), whole, opened


def matrix_pair(config: Bounds, seed: int):
    """Return the same of two Gaussian matrices."""
    g = draws(seed, "bounds", "matrices")
    shape = (2, config.size, config.size)
    a, j = torch.randn(shape, generator=g, dtype=torch.float64)
    return a, j, float((j**2).sum()), float(a.norm())


def run_bounds(config: Bounds, cell: dict) -> list[dict]:
    """Measure all bounds on one network with standard normal inputs.

    Returns:
        One row. "chain" is the largest of the ratios along tr Theta <= the sum of
        sigma lam <= sigma_1 tr Pi <= norm(A)^2 tr Pi, "loose" the last over the first.
    """
    name, seed = cell["method"], cell["seed"]
    given = (config, seed) if name == "matrices" else (config, name, seed)
    a, j, whole, opened = (matrix_pair if name == "matrices" else network_pair)(*given)
    nu, sigma, lam = spectra(a, j)
    chain = [float(nu.sum()), float((sigma * lam).sum()), float(sigma[0]) * whole,
             opened**2 * whole]  # fmt: skip
    steps = dict(
        zip(("tangent", "von_neumann", "sigma_trace", "px"), chain, strict=True)
    )
    worst = max(small / large if large else 0.0 for small, large in pairwise(chain))
    loose = chain[-1] / chain[0] if chain[0] else float("inf")
    found = {**ratios(nu, sigma, lam), **steps, "chain": worst}
    return [{"step": 0, **found, "loose": loose}]


def ranked_network(config: Ranking, method: str, g: torch.Generator):
    """Return one bias-free network and its masks."""
    net = nets.build(
        "mlp", in_shape=(config.in_features,), width=config.width, bias=False,
        classes=config.classes, generator=g, dtype=torch.float64,
    )  # fmt: skip
    unit = torch.rand(3, generator=g, dtype=torch.float64)
    density = {"masks": config.least + (1 - config.least) * float(unit[0]),
               "fixed": config.fixed}.get(method, 1.0)  # fmt: skip
    masks = prune(net, "random", density=density, generator=g, progress=False)
    if method == "scales":
        with torch.no_grad():
            for parameter, each in zip(net.parameters(), unit, strict=True):
                parameter.mul_(config.scale ** float(each))
    return net, masks


def run_ranking(config: Ranking, cell: dict) -> list[dict]:
    """Measure both traces on many networks with the same inputs; one a row.

    Returns:
        Rows; "rho" is Spearman's correlation of the two traces over all of them,
        "rho_kept" that of the tangent kernel's trace with the density.
    """
    method, seed = cell["method"], cell["seed"]
    x = inputs((config.in_features,), config.samples, seed, "ranking")
    rows = []
    for number in range(config.number):
        g = draws(seed, "ranking", number)
        net, masks = ranked_network(config, method, g)
        tangent = float(ntk.trace(net, x, masks=masks, progress=False))
        path = paths.trace(net, (config.in_features,), masks=masks)
        facts = {"kept": masks.density, "path": path, "tangent": tangent}
        rows.append({"step": number, **facts})
    rho = {"rho": _rho(rows, "path"), "rho_kept": _rho(rows, "kept")}
    return [row | rho for row in rows]


def _rho(rows: list[dict], column: str) -> float:
    """Return Spearman's correlation with the tangent kernel's trace, or nan."""
    values = [row[column] for row in rows]
    if len({*values}) == 1:
        return float("nan")
    return float(spearmanr(values, [row["tangent"] for row in rows]).statistic)


def outputs_and_gates(net: nn.Module, values: dict, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits at other parameters, and which units are on, as one vector."""
    kept: list[Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, args: kept.append(args[0] > 0))
        for module in net.modules()
        if isinstance(module, (nn.ReLU, nn.LeakyReLU))
    ]
    try:
        out = functional_call(net, values, (x,)).detach()
    finally:
        for hook in hooks:
            hook.remove()
    return out, torch.cat([each.flatten() for each in kept])


def run_steps(config: Steps, cell: dict) -> list[dict]:
    """Take one real step of every size and compare it with -eta A Pi A^T g.

    Returns:
        One row per size. "ratio" is the residual over that at half the size, "off"
        its distance from 4, "switched" the number of units that the step switches.
    """
    net = nets.build(
        "mlp", in_shape=(6,), width=(8, 6), classes=3, activation=cell["method"],
        bias_init="torch", generator=draws(cell["seed"], "steps", "init"),
        dtype=torch.float64,
    )  # fmt: skip
    x = inputs((6,), config.samples, cell["seed"], "steps")
    listed = paths.enumerate(net, (6,))
    a, j = listed.activations(x), listed.jacobian()
    theta, logits = dict(net.named_parameters()), net(x)
    loss = cross_entropy(logits, torch.arange(config.samples) % 3)
    g, *slopes = torch.autograd.grad(loss, [logits, *theta.values()])
    push = (a @ (j @ (j.T @ (a.T @ g.flatten())))).view_as(logits)
    before, gates = outputs_and_gates(net, theta, x)
    rates = [config.rate / 2**k for k in range(config.halvings + 1)]
    residuals, changed = [], []
    for rate in rates:
        pairs = zip(theta.items(), slopes, strict=True)
        moved = {name: (p - rate * slope).detach() for (name, p), slope in pairs}
        after, now = outputs_and_gates(net, moved, x)
        residuals.append(float((after - before + rate * push).norm()))
        changed.append(int((gates != now).sum()))
    return [
        {
            "step": k, "rate": rates[k], "residual": one, "ratio": one / half,
            "off": abs(one / half - 4), "switched": changed[k],
        }
        for k, (one, half) in enumerate(pairwise(residuals))
    ]  # fmt: skip
