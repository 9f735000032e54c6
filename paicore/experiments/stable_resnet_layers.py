"""Which layers of a ResNet SBP keeps at initialisation: Figures 2 and 4, and a sweep.

Networks are drawn (He, fan_in), scored once on one batch with batch norm in training
mode, and pruned to several densities; none is trained. A *branch* is "plain" (factor
1), "stable" (1/sqrt(L), L the number of blocks) or a number.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from torch import Tensor, nn

from paicore import SCORES, Masks, data, nets, prune
from paicore.experiments import Config, grid
from paicore.experiments.stable_resnet_theory import draws
from paicore.forward import prunable
from paicore.masks import critical_sparsities

LOOK_VALUES = ("cv1", "cv2", "cv3", "dead", "least", "s_cr")
LAYER_VALUES = ("share", "critical", *LOOK_VALUES)
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Layers(Config):
    """ResNets at initialisation, scored by SBP.

    Attributes:
        methods: Branches for `run_layers`, networks for `run_sweep`.
        variants: Activations for `run_layers`, branches for `run_sweep`.
        densities: Fractions kept.
        data: Data set of the scoring batch.
        net: Network, where the method names none.
        depth: Its depth where it has no number of its own.
        width: Channels of the first stage.
        batch: Samples that are scored.
    """

    methods: tuple[str, ...] = ("plain", "stable")
    variants: tuple[str, ...] = ("relu", "tanh")
    densities: tuple[float, ...] = (0.1, 0.02, 0.005)
    data: str = "cifar10"
    net: str = "resnet32"
    depth: int | None = None
    width: int = 16
    batch: int = 100


def cells(config: Layers) -> list[dict]:
    """Every method, variant and density, for every seed."""
    return grid(config)


def together(config: Layers, cell: dict) -> Hashable:
    """All densities of one network are read off one scoring."""
    return cell["method"], cell["variant"], cell["seed"]


def branch_options(branch: str) -> dict:
    """Return what `nets.build` is told for a branch."""
    if branch in ("plain", "stable"):
        return {"stable": branch == "stable"}
    return {"branch_factor": float(branch)}


def resnet(
    config, net: str, branch: str, phi: str, ds: data.Dataset, seed: int
) -> nn.Module:
    """Draw a ResNet; the same weights whatever its branch and its activation."""
    depth = {} if config.depth is None else {"depth": config.depth}
    return nets.build(
        net, in_shape=ds.in_shape, classes=ds.classes, width=config.width,
        activation=phi, generator=draws(seed, net, "init"),
        **depth, **branch_options(branch),
    )  # fmt: skip


def scored(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Return the scores of SBP by layer, in float64."""
    return SCORES["snip"].function(net, Masks.dense(net), batch)


def from_scores(net: nn.Module, scores: dict[str, Tensor], density: float) -> Masks:
    """Return the masks that `prune` makes of scores computed before."""

    def known(net, masks, batch, *, generator):
        return scores

    return prune(net, known, density=density, progress=False)


def stages(net: nn.Module) -> list[int]:
    """Return the stage, 1 to 3, of every 3x3 convolution in a branch, else 0."""
    weights = prunable(net)
    widths = sorted({len(w) for n, w in weights.items() if ".branch." in n})
    return [
        widths.index(len(w)) + 1 if ".branch." in name else 0
        for name, w in weights.items()
    ]


def looks(net: nn.Module, masks: Masks, critical: dict[str, float]) -> dict:
    """Sum up how evenly the layers keep their weights.

    Returns:
        Coefficient of variation of the shares kept within each stage, number of
        layers that keep nothing, least share, critical sparsity.
    """
    shares = np.array(list(masks.layer_densities().values()))
    stage = np.array(stages(net))
    found = {}
    for k in (1, 2, 3):
        own = shares[stage == k]
        found[f"cv{k}"] = float(own.std() / own.mean()) if own.any() else nan
    return found | {
        "dead": len(masks.collapsed), "least": float(shares.min()),
        "s_cr": min(critical.values()),
    }  # fmt: skip


def pruned(config: Layers, group: list[dict], net: str, branch: str, phi: str):
    """Yield network, masks and the layers' critical sparsities for every cell."""
    ds = data.load(config.data)
    seed = group[0]["seed"]
    made = resnet(config, net, branch, phi, ds, seed)
    batch = data.sample(ds, config.batch, draws(seed, config.data, "batch"))
    scores = scored(made, batch)
    critical = critical_sparsities(scores)
    for cell in group:
        yield made, from_scores(made, scores, cell["density"]), critical


def run_layers(config: Layers, group: list[dict]) -> list[list[dict]]:
    """Return a row per layer; what sums up a run stands in its last row only."""
    branch, phi, _ = together(config, group[0])
    found = []
    for net, masks, critical in pruned(config, group, config.net, branch, phi):
        shares = masks.layer_densities()
        rows = [
            {"step": k, "share": shares[name], "critical": critical[name]}
            | dict.fromkeys(LOOK_VALUES, nan)
            for k, name in enumerate(shares, 1)
        ]
        rows[-1] |= looks(net, masks, critical)
        found.append(rows)
    return found


def run_sweep(config: Layers, group: list[dict]) -> list[list[dict]]:
    """Return one row per network and density."""
    net, branch, _ = together(config, group[0])
    found = pruned(config, group, net, branch, "relu")
    return [[{"step": 0, **looks(*each)}] for each in found]


def stream(net: nn.Module, x: Tensor) -> list[float]:
    """Return the mean square of the stream behind the stem and behind every block.

    Args:
        net: ResNet, in training mode: batch norm by the batch; its stored statistics
            move.
        x: Inputs (n, c, h, w).
    """
    found = []
    with torch.no_grad():
        for name, module in net.named_children():
            x = module(x)
            if name == "act1" or name.startswith("block"):
                found.append(float(x.square().mean()))
    return found
