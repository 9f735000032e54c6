"""Outputs under gradient flow and gradient descent, from a Gram matrix alone."""

from collections.abc import Sequence
from math import inf

from torch import Tensor

from paicore.kernels.linearised.dynamics import (
    integrated,
    iterated,
    mse_descent,
    mse_flow,
)
from paicore.kernels.linearised.problem import Prediction, prepare, rising


def gradient_flow(
    gram: Tensor, outputs: Tensor, targets: Tensor, times: Sequence[float], *,
    loss: str = "mse", cross_gram: Tensor | None = None,
    cross_outputs: Tensor | None = None,
) -> Prediction:  # fmt: skip
    r"""Predict outputs under gradient flow with a constant kernel.

    .. math:: f(t) = y + e^{-\Theta t / n} (f_0 - y), \quad
        f_*(t) = f_{*0} - \Theta_* \Theta^{-1} (1 - e^{-\Theta t / n}) (f_0 - y)

    for "mse", through the eigenvectors of Theta, where (1 - e^{-lambda t / n}) / lambda
    is t / n at lambda = 0. For "cross_entropy" the equation is integrated. Shapes that
    do not fit, a Gram that is not symmetric or has negative eigenvalues, and times that
    do not rise raise ValueError, what is no tensor TypeError.

    Args:
        gram: Theta on the training points, (n, n, k, k) or (n, n).
        outputs: Initial outputs f_0, (n, k).
        targets: For "mse" y of shape (n, k); for "cross_entropy" labels (n,).
        times: Rising times >= 0; "mse" takes infinity as well.
        loss: "mse" or "cross_entropy", see the module.
        cross_gram: Theta_* between m other points and the training points,
            (m, n, k, k) or (m, n); of the same kernel, see the module on batch norm.
        cross_outputs: Their initial outputs, (m, k); given together with `cross_gram`.

    Returns:
        Prediction in float64, on the device of `gram`.

    Cost: one eigendecomposition, (n k)^3, or n^3 for a Gram (n, n); "cross_entropy"
    besides some hundreds of products Theta a.

    Accuracy: "mse" rounding of the Gram; "cross_entropy" about 1e-9.

    Source: Lee et al. (2019), section 2.2, without the inverse.
    """
    problem = prepare(gram, outputs, targets, loss, cross_gram, cross_outputs)
    times = rising("times", times)
    spend = mse_flow if loss == "mse" else integrated
    return problem.predict(spend(problem, times))


def gradient_descent(
    gram: Tensor, outputs: Tensor, targets: Tensor, steps: Sequence[int], *,
    lr: float, loss: str = "mse", cross_gram: Tensor | None = None,
    cross_outputs: Tensor | None = None,
) -> Prediction:  # fmt: skip
    r"""Predict outputs under full-batch gradient descent with a constant kernel.

    .. math:: f_s = y + (1 - \eta \Theta / n)^s (f_0 - y)

    for "mse"; for "cross_entropy" the recursion in function space is run.

    Args:
        gram: As in `gradient_flow`.
        outputs: As in `gradient_flow`.
        targets: As in `gradient_flow`.
        steps: Rising numbers of steps >= 0 at which outputs are wanted.
        lr: Step eta, > 0, on the loss as defined in the module; no momentum, no weight
            decay. For "mse" a network trained with PyTorch's `mse_loss` at rate r
            takes lr = 2 r / k; for "cross_entropy" lr = r.
        loss: "mse" or "cross_entropy".
        cross_gram: As in `gradient_flow`.
        cross_outputs: As in `gradient_flow`.

    Returns:
        Prediction in float64, on the device of `gram`.

    Raises:
        ValueError: `lr` is not positive, or a step is no integer; what
            `gradient_flow` refuses is refused here too.

    Cost: one eigendecomposition; "cross_entropy" besides one product per step.

    Accuracy: exact up to rounding for a model that is linear in its parameters. For a
    smooth network one step errs by O(lr^2).
    """
    problem = prepare(gram, outputs, targets, loss, cross_gram, cross_outputs)
    steps = rising("steps", steps)
    number = isinstance(lr, (int, float)) and not isinstance(lr, bool)
    if not (number and 0 < lr < inf):
        raise ValueError(f"lr: expected a positive number, got {lr!r}")
    if not all(step.is_integer() for step in steps):
        raise ValueError(f"steps: expected integers, got {steps}")
    spend = mse_descent if loss == "mse" else iterated
    return problem.predict(spend(problem, [int(step) for step in steps], lr))
