"""How far the student is from its teacher, in both kernels, on one fixed block."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from paicore.transfer.objective import gaussian
from paicore.transfer.settings import Settings
from paicore.transfer.tangents import Networks, columns

PROBES = 16  # fixed ones, the same at every row, where kernels are estimated
TANGENTS = ("masked", "ambient")


@dataclass(frozen=True)
class Validation:
    """The block, first half against second half, and what the teacher has on it.

    Attributes:
        networks: Teacher and architecture.
        x: Its inputs.
        taught: The teacher's block (n, n2, k, k), or its products with the probes.
        probes: (r, n2, k), or None where kernels are exact.
        logits: The teacher's logits (2 n, k).
    """

    networks: Networks
    x: Tensor
    taught: Tensor
    probes: Tensor | None
    logits: Tensor

    def distances(
        self, values: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Return mean-square and relative distances in both tangents.

        Args:
            values: The student's parameters, unmasked, without a graph.
            masks: Its masks.

        Returns:
            "masked", "ambient": mean of the squared difference over all entries;
            "masked_relative", "ambient_relative": ||K_s - K_t||_F / ||K_t||_F.
        """
        norm, found = float(self.taught.double().square().sum()), {}
        for tangent in TANGENTS:
            mine = self._student(at=values, masks=masks, tangent=tangent)
            gap = float((mine - self.taught).double().square().sum())
            found[tangent] = gap / self.entries
            found[f"{tangent}_relative"] = (gap / norm) ** 0.5
        return found

    def _student(self, **student) -> Tensor:
        """Return the student's block or products."""
        if self.probes is None:
            return self.networks.kernel(self.x, "cross", **student)
        return self.networks.products(self.x, self.probes, "cross", **student)

    @property
    def entries(self) -> int:
        """Entries of the block that a sum of squares stands for."""
        if self.probes is None:
            return self.taught.numel()
        return self.taught.numel() * columns(self.x, "cross") * self.networks.outputs

    def nothing(self, settings: Settings) -> float:
        """Return the loss, but for L2, of a network whose weights are all zero."""
        kernel, target = 1.0, 1.0
        if settings.normalise == "raw":
            kernel = float(self.taught.double().square().sum()) / self.entries
            target = float(self.logits.double().square().mean())
        return settings.kernel_weight * kernel + settings.target_weight * target


def held_out(
    networks: Networks, x: Tensor, settings: Settings, generator: torch.Generator
) -> Validation:
    """Take the teacher's side of the validation block once.

    Args:
        networks: Teacher and architecture.
        x: Inputs of the block.
        settings: Says whether kernels are exact or estimated.
        generator: Source of the probes.

    Returns:
        The block.

    Raises:
        ValueError: the teacher's kernel is zero on it.
    """
    logits, probes = networks.taught(x), None
    if settings.estimator == "probe":
        probes = gaussian(networks, PROBES, x, "cross", generator)
        taught = networks.products(x, probes, "cross").detach()
    else:
        taught = networks.kernel(x, "cross").detach()
    if not taught.double().square().sum():
        raise ValueError(
            "validation: the teacher's kernel is zero on this block (x's first batch "
            "where None), so no distance is relative to it; give other inputs"
        )
    return Validation(networks, x, taught, probes, logits)
