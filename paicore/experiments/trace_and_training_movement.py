"""How far the kernels, weights and outputs of a network move while it trains.

Everything is relative to the initialisation theta_0 and outputs are those of one fixed
batch. `run_width` asks what width changes, in full-batch gradient descent on squared
errors. `run_modes` trains a residual network and looks at it in both modes of batch
norm.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paicore import data
from paicore.experiments.trace_and_training_masks import (
    Case,
    Pruning,
    case_of,
    draws,
    load,
    network,
    pruned,
)
from paicore.kernels import ntk, paths
from paicore.masks import Masks
from paicore.train import Recipe, batches, build_optimizer

WIDTH = (
    "loss", "trace", "trace_change", "trace_moved", "weights_moved", "outputs_moved",
    "kernel_moved",
)  # fmt: skip
MODES = (
    "loss", "trace", "trace_change", "weights_moved",
    "authors_eval", "authors_train", "eval_over_train",
    "kernel_eval", "kernel_train", "outputs_eval", "outputs_train",
)  # fmt: skip


@dataclass(frozen=True)
class Movement(Pruning):
    """Training that is watched.

    Attributes:
        images: Training images of full-batch gradient descent.
        probe: Images of the fixed batch, from the test set.
        kernel: Images of it that the tangent kernel is taken on.
        looks: Numbers of updates after which is measured; the last ends the training.
        recipe: Of `run_modes`; its steps are not read.
    """

    images: int = 256
    probe: int = 100
    kernel: int = 32
    looks: tuple[int, ...] = (0, 20, 40, 60)
    recipe: Recipe = field(
        default_factory=lambda: Recipe("sgd", lr=0.05, batch=32, steps=1)
    )


def begun(config: Movement, cell: Mapping) -> tuple[Case, nn.Module, Masks]:
    """Return case, network with its pruned weights zero, and masks."""
    case, seed = case_of(config, cell["variant"]), cell["seed"]
    masks = pruned(config, case, seed, cell["method"], cell["density"])
    return case, masks.apply_(network(case, seed)), masks


def probe(config: Movement, case: Case) -> Tensor:
    """Return the fixed batch: the first test images, float64."""
    ds = load(case.data)
    return data.normalise(ds, ds.test_x[: config.probe], torch.float64)


def run_width(config: Movement, cell: Mapping) -> list[dict]:
    r"""Follow full-batch gradient descent on half the sum of squared errors.

    .. math:: \theta \leftarrow \theta - \nabla L / \lambda_{\max}(K), \qquad
              L = \tfrac12 \sum_x \| f(x) - y \|^2

    Returns:
        One row per look. "trace_change" is (Tr_t - Tr_0) / Tr_0 and "trace_moved" its
        size; "weights_moved", "outputs_moved" and "kernel_moved" are norms of the
        difference to the start over the norm at the start.
    """
    case, net, masks = begun(config, cell)
    net = net.double()
    x, y = data.sample(load(case.data), config.images, draws(case, cell["seed"], "x"))
    targets = F.one_hot(y, load(case.data).classes).double()
    largest = ntk.eigenvalues(net, x, top=1, masks=masks, progress=False)
    rate, looked, rows = 1 / float(largest[0]), probe(config, case), []
    start = _seen(net, masks, looked, config.kernel)
    for step in range(config.looks[-1] + 1):
        loss = (net(x) - targets).square().sum() / 2
        if step in config.looks:
            row = _moved(_seen(net, masks, looked, config.kernel), start)
            rows.append({"step": step, "loss": loss.item() / len(x), **row})
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= rate * parameter.grad
        masks.apply_(net)
    return rows


def _seen(net: nn.Module, masks: Masks, x: Tensor, kernel: int) -> dict:
    """Return what a look sees: trace, weights, outputs, tangent kernel."""
    with torch.no_grad():
        outputs = net(x)
    return {
        "trace": paths.trace(net, tuple(x.shape[1:]), masks=masks),
        "weights": flat(net),
        "outputs": outputs,
        "kernel": ntk.gram(net, x[:kernel], masks=masks, progress=False).detach(),
    }


def _moved(now: Mapping, start: Mapping) -> dict[str, float]:
    """Return the distances of a look to the start."""
    change = (now["trace"] - start["trace"]) / start["trace"]
    row = {"trace": now["trace"], "trace_change": change, "trace_moved": abs(change)}
    for name in ("weights", "outputs", "kernel"):
        row[f"{name}_moved"] = apart(now[name], start[name])
    return row


def apart(now: Tensor, start: Tensor) -> float:
    """Return the distance of two tensors over the norm of the second."""
    return float((now - start).norm() / start.norm())


def flat(net: nn.Module) -> Tensor:
    """Return all parameters in one vector, a copy."""
    return torch.cat([p.detach().flatten() for p in net.parameters()]).clone()


def run_modes(config: Movement, cell: Mapping) -> list[dict]:
    """Train with batch norm and look at the network in evaluation and training mode.

    Returns:
        One row per look. "loss" is that of the fixed batch in training mode, "trace"
        the exact one, with the stored statistics;
        "authors_eval" and "authors_train" are what the authors' tracker computes in
        each mode, "eval_over_train" the size of their quotient; "kernel_..." the trace
        of the tangent kernel over that at the start, "outputs_..." the distance of the
        fixed batch's outputs to those at the start, over their norm.
    """
    case, net, masks = begun(config, cell)
    x, y = probe(config, case), load(case.data).test_y[: config.probe]
    rows, start = [], {}
    for step in stepped(config, case, net, masks, cell["seed"]):
        if step not in config.looks:
            continue
        now = _both_modes(net, masks, x, config.kernel)
        loss = F.cross_entropy(now["outputs_train"], y).item()
        start = start or now
        row = {name: now[name] for name in ("trace", "authors_eval", "authors_train")}
        row["trace_change"] = (now["trace"] - start["trace"]) / start["trace"]
        row["weights_moved"] = apart(now["weights"], start["weights"])
        row["eval_over_train"] = abs(now["authors_eval"] / now["authors_train"])
        for mode in ("eval", "train"):
            row[f"kernel_{mode}"] = now[f"kernel_{mode}"] / start[f"kernel_{mode}"]
            outputs = now[f"outputs_{mode}"], start[f"outputs_{mode}"]
            row[f"outputs_{mode}"] = apart(*outputs)
        rows.append({"step": step, "loss": loss, **row})
    return rows


def stepped(
    config: Movement, case: Case, net: nn.Module, masks: Masks, seed: int
) -> Iterator[int]:
    """Train a network, pausing before every update and after the last.

    Yields:
        Number of updates done.
    """
    ds = load(case.data).subset(train=case.train, test=case.test)
    recipe = replace(config.recipe, steps=config.looks[-1])
    optimizer = build_optimizer(net, recipe)
    stream = batches(ds, recipe, draws(case, seed, "order"), torch.float32)
    for step, (x, y) in enumerate(stream):
        yield step
        if step == config.looks[-1]:
            return
        optimizer.zero_grad()
        loss = F.cross_entropy(net.train()(x), y)
        loss.backward()
        optimizer.step()
        masks.apply_(net)


def _both_modes(net: nn.Module, masks: Masks, x: Tensor, kernel: int) -> dict:
    """Return what a look sees in both modes; the network is left as it is."""
    shape = tuple(x.shape[1:])
    seen = {"trace": paths.trace(net, shape, masks=masks), "weights": flat(net)}
    for mode in ("eval", "train"):
        seen[f"authors_{mode}"] = tracker(net, shape, masks, mode)
        kernels = {"masks": masks, "batch_norm": mode, "progress": False}
        seen[f"kernel_{mode}"] = float(ntk.trace(net, x[:kernel], **kernels))
        twin = _in_mode(net, mode)
        with torch.no_grad():
            seen[f"outputs_{mode}"] = twin(x)
    return seen


def _in_mode(net: nn.Module, mode: str) -> nn.Module:
    """Return a float64 copy in evaluation or training mode."""
    return deepcopy(net).double().train(mode == "train")


def tracker(net: nn.Module, shape: tuple[int, ...], masks: Masks, mode: str) -> float:
    """Return the authors' trace: all parameters squared, ones as input, in a mode.

    Conventions: in mode "eval" this is ``paths.trace(mode="authors")``. In mode
    "train", in which their tracker runs after every epoch, batch norm divides by the
    statistics of the one image, so that this is no sum over paths and may be negative.

    Source: uditsaxena/Synaptic-Flow path_kernel.py, train.py.
    """
    twin = _in_mode(masks.apply_(deepcopy(net)), mode)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.square_()
    twin.zero_grad()
    twin(torch.ones(1, *shape, dtype=torch.float64)).sum().backward()
    grads = {name: p.grad for name, p in twin.named_parameters()}
    return sum(float((g * masks.get(name, 1)).sum()) for name, g in grads.items())
