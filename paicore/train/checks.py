"""What cannot be trained is refused here, before anything is touched."""

from collections.abc import Mapping

import torch
from torch import nn

from paicore import seeds
from paicore.data import Dataset, normalise
from paicore.train.context import evaluating, placement
from paicore.train.masking import check_finite_weights, check_masks
from paicore.train.recipe import Recipe


def check(
    net: nn.Module,
    ds: Dataset,
    recipe: Recipe,
    masks: Mapping[str, torch.Tensor] | None,
    generator: torch.Generator,
) -> None:
    """Refuse arguments of `fit` that do not fit each other, or cannot be trained.

    Args:
        net: The network, on a CPU or GPU.
        ds: The data set.
        recipe: The recipe.
        masks: The masks or None.
        generator: The generator.

    Raises:
        TypeError: One of them is of the wrong kind.
    """
    for name, value, kind in (
        ("net", net, nn.Module),
        ("ds", ds, Dataset),
        ("recipe", recipe, Recipe),
        ("generator", generator, torch.Generator),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected a {kind.__name__}, got {type(value)}")
    recipe.steps_per_epoch(len(ds.train_y))
    check_masks(net, masks)
    seeds.check(generator)
    _check_parameters(net)
    check_finite_weights(net, masks)
    _check_batch_norm(net, len(ds.train_y), recipe)
    _check_logits(net, ds)


def training_device(net: nn.Module, device: torch.device | str | None) -> torch.device:
    """Return where to train.

    Args:
        net: Gives its own device where none is named.
        device: A CPU or a GPU of this machine, or None.

    Returns:
        The device.

    Raises:
        ValueError: There is no such device here, or nothing trains on it.
    """
    try:
        found = torch.device(placement(net)[0] if device is None else device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device: expected cpu or cuda, got {device!r}") from error
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"device: expected cpu or cuda, got {str(found)!r}")
    gpus = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= gpus:
        raise ValueError(f"device: {str(found)!r} asked for, torch finds {gpus} GPUs")
    return found


def _check_parameters(net: nn.Module) -> None:
    """Refuse a network without a parameter that can be trained in place.

    Raises:
        ValueError: It has none, or they hold no data or are for inference only.
    """
    if not any(p.requires_grad for p in net.parameters()):
        raise ValueError("net: expected a trainable parameter, got none")
    for name, parameter in net.named_parameters():
        if parameter.device.type not in ("cpu", "cuda"):
            text = f"net: {name!r} is on {parameter.device}, expected cpu or cuda"
            raise ValueError(text)
        if parameter.is_inference():
            raise ValueError(
                f"net: {name!r} was made under torch.inference_mode and cannot be "
                "trained; make the network outside of it"
            )


def _check_batch_norm(net: nn.Module, n: int, recipe: Recipe) -> None:
    """Refuse batch norm over a single sample.

    Raises:
        ValueError: The smallest batch has one sample, and there is a batch norm.
    """
    rest = 0 if recipe.drop_last else n % recipe.batch
    if (rest or recipe.batch) > 1:
        return
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ValueError(
                f"batch: {recipe.batch} of {n} samples leave a batch of one, over "
                f"which the batch norm {name!r} has no variance; use another size or "
                "drop_last=True"
            )


def _check_logits(net: nn.Module, ds: Dataset) -> None:
    """Refuse a network whose outputs for one sample are no logits of the classes.

    Raises:
        TypeError: They are no tensor.
        ValueError: They have another shape.
    """
    device, dtype = placement(net)
    x = normalise(ds, ds.train_x[:1], dtype).to(device)
    drawn_on = [device] if device.type == "cuda" else []
    # Functional dropout draws in evaluation mode too.
    with torch.no_grad(), torch.random.fork_rng(drawn_on), evaluating(net):
        logits = net(x)
    if not isinstance(logits, torch.Tensor):
        kind = type(logits).__name__
        raise TypeError(f"net: expected a tensor of logits as its output, got a {kind}")
    if logits.ndim != 2 or logits.shape[1] < ds.classes:
        raise ValueError(
            f"net: expected logits of shape (n, {ds.classes}) for inputs of shape "
            f"(n, {', '.join(map(str, ds.in_shape))}), got (n, "
            f"{', '.join(map(str, logits.shape[1:]))})"
        )
