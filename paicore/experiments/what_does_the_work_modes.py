"""Which directions of the teacher's kernel a student has: Rayleigh quotients."""

import torch
from torch import Tensor, nn

from paicore.experiments.matching_a_teacher_rivals import start
from paicore.experiments.matching_a_teacher_students import Setting, images, teacher
from paicore.kernels import ntk

SHOWN = (*range(20), *range(29, 200, 10))
TOP, REST = slice(0, 10), slice(19, 200)
MODES = (
    "eigenvalue",
    "carried",
    "quotient_masked",
    "quotient_ambient",
    "top_masked",
    "rest_masked",
    "top_ambient",
    "rest_ambient",
    "trace_ratio",
    "relative_masked",
    "relative_ambient",
)


def matrix(net: nn.Module, x: Tensor, **options) -> Tensor:
    """Return the kernel as a symmetric matrix (n k, n k), float64."""
    kernel = ntk.gram(net, x, **options).double()  # (n, n, k, k)
    n, _, k, _ = kernel.shape
    return kernel.transpose(1, 2).reshape(n * k, n * k)


def run_modes(config: Setting, cell: dict) -> list[dict]:
    r"""Compare a sparse network's kernels with the teacher's, mode by mode.

    .. math:: q_i = u_i^T K u_i / \lambda_i, \qquad K_T u_i = \lambda_i u_i

    Conventions: on the validation block against itself, modes counted from 0.
    "carried" is the share of the squared Frobenius norm of K_T in modes 0 to i. "top"
    is the mean quotient of modes 0 to 9, "rest" of 19 to 199, in each tangent space;
    "trace_ratio" is tr K / tr K_T in the masked one, "relative" is
    ||K - K_T||_F / ||K_T||_F.

    Args:
        config: The setting.
        cell: The run.

    Returns:
        One row per shown mode, whose number is the step.
    """
    x = images(config.data, config.enlarge, config.matched)[1]
    dense = teacher(config, cell["seed"])
    net, masks, _ = start(config, cell)
    taught, fixed, along = matrix(dense, x), {}, {}
    values, vectors = (each.flip(-1) for each in torch.linalg.eigh(taught))
    for tangent in ("masked", "ambient"):
        kernel = matrix(net, x, masks=masks, tangent=tangent)
        quotients = (vectors * (kernel @ vectors)).sum(0) / values
        along[tangent] = quotients.tolist()
        fixed |= {
            f"top_{tangent}": float(quotients[TOP].mean()),
            f"rest_{tangent}": float(quotients[REST].mean()),
            f"relative_{tangent}": float((kernel - taught).norm() / taught.norm()),
        }
        if tangent == "masked":
            fixed["trace_ratio"] = float(kernel.trace() / taught.trace())
    carried = (values.square().cumsum(0) / values.square().sum()).tolist()
    return [
        {"step": mode, "eigenvalue": float(values[mode]), "carried": carried[mode]}
        | {f"quotient_{tangent}": each[mode] for tangent, each in along.items()}
        | fixed
        for mode in SHOWN
    ]
