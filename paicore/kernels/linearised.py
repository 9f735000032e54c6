r"""Training in the linearised regime: outputs predicted from a Gram matrix alone.

With a constant kernel Theta a network's outputs obey, for a mean loss L over n samples,

.. math:: \dot f = -\Theta \, \nabla_f L \quad\text{(flow)}, \qquad
    f_{s+1} = f_s - \eta \, \Theta \, \nabla_f L(f_s) \quad\text{(descent)}

Everything is written through the accumulated gradient a (the integral of grad L, or
eta times its sum), which lives on the training points: f = f_0 - Theta a there and
f_* = f_*0 - Theta_* a anywhere else. Theta is never inverted, and directions in which
it is zero do not move.

Shapes: outputs (n, k); a Gram is (n, n, k, k) as `paicore.kernels.ntk` gives it, or
(n, n) for a kernel that is the same for every output and zero between two.

Losses: "mse" is (1/n) sum_i |f_i - y_i|^2 / 2, so PyTorch's `mse_loss`, a mean over all
n k entries without the half, at rate lr is "mse" at rate 2 lr / k. "cross_entropy" is
the mean cross-entropy of the logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.nn.functional import one_hot

LOSSES = ("mse", "cross_entropy")
ROUNDING = 1e-14  # times the size: eigenvalues below this share of the largest are zero
NOISE = 1e-5  # a share of the largest entry or eigenvalue that float32 explains
TOLERANCE = 1e-11  # of the integrator, relative and absolute in a


@dataclass(frozen=True)
class Prediction:
    """Predicted outputs at the asked times or steps.

    Attributes:
        train: Outputs on the training points, shape (times, n, k).
        test: Outputs on other points, shape (times, m, k), or None.
    """

    train: Tensor
    test: Tensor | None


def gradient_flow(
    gram: Tensor, outputs: Tensor, targets: Tensor, times: Sequence[float], *,
    loss: str = "mse", cross_gram: Tensor | None = None,
    cross_outputs: Tensor | None = None,
) -> Prediction:  # fmt: skip
    r"""Predict outputs under gradient flow with a constant kernel.

    .. math:: f(t) = y + e^{-\Theta t / n} (f_0 - y), \quad
        f_*(t) = f_{*0} - \Theta_* \Theta^{-1} (1 - e^{-\Theta t / n}) (f_0 - y)

    for "mse", through the eigenvectors of Theta, where (1 - e^{-lambda t / n}) / lambda
    is t / n at lambda = 0. For "cross_entropy" the equation is integrated.

    Args:
        gram: Theta on the training points, (n, n, k, k) or (n, n).
        outputs: Initial outputs f_0, (n, k).
        targets: For "mse" y of shape (n, k); for "cross_entropy" labels (n,).
        times: Rising times >= 0; "mse" takes infinity as well.
        loss: "mse" or "cross_entropy", see the module.
        cross_gram: Theta_* between m other points and the training points,
            (m, n, k, k) or (m, n).
        cross_outputs: Their initial outputs, (m, k); given together with `cross_gram`.

    Returns:
        Prediction in float64, on the device of `gram`.

    Cost: "mse": one eigendecomposition, (n k)^3; "cross_entropy": some hundreds of
    products Theta a.

    Accuracy: "mse" rounding; "cross_entropy" about 1e-9.

    Source: Lee et al. (2019), section 2.2, without the inverse.
    """
    problem = _problem(gram, outputs, targets, loss, cross_gram, cross_outputs)
    times = _rising("times", times)
    spend = _mse_flow if loss == "mse" else _integrated
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
        lr: Step eta, > 0; no momentum, no weight decay.
        loss: "mse" or "cross_entropy".
        cross_gram: As in `gradient_flow`.
        cross_outputs: As in `gradient_flow`.

    Returns:
        Prediction in float64, on the device of `gram`.

    Raises:
        ValueError: `lr` is not positive, or a step is no integer.

    Cost: "mse": one eigendecomposition; "cross_entropy": one product per step.

    Accuracy: exact up to rounding for a model that is linear in its parameters. For a
    smooth network one step errs by O(lr^2).
    """
    problem = _problem(gram, outputs, targets, loss, cross_gram, cross_outputs)
    steps = _rising("steps", steps)
    if not 0 < lr < inf:
        raise ValueError(f"lr: expected a positive number, got {lr!r}")
    if not all(step.is_integer() for step in steps):
        raise ValueError(f"steps: expected integers, got {steps}")
    spend = _mse_descent if loss == "mse" else _iterated
    return problem.predict(spend(problem, [int(step) for step in steps], lr))


@dataclass(frozen=True)
class _Problem:
    """A training problem in function space.

    A (n, n, k, k) Gram acts on one column of length n k, a (n, n) one on k columns of
    length n; `columns` says which, p is the length.
    """

    gram: Tensor  # (p, p)
    cross: Tensor | None  # (p of the other points, p)
    start: Tensor  # (n, k)
    targets: Tensor  # (n, k) or labels (n,)
    cross_start: Tensor | None  # (m, k)
    columns: int

    def column(self, f: Tensor) -> Tensor:
        """Reshape (n, k) to (p, columns)."""
        return f.reshape(-1, self.columns)

    def at(self, accumulated: Tensor) -> Tensor:
        """Return the training outputs f_0 - Theta a, (n, k)."""
        return self.start - (self.gram @ accumulated).view_as(self.start)

    def gradient(self, accumulated: Tensor) -> Tensor:
        """Return the gradient of the mean cross-entropy at f_0 - Theta a."""
        chances = torch.softmax(self.at(accumulated), dim=1)
        residual = chances - one_hot(self.targets, chances.shape[1])
        return self.column(residual / len(chances))

    def predict(self, accumulated: list[Tensor]) -> Prediction:
        """Turn accumulated gradients (p, columns) into outputs."""
        train = torch.stack([self.at(a) for a in accumulated])
        if self.cross is None:
            return Prediction(train, None)
        moved = [(self.cross @ a).view_as(self.cross_start) for a in accumulated]
        return Prediction(train, self.cross_start - torch.stack(moved))


def _problem(gram, outputs, targets, loss, cross, cross_start) -> _Problem:
    """Check what belongs together and bring every Gram to a matrix."""
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {LOSSES}, got {loss!r}")
    if outputs.dim() != 2:
        raise ValueError(f"outputs: expected (n, k), got {tuple(outputs.shape)}")
    if (cross is None) != (cross_start is None):
        raise ValueError("cross_gram, cross_outputs: give both or neither")
    (n, k), full = outputs.shape, gram.dim() == 4
    _check("gram", gram, (n, n, k, k) if full else (n, n))
    _check("targets", targets, (n, k) if loss == "mse" else (n,))
    if loss != "mse" and not (targets.min() >= 0 and targets.max() < k):
        raise ValueError(f"targets: expected labels 0 ... {k - 1}, got {targets}")
    if cross is not None:
        m = len(cross_start)
        _check("cross_outputs", cross_start, (m, k))
        _check("cross_gram", cross, (m, n, k, k) if full else (m, n))

    def put(tensor, dtype=torch.float64):
        return None if tensor is None else tensor.detach().to(gram.device, dtype)

    targets = put(targets, torch.float64 if loss == "mse" else torch.int64)
    kernels = [_matrix(put(kernel)) for kernel in (gram, cross)]
    return _Problem(*kernels, put(outputs), targets, put(cross_start), 1 if full else k)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse another shape, and what is not finite."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected {shape}, got {tuple(tensor.shape)}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: holds NaN or infinity")


def _matrix(gram: Tensor | None) -> Tensor | None:
    """Bring (m, n, k, k) to (m k, n k), samples outermost; (m, n) stays."""
    if gram is None or gram.dim() == 2:
        return gram
    m, n, k, _ = gram.shape
    return gram.permute(0, 2, 1, 3).reshape(m * k, n * k)


def _rising(name: str, values: Sequence[float]) -> list[float]:
    """Return times or steps, refusing what does not rise from zero or later."""
    found = [float(value) for value in values]
    rises = all(a < b for a, b in pairwise(found))
    if not found or not found[0] >= 0 or not rises:
        raise ValueError(f"{name}: expected rising numbers of at least 0, got {values}")
    return found


def _spectrum(problem: _Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Return rates lambda / n, eigenvectors, and (f_0 - y) / n in their frame."""
    gram, n = problem.gram, len(problem.start)
    if (gram - gram.T).abs().max() > NOISE * gram.abs().max():
        raise ValueError("gram: expected a symmetric kernel")
    values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    if values.min() < -NOISE * values.abs().max():
        raise ValueError(f"gram: expected no negative eigenvalue, got {values.min():g}")
    floor = ROUNDING * len(gram) * values.max()
    values = torch.where(values > floor, values, 0.0)
    residual = problem.column(problem.start - problem.targets) / n
    return values / n, vectors, vectors.T @ residual


def _mse_flow(problem: _Problem, times: list[float]) -> list[Tensor]:
    """Return a(t) = V (1 - e^{-rate t}) / rate V^T (f_0 - y) / n."""
    rates, vectors, residual = _spectrum(problem)
    safe = torch.where(rates > 0, rates, 1.0)

    def spent(time: float) -> Tensor:
        still = time if isfinite(time) else 0.0  # Theta does not show it
        return torch.where(rates > 0, -torch.expm1(-safe * time) / safe, still)

    return [vectors @ (spent(time)[:, None] * residual) for time in times]


def _mse_descent(problem: _Problem, steps: list[int], lr: float) -> list[Tensor]:
    """Return a_s = V (1 - (1 - lr rate)^s) / rate V^T (f_0 - y) / n."""
    rates, vectors, residual = _spectrum(problem)
    safe = torch.where(rates > 0, rates, 1.0)
    shrink = lr * safe  # above 2 the iteration diverges, as training does
    slow = shrink < 0.5  # these lose their digits in 1 - (1 - shrink)^s

    def spent(step: int) -> Tensor:
        careful = -torch.expm1(step * torch.log1p(-torch.where(slow, shrink, 0.0)))
        share = torch.where(slow, careful, 1 - (1 - shrink) ** step)
        return torch.where(rates > 0, share / safe, lr * step)

    return [vectors @ (spent(step)[:, None] * residual) for step in steps]


def _iterated(problem: _Problem, steps: list[int], lr: float) -> list[Tensor]:
    """Return a after each wanted number of steps of the recursion."""
    a, done, found = torch.zeros_like(problem.column(problem.start)), 0, []
    for step in steps:
        for _ in range(step - done):
            a = a + lr * problem.gradient(a)
        done = step
        found.append(a)
    return found


def _integrated(problem: _Problem, times: list[float]) -> list[Tensor]:
    """Return a at each time, integrated on the CPU from zero."""
    if not isfinite(times[-1]):
        raise ValueError("times: cross-entropy never settles; expected finite times")
    zero = torch.zeros_like(problem.column(problem.start))
    if times[-1] == 0:
        return [zero]

    def tensor(flat: np.ndarray) -> Tensor:
        return torch.tensor(flat, device=zero.device).view_as(zero)

    def speed(_: float, flat: np.ndarray) -> np.ndarray:
        return problem.gradient(tensor(flat)).flatten().cpu().numpy()

    span, tolerance = (0.0, times[-1]), {"rtol": TOLERANCE, "atol": TOLERANCE}
    start = zero.flatten().cpu().numpy()
    solution = solve_ivp(speed, span, start, "LSODA", times, **tolerance)
    if not solution.success:
        raise ValueError(f"times: {solution.message}")
    return [tensor(column) for column in solution.y.T]
