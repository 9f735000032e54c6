"""The plain convolutional network of mean-field theory."""

from itertools import pairwise

from torch import nn

from paicore.nets import checks
from paicore.nets.modules import Flatten, conv, stack
from paicore.nets.modules import readout as averaged

READOUTS = ("average", "flatten")


def cnn(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    width: int = 16,
    depth: int = 4,
    kernel: int = 3,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = False,
    readout: str = "average",
) -> nn.Module:
    """Stack `depth` circular convolutions and read out.

    Conventions: stride 1 and circular padding keep the map at (h, w) and make all
    positions alike, which the theory needs (zero padding lowers the second moment
    at the border). No pooling before the readout. One Linear layer reads the average
    over all positions, which is blind to a cyclic shift of the image, or, with
    readout="flatten", every position by itself.

    Args:
        classes: Number k of outputs.
        in_shape: (c, h, w), sides at least ``kernel // 2``.
        width: Channels of every convolution.
        depth: Number of convolutions; the readout Linear comes on top.
        kernel: Side of the kernels, odd.
        activation: Name of the activation after every convolution.
        bias: Whether all layers have a bias.
        batch_norm: Whether batch norm stands between convolution and activation.
        readout: One of `READOUTS`.

    Returns:
        The network, its weights not drawn yet.

    Raises:
        ValueError: `kernel` is even, or `readout` unknown.

    Source: Hayou et al. (2021), section on CNNs, in two dimensions.
    """
    checks.count("width", width)
    checks.count("kernel", kernel)
    if kernel % 2 == 0:
        raise ValueError(f"kernel: expected an odd int, got {kernel}")
    if readout not in READOUTS:
        raise ValueError(f"readout: expected one of {READOUTS}, got {readout!r}")
    checks.image(in_shape, max(1, kernel // 2), "a circular convolution")
    channels = (in_shape[0], *(width,) * depth)
    parts = []
    for inputs, outputs in pairwise(channels):
        parts += conv(
            inputs,
            outputs,
            kernel,
            activation,
            bias=bias,
            batch_norm=batch_norm,
            padding=kernel // 2,
            padding_mode="circular",
        )
    if readout == "flatten":
        entries = width * in_shape[1] * in_shape[2]
        ends = [("flatten", Flatten()), ("fc", nn.Linear(entries, classes, bias=bias))]
    else:
        ends = averaged(in_shape[1:], width, classes, bias)
    return stack([*parts, *ends])
