"""The modules that PyTorch lacks as modules, and the parts that all nets share."""

from collections import Counter

from torch import Tensor, nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
}


class Flatten(nn.Module):
    """Map (n, ...) to (n, product of the rest)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with all but the first dimension flattened."""
        return x.flatten(1)  # (n, features)


class Add(nn.Module):
    """The sum of two tensors of one shape: where a shortcut meets its branch."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return ``a + b``."""
        return a + b


class Scale(nn.Module):
    """Multiplication by a constant that is neither trained nor pruned.

    Attributes:
        factor: The constant, a Python float.
    """

    def __init__(self, factor: float):
        super().__init__()
        self.factor = float(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``factor * x``."""
        return self.factor * x

    def extra_repr(self) -> str:
        """Show the factor in ``print(net)``."""
        return f"factor={self.factor:.6g}"


def stack(parts: list[tuple[str, nn.Module]]) -> nn.Sequential:
    """Chain (kind, module) pairs, named by kind and running number: conv1, act1."""
    net, seen = nn.Sequential(), Counter()
    for kind, module in parts:
        seen[kind] += 1
        net.add_module(f"{kind}{seen[kind]}", module)
    return net


def dense(
    inputs: int, outputs: int, activation: str, bias: bool, batch_norm: bool = False
) -> list[tuple[str, nn.Module]]:
    """Return Linear, batch norm if wanted, activation."""
    parts = [("fc", nn.Linear(inputs, outputs, bias=bias))]
    if batch_norm:
        parts.append(("bn", nn.BatchNorm1d(outputs)))
    return [*parts, ("act", ACTIVATIONS[activation]())]


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    activation: str,
    *,
    bias: bool,
    batch_norm: bool = False,
    padding: int = 0,
    padding_mode: str = "zeros",
) -> list[tuple[str, nn.Module]]:
    """Return a convolution of stride 1, batch norm if wanted, activation."""
    layer = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        padding=padding,
        padding_mode=padding_mode,
        bias=bias,
    )
    parts = [("conv", layer)]
    if batch_norm:
        parts.append(("bn", nn.BatchNorm2d(outputs)))
    return [*parts, ("act", ACTIVATIONS[activation]())]


def readout(
    side: tuple[int, int], channels: int, classes: int, bias: bool
) -> list[tuple[str, nn.Module]]:
    """Return the global average over the map (h, w), then one Linear.

    The kernel is written out rather than adaptive, so that an engine reads the
    constant 1/(h w) of every edge from the module.
    """
    return [
        ("average", nn.AvgPool2d(side)),
        ("flatten", Flatten()),
        ("fc", nn.Linear(channels, classes, bias=bias)),
    ]


def branch_scale(
    stable: bool, branch_factor: float | None, blocks: int
) -> list[tuple[str, nn.Module]]:
    """Return the Scale that ends a residual branch, or nothing for a plain net.

    Conventions: `stable` means 1/sqrt(L), L the number of residual blocks of the
    whole network, the same in every stage. `branch_factor` sets any other number.

    Raises:
        ValueError: Both are given, or the factor is no finite number.

    Source: Hayou et al. (2021), Stable ResNet; L and the place as in naver/force
    experiments/models.py.
    """
    if branch_factor is None:
        return [("scale", Scale(blocks**-0.5))] if stable else []
    if stable:
        raise ValueError("branch_factor: give it or stable=True, not both")
    number = isinstance(branch_factor, (int, float))
    if (
        not number
        or isinstance(branch_factor, bool)
        or not -1e308 < branch_factor < 1e308
    ):
        raise ValueError(f"branch_factor: expected a number, got {branch_factor!r}")
    return [("scale", Scale(branch_factor))]
