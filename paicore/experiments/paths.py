"""Experiments of the Path Kernel: everything that its list of paths can decide.

Nothing is trained and no data set is read: networks and inputs are drawn. What is an
identity is measured as a relative difference, with negative controls beside it.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.paths_algebra import (
    ALGEBRA_VALUES,
    DRAWN_VALUES,
    RANK_VALUES,
    SPECTRUM_VALUES,
    Algebra,
    Drawn,
    Rank,
    Spectrum,
    run_algebra,
    run_drawn,
    run_rank,
    run_spectrum,
)
from paicore.experiments.paths_bounds import (
    BOUND_VALUES,
    RANKING_VALUES,
    STEP_VALUES,
    Bounds,
    Ranking,
    Steps,
    run_bounds,
    run_ranking,
    run_steps,
)
from paicore.experiments.paths_laws import LAW_VALUES, Laws, run_laws
from paicore.experiments.paths_nets import cells
from paicore.experiments.paths_scores import SCORE_VALUES, Scores, run_scores
from paicore.experiments.paths_traces import (
    EXPECTED_VALUES,
    POOLING_VALUES,
    Expectation,
    Pooling,
    run_expectation,
    run_pooling,
)

_SECONDS = "seconds on 1 CPU core"
# Name -> run, columns, quick config, its cost.
QUICK = {
    "drawn": (run_drawn, DRAWN_VALUES, Drawn(), _SECONDS),
    "algebra": (run_algebra, ALGEBRA_VALUES, Algebra(seeds=5), _SECONDS),
    "spectrum": (run_spectrum, SPECTRUM_VALUES, Spectrum(seeds=3), _SECONDS),
    "rank": (run_rank, RANK_VALUES, Rank(seeds=12), _SECONDS),
    "scores": (run_scores, SCORE_VALUES, Scores(seeds=5), _SECONDS),
    "laws": (run_laws, LAW_VALUES, Laws(seeds=5), _SECONDS),
    "bounds": (run_bounds, BOUND_VALUES, Bounds(seeds=60), _SECONDS),
    "steps": (run_steps, STEP_VALUES, Steps(seeds=20), _SECONDS),
    "expectation": (
        run_expectation, EXPECTED_VALUES, Expectation(), "1 min on 1 CPU core"
    ),
    "pooling": (run_pooling, POOLING_VALUES, Pooling(seeds=5), "2 min on 1 CPU core"),
    "ranking": (run_ranking, RANKING_VALUES, Ranking(seeds=5), _SECONDS),
}  # fmt: skip
# What smoke makes smaller, so that all of it runs in seconds.
SMALLER = {
    "algebra": {"seeds": 1, "methods": ("mlp", "mlp_leaky", "residual")},
    "spectrum": {"seeds": 1, "width": (4, 3)},
    "rank": {"seeds": 2, "densities": (1.0, 0.4)},
    "scores": {"seeds": 1, "variants": ("mlp", "mlp_bias", "mlp_leaky")},
    "laws": {"seeds": 1},
    "bounds": {"seeds": 3},
    "steps": {"seeds": 2},
    "expectation": {"methods": ("fc_20",), "in_shape": (1, 4, 4), "number": 20},
    "pooling": {
        "seeds": 1, "methods": ("resnet",), "in_shape": (3, 16, 16), "width": 4,
        "depth": 8,
    },
    "ranking": {"seeds": 1, "number": 8},
}  # fmt: skip
SMOKE = {
    name: replace(config, **SMALLER.get(name, {}))
    for name, (_, _, config, _) in QUICK.items()
}
EXPERIMENTS = {
    name: Experiment(
        notebook="31_paths",
        name=name,
        cells=cells,
        run=run,
        values=values,
        profiles={"smoke": SMOKE[name], "quick": quick},
        cost={"smoke": _SECONDS, "quick": cost, "paper": "quick is the whole of it"},
    )
    for name, (run, values, quick, cost) in QUICK.items()
}
