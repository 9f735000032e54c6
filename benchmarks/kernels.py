"""The tangent kernel against what a reader would otherwise use, as ratios.

python benchmarks/kernels.py [--quick] [--repeats 7] [--device cpu] [--only lenet ...]

Both sides in one process, one thread, in turn (A B A B ...), so that a machine whose
speed drifts slows both; the ratio is taken pair by pair and its median is the result.
Seconds are CPU seconds of this process, or wall seconds on a GPU. Writes
benchmarks/results/kernels.csv, .json and .svg; --quick writes nothing.
"""

import argparse
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import kernel_report as report
import rivals_ntk as rivals
import torch

from paicore import nets, prune, seeds
from paicore.forward import private_copy
from paicore.kernels import ntk
from paicore.kernels.ntk import factors

SHAPES = {"lenet_300_100": (1, 28, 28), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32)}
CHUNKS = (1, 4, 16, None)  # of vmap(jacrev), in samples; the fastest one counts
DENSITY = 0.03


def setting(name, n, device, dtype=torch.float32, **options):
    """A network in eval mode and n inputs."""
    g = seeds.generator(0, "benchmark", name)
    net = nets.build(name, classes=10, in_shape=SHAPES[name], generator=g, dtype=dtype,
                     **options)  # fmt: skip
    x = torch.randn(n, *SHAPES[name], generator=g, dtype=dtype)
    return net.to(device).eval(), x.to(device)


def masks_of(net, density=DENSITY):
    """Random masks."""
    g = seeds.generator(1, "benchmark")
    return prune(net, "random", density=density, generator=g)


def lenet(bench):
    """LeNet-300-100, 32 x 32 cross block, against the Jacobian contraction."""
    for dtype, floor in ((torch.float64, 300), (torch.float32, 200)):
        cross_block(bench, dtype, floor)


def cross_block(bench, dtype, floor):
    """Compare one cross block in one dtype."""
    net, x = setting("lenet_300_100", 64, bench.device, dtype)
    row = bench.compare(
        f"lenet-300-100 cross block {str(dtype)[6:]}", floor,
        lambda: ntk.gram(net, x[:32], x[32:], dtype=None),
        lambda: rivals.contraction(net, x[:32], x[32:]),
        inner=20, n=32,
    )  # fmt: skip
    door = bench.median(lambda: private_copy(net, dtype=None))
    rest = row["ratio"] * row["ours_s"] / (row["ours_s"] - door)
    print(f"    {door * 1e3:.2f} ms of it for the private copy; {rest:.0f}x without")


def resnet(bench):
    """ResNet-20 against a loop and against the best-chunked vmap(jacrev)."""
    n = 8 if bench.quick else 32
    square(bench, torch.float32, 1.4, n)
    square(bench, torch.float64, None, n)
    jacobians(bench, n)
    train(bench)


def square(bench, dtype, floor, n):
    """Compare a square kernel in eval mode with a loop and one product."""
    net, x = setting("resnet20", n, bench.device, dtype)
    row = bench.compare(
        f"resnet20 eval {str(dtype)[6:]} / loop", floor,
        lambda: ntk.gram(net, x, dtype=None, batch_norm="eval"),
        lambda: rivals.loop(net, x), n=n,
    )  # fmt: skip
    operations = report.operations(net, x[:1], n)
    share = operations / row["ours_s"] / report.gemm_rate(dtype, bench.device)
    print(f"    {operations / 1e9:.0f} GFLOP, {share:.0%} of the measured GEMM rate")


def jacobians(bench, n):
    """Compare with vmap(jacrev) at its best chunk, in time and in peak memory."""
    net, x = setting("resnet20", n, bench.device)

    def theirs(chunk):
        return rivals.contraction(net, x, None, chunk=chunk)

    best = min(CHUNKS, key=lambda chunk: bench.once(lambda: theirs(chunk)))
    bench.compare(
        f"resnet20 eval float32 / vmap(jacrev), chunk {best}", 1.0,
        lambda: ntk.gram(net, x, dtype=None, batch_norm="eval"),
        lambda: theirs(best), n=n,
    )  # fmt: skip
    if bench.device == "cpu":
        sides = [peak(side, n, best) for side in ("ours", "jacrev")]
        bench.add("resnet20 peak memory", 1.0, *sides, n=n, repeat=0)
        print(f"    peak memory {sides[0]:.0f} MB, vmap(jacrev) {sides[1]:.0f} MB")


def train(bench):
    """ResNet-20 in train mode against the same loop; both make n k whole passes."""
    n = 4 if bench.quick else 16
    net, x = setting("resnet20", n, bench.device)
    bench.compare(
        "resnet20 train float32 / loop", None,
        lambda: ntk.gram(net, x, dtype=None, batch_norm="train"),
        lambda: rivals.loop_train(net.train(), x), n=n,
    )  # fmt: skip


def peak(side, n, chunk):
    """Peak memory in MB of one kernel in a process of its own, imports taken off."""
    call = [sys.executable, __file__, "--peak", side, str(n), str(chunk or n)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return float(done.stdout)


def peak_here(side, n, chunk):
    """Print how far the peak of one kernel lies above the memory before it, in MB."""
    net, x = setting("resnet20", int(n), "cpu")
    net(x[:1])
    before = memory("VmRSS")
    if side == "ours":
        ntk.gram(net, x, dtype=None, batch_norm="eval")
    else:
        rivals.contraction(net, x, None, chunk=int(chunk))
    print(memory("VmHWM") - before)


def memory(kind):
    """Return a line of this process's memory status in MB (Linux only)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) / 1024 for each in lines if each.startswith(kind))


@contextmanager
def without_signals(bench, spent):
    """Add up the seconds of the forward pass and of the backward signals."""
    kept = factors.passed, factors.signals

    def clocked(function):
        def call(*args):
            began = bench.clock()
            result = function(*args)
            spent[0] += bench.clock() - began
            return result

        return call

    factors.passed, factors.signals = map(clocked, kept)
    try:
        yield
    finally:
        factors.passed, factors.signals = kept


def masked(bench):
    """A masked kernel against the dense one of the same call: whole, and its stage."""
    sizes = (16,) if bench.quick else (16, 32, 64, 128)
    for n in sizes:
        net, x = setting("resnet20", n, bench.device)
        for density in (DENSITY,) if n != 32 else (0.01, DENSITY, 0.1, 0.3):
            pair(bench, net, x, masks_of(net, density), density, n)


def pair(bench, net, x, masks, density, n):
    """Compare a masked and a dense kernel, whole and without the signals."""

    def kernel(chosen):
        spent = [0.0]
        with without_signals(bench, spent):
            whole = bench.once(
                lambda: ntk.gram(net, x, masks=chosen, dtype=None, batch_norm="eval")
            )
        return whole, whole - spent[0]

    claimed = n == 128 and density == DENSITY
    stages = {"whole": 2.2, "stage": 6.0}
    kernel(masks)
    for repeat in range(bench.repeats):
        thin, full = kernel(masks), kernel(None)
        for index, (stage, floor) in enumerate(stages.items()):
            bench.add(
                f"resnet20 masked {density:g} {stage} n={n}",
                floor if claimed else None, thin[index], full[index],
                n=n, density=density, repeat=repeat,
            )  # fmt: skip
    for stage in stages:
        bench.say(f"resnet20 masked {density:g} {stage} n={n}")


def transfer(bench):
    """One step on Neural Tangent Transfer's kernel loss, forward and backward."""
    transfer_step(bench, "lenet_300_100", floor=200, inner=10)
    transfer_step(bench, "lenet5", floor=8, inner=1)


def transfer_step(bench, name, floor, inner):
    """Compare the ambient step with jacrev's, and the masked with the ambient one."""
    net, x = setting(name, 64, bench.device)
    target = ntk.gram(net, x[:32], x[32:], dtype=None) / 2
    values = {n: p.detach().requires_grad_() for n, p in net.named_parameters()}
    masks = masks_of(net)

    def step(kernel):
        loss = (kernel - target).square().mean()
        return torch.autograd.grad(
            loss, list(values.values()), allow_unused=True, materialize_grads=True
        )

    def ours(tangent):
        options = {"at": values, "masks": masks, "tangent": tangent, "dtype": None}
        return step(ntk.gram(net, x[:32], x[32:], **options))

    def theirs():
        point = {k: v * masks[k] if k in masks else v for k, v in values.items()}
        return step(rivals.contraction(net, x[:32], x[32:], values=point))

    bench.compare(
        f"{name} transfer step, ambient", floor, lambda: ours("ambient"), theirs,
        inner=inner, n=32,
    )  # fmt: skip
    bench.compare(
        f"{name} transfer step, ambient time / masked time", 1 / 6,
        lambda: ours("masked"), lambda: ours("ambient"), inner=inner, n=32,
        density=DENSITY,
    )  # fmt: skip


def curves(bench):
    """Cost against n and against parameters, with the floor of the GEMM rate."""
    rate = report.gemm_rate(torch.float32, bench.device)
    sizes = (4, 8) if bench.quick else (4, 8, 16, 32, 64, 128)
    widths = (4, 8) if bench.quick else (4, 8, 16, 32, 64)
    cases = [("n", n, {"width": 16}) for n in sizes]
    cases += [("parameters", 16, {"width": w}) for w in widths]
    for axis, n, options in cases:
        net, x = setting("resnet20", n, bench.device, **options)
        size = n if axis == "n" else sum(p.numel() for p in net.parameters())
        call = partial(ntk.gram, net, x, dtype=None, batch_norm="eval")
        seconds = bench.median(call)
        floor = report.operations(net, x[:1], n) / rate
        bench.add(f"cost by {axis}", None, seconds, floor, n=size, repeat=0)
        print(f"cost by {axis} = {size}: {seconds:.3g} s, floor {floor:.3g} s")


CASES = {f.__name__: f for f in (lenet, resnet, masked, transfer, curves)}


def main():
    """Run the cases, print a line for each, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        peak_here(*options.peak)
        return
    repeats = 1 if options.quick else options.repeats
    bench = report.Bench(options.device, repeats, options.quick)
    for name in options.only:
        CASES[name](bench)
    if not options.quick:
        bench.write("kernels")


if __name__ == "__main__":
    main()
