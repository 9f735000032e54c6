"""SynFlow, 100 rounds to 1 %: `paicore.prune` against a plain loop, masks bit-equal.

python benchmarks/synflow.py [--rounds 100] [--repeats 5] [--nets resnet20 vgg16_bn]

Both in float64, one thread, in turn (A B A B ...), so that a machine whose speed drifts
slows both; the ratio is taken pair by pair and its median is the result. Seconds are
CPU seconds of this process. Writes benchmarks/results/synflow.csv and .json.
"""

import argparse
import copy
import csv
import json
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import rivals
import torch

from paicore import nets, prune, seeds

RESULTS = Path(__file__).resolve().parent / "results"
IN_SHAPE = (3, 32, 32)
CLASSES = {"resnet20": 10, "vgg16_bn": 100}
DENSITY = 0.01


def timed(call):
    """Return what a call returns and its CPU seconds."""
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


def compare(name, rounds):
    """One pair of runs on the same weights: our seconds and the plain loop's."""
    generator = seeds.generator(0, "benchmark", name)
    net = nets.build(
        name, classes=CLASSES[name], in_shape=IN_SHAPE, generator=generator
    )
    batch = (torch.zeros(1, *IN_SHAPE), None)
    ours, our_seconds = timed(
        lambda: prune(
            net, "synflow", density=DENSITY, batch=batch, rounds=rounds,
            count_rule="synflow", progress=False,
        )
    )  # fmt: skip
    double = copy.deepcopy(net).double().eval()
    theirs, their_seconds = timed(
        lambda: rivals.synflow(double, IN_SHAPE, DENSITY, rounds)
    )
    pairs = zip(ours.values(), theirs, strict=True)
    if not all(torch.equal(mine, other) for mine, other in pairs):
        raise SystemExit(f"{name}: the masks differ")
    return our_seconds, their_seconds, ours.kept


def main():
    """Run the pairs, print one line per network, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nets", nargs="+", default=list(CLASSES), choices=CLASSES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.nets:
        # warm-up; with fewer rounds a layer collapses, and then the plain loop, whose
        # threshold removes all ties, keeps nothing
        compare(name, 10)
        for repeat in range(options.repeats):
            ours, theirs, kept = compare(name, options.rounds)
            rows.append([name, options.rounds, repeat, ours, theirs, theirs / ours])
        ratios = [row[-1] for row in rows if row[0] == name]
        print(
            f"{name}: {statistics.median(ratios):.2f}x (from {min(ratios):.2f} to "
            f"{max(ratios):.2f}, n={len(ratios)}), {rounds_text(options)}, "
            f"{kept} weights kept by both, masks bit-equal",
            flush=True,
        )
    write(rows)


def rounds_text(options):
    """Say how many rounds."""
    return f"{options.rounds} rounds to {DENSITY:.0%}"


def write(rows):
    """Write the rows, and beside them what they were measured with."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "synflow.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["net", "rounds", "repeat", "ours_s", "plain_s", "ratio"])
        writer.writerows([*row[:3], *(f"{x:.4g}" for x in row[3:])] for row in rows)
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "seconds": "CPU seconds of the process",
    }
    (RESULTS / "synflow.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
