"""Two classes, few images: does the student's output move as its teacher's does?

Teacher and student are trained by full-batch gradient descent on the images on which
their kernels were matched; other images of the same classes are held out.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paicore import data
from paicore.experiments.matching_a_teacher_rivals import rival
from paicore.experiments.matching_a_teacher_students import (
    BLOCK,
    Setting,
    draws,
    load,
    student,
    teacher,
)
from paicore.kernels import ntk
from paicore.masks import Masks
from paicore.rescale import divided

ERRORS = ("error", "worst", "of_best", "cosine", "size_ratio")
SHARES = ("masked_share", "ambient_share")
PARTS = ("matched", "held")
OUTPUTS = ("zero_1", "zero_2", "one_1", "one_2")
TRAJECTORY = (
    *(f"{name}_{part}" for name in (*ERRORS, *SHARES) for part in PARTS),
    *OUTPUTS,
)
Part = tuple[Tensor, Tensor]  # inputs (n, c, h, w) in float64, labels (n,)


@dataclass(frozen=True)
class Trajectories(Setting):
    """Two classes and gradient descent on them.

    Attributes:
        samples: Numbers of matched and of held-out images.
        pooled: Whether both are drawn from all images; else the first ones of the
            training and of the test part, as many of each class.
        rate: Learning rate.
        marks: Steps at which outputs are compared, the first one 0.
        checked: Marks that the claims speak of.
    """

    samples: tuple[int, int] = (240, 120)
    pooled: bool = True
    rate: float = 0.05
    marks: tuple[int, ...] = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60)
    checked: tuple[int, ...] = (10, 20, 60)


def two_classes(config: Trajectories, seed: int) -> tuple[Part, Part]:
    """Return matched and held-out images of the classes 0 and 1."""
    ds, sizes = load(config.data, config.enlarge), config.samples
    if not config.pooled:
        parts = ((ds.train_x, ds.train_y), (ds.test_x, ds.test_y))
        return tuple(_first(ds, *p, n) for p, n in zip(parts, sizes, strict=True))
    x, y = torch.cat([ds.train_x, ds.test_x]), torch.cat([ds.train_y, ds.test_y])
    order = torch.randperm(len(y), generator=draws(config, seed, "split"))
    order = order[y[order] < 2][: sum(sizes)]
    x = data.normalise(ds, x[order], torch.float64)
    return tuple(zip(x.split(sizes), y[order].split(sizes), strict=True))


def _first(ds: data.Dataset, x: Tensor, y: Tensor, n: int) -> Part:
    """Return the first n / 2 images of class 0 and of class 1, taking turns."""
    of_each = [(y == label).nonzero().flatten()[: n // 2] for label in (0, 1)]
    index = torch.stack(of_each, 1).flatten()  # (n,)
    return data.normalise(ds, x[index], torch.float64), y[index]


def started(
    config: Trajectories, cell: Mapping, inputs: tuple[Tensor, Tensor]
) -> tuple[nn.Module, Masks]:
    """Return a method's network before gradient descent, in float64, and its masks."""
    net = teacher(config, cell["seed"], classes=2)
    if cell["method"].startswith("ntt"):
        match = student(config, net, cell, inputs=inputs)
        masks = match.masks
        net.load_state_dict(match.theta, strict=False)
    else:
        masks = rival(config, net, cell)
    if cell["method"] == "scaled_random":
        net = divided(net, masks)
    return masks.apply_(net.cpu().double()), masks


def descend(
    config: Trajectories, net: nn.Module, masks: Masks, matched: Part, held: Tensor
) -> dict[int, tuple[Tensor, Tensor]]:
    """Train a copy by full-batch gradient descent and note its outputs.

    Returns:
        Step to outputs (n, 2) on the matched and on the held-out images.
    """
    net, (x, y), found = copy.deepcopy(net), matched, {}
    optimizer = torch.optim.SGD(net.parameters(), lr=config.rate)
    for step in range(max(config.marks) + 1):
        outputs = net(x)
        if step in config.marks:
            with torch.no_grad():
                found[step] = (outputs.detach(), net(held))
        optimizer.zero_grad()
        F.cross_entropy(outputs, y).backward()
        optimizer.step()
        masks.apply_(net)
    return found


def compare(path: Mapping, taught: Mapping, step: int, part: int) -> dict[str, float]:
    """Compare two trajectories of outputs at one step, on one part of the images.

    Returns:
        error: ||f_s(t) - f_T(t)|| / ||f_T(t) - f_T(0)||, cosine of the displacements
        f(t) - f(0), and size_ratio of their lengths; nan at step 0.
    """
    ours, theirs = path[step][part], taught[step][part]
    moved, wanted = ours - path[0][part], theirs - taught[0][part]
    if step == 0:
        return {"error": math.nan, "cosine": math.nan, "size_ratio": math.nan}
    return {
        "error": float((ours - theirs).norm() / wanted.norm()),
        "cosine": float((moved * wanted).sum() / (moved.norm() * wanted.norm())),
        "size_ratio": float(moved.norm() / wanted.norm()),
    }


def distances(
    net: nn.Module, masks: Masks, dense: nn.Module, block: Tensor
) -> dict[str, float]:
    """Return mean-square distances of both kernels from the teacher's, on a block.

    The block is the first half of the images against the second.
    """
    first, second = block.chunk(2)
    entries = len(first) * len(second) * dense(first[:1]).shape[1] ** 2
    return {
        tangent: float(
            ntk.distance(net, dense, first, second, masks=masks, tangent=tangent) ** 2
        )
        / entries
        for tangent in ("masked", "ambient")
    }


def shares(config, cell, net, masks, dense, parts) -> dict[str, float]:
    """Return both kernels' distances as shares of those at the start of a transfer."""
    found, begun = {}, {**cell, "method": "magnitude", "density": config.densities[0]}
    first = rival(config, dense, begun)
    for name, (x, _) in zip(PARTS, parts, strict=True):
        block = x[:BLOCK]
        before = distances(dense, first, dense, block)
        after = distances(net, masks, dense, block)
        for kind in ("masked", "ambient"):
            found[f"{kind}_share_{name}"] = after[kind] / before[kind]
    return found


def others(config: Trajectories, cell: Mapping, run) -> dict[tuple[int, int], float]:
    """Return the smallest error of the other sparse methods by (step, part)."""
    best = {}
    for method in config.methods:
        if method in ("dense", cell["method"]):
            continue
        path, taught = run({**cell, "method": method})
        for step in config.checked:
            for part in range(2):
                error = compare(path, taught, step, part)["error"]
                best[step, part] = min(error, best.get((step, part), math.inf))
    return best


def run_trajectories(config: Trajectories, cell: dict) -> list[dict]:
    """Run teacher and student side by side.

    Returns:
        One row per mark. "worst" is the largest error at the checked marks so far,
        "of_best" the largest ratio to the best other method's error there, for masked
        transfer only.
    """
    parts = matched, (held, label) = two_classes(config, cell["seed"])
    inputs = (matched[0].float(), held[:BLOCK].float())
    dense = teacher(config, cell["seed"], classes=2).double()
    taught = descend(config, dense, Masks.dense(dense), matched, held)

    def run(cell: Mapping) -> tuple[dict, dict]:
        net, masks = started(config, cell, inputs)
        return descend(config, net, masks, matched, held), taught

    net, masks = started(config, cell, inputs)
    path = descend(config, net, masks, matched, held)
    best = others(config, cell, run) if cell["method"] == "ntt_masked" else {}
    fixed = shares(config, cell, net, masks, dense, parts)
    rows, worst, of_best = [], [math.nan] * 2, [math.nan] * 2
    for step in config.marks:
        row = {"step": step, **fixed, **means(path[step][1], label)}
        for part, name in enumerate(PARTS):
            found = compare(path, taught, step, part)
            if step in config.checked:
                worst[part] = _larger(worst[part], found["error"])
                if best:
                    ratio = found["error"] / best[step, part]
                    of_best[part] = _larger(of_best[part], ratio)
            found |= {"worst": worst[part], "of_best": of_best[part]}
            row |= {f"{key}_{name}": value for key, value in found.items()}
        rows.append(row)
    return rows


def _larger(old: float, new: float) -> float:
    """Return the larger of two numbers, the new one where there is no old one."""
    return new if math.isnan(old) else max(old, new)


def means(outputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the two outputs, averaged over the images of each class."""
    both = [outputs[labels == label].mean(0).tolist() for label in (0, 1)]
    return dict(zip(OUTPUTS, both[0] + both[1], strict=True))
