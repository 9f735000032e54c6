"""Fully connected networks: plain, and with residual blocks."""

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from paicore.nets import checks
from paicore.nets.modules import (
    ACTIVATIONS,
    Add,
    Flatten,
    branch_scale,
    dense,
    stack,
)


def _hidden(width: int | tuple[int, ...], depth: int | None) -> tuple[int, ...]:
    """Return the hidden widths that `width` and `depth` (default 3) stand for.

    Raises:
        ValueError: The two contradict each other.
    """
    if not isinstance(width, (tuple, list)):
        checks.count("width", width)
        return (width,) * ((3 if depth is None else depth) - 1)
    for size in width:
        checks.count("width", size)
    if depth not in (None, len(width) + 1):
        raise ValueError(
            f"depth: expected {len(width) + 1} (one more than the hidden widths "
            f"{tuple(width)}), got {depth}"
        )
    return tuple(width)


def mlp(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    width: int | tuple[int, ...] = 100,
    depth: int | None = None,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = False,
) -> nn.Module:
    """Flatten, then `depth` Linear layers with an activation between them.

    Args:
        classes: Number k of outputs.
        in_shape: Any shape; the batch is flattened first.
        width: Hidden width, or a tuple with one width per hidden layer.
        depth: Number of Linear layers, the readout included; 3 unless `width` is a
            tuple, which settles it.
        activation: Name of the activation of every hidden layer.
        bias: Whether Linear layers have a bias.
        batch_norm: Whether batch norm stands between Linear and activation.

    Returns:
        The network, its weights not drawn yet.

    Source: "FC-N" of Gebhart et al. (2021) is depth 6, width N and, in their code,
    init="torch"; LeNet-300-100 is width (300, 100).
    """
    sizes = (prod(in_shape), *_hidden(width, depth))
    parts = [("flatten", Flatten())]
    for inputs, outputs in pairwise(sizes):
        parts += dense(inputs, outputs, activation, bias, batch_norm)
    return stack([*parts, ("fc", nn.Linear(sizes[-1], classes, bias=bias))])


class DenseBlock(nn.Module):
    """One residual block: y + factor * (W phi(y) + b)."""

    def __init__(
        self,
        width: int,
        activation: str,
        bias: bool,
        scale: list[tuple[str, nn.Module]],
    ):
        super().__init__()
        act = ("act", ACTIVATIONS[activation]())
        layer = ("fc", nn.Linear(width, width, bias=bias))
        self.branch = stack([act, layer, *scale])
        self.add = Add()

    def forward(self, y: Tensor) -> Tensor:
        """Map (n, width) to (n, width)."""
        return self.add(y, self.branch(y))


def residual_mlp(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    width: int = 100,
    depth: int = 10,
    activation: str = "relu",
    bias: bool = True,
    stable: bool = False,
    branch_factor: float | None = None,
) -> nn.Module:
    r"""Residual MLP of mean-field theory: the activation acts on the previous layer.

    .. math:: y^0 = W^0 x, \quad y^l = y^{l-1} + c \, W^l \phi(y^{l-1}), \quad
        f = W^{L+1} \phi(y^L)

    Conventions: `depth` counts residual blocks L, as the theory does; there are
    L + 2 Linear layers. c is 1, with `stable` 1/sqrt(L), or `branch_factor`.

    Args:
        classes: Number k of outputs.
        in_shape: Any shape; the batch is flattened first.
        width: Width of every block.
        depth: Number L of blocks.
        activation: Name of phi.
        bias: Whether Linear layers have a bias.
        stable: Whether each branch is multiplied by 1/sqrt(L).
        branch_factor: Any other factor c.

    Returns:
        The network, its weights not drawn yet.

    Source: Hayou et al. (2021), Theorem 2 and Proposition 2 (as recalled).
    """
    checks.count("width", width)
    parts = [("flatten", Flatten()), ("fc", nn.Linear(prod(in_shape), width, bias))]
    for _ in range(depth):
        scale = branch_scale(stable, branch_factor, depth)
        parts.append(("block", DenseBlock(width, activation, bias, scale)))
    parts.append(("act", ACTIVATIONS[activation]()))
    return stack([*parts, ("fc", nn.Linear(width, classes, bias=bias))])
