r"""What is minimised: the kernel term, the output term and L2.

.. math:: L = \lambda_K \frac{\|K_s - K_t\|_F^2}{|K|}
          + \lambda_T \frac{\|f_s - f_t\|^2}{N C}
          + \lambda_2 \sum_l \frac{\|m_l \odot W_l\|^2}{d_l}

|K| is the number of entries of the block. "relative" divides by the teacher's squared
norms, ||K_t||^2 and ||f_t||^2, instead of |K| and N C.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from paicore.transfer.selection import masked
from paicore.transfer.settings import Settings
from paicore.transfer.tangents import Networks, columns


@dataclass(frozen=True)
class Terms:
    """The terms without their weights, scalars with their graph.

    Attributes:
        kernel: Kernel term; None where its weight is 0 and nobody asked.
        target: Output term.
        l2: Sum of the squared kept weights, over all layers.
        penalty: The whole third summand of the loss.
    """

    kernel: Tensor | None
    target: Tensor
    l2: Tensor
    penalty: Tensor

    def loss(self, settings: Settings) -> Tensor:
        """Return the weighted sum."""
        return self.matched(settings) + self.penalty

    def matched(self, settings: Settings) -> Tensor:
        """Return the weighted sum of the first two."""
        total = settings.target_weight * self.target
        if self.kernel is None or not settings.kernel_weight:
            return total
        return total + settings.kernel_weight * self.kernel


def objective(
    networks: Networks,
    values: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    x: Tensor,
    settings: Settings,
    generator: torch.Generator,
    *,
    always: bool = False,
) -> Terms:
    """Return the terms of the loss on one batch.

    Args:
        networks: Teacher and architecture.
        values: The student's parameters theta, unmasked.
        masks: Its masks.
        x: The batch, in the dtype and on the device of the run.
        settings: The keywords.
        generator: Source of the probes.
        always: Whether the kernel term is wanted where its weight is 0 as well.

    Returns:
        The terms. If the student's logits are not finite, the output term is not
        either, and there is no kernel term.
    """
    seen = masked(values, masks)
    taught = networks.taught(x)
    target = (networks.logits(seen, x) - taught).square()
    if settings.normalise == "relative":
        target = target.sum() / _norm(taught)
    else:
        target = target.mean()
    squares = {name: seen[name].square().sum() for name in masks}
    shares = settings.densities(masks)
    scale = {n: 1 / shares[n] if settings.l2_over_density else 1.0 for n in masks}
    penalty = settings.l2 * sum(scale[n] * each for n, each in squares.items())
    kernel = None
    if (always or settings.kernel_weight) and bool(torch.isfinite(target)):
        student = {"at": values, "masks": masks, "tangent": settings.tangent}
        kernel = kernel_term(networks, student, x, settings, generator)
    return Terms(kernel, target, sum(squares.values()), penalty)


def kernel_term(
    networks: Networks, student: dict, x: Tensor, settings: Settings, generator
) -> Tensor:
    """Return the kernel term, exactly or by probes.

    Args:
        networks: Teacher and architecture.
        student: `at`, `masks` and `tangent` of the student.
        x: The batch.
        settings: Block, estimator and normalisation.
        generator: Source of the probes.

    Returns:
        Scalar with its graph.
    """
    block = settings.block
    if settings.estimator == "exact":
        taught = networks.kernel(x, block).detach()
        gap = (networks.kernel(x, block, **student) - taught).square().sum()
        entries = taught.numel()
    else:
        probes = gaussian(networks, settings.probes, x, block, generator)
        taught = networks.products(x, probes, block).detach()
        gap = probed(networks, student, x, probes, taught, block)
        # E |A v|^2 = |A|_F^2: the mean over r probes stands for n n2 k^2 entries
        entries = taught.numel() * columns(x, block) * networks.outputs
    return gap / (_norm(taught) if settings.normalise == "relative" else entries)


def _norm(taught: Tensor) -> Tensor:
    """Return the squared norm that "relative" divides by, or refuse it."""
    norm = taught.square().sum()
    if not norm:
        raise ValueError(
            'normalise: "relative" needs a teacher whose logits and kernel are not all '
            'zero on every batch; use "raw"'
        )
    return norm


def probed(
    networks: Networks, student: dict, x: Tensor, probes: Tensor, taught: Tensor, block
) -> Tensor:
    r"""Return the sum of ||(K_s - K_t) v||^2 over probes, with its gradient.

    .. math:: d \, \| r \|^2 = 2 \, d \, (\bar r^T K_s v), \qquad r = (K_s - K_t) v

    The bar holds r fixed, so that the gradient costs two backward passes and one
    through them, and r itself needs no graph.

    Args:
        networks: Teacher and architecture.
        student: `at`, `masks` and `tangent` of the student.
        x: The batch.
        probes: Probes v (r, n2, k).
        taught: Products of the teacher's kernel with them (r, n, k).
        block: "cross" or "symmetric".

    Returns:
        Scalar with its graph.
    """
    values = student["at"]
    still = student | {"at": {name: value.detach() for name, value in values.items()}}
    gap = networks.products(x, probes, block, **still).detach() - taught
    total = gap.square().sum()
    if not any(value.requires_grad for value in values.values()):
        return total
    slope = networks.paired(x, gap, probes, **student)
    return total + 2 * (slope - slope.detach())


def gaussian(
    networks: Networks, count: int, x: Tensor, block: str, generator: torch.Generator
) -> Tensor:
    """Draw Gaussian probes (r, n2, k) on the CPU and move them."""
    shape = (count, columns(x, block), networks.outputs)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(x)
