"""Networks, images, masks and kernels of notebook 42, each kept once it is made.

Draws of one seed are shared by all methods, conventions and experiments: the weights,
the 100 images of which a kernel takes the first n, and the labelled scoring batch.
Methods have the settings of the reference, section 2.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from paicore import Masks, data, nets, prune, seeds
from paicore.experiments import Config
from paicore.experiments.matching_a_teacher_students import kept
from paicore.experiments.spectra_measures import matrix
from paicore.kernels import ntk

NAME = "spectra"
DENSITY = 0.262144  # 0.8^6, printed as 73.80 % sparse
DRAWN = 100  # images drawn per seed
SHUFFLED = "_shuffled"  # suffix of a mask that is permuted inside its layers
BYTES = 4 << 30  # so that the rows of 1,000 logits are computed once
# Kernel's images, batch norm, and which parameters, by variant.
CONVENTIONS = {
    "train": ("images", "train", "prunable"),
    "frozen": ("images", "frozen", "prunable"),
    "eval": ("images", "eval", "prunable"),
    "noise frozen": ("noise", "frozen", "prunable"),
    "trainable": ("images", "train", "trainable"),
}
# SynFlow in float64, by its own default; magnitude and random need no precision.
IN_PRECISION = ("snip", "iterative_snip", "grasp", "ntk_sap")


@dataclass(frozen=True)
class Setting(Config):
    """What is pruned, how, and which kernel is taken of it.

    Attributes:
        data: Name of the data set.
        net: Name of the network, He weights.
        width: Of the network; None for its own.
        methods: "dense", scores, and scores with "_shuffled".
        densities: Fractions kept.
        variants: See `CONVENTIONS`.
        samples: Images n of the kernel.
        scored: Labelled images of SNIP and GraSP.
        noise: Inputs B of a draw of NTK-SAP.
        repeats: Draws R of a round of NTK-SAP.
        rounds: Rounds of the scores that have several.
        dtype: Of kernels, and of scores but for SynFlow; eigenvalues are in float64.
        shares: Which eigenvalues are recorded, as shares of their number.
        keep: Whether masks and kernels are kept under ``build``.
    """

    data: str = "cifar10"
    net: str = "resnet20"
    width: int | None = None
    methods: tuple[str, ...] = ("dense",)
    densities: tuple[float, ...] = (DENSITY,)
    variants: tuple[str, ...] = ("train",)
    samples: int = 30
    scored: int = 100
    noise: int = 100
    repeats: int = 5
    rounds: tuple[tuple[str, int], ...] = (
        ("ntk_sap", 20), ("iterative_snip", 20), ("synflow", 100)
    )  # fmt: skip
    dtype: str = "float32"
    shares: tuple[float, ...] = (0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.98, 1)
    keep: bool = True


def cells(config: Setting) -> list[dict]:
    """Every method at every density in every variant; dense once."""
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method in config.methods
        if not config.only or method in config.only.split(",")
        for density in ((1.0,) if method == "dense" else config.densities)
        for variant in config.variants
        for seed in range(config.seeds)
    ]


def draws(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of one kind of draw."""
    return seeds.generator(seed, NAME, *names)


@lru_cache(maxsize=1)
def load(name: str) -> data.Dataset:
    """Load a data set once per process."""
    return data.load(name)


def network(config: Setting, seed: int) -> nn.Module:
    """Return the dense network at its initialisation."""
    ds = load(config.data)
    return nets.build(
        config.net, classes=ds.classes, in_shape=ds.in_shape, width=config.width,
        generator=draws(seed, config.net, "init"),
    )  # fmt: skip


def inputs(config: Setting, seed: int, kind: str) -> Tensor:
    """Return what the kernel is taken on, "images" or normal "noise"."""
    ds = load(config.data)
    if kind == "noise":
        return data.noise(config.samples, ds.in_shape, draws(seed, config.data, kind))
    x, _ = data.sample(ds, DRAWN, draws(seed, config.data, kind))
    return x[: config.samples]


def masks_of(config: Setting, net: nn.Module, cell: Mapping) -> Masks:
    """Prune a network by a method, or fetch what was pruned before."""
    method, _, is_shuffled = cell["method"].partition(SHUFFLED)
    is_shuffled = cell["method"].endswith(SHUFFLED)
    if method == "dense":
        return Masks.dense(net)
    seed, density = cell["seed"], cell["density"]
    ds = load(config.data)
    count = config.noise if method == "ntk_sap" else config.scored
    batch = data.sample(ds, count, draws(seed, config.data, "batch"))
    options = options_of(config, method)
    found = kept(
        config.keep,
        ("mask", method, density, sorted(options.items())),
        (*batch, *net.parameters()),
        lambda: _packed(_pruned(net, method, density, batch, seed, options)),
    )
    whole = Masks({name: torch.as_tensor(mask) for name, mask in found.items()})
    return whole.shuffled(draws(seed, "shuffle", method)) if is_shuffled else whole


def options_of(config: Setting, method: str) -> dict:
    """Return what a score is told beside its defaults."""
    options = {"count_rule": "synflow"}
    rounds = dict(config.rounds)
    if method in rounds:
        options["rounds"] = rounds[method]
    if method in IN_PRECISION:
        options["dtype"] = config.dtype
    if method == "ntk_sap":
        options["repeats"] = config.repeats
    return options


def _pruned(net, method: str, density: float, batch, seed: int, options) -> Masks:
    """Run a score."""
    told = dict(options)
    if "dtype" in told:
        told["dtype"] = getattr(torch, told["dtype"])
    return prune(
        net, method, density=density, batch=batch, progress=False,
        generator=draws(seed, "score", method), **told,
    )  # fmt: skip


def _packed(found: Masks) -> dict[str, np.ndarray]:
    """Return masks as named arrays."""
    return {name: mask.numpy() for name, mask in found.items()}


def kernel_of(
    config: Setting, cell: Mapping, *, variant: str = "", dtype: str = ""
) -> tuple[Tensor, Masks]:
    """Return the kernel matrix (n k, n k) of a cell, float64, and its masks.

    Args:
        config: The setting.
        cell: Method, density, seed, variant.
        variant: A convention other than the cell's.
        dtype: A precision other than the config's.

    Returns:
        The kernel, made or fetched, and the masks.
    """
    net = network(config, cell["seed"])
    masks = masks_of(config, net, cell)
    kind, batch_norm, params = CONVENTIONS[variant or cell["variant"]]
    x, dtype = inputs(config, cell["seed"], kind), dtype or config.dtype
    options = {"batch_norm": batch_norm, "params": params}

    def compute() -> dict[str, np.ndarray]:
        found = ntk.gram(
            net, x, masks=masks, dtype=getattr(torch, dtype), max_bytes=BYTES,
            progress=False, **options,
        )  # fmt: skip
        return {"kernel": found.numpy()}

    names = "kernel", config.net, dtype, sorted(options.items())
    tensors = x, *net.parameters(), *masks.values()
    found = kept(config.keep, names, tensors, compute)
    return matrix(torch.as_tensor(found["kernel"])), masks


def dense_cell(cell: Mapping) -> dict:
    """Return the cell of the dense network of the same draw."""
    return {**cell, "method": "dense", "density": 1.0}
