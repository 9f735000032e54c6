"""The student on its way: parameters, masks, the optimiser and its moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paicore.transfer.selection import by_magnitude
from paicore.transfer.settings import Settings

MOMENTS = ("exp_avg", "exp_avg_sq")  # torch's names of Adam's two


@dataclass
class State:
    """Everything that changes during a run.

    Attributes:
        values: The student's parameters theta by name, unmasked.
        masks: Its masks.
        first: The masks it started with.
        optimizer: Adam or SGD over `values`.
        step: Updates done.
        log: Rows so far.
    """

    values: dict[str, Tensor]
    masks: dict[str, Tensor]
    first: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    log: list[dict] = field(default_factory=list)

    def descend(self, gradients: Sequence[Tensor]) -> None:
        """Take one step along the gradients, in the order of `values`."""
        for value, gradient in zip(self.values.values(), gradients, strict=True):
            value.grad = gradient.contiguous()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1

    def reselect(self, settings: Settings) -> None:
        """Choose the largest weights anew; "clear" forgets those that leave."""
        fresh = by_magnitude(self.values, settings, self.masks)
        if settings.moments == "clear":
            for name, moments in self.moments().items():
                left = self.masks.get(name) if name in self.masks else None
                for moment in moments if left is not None else ():
                    moment[left & ~fresh[name]] = 0
        self.masks = fresh

    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """Return Adam's two moments by name; SGD has none."""
        held = self.optimizer.state
        return {
            name: tuple(held[value][kind] for kind in MOMENTS)
            for name, value in self.values.items()
            if MOMENTS[0] in held.get(value, {})
        }

    def restore_moments(self, moments: Mapping[str, Sequence[Tensor]]) -> None:
        """Put Adam's moments back, after `step` steps."""
        for name, pair in moments.items():
            value = self.values[name]
            self.optimizer.state[value] = {
                "step": torch.tensor(  # as Adam counts, whatever the default dtype is
                    float(self.step), dtype=torch.float32, device=value.device
                ),
                **dict(zip(MOMENTS, pair, strict=True)),
            }


def started(
    values: Mapping[str, Tensor], masks: Mapping[str, Tensor], settings: Settings
) -> State:
    """Return the state before the first step.

    Args:
        values: The teacher's parameters, copies; the student starts at them.
        masks: First masks.
        settings: Optimiser and learning rate.

    Returns:
        The state.
    """
    values = {name: value.requires_grad_() for name, value in values.items()}
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(list(values.values()), lr=settings.lr, fused=True)
    return State(values, dict(masks), dict(masks), optimizer)
