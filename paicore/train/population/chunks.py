"""Members in chunks that fit into memory; fewer at once when they do not."""

import math
from collections.abc import Callable

import torch
from tqdm import tqdm

from paicore.train.population.members import Member

Train = Callable[[list[Member], int], list[list[dict]]]


def in_chunks(
    members: list[Member], at_once: int, train: Train, bar: tqdm
) -> list[list[dict]]:
    """Train all members, at most some at once; halve them when memory runs out.

    Conventions: a chunk that runs out of memory starts again in halves, from the
    weights and generators it began with. Finished chunks stay.

    Args:
        members: The members.
        at_once: How many at most; the chunks are of equal size, up to one.
        train: Chunk and number of its first member to its rows. It leaves networks
            alone when it runs out of memory.
        bar: Goes back to where the chunk began.

    Returns:
        Rows of each member; with torch.OutOfMemoryError if not even one fits.
    """
    everything: list[list[dict]] = []
    while len(everything) < len(members):
        left = members[len(everything) :]
        size = math.ceil(len(left) / math.ceil(len(left) / at_once))
        rows = _attempt(left[:size], len(everything), train, bar)
        if rows is None:
            at_once = math.ceil(size / 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        else:
            everything += rows
    return everything


def _attempt(chunk: list[Member], first: int, train: Train, bar: tqdm):
    """Return a chunk's rows; None, and everything as before, if memory runs out."""
    states = [member.generator.get_state() for member in chunk]
    before = bar.n
    try:
        return train(chunk, first)
    except torch.OutOfMemoryError:
        for member, state in zip(chunk, states, strict=True):
            member.generator.set_state(state)
        if len(chunk) == 1:
            raise
        bar.update(before - bar.n)
        return None
