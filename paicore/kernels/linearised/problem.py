"""A training problem in function space: what belongs together, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from paicore.forward.weights import check_plain

LOSSES = ("mse", "cross_entropy")
ROUNDING = 1e-14  # times the size: eigenvalues below this share of the largest are zero
NOISE = 1e-5  # a share of the largest entry or eigenvalue that float32 explains


@dataclass(frozen=True)
class Prediction:
    """Predicted outputs at the asked times or steps.

    Attributes:
        train: Outputs on the training points, shape (times, n, k).
        test: Outputs on other points, shape (times, m, k), or None.
    """

    train: Tensor
    test: Tensor | None


@dataclass(frozen=True)
class Problem:
    """A training problem in function space.

    A (n, n, k, k) Gram acts on one column of length n k, a (n, n) one on k columns of
    length n; `columns` says which, p is the length.
    """

    gram: Tensor  # (p, p), without what is rounding
    cross: Tensor | None  # (p of the other points, p), likewise
    values: Tensor  # (p,), eigenvalues of `gram`, at least 0
    vectors: Tensor  # (p, p), its eigenvectors in columns
    shown: Tensor  # (p,), which of them any output depends on
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
        train = _finite(torch.stack([self.at(a) for a in accumulated]))
        if self.cross is None:
            return Prediction(train, None)
        moved = [(self.cross @ a).view_as(self.cross_start) for a in accumulated]
        return Prediction(train, _finite(self.cross_start - torch.stack(moved)))


def _finite(outputs: Tensor) -> Tensor:
    """Return outputs, or refuse those beyond float64.

    Raises:
        ValueError: they are.
    """
    if not torch.isfinite(outputs).all():
        raise ValueError(
            "lr, times: the predicted outputs leave the range of float64; above 2 n / "
            "(largest eigenvalue) descent diverges"
        )
    return outputs


def prepare(gram, outputs, targets, loss, cross, cross_start) -> Problem:
    """Check what belongs together and bring every Gram to a matrix."""
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {LOSSES}, got {loss!r}")
    _check_tensors(gram=gram, outputs=outputs, targets=targets)
    if outputs.dim() != 2:
        raise ValueError(f"outputs: expected (n, k), got {tuple(outputs.shape)}")
    if (cross is None) != (cross_start is None):
        raise ValueError("cross_gram, cross_outputs: give both or neither")
    (n, k), full = outputs.shape, gram.dim() == 4
    _check("gram", gram, (n, n, k, k) if full else (n, n))
    _check("targets", targets, (n, k) if loss == "mse" else (n,))
    if loss != "mse" and targets.is_floating_point():
        raise TypeError(f"targets: expected integer labels, got {targets.dtype}")
    if loss != "mse" and not (targets.min() >= 0 and targets.max() < k):
        raise ValueError(f"targets: expected labels 0 ... {k - 1}, got {targets}")
    _check("outputs", outputs, (n, k))
    if cross is not None:
        _check_tensors(cross_gram=cross, cross_outputs=cross_start)
        m = len(cross_start)
        _check("cross_outputs", cross_start, (m, k))
        _check("cross_gram", cross, (m, n, k, k) if full else (m, n))

    def put(tensor, dtype=torch.float64):
        return None if tensor is None else tensor.detach().to(gram.device, dtype)

    targets = put(targets, torch.float64 if loss == "mse" else torch.int64)
    kernels = [matrix(put(kernel)) for kernel in (gram, cross)]
    given = [_share(kernel) for kernel in (gram, cross) if kernel is not None]
    spectral = _cleaned(*kernels, max(given))
    rest = put(outputs), targets, put(cross_start), 1 if full else k
    return Problem(*spectral, *rest)


def _share(kernel: Tensor) -> float:
    """Return which share of its largest eigenvalue is rounding, per row."""
    inexact = torch.is_floating_point(kernel)
    return max(ROUNDING, torch.finfo(kernel.dtype).eps if inexact else 0.0)


def _cleaned(gram: Tensor, cross: Tensor | None, share: float):
    """Return the kernels without rounding, and the spectrum as `Problem` holds it.

    Of a direction v where gram is below a share s of its largest eigenvalue,
    Cauchy-Schwarz leaves abs(cross v) about sqrt(s) of cross: less is rounding, and
    would grow with time like v's own residual; more is kept.

    Raises:
        ValueError: gram is not symmetric, or has negative eigenvalues.
    """
    if (gram - gram.T).abs().max() > NOISE * gram.abs().max():
        raise ValueError("gram: expected a symmetric kernel")
    values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    if values.min() < -NOISE * values.abs().max():
        raise ValueError(f"gram: expected no negative eigenvalue, got {values.min():g}")
    share = share * len(gram)
    still = values <= share * values.max()
    values, shown = torch.where(still, 0.0, values), ~still
    if cross is not None:
        along = cross @ vectors
        shown = shown | (along.norm(dim=0) > share**0.5 * cross.norm())
        cross = cross - along[:, ~shown] @ vectors[:, ~shown].T
    return (vectors * values) @ vectors.T, cross, values, vectors, shown


def _check_tensors(**given) -> None:
    """Refuse what is no tensor."""
    for name, each in given.items():
        if not isinstance(each, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(each).__name__}")
        if each.is_complex():
            raise TypeError(f"{name}: expected real numbers, got {each.dtype}")
        check_plain(each, name)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse another shape, and what is not finite."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected {shape}, got {tuple(tensor.shape)}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: holds NaN or infinity")


def matrix(gram: Tensor | None) -> Tensor | None:
    """Bring (m, n, k, k) to (m k, n k), samples outermost; (m, n) stays."""
    if gram is None or gram.dim() == 2:
        return gram
    m, n, k, _ = gram.shape
    return gram.permute(0, 2, 1, 3).reshape(m * k, n * k)


def rising(name: str, values: Sequence[float]) -> list[float]:
    """Return times or steps, refusing what does not rise from zero or later."""
    try:
        given = [values] if isinstance(values, (str, bytes)) else list(values)
        found = [float(value) for value in given if not isinstance(value, str)]
    except TypeError as error:
        raise TypeError(f"{name}: expected numbers, got {values!r}") from error
    if len(found) < len(given):
        raise TypeError(f"{name}: expected numbers, got {values!r}")
    rises = all(a < b for a, b in pairwise(found))
    if not found or not found[0] >= 0 or not rises:
        raise ValueError(f"{name}: expected rising numbers of at least 0, got {values}")
    return found
