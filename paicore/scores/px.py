"""Path eXclusion: the paths' weights together with the gates that the data open."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from paicore.forward import isolated, logits, private_copy, prunable, run
from paicore.forward.private import Guard, like
from paicore.forward.weights import LAYERS
from paicore.kernels.paths.algebra import Algebra, Gates
from paicore.kernels.paths.problem import Problem, check_range, gradients, prepare
from paicore.scores.loss import chunks
from paicore.scores.paths import check_inputs

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

    Conventions: batch norm in mode "eval", its factor gamma as it is; biases left out.
    In "official" the classifier, the layer that a forward pass calls last, stays as it
    is in both networks: it is then all that lets the data in. With classifier="ones"
    it is treated as the others. The network of ones is masked as well. For dense masks
    its outputs are then the same for all classes, and the score is a constant times D
    of `synflow_l2` (in mode "exact" for pooling="paths", "authors" for "native");
    masks that leave the classes different numbers of open paths weigh the classes
    differently, and the data stay. In "exact" the data enter through the Jacobian
    itself.

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
        TypeError: there are no masks.
        ValueError: an option is unknown, "exact" has no labels or none that fit, or
            "official" finds no layer that is called last. Inputs that are empty or not
            finite are refused too.

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
    if masks is None:
        raise TypeError(
            "masks: expected a mapping, got None; Masks.dense(net) is dense"
        )
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
    kept |= {_last_called(problem)} if classifier == "kept" else set()
    first = _opened(problem, x, kept, algebra, batch_size)  # (k,)
    second = {
        name: (value.clone() if name in kept else value**2).requires_grad_()
        for name, value in problem.theta.items()
    }
    squares = algebra(2, sources=False).run(problem.twin, second, problem.x)  # (1, k)
    check_range(squares, "the network of squared weights")
    slopes = gradients((first * squares).sum(), second)
    return {
        name: problem.theta[name] ** 2 * slopes[name].abs() for name in problem.weights
    }


@torch.no_grad()
def _last_called(problem: Problem) -> str:
    """Return the weight of the Linear or Conv layer that a forward pass calls last."""
    names = {id(p): name for name, p in problem.twin.named_parameters()}
    called: list[str] = []
    hooks = [
        module.register_forward_hook(
            lambda module, args, out: called.append(names[id(module.weight)])
        )
        for module in problem.twin.modules()
        if isinstance(module, LAYERS)
    ]
    try:
        run(problem.twin, problem.x)
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        raise ValueError("net: no Linear or Conv layer is called as a module, so px "
                         "cannot tell the last one")  # fmt: skip
    return called[-1]


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

    def logit(values, sample, label):
        return functional_call(twin, values, (sample[None],))[0] @ label

    slopes = vmap(grad(logit), (None, 0, 0))
    size = SAMPLES if batch_size is None else batch_size
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    for part, labels in chunks(x, y, size):
        with Guard(twin.originals):
            found = slopes(weights, part, labels)
        for name, each in found.items():
            sums[name] += (each**2).sum(0)
    return {n: w**2 * sums[n] * masks[n].to(w.device) for n, w in weights.items()}


def _labels(twin: nn.Module, batch) -> Tensor:
    """Return the labels as rows of the identity (n, k); each must have an output."""
    x, y = batch
    if y is None:
        raise ValueError("batch: px with variant='exact' needs labels, got (x, None)")
    whole = isinstance(y, Tensor) and not (y.is_floating_point() or y.is_complex())
    if not whole or tuple(y.shape) != (len(x),):
        got = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y)
        raise ValueError(f"batch: expected integer labels ({len(x)},), got {got}")
    with torch.no_grad():
        outputs = logits(twin, like(x[:1], twin)).shape[1]
    y = y.long()
    if int(y.min()) < 0 or int(y.max()) >= outputs:
        raise ValueError(
            f"batch: expected labels 0 to {outputs - 1} for {outputs} outputs, got "
            f"{int(y.min())} to {int(y.max())}"
        )
    return like(functional.one_hot(y, outputs), twin)
