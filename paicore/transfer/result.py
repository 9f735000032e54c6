"""What a transfer ends with, and the error that ends one too early."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from paicore.masks.container import Masks

LOG = (
    "step", "loss", "kernel", "target", "l2", "masked", "ambient", "masked_relative",
    "ambient_relative", "kept", "turnover",
)  # fmt: skip


class Diverged(RuntimeError):
    """A loss or a weight is not finite, or the loss a thousand times what it was.

    Attributes:
        log: Rows up to then, as in `Transfer`.
        step: The step at which it happened, counted from 1.
    """

    # the defaults let it travel between processes, which build it from its message
    def __init__(self, message: str, step: int = 0, log: Sequence[dict] = ()) -> None:
        super().__init__(message)
        self.step, self.log = step, list(log)


@dataclass(frozen=True)
class Transfer:
    """A sparse network that matches its teacher.

    Attributes:
        masks: Which weights it keeps.
        weights: All parameters by name, pruned ones 0; where training starts.
        theta: The same before masking: pruned weights have the value they were left
            at, which they would return with.
        log: One dict per logged step, with the keys of `LOG`.
    """

    masks: Masks
    weights: Mapping[str, Tensor] = field(repr=False)
    theta: Mapping[str, Tensor] = field(repr=False)
    log: list[dict] = field(repr=False)

    def apply_(self, net: nn.Module) -> nn.Module:
        """Load the masked weights into a network, in place, and return it.

        Args:
            net: Network of the same architecture, on any device, of any dtype.

        Returns:
            The network.

        Raises:
            TypeError: `net` is no module.
            ValueError: its parameters have other names or shapes.
        """
        if not isinstance(net, nn.Module):
            raise TypeError(f"net: expected a torch.nn.Module, got {type(net)}")
        own = {name: p.shape for name, p in net.named_parameters()}
        mine = {name: weight.shape for name, weight in self.weights.items()}
        if own != mine:
            apart = sorted(n for n in own.keys() | mine if own.get(n) != mine.get(n))
            raise ValueError(f"net: expected the teacher's architecture; {apart[:3]} "
                             "differ in name or shape")  # fmt: skip
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.copy_(self.weights[name])
        return net
