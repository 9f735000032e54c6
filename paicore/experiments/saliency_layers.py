"""Layer by layer: what rounds, and the mode of batch norm in the score, keep."""

from dataclasses import dataclass
from functools import lru_cache

from paicore import Masks, data, prune
from paicore.experiments.kernels_steps import ask
from paicore.experiments.saliency_nets import (
    Setting,
    blank,
    cells,
    draws,
    network,
)
from paicore.scores import saliency_sums

LAYER_VALUES = ("weights", "kept", "effective", "signed", "shared", "again")
STEP_VALUES = ("rate", "error", "ratio", "cosine")
# Variant -> rounds, mode of batch norm.
VARIANTS = {
    "T=1 frozen": (1, "frozen"), "T=20 frozen": (20, "frozen"),
    "T=1 train": (1, "train"), "T=20 train": (20, "train"),
}  # fmt: skip


@dataclass(frozen=True)
class Layers(Setting):
    """Masks layer by layer; a row each.

    Attributes:
        repeats: Draws R a round.
    """

    methods: tuple[str, ...] = ("resnet20_narrow", "conv6")
    densities: tuple[float, ...] = (0.8**14,)
    variants: tuple[str, ...] = tuple(VARIANTS)
    samples: int = 16
    repeats: int = 5


def layer_cells(config: Layers) -> list[dict]:
    """Every run, seeds outermost, so that runs find the masks they share."""
    return sorted(cells(config), key=lambda cell: (cell["method"], cell["seed"]))


def run_layers(config: Layers, cell: dict) -> list[dict]:
    """Prune, and compare with "frozen" on the same and on other draws.

    Returns:
        One row per layer: "signed" is the dense network's signed sum over the sum of
        moduli, nan with several rounds; "effective" counts kept weights on a path,
        "shared" those that "frozen" keeps too from the same draws, "again" from
        others.
    """
    name, seed, density = cell["method"], cell["seed"], cell["density"]
    rounds, mode = VARIANTS[cell["variant"]]
    net, in_shape = network(name, draws(seed, "layers", name))
    own = masks_of(config, name, seed, density, rounds, mode, "score")
    frozen, again = (
        masks_of(config, name, seed, density, rounds, "frozen", what)
        for what in ("score", "other score")
    )
    alive, sums = own.effective(net, in_shape), {}
    if rounds == 1:
        sums = saliency_sums(
            net, Masks.dense(net), blank(in_shape, config.samples), batch_norm=mode,
            repeats=config.repeats, generator=draws(seed, "layers", name, "score"),
        ).signed  # fmt: skip
    return [
        {
            "step": k, "weights": mask.numel(), "kept": int(mask.sum()),
            "effective": int(alive[layer].sum()), "signed": share(sums.get(layer)),
            "shared": int((mask & frozen[layer]).sum()),
            "again": int((mask & again[layer]).sum()),
        }
        for k, (layer, mask) in enumerate(own.items())
    ]  # fmt: skip


def share(signed) -> float:
    """Return the modulus of a sum over the sum of moduli; nan without one."""
    if signed is None:
        return float("nan")
    return abs(float(signed.sum() / signed.abs().sum()))


@lru_cache(maxsize=16)
def masks_of(
    config: Layers, name: str, seed: int, density: float, rounds: int, mode: str,
    what: str,
) -> Masks:  # fmt: skip
    """Prune in a mode on the draws of a name; runs of one process share the result."""
    net, in_shape = network(name, draws(seed, "layers", name))
    return prune(
        net, "ntk_sap", density=density, rounds=rounds, repeats=config.repeats,
        batch=blank(in_shape, config.samples), batch_norm=mode, progress=False,
        count_rule="synflow", generator=draws(seed, "layers", name, what),
    )  # fmt: skip


@dataclass(frozen=True)
class Steps(Setting):
    """A real step of gradient descent in training mode; the methods are kernels.

    Attributes:
        rates: Step sizes, falling.
    """

    methods: tuple[str, ...] = ("train", "frozen")
    samples: int = 32
    rates: tuple[float, ...] = (1e-3, 1e-4, 1e-5)


def run_steps(config: Steps, cell: dict) -> list[dict]:
    """Predict the step by the kernel of a mode; one row per rate."""
    seed, ds = cell["seed"], data.load("digits")
    net, _ = network("conv6", draws(seed, "steps"), in_shape=ds.in_shape)
    batch = data.sample(ds, config.samples, draws(seed, "steps", "x"))
    found = ask(net, *batch, config.rates, step_mode="train", batch_norm=cell["method"])
    return [
        {"step": k, "rate": rate, **facts}
        for k, (rate, facts) in enumerate(zip(config.rates, found, strict=True))
    ]
