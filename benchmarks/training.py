"""Training one network, many, and a sweep, against what a reader would write.

python benchmarks/training.py [--quick] [--repeats 5] [--only fit ...]
                              [--device cuda] [--tiny]

Pairs run in one process, one thread, in turn (A B A B ...), so that a machine whose
speed drifts slows both; the ratio is taken pair by pair and its median is the result.
A ratio is rival over ours: above 1 we are faster. Seconds are CPU seconds of this
process; wall seconds for the sweep and on a GPU. Data are made, in the real shapes.
With --device cuda the GPU parts run too; without, the record says that they did not.
--tiny runs only these, at toy sizes on any device, to see that they run. A whole run
writes benchmarks/results/training.csv and .json; --quick, --tiny and --only do not.
"""

import argparse
import copy
import csv
import json
import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import kernel_report as report
import rivals_training as rivals
import torch
import training_gpu as gpu
from training_cases import made, member

from paicore import data, records, train

COLUMNS = ["case", "n", "repeat", "ours", "rival", "ratio", "floor"]
WORK = 120.0  # seconds of serial work in the sweep
CELLS = 12  # runs of the sweep
NOT_SLOWER = 0.95  # 1, less what the pairs of an equal split scatter


def fit(bench):
    """`train.fit` against a minimal masked loop, LeNet-300-100."""
    fit_pair(bench, "sgd", lr=0.05, batch=128, floor=1 / 1.15)
    fit_pair(bench, "adam", lr=1e-3, batch=64, floor=1 / 1.3)


def fit_pair(bench, optimizer, lr, batch, floor):
    """Compare steps of one recipe; both start from the same network every time."""
    ds, steps = made((1, 28, 28)), 100 if bench.quick else 400
    x = data.normalise(ds, ds.train_x)
    net, masks, g = member("lenet_300_100", ds.in_shape)
    masks.apply_(net)
    recipe = train.Recipe(optimizer, lr, batch=batch, steps=steps, eval_every=steps)

    def ours():
        train.fit(copy.deepcopy(net), ds, recipe, masks=masks, generator=g)

    def theirs():
        twin = copy.deepcopy(net)
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        extra = {"momentum": recipe.momentum} if optimizer == "sgd" else {}
        chosen = kinds[optimizer](twin.parameters(), lr, **extra)
        rivals.minimal_loop(twin, x, ds.train_y, masks, chosen, steps=steps,
                            batch=batch)  # fmt: skip

    bench.compare(
        f"LeNet-300-100 {optimizer} batch {batch}, minimal loop / fit", floor,
        ours, theirs, n=steps,
    )  # fmt: skip


def population(bench):
    """Members in a loop and stacked, on a CPU, against `fit` called by hand."""
    ds, steps = made((1, 28, 28)), 25 if bench.quick else 100
    recipe = train.Recipe("sgd", 0.05, batch=128, steps=steps, eval_every=steps)

    def members():
        return [member("lenet_300_100", ds.in_shape, seed) for seed in range(8)]

    def alone():
        for net, masks, g in members():
            train.fit(net, ds, recipe, masks=masks, generator=g)

    for engine, floor in (("loop", NOT_SLOWER), ("stacked", None)):
        bench.compare(
            f"LeNet-300-100 x 8, fit by hand / population, {engine}", floor,
            lambda engine=engine: train.population(members(), ds, recipe,
                                                   engine=engine),
            alone, n=8,
        )  # fmt: skip


def work(cell):
    """One run of the sweep; importable by its workers."""
    ds = made((1, 28, 28))
    net, masks, g = member("lenet_300_100", ds.in_shape, cell["seed"])
    steps = int(cell["variant"])
    recipe = train.Recipe("sgd", 0.05, batch=128, steps=steps, eval_every=steps)
    return train.fit(net, ds, recipe, masks=masks, generator=g)


def warm(_):
    """Start a worker and all that it needs."""
    work({"seed": 0, "variant": "5"})
    time.sleep(1.0)  # so that no worker takes two of these


def sweep(bench):
    """`records.sweep` one by one against two processes of one thread each."""
    import training  # under its own name, which workers can import

    seconds = (WORK / 20 if bench.quick else WORK) / CELLS
    training.work({"seed": 0, "variant": "50"})
    began = time.perf_counter()
    training.work({"seed": 0, "variant": "400"})
    steps = max(1, int(400 * seconds / (time.perf_counter() - began)))
    cells = [
        {"method": "random", "density": 0.1, "seed": seed, "variant": str(steps)}
        for seed in range(CELLS)
    ]
    for repeat in range(1 if bench.quick else 2):
        pooled, ours = swept(training.work, cells, ready_pool(training.warm))
        serial, theirs = swept(training.work, cells, None)
        if pooled != serial:
            raise SystemExit("sweep: the rows differ")
        bench.add("sweep, one by one / two processes", 1.6, ours, theirs, n=CELLS,
                  repeat=repeat)  # fmt: skip
    bench.say("sweep, one by one / two processes")


def ready_pool(warm):
    """Return a factory of a pool whose two workers have started."""
    pool = records.processes(2)()
    list(pool.map(warm, range(2)))
    return lambda: pool


def swept(run, cells, executor):
    """Return the rows of a sweep and its wall seconds."""
    began = time.perf_counter()
    rows = records.sweep(run, cells, executor=executor, progress=False)
    return rows, time.perf_counter() - began


def write(rows, device):
    """Write the rows, those that are not run too, and what they were measured with."""
    report.RESULTS.mkdir(exist_ok=True)
    done = {row["case"] for row in rows}
    idle = [
        {"case": case, "ratio": "not run", "floor": floor}
        for case, floor in gpu.CASES.items()
        if case not in done
    ]
    with open(report.RESULTS / "training.csv", "w", newline="") as file:
        writer = csv.DictWriter(
            file, COLUMNS, lineterminator="\n", restval="", extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            for row in [*rows, *idle]
        )
    on_gpu = device != "cpu"
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "threads": torch.get_num_threads(),
        "seconds": "CPU seconds of the process; wall for the sweep and on a GPU",
        "not_run": {row["case"]: "needs a GPU, none was given" for row in idle},
    }
    (report.RESULTS / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


PARTS = {f.__name__: f for f in (fit, population, sweep)}


def main():
    """Run the parts, print a line for each case, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "gpu"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats = 1 if options.quick else options.repeats
    bench = report.Bench("cpu", repeats, options.quick)
    on_gpu = report.Bench(options.device, repeats, options.quick)
    usual = [] if options.tiny else list(PARTS)
    for name in options.only or [*usual, "gpu"]:
        if name != "gpu":
            PARTS[name](bench)
        elif options.tiny or options.device != "cpu":
            gpu.run(on_gpu, tiny=options.tiny)
    if not (options.quick or options.tiny or options.only):
        write([*bench.rows, *on_gpu.rows], options.device)


if __name__ == "__main__":
    main()
