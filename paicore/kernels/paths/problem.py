"""A network made ready for path sums, and the one call that takes such a sum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paicore.forward import private_copy, prunable
from paicore.kernels.paths.algebra import Algebra, Reach
from paicore.kernels.paths.readable import check_readable

TINY = 1e-290  # below, doubles lose digits soon


@dataclass(frozen=True)
class Problem:
    """A private, masked float64 copy of a network and what path sums need of it.

    Attributes:
        twin: The copy; its own parameters are not used for sums.
        theta: name -> parameter, pruned weights zero; weights, biases, gamma, beta.
        alive: name -> bool tensor, False where pruned.
        weights: Names of the prunable weights.
        x: What path sums start from, (1, *in_shape), non-negative.
        bias: "keep" or "zero".
    """

    twin: nn.Module
    theta: dict[str, Tensor]
    alive: dict[str, Tensor]
    weights: tuple[str, ...]
    x: Tensor
    bias: str

    def powers(self, q: int) -> dict[str, Tensor]:
        """Return abs(theta)^q, ready to be differentiated by; alive if q = 0."""
        if q == 0:
            values = {name: alive.double() for name, alive in self.alive.items()}
        else:
            values = {name: each.abs() ** q for name, each in self.theta.items()}
        return {name: each.requires_grad_() for name, each in values.items()}

    def names(self, params: str, added: set[str]) -> list[str]:
        """Return the names that count: all, or weights; none that was left out."""
        if params not in ("trainable", "prunable"):
            raise ValueError(
                f"params: expected 'trainable' or 'prunable', got {params!r}"
            )
        kept = self.weights if params == "prunable" else self.theta
        left_out = added if self.bias == "zero" else set()
        return [name for name in kept if name not in left_out]


def prepare(
    net: nn.Module,
    in_shape: tuple[int, ...],
    masks: Mapping[str, Tensor] | None = None,
    bias: str = "keep",
    input_weights: Tensor | None = None,
) -> Problem:
    """Copy a network into a `Problem`.

    Returns:
        The problem.

    Raises:
        ValueError: an argument does not fit.
    """
    if bias not in ("keep", "zero"):
        raise ValueError(f"bias: expected 'keep' or 'zero', got {bias!r}")
    _check_shape(in_shape)
    check_readable(net)
    twin = private_copy(net, masks=masks, batch_norm="eval")
    theta = {name: p.detach() for name, p in twin.named_parameters()}
    alive = {name: torch.ones_like(p, dtype=torch.bool) for name, p in theta.items()}
    for name, mask in (masks or {}).items():
        alive[name] = mask.to(alive[name].device)
    device = next(iter(theta.values())).device
    x = torch.ones(1, *in_shape, dtype=torch.float64, device=device)
    if input_weights is not None:
        # a copy: a network that works in place must not reach the caller's tensor
        x = _checked(input_weights, in_shape).detach().to(x)[None].clone()
    return Problem(twin, theta, alive, tuple(prunable(twin)), x, bias)


def _check_shape(in_shape: tuple[int, ...]) -> None:
    """Refuse what is no shape."""
    sizes = in_shape if isinstance(in_shape, (tuple, list, torch.Size)) else (None,)
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"in_shape: expected a tuple of ints, got {in_shape!r}")
    if not sizes or min(sizes) < 1:
        raise ValueError(f"in_shape: expected positive sizes, got {in_shape!r}")


def check_vector(vector: Mapping[str, Tensor]) -> None:
    """Refuse what is no mapping of finite tensors.

    Raises:
        TypeError: it is none.
        ValueError: a tensor holds NaN or infinity.
    """
    tensors = vector.values() if isinstance(vector, Mapping) else (None,)
    if not all(isinstance(each, Tensor) for each in tensors):
        raise TypeError(f"vector: expected name -> tensor, got {vector!r}")
    if not all(bool(torch.isfinite(each).all()) for each in tensors):
        raise ValueError("vector: holds NaN or infinity")
    for name, each in vector.items():
        check_real(each, f"vector: {name!r}")


def check_real(values: Tensor, what: str) -> None:
    """Refuse complex numbers, whose imaginary part a conversion would drop.

    Raises:
        ValueError: they are.
    """
    if values.is_complex():
        raise ValueError(f"{what}: expected real numbers, got {values.dtype}")


def _checked(weights: Tensor, in_shape: tuple[int, ...]) -> Tensor:
    """Refuse input weights of another shape, negative or not finite.

    Returns:
        The weights as they are.

    Raises:
        TypeError: they are no tensor.
        ValueError: they are.
    """
    if not isinstance(weights, Tensor):
        kind = type(weights).__name__
        raise TypeError(f"input_weights: expected a tensor, got {kind}")
    check_real(weights, "input_weights")
    if tuple(weights.shape) != tuple(in_shape):
        raise ValueError(
            f"input_weights: expected shape {tuple(in_shape)}, got "
            f"{tuple(weights.shape)}"
        )
    if not torch.isfinite(weights).all() or bool((weights < 0).any()):
        raise ValueError("input_weights: expected finite numbers >= 0, such as the "
                         "mean of un-normalised pixels")  # fmt: skip
    return weights


def total(problem: Problem, values: dict[str, Tensor], q: int):
    """Return R_q, a scalar with its graph, and the names of added parameters.

    Args:
        problem: The network.
        values: What stands on the edges, from `Problem.powers`.
        q: The power of the constants.

    Raises:
        ValueError: a module has no path form, or the sum leaves float64.
    """
    algebra = Algebra(q, sources=problem.bias == "keep")
    out = algebra.run(problem.twin, values, problem.x).sum()
    check_range(out, f"R_{q}, the sum over paths of abs(product)^{q},")
    if float(out.detach()) < TINY and _connected(problem):
        raise ValueError(f"net: R_{q}, the sum over paths of abs(product)^{q}, falls "
                         "below the range of float64; rescale the weights")  # fmt: skip
    return out, algebra.added


def check_range(values: Tensor, what: str) -> None:
    """Refuse sums beyond float64.

    Raises:
        ValueError: a value is infinite or not a number.
    """
    if not torch.isfinite(values).all():
        raise ValueError(
            f"net: {what} exceeds the range of float64; rescale the weights"
        )


def check_floor(largest, powers: Iterable[tuple[Tensor, Tensor]], what: str) -> None:
    """Refuse sums that vanish because powers of numbers in them do.

    Args:
        largest: The largest of the sums.
        powers: Pairs of numbers and their powers.
        what: Name of the sums.

    Raises:
        ValueError: all sums are nearly 0, and a power is 0 whose number is not.
    """
    if float(largest) < TINY and any(
        bool(((power == 0) & (number != 0)).any()) for number, power in powers
    ):
        raise ValueError(
            f"net: {what} falls below the range of float64; rescale the weights"
        )


def _connected(problem: Problem) -> bool:
    """Tell whether any path has no zero on it; squares of its numbers may be 0."""
    with torch.no_grad():
        signs = {name: (p != 0).double() for name, p in problem.theta.items()}
        start = (problem.x > 0).double()
        reach = Reach(sources=problem.bias == "keep")
        return bool((reach.run(problem.twin, signs, start) > 0).any())


def gradients(out: Tensor, values: dict[str, Tensor], **options) -> dict[str, Tensor]:
    """Return d out / d value by name, zero where a value is not used."""
    if not out.requires_grad:  # no value is on a path
        return {name: torch.zeros_like(each) for name, each in values.items()}
    found = torch.autograd.grad(
        out, list(values.values()), allow_unused=True, materialize_grads=True, **options
    )
    return dict(zip(values, found, strict=True))
