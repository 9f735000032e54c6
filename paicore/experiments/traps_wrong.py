"""The wrong versions: what public pruning code does, re-stated by us in a few lines.

Nothing is copied. Each function names the repository and file where the behaviour was
read, keeps the interface of its counterpart in paicore, and is used by notebook
01_traps and by the tests that must notice it. The scores are in `traps_wrong_scores`.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from paicore.experiments.traps_paths import path_kernel_terms
from paicore.forward import prunable
from paicore.masks import Masks
from paicore.scores import prune
from paicore.train import fit


def wrong_threshold(scores: Tensor, k: int) -> Tensor:
    """Keep what is above the (n - k)-th smallest: ties there all fall, NaN stays.

    ganguli-lab/Synaptic-Flow, YiteWang/NTK-SAP Pruners/pruners.py.
    """
    if k == len(scores):
        return torch.ones_like(scores, dtype=torch.bool)
    border = torch.kthvalue(scores, len(scores) - k).values
    return ~(scores <= border)


def wrong_prune_by_sparsity(net, score, *, density: float, **options) -> Masks:
    """Take the density asked for as the share to remove.

    The other half of a word: "sparsity" is the share kept in ganguli-lab/
    Synaptic-Flow main.py, the share removed in avysogorets/effective-sparsity.
    """
    return prune(net, score, density=1 - density, **options)


def wrong_density_check(kept: int, total: int, density: float) -> None:
    """Leave the whole program when the count is off by one or more.

    ganguli-lab/Synaptic-Flow prune.py, where it is quit().

    Raises:
        SystemExit: the count is off; `except Exception` does not catch it.
    """
    if abs(kept - total * density) >= 1:
        raise SystemExit(f"{kept} weights remain, expected {total * density:g}")


def wrong_prune(
    net: nn.Module, score: Callable[..., dict], *, density: float
) -> Tensor:
    """Cut at `wrong_threshold`, then `wrong_density_check`; one flat mask."""
    scores = score(net, Masks.dense(net), None)
    flat = torch.cat([each.flatten() for each in scores.values()])
    keep = wrong_threshold(flat, int(len(flat) * density + 0.5))
    wrong_density_check(int(keep.sum()), len(flat), density)
    return keep


def wrong_sweep(run: Callable[[dict], list], cells: Sequence[dict], **_) -> list:
    """Return the rows of the last cell only: they are added outside the loop.

    fmi-basel/neural-tangent-transfer nt_transfer/ntt.py, over densities.
    """
    found = []
    for cell in cells:
        rows = [{**cell, **row} for row in run(cell)]
    found += rows
    return found


def wrong_shuffled(masks: Masks, generator: torch.Generator) -> Masks:
    """Permute each mask under a local name, which changes nothing.

    ganguli-lab/Synaptic-Flow, YiteWang/NTK-SAP Pruners/pruners.py; right in
    iurada/px-ntk-pruning lib/pruners.py.
    """
    for mask in masks.values():
        order = torch.randperm(mask.numel(), generator=generator)
        mask = mask.flatten()[order].view_as(mask)
    return masks


def wrong_inverted(scores: Tensor) -> Tensor:
    """Return v / v^2: no number at zero, and no inversion of signed scores.

    ganguli-lab/Synaptic-Flow Pruners/pruners.py and two that follow it.
    """
    return scores / scores**2


def wrong_parser() -> argparse.ArgumentParser:
    """Read a switch with type=bool: every text but the empty one is true.

    ganguli-lab/Synaptic-Flow main.py.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--recompute", type=bool, default=False)
    return parser


def wrong_settings(**given):
    """Read the settings of a notebook by `wrong_parser`."""
    words = [f"--recompute={given['recompute']}"] if "recompute" in given else []
    return wrong_parser().parse_args(words)


def wrong_fit(net: nn.Module, *arguments, **options) -> list[dict]:
    """Train with the gradient set to zero wherever weight < 1e-6, no modulus taken.

    rahulvigneswaran/Lottery-Ticket-Hypothesis-in-Pytorch main.py: meant for pruned
    weights, it freezes every negative one.
    """
    hooks = [
        weight.register_hook(lambda g, w=weight: torch.where(w < 1e-6, 0, g))
        for weight in prunable(net).values()
    ]
    try:
        return fit(net, *arguments, **options)
    finally:
        for hook in hooks:
            hook.remove()


def wrong_path_kernel_sum(net: nn.Module, in_shape: tuple[int, ...]) -> float:
    """Sum the path kernel's diagonal over every parameter that has a gradient.

    uditsaxena/Synaptic-Flow path_kernel.py: weights, biases and batch norm alike.
    """
    return sum(path_kernel_terms(net, in_shape).values())
