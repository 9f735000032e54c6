"""Experiments of the kernels: which one predicts a step, and where it is exact.

``tangent`` and ``step_prediction`` compare a real step with what kernels say of it,
``traces`` says how large the kernels of ``tangent`` are and what the biases add,
``halving`` shrinks the step, ``width`` widens the network. Nothing is trained for its
accuracy. Runs of one seed share weights and batch, so that kernels are compared in
pairs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from paicore.experiments import Experiment
from paicore.experiments.kernels_limits import (
    HALVING_VALUES,
    WIDTH_VALUES,
    Halving,
    Width,
    run_halving,
    run_width,
)
from paicore.experiments.kernels_setting import cells
from paicore.experiments.kernels_steps import STEP_VALUES, Steps, run_steps
from paicore.experiments.kernels_traces import TRACES_VALUES, Traces, run_traces

if TYPE_CHECKING:
    from paicore.records import Record

TANGENT = Steps(
    seeds=5,
    net="lenet_300_100",
    samples=32,
    methods=("masked", "ambient"),
    densities=(1.0, 0.1, 0.03),
    bias_init="torch",
)
TRACES = Traces(
    seeds=TANGENT.seeds,
    net=TANGENT.net,
    samples=TANGENT.samples,
    densities=TANGENT.densities,
    bias_init=TANGENT.bias_init,
)
STEP = Steps(
    seeds=5,
    data="cifar10",
    net="resnet20",
    width=16,
    samples=32,
    option="batch_norm",
    methods=("train", "frozen", "eval"),
    rates=(1e-3, 1e-4, 1e-5, 1e-6),
)
HALVING = Halving(seeds=5)
WIDTH = Width(seeds=10)

# The bundled digits and narrow networks: every line above runs in seconds.
_DIGITS = {"data": "digits", "seeds": 2}
_NARROW = {**_DIGITS, "net": "mlp", "width": (32, 16), "samples": 16}
SMOKE = {
    "tangent": replace(TANGENT, **_NARROW),
    "traces": replace(TRACES, **_NARROW),
    "step_prediction": replace(STEP, **_DIGITS, width=4, samples=16),
    "halving": replace(HALVING, **_DIGITS, width=16, samples=8, halvings=3),
    "width": replace(WIDTH, **_DIGITS, widths=(16, 64, 256), samples=8),
}
QUICK = {
    "tangent": (run_steps, STEP_VALUES, TANGENT, "10 s on 1 CPU core"),
    "traces": (run_traces, TRACES_VALUES, TRACES, "20 s on 1 CPU core"),
    "step_prediction": (run_steps, STEP_VALUES, STEP, "1 min on 1 CPU core"),
    "halving": (run_halving, HALVING_VALUES, HALVING, "10 s on 1 CPU core"),
    "width": (run_width, WIDTH_VALUES, WIDTH, "20 s on 1 CPU core"),
}
EXPERIMENTS = {
    name: Experiment(
        notebook="02_kernels",
        name=name,
        cells=cells,
        run=run,
        values=values,
        profiles={"smoke": SMOKE[name], "quick": quick},
        cost={
            "smoke": "seconds on 1 CPU core",
            "quick": cost,
            "paper": "this notebook belongs to no paper",
        },
    )
    for name, (run, values, quick, cost) in QUICK.items()
}


def table(
    record: "Record", column: str, *, along: str = "step", keep: Mapping | None = None
) -> str:
    """Return a column as text: least to greatest value over the seeds.

    Args:
        record: Without rows the record's message is returned.
        column: A value column.
        along: What the columns of the table are, "step" or "density".
        keep: Column name to the values that are shown, of "density", "step", ....

    Returns:
        Text, one line per method and variant. The heading holds n, the number of
        seeds, and the densities, the step sizes, or the widths where there are none.
    """
    if record.rows is None:
        return record.message
    rows = record.rows
    for name, values in (keep or {}).items():
        rows = rows[rows[name].isin(values)]
    head = "rate" if along == "step" and "rate" in rows else along
    heads = rows.groupby(along)[head].first()
    lines = [[f"n = {rows['seed'].nunique()}", *map(_number, heads)]]
    for (method, variant), part in rows.groupby(["method", "variant"], sort=False):
        spans = part.groupby(along)[column].agg(["min", "max"]).to_numpy()
        texts = [f"{_number(low)} to {_number(high)}" for low, high in spans]
        lines.append([f"{method} {variant}", *texts])
    return "\n".join(
        (f"{name:9}" + "".join(f"{text:>22}" for text in texts)).rstrip()
        for name, *texts in lines
    )


def _number(value: float) -> str:
    """Return three digits; large numbers without an exponent."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
