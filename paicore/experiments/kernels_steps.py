"""One real step of gradient descent, and what a kernel says about it.

A step of size eta changes the logits by f(theta - eta g) - f(theta), where g is the
gradient of the mean cross-entropy of the batch. A kernel predicts -eta K v, with v the
gradient of that loss in the logits. Compared are the two tangent spaces of a masked
network and the three batch-norm modes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from paicore.experiments.kernels_setting import Setting, batch, draws, network
from paicore.forward import has_batch_norm, private_copy
from paicore.kernels import ntk
from paicore.scores import prune

STEP_VALUES = ("rate", "error", "ratio", "cosine")


@dataclass(frozen=True)
class Steps(Setting):
    """A step of several sizes, predicted by several kernels.

    Attributes:
        option: Keyword of `paicore.kernels.ntk` whose values are the methods.
        rates: Step sizes, falling.
        bias_init: As in `nets.build`. Zero biases put a ReLU unit without a live
            input exactly on its kink, where no derivative is right.
    """

    option: str = "tangent"
    rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5)
    bias_init: str = "zero"


@dataclass(frozen=True)
class Real:
    """A real step.

    Attributes:
        push: Gradient v of the loss in the logits, (n, k).
        changes: Change of the logits at each rate, (rates, n, k).
    """

    push: Tensor
    changes: Tensor


def real_step(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    rates: Sequence[float],
    *,
    masks: Mapping[str, Tensor] | None = None,
    batch_norm: str | None = None,
) -> Real:
    """Take one step of gradient descent from the same start at each rate.

    Conventions: the loss is the mean cross-entropy. Pruned weights stay zero. All
    parameters move, batch norm's too. In mode "frozen" the statistics are those of x.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        y: Labels (n,).
        rates: Step sizes.
        masks: name -> bool tensor, or None.
        batch_norm: Mode of the network that takes the step.

    Returns:
        Real.

    Cost: one forward and backward pass, and one forward pass per rate.
    """
    twin = private_copy(net, masks=masks, batch_norm=batch_norm, stats_from=x)
    theta = dict(twin.named_parameters())
    before = twin(x)
    loss = cross_entropy(before, y)
    push, *slopes = torch.autograd.grad(loss, [before, *theta.values()])
    after = []
    with torch.no_grad():
        for rate in rates:
            moved = {
                name: theta[name] - rate * slope * (masks or {}).get(name, 1)
                for name, slope in zip(theta, slopes, strict=True)
            }
            after.append(functional_call(twin, moved, (x,)) - before)
    return Real(push, torch.stack(after))


def compare(predicted: Tensor, change: Tensor) -> dict[str, float]:
    """Return relative error, ratio of the norms, and cosine of a prediction."""
    size = change.norm()
    return {
        "error": float((predicted - change).norm() / size),
        "ratio": float(predicted.norm() / size),
        "cosine": float((predicted * change).sum() / (size * predicted.norm())),
    }


def ask(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    rates: Sequence[float],
    *,
    masks: Mapping[str, Tensor] | None = None,
    step_mode: str | None = None,
    **options,
) -> list[dict[str, float]]:
    """Compare one kernel with the real step at each rate.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); left untouched.
        x: Inputs (n, *in_shape).
        y: Labels (n,).
        rates: Step sizes.
        masks: name -> bool tensor, or None.
        step_mode: Batch-norm mode of the network that takes the step.
        **options: Of the kernel, see `paicore.kernels.ntk`.

    Returns:
        What `compare` says, one dict per rate.
    """
    real = real_step(net, x, y, rates, masks=masks, batch_norm=step_mode)
    product = ntk.matvec(net, x, real.push, masks=masks, progress=False, **options)
    return [
        compare(-rate * product, change)
        for rate, change in zip(rates, real.changes, strict=True)
    ]


def run_steps(config: Steps, cell: dict) -> list[dict]:
    """Compare one kernel with the real step; one row per rate, numbered by "step"."""
    seed = cell["seed"]
    net = network(config, seed, bias_init=config.bias_init)
    x, y = batch(config, seed)
    masks = prune(
        net, "random", density=cell["density"],
        generator=draws(config, seed, "masks"), progress=False,
    )  # fmt: skip
    mode = "train" if has_batch_norm(net) else None  # of the step, not of the kernel
    options = {"masks": masks, "step_mode": mode, config.option: cell["method"]}
    found = ask(net, x, y, config.rates, **options)
    return [
        {"step": k, "rate": rate, **facts}
        for k, (rate, facts) in enumerate(zip(config.rates, found, strict=True))
    ]
