"""VGG networks in the CIFAR form: one dense layer after a global average."""

from torch import nn

from paicore.nets import checks
from paicore.nets.modules import conv, readout, stack

# Convolutions per stage; channels double from stage to stage up to 8 times the first.
STAGES = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
    # "3xVGG16": same poolings, three times the convolutions between them.
    "vgg16x3": (6, 6, 9, 9, 9),
}
GROWTH = (1, 2, 4, 8, 8)


def vgg(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    stages: tuple[int, ...],
    batch_norm: bool,
    width: int = 64,
    activation: str = "relu",
    bias: bool = True,
) -> nn.Module:
    """Stages of padded 3x3 convolutions, a 2x2 max pool between two stages.

    Conventions: four max pools, then a global average (2x2 for a 32x32 image) and
    one Linear. Convolutions have a bias also before batch norm, as in the papers'
    code.

    Args:
        classes: Number k of outputs.
        in_shape: (c, h, w), h and w multiples of 32.
        stages: Number of convolutions in each of the five stages.
        batch_norm: Whether batch norm follows each convolution.
        width: Channels of the first stage; the others have 2, 4, 8 and 8 times that.
        activation: Name of the activation after every convolution.
        bias: Whether all layers have a bias.

    Returns:
        The network, its weights not drawn yet.

    Raises:
        ValueError: A side is no multiple of 32.

    Source: the classes of OpenLTH as used by Wang et al. (2023) and Gebhart et al.
    (2021); vgg16x3 is the "3xVGG16" of Hayou et al. (2021), Table 5 as recalled.
    """
    checks.count("width", width)
    checks.image(in_shape, 32, "a VGG net")
    if in_shape[1] % 32 or in_shape[2] % 32:
        raise ValueError(
            f"in_shape: a VGG net needs height and width that are multiples of 32, "
            f"got {in_shape}"
        )
    parts, channels = [], in_shape[0]
    for stage, (number, growth) in enumerate(zip(stages, GROWTH, strict=True)):
        if stage:
            parts.append(("pool", nn.MaxPool2d(2)))
        for _ in range(number):
            parts += conv(
                channels,
                growth * width,
                3,
                activation,
                bias=bias,
                batch_norm=batch_norm,
                padding=1,
            )
            channels = growth * width
    side = (in_shape[1] // 16, in_shape[2] // 16)
    return stack([*parts, *readout(side, channels, classes, bias)])
