"""What `kernels.py` measures with: pairs of runs, operation counts, and the files."""

import csv
import json
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import nn

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = ["case", "n", "density", "repeat", "ours", "rival", "ratio", "floor"]


class Bench:
    """Rows of one run of the benchmark."""

    def __init__(self, device, repeats, quick):
        self.device, self.repeats, self.quick = device, repeats, quick
        self.rows = []

    def clock(self):
        """Return seconds: of the CPU, or of the wall once the GPU is done."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def once(self, call, inner=1):
        """Return the seconds of a call, the mean over `inner` of them."""
        began = self.clock()
        for _ in range(inner):
            call()
        return (self.clock() - began) / inner

    def warmed(self, call, inner, *, short):
        """Return the seconds of a call; of a short one after a call not timed."""
        if short:
            call()
        return self.once(call, inner)

    def median(self, call):
        """Return the median seconds of a call after a warm-up."""
        call()
        return statistics.median(self.once(call) for _ in range(self.repeats))

    def compare(self, case, floor, ours, rival, *, inner=1, n, density=1.0):
        """Run pairs, print the median ratio and return the median seconds.

        Where a call of ours is short, it runs `inner` times, and each side once more
        beforehand: the caches of the other side's last call are not to be paid for.
        """
        ours()
        rival()
        for repeat in range(self.repeats):
            mine = self.warmed(ours, inner, short=inner > 1)
            other = self.warmed(rival, 1, short=inner > 1)
            self.add(case, floor, mine, other, n=n, density=density, repeat=repeat)
        return self.say(case)

    def add(self, case, floor, ours, rival, *, n, density=1.0, repeat):
        """Note one pair."""
        values = (case, n, density, repeat, ours, rival, rival / ours, floor)
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))

    def say(self, case):
        """Print one line on a case and return its median seconds."""
        rows = [row for row in self.rows if row["case"] == case]
        ratios = [row["ratio"] for row in rows]
        floor, middle = rows[0]["floor"], statistics.median(ratios)
        verdict = ""
        if floor is not None:
            verdict = f", floor {floor:.3g}x {'holds' if middle >= floor else 'FAILS'}"
        seconds = statistics.median(row["ours"] for row in rows)
        print(
            f"{case}: {middle:.3g}x (from {min(ratios):.3g} to {max(ratios):.3g}, "
            f"n={len(ratios)}), {seconds:.3g} s{verdict}",
            flush=True,
        )
        return {"ours_s": seconds, "ratio": middle}

    def write(self, name):
        """Write the rows, what they were measured with, and the cost curves."""
        RESULTS.mkdir(exist_ok=True)
        with open(RESULTS / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
                for row in self.rows
            )
        on_gpu = self.device != "cpu"
        facts = {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
            "seconds": "wall" if on_gpu else "CPU seconds of the process",
            "memory": "peak memory rows are MB",
            "gemm_gflops": {
                str(d)[6:]: round(gemm_rate(d, self.device) / 1e9)
                for d in (torch.float32, torch.float64)
            },
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
        draw(self.rows, RESULTS / f"{name}.svg")


def gemm_rate(dtype, device, size=2048):
    """Return the operations per second of one large matrix product."""
    a = torch.randn(size, size, dtype=dtype, device=device)
    bench = Bench(device, 5, False)
    return 2 * size**3 / bench.median(lambda: a @ a)


def operations(net, x, n):
    """Count the operations of a symmetric kernel, 2 per multiply-add.

    Forward pass, backward signals (all layers but the first), columns of the
    convolutions, and half of every product.
    """
    layers = []

    def note(module, args, out):
        positions = out[0, 0].numel() if out.dim() > 2 else 1
        layers.append((module.weight.numel(), positions, module.weight.shape[0]))

    kinds = (nn.Linear, nn.Conv2d)
    handles = [
        m.register_forward_hook(note) for m in net.modules() if isinstance(m, kinds)
    ]
    with torch.no_grad():
        k = net(x).shape[1]
    for handle in handles:
        handle.remove()
    rows = n * k
    total = 0
    for index, (weights, positions, channels) in enumerate(layers):
        macs = weights * positions
        total += n * macs + (rows * macs if index else 0)
        total += rows * macs if positions > 1 else 0
        total += rows**2 / 2 * (weights if positions > 1 else channels)
    return 2 * total


def draw(rows, path):
    """Draw seconds against n and parameters, with the floor dashed."""
    axes_of = {row["case"] for row in rows if row["case"].startswith("cost by")}
    if not axes_of:
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "paicore"
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.6), layout="constrained")
    for axis, case in zip(axes, sorted(axes_of), strict=True):
        found = [row for row in rows if row["case"] == case]
        sizes = [row["n"] for row in found]
        axis.loglog(sizes, [r["ours"] for r in found], "o-", label="ResNet-20, float32")
        axis.loglog(sizes, [r["rival"] for r in found], "k--",
                    label="operations / GEMM rate")  # fmt: skip
        axis.set_xlabel(case.removeprefix("cost by "))
        axis.set_ylabel("seconds")
    axes[1].legend(frameon=False, loc="upper left")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
