"""How many members train at once: what one takes, and what is free."""

import torch

from paicore.train.context import autocast
from paicore.train.fitting import update
from paicore.train.population.engine import Plan
from paicore.train.population.members import Member
from paicore.train.population.stack import stacked

SHARE = 0.8  # of the free memory; the rest is for fragments and evaluation


def members_that_fit(free: int, each: int, count: int) -> int:
    """Return how many of `count` members of `each` bytes fit into `free` bytes."""
    return max(1, min(count, int(SHARE * free / max(each, 1))))


def estimate(plan: Plan, member: Member, count: int) -> int:
    """Return how many members to train at once on the plan's GPU.

    Conventions: one whole step of a copy of the member is measured, optimiser
    included, without compilation, which takes no more. It leaves the member alone.

    Args:
        plan: What is to be trained.
        member: Any of the members.
        count: How many there are.

    Returns:
        From 1 to `count`.
    """
    device = plan.ds.device
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    _one_step(plan, member)
    each = torch.cuda.max_memory_allocated(device) - before
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return members_that_fit(torch.cuda.mem_get_info(device)[0] + held, each, count)


def _one_step(plan: Plan, member: Member) -> None:
    """Take one step of a copy of a member, on the first samples."""
    size = min(plan.recipe.batch, len(plan.ds.train_y))
    x = plan.ds.train_x[:size].to(plan.dtype).unsqueeze(1)  # (b, 1, c, h, w)
    y = plan.ds.train_y[:size].unsqueeze(1)  # (b, 1)
    stack = stacked([member], plan.recipe, plan.ds.device, plan.dtype)
    with autocast(plan.ds.device, plan.recipe.precision == "bf16"):
        losses = plan.program.plain(stack.parameters, stack.buffers, x, y)
    update(stack.optimizer, losses.sum(), 0.0)
