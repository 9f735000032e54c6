"""How accumulated gradients evolve: closed forms, recursion, integration."""

import itertools
from math import isfinite

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from paicore.kernels.linearised.problem import Problem

TOLERANCE = 1e-11  # of the integrator, relative and absolute in a
MOST = 100_000  # evaluations of the gradient; some hundreds are usual


def _rates(problem: Problem) -> tuple[Tensor, Tensor]:
    """Return rates lambda / n, and (f_0 - y) / n in the frame of the eigenvectors."""
    n = len(problem.start)
    residual = problem.column(problem.start - problem.targets) / n
    return problem.values / n, problem.vectors.T @ residual


def mse_flow(problem: Problem, times: list[float]) -> list[Tensor]:
    """Return a(t) = V (1 - e^{-rate t}) / rate V^T (f_0 - y) / n."""
    rates, residual = _rates(problem)
    safe = torch.where(rates > 0, rates, 1.0)

    def spent(time: float) -> Tensor:
        still = problem.shown * (time if isfinite(time) else 0.0)
        return torch.where(rates > 0, -torch.expm1(-safe * time) / safe, still)

    return [problem.vectors @ (spent(time)[:, None] * residual) for time in times]


def mse_descent(problem: Problem, steps: list[int], lr: float) -> list[Tensor]:
    """Return a_s = V (1 - (1 - lr rate)^s) / rate V^T (f_0 - y) / n."""
    rates, residual = _rates(problem)
    safe = torch.where(rates > 0, rates, 1.0)
    shrink = lr * safe  # above 2 the iteration diverges, as training does
    slow = shrink < 0.5  # these lose their digits in 1 - (1 - shrink)^s

    def spent(step: int) -> Tensor:
        careful = -torch.expm1(step * torch.log1p(-torch.where(slow, shrink, 0.0)))
        share = torch.where(slow, careful, 1 - (1 - shrink) ** step)
        return torch.where(rates > 0, share / safe, lr * step * problem.shown)

    return [problem.vectors @ (spent(step)[:, None] * residual) for step in steps]


def iterated(problem: Problem, steps: list[int], lr: float) -> list[Tensor]:
    """Return a after each wanted number of steps of the recursion."""
    a, done, found = torch.zeros_like(problem.column(problem.start)), 0, []
    for step in steps:
        for _ in range(step - done):
            a = a + lr * problem.gradient(a)
        done = step
        found.append(a)
    return found


def integrated(problem: Problem, times: list[float]) -> list[Tensor]:
    """Return a at each time, integrated on the CPU from zero."""
    if not isfinite(times[-1]):
        raise ValueError("times: cross-entropy never settles; expected finite times")
    zero = torch.zeros_like(problem.column(problem.start))
    if times[-1] == 0:
        return [zero]

    def tensor(flat: np.ndarray) -> Tensor:
        return torch.tensor(flat, device=zero.device).view_as(zero)

    calls = itertools.count(1)

    def speed(_: float, flat: np.ndarray) -> np.ndarray:
        if next(calls) > MOST:
            raise ValueError(f"gram, times: integration up to {times[-1]:g} takes more "
                             f"than {MOST} evaluations; scale the Gram, or stop "
                             "earlier")  # fmt: skip
        return problem.gradient(tensor(flat)).flatten().cpu().numpy()

    span, tolerance = (0.0, times[-1]), {"rtol": TOLERANCE, "atol": TOLERANCE}
    start = zero.flatten().cpu().numpy()
    solution = solve_ivp(speed, span, start, "LSODA", times, **tolerance)
    if not solution.success:
        raise ValueError(f"times: {solution.message}")
    return [tensor(column) for column in solution.y.T]
