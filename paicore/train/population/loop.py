"""The plain engine: `fit`, member after member."""

import torch
from tqdm import tqdm

from paicore.data import Dataset
from paicore.train.divergence import Diverged
from paicore.train.fitting import fit
from paicore.train.population.members import Member
from paicore.train.population.rows import last_row, of_member
from paicore.train.recipe import Recipe


def train_in_turn(
    members: list[Member],
    ds: Dataset,
    recipe: Recipe,
    rates: list[float],
    device: torch.device,
    bar: tqdm,
) -> list[list[dict]]:
    """Train each member alone, in place.

    Args:
        members: The members.
        ds: The data set.
        recipe: The recipe.
        rates: Learning rate of every step.
        device: Where to train.
        bar: Moves by the steps of each member that is done.

    Returns:
        Rows of each member.
    """
    epoch = recipe.steps_per_epoch(len(ds.train_y))
    everything = []
    for index, (net, masks, generator) in enumerate(members):
        options = {"masks": masks, "generator": generator, "device": device}
        try:
            rows = fit(net, ds, recipe, progress=False, **options)
            rows = of_member(index, rows)
        except Diverged as error:
            rows = of_member(index, error.rows)
            rows.append(last_row(index, rows, error, rates, epoch))
        everything.append(rows)
        bar.update(len(rates))
    return everything
