r"""What can be measured of a masked network before it is trained.

Everything is taken on one batch of n labelled images at the masked weights, float64,
masked tangent space, all trainable parameters, and batch norm in train mode where there
is any. With logits f, loss L their mean cross-entropy, J the Jacobian and K = J J^T
over the n k logits,

.. math:: \nabla_\theta L = J^\top \nabla_f L, \qquad
          \| \nabla_\theta L \|^2 = \nabla_f L^\top K \, \nabla_f L .

Shapes: a Gram is (n, n, k, k) as from `paicore.kernels.ntk`.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paicore.forward import has_batch_norm
from paicore.kernels import ntk, paths
from paicore.kernels.linearised import gradient_descent
from paicore.kernels.linearised.problem import matrix
from paicore.masks import Masks
from paicore.train import Recipe
from paicore.train.schedules import learning_rates

OF_KERNEL = ("trace", "largest", "effective_rank", "alignment")
PREDICTED = ("linear_loss", "linear_dense")
OF_MASK = ("path_trace", "gradient", "effective_density", "nearly_empty")
SIGNS = (*OF_KERNEL, *PREDICTED, *OF_MASK)


class Start(NamedTuple):
    """A masked network on a batch, before training.

    Attributes:
        gram: Its tangent kernel, (n, n, k, k).
        outputs: Its logits, (n, k).
        labels: Labels, (n,).
        gradient: Name to the gradient of the mean cross-entropy, zero where pruned.
    """

    gram: Tensor
    outputs: Tensor
    labels: Tensor
    gradient: Mapping[str, Tensor]

    @property
    def norm(self) -> float:
        """Return the norm of the gradient over all parameters."""
        return math.sqrt(sum(float(g.square().sum()) for g in self.gradient.values()))

    @property
    def moving(self) -> int:
        """Return the number of parameters that have a gradient."""
        return sum(int(g.count_nonzero()) for g in self.gradient.values())


def start_of(net: nn.Module, masks: Masks, batch: tuple[Tensor, Tensor]) -> Start:
    """Look at a network as it begins training; the network is left as it is."""
    x, labels = batch
    mode = "train" if has_batch_norm(net) else None
    gram = ntk.gram(net, x, masks=masks, batch_norm=mode, progress=False).detach()
    twin = masks.apply_(deepcopy(net)).double().train(mode == "train")
    outputs = twin(x.double())
    names, parameters = zip(*twin.named_parameters(), strict=True)
    found = torch.autograd.grad(F.cross_entropy(outputs, labels), parameters)
    gradient = {n: g * masks.get(n, 1) for n, g in zip(names, found, strict=True)}
    return Start(gram, outputs.detach(), labels, gradient)


def of_kernel(gram: Tensor, labels: Tensor) -> dict[str, float]:
    """Return trace and largest eigenvalue of K / n, effective rank and alignment."""
    n = len(gram)
    values = torch.linalg.eigvalsh(matrix(gram)).flip(0) / n
    found = {"trace": float(values.sum()), "largest": float(values[0])}
    found["effective_rank"] = effective_rank(values)
    found["alignment"] = alignment(gram.diagonal(dim1=2, dim2=3).sum(2), labels)
    return found


def effective_rank(values: Tensor) -> float:
    r"""Return the exponential of the entropy of the eigenvalues' shares.

    .. math:: \exp\Bigl(-\sum_i p_i \log p_i\Bigr), \qquad
              p_i = \lambda_i / \sum_j \lambda_j

    It is r for r equal eigenvalues, 0 if all vanish; rounding below zero is cut.

    Source: Roy and Vetterli (2007).
    """
    values = values.clamp(min=0)
    total = values.sum()
    if total <= 0:
        return 0.0
    return float(torch.special.entr(values / total).sum().exp())


def alignment(kernel: Tensor, labels: Tensor) -> float:
    r"""Return the centred alignment of a kernel with the labels.

    .. math:: \frac{\langle H K H, \, Y Y^\top \rangle_F}
              {\| H K H \|_F \, \| H Y Y^\top H \|_F}, \qquad H = 1 - \tfrac1n 1 1^\top

    Conventions: the kernel is (n, n), here K summed over the outputs; Y holds one-hot
    labels. 1 if HKH is a multiple of the labels' own kernel; 0 if it vanishes.

    Source: Cortes, Mohri, Rostamizadeh (2012), Definition 4.
    """
    one_hot = F.one_hot(labels).to(kernel)
    ideal, centred = _centred(one_hot @ one_hot.T), _centred(kernel)
    size = centred.norm() * ideal.norm()
    if centred.norm() <= 1e-12 * kernel.norm() or size == 0:
        return 0.0
    return float((centred * ideal).sum() / size)


def _centred(kernel: Tensor) -> Tensor:
    """Return H K H."""
    kernel = kernel - kernel.mean(0, keepdim=True)
    return kernel - kernel.mean(1, keepdim=True)


def descent_rate(recipe: Recipe, images: int, start: Start, largest: float) -> float:
    r"""Return the rate at which gradient descent stands for a recipe.

    .. math:: \eta = \min\Bigl(\bar\eta \, \frac{\sqrt P}{\|\nabla L\|}, \;
              \frac{1}{\lambda_{\max}(K / n)}\Bigr) \text{ for Adam}, \qquad
              \frac{\bar\eta}{1 - \mu} \text{ in place of the first for SGD}

    Conventions: the mean rate of the schedule; P counts the parameters that have a
    gradient: Adam's first step moves each of them by its rate, so that both first steps
    are equally long. Momentum multiplies what a gradient does in the end.

    Args:
        recipe: How the network is trained.
        images: Number of its training images.
        start: The network, with its gradient.
        largest: Largest eigenvalue of K / n, positive.
    """
    rates = learning_rates(recipe, images)
    rate = sum(rates) / len(rates)
    if recipe.optimizer == "adam":
        rate *= math.sqrt(start.moving) / start.norm if start.norm else math.inf
    else:
        rate /= 1 - recipe.momentum
    return min(rate, 1 / largest)


def linear_loss(start: Start, steps: int, rate: float) -> float:
    """Return the mean cross-entropy after steps of descent with a constant kernel."""
    seen = gradient_descent(
        start.gram, start.outputs, start.labels, [steps], lr=rate, loss="cross_entropy"
    )
    return float(F.cross_entropy(seen.train[-1], start.labels))


def nearly_empty(masks: Masks) -> int:
    """Count layers with fewer weights than outputs: some unit then has no input."""
    return sum(int(mask.sum()) < len(mask) for mask in masks.values())


def log_densities(masks: Masks) -> list[float]:
    """Return the decimal logarithm of each layer's density; empty counts half one."""
    return [
        math.log10(max(int(mask.sum()), 0.5) / mask.numel()) for mask in masks.values()
    ]


def signs(
    net: nn.Module,
    masks: Masks,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    images: int,
    dense_largest: float,
) -> dict[str, float]:
    """Measure a masked network before training.

    Args:
        net: The network, pruned weights may be anything; left untouched.
        masks: Its masks.
        batch: Pair (x, labels), float64.
        recipe: How it will be trained.
        images: On how many images.
        dense_largest: Largest eigenvalue of K / n of the dense network; its inverse is
            the rate of "linear_dense".

    Returns:
        `SIGNS`. "nearly_empty" counts layers, the others are larger than or equal to 0.
    """
    start, shape = start_of(net, masks, batch), tuple(batch[0].shape[1:])
    found = of_kernel(start.gram, start.labels)
    steps = recipe.total_steps(images)
    rate = descent_rate(recipe, images, start, found["largest"])
    return found | {
        "linear_loss": linear_loss(start, steps, rate),
        "linear_dense": linear_loss(start, steps, 1 / dense_largest),
        "path_trace": paths.trace(net, shape, masks=masks),
        "gradient": start.norm,
        "effective_density": masks.effective(net, shape).density,
        "nearly_empty": float(nearly_empty(masks)),
    }
