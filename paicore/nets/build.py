"""The one way to a network: a name, a shape, options and a generator."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import torch
from torch import nn

from paicore.nets import checks
from paicore.nets.external import torchvision_resnet
from paicore.nets.initialise import initialise_
from paicore.nets.lenet import conv4_valid, conv_net, lenet5
from paicore.nets.mlp import mlp, residual_mlp
from paicore.nets.plain import cnn
from paicore.nets.resnet import cifar_resnet
from paicore.nets.vgg import STAGES, vgg


@dataclass(frozen=True)
class Entry:
    """What a name stands for.

    Attributes:
        function: (classes, in_shape, *, options) to a network without weights.
        fixed: Options that the name settles and a caller cannot change.
        defaults: Options that the name only presets.
    """

    function: Callable[..., nn.Module]
    fixed: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Names of the options that a caller may set."""
        parameters = inspect.signature(self.function).parameters.values()
        names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        return [name for name in names if name not in self.fixed]


NETS: dict[str, Entry] = {
    "mlp": Entry(mlp),
    "lenet_300_100": Entry(mlp, {"width": (300, 100), "depth": 3}),
    **{
        f"fc_{n}": Entry(mlp, {"width": n, "depth": 6})
        for n in (100, 500, 1000, 2000, 5000)
    },
    "residual_mlp": Entry(residual_mlp),
    "cnn": Entry(cnn),
    "lenet5": Entry(lenet5),
    **{f"conv{2 * n}": Entry(conv_net, {"stages": n}) for n in (1, 2, 3)},
    "conv4_valid": Entry(conv4_valid),
    **{k: Entry(vgg, {"stages": v, "batch_norm": False}) for k, v in STAGES.items()},
    **{
        f"{k}_bn": Entry(vgg, {"stages": v, "batch_norm": True})
        for k, v in STAGES.items()
    },
    "resnet": Entry(cifar_resnet, defaults={"depth": 20}),
    **{
        f"resnet{n}": Entry(cifar_resnet, {"depth": n})
        for n in (20, 32, 50, 56, 104, 110)
    },
    "wide_resnet20": Entry(cifar_resnet, {"depth": 20}, {"width": 32}),
    **{
        f"torchvision_resnet{n}": Entry(torchvision_resnet, {"model": f"resnet{n}"})
        for n in (18, 50)
    },
}


def names() -> list[str]:
    """Return the names that `build` knows."""
    return list(NETS)


def _entry(name: str) -> Entry:
    """Return the entry of `name`, or say which names are close.

    Raises:
        ValueError: The name is not known.
    """
    if name in names():
        return NETS[name]
    close = get_close_matches(str(name), NETS, n=5) or names()
    raise ValueError(
        f"name: no network is called {name!r}; did you mean {', '.join(close)}?"
    )


def _check_options(name: str, entry: Entry, given: Mapping[str, object]) -> None:
    """Refuse options that the network does not take, and values of a wrong kind.

    Raises:
        ValueError: An option is not taken.
    """
    for option in given:
        if option not in entry.options:
            takes = ", ".join(entry.options) or "no options"
            raise ValueError(
                f"{option}: {name} does not take this option; it takes {takes}"
            )
    if "depth" in given:
        checks.count("depth", given["depth"])
    checks.flags(given)
    checks.activation(given)


def build(
    name: str,
    *,
    classes: int = 10,
    in_shape: tuple[int, ...],
    generator: torch.Generator,
    width: int | tuple[int, ...] | None = None,
    depth: int | None = None,
    init: str | tuple = "he",
    bias_init: str | None = None,
    dtype: torch.dtype = torch.float32,
    **options: object,
) -> nn.Module:
    """Build a network by name with all weights drawn from `generator`.

    Conventions: built without memory on the meta device, then filled, so that no
    constructor draws from the global generator. ValueError or TypeError name what
    does not fit, before anything is drawn from `generator`. The same seed gives the
    same weights whatever the activation, biases, batch norm, dropout, branch factor
    or dtype.

    Args:
        name: One of `names()`.
        classes: Number k of outputs.
        in_shape: Shape of one sample, (c, h, w); MLPs take any shape.
        generator: Source of all draws, on the CPU.
        width: Hidden width, or channels of the first layer; the others keep their
            ratio to it. None for the network's own. A tuple for "mlp" only.
        depth: For "mlp" the number of Linear layers, for "cnn" of convolutions, for
            "residual_mlp" of residual blocks, for "resnet" 6n + 2.
        init: "he" (normal, 2/fan_in), ("he", "fan_out"), "glorot" (normal),
            "glorot_truncated" (cut off at two, same variance), "lecun" (1/fan_in),
            "orthogonal", "torch" (uniform +-1/sqrt(fan_in)), or ("gaussian", sigma_w,
            sigma_b): weights N(0, sigma_w^2 / fan_in), biases N(0, sigma_b^2).
        bias_init: "zero", "torch" (uniform +-1/sqrt(fan_in)) or "normal"
            (N(0, 0.01^2)). None: "zero", but "torch" goes with init="torch" and
            sigma_b with "gaussian", where no other value is taken.
        dtype: Floating type; draws are made in float64 and cast.
        **options: Of our own nets: `activation` ("relu", "leaky_relu", "tanh",
            "elu", "gelu", "identity"), `bias`; where they apply `batch_norm`,
            `stable`, `branch_factor`, `dropout`, `kernel`.

    Returns:
        Network on the CPU, in training mode, mapping (n, *in_shape) to (n, k).

    Accuracy: bitwise equal for one seed and PyTorch release; "orthogonal" up to
    rounding between machines, because it runs through a QR factorisation.
    """
    entry = _entry(name)
    given = {"width": width, "depth": depth}
    given = {k: v for k, v in given.items() if v is not None} | options
    _check_options(name, entry, given)
    checks.count("classes", classes)
    checks.shape(in_shape)
    checks.generator(generator)
    checks.dtype(dtype)
    settled = {**entry.defaults, **given, **entry.fixed}
    with torch.device("meta"):
        net = entry.function(classes, in_shape, **settled)
    net = net.to(dtype).to_empty(device="cpu")
    initialise_(net, init=init, bias_init=bias_init, generator=generator)
    return net
