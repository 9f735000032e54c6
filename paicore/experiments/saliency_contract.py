"""The contract of NTK-SAP's score: what it may not touch, and what must agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from paicore import Masks
from paicore.experiments.saliency_nets import Setting, blank, draws, network
from paicore.forward import prunable
from paicore.scores import ntk_sap, saliency_sums
from paicore.scores.ntk_sap_draws import Settings
from paicore.scores.ntk_sap_draws import draws as score_draws

CONTRACT_VALUES = ("changed", "pruned", "cancelled", "sd", "order", "linear")
Kept = Mapping[str, Tensor]


@dataclass(frozen=True)
class Contract(Setting):
    """The score on small networks with batch norm."""

    methods: tuple[str, ...] = ("conv6", "resnet20_narrow")
    densities: tuple[float, ...] = (0.5,)
    samples: int = 8


def run_contract(config: Contract, cell: dict) -> list[dict]:
    """Count what the score may not do, and measure what must agree.

    Returns:
        One row. "changed": parameters, buffers, gradients, modes or states of the
        global generator that differ after scoring. "pruned": pruned weights with a
        score. "cancelled": share of weights whose draws cancel in part. "sd": of
        the perturbation against sqrt(epsilon), relative. "order": change under a
        permutation of the samples, relative. "linear": largest difference of
        D / epsilon of a linear network at four epsilons, relative.
    """
    name, seed = cell["method"], cell["seed"]
    net, in_shape = network(name, draws(seed, "contract", name))
    g = draws(seed, "contract", "inputs")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)
    kept = {
        n: torch.rand(w.shape, generator=g) < cell["density"]
        for n, w in prunable(net).items()
    }
    before = state(net)
    score = ntk_sap(net, kept, (x, None), generator=draws(seed, "contract", "a"))
    changed = sum(not same(a, b) for a, b in zip(before, state(net), strict=True))
    return [{
        "step": 0, "changed": changed,
        "pruned": sum(int((score[n][~kept[n]] != 0).sum()) for n in kept),
        "cancelled": cancelled(net, kept, x, seed),
        "sd": step_sd(net, x, seed), "order": order(net, kept, x, seed),
        "linear": linear(seed),
    }]  # fmt: skip


def state(net: nn.Module) -> list:
    """Return copies of everything that scoring must leave alone."""
    parameters = dict(net.named_parameters())
    grads = [p.grad for p in parameters.values()]
    tensors = [t.detach().clone() for t in (*parameters.values(), *net.buffers())]
    modes = [module.training for module in net.modules()]
    return [*tensors, *grads, *modes, torch.get_rng_state()]


def same(one, other) -> bool:
    """Say whether two entries of a state are equal, bit for bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other or (not isinstance(one, Tensor) and one == other)


GIVEN = {"weights": "given", "inputs": "real", "repeats": 1}


def cancelled(net: nn.Module, kept: Kept, x: Tensor, seed: int) -> float:
    """Return the share of alive weights whose two half-batches cancel in part."""
    g = draws(seed, "contract", "halves")
    half = len(x) // 2
    parts = [
        saliency_sums(net, kept, (each, None), generator=g, **GIVEN).signed
        for each in x.split(half)
    ]
    whole = ntk_sap(
        net, kept, (x, None), generator=draws(seed, "contract", "halves"),
        batch_size=half, **GIVEN,
    )  # fmt: skip
    less = sum(
        int((sum(p[n].abs() for p in parts) > 1.01 * whole[n])[kept[n]].sum())
        for n in kept
    )
    return less / sum(int(m.sum()) for m in kept.values())


def step_sd(net: nn.Module, x: Tensor, seed: int) -> float:
    """Return how far the perturbation's sd is from sqrt(epsilon), relative."""
    own = {n: w.detach() for n, w in prunable(net).items()}
    dense, settings = Masks.dense(net), Settings(repeats=20)
    found = score_draws(own, dense, x, settings, draws(seed, "contract", "sd"))
    steps = torch.cat([s.flatten() for draw in found for s in draw.step.values()])
    return abs(float(steps.std()) / sqrt(settings.epsilon) - 1)


def order(net: nn.Module, kept: Kept, x: Tensor, seed: int) -> float:
    """Return the largest change of a score when its samples change places."""
    shuffled = x[torch.randperm(len(x), generator=draws(seed, "contract", "order"))]
    one, two = (
        ntk_sap(net, kept, (each, None), generator=draws(seed, "contract", "o"),
                **GIVEN)
        for each in (x, shuffled)
    )  # fmt: skip
    gap = max(float((one[n] - two[n]).abs().max()) for n in kept)
    return gap / max(float(one[n].max()) for n in kept)


def linear(seed: int) -> float:
    """Return the largest relative difference of D / epsilon of a linear network."""
    net, in_shape = network("linear", draws(seed, "contract", "linear"))
    values = [
        saliency_sums(
            net, Masks.dense(net), blank(in_shape, 4), repeats=3, epsilon=epsilon,
            generator=draws(seed, "contract", "l"),
        ).values / epsilon
        for epsilon in (1e-6, 1e-4, 1e-2, 1.0)
    ]  # fmt: skip
    stacked = torch.stack(values)
    return float(((stacked - stacked[-1]) / stacked[-1]).abs().max())
