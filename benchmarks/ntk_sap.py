"""NTK-SAP on ResNet-20, 20 rounds of 5 draws: `paicore.prune` against a plain loop.

python benchmarks/ntk_sap.py [--quick] [--runs 3] [--dtypes float64 float32]

Three ways, each beside the authors' procedure in the same dtype and with the same
draws: "exact", the authors' score draw by draw; "merged", without a statistics pass of
its own; and on a GPU "stacked", the draws of a round as one program. Run in turn (A B
A B ...), so that a machine whose speed drifts slows both; the ratio is taken pair by
pair and its median is the result. Seconds are CPU seconds of this process, on a GPU
those of the clock. Writes benchmarks/results/ntk_sap.csv and .json; exits with an error
if a median lies below its floor in FLOORS, but not with --quick, whose rounds are fewer
than the floors are for.
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

import rivals_ntk_sap
import torch

from paicore import nets, prune, seeds

RESULTS = Path(__file__).resolve().parent / "results"
IN_SHAPE, DENSITY, EPSILON = (3, 32, 32), 0.8**14, 1e-4
WAYS = {
    "exact": {"stacked": 1},
    "merged": {"stacked": 1, "statistics": "merged"},
    "stacked": {},
}
FLOORS = {("cpu", "exact"): 1.0, ("cuda", "stacked"): 4.0}
COLUMNS = [
    "device", "dtype", "way", "rounds", "draws", "samples", "run", "ours_s", "plain_s",
    "ratio", "overlap",
]  # fmt: skip


def timed(call, device):
    """Return what a call returns and its seconds."""
    clock = time.process_time if device == "cpu" else time.perf_counter

    def now():
        if device != "cpu":
            torch.cuda.synchronize()
        return clock()

    began = now()
    result = call()
    return result, now() - began


def network(dtype, device):
    """Return the same ResNet-20 at every call."""
    generator = seeds.generator(0, "benchmark", "ntk_sap")
    net = nets.build("resnet20", in_shape=IN_SHAPE, generator=generator)
    return net.to(device=device, dtype=dtype)


def ours(size, way, dtype, device):
    """Masks of `paicore.prune`."""
    return prune(
        network(dtype, device), "ntk_sap", density=DENSITY,
        batch=(torch.zeros(size["samples"], *IN_SHAPE), None), rounds=size["rounds"],
        count_rule="synflow", repeats=size["draws"], epsilon=EPSILON, dtype=dtype,
        generator=seeds.generator(1, "benchmark", "ntk_sap"), progress=False,
        **WAYS[way],
    )  # fmt: skip


def plain(size, dtype, device):
    """Masks of the plain loop."""
    return rivals_ntk_sap.ntk_sap(
        copy.deepcopy(network(dtype, device)), IN_SHAPE, samples=size["samples"],
        density=DENSITY, rounds=size["rounds"], repeats=size["draws"], epsilon=EPSILON,
        generator=seeds.generator(1, "benchmark", "ntk_sap"),
    )  # fmt: skip


def compare(size, way, dtype, device):
    """One pair of runs: our seconds, the plain loop's, and the share kept by both."""
    mine, seconds = timed(lambda: ours(size, way, dtype, device), device)
    other, their_seconds = timed(lambda: plain(size, dtype, device), device)
    pairs = zip(mine.values(), other, strict=True)
    both = sum(int((first & second).sum()) for first, second in pairs)
    share = both / mine.kept
    if way != "merged" and dtype == torch.float64 and share < 0.999:
        raise SystemExit(f"{way}: only {share:.2%} of the masks are the plain loop's")
    return seconds, their_seconds, share


def measure(options, device):
    """Run all pairs and return rows."""
    sizes = ("rounds", "draws", "samples")
    size = {name: getattr(options, name) for name in sizes}
    ways = ["exact", "merged"] if device == "cpu" else list(WAYS)
    rows = []
    for name in options.dtypes:
        dtype = getattr(torch, name)
        for way in ways:
            compare({"rounds": 1, "draws": 2, "samples": 8}, way, dtype, device)
        for run in range(options.runs):
            for way in ways:
                pair = compare(size, way, dtype, device)
                mine, other, share = pair
                rows.append([device, name, way, *size.values(), run, mine, other,
                             other / mine, share])  # fmt: skip
        for way in ways:
            say([row for row in rows if row[1:3] == [name, way]])
    return rows


def say(rows):
    """Print the median ratio of one way beside its floor, if it has one."""
    device, name, way = rows[0][:3]
    ratios = [row[-2] for row in rows]
    floor = FLOORS.get((device, way))
    wanted = f", at least {floor:g}x wanted" if floor else ""
    print(
        f"{device} {name} {way}: {statistics.median(ratios):.2f}x (from "
        f"{min(ratios):.2f} to {max(ratios):.2f}, n={len(ratios)}{wanted}), "
        f"{statistics.median(row[-4] for row in rows):.3g} s, "
        f"{statistics.median(row[-1] for row in rows):.2%} of the mask shared",
        flush=True,
    )


def below(rows):
    """Return a line for each way whose median ratio is below its floor."""
    found = []
    for device, name, way in dict.fromkeys(tuple(row[:3]) for row in rows):
        ratios = [row[-2] for row in rows if tuple(row[:3]) == (device, name, way)]
        middle, floor = statistics.median(ratios), FLOORS.get((device, way))
        if floor and middle < floor:
            found.append(f"{device} {name} {way}: {middle:.2f}x, below {floor:g}x")
    return found


def write(rows, options):
    """Write the rows, and beside them what they were measured with."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "ntk_sap.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row[:7], *(f"{x:.4g}" for x in row[7:])] for row in rows)
    gpu = torch.cuda.is_available()
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "seconds": "CPU seconds of the process; on cuda those of the clock",
        "gpu": torch.cuda.get_device_name() if gpu else "not run: no CUDA device",
        "quick": options.quick,
    }
    (RESULTS / "ntk_sap.json").write_text(json.dumps(facts, indent=1) + "\n")


def main():
    """Measure on the CPU, and on a GPU where there is one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="2 rounds, 2 draws of 32")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"],
                        choices=["float32", "float64"])  # fmt: skip
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"],
                        choices=["cpu", "cuda"])  # fmt: skip
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.draws, options.samples = 2, 2, 32
    torch.set_num_threads(1)
    rows = []
    for device in options.devices:
        if device == "cuda" and not torch.cuda.is_available():
            print("cuda: not run, no CUDA device")
            continue
        rows += measure(options, device)
    write(rows, options)
    if not options.quick and (slow := below(rows)):
        raise SystemExit("\n".join(slow))


if __name__ == "__main__":
    main()
