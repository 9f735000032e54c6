"""Prune, train, compare: one run is one mask of one way of pruning, trained.

All draws of a seed are shared: initial weights, scoring images, noise and the order of
the batches do not depend on how a network is pruned, so every comparison is paired.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from paicore import Masks, data, prune, seeds
from paicore.experiments import Config
from paicore.experiments.saliency_nets import network
from paicore.train import Diverged, Recipe, fit
from paicore.train.batches import crop_and_flip, draw_epoch

ARM_VALUES = (
    "accuracy", "best", "over", "over_best", "test_loss", "train_loss", "kept", "empty",
    "effective",
)  # fmt: skip
SHUFFLED = "shuffled"
LABELLED = ("snip", "iterative_snip", "grasp")  # scored on real images with labels
LIMIT = 256  # samples of a scoring mini-batch. C YiteWang/NTK-SAP main.py
# The reference's small checks: 12 epochs of the digits, one cycle to 0.1.
SHORT = Recipe(
    "sgd", lr=0.1, batch=64, epochs=12, schedule="onecycle", weight_decay=1e-4
)
# Word of a variant to an option of the score; words with a value follow below.
WORDS: Mapping[str, dict] = {
    "real": {"inputs": "real"}, "given": {"weights": "given"},
    "jvp": {"estimator": "jvp"},
}  # fmt: skip
VALUED = {"T": ("rounds", int), "R": ("repeats", int), "eps": ("epsilon", float)}


@dataclass(frozen=True)
class Arms(Config):
    """Ways to prune, and how the masks are trained.

    Attributes:
        methods: Names of scores; "dense" is trained without a mask.
        densities: Fractions kept.
        few: Densities of the methods that are not in `wide`; empty: all of them.
        wide: Methods that are run at all densities.
        variants: Settings of the score, words like "T=5", "eps=1e-06", "real".
        extra: Pairs of a method and one more variant.
        shuffled: Densities whose masks are also trained permuted inside their layers.
        rival: Method and variant whose accuracy is subtracted in "over"; of a
            shuffled mask it is the mask itself.
        data: Name of the data set.
        trained: Number of training images; None for all.
        tested: Number of test images; None for all.
        net: "conv6" of `saliency_nets`, or a name of `nets.build`.
        width: Channels of the first stage; 0 for the net's own.
        classes: Outputs; 0 for those of the data set.
        images: Labelled images that SNIP and GraSP see.
        noise: Inputs of one draw of NTK-SAP.
        augmented: Whether scoring images are cropped and flipped as in training.
        repeats: Draws R a round.
        rounds: Pairs of a method and its number of rounds.
        scoring: Precision of the scores that take one.
        recipe: How masks are trained.
    """

    methods: tuple[str, ...] = ("ntk_sap",)
    densities: tuple[float, ...] = (0.8**14,)
    few: tuple[float, ...] = ()
    wide: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)
    extra: tuple[tuple[str, str], ...] = ()
    shuffled: tuple[float, ...] = ()
    rival: tuple[str, str] = ("ntk_sap", "")
    data: str = "digits"
    trained: int | None = None
    tested: int | None = None
    net: str = "conv6"
    width: int = 0
    classes: int = 0
    images: int = 100
    noise: int = 64
    augmented: bool = False
    repeats: int = 5
    rounds: tuple[tuple[str, int], ...] = (("ntk_sap", 20), ("iterative_snip", 20))
    scoring: str = "float64"
    recipe: Recipe = field(default_factory=lambda: SHORT)


def arms(config: Arms) -> list[dict]:
    """Every way of pruning at its densities, for every seed."""
    only = config.only.split(",") if config.only else config.methods
    found = []
    for method in (name for name in config.methods if name in only):
        found += [
            {"method": method, "density": density, "seed": seed, "variant": variant}
            for density in densities_of(config, method)
            for variant in variants_of(config, method, density)
            for seed in range(config.seeds)
        ]
    return found


def densities_of(config: Arms, method: str) -> tuple[float, ...]:
    """Return the fractions that a method keeps."""
    if method == "dense":
        return (1.0,)
    is_wide = method in config.wide or not config.few
    return config.densities if is_wide else config.few


def variants_of(config: Arms, method: str, density: float) -> tuple[str, ...]:
    """Return the settings of a method at a density."""
    if method == "dense":
        return ("",)
    more = tuple(variant for name, variant in config.extra if name == method)
    shuffled = (SHUFFLED,) if density in config.shuffled else ()
    return config.variants + more + shuffled


def options_of(config: Arms, method: str, variant: str) -> dict:
    """Return what `prune` is told beyond the density.

    Raises:
        ValueError: a word of the variant is unknown.
    """
    dtype = getattr(torch, config.scoring)
    options: dict = {"count_rule": "synflow"}
    rounds = dict(config.rounds)
    if method in rounds:
        options["rounds"] = rounds[method]
    if method in LABELLED:
        options |= {"batch_size": LIMIT, "dtype": dtype}
    if method == "ntk_sap":
        options |= {"repeats": config.repeats, "dtype": dtype}
    for word in variant.split():
        name, _, value = word.partition("=")
        if word in WORDS:
            options |= WORDS[word]
        elif name in VALUED and value:
            option, kind = VALUED[name]
            options[option] = kind(value)
        elif word != SHUFFLED:
            known = [*WORDS, *(f"{each}=" for each in VALUED), SHUFFLED]
            raise ValueError(f"variant: expected words of {known}, got {word!r}")
    return options


def stream(config: Arms, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; no method and no variant in it."""
    return seeds.generator(seed, "accuracy", config.data, config.net, what)


@lru_cache(maxsize=1)
def pictures(name: str, trained: int | None, tested: int | None) -> data.Dataset:
    """Return the part of a data set that is used."""
    return data.load(name).subset(train=trained, test=tested)


def initial(config: Arms, seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a seed's network before pruning, float64, and its input shape."""
    ds = pictures(config.data, config.trained, config.tested)
    options = {"width": config.width} if config.width else {}
    if config.net != "conv6":
        options["classes"] = config.classes or ds.classes
    start = stream(config, seed, "init")
    return network(config.net, start, in_shape=ds.in_shape, **options)


def scoring_batch(config: Arms, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the labelled images of a seed, float64, not balanced over classes."""
    ds = pictures(config.data, config.trained, config.tested)
    g = stream(config, seed, "batch")
    if not config.augmented:
        return data.sample(ds, config.images, g)
    index = torch.randperm(len(ds.train_y), generator=g)[: config.images]
    one = Recipe("sgd", lr=0.1, batch=config.images, steps=1, augment=True)
    _, crops = draw_epoch(config.images, one, g)
    x = crop_and_flip(ds.train_x[index], *crops)
    return data.normalise(ds, x, torch.float64), ds.train_y[index]


def mask_of(config: Arms, cell: Mapping) -> Masks:
    """Return the masks of a run; those of "dense" keep everything."""
    method, variant, seed = cell["method"], cell["variant"], cell["seed"]
    net, _ = initial(config, seed)
    if method == "dense":
        return Masks.dense(net)
    x, y = scoring_batch(config, seed)
    if method == "ntk_sap":
        x, y = x[: config.noise], y[: config.noise]
        if config.noise > len(x):  # of noise only the shape is read
            x, y = x.new_zeros(config.noise, *x.shape[1:]), None
    batch = x.to(config.device), None if y is None else y.to(config.device)
    masks = prune(
        net.to(config.device), method, density=cell["density"], batch=batch,
        progress=False, generator=stream(config, seed, "score"),
        **options_of(config, method, variant),
    ).to("cpu")  # fmt: skip
    is_shuffled = SHUFFLED in variant.split()
    return masks.shuffled(stream(config, seed, SHUFFLED)) if is_shuffled else masks


@lru_cache(maxsize=4096)
def trained(
    config: Arms, method: str, density: float, variant: str, seed: int
) -> Mapping[str, float]:
    """Prune and train; what a run measures, without comparisons."""
    cell = {"method": method, "density": density, "variant": variant, "seed": seed}
    net, in_shape = initial(config, seed)
    masks = mask_of(config, cell)
    found = {
        "kept": masks.kept, "empty": len(masks.collapsed),
        "effective": masks.effective(net, in_shape).kept / masks.kept,
    }  # fmt: skip
    return found | learned(config, net, masks, seed)


def learned(config: Arms, net: nn.Module, masks: Masks, seed: int) -> dict[str, float]:
    """Train under a mask; a run that diverges has no numbers.

    Returns:
        "accuracy" after the last step, "best" the largest of all evaluations, and the
        losses at the end.
    """
    names = {"accuracy": "test_accuracy", "best": "best_test_accuracy",
             "test_loss": "test_loss", "train_loss": "train_loss"}  # fmt: skip
    try:
        rows = fit(
            net.float(), pictures(config.data, config.trained, config.tested),
            config.recipe, masks=masks, generator=stream(config, seed, "order"),
            device=config.device, progress=False,
        )  # fmt: skip
    except Diverged:
        return dict.fromkeys(names, math.nan)
    return {name: rows[-1][column] for name, column in names.items()}


def rival_of(config: Arms, cell: Mapping) -> tuple[str, str]:
    """Return the method and variant that a run is compared with."""
    words = cell["variant"].split()
    if SHUFFLED not in words:
        return config.rival
    return cell["method"], " ".join(word for word in words if word != SHUFFLED)


def run_arm(config: Arms, cell: dict) -> list[dict]:
    """Prune and train one way, and subtract the rival of the same seed and density.

    Returns:
        One row: accuracies as fractions, "over" and "over_best" less the rival's; nan
        for "dense". "empty" counts layers without a weight, "effective" is the share
        of kept weights on a path.
    """
    place = cell["density"], cell["seed"]

    def measured(method: str, variant: str) -> Mapping[str, float]:
        return trained(config, method, place[0], variant, place[1])

    own = measured(cell["method"], cell["variant"])
    over = {"over": math.nan, "over_best": math.nan}
    if cell["method"] != "dense":
        other = measured(*rival_of(config, cell))
        over = {"over": own["accuracy"] - other["accuracy"],
                "over_best": own["best"] - other["best"]}  # fmt: skip
    return [{"step": 0, **own, **over}]
