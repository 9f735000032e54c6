"""The trace of every mask of a seed, and how the masks train at several rates.

All masks of one seed are measured together: they share weights, images and the order
of the batches, and are trained as one population per learning rate. Three rates are
reported: one for all masks, the best of a grid for each mask, and 1 / lambda_max.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from torch import nn

from paicore import data
from paicore.experiments.matching_a_teacher_students import kept
from paicore.experiments.trace_and_training_masks import (
    SHUFFLED,
    Case,
    Place,
    Pruning,
    all_masks,
    case_of,
    draws,
    load,
    network,
    places,
)
from paicore.kernels import ntk, paths
from paicore.masks import Masks
from paicore.train import Recipe, evaluate, population

MODES = ("fixed", "tuned", "lambda")
OUTCOMES = ("loss", "mean_loss", "accuracy")
BY_MODE = tuple(f"{mode}_{outcome}" for mode in MODES for outcome in OUTCOMES)
OF_MASK = ("kept", "empty", "trace", "trace_weights", "top")
RATES = ("tuned_rate", "lambda_rate")
RATIOS = ("over_random", "over_rest")
LOSSES = (*OF_MASK, *RATES, *BY_MODE, *RATIOS)
REST = ("magnitude", "snip", "grasp")
DEAD = 1e-12  # a kernel whose largest eigenvalue is below this trains nothing


@dataclass(frozen=True)
class Training(Pruning):
    """Masks, and how they are trained.

    Attributes:
        recipe: How; its rate is not read.
        probe: Images of the kernel whose largest eigenvalue is taken; 0: none, and
            nothing is trained at that rate.
        engine: Of `population`.
        keep: Whether what was measured is kept under ``build/students``.
    """

    recipe: Recipe = field(
        default_factory=lambda: Recipe("sgd", lr=1.0, momentum=0.0, batch=64, steps=120)
    )
    probe: int = 100
    engine: str = "auto"
    keep: bool = False


def group(config: Training, cell: Mapping) -> tuple[str, int]:
    """Return what is measured in one call: all masks of a case and seed."""
    return cell["variant"].removesuffix(SHUFFLED), cell["seed"]


def run_losses(config: Training, cells: Sequence[Mapping]) -> list[list[dict]]:
    """Measure the whole seed and return the rows of the masks that are asked for.

    Returns:
        For each cell one row, its step the number of updates. "trace" counts biases and
        the paths that start at them, "trace_weights" neither. "top" is the largest
        eigenvalue of K / n on n probe images, "loss" the final one on all training
        images, "mean_loss" the mean over the steps of training. A training that
        diverged has infinite losses. "over_random" and "over_rest" are quotients of
        traces at equal density: to the random mask, and to the largest of `REST`.
    """
    found = []
    for cell in cells:
        variant, case = cell["variant"], case_of(config, cell["variant"])
        table = measured(config, case, cell["seed"])
        place = Place(cell["method"], cell["density"], variant.endswith(SHUFFLED))
        at = index_of(table, place)
        row = {name: float(table[name][at]) for name in LOSSES}
        found.append([{"step": steps_of(config, case), **row}])
    return found


def images(case: Case) -> data.Dataset:
    """Return the images that a case is trained and tested on."""
    return load(case.data).subset(train=case.train, test=case.test)


def steps_of(config: Training, case: Case) -> int:
    """Return the number of updates of a training."""
    return config.recipe.total_steps(len(images(case).train_y))


def index_of(table: Mapping[str, np.ndarray], place: Place) -> int:
    """Return where a mask stands in a table."""
    here = table["method"] == place.method
    here &= np.isclose(table["density"], place.density, rtol=1e-9)
    here &= table["shuffled"] == place.shuffled
    return int(np.flatnonzero(here)[0])


_TABLES: dict[tuple, dict[str, np.ndarray]] = {}


def measured(config: Training, case: Case, seed: int) -> dict[str, np.ndarray]:
    """Return all that is known of the masks of a case and seed, measured once.

    Returns:
        Column to array: "method", "density", "shuffled", and `LOSSES`.
    """
    config = replace(config, cases=(case,), seeds=1, only="", few=())
    key = (config, seed)
    if key not in _TABLES:
        plain = {k: v for k, v in asdict(config).items() if k not in ("device", "keep")}
        _TABLES[key] = kept(
            config.keep,
            ("traces", plain, seed),
            tuple(network(case, seed).parameters()),
            lambda: _measure(config, case, seed),
        )
        _TABLES[key] |= kept(
            config.keep,
            ("traces of weights", plain, seed),
            tuple(network(case, seed).parameters()),
            lambda: {"trace_weights": weight_traces(config, case, seed)},
        )
    return _TABLES[key]


def weight_traces(config: Training, case: Case, seed: int) -> np.ndarray:
    """Return the trace over the weights alone of every mask of a case and seed."""
    net, shape = network(case, seed), load(case.data).in_shape
    masks = (each for _, each in all_masks(config, case, seed))
    return np.array([
        paths.trace(net, shape, masks=m, bias="zero", params="prunable") for m in masks
    ])  # fmt: skip


def _measure(config: Training, case: Case, seed: int) -> dict[str, np.ndarray]:
    """Draw, measure and train all masks of a case and seed."""
    masks = [each for _, each in all_masks(config, case, seed)]
    net, shape = network(case, seed), load(case.data).in_shape
    columns = zip(*places(config), strict=True)
    table = dict(zip(Place._fields, map(np.array, columns), strict=True))
    table["kept"] = np.array([each.kept for each in masks])
    table["empty"] = np.array([len(each.collapsed) for each in masks])
    table["trace"] = np.array([paths.trace(net, shape, masks=m) for m in masks])
    table["top"] = tops(config, case, seed, net, masks)
    by_rate = [trained(config, case, seed, masks, rate) for rate in case.rates]
    table |= at_rates(case, np.array(by_rate))
    table |= by_lambda(config, case, seed, masks, table["top"])
    return table | quotients(table)


def tops(
    config: Training, case: Case, seed: int, net: nn.Module, masks: Iterable[Masks]
) -> np.ndarray:
    """Return the largest eigenvalue of K / n of every mask; nan without a probe."""
    if not config.probe:
        return np.full(len(list(masks)), np.nan)
    x, _ = data.sample(load(case.data), config.probe, draws(case, seed, "probe"))
    found = [ntk.eigenvalues(net, x, top=1, masks=m, progress=False) for m in masks]
    return np.array([float(each[0]) / len(x) for each in found])


def trained(
    config: Training, case: Case, seed: int, masks: Sequence[Masks], rate: float
) -> np.ndarray:
    """Train every mask at one rate.

    Returns:
        Array (masks, 3) of `OUTCOMES`.
    """
    ds = images(case).to(config.device)
    members = [(network(case, seed), m, draws(case, seed, "order")) for m in masks]
    recipe = replace(config.recipe, lr=rate, eval_every=steps_of(config, case))
    engine = {"device": config.device, "engine": config.engine, "progress": False}
    rows = population(members, ds, recipe, **engine)
    last = {row["member"]: row for row in rows}
    seen = replace(ds, test_x=ds.train_x, test_y=ds.train_y)
    found = []
    for number, (net, _, _) in enumerate(members):
        row, loss = last[number], evaluate(net, seen).loss
        found.append((loss, row["train_loss"], row["test_accuracy"]))
        if row["diverged"] or not math.isfinite(loss):
            found[-1] = (math.inf, math.inf, math.nan)
    return np.array(found)


def at_rates(case: Case, found: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outcomes at the fixed rate, and at each mask's best one.

    Args:
        case: Has the rates.
        found: Array (rates, masks, 3) of `OUTCOMES`.

    Returns:
        Columns of the modes "fixed" and "tuned"; the best rate is that of the least
        final training loss, the smaller rate of two that are equal.
    """
    best = found[..., 0].argmin(0)  # (masks,)
    tuned = found[best, np.arange(len(best))]  # (masks, 3)
    fixed = found[case.rates.index(case.fixed)]
    columns = {"tuned_rate": np.array(case.rates)[best]}
    for place, outcome in enumerate(OUTCOMES):
        columns[f"fixed_{outcome}"] = fixed[:, place]
        columns[f"tuned_{outcome}"] = tuned[:, place]
    return columns


def by_lambda(
    config: Training, case: Case, seed: int, masks: Sequence[Masks], top: np.ndarray
) -> dict[str, np.ndarray]:
    """Train each mask at 1 / top; where that kernel is zero at the largest rate."""
    rates = np.full(len(masks), np.nan)
    found = np.full((len(masks), len(OUTCOMES)), np.nan)
    if config.probe:
        rates = 1 / np.where(top > DEAD, top, 1 / max(case.rates))
        config = replace(config, engine="loop")  # one member each: rates differ
        found = np.concatenate(
            [trained(config, case, seed, [m], float(rate))
             for m, rate in zip(masks, rates, strict=True)]
        )  # fmt: skip
    columns = {f"lambda_{name}": found[:, k] for k, name in enumerate(OUTCOMES)}
    return {"lambda_rate": rates, **columns}


def quotients(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return every trace over that of the random mask and over the largest of REST."""
    found = {name: np.full(len(table["trace"]), np.nan) for name in RATIOS}
    for density in np.unique(table["density"]):
        here = (table["density"] == density) & ~table["shuffled"]
        for name, rivals in (("over_random", ("random",)), ("over_rest", REST)):
            theirs = table["trace"][here & np.isin(table["method"], rivals)]
            if len(theirs) and theirs.max() > 0:
                at = table["density"] == density
                found[name][at] = table["trace"][at] / theirs.max()
    return found
