"""Members' tensors, stacked along a new first dimension."""

from dataclasses import dataclass

import torch

from paicore.train.fitting import optimizer_over
from paicore.train.masking import zero_pruned
from paicore.train.population.members import Member
from paicore.train.recipe import Recipe

State = dict[str, torch.Tensor]  # name to tensor


@dataclass(frozen=True)
class Stack:
    """What M members train, each tensor (M, *shape of one member's).

    Attributes:
        parameters: Leaves; those that are trained require a gradient.
        buffers: Of the networks; updated in place.
        factors: Masks as numbers, of the parameters that any member masks.
        optimizer: Over the stacked parameters. Every update is elementwise, so that it
            is each member's own update.
    """

    parameters: State
    buffers: State
    factors: State
    optimizer: torch.optim.Optimizer

    @torch.no_grad()
    def project(self) -> None:
        """Zero the pruned weights of all members, in one fused product."""
        if self.factors:
            weights = [self.parameters[name] for name in self.factors]
            torch._foreach_mul_(weights, list(self.factors.values()))

    @torch.no_grad()
    def copy(self, source: int, target: int) -> None:
        """Put a copy of one place, optimiser and masks included, into another."""
        groups = [self.parameters, self.buffers, self.factors]
        tensors = [tensor for group in groups for tensor in group.values()]
        for held in self.optimizer.state.values():
            # Adam counts steps in a scalar, which all places share.
            moments = (each for each in held.values() if isinstance(each, torch.Tensor))
            tensors += [each for each in moments if each.ndim]
        for tensor in tensors:
            tensor[target].copy_(tensor[source])

    def state(self, place: int) -> State:
        """Return a copy of one member's parameters and buffers."""
        both = {**self.parameters, **self.buffers}
        return {name: tensor[place].detach().clone() for name, tensor in both.items()}


def stacked(
    members: list[Member], recipe: Recipe, device: torch.device, dtype: torch.dtype
) -> Stack:
    """Stack copies of members' tensors; the members stay as they are.

    Args:
        members: Of one architecture.
        recipe: Decides the optimiser.
        device: Where to train.
        dtype: Of everything that has a floating dtype.

    Returns:
        Their `Stack`.
    """
    named = [dict(member.net.named_parameters()) for member in members]
    parameters = {
        name: torch.stack([_cast(each[name], device, dtype) for each in named])
        for name in named[0]
    }
    for name, first in named[0].items():
        parameters[name].requires_grad_(first.requires_grad)
    held = [dict(member.net.named_buffers()) for member in members]
    buffers = {
        name: torch.stack([_cast(each[name], device, dtype) for each in held])
        for name in held[0]
    }
    trained = [tensor for tensor in parameters.values() if tensor.requires_grad]
    dimensions = [tensor.ndim - 1 for tensor in trained]
    optimizer = optimizer_over(trained, dimensions, recipe)
    return Stack(parameters, buffers, _factors(members, parameters), optimizer)


@torch.no_grad()
def write(
    state: State, member: Member, device: torch.device, dtype: torch.dtype
) -> None:
    """Give a member's network what was trained in its place, where and as it was.

    Args:
        state: From `Stack.state`.
        member: The member; its pruned weights are zero afterwards, whatever `state`
            holds, and its gradients are cleared.
        device: Where it was trained.
        dtype: In which dtype.
    """
    net = member.net.to(device, dtype)
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        tensor.copy_(state[name])
    zero_pruned(net, member.masks)
    net.zero_grad(set_to_none=True)


def _factors(members: list[Member], parameters: State) -> State:
    """Return the masks as numbers; ones where a member has none."""
    masked = {name for member in members for name in member.masks or {}}
    factors = {}
    for name in (name for name in parameters if name in masked):
        factors[name] = torch.ones_like(parameters[name]).detach()
        for place, member in enumerate(members):
            if name in (member.masks or {}):
                factors[name][place].copy_(member.masks[name])
    return factors


def _cast(tensor: torch.Tensor, device, dtype) -> torch.Tensor:
    """Return a tensor on a device; in a dtype, if it has a floating one."""
    floating = tensor.is_floating_point()
    return tensor.detach().to(device, dtype if floating else tensor.dtype)
