"""Two laws of path sums, and which scores obey them.

A sum over the paths through a weight is *conserved*: what enters a hidden unit leaves
it, since each path does. Products of paths do not notice a *rescaling* of a hidden
unit, its incoming weights by a and its outgoing ones by 1/a.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paicore import SCORES, Masks, prune
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

LAW_VALUES = ("unit_gap", "layer_gap", "rescaled", "overlap")
NAN = float("nan")
Scores = dict[str, Tensor]


@dataclass(frozen=True)
class Laws(Setting):
    """Scores and other functions of a network; variants are networks.

    Attributes:
        density: Fraction kept where masks are compared with SynFlow's.
        factors: Least and greatest factor of a hidden unit, drawn log-uniformly.
    """

    methods: tuple[str, ...] = (
        "outputs", "trace", "synflow", "synflow_dist", "l2_A", "l2_B", "l2_C", "l2_D",
        "l2_E", "synflow_biases", "l2_D_biases",
    )  # fmt: skip
    variants: tuple[str, ...] = ("mlp_bias", "conv_max")
    density: float = 0.3
    factors: tuple[float, float] = (0.25, 4.0)


def _named(score: str, **options) -> Callable:
    """Return a score of `SCORES` as a function of network, inputs and their weights."""

    def function(net: nn.Module, x: Tensor, weights: Tensor) -> Scores:
        extra = {"input_weights": weights} if score == "synflow_dist" else {}
        given = {"generator": None, **options, **extra}
        return SCORES[score].function(net, Masks.dense(net), (x, None), **given)

    return function


def _biased(kind: str) -> Callable:
    """Return SF or D of weights and biases, their paths included."""

    def function(net: nn.Module, x: Tensor, weights: Tensor) -> Scores:
        return getattr(paths.edge_sums(net, tuple(x.shape[1:])), kind)

    return function


FUNCTIONS: dict[str, Callable[[nn.Module, Tensor, Tensor], Scores]] = {
    "outputs": lambda net, x, weights: {"outputs": net(x).detach()},
    "trace": lambda net, x, weights: {
        "trace": torch.tensor([paths.trace(net, tuple(x.shape[1:]))])
    },
    "synflow": _named("synflow"),
    "synflow_dist": _named("synflow_dist"),
    **{f"l2_{v}": _named("synflow_l2", variant=v) for v in "ABCDE"},
    "synflow_biases": _biased("sf"),
    "l2_D_biases": _biased("d"),
}


def by_unit(before: Tensor, after: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Return what enters and what leaves each unit or channel between two layers.

    Args:
        before: Scores (units, ...) of the weights into the units.
        after: Scores of the next layer's weights, (outputs, inputs, ...).
        bias: Scores (units,) of the units' biases, or None.
    """
    units = len(before)
    entering = before.flatten(1).sum(1)
    leaving = after.flatten(1).view(len(after), units, -1).sum((0, 2))
    return entering if bias is None else entering + bias, leaving


def gaps(net: nn.Module, scores: Scores) -> tuple[float, float]:
    """Return the largest gap at a unit, and of the sums over layers, relative.

    Conventions: where there are scores of biases, a unit takes in its bias's too, and
    a layer counts with the biases of its own and of later units: paths that begin
    there pass by it.
    """
    weights = list(prunable(net))
    biases = [scores.get(name.replace("weight", "bias")) for name in weights]
    pairs = zip(weights[:-1], weights[1:], biases[:-1], strict=True)
    sides = [by_unit(scores[a], scores[b], bias) for a, b, bias in pairs]
    unit = max(relative(entering, leaving) for entering, leaving in sides)
    later, cuts = 0.0, []
    for name, bias in zip(reversed(weights), reversed(biases), strict=True):
        later = later + (0.0 if bias is None else float(bias.sum()))
        cuts.append(float(scores[name].sum()) + later)
    return unit, (max(cuts) - min(cuts)) / max(cuts)


def rescaled(net: nn.Module, factors: Sequence[Tensor]) -> nn.Module:
    """Return a copy with each hidden unit's inputs times a and outputs over a.

    Args:
        net: Linear and Conv layers in a chain; left untouched.
        factors: One positive tensor (units,) per hidden layer.
    """
    twin = copy.deepcopy(net)
    layers = [m for m in twin.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    with torch.no_grad():
        for a, b, factor in zip(layers[:-1], layers[1:], factors, strict=True):
            a.weight.mul_(factor.view(-1, *[1] * (a.weight.dim() - 1)))
            if a.bias is not None:
                a.bias.mul_(factor)
            grouped = b.weight.view(len(b.weight), len(factor), -1)
            grouped.div_(factor.view(1, -1, 1))
    return twin


def random_factors(config: Laws, net: nn.Module, *names: str | int) -> list[Tensor]:
    """Return factors of every hidden unit."""
    g = draws(*names, "factors")
    low, high = torch.tensor(config.factors, dtype=torch.float64).log()
    sizes = [len(weight) for weight in prunable(net).values()][:-1]
    unit = [torch.rand(size, generator=g, dtype=torch.float64) for size in sizes]
    return [torch.exp(low + (high - low) * each) for each in unit]


def overlap(net: nn.Module, x: Tensor, method: str, density: float) -> float:
    """Return the Jaccard index of a one-round mask with SynFlow's."""
    options: Mapping = {"density": density, "rounds": 1, "batch": (x, None)}
    ours = prune(net, "synflow_l2", variant=method[-1], progress=False, **options)
    theirs = prune(net, "synflow", progress=False, **options)
    both = sum(int((ours[n] & theirs[n]).sum()) for n in ours)
    return both / sum(int((ours[n] | theirs[n]).sum()) for n in ours)


def run_laws(config: Laws, cell: dict) -> list[dict]:
    """Measure both laws for one function of the network."""
    method, variant, seed = cell["method"], cell["variant"], cell["seed"]
    net, in_shape = network(variant, seed)
    x = inputs(in_shape, config.samples, seed, variant)
    g = draws(seed, variant, "pixels")
    weights = torch.rand(in_shape, generator=g, dtype=torch.float64)
    before = FUNCTIONS[method](net, x, weights)
    twin = rescaled(net, random_factors(config, net, seed, variant))
    after = FUNCTIONS[method](twin, x, weights)
    is_score = method not in ("outputs", "trace")
    unit, layer = gaps(net, before) if is_score else (NAN, NAN)
    shared = method in ("l2_A", "l2_B", "l2_C", "l2_D", "l2_E")
    return [{
        "step": 0, "unit_gap": unit, "layer_gap": layer,
        "rescaled": relative(flat(after), flat(before)),
        "overlap": overlap(net, x, method, config.density) if shared else NAN,
    }]  # fmt: skip
