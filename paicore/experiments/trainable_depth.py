"""Experiments of Robust Pruning: which depths can be trained after pruning.

`signals` and `profiles` look at networks as they are drawn, pruned and rescaled:
Proposition 1, and random masks as its control. The others train: `maps` is Figure 3,
`maps_elu` Figure 5, `digits` the short check of the former, `digits_shuffled` the same
on samples that are mixed before they are split, `convolutions_flat` Table 4,
`convolutions` the same with a readout that averages and does not train, and `paces`
compares the shortened training with the recalled one.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import NamedTuple

from paicore.experiments import Config, Experiment
from paicore.experiments import trainable_depth_signal as signal
from paicore.experiments import trainable_depth_training as training

NOTEBOOK = "12_trainable_depth"
SECONDS = "seconds on 1 CPU core"


class Part(NamedTuple):
    """What an experiment needs beyond its name."""

    cells: Callable[[Config], list[dict]]
    run: Callable
    together: Callable[[Config, dict], Hashable]
    values: tuple[str, ...]
    smoke: Config
    quick: Config
    cost: str
    paper: Config | None = None
    paper_cost: str = "the quick profile is the whole experiment"


def _signal(run: Callable, values: tuple[str, ...], quick: Config, cost: str) -> Part:
    """Describe an experiment at initialisation."""
    small = replace(quick, **signal.SMALL, densities=(0.2,))
    return Part(signal.cells, run, signal.together, values, small, quick, cost)


def _trained(quick: training.Arms, cost: str, smoke: dict, *paper) -> Part:
    """Describe an experiment that trains."""
    small = replace(quick, **training.TINY | smoke)
    return Part(
        training.cells, training.run_trained, training.together,
        training.TRAINED_VALUES, small, quick, cost, *paper,
    )  # fmt: skip


PARTS = {
    "signals": _signal(
        signal.run_signals, signal.SIGNAL_VALUES, signal.SIGNALS, "6 min on 1 CPU core"
    ),
    "profiles": _signal(
        signal.run_profiles, signal.PROFILE_VALUES, signal.PROFILES,
        "1 min on 1 CPU core",
    ),
    "digits": _trained(
        training.DIGITS, "4 min on 1 CPU core", {"places": ((4, 0.5), (8, 0.2))}
    ),
    "digits_shuffled": _trained(
        training.RESPLIT, "4 min on 1 CPU core", {"places": ((4, 0.5), (8, 0.2))}
    ),
    "maps": _trained(
        training.MAPS, "15 min on 1 CPU core",
        {"places": training.grid((3, 6), (0.5, 0.8))},
        training.FULL, "2 h on a GPU (estimate)",
    ),
    "maps_elu": _trained(
        training.ELU, "10 min on 1 CPU core", {"places": ((4, 0.5), (6, 0.2))},
        training.FULL_ELU, "3 h on a GPU (estimate)",
    ),
    "convolutions": _trained(
        training.CNN, "15 min on 1 CPU core", {"places": ((3, 0.5),), "width": 4}
    ),
    "convolutions_flat": _trained(
        training.FLAT, "12 min on 1 CPU core",
        {"places": ((3, 0.5),), "controls": ((3, 0.5),), "width": 4},
        training.FLAT_FULL, "8 h on a GPU (estimate)",
    ),
    "paces": _trained(
        training.PACES, "6 min on 1 CPU core",
        {"places": ((4, 0.2),), "variants": ("0.05x4", "0.01x20")},
    ),
}  # fmt: skip


def experiment(name: str, part: Part) -> Experiment:
    """Declare an experiment of this notebook."""
    profiles = {"smoke": part.smoke, "quick": part.quick}
    if part.paper is not None:
        profiles["paper"] = part.paper
    costs = {"smoke": SECONDS, "quick": part.cost, "paper": part.paper_cost}
    return Experiment(
        NOTEBOOK, name, part.cells, part.run, part.values, profiles, costs,
        part.together,
    )  # fmt: skip


EXPERIMENTS = {name: experiment(name, part) for name, part in PARTS.items()}
