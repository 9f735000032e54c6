"""CIFAR ResNets of depth 6n + 2, plain and Stable."""

from torch import Tensor, nn

from paicore.nets import checks
from paicore.nets.modules import ACTIVATIONS, Add, branch_scale, readout, stack


def _conv(
    inputs: int,
    outputs: int,
    stride: int,
    bias: bool,
    batch_norm: bool,
    kernel: int = 3,
) -> list[tuple[str, nn.Module]]:
    """Return a "same" convolution and its batch norm; the bias only without one."""
    layer = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride=stride,
        padding=kernel // 2,
        bias=bias and not batch_norm,
    )
    norm = [("bn", nn.BatchNorm2d(outputs))] if batch_norm else []
    return [("conv", layer), *norm]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: phi(shortcut(x) + branch(x)).

    The branch's Scale, if any, is its last module: after the last batch norm (before
    it a factor would be normalised away) and before the addition.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        activation: str,
        bias: bool,
        batch_norm: bool,
        scale: list[tuple[str, nn.Module]],
    ):
        super().__init__()
        act, style = ACTIVATIONS[activation], (bias, batch_norm)
        self.branch = stack(
            [
                *_conv(inputs, outputs, stride, *style),
                ("act", act()),
                *_conv(outputs, outputs, 1, *style),
                *scale,
            ]
        )
        same = inputs == outputs and stride == 1
        projection = _conv(inputs, outputs, stride, *style, kernel=1)
        self.shortcut = nn.Identity() if same else stack(projection)
        self.add = Add()
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, ceil(h/stride), ceil(w/stride))."""
        return self.act(self.add(self.shortcut(x), self.branch(x)))


def _blocks(per_stage: int, width: int) -> list[tuple[int, int, int]]:
    """Return (inputs, outputs, stride) of every block, in order."""
    blocks, inputs = [], width
    for stage in range(3):
        outputs = width * 2**stage
        for block in range(per_stage):
            blocks.append((inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return blocks


def cifar_resnet(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    depth: int,
    width: int = 16,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = True,
    stable: bool = False,
    branch_factor: float | None = None,
) -> nn.Module:
    """CIFAR ResNet with three stages of `width`, 2 and 4 times `width` channels.

    Conventions: a shortcut whose shape changes is a 1x1 convolution of stride 2 with
    batch norm. `depth` = 6n + 2 counts the stem, two convolutions in each of 3n
    blocks and the readout, not the projections. Every size of image is taken.

    Args:
        classes: Number k of outputs.
        in_shape: (c, h, w).
        depth: 6n + 2.
        width: Channels of the first stage: 16, GraSP's set-up and wide_resnet20 32.
        activation: Name of the activation, also after each addition.
        bias: Whether the readout has a bias, and convolutions without batch norm.
        batch_norm: Whether batch norm follows each convolution.
        stable: Whether each branch is multiplied by 1/sqrt(3n).
        branch_factor: Any other factor of the branches.

    Returns:
        The network, its weights not drawn yet.

    Raises:
        ValueError: `depth` is not 6n + 2.

    Source: He et al. (2016), section 4.2, with projections as in OpenLTH and
    alecwangcq/GraSP models/base/resnet.py.
    """
    checks.count("width", width)
    checks.image(in_shape, 1, "a CIFAR ResNet")
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth: expected 6n + 2 (8, 14, 20, ...), got {depth}")
    style = {"activation": activation, "bias": bias, "batch_norm": batch_norm}
    stem = _conv(in_shape[0], width, 1, bias, batch_norm)
    parts = [*stem, ("act", ACTIVATIONS[activation]())]
    shapes = _blocks((depth - 2) // 6, width)
    for shape in shapes:
        scale = branch_scale(stable, branch_factor, len(shapes))
        parts.append(("block", ResidualBlock(*shape, **style, scale=scale)))
    side = ((in_shape[1] + 3) // 4, (in_shape[2] + 3) // 4)
    return stack([*parts, *readout(side, 4 * width, classes, bias)])
