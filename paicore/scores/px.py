"""Path eXclusion: the paths' weights together with the gates that the data open."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from paicore.forward import isolated, private_copy, prunable
from paicore.forward.private import like
from paicore.kernels.paths.algebra import Algebra, Gates
from paicore.kernels.paths.problem import Problem, check_range, gradients, prepare
from paicore.scores.loss import chunks

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

    Conventions: batch norm in mode "eval", its factor gamma as it is; biases left out.
    In "official" the last layer stays as it is in both networks: it is then all that
    lets the data in. With classifier="ones" it is treated as the others, the first
    factor is the same for all classes, and the score is a constant times D of
    `synflow_l2`. In "exact" the data enter through the Jacobian itself.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape); y only for "exact".
        generator: Not used.
        variant: "official" or "exact".
        classifier: "kept" or "ones", for "official".
        batch_size: Samples at a time, in order; changes memory, and rounding.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: an option is unknown, or "exact" has no labels or none that fit.

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
    if variant == "exact":
        return _exact(net, masks, batch, batch_size)
    return _official(net, masks, batch[0], classifier, batch_size)


def _official(net, masks, x, classifier, batch_size) -> dict[str, Tensor]:
    """Return w^2 |dR/dw^2| with R the product of the two networks."""
    problem = prepare(net, tuple(x.shape[1:]), masks, "zero")
    last = problem.weights[-1]
    kept = set(problem.theta) - set(problem.weights)
    kept |= {last} if classifier == "kept" else set()
    first = _opened(problem, x, kept, batch_size)  # (k,)
    second = {
        name: (value.clone() if name in kept else value**2).requires_grad_()
        for name, value in problem.theta.items()
    }
    squares = Algebra(2, sources=False).run(problem.twin, second, problem.x)  # (1, k)
    check_range(squares, "the network of squared weights")
    slopes = gradients((first * squares).sum(), second)
    return {
        name: problem.theta[name] ** 2 * slopes[name].abs() for name in problem.weights
    }


@torch.no_grad()
def _opened(problem: Problem, x, kept: set[str], batch_size) -> Tensor:
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
        network = Algebra(1, sources=False, gates=gates.kept)
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

    def logit(values, sample, label):
        return functional_call(twin, values, (sample[None],))[0] @ label

    slopes = vmap(grad(logit), (None, 0, 0))
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    for part, labels in chunks(x, y, batch_size or SAMPLES):
        for name, each in slopes(weights, part, labels).items():
            sums[name] += (each**2).sum(0)
    return {name: w**2 * sums[name] * masks[name] for name, w in weights.items()}


def _labels(twin: nn.Module, batch) -> Tensor:
    """Return the labels as rows of the identity (n, k); each must have an output."""
    x, y = batch
    if y is None:
        raise ValueError("batch: px with variant='exact' needs labels, got (x, None)")
    with torch.no_grad():
        outputs = twin(like(x[:1], twin)).shape[1]
    if int(y.min()) < 0 or int(y.max()) >= outputs:
        raise ValueError(
            f"batch: expected labels 0 to {outputs - 1} for {outputs} outputs, got "
            f"{int(y.min())} to {int(y.max())}"
        )
    return like(functional.one_hot(y, outputs), twin)
