"""Networks of torchvision, re-initialised like ours."""

import torch
from torch import nn

from paicore.nets import checks


def torchvision_resnet(
    classes: int, in_shape: tuple[int, ...], *, model: str
) -> nn.Module:
    """ImageNet ResNet of torchvision: 7x7 stem of stride 2, max pool, four stages.

    Args:
        classes: Number k of outputs.
        in_shape: (3, h, w), any size.
        model: Name of torchvision's function.

    Returns:
        The network, its weights not drawn yet.

    Raises:
        ValueError: The image does not have three channels.
    """
    checks.image(in_shape, 1, "a torchvision ResNet")
    if in_shape[0] != 3:
        raise ValueError(
            f"in_shape: torchvision's ResNets need 3 channels, got {in_shape}"
        )
    # Imported late, because it costs seconds; on the CPU, because constants that a
    # first import creates must not land on the meta device of the caller.
    with torch.device("cpu"):
        from torchvision import models
    return getattr(models, model)(weights=None, num_classes=classes)
