"""The training loop: one masked network, one data set, one recipe."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from paicore.data import Dataset
from paicore.train.batches import batches
from paicore.train.checks import check, training_device
from paicore.train.context import autocast, placement, training
from paicore.train.divergence import Diverged, check_finite, read_losses
from paicore.train.evaluation import evaluate
from paicore.train.masking import projected
from paicore.train.recipe import Recipe
from paicore.train.reporting import bar as _bar
from paicore.train.reporting import mean_loss, row
from paicore.train.schedules import learning_rates

CHECK_EVERY = 100  # steps between two looks at the loss of a run on a GPU


def fit(
    net: nn.Module,
    ds: Dataset,
    recipe: Recipe,
    *,
    masks: Mapping[str, torch.Tensor] | None = None,
    generator: torch.Generator,
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> list[dict]:
    """Train a network in place, with cross-entropy.

    Conventions: pruned weights are exactly zero before the first and after every step,
    and when an error or Ctrl-C ends the training. The data go to the device once, as
    uint8. The network is moved to the device and cast to the recipe's precision, and
    stays so; on a GPU its convolutions run channels-last. Modes are put back at the
    end, gradients are cleared. The order of random draws is that of
    `paicore.train.batches`; dropout draws from the global generators, which are seeded
    from a copy of `generator` and put back. Arguments that cannot be meant raise
    TypeError or ValueError before anything is touched.

    Args:
        net: Network mapping (n, c, h, w) to logits (n, k), k >= classes.
        ds: The data set.
        recipe: How to train.
        masks: Name of a parameter to bool tensor, True for kept weights; None for
            dense training. A parameter without a mask is trained whole.
        generator: CPU generator for the order, crops and flips.
        device: Where to train; None for the network's own device.
        progress: Show a progress bar; None for only at a terminal.

    Returns:
        One row per evaluation, the last one after the last step: dict of "step"
        (updates done), "epoch" (step / steps per epoch), "lr" (of that step),
        "train_loss" (mean over the samples since the row before), "test_loss",
        "test_accuracy" (a fraction) and "best_test_accuracy" (until then).

    Raises:
        Diverged: A loss is not finite; the network stays as it was then.

    Cost: one forward and backward pass per step; the loss is read at every step on a
    CPU and every 100 steps on a GPU.
    """
    # A caller's no_grad would leave nothing to train with.
    with torch.inference_mode(False), torch.enable_grad():
        check(net, ds, recipe, masks, generator)
        device = training_device(net, device)
        rates = learning_rates(recipe, len(ds.train_y))
        ds, rows = ds.to(device), []
        with (
            training(net, recipe, device, generator),
            _bar(len(rates), progress) as bar,
            projected(net, masks) as project,
        ):
            try:
                _run(net, ds, recipe, rates, project, generator, bar, rows)
            except Diverged as error:
                error.rows = tuple(rows)
                raise
    return rows


def build_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over a network's trainable parameters.

    Args:
        net: The network.
        recipe: The recipe.

    Returns:
        SGD or Adam in torch's fused form, with one group of decayed parameters and
        one of parameters that are not.
    """
    trainable = [p for p in net.parameters() if p.requires_grad]
    return optimizer_over(trainable, [p.ndim for p in trainable], recipe)


def optimizer_over(
    trainable: list[torch.Tensor], dimensions: list[int], recipe: Recipe
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over tensors.

    Args:
        trainable: Leaf tensors.
        dimensions: Of the parameter that each stands for, on which decay depends.
        recipe: The recipe.

    Returns:
        As `build_optimizer`.
    """
    decayed, rest = [], []
    for tensor, count in zip(trainable, dimensions, strict=True):
        (decayed if recipe.decay == "all" or count > 1 else rest).append(tensor)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=True)
    return torch.optim.SGD(
        groups,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,
    )


def _run(net, ds, recipe, rates, project, generator, bar, rows) -> None:
    """Take every step; check the loss, evaluate and add to the rows in between."""
    epoch = recipe.steps_per_epoch(len(ds.train_y))
    every = recipe.eval_every or epoch
    device, dtype = placement(net)
    patience = 1 if device.type == "cpu" else CHECK_EVERY
    casting = recipe.precision == "bf16"
    optimizer = build_optimizer(net, recipe)
    pending, losses, sizes = [], [], []
    net.train()
    stream = batches(ds, recipe, generator, dtype)
    # Rates first, so that no batch is drawn after the last step.
    for step, (lr, (x, y)) in enumerate(zip(rates, stream, strict=False), 1):
        with autocast(device, casting):
            loss = F.cross_entropy(net(x), y)
        pending.append(loss.detach())
        sizes.append(len(y))
        due = step % every == 0 or step == len(rates)
        if due or len(pending) == patience:
            losses += read_losses(pending, step, rates, epoch)
            pending = []
        update(optimizer, loss, lr)
        project()
        if due:
            result = evaluate(net, ds, dtype=torch.bfloat16 if casting else None)
            check_finite("test loss", result.loss, step, rates, epoch)
            mean = mean_loss(losses, sizes)
            rows.append(row(rows, step, epoch, lr, mean, result))
            losses, sizes = [], []
            bar.set_postfix(accuracy=f"{result.accuracy:.4f}", refresh=False)
        bar.update()


def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor, lr: float) -> None:
    """Take one step of gradient descent at a learning rate.

    Args:
        optimizer: The optimiser.
        loss: A scalar.
        lr: The rate, of all groups.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
