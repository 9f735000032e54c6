"""What one step of Neural Tangent Transfer costs, all of it: the loop as it is called.

python benchmarks/transfer.py [--quick] [--repeats 5] [--device cpu] [--only lenet5 ...]

A step is a batch, both kernels, both logits, the gradient and the optimiser. Runs of a
few and of more steps alternate between the tangents; the difference of two runs leaves
the set-up out. The time is that of the CPU, or of the wall on a GPU. The ratio against
Jacobians is in kernels.py. Writes benchmarks/results/transfer.csv; --quick does not.
"""

import argparse
import csv
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from paicore import nets, seeds, transfer

RESULTS = Path(__file__).resolve().parent / "results" / "transfer.csv"
COLUMNS = ("net", "tangent", "estimator", "density", "batch", "repeat", "ms")
DENSITY, FEW = 0.03, 2
SMALL = ["lenet_300_100", "lenet5"]  # resnet20 takes minutes on a CPU: --only resnet20

# net -> input shape, batch, steps beyond the few, options
CASES = {
    "lenet_300_100": ((1, 28, 28), 64, 40, {}),
    "lenet5": ((1, 28, 28), 64, 3, {}),
    "resnet20": (
        (3, 32, 32), 16, 2,
        {"estimator": "probe", "batch_norm": "train", "kernel_weight": 1.0,
         "normalise": "relative"},
    ),
}  # fmt: skip


def seconds(net, x, steps, device, **options):
    """Return how long a run takes that logs nothing but its ends."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    g = seeds.generator(0, "benchmark", "run")
    began = clock()
    transfer.neural_tangent_transfer(
        net, x, density=DENSITY, generator=g, steps=steps, log_every=10**6,
        validation=x[: options["batch"]], progress=False, **options,
    )  # fmt: skip
    return clock() - began


def step_times(name, device, repeats):
    """Yield one row per repeat and tangent."""
    in_shape, batch, more, options = CASES[name]
    g = seeds.generator(0, "benchmark", name)
    net = nets.build(name, classes=10, in_shape=in_shape, generator=g).to(device)
    x = torch.randn(4 * batch, *in_shape, generator=g).to(device)
    estimator = options.get("estimator", "exact")
    for repeat in range(repeats + 1):
        for tangent in ("ambient", "masked"):
            given = {"batch": batch, "tangent": tangent, **options}
            few = seconds(net, x, FEW, device, **given)
            many = seconds(net, x, FEW + more, device, **given)
            ms = (many - few) / more * 1e3
            if repeat:  # the first is a warm-up
                values = (name, tangent, estimator, DENSITY, batch, repeat - 1, ms)
                yield dict(zip(COLUMNS, values, strict=True))


def report(rows):
    """Print the median time of a step for each tangent, and their ratio."""
    medians = {
        tangent: statistics.median(r["ms"] for r in rows if r["tangent"] == tangent)
        for tangent in ("ambient", "masked")
    }
    ratio = medians["masked"] / medians["ambient"]
    text = ", ".join(f"{tangent} {ms:.1f} ms" for tangent, ms in medians.items())
    first = rows[0]
    print(f"{first['net']} ({first['estimator']}, batch {first['batch']}): {text} a "
          f"step, masked is {ratio:.2f} times ambient", flush=True)  # fmt: skip


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", default=SMALL, choices=CASES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for name in options.only:
        repeats = 1 if options.quick else options.repeats
        rows = list(step_times(name, options.device, repeats))
        report(rows)
        found += rows
    if options.quick:
        return
    with open(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"ms": f"{row['ms']:.4g}"} for row in found)


if __name__ == "__main__":
    main()
