"""Masked training: recipes, rates, batches, evaluation, `fit` and `population`."""

from paicore.train.batches import batches, crop_and_flip
from paicore.train.divergence import Diverged
from paicore.train.evaluation import Evaluation, evaluate
from paicore.train.fitting import build_optimizer, fit
from paicore.train.population import population
from paicore.train.recipe import Recipe
from paicore.train.recipes import RECIPES
from paicore.train.schedules import learning_rates

__all__ = [
    "RECIPES",
    "Diverged",
    "Evaluation",
    "Recipe",
    "batches",
    "build_optimizer",
    "crop_and_flip",
    "evaluate",
    "fit",
    "learning_rates",
    "population",
]
