"""Small convolutional networks with dense heads: LeNet-5 and the Conv family.

Convention: `batch_norm` puts batch norm behind convolutions, never behind dense layers.
"""

from torch import nn

from paicore.nets import checks
from paicore.nets.modules import Flatten, conv, dense, stack

# NTT's Conv-4: fractions dropped after each pool and after the first dense layer.
CONV4_DROPOUT = (0.25, 0.25, 0.5)


def _valid(side: int, shrink: int) -> int:
    """Return the side after two stages that each lose `shrink`, then halve."""
    return ((side - shrink) // 2 - shrink) // 2


def lenet5(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    width: int = 20,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = False,
) -> nn.Module:
    """Caffe's LeNet-5 with an activation after every hidden layer.

    Convolution 5x5x20, pool, 5x5x50, pool, dense 500, readout; unpadded, max pools
    2x2, so 28x28 gives 800 features. `width` is the first layer's channels; the
    others keep their ratio 20 : 50 : 500, rounded down. Sides at least 16.

    Returns:
        The network, its weights not drawn yet.

    Source: Liu and Zenke (2020), nt_transfer/nn_models.py of their code.
    """
    checks.count("width", width)
    checks.image(in_shape, 16, "an unpadded LeNet-5")
    channels, second, hidden = in_shape[0], width * 5 // 2, width * 25
    options = {"bias": bias, "batch_norm": batch_norm}
    features = second * _valid(in_shape[1], 4) * _valid(in_shape[2], 4)
    return stack(
        [
            *conv(channels, width, 5, activation, **options),
            ("pool", nn.MaxPool2d(2)),
            *conv(width, second, 5, activation, **options),
            ("pool", nn.MaxPool2d(2)),
            ("flatten", Flatten()),
            *dense(features, hidden, activation, bias),
            ("fc", nn.Linear(hidden, classes, bias=bias)),
        ]
    )


def conv_net(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    stages: int,
    width: int = 64,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = False,
) -> nn.Module:
    """Conv-2, Conv-4 or Conv-6: stages of two padded 3x3 convolutions and a pool.

    Channels are `width` times 1, 2, 4 by stage; two dense layers of 4 * `width`
    follow, then the readout. Max pools are 2x2 and round down, so sides must be at
    least 2 to the number of stages.

    Returns:
        The network, its weights not drawn yet.

    Source: Frankle and Carbin (2019), Figure 2, as recalled.
    """
    checks.count("width", width)
    checks.image(in_shape, 2**stages, f"a net with {stages} poolings")
    parts, channels = [], in_shape[0]
    options = {"bias": bias, "batch_norm": batch_norm, "padding": 1}
    for stage in range(stages):
        outputs = width * 2**stage
        parts += conv(channels, outputs, 3, activation, **options)
        parts += conv(outputs, outputs, 3, activation, **options)
        parts.append(("pool", nn.MaxPool2d(2)))
        channels = outputs
    features = channels * (in_shape[1] >> stages) * (in_shape[2] >> stages)
    parts.append(("flatten", Flatten()))
    parts += dense(features, 4 * width, activation, bias)
    parts += dense(4 * width, 4 * width, activation, bias)
    return stack([*parts, ("fc", nn.Linear(4 * width, classes, bias=bias))])


def _dropped(parts: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Insert dropout after each pool and between the dense layer and its activation."""
    rates, out = iter(CONV4_DROPOUT), []
    for kind, module in parts:
        out.append((kind, module))
        if kind in ("pool", "fc"):
            out.append(("dropout", nn.Dropout(next(rates))))
    return out


def conv4_valid(
    classes: int,
    in_shape: tuple[int, ...],
    *,
    width: int = 64,
    activation: str = "relu",
    bias: bool = True,
    batch_norm: bool = False,
    dropout: bool = False,
) -> nn.Module:
    """Neural Tangent Transfer's Conv-4: unpadded, one dense layer of 8 * `width`.

    Channels 64, 64, pool, 128, 128, pool at the default width; 32x32 gives 3,200
    features. Sides at least 16. `dropout` drops 0.25 after each pool and 0.5 between
    the dense layer and its activation; like every Dropout of PyTorch it draws from
    the global generator while training.

    Returns:
        The network, its weights not drawn yet.

    Source: Liu and Zenke (2020), nt_transfer/nn_models.py of their code.
    """
    checks.count("width", width)
    checks.image(in_shape, 16, "an unpadded Conv-4")
    options = {"bias": bias, "batch_norm": batch_norm}
    features = 2 * width * _valid(in_shape[1], 4) * _valid(in_shape[2], 4)
    parts = [
        *conv(in_shape[0], width, 3, activation, **options),
        *conv(width, width, 3, activation, **options),
        ("pool", nn.MaxPool2d(2)),
        *conv(width, 2 * width, 3, activation, **options),
        *conv(2 * width, 2 * width, 3, activation, **options),
        ("pool", nn.MaxPool2d(2)),
        ("flatten", Flatten()),
        *dense(features, 8 * width, activation, bias),
    ]
    parts = _dropped(parts) if dropout else parts
    return stack([*parts, ("fc", nn.Linear(8 * width, classes, bias=bias))])
