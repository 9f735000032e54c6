r"""Distances of two spectra, and of two kernels.

With eigenvalues in rising order and :math:`r_i = \log_{10} \lambda_i / \lambda^0_i`,

.. math:: \text{rms} = \sqrt{\overline{r^2}}, \quad
          \text{scale} = 10^{\bar r}, \quad
          \text{scale-free rms} = \sqrt{\overline{(r - \bar r)^2}},

so that rms^2 = (log10 scale)^2 + (scale-free rms)^2. A learning rate absorbs the
scale. The alignment is the cosine of the angle between two kernels as matrices: unlike
the others it also sees their eigenvectors.
"""

import torch
from torch import Tensor

NAN = float("nan")


def matrix(kernel: Tensor) -> Tensor:
    """Lay a kernel (n, n, k, k) out as (n k, n k), float64."""
    n, _, k, _ = kernel.shape
    return kernel.double().transpose(1, 2).reshape(n * k, n * k)


def spectrum(kernel: Tensor) -> Tensor:
    """Return the eigenvalues of a kernel matrix in rising order."""
    return torch.linalg.eigvalsh(kernel)


def resolved(values: Tensor, precision: torch.dtype) -> tuple[Tensor, int]:
    """Lift what is below rounding to rounding, so that it has a logarithm.

    Args:
        values: Eigenvalues, rising.
        precision: What the kernel was computed in.

    Returns:
        The eigenvalues, at least one rounding error of the largest, and how many of
        them were lifted.
    """
    floor = torch.finfo(precision).eps * float(values[-1])
    return values.clamp(min=floor), int((values < floor).sum())


def distances(values: Tensor, dense: Tensor) -> dict[str, float]:
    """Return rms, scale-free rms and scale of a spectrum against the dense one."""
    ratio = torch.log10(values / dense)
    middle = ratio.mean()
    return {
        "rms": float(ratio.square().mean().sqrt()),
        "scale_free": float((ratio - middle).square().mean().sqrt()),
        "scale": float(10**middle),
    }


def alignment(kernel: Tensor, dense: Tensor) -> float:
    """Return the cosine of the angle between two kernel matrices."""
    return float((kernel * dense).sum() / (kernel.norm() * dense.norm()))


def condition(values: Tensor) -> float:
    """Return the largest eigenvalue over the least."""
    return float(values[-1] / values[0])
