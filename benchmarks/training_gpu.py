"""The parts of the training benchmark that need a GPU.

A population against `fit` one by one, against a DataLoader loop, and against the time
that the memory alone would take. Each side is timed at two lengths and the slope is
taken, so that checks and compilation drop out; the lengths are such that what
compilation scatters (a second or two) is small beside the difference.
"""

import rivals_training as rivals
import torch
from training_cases import made, member

from paicore import train

TRAFFIC = 7e6  # bytes that one image of ResNet-20 moves, forward and backward
CASES = {
    "depth-10 MLP x 32, fit one by one / population": 15.0,
    "ResNet-20 x 27, fit one by one / population": 4.0,
    "ResNet-20 x 27, DataLoader loop in float32 / population": 15.0,
    "ResNet-20 x 27, bandwidth floor / population": 0.5,
}


def slope(bench, call, steps):
    """Return the seconds of one more step, between `steps` and three times as many.

    What a call costs before its first step (checks, compilation) drops out.
    """
    call(steps)
    short, long = bench.once(lambda: call(steps)), bench.once(lambda: call(3 * steps))
    return (long - short) / (2 * steps)


def run(bench, tiny):
    """The parts that need a GPU; the toy sizes run anywhere."""
    mlp_case, *resnet_cases = CASES
    bench.tiny = tiny
    count, steps = (3, 2) if tiny else (32, 1000)
    ds = made((1, 28, 28), n=600 if tiny else 50_000)
    gpu_pair(
        bench, mlp_case, ds, count, steps,
        {"name": "mlp", "depth": 10, "width": 8 if tiny else 100},
        train.Recipe("sgd", 1e-3, momentum=0.0, batch=100, steps=1),
    )  # fmt: skip
    count, steps = (2, 1) if tiny else (27, 300)
    ds = made((3, 8, 8) if tiny else (3, 32, 32), n=600 if tiny else 50_000)
    recipe = train.Recipe("sgd", 0.1, weight_decay=1e-4, augment=True, steps=1,
                          batch=16 if tiny else 128, precision="bf16")  # fmt: skip
    build = {"name": "resnet20", "width": 4 if tiny else 16}
    each = gpu_pair(bench, resnet_cases[0], ds, count, steps, build, recipe)
    loader = slope(bench, lambda n: from_loader(bench, ds, build, recipe, n), steps)
    note(bench, resnet_cases[1], each, loader, count)
    floor = TRAFFIC * recipe.batch / bandwidth(bench)
    note(bench, resnet_cases[2], each, floor, count)


def gpu_pair(bench, case, ds, count, steps, build, recipe):
    """Compare a population with `fit` one by one; return seconds per member's step."""
    ds = ds.to(bench.device)

    def members(n):
        made_of = (member(in_shape=ds.in_shape, seed=k, **build) for k in range(n))
        return [(net.to(bench.device), masks, g) for net, masks, g in made_of]

    def timed(n):
        return train.Recipe(**{**vars(recipe), "steps": n, "eval_every": n})

    def together(n):
        train.population(members(count), ds, timed(n), engine="stacked")

    def alone(n):
        for net, masks, g in members(1):
            train.fit(net, ds, timed(n), masks=masks, generator=g)

    each = slope(bench, together, steps) / count
    note(bench, case, each, slope(bench, alone, steps), count)
    return each


def from_loader(bench, ds, build, recipe, steps):
    """Run the DataLoader loop."""
    net, masks, _ = member(in_shape=ds.in_shape, **build)
    net = net.to(bench.device)
    masks = {name: mask.to(bench.device) for name, mask in masks.items()}
    dataset = rivals.Augmented(ds.train_x.cpu(), ds.train_y.cpu(), ds.mean, ds.std)
    chosen = torch.optim.SGD(
        net.parameters(), recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay
    )
    rivals.loader_loop(
        net, dataset, masks, chosen, device=bench.device, steps=steps,
        batch=recipe.batch, workers=0 if bench.tiny else 8,
    )  # fmt: skip


def bandwidth(bench):
    """Return bytes per second of a large copy, read and written."""
    size = 2**20 if bench.tiny else 2**30
    a = torch.zeros(size, dtype=torch.uint8, device=bench.device)
    b = torch.empty_like(a)
    return 2 * size / bench.median(lambda: b.copy_(a))


def note(bench, case, ours, rival, count):
    """Note one measurement of a GPU part, in seconds per step of one member."""
    bench.add(case, None if bench.tiny else CASES[case], ours, rival, n=count, repeat=0)
    bench.say(case)
