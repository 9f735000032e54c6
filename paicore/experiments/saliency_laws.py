r"""Identities of NTK-SAP: trace, conservation, and how many weights are kept.

With theta * m in place of the weights f is homogeneous of degree 1 in the mask of each
layer, if the network is a chain of layers without biases and ReLU, leaky ReLU, or
pooling between them. The squared output change D then has degree 2, so

.. math:: \sum_{j \in \ell} m_j \, \partial_{m_j} D = 2 D

for every layer, every perturbation and every epsilon.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from paicore import Masks, nets
from paicore.experiments.saliency_nets import (
    Setting,
    agreement,
    blank,
    draws,
    network,
)
from paicore.forward import prunable
from paicore.kernels import ntk
from paicore.masks import COUNT_RULES
from paicore.scores import saliency_sums

LAW_VALUES = ("doubled", "zeroed")
TRACE_VALUES = (
    "spectrum", "frobenius", "conserved", "direct", "layer_direct", "negative",
    "spearman",
)  # fmt: skip
COUNT_VALUES = ("weights", "kept", "rounded", "away")

# Kept weights at 0.8^2, 0.8^4, ..., 0.8^18, from the reference (D).
KEPT = {
    "resnet20": (173374, 110960, 71014, 45449, 29088, 18616, 11915, 7626, 4881),
    "vgg16_bn": (
        9447465, 6046378, 3869682, 2476597, 1585022, 1014414, 649225, 415504, 265923
    ),
    "torchvision_resnet18": (
        7474504, 4783683, 3061557, 1959397, 1254014, 802569, 513644, 328733, 210389
    ),
}  # fmt: skip
CLASSES = {"resnet20": 10, "vgg16_bn": 100, "torchvision_resnet18": 1000}
EXPONENTS = tuple(range(2, 20, 2))
HOW = {
    "1": {"epsilon": 1.0}, "0.0001": {"epsilon": 1e-4}, "jvp": {"estimator": "jvp"},
}  # fmt: skip


@dataclass(frozen=True)
class Laws(Setting):
    """Networks in the methods, what perturbs them in the variants."""

    methods: tuple[str, ...] = (
        "mlp", "mlp_leaky", "lenet5", "vgg11", "mlp_biases", "residual",
        "conv6_frozen", "conv6_train",
    )  # fmt: skip
    variants: tuple[str, ...] = tuple(HOW)


@dataclass(frozen=True)
class Traces(Setting):
    """Bias-free MLPs, whose exact saliency is compared with its parts."""

    methods: tuple[str, ...] = ("mlp", "mlp_leaky", "mlp_deep")


@dataclass(frozen=True)
class Counts(Setting):
    """Networks whose kept weights the reference lists."""

    methods: tuple[str, ...] = tuple(KEPT)
    densities: tuple[float, ...] = tuple(0.8**k for k in EXPONENTS)


def run_laws(config: Laws, cell: dict) -> list[dict]:
    """Measure how far each layer's signed sum is from 2 D, and from zero.

    Returns:
        One row: "doubled" is the largest relative difference from 2 D over layers,
        "zeroed" the largest sum over moduli of the layers before a batch norm, nan
        without one. Batch norm has eps 0 here.
    """
    name, seed = cell["method"], cell["seed"]
    base, _, mode = name.partition("_") if name.startswith("conv6") else (name, "", "")
    net, in_shape = network(base, draws(seed, "laws", base))
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 0.0
    found = saliency_sums(
        net, Masks.dense(net), blank(in_shape, config.samples), repeats=1,
        generator=draws(seed, "laws", base, "score"), batch_norm=mode or "frozen",
        **HOW[cell["variant"]],
    )  # fmt: skip
    twice = 2 * float(found.values.sum())
    doubled = max(abs(float(s.sum()) / twice - 1) for s in found.signed.values())
    return [{"step": 0, "doubled": doubled, "zeroed": zeroed(found, mode)}]


def zeroed(found, mode: str) -> float:
    """Return the largest signed sum over moduli of all layers but the readout."""
    if not mode:
        return float("nan")
    *before, _ = found.signed.values()
    return max(abs(float(s.sum() / s.abs().sum())) for s in before)


@dataclass(frozen=True)
class Exact:
    """The trace of the tangent kernel and how each connection moves it.

    Attributes:
        trace: tr Theta.
        spectrum: Eigenvalues of Theta, rising.
        signed: name -> m d tr / dm.
        direct: name -> its part 2 m^2 |df/dw|^2.
    """

    trace: float
    spectrum: Tensor
    signed: dict[str, Tensor]
    direct: dict[str, Tensor]


def exact(net: nn.Module, x: Tensor) -> Exact:
    """Return the exact saliency of a small network, from its whole Jacobian.

    Conventions: a mask enters twice, as m^2 before each squared slope and through the
    weights m * theta at which slopes are taken.

    Cost: the Jacobian, (n k, P).
    """
    own = {n: w.detach().clone().requires_grad_() for n, w in prunable(net).items()}
    rows = jacrev(lambda w: functional_call(net, w, (x,)).flatten())(own)
    value = sum(part.square().sum() for part in rows.values())
    slopes = torch.autograd.grad(value, list(own.values()))
    rows = {name: part.detach() for name, part in rows.items()}
    direct = {name: 2 * part.square().sum(0) for name, part in rows.items()}
    signed = {
        name: direct[name] + own[name].detach() * slope
        for name, slope in zip(own, slopes, strict=True)
    }
    matrix = torch.cat([part.flatten(1) for part in rows.values()], 1)  # (n k, P)
    spectrum = torch.linalg.eigvalsh(matrix @ matrix.T)
    return Exact(float(value.detach()), spectrum, signed, direct)


def run_traces(config: Traces, cell: dict) -> list[dict]:
    """Split the exact saliency into its parts; one row per layer."""
    name, seed = cell["method"], cell["seed"]
    net, in_shape = network(name, draws(seed, "traces", name))
    g = draws(seed, "traces", "inputs")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)
    found = exact(net, x)
    sums = [float(s.sum()) for s in found.signed.values()]
    direct = [float(s.sum()) for s in found.direct.values()]
    entries = torch.cat([s.flatten() for s in found.signed.values()])
    library = float(ntk.trace(net, x, params="prunable", progress=False))
    facts = {
        "spectrum": abs(float(found.spectrum.sum()) / found.trace - 1),
        "frobenius": abs(library / found.trace - 1),
        "conserved": max(abs(s / (2 * found.trace) - 1) for s in sums),
        "direct": sum(direct) / sum(sums),
        "negative": float((entries < 0).double().mean()),
        "spearman": agreement(found.signed, found.direct),
    }
    return [
        {"step": k, **facts, "layer_direct": part / whole}
        for k, (part, whole) in enumerate(zip(direct, sums, strict=True))
    ]


@lru_cache(maxsize=4)
def count(name: str) -> int:
    """Return how many weights of a network can be pruned."""
    net = nets.build(
        name, classes=CLASSES[name], in_shape=(3, 32, 32), generator=draws(0, "count")
    )
    return sum(weight.numel() for weight in prunable(net).values())


def run_counts(config: Counts, cell: dict) -> list[dict]:
    """Compare the authors' count rule with the reference's table."""
    name, density, total = cell["method"], cell["density"], count(cell["method"])
    kept = COUNT_RULES["synflow"](total, density)
    listed = KEPT[name][config.densities.index(density)]
    rounded = COUNT_RULES["exact"](total, density)
    return [{"step": 0, "weights": total, "kept": kept, "rounded": rounded,
             "away": abs(kept - listed)}]  # fmt: skip
