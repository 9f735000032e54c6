"""The course's capstone: a score of one's own against random, ERK and SynFlow.

``python -m paicore.experiments.capstone my_score.py`` prunes and trains small networks
on the digits with the score of that file and with its rivals, on the same initial
weights, batches and data order per seed, and writes a report. Without ``--final``
training samples that are held out take the place of the test set, so that nobody looks
at the test set while a score is still being changed.
"""

import argparse
import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from scipy import stats
from torch import nn

from paicore import data, nets, seeds, train
from paicore.experiments.tables import aligned
from paicore.masks import Masks
from paicore.scores import prune

RIVALS = ("random", "erk", "synflow")
OWN, SHUFFLED = "own", "own, shuffled"
RECIPE = train.Recipe(
    "sgd", lr=0.1, batch=100, epochs=20, schedule="cosine", eval_every=280
)


@dataclass(frozen=True)
class Setting:
    """What every score meets.

    Attributes:
        densities: Fractions kept.
        primary: The one density at which the test is done, declared beforehand.
        seeds: Number of paired repetitions.
        first: First seed; development and the final run have different ones.
        per_class: Scoring samples per class.
        width, depth: Of the MLP.
        recipe: How all are trained; nothing of it is tuned.
    """

    densities: tuple[float, ...] = (0.02, 0.05, 0.1)
    primary: float = 0.05
    seeds: int = 10
    first: int = 0
    per_class: int = 10
    width: int = 100
    depth: int = 3
    recipe: train.Recipe = RECIPE


@dataclass(frozen=True)
class Own:
    """A score of one's own.

    Attributes:
        function: ``f(net, masks, batch, *, generator)`` to a dict of scores.
        options: What `paicore.prune` is told besides, for example ``rounds``.
    """

    function: Callable[..., dict]
    options: Mapping[str, object]


def load(path: Path) -> Own:
    """Read ``score`` and, if there is one, ``OPTIONS`` from a Python file.

    Args:
        path: The file; it is run.

    Returns:
        The score.

    Raises:
        ValueError: There is no such file, or no function ``score`` in it.
    """
    if not path.is_file():
        raise ValueError(f"file: expected a Python file, got {path}")
    found = runpy.run_path(str(path))
    if not callable(found.get("score")):
        raise ValueError(
            f"file: {path} defines no function score(net, masks, batch, *, generator)"
        )
    return Own(found["score"], dict(found.get("OPTIONS", {})))


def development(ds: data.Dataset, held_out: int = 400) -> data.Dataset:
    """Put the last training samples in the place of the test set."""
    return replace(
        ds,
        train_x=ds.train_x[:-held_out], train_y=ds.train_y[:-held_out],
        test_x=ds.train_x[-held_out:], test_y=ds.train_y[-held_out:],
    )  # fmt: skip


def build(setting: Setting, ds: data.Dataset, seed: int) -> nn.Module:
    """Build the network of a seed; every method starts from the same weights."""
    return nets.build(
        "mlp", classes=ds.classes, in_shape=ds.in_shape, width=setting.width,
        depth=setting.depth, generator=draws(seed, "init"),
    )  # fmt: skip


def draws(seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, "capstone", what)


def batch_of(setting: Setting, ds: data.Dataset, seed: int):
    """Return the scoring batch of a seed, a pair (x, y)."""
    count = setting.per_class * ds.classes
    return data.sample(ds, count, draws(seed, "batch"), balanced=True)


def masks_of(
    setting, own: Own, ds, net, method: str, density: float, seed: int
) -> Masks:
    """Choose masks by the name of a rival, or by the score of one's own."""
    is_own = method in (OWN, SHUFFLED)
    masks = prune(
        net, own.function if is_own else method, density=density,
        batch=batch_of(setting, ds, seed), generator=draws(seed, "scores"),
        progress=False, **(own.options if is_own else {}),
    )  # fmt: skip
    return masks.shuffled(draws(seed, "shuffle")) if method == SHUFFLED else masks


def run(setting: Setting, own: Own, ds: data.Dataset) -> pd.DataFrame:
    """Prune and train everything, paired by seed.

    Args:
        setting: What every score meets.
        own: The score of one's own.
        ds: Data set.

    Returns:
        One row per method, density and seed: "accuracy" (fraction) and
        "effective_density".
    """
    rows = []
    for seed in range(setting.first, setting.first + setting.seeds):
        for density in setting.densities:
            for method in (OWN, SHUFFLED, *RIVALS):
                net = build(setting, ds, seed)
                masks = masks_of(setting, own, ds, net, method, density, seed)
                effective = masks.effective(net, ds.in_shape).density
                order = draws(seed, "order")
                history = train.fit(
                    net, ds, setting.recipe, masks=masks, generator=order,
                    progress=False,
                )  # fmt: skip
                rows.append({
                    "method": method, "density": density, "seed": seed,
                    "accuracy": history[-1]["test_accuracy"],
                    "effective_density": effective,
                })  # fmt: skip
    return pd.DataFrame(rows)


def holm(values: list[float]) -> list[float]:
    """Adjust p-values of several comparisons by Holm's step-down rule."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[k]))
        adjusted[k] = largest
    return adjusted


def differences(rows: pd.DataFrame, density: float) -> pd.DataFrame:
    """Compare one's own score with every rival, seed by seed.

    Args:
        rows: As from `run`.
        density: Where to compare.

    Returns:
        One row per rival: mean difference of accuracy in points, ends of its 95 %
        interval, p of the paired t-test, the same after Holm, and a verdict.
    """
    table = rows[rows["density"] == density].pivot(
        index="seed", columns="method", values="accuracy"
    )
    found = []
    for rival in RIVALS:
        apart = 100 * (table[OWN] - table[rival])
        mean, error = apart.mean(), stats.sem(apart)
        reach = stats.t.ppf(0.975, len(apart) - 1) * error
        p = float(mean == 0)  # differences that are all alike leave no doubt
        if error:
            p = 2 * stats.t.sf(abs(mean) / error, len(apart) - 1)
        found.append({"rival": rival, "points": mean, "low": mean - reach,
                      "high": mean + reach, "p": float(p)})  # fmt: skip
    out = pd.DataFrame(found)
    out["p_holm"] = holm(out["p"].tolist())
    decided = out["p_holm"] < 0.05
    sides = out["points"].map(lambda value: "better" if value > 0 else "worse")
    out["verdict"] = sides.where(decided, "undecided")
    return out


def contract(setting: Setting, own: Own, ds: data.Dataset) -> list[str]:
    """Say what of the contract of a score does not hold; an empty list is fine."""
    net, batch = build(setting, ds, setting.first), batch_of(setting, ds, setting.first)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    state = torch.get_rng_state()
    masks, found = Masks.dense(net), []
    pair = [
        own.function(net, masks, batch, generator=draws(setting.first, "scores"))
        for _ in range(2)
    ]
    if not all(torch.equal(p, before[name]) for name, p in net.named_parameters()):
        found.append("the network's weights are changed")
    if any(p.grad is not None for p in net.parameters()):
        found.append("gradients are left on the network")
    if not torch.equal(torch.get_rng_state(), state):
        found.append("the global random generator is used: take `generator`")
    if not all(torch.equal(pair[0][name], pair[1][name]) for name in masks):
        found.append("equal generators give different scores")
    return found


def summary(rows: pd.DataFrame) -> str:
    """Table of accuracies and effective densities, mean over seeds."""
    lines = [("method", "density", "accuracy %", "sd", "effective density")]
    for (density, method), part in rows.groupby(["density", "method"], sort=True):
        mean, sd = 100 * part["accuracy"].mean(), 100 * part["accuracy"].std()
        live = part["effective_density"].mean()
        lines.append(
            (method, f"{density:g}", f"{mean:.2f}", f"{sd:.2f}", f"{live:.4f}")
        )
    return aligned(lines)


def report(setting: Setting, rows: pd.DataFrame, broken: list[str], final: bool) -> str:
    """Write the report as Markdown."""
    tests = differences(rows, setting.primary)
    columns = ("rival", "points", "low", "high", "p", "p_holm", "verdict")
    lines = [columns]
    for row in tests.to_dict("records"):
        numbers = (f"{row[name]:.3g}" for name in columns[1:-1])
        lines.append((row["rival"], *numbers, row["verdict"]))
    data_used = "test set" if final else "held-out training samples (development)"
    return "\n".join([
        "# Capstone report", "",
        f"Digits, {data_used}; MLP of depth {setting.depth} and width {setting.width}; "
        f"{setting.seeds} paired seeds from {setting.first} on; mean over seeds.",
        "", "## Contract", "",
        *([f"* {text}" for text in broken] or ["Everything holds."]),
        "", "## Accuracy", "", "```", summary(rows), "```", "",
        f"## Paired test at density {setting.primary:g}", "",
        "Own minus rival in points of accuracy, 95 % interval, p after Holm for "
        f"{len(RIVALS)} comparisons.", "", "```", aligned(lines), "```", "",
    ])  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="Python file that defines score")
    parser.add_argument("--final", action="store_true", help="once, on the test set")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("build/capstone"))
    args = parser.parse_args(argv)
    if args.seeds < 2:
        parser.error(f"--seeds: expected at least 2, got {args.seeds}")
    setting = Setting(seeds=args.seeds, first=1000 if args.final else 0)
    digits = data.load("digits")
    ds = digits if args.final else development(digits)
    try:
        own = load(args.file)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    broken = contract(setting, own, ds)
    rows = run(setting, own, ds)
    args.out.mkdir(parents=True, exist_ok=True)
    name = f"{args.file.stem}_{'final' if args.final else 'development'}"
    rows.to_csv(args.out / f"{name}.csv", index=False, float_format="%.9g")
    text = report(setting, rows, broken, args.final)
    (args.out / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
