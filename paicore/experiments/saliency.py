"""Experiments of notebook 41: what NTK-SAP's saliency is, and what sets its masks.

`laws`, `traces`, `counts` and `contract` hold to rounding or to the unit. `carlo`,
`exact` and `exact_sparse` compare the finite difference with the trace, `kinks`,
`surrogate` and `ranks` with its own limit. `rule`, `rule_full`, `limit`, `phase`,
`phase_sparse`, `gains`, `layers` and `inputs` ask where the masks come from, and
`steps` which kernel of a network with batch norm moves it.
"""

from dataclasses import replace

from paicore.experiments import Experiment
from paicore.experiments.saliency_carlo import CARLO_VALUES, Carlo, run_carlo
from paicore.experiments.saliency_checks import (
    GAIN_VALUES,
    RANK_VALUES,
    Gains,
    Ranks,
    run_gains,
    run_ranks,
)
from paicore.experiments.saliency_contract import (
    CONTRACT_VALUES,
    Contract,
    run_contract,
)
from paicore.experiments.saliency_exact import (
    EXACT_VALUES,
    Exact,
    exact_cells,
    run_exact,
)
from paicore.experiments.saliency_laws import (
    COUNT_VALUES,
    LAW_VALUES,
    TRACE_VALUES,
    Counts,
    Laws,
    Traces,
    run_counts,
    run_laws,
    run_traces,
)
from paicore.experiments.saliency_layers import (
    LAYER_VALUES,
    STEP_VALUES,
    Layers,
    Steps,
    layer_cells,
    run_layers,
    run_steps,
)
from paicore.experiments.saliency_nets import cells
from paicore.experiments.saliency_rule import (
    INPUT_VALUES,
    PHASE_VALUES,
    RULE_VALUES,
    Inputs,
    Phase,
    Rule,
    run_inputs,
    run_phase,
    run_rule,
)
from paicore.experiments.saliency_surrogate import (
    KINK_VALUES,
    SURROGATE_VALUES,
    Kinks,
    Surrogate,
    run_kinks,
    run_surrogate,
    surrogate_cells,
)

NOTEBOOK = "41_saliency"
_SECONDS = "seconds on 1 CPU core"
# Name -> run, columns, quick config, its cost: the record's seconds by the clock, on a
# core that had other work.
QUICK = {
    "laws": (run_laws, LAW_VALUES, Laws(seeds=5), _SECONDS),
    "traces": (run_traces, TRACE_VALUES, Traces(seeds=5), _SECONDS),
    "counts": (run_counts, COUNT_VALUES, Counts(), _SECONDS),
    "contract": (run_contract, CONTRACT_VALUES, Contract(seeds=5), _SECONDS),
    "carlo": (run_carlo, CARLO_VALUES, Carlo(seeds=5), "3 min on 1 CPU core"),
    "kinks": (run_kinks, KINK_VALUES, Kinks(seeds=5), "1 min on 1 CPU core"),
    "surrogate": (
        run_surrogate, SURROGATE_VALUES, Surrogate(seeds=5), "14 min on 1 CPU core"
    ),
    "exact": (run_exact, EXACT_VALUES, Exact(seeds=5), "6 min on 1 CPU core"),
    "exact_sparse": (
        run_exact, EXACT_VALUES,
        Exact(seeds=5, methods=("resnet20",), densities=(0.8**10,),
              widths=(("resnet20", (16,)),)),
        "1 min on 1 CPU core",
    ),
    "ranks": (run_ranks, RANK_VALUES, Ranks(seeds=5), "2 min on 1 CPU core"),
    "rule": (run_rule, RULE_VALUES, Rule(seeds=5), "13 min on 1 CPU core"),
    "rule_full": (
        run_rule, RULE_VALUES, Rule(seeds=5, methods=("resnet20",), repeats=(1, 5)),
        "1 min on 1 CPU core",
    ),
    "limit": (
        run_rule, RULE_VALUES,
        Rule(seeds=5, methods=("mlp_deep", "lenet5"), densities=(0.3,),
             repeats=(1, 16, 256, 1024)),
        "2 min on 1 CPU core",
    ),
    "phase": (run_phase, PHASE_VALUES, Phase(seeds=5), "8 min on 1 CPU core"),
    "phase_sparse": (
        run_phase, PHASE_VALUES,
        Phase(seeds=5, densities=(0.8**18,), variants=("1", "5", "20")),
        "6 min on 1 CPU core",
    ),
    "gains": (run_gains, GAIN_VALUES, Gains(seeds=5), "1 min on 1 CPU core"),
    "layers": (run_layers, LAYER_VALUES, Layers(seeds=5), "5 min on 1 CPU core"),
    "inputs": (run_inputs, INPUT_VALUES, Inputs(seeds=5), "2 min on 1 CPU core"),
    "steps": (run_steps, STEP_VALUES, Steps(seeds=5), _SECONDS),
}  # fmt: skip
# What smoke makes smaller, so that all of it runs in seconds.
SMALLER = {
    "laws": {"methods": ("mlp", "mlp_biases", "conv6_frozen", "conv6_train")},
    "counts": {"methods": ("resnet20",)},
    "carlo": {"methods": ("mlp",), "sizes": (1, 16, 256), "number": 4},
    "kinks": {"methods": ("mlp", "mlp_tanh"), "number": 4},
    "surrogate": {
        "methods": ("mlp", "resnet20"),
        "widths": (("mlp", (16, 64)), ("resnet20", (2,))),
        "in_shape": (1, 16, 16), "repeats": 1, "epsilons": (1e-4, 1e-8), "samples": 4,
    },
    "exact": {
        "methods": ("mlp", "resnet20"),
        "widths": (("mlp", (16, 64)), ("resnet20", (2,))),
        "in_shape": (1, 16, 16), "number": 3, "epsilons": (1e-4, 1e-8), "samples": 4,
    },
    "exact_sparse": {
        "widths": (("resnet20", (2,)),), "in_shape": (1, 16, 16), "number": 3,
        "epsilons": (1e-4, 1e-8), "samples": 4,
    },
    "ranks": {"methods": ("conv6",), "samples": 8},
    "rule": {"methods": ("conv6",), "repeats": (1, 5)},
    "rule_full": {"methods": ("resnet20_narrow",), "repeats": (1, 2), "samples": 4},
    "limit": {"methods": ("mlp_deep",), "repeats": (1, 4)},
    "phase": {"variants": ("1", "2"), "rounds": (1, 3), "samples": 8, "most": 3,
              "shuffled": (1,)},
    "phase_sparse": {"variants": ("2",), "rounds": (1, 3), "samples": 8, "most": 6,
                     "shuffled": (1,)},
    "gains": {"ways": ((2, 2), (1, 2)), "samples": 8},
    "layers": {"methods": ("conv6",), "samples": 4, "repeats": 1},
    "inputs": {"methods": ("digits",), "samples": 8},
    "steps": {"samples": 8},
}  # fmt: skip
SMOKE = {
    name: replace(config, seeds=1, **SMALLER.get(name, {}))
    for name, (_, _, config, _) in QUICK.items()
}
for _name in ("phase", "phase_sparse", "gains"):
    _short = replace(SMOKE[_name].recipe, epochs=1)
    SMOKE[_name] = replace(SMOKE[_name], recipe=_short)
CELLS = {
    "surrogate": surrogate_cells, "exact": exact_cells, "exact_sparse": exact_cells,
    "layers": layer_cells,
}  # fmt: skip
EXPERIMENTS = {
    name: Experiment(
        notebook=NOTEBOOK,
        name=name,
        cells=CELLS.get(name, cells),
        run=run,
        values=values,
        profiles={"smoke": SMOKE[name], "quick": quick},
        cost={"smoke": _SECONDS, "quick": cost, "paper": "quick is the whole of it"},
    )
    for name, (run, values, quick, cost) in QUICK.items()
}
