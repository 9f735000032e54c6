"""Path eXclusion: the paths' weights together with the gates that the data open."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from paicore.forward import isolated, logits, private_copy, prunable
from paicore.forward.private import Guard, like
from paicore.kernels.paths.algebra import Algebra, Gates
from paicore.kernels.paths.problem import (
    Problem,
    check_floor,
    check_range,
    gradients,
    prepare,
)
from paicore.kernels.paths.readable import naming_shape
from paicore.scores.loss import chunks
from paicore.scores.paths import check_given, check_inputs

SAMPLES = 16  # per-sample gradients held at a time


@isolated
def px(
    net: nn.Module,
    masks,
    batch,
    *,
    generator=None,
    variant: str = "official",
    classifier: str = "kept",
    pooling: str = "native",
    batch_size: int | None = None,
) -> dict[str, Tensor]:
    r"""Score each weight by a bound on the trace of the tangent kernel, or by a share.

    .. math:: s_i = w_i^2 \left| \partial R / \partial w_i^2 \right|, \qquad
              R = \sum_{x, k} f_k^{(1)}(x^2) \, f_k^{(2)}(\mathbf 1)
              \quad \text{(official)}

    .. math:: s_i = w_i^2 \sum_x \left( \partial f_{y(x)}(x) / \partial w_i
              \right)^2 \quad \text{(exact)}

    with f^(1) the network of ones under the gates that x opens, f^(2) the network of
    squared weights with open gates, and y(x) the label.

    Conventions: batch norm in mode "eval", its factor gamma as it is. "official"
    leaves biases, beta and stored means out of both networks; the gates are those of
    the real pass, which has them. "exact" differentiates the network as it is, so that
    paths from biases count as well. In "official" the classifier, the one layer that
    no other follows on the way to the output, stays as it is in both networks: it is
    then all that lets the data in. With classifier="ones" it is treated as the others.
    The network of ones is masked as well. For dense masks its outputs are then the same
    for all classes, and the score is a constant times D of `synflow_l2` (in mode
    "exact" for pooling="paths", "authors" for "native"); masks that leave the classes
    different numbers of open paths weigh the classes differently, and the data stay. In
    "exact" the data enter through the Jacobian itself.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape); y only for "exact".
        generator: Not used.
        variant: "official" or "exact".
        classifier: "kept" or "ones", for "official".
        pooling: For "official". "native", as published: both networks pool as the
            network does, maxima stay maxima of what they are given, and constants
            (1/n of an average, 1/sqrt(var + eps)) are not squared. "paths", ours: max
            pooling takes the winner of the real pass in the first network and all of
            its window in the second, where constants are squared.
        batch_size: Samples at a time, in order; changes memory, and rounding.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: an option is unknown, "exact" has no labels or none that fit, or
            "official" finds several layers that no other follows. No masks, and inputs
            that are empty or not finite, are refused too.

    Cost: "official" two forward passes over the batch, one forward and one backward
    pass for a single input; "exact" one backward pass per sample.

    Source: Iurada, Ciccone, Tommasi (2024), iurada/px-ntk-pruning lib/pruners.py at
    its last commit ("official") and as of 29 January 2025 ("exact"). There batch norm
    is in train mode, and what is kept goes by the names "bn" and "fc", so that batch
    norm in projection shortcuts is squared.
    """
    if variant not in ("official", "exact"):
        raise ValueError(f"variant: expected 'official' or 'exact', got {variant!r}")
    if classifier not in ("kept", "ones"):
        raise ValueError(f"classifier: expected 'kept' or 'ones', got {classifier!r}")
    check_given(masks)
    check_inputs(batch)
    if variant == "exact":
        return _exact(net, masks, batch, batch_size)
    if pooling not in ("native", "paths"):
        raise ValueError(f"pooling: expected 'native' or 'paths', got {pooling!r}")
    return _official(net, masks, batch[0], classifier, pooling, batch_size)


class Native(Algebra):
    """Sums in which constants stand as they are and max pooling stays a maximum."""

    def __init__(self, power: int, *, sources: bool = True, gates=None) -> None:
        super().__init__(1, sources=sources, gates=gates)

    def max_pool(self, func, x: Tensor, *args, **kwargs) -> Tensor:
        """Take the maximum of what is here; the real pass's winner is not used."""
        if self.gates is not None:
            next(self.gates)
        return func(x, *args, **kwargs)


def _official(net, masks, x, classifier, pooling, batch_size) -> dict[str, Tensor]:
    """Return w^2 |dR/dw^2| with R the product of the two networks."""
    problem = prepare(net, tuple(x.shape[1:]), masks, "zero")
    algebra = Native if pooling == "native" else Algebra
    kept = set(problem.theta) - set(problem.weights)
    kept |= {_classifier(problem)} if classifier == "kept" else set()
    first = _opened(problem, x, kept, algebra, batch_size)  # (k,)
    second = {
        name: (value.clone() if name in kept else value**2).requires_grad_()
        for name, value in problem.theta.items()
    }
    squares = algebra(2, sources=False).run(problem.twin, second, problem.x)  # (1, k)
    check_range(squares, "the network of squared weights")
    slopes = gradients((first * squares).sum(), second)
    scores = {
        name: problem.theta[name] ** 2 * slopes[name].abs() for name in problem.weights
    }
    _check_scores(scores, {name: problem.theta[name] for name in problem.weights})
    return scores


def _check_scores(scores: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """Refuse scores beyond float64, and such that vanish with the squared weights."""
    for name, each in scores.items():
        check_range(each, f"the score of {name!r}")
    largest = max(float(each.max()) for each in scores.values())
    check_floor(largest, ((w, w**2) for w in weights.values()), "the score")


@torch.no_grad()
def _classifier(problem: Problem) -> str:
    """Return the weight of the one layer after which no other leads to the output."""
    out = Gates().run(problem.twin, problem.theta, problem.x)
    last = sorted(out.walk.last)
    if len(last) != 1:
        raise ValueError(
            f"net: px takes one layer before the output as the classifier, got {last}; "
            "classifier='ones' treats all layers alike"
        )
    return last[0]


@torch.no_grad()
def _opened(problem: Problem, x, kept: set[str], algebra, batch_size) -> Tensor:
    """Sum over samples what the network of ones makes of x^2 under its gates, (k,)."""
    ones = {
        name: value if name in kept else problem.alive[name].double()
        for name, value in problem.theta.items()
    }
    total = 0.0
    for part, _ in chunks(x, x, batch_size):
        part = like(part, problem.twin)
        gates = Gates()
        gates.run(problem.twin, problem.theta, part)
        network = algebra(1, sources=False, gates=gates.kept)
        total = total + network.run(problem.twin, ones, part**2).sum(0)
    check_range(total, "the network of ones")
    return total


@torch.no_grad()
def _exact(net, masks, batch, batch_size) -> dict[str, Tensor]:
    """Return w^2 times the sum over samples of squared slopes of the label's logit."""
    x, y = batch
    twin = private_copy(net, masks=masks, batch_norm="eval")
    weights = {name: w.detach() for name, w in prunable(twin).items()}
    x, y = like(x, twin), _labels(twin, batch)
    size = SAMPLES if batch_size is None else batch_size
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    for part, labels in chunks(x, y, size):
        with Guard(twin.originals):
            found = _slopes(twin, weights, part, labels)
        for name, each in found.items():
            sums[name] += (each**2).sum(0)
    scores = {n: w**2 * sums[n] * masks[n].to(w.device) for n, w in weights.items()}
    _check_scores(scores, weights)
    return scores


def _slopes(twin, weights, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the slopes of each sample's label logit, weight by weight (n, *shape)."""

    def logit(values, sample, label):
        # a copy: a network that works in place must not reach the caller's inputs
        tensors = values | _buffers(twin)
        return functional_call(twin, tensors, (sample[None].clone(),))[0] @ label

    try:
        return vmap(grad(logit), (None, 0, 0))(weights, x, labels)
    except RuntimeError:  # vmap cannot run it: an `if x.sum() > 0`, a buffer written
        rows = [_single(twin, weights, *each) for each in zip(x, labels, strict=True)]
        return {name: torch.stack([row[name] for row in rows]) for name in weights}


@torch.enable_grad()
def _single(twin, weights, sample: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Return the slopes of the label's logit of one sample."""
    values = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    tensors = values | _buffers(twin)
    out = functional_call(twin, tensors, (sample[None].clone(),))[0] @ label
    return gradients(out, values)


def _buffers(twin: nn.Module) -> dict[str, Tensor]:
    """Copy the buffers: what a forward pass writes to them is not for the next."""
    return {name: each.clone() for name, each in twin.named_buffers()}


def _labels(twin: nn.Module, batch) -> Tensor:
    """Return the labels as rows of the identity (n, k); each must have an output."""
    x, y = batch
    if y is None:
        raise ValueError("batch: px with variant='exact' needs labels, got (x, None)")
    whole = isinstance(y, Tensor) and not (y.is_floating_point() or y.is_complex())
    if not whole or tuple(y.shape) != (len(x),):
        got = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y)
        raise ValueError(f"batch: expected integer labels ({len(x)},), got {got}")
    with torch.no_grad(), naming_shape(x, "batch"):
        outputs = logits(twin, like(x[:1], twin)).shape[1]
    y = y.long()
    if int(y.min()) < 0 or int(y.max()) >= outputs:
        raise ValueError(
            f"batch: expected labels 0 to {outputs - 1} for {outputs} outputs, got "
            f"{int(y.min())} to {int(y.max())}"
        )
    return like(functional.one_hot(y, outputs), twin)
