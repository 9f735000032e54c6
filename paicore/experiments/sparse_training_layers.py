"""What survives where: weights and filters of each layer; and intervals of runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from paicore.experiments.matching_a_teacher_logs import prediction
from paicore.experiments.matching_a_teacher_rivals import start
from paicore.experiments.matching_a_teacher_students import load
from paicore.experiments.sparse_training_curves import Training, curve

LAYER = (
    "weights",
    "kept",
    "effective",
    "filters",
    "filters_alive",
    "channels",
    "channels_alive",
    "largest_filter",
)


@dataclass(frozen=True)
class Repeated(Training):
    """Training, several runs of which give one interval.

    Attributes:
        repeats: Number of runs behind an interval.
        level: Probability that it holds one more run.
        at: Steps at which there is an interval.
    """

    repeats: int = 5
    level: float = 0.95
    at: tuple[int, ...] = (101, 1001, 42_101)


def run_interval(config: Repeated, cell: dict) -> list[dict]:
    """Return the intervals of one method's test accuracy; runs are those of `curve`."""
    runs = [
        {row["step"]: row["test_accuracy"] for row in curve(config, again)}
        for again in ({**cell, "seed": seed} for seed in range(config.repeats))
    ]
    return [
        {"step": step, **prediction([run[step] for run in runs], config.level)}
        for step in config.at
    ]


def run_layers(config: Training, cell: dict) -> list[dict]:
    """Return what a method keeps, one row per layer; nothing is trained."""
    net, masks, _ = start(config, cell)
    live = masks.effective(net, load(config.data, config.enlarge).in_shape)
    return [
        {"step": layer, **of_layer(masks[name], live[name])}
        for layer, name in enumerate(masks, 1)
    ]


def of_layer(mask: Tensor, live: Tensor) -> Mapping[str, int]:
    """Count what is left of a layer.

    Args:
        mask: (filters, channels, ...); rows are filters, the units of a dense layer.
        live: The same for weights on a path from input to output.

    Returns:
        Numbers of weights, filters and input channels, in all and with weights left.
    """
    of_filter = mask.flatten(1).sum(1)
    return {
        "weights": mask.numel(),
        "kept": int(mask.sum()),
        "effective": int(live.sum()),
        "filters": len(mask),
        "filters_alive": int(of_filter.count_nonzero()),
        "channels": mask.shape[1],
        "channels_alive": int(mask.transpose(0, 1).flatten(1).any(1).sum()),
        "largest_filter": int(of_filter.max()),
    }
