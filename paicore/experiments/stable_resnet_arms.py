"""Trained ResNets: which network is scored, which is trained, and how it starts.

A method of `arms` is a score on the plain ResNet; with "_stable" the same on the Stable
ResNet, which is then also trained; "sbp_sr", SNIP there; "obd", train, prune and train
again; with "_trained", that with another score; "rescaled", SNIP with the rescaling
trick; "dense" and "dense_stable". Arms of one seed share weights, scoring batch and
order of the images.
"""

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from paicore import Masks, data, nets, prune_many, rescale
from paicore.data import store
from paicore.data.catalogue import MissingData, Spec
from paicore.experiments import Config
from paicore.experiments.stable_resnet_layers import Batch, branch_options
from paicore.experiments.stable_resnet_theory import draws
from paicore.forward import isolated, private_copy
from paicore.scores import Score
from paicore.scores.loss import cross_entropy, gradients, weights_of
from paicore.train import Recipe, population

TRAINED_VALUES = (
    "test_accuracy", "best", "test_loss", "train_loss", "kept", "dead", "diverged",
)  # fmt: skip
PLANS = ("arms", "crossed", "factors")
SHORT = Recipe(
    "sgd", lr=0.1, momentum=0.9, weight_decay=1e-4, batch=64, steps=150, eval_every=150
)
# Not in the package's catalogue: the means and deviations are those in common use.
TINY_IMAGENET = Spec(
    *("tiny_imagenet", 64, 100_000, 10_000, 200),
    mean=(0.4802, 0.4481, 0.3975), std=(0.2770, 0.2691, 0.2821),
)  # fmt: skip
Place = tuple[str, tuple[str, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Trained(Config):
    """Networks that are drawn, pruned and trained.

    Attributes:
        methods: Names of all methods, in the order of tables.
        places: Triples of variant, its methods and its densities.
        plan: "arms", variant "resnet32 relu"; "crossed", method the branch that is
            scored, variant the one that is trained; "factors", variant the branch.
        data: Data set.
        net: Network of "crossed" and "factors".
        depth: Its depth where its name has no number.
        width: Channels of the first stage.
        batch: Samples that are scored.
        recipe: How to train; "obd" trains twice.
    """

    methods: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    plan: str = "arms"
    data: str = "digits"
    net: str = "resnet32"
    depth: int | None = None
    width: int = 8
    batch: int = 100
    recipe: Recipe = SHORT


class Job(NamedTuple):
    """What a cell asks for: network, activation, score, and both branches."""

    net: str
    phi: str
    score: str
    scored: str
    trained: str


def cells(config: Trained) -> list[dict]:
    """Every method and density of every place, for every seed; dense ones once."""
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for variant, methods, densities in config.places
        for method in methods
        if method in only
        for density in ((1.0,) if method.startswith("dense") else densities)
        for seed in range(config.seeds)
    ]


def together(config: Trained, cell: dict) -> Hashable:
    """All densities of one arm are read off one scoring."""
    return cell["method"], cell["variant"], cell["seed"]


def job_of(config: Trained, method: str, variant: str) -> Job:
    """Return what a method and a variant stand for.

    Raises:
        ValueError: The plan is unknown.
    """
    if config.plan == "crossed":
        return Job(config.net, "relu", "snip", method, variant)
    if config.plan == "factors":
        return Job(config.net, "relu", method, variant, variant)
    if config.plan != "arms":
        raise ValueError(f"plan: expected one of {PLANS}, got {config.plan!r}")
    net, phi = variant.split()
    score = "snip" if method in ("sbp_sr", "rescaled") else method
    stable = method == "sbp_sr" or method.endswith("_stable")
    branch = "stable" if stable else "plain"
    return Job(net, phi, score.removesuffix("_stable"), branch, branch)


@lru_cache(maxsize=1)
def images(name: str, device: str) -> data.Dataset:
    """Return a data set on its device; Tiny-ImageNet from a file of one's own.

    Raises:
        MissingData: It is not there; the message says what would be needed.
    """
    if name == "imagenet":
        raise MissingData("imagenet: 1.3 million images do not fit into one array, "
                          "and there is no loader here that streams them")  # fmt: skip
    if name != TINY_IMAGENET.name:
        return data.load(name).to(device)
    file = store.path(name)
    if not file.exists():
        raise MissingData(f"{name}: not there. {store.remedies(TINY_IMAGENET)}")
    return store.read(file, TINY_IMAGENET).to(device)


def drawn(config: Trained, job: Job, branch: str, seed: int) -> nn.Module:
    """Draw a network on its device; branch and activation leave the weights alone."""
    ds = images(config.data, config.device)
    options = branch_options(branch) if job.net.startswith("resnet") else {}
    if config.depth is not None:
        options["depth"] = config.depth
    return nets.build(
        job.net, in_shape=ds.in_shape, classes=ds.classes, width=config.width,
        activation=job.phi, generator=draws(seed, job.net, "init"), **options,
    ).to(config.device)  # fmt: skip


@isolated
def second_order(
    net: nn.Module, masks, batch: Batch, *, generator=None
) -> dict[str, Tensor]:
    """Score each weight by w^2 F / 2, F the mean square of its samples' gradients.

    Conventions: F, the empirical Fisher diagonal, stands for the Hessian's of Optimal
    Brain Damage; stored statistics, float64.

    Args:
        net: Trained.
        masks: name -> bool tensor.
        batch: Pair (x, y).
        generator: Not used.

    Returns:
        dict name -> tensor shaped like the weight; larger: keep.

    Cost: one forward and backward pass per sample.
    """
    twin = private_copy(net, masks=masks, batch_norm="eval")
    weights = weights_of(twin)
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for x, y in zip(*batch, strict=True):
        loss = cross_entropy(twin, x[None], y[None])
        for name, grad in gradients(loss, weights).items():
            total[name] += grad.square()
    half = 0.5 / len(batch[0])
    return {n: half * total[n] * w.detach().square() for n, w in weights.items()}


OBD = Score(second_order, "after LeCun et al. 1990", frozenset({"inputs", "labels"}))


def fitted(config: Trained, found: list, seed: int, order: str) -> list[dict]:
    """Train pairs of network and masks one by one; return the last row of each."""
    members = [(net, masks, draws(seed, order)) for net, masks in found]
    rows = population(
        members, images(config.data, config.device), config.recipe,
        device=config.device, engine="loop", progress=False,
    )  # fmt: skip
    return list({row["member"]: row for row in rows}.values())


def masked(config: Trained, job: Job, densities: list[float], seed: int):
    """Return the network to be trained and, by density, its masks."""
    net = drawn(config, job, job.scored, seed)
    if job.score == "dense":
        return net, {1.0: Masks.dense(net)}
    ds = images(config.data, config.device)
    x, y = data.sample(ds, config.batch, draws(seed, config.data, "batch"))
    if job.score == "obd" or job.score.endswith("_trained"):
        fitted(config, [(net, None)], seed, "order before")
    score = OBD if job.score == "obd" else job.score.removesuffix("_trained")
    (masks,) = prune_many(
        net, score, densities=densities,
        batch=(x.to(config.device), y.to(config.device)),
        generators=draws(seed, "score"), progress=False,
    )  # fmt: skip
    if job.trained != job.scored:
        net = drawn(config, job, job.trained, seed)
    return net, masks


def run_trained(config: Trained, group: list[dict]) -> list[list[dict]]:
    """Train one arm at its densities; one row each, after the last step."""
    method, variant, seed = together(config, group[0])
    job = job_of(config, method, variant)
    net, masks = masked(config, job, [cell["density"] for cell in group], seed)
    found = []
    for cell in group:
        own = masks[cell["density"]]
        is_rescaled = method == "rescaled"
        new = rescale.rescaled(net, own) if is_rescaled else copy.deepcopy(net)
        found.append((new, own))
    return [
        [_row(config, row, own)]
        for row, (_, own) in zip(
            fitted(config, found, seed, "order"), found, strict=True
        )
    ]


def _row(config: Trained, row: dict, masks: Masks) -> dict:
    """Return a run's row; a run that diverged has no accuracy."""
    ds = images(config.data, config.device)
    names = ("test_accuracy", "test_loss", "train_loss")
    return {
        "step": config.recipe.total_steps(len(ds.train_x)),
        **{name: row[name] for name in names}, "best": row["best_test_accuracy"],
        "kept": masks.kept, "dead": len(masks.collapsed),
        "diverged": float(row["diverged"] != ""),
    }  # fmt: skip
