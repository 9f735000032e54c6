"""Experiments of Robust Pruning: what the edge of chaos does to scores and layers.

Theory runs in seconds; networks are drawn, scored and pruned, and none is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from paicore.experiments import Experiment
from paicore.experiments.edge_of_chaos_batches import (
    BATCH_VALUES,
    BATCHES,
    Batches,
    Net,
    run_batches,
)
from paicore.experiments.edge_of_chaos_nets import Setting, cells, together
from paicore.experiments.edge_of_chaos_slopes import (
    LOTTERY_VALUES,
    PAIR_VALUES,
    POSITION_VALUES,
    SLOPE_VALUES,
    Lottery,
    Pairs,
    Positions,
    Slopes,
    run_lottery,
    run_pairs,
    run_positions,
    run_slopes,
)
from paicore.experiments.edge_of_chaos_sparsity import (
    CRITICAL_VALUES,
    LAYER_VALUES,
    MAGNITUDE_VALUES,
    PHASES,
    Critical,
    Layers,
    Magnitudes,
    neuron,
    run_critical,
    run_layers,
    run_magnitudes,
    run_neurons,
)
from paicore.experiments.edge_of_chaos_theory import (
    EDGE_VALUES,
    LIMIT_VALUES,
    PLANE_VALUES,
    RATE_VALUES,
    Edge,
    Limits,
    Plane,
    Rates,
    run_edge,
    run_limits,
    run_plane,
    run_rates,
)

_SECONDS = "seconds on 1 CPU core"
_MINUTES = "{} min on 1 CPU core"
WIDTH = 100  # of the networks of Figure 1, one column per neuron


@dataclass(frozen=True)
class Part:
    """What an experiment needs beyond its name.

    Attributes:
        run: Its function.
        values: Its columns.
        quick: Its quick config.
        smaller: What smoke changes in it.
        cost: What quick takes.
        grouped: Whether runs of one method and seed are one call.
    """

    run: Callable
    values: tuple[str, ...]
    quick: Setting
    smaller: dict
    cost: str = _SECONDS
    grouped: bool = True


_ONE = {"seeds": 1, "draws": 2, "depth": 12, "width": 24}
_SMALL = {**_ONE, "fit": (4, 10)}
_IMAGES = tuple((phase, "images") for phase in PHASES)
PARTS = {
    "plane": Part(
        run_plane, PLANE_VALUES, Plane(),
        {"sigma_w": (0.5, 2.0, 3), "sigma_b": (0.1, 0.5, 2)}, grouped=False,
    ),
    "edge": Part(run_edge, EDGE_VALUES, Edge(), {}, grouped=False),
    "rates": Part(run_rates, RATE_VALUES, Rates(), {"depth": 40}, grouped=False),
    "limits": Part(
        run_limits, LIMIT_VALUES, Limits(),
        {"points": (("tanh 0.2", "30"), ("relu 0", "30"))}, grouped=False,
    ),
    "pairs": Part(run_pairs, PAIR_VALUES, Pairs(seeds=5), _ONE, _MINUTES.format(1)),
    "slopes": Part(run_slopes, SLOPE_VALUES, Slopes(seeds=5), _SMALL,
                   _MINUTES.format(4)),
    "lottery": Part(run_lottery, LOTTERY_VALUES, Lottery(seeds=5), _SMALL,
                    _MINUTES.format(3)),
    "positions": Part(run_positions, POSITION_VALUES, Positions(seeds=5),
                      {**_SMALL, "width": 6, "side": 3}, _MINUTES.format(1)),
    "batches": Part(
        run_batches, BATCH_VALUES, Batches(seeds=5),
        {
            "seeds": 1, "draws": 2, "data": "digits",
            "points": tuple((n, s) for n in ("tanh", "relu", "real") for s in BATCHES),
            "nets": (
                ("tanh", Net("tanh", 0.2, 12, 24, (4, 10))),
                ("relu", Net("relu", 0.0, 12, 24, (4, 10))),
                ("real", Net("tanh", 0.2, 12, 24, (4, 10))),
            ),
        },
        _MINUTES.format(4),
    ),
    "critical": Part(
        run_critical, CRITICAL_VALUES, Critical(seeds=5),
        {"seeds": 1, "batch": 20, "points": tuple(
            ("20x16x16", each) for each in ("0.2", "0.5", "edge", "2"))},
        _MINUTES.format(1),
    ),
    "magnitudes": Part(run_magnitudes, MAGNITUDE_VALUES, Magnitudes(seeds=5),
                       {**_ONE, "classes": 24}),
    "layers": Part(
        run_layers, LAYER_VALUES, Layers(seeds=5),
        {"seeds": 1, "depth": 20, "width": 16, "batch": 20, "data": "digits",
         "points": _IMAGES}, grouped=False,
    ),
    "neurons": Part(
        run_neurons, ("fan_in", *map(neuron, range(WIDTH))),
        Layers(seeds=1, width=WIDTH, points=_IMAGES),
        {"depth": 4, "batch": 20, "data": "digits"}, grouped=False,
    ),
}  # fmt: skip
SMOKE = {name: replace(part.quick, **part.smaller) for name, part in PARTS.items()}
EXPERIMENTS = {
    name: Experiment(
        notebook="11_edge_of_chaos",
        name=name,
        cells=cells,
        run=part.run,
        values=part.values,
        profiles={"smoke": SMOKE[name], "quick": part.quick},
        cost={"smoke": _SECONDS, "quick": part.cost, "paper": "quick is all of it"},
        group=together if part.grouped else None,
    )
    for name, part in PARTS.items()
}
