"""`paicore.scores.prune_many` against `paicore.prune` one by one, masks bit-equal.

python benchmarks/prune_many.py [--quick] [--runs 3]

ResNet-20 at the nine densities 0.8^2, ..., 0.8^18, in turn (A B A B ...); the ratio is
taken pair by pair and its median is the result. Seconds are CPU seconds of this
process. Writes benchmarks/results/prune_many.csv and .json.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from paicore import nets, prune, seeds
from paicore.scores import prune_many

RESULTS = Path(__file__).resolve().parent / "results"
IN_SHAPE = (3, 32, 32)
EXPONENTS = range(2, 20, 2)
COLUMNS = ["case", "score", "densities", "run", "ours_s", "one_by_one_s", "ratio"]


def cases(quick):
    """Name -> (score, schedules or None, settings)."""
    nested = {0.8**k: [0.8**t for t in range(1, k + 1)] for k in EXPONENTS}
    draws = {"repeats": 1, "dtype": torch.float32}
    return {
        "one round": ("snip", None, {}),
        "exponential": ("synflow", None, {"rounds": 10 if quick else 100}),
        "nested": ("synflow", nested, {}),
        "nested, drawn": ("ntk_sap", nested, draws),
    }


def timed(call):
    """Return what a call returns and its CPU seconds."""
    began = time.process_time()
    return call(), time.process_time() - began


def compare(net, batch, score, schedules, settings):
    """One pair of runs: seconds together, and one by one."""
    densities = [0.8**k for k in EXPONENTS]
    settings = settings | {"batch": batch, "progress": False}

    def generator():
        return seeds.generator(1, "benchmark", "prune_many")

    def alone(density):
        own = settings
        if schedules is not None:
            rounds = schedules[density]
            own = settings | {"schedule": rounds, "rounds": len(rounds)}
        return prune(net, score, density=density, generator=generator(), **own)

    (ours,), together = timed(
        lambda: prune_many(
            net, score, densities=densities, schedule=schedules,
            generators=generator(), **settings,
        )
    )  # fmt: skip
    theirs, apart = timed(lambda: {each: alone(each) for each in densities})
    if ours != theirs:
        raise SystemExit(f"{score}: the masks differ")
    return together, apart


def main():
    """Run the pairs, print one line per case, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one run, 16 samples")
    options = parser.parse_args()
    runs, samples = (1, 16) if options.quick else (options.runs, 100)
    torch.set_num_threads(1)
    generator = seeds.generator(0, "benchmark", "prune_many")
    net = nets.build("resnet20", in_shape=IN_SHAPE, generator=generator)
    batch = (
        torch.randn(samples, *IN_SHAPE, generator=generator),
        torch.arange(samples) % 10,
    )
    rows = []
    for name, (score, schedules, settings) in cases(options.quick).items():
        for run in range(runs):
            ours, apart = compare(net, batch, score, schedules, settings)
            rows.append([name, score, len(EXPONENTS), run, ours, apart, apart / ours])
        ratios = [row[-1] for row in rows if row[0] == name]
        print(
            f"{name} ({score}): {statistics.median(ratios):.2f}x (from "
            f"{min(ratios):.2f} to {max(ratios):.2f}, n={len(ratios)}), "
            f"{len(EXPONENTS)} densities, masks bit-equal",
            flush=True,
        )
    write(rows, options.quick)


def write(rows, quick):
    """Write the rows, and beside them what they were measured with."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "prune_many.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row[:4], *(f"{x:.4g}" for x in row[4:])] for row in rows)
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "seconds": "CPU seconds of the process",
        "quick": quick,
    }
    (RESULTS / "prune_many.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
