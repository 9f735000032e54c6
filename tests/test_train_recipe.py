import math
import re

import pytest
import torch
from torch import nn

from paicore import train


def torch_rates(make, total):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler, rates = make(optimizer), []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(rates) < total else None
    return rates


@pytest.mark.parametrize("total", [1, 2, 3, 4, 10, 11, 97])
def test_one_cycle_and_cosine_equal_torch_at_every_step(total):
    schedulers = torch.optim.lr_scheduler
    for name, make in (
        (
            "onecycle",
            lambda o: schedulers.OneCycleLR(o, 0.2, total, cycle_momentum=False),
        ),
        ("cosine", lambda o: schedulers.CosineAnnealingLR(o, total)),
    ):
        recipe = train.Recipe("sgd", 0.2, steps=total, schedule=name)
        got = train.learning_rates(recipe, 1000)
        assert got == pytest.approx(torch_rates(make, total), rel=1e-9), name


def test_milestones_count_epochs_or_steps_and_take_effect_after_them():
    by_epoch = train.Recipe(
        *("sgd", 1.0), batch=10, epochs=4, schedule="multistep", milestones=(1, 3)
    )
    got = train.learning_rates(by_epoch, 25)  # two steps per epoch
    assert got == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])
    by_step = train.Recipe(
        *("sgd", 1.0), steps=4, schedule="multistep", milestones=(1, 3), gamma=0.5
    )
    assert train.learning_rates(by_step, 1000) == [1, 0.5, 0.5, 0.25]
    constant = train.Recipe("adam", 0.3, batch=10, epochs=2, drop_last=False)
    assert train.learning_rates(constant, 25) == [0.3] * 6


GOOD = {"optimizer": "sgd", "lr": 0.1, "steps": 5}
BAD_RECIPES = [
    ({"optimizer": "lion"}, "optimizer: expected one of ('sgd', 'adam'), got 'lion'"),
    ({"schedule": "linear"}, "schedule: expected one of"),
    ({"precision": "fp16"}, "precision: expected one of"),
    ({"decay": "none"}, "decay: expected one of"),
    ({"lr": -0.1}, "lr: expected a number from 0 to below inf, got -0.1"),
    ({"lr": math.nan}, "lr: expected"),
    ({"lr": "0.1"}, "lr: expected"),
    ({"momentum": 1.0}, "momentum: expected a number from 0 to below 1, got 1.0"),
    ({"nesterov": True, "momentum": 0.0}, "nesterov: expected momentum above 0"),
    ({"weight_decay": -1e-4}, "weight_decay: expected"),
    ({"gamma": -1.0}, "gamma: expected"),
    ({"batch": 0}, "batch: expected a positive int, got 0"),
    ({"batch": None}, "batch: expected a positive int, got None"),
    ({"batch": 12.0}, "batch: expected a positive int, got 12.0"),
    ({"eval_every": 0}, "eval_every: expected a positive int"),
    ({"steps": True}, "steps: expected a positive int, got True"),
    ({"steps": None}, "exactly one of them, got epochs=None and steps=None"),
    ({"epochs": 2}, "exactly one of them, got epochs=2 and steps=5"),
    ({"schedule": "multistep"}, "milestones: expected some with schedule"),
    ({"milestones": (3,)}, "milestones: expected some with schedule"),
    (
        {"schedule": "multistep", "milestones": (3, 3)},
        "milestones: expected increasing numbers, got (3, 3)",
    ),
    ({"schedule": "multistep", "milestones": (0,)}, "milestones: expected a positive"),
    ({"schedule": "multistep", "milestones": [3]}, "milestones: expected a tuple"),
]


@pytest.mark.parametrize(("change", "message"), BAD_RECIPES)
def test_a_recipe_that_makes_no_sense_is_refused(change, message):
    train.Recipe(**GOOD)
    with pytest.raises(ValueError, match=re.escape(message)):
        train.Recipe(**{**GOOD, **change})


def test_the_papers_recipes_are_complete():
    for name, recipe in train.RECIPES.items():
        rates = train.learning_rates(recipe, 50_000)
        assert rates[0] == recipe.lr, name
    drops = train.learning_rates(train.RECIPES["ntk_sap_resnet20"], 50_000)
    assert len(drops) == 62_400 and drops[80 * 390 - 1 : 80 * 390 + 1] == pytest.approx(
        [0.1, 0.01]
    )
