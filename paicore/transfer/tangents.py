"""The logits and the tangent kernels of the teacher and of the student.

The only place of this package that asks `paicore.kernels` for kernels. All is taken on
one batch: a cross block pairs its first half with its second, a symmetric one the
batch with itself.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paicore.forward import logits, private_copy
from paicore.forward.private import like
from paicore.kernels import ntk
from paicore.kernels.ntk.checks import naming_inputs
from paicore.transfer.selection import masked

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Networks:
    """The architecture with the teacher's weights in it, and how batch norm is run.

    Attributes:
        teacher: Copy of the dense network in the dtype of the run.
        twin: Private copy that gives logits; None where statistics are frozen, since
            they are those of each batch at the weights of the moment.
        batch_norm: Mode.
        outputs: Number k of logits.
    """

    teacher: nn.Module
    twin: nn.Module | None
    batch_norm: str | None
    outputs: int

    def values(self) -> dict[str, Tensor]:
        """Return copies of the teacher's parameters, by name."""
        named = self.teacher.named_parameters()
        return {name: p.detach().clone().contiguous() for name, p in named}

    def taught(self, x: Tensor) -> Tensor:
        """Return the teacher's logits (n, k), checked."""
        with torch.no_grad():
            return logits(self.twin or self._frozen(self.teacher, x), x)

    def logits(self, values: Tensors, x: Tensor) -> Tensor:
        """Return logits (n, k) at some parameters, with a graph to them."""
        twin = self.twin
        if twin is None:
            loaded = copy.deepcopy(self.teacher)
            loaded.load_state_dict(dict(values), strict=False)
            twin = self._frozen(loaded, x)
        return functional_call(twin, dict(values), (x.clone(),))

    def _frozen(self, net: nn.Module, x: Tensor) -> nn.Module:
        """Return a private copy with the statistics of a batch."""
        return private_copy(net, dtype=None, batch_norm=self.batch_norm, stats_from=x)

    def kernel(self, x: Tensor, block: str, **student) -> Tensor:
        """Return a block of the kernel (n, n2, k, k): the teacher's without more.

        Args:
            x: The batch.
            block: "cross" or "symmetric".
            **student: `at`, `masks` and `tangent` of the student.

        Returns:
            The block, differentiable in `at`.
        """
        first, second = halves(x, block)
        options = {"dtype": None, "batch_norm": self.batch_norm, "progress": False}
        return ntk.gram(self.teacher, first, second, **options, **student)

    def products(self, x: Tensor, probes: Tensor, block: str, **student) -> Tensor:
        """Return the kernel times each probe: (r, n, k) for probes (r, n2, k)."""
        first, second = halves(x, block)
        options = {"dtype": None, "batch_norm": self.batch_norm, "progress": False}
        return ntk.matvec(self.teacher, first, probes, second, **options, **student)

    def paired(
        self, x: Tensor, left: Tensor, right: Tensor, *, at, masks, tangent: str
    ) -> Tensor:
        """Return the sum of left . K right, differentiable in `at`.

        Two backward passes each, and nothing that needs a third derivative, which
        batch norm in train mode does not have.

        Args:
            x: The batch.
            left: Vectors (r, n, k) on its first samples.
            right: Vectors (r, n2, k) on its last samples.
            at: Parameters of the student.
            masks: Its masks.
            tangent: Its tangent.

        Returns:
            Scalar.
        """
        seen = masked(at, masks)
        out = self.logits(seen, x)
        first, last = out[: left.shape[1]], out[len(out) - right.shape[1] :]
        total = out.new_zeros(())
        for ahead, back in zip(left, right, strict=True):
            pair = [
                torch.autograd.grad(
                    part, list(seen.values()), vector, create_graph=True,
                    allow_unused=True, materialize_grads=True,
                )
                for part, vector in ((first, ahead), (last, back))
            ]  # fmt: skip
            for name, mine, other in zip(seen, *pair, strict=True):
                if tangent == "masked" and name in masks:
                    mine = torch.where(masks[name], mine, 0)
                total = total + (mine * other).sum()
        return total


def networks(
    net: nn.Module, x: Tensor, *, dtype: torch.dtype | None, batch_norm: str | None
) -> Networks:
    """Copy the dense network and run it once, which checks it.

    Args:
        net: The dense network; not changed.
        x: A few inputs (n, *in_shape), of any dtype and device.
        dtype: Floating type of the run, or None for the network's own.
        batch_norm: Mode.

    Returns:
        The networks.

    Raises:
        ValueError: it gives no outputs.
    """
    with naming_inputs("x", x, net):
        twin = private_copy(net, dtype=dtype, batch_norm=batch_norm, stats_from=x)
        with torch.no_grad():
            outputs = logits(twin, like(x, twin)).shape[1]
    if outputs == 0:
        raise ValueError(f"net: expected outputs (n, k), got ({len(x)}, 0)")
    teacher = copy.deepcopy(net)
    if dtype is not None:
        teacher.to(dtype)
    for parameter in teacher.parameters():
        parameter.grad = None
    reused = None if batch_norm == "frozen" else twin
    return Networks(teacher, reused, batch_norm, outputs)


def halves(x: Tensor, block: str) -> tuple[Tensor, Tensor | None]:
    """Return the two sides of a block of the kernel."""
    if block == "symmetric":
        return x, None
    return x[: len(x) // 2], x[len(x) // 2 :]


def columns(x: Tensor, block: str) -> int:
    """Return how many samples the right-hand side of a block has."""
    return len(x) if block == "symmetric" else len(x) - len(x) // 2
