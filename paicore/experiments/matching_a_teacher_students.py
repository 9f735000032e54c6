"""What notebooks 21 to 23 share: the dense teacher and its students.

The teacher is an untrained network, a student comes from Neural Tangent Transfer, and
`matching_a_teacher_rivals` has what both are compared with. Draws of one seed are
shared by all methods and all three notebooks. What takes minutes is kept under
``build/students``, named by the content of everything that goes into it.
"""

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from paicore import data, nets, seeds, transfer
from paicore.experiments import Config
from paicore.masks import Masks, prunable
from paicore.masks.container import DAMAGE
from paicore.records.places import root, write_atomic

NAME = "neural_tangent_transfer"
# Raised when the code makes something else of the same settings: what was kept before
# is then made anew. The rows in tests/expected tell, they are computed and not kept.
CODE = 1
BLOCK = 64  # images of the validation block: 32 against 32
# fmi-basel/neural-tangent-transfer nt_transfer/load_datasets.py: 0.2 % of MNIST
HELD_OUT = 120
# What an ablation takes away from a phase.
ARMS = {
    "frozen": {"update_masks": False},
    "no_kernel": {"kernel_weight": 0.0},
    "no_target": {"target_weight": 0.0},
}


@dataclass(frozen=True)
class Phase:
    """How a student is matched; the names are those of the library's keywords.

    The defaults are the released ones for the MLP (C, notebooks/ntt_demo_mlp.ipynb).
    """

    steps: int = 18_720
    batch: int = 64
    lr: float = 5e-4
    frequency: int = 100
    kernel_weight: float = 1e-3
    target_weight: float = 1.0
    l2: float = 1e-4
    l2_over_density: bool = True
    update_masks: bool = True
    first_masks: str = "magnitude"
    moments: str = "keep"
    block: str = "cross"
    normalise: str = "raw"
    estimator: str = "exact"
    probes: int = 4
    optimizer: str = "adam"
    batch_norm: str | None = None
    log_every: int = 100


@dataclass(frozen=True)
class Setting(Config):
    """A teacher, the images, the phase that matches it, and what is compared.

    Attributes:
        data: Name of the data set; the labelled one.
        enlarge: Factor on the sides of its images, so that digits fit a LeNet-5.
        net: Name of the network, truncated Glorot weights, biases N(0, 0.01^2).
        width: Of the network; None for its own.
        batch_norm: Whether the network has batch norm; None for its own choice.
        matched: Number of training images of the transfer; None for all but the last
            `HELD_OUT`, whose first `BLOCK` make the validation block.
        trained: Number of training images of the supervised phase; None for all.
        methods: See `matching_a_teacher_rivals`.
        densities: Fractions kept.
        variants: See the experiment; ("",) for none.
        few: Pairs (method, number of seeds) for methods that have fewer seeds.
        scope: "layerwise" or "global", for students and rivals.
        first_only: Whether only the first layer is pruned.
        count_rule: One rule for all methods, so that they keep equally many.
        scored: Images of SNIP and logit-SNIP. C: the first 100.
        phase: How students are matched.
        masked: The same for "ntt_masked" where that differs; None where it does not.
        keep: Whether students and curves are kept under ``build/students``.
    """

    data: str = "digits"
    enlarge: int = 1
    net: str = "mlp"
    width: int | tuple[int, ...] | None = None
    batch_norm: bool | None = None
    matched: int | None = None
    trained: int | None = None
    methods: tuple[str, ...] = ()
    densities: tuple[float, ...] = (0.03,)
    variants: tuple[str, ...] = ("",)
    few: tuple[tuple[str, int], ...] = ()
    scope: str = "layerwise"
    first_only: bool = False
    count_rule: str = "exact"
    scored: int = 100
    phase: Phase = field(default_factory=Phase)
    masked: Phase | None = None
    keep: bool = False


class Student(NamedTuple):
    """What is left of a transfer: masks, the unmasked student, and its log."""

    masks: Masks
    theta: dict[str, Tensor]
    log: list[dict]


def cells(config: Setting) -> list[dict]:
    """Every method at every density in every variant; dense once."""
    few, cells = dict(config.few), []
    for method, variant in product(config.methods, config.variants):
        densities = (1.0,) if method == "dense" else config.densities
        if config.only and method not in config.only.split(","):
            continue
        cells += [
            {"method": method, "density": density, "seed": seed, "variant": variant}
            for density in densities
            for seed in range(min(config.seeds, few.get(method, config.seeds)))
        ]
    return cells


def draws(config: Setting, seed: int, what: str) -> torch.Generator:
    """Return the generator of one kind of draw; the method is left out on purpose."""
    return seeds.generator(seed, NAME, config.data, config.net, what)


@lru_cache(maxsize=3)
def load(name: str, enlarge: int = 1) -> data.Dataset:
    """Load a data set once per process, each pixel repeated `enlarge` times."""
    ds = data.load(name)
    if enlarge == 1:
        return ds
    pixel = torch.ones(enlarge, enlarge, dtype=torch.uint8)
    grown = {k: torch.kron(getattr(ds, k), pixel) for k in ("train_x", "test_x")}
    return replace(ds, **grown)


@lru_cache(maxsize=2)
def images(name: str, enlarge: int, matched: int | None) -> tuple[Tensor, Tensor]:
    """Return inputs of the transfer (n, c, h, w) and its validation block, float32."""
    ds = load(name, enlarge)
    last = len(ds.train_x) - HELD_OUT
    x = data.normalise(ds, ds.train_x[: min(matched or last, last)])
    return x, data.normalise(ds, ds.train_x[last : last + BLOCK])


def teacher(config: Setting, seed: int, classes: int | None = None) -> nn.Module:
    """Return the dense network at its initialisation, float32."""
    ds = load(config.data, config.enlarge)
    options = {} if config.batch_norm is None else {"batch_norm": config.batch_norm}
    return nets.build(
        config.net, classes=classes or ds.classes, in_shape=ds.in_shape,
        width=config.width, init="glorot_truncated", bias_init="normal",
        generator=draws(config, seed, "init"), **options,
    )  # fmt: skip


def tangent_of(method: str) -> str:
    """Return the tangent space that a method's student is matched in."""
    return "ambient" if "ambient" in method else "masked"


def phase_of(config: Setting, method: str) -> Phase:
    """Return how a method's student is matched: "ntt_ambient_frozen" has an arm."""
    is_masked = tangent_of(method) == "masked" and config.masked
    phase = config.masked if is_masked else config.phase
    changes = [ARMS[arm] for arm in ARMS if method.endswith(f"_{arm}")]
    return replace(phase, **changes[0]) if changes else phase


def student(
    config: Setting, net: nn.Module, cell: Mapping, *,
    inputs: tuple[Tensor, Tensor] | None = None,
) -> Student:  # fmt: skip
    """Match a teacher, or fetch what was matched before.

    Args:
        config: The setting.
        net: The teacher; left untouched.
        cell: Method, which holds the name of the tangent space, density, seed.
        inputs: Pair (images, validation block); None for the config's.

    Returns:
        The student, on the CPU.
    """
    x, block = inputs or images(config.data, config.enlarge, config.matched)
    options = asdict(phase_of(config, cell["method"])) | {
        "density": cell["density"],
        "tangent": tangent_of(cell["method"]),
        "count_rule": config.count_rule,
        "scope": config.scope,
    }
    if config.first_only:
        options["scope"] = dict.fromkeys(list(prunable(net))[1:], 1.0)
    return _unpacked(
        kept(
            config.keep,
            ("student", options, cell["seed"], config.data, config.net),
            (x, block, *net.parameters()),
            lambda: _packed(_transferred(config, net, cell["seed"], x, block, options)),
        )
    )


def _transferred(config, net, seed, x, block, options) -> transfer.Transfer:
    """Run the transfer on the config's device."""
    device = config.device
    return transfer.neural_tangent_transfer(
        net.to(device), x.to(device), validation=block.to(device), progress=False,
        generator=draws(config, seed, "transfer"), **options,
    )  # fmt: skip


def _packed(found: transfer.Transfer) -> dict[str, np.ndarray]:
    """Return a student as named arrays."""
    arrays = {f"mask/{n}": each.cpu().numpy() for n, each in found.masks.items()}
    arrays |= {f"theta/{n}": t.detach().cpu().numpy() for n, t in found.theta.items()}
    columns = {f"log/{n}": np.array([r[n] for r in found.log]) for n in found.log[0]}
    return arrays | columns


def _unpacked(arrays: Mapping[str, np.ndarray]) -> Student:
    """Return a student from named arrays."""
    parts = {"mask": {}, "theta": {}, "log": {}}
    for name, array in arrays.items():
        kind, _, name = name.partition("/")
        parts[kind][name] = array.tolist() if kind == "log" else torch.as_tensor(array)
    names, columns = parts["log"].keys(), parts["log"].values()
    log = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return Student(Masks(parts["mask"]), parts["theta"], log)


def kept(
    is_kept: bool,
    names: tuple,
    tensors: tuple,
    compute: Callable[[], dict],
    is_whole: Callable[[dict], bool] = bool,
) -> dict[str, np.ndarray]:
    """Compute named arrays, or read them if the same was computed before.

    Conventions: what was kept is found by settings, values and `CODE`, the version of
    what computes them; ``make clean`` forgets it. A damaged file is made anew.

    Args:
        is_kept: Whether to read and write at all.
        names: What is computed, with all its settings; JSON-like.
        tensors: All that goes in.
        compute: Returns the arrays.
        is_whole: Whether arrays that were read are what `compute` returns; a file with
            others is made anew.

    Returns:
        Name to array.
    """
    if not is_kept:
        return compute()
    digest = hashlib.sha256(repr((CODE, names)).encode())
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy())
    path = root() / "build/students" / f"{names[0]}-{digest.hexdigest()[:20]}.npz"
    # opened here, since NumPy leaves a damaged file open
    with (
        contextlib.suppress(*DAMAGE),
        open(path, "rb") as raw,
        np.load(raw, allow_pickle=False) as file,
    ):
        found = dict(file)
        if is_whole(found):
            return found
    content = io.BytesIO()
    np.savez_compressed(content, **compute())
    write_atomic(path, content.getvalue())
    content.seek(0)
    with np.load(content, allow_pickle=False) as file:
        return dict(file)
