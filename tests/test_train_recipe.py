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
    ({"nesterov": True, "momentum": 0.0}, "above 0, got 'sgd' with momentum=0"),
    ({"nesterov": True, "optimizer": "adam"}, "nesterov: expected 'sgd' with momentum"),
    ({"nesterov": 1}, "nesterov: expected a bool, got 1"),
    ({"augment": "no"}, "augment: expected a bool, got 'no'"),
    ({"drop_last": 0}, "drop_last: expected a bool, got 0"),
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


SGD = {
    "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch": 128, "epochs": 160,
    "schedule": "multistep", "augment": True, "drop_last": False, "decay": "all",
}  # fmt: skip
PAPERS = {
    "ntk_sap_resnet20": SGD | {
        "nesterov": False, "weight_decay": 1e-4, "milestones": (80, 120)},
    "ntk_sap_vgg16": SGD | {
        "nesterov": True, "weight_decay": 5e-4, "milestones": (60, 120)},
    "grasp_resnet": SGD | {
        "nesterov": False, "weight_decay": 1e-4, "milestones": (80, 120)},
    "grasp_vgg19": SGD | {
        "nesterov": False, "weight_decay": 5e-4, "milestones": (80, 120)},
    "ntt_supervised": {
        "optimizer": "adam", "lr": 1e-3, "weight_decay": 2e-8, "decay": "weights",
        "batch": 64, "steps": 42_200, "augment": False, "schedule": "constant"},
    "robust_pruning_mlp": {
        "optimizer": "sgd", "lr": 1e-3, "momentum": 0.0, "batch": 100, "steps": 10_000,
        "augment": False, "schedule": "constant"},
}  # fmt: skip


def test_the_papers_recipes_hold_the_numbers_that_were_read():
    assert set(PAPERS) == set(train.RECIPES)
    for name, numbers in PAPERS.items():
        held = {field: getattr(train.RECIPES[name], field) for field in numbers}
        assert held == numbers, name


def test_the_ntk_sap_recipe_takes_the_papers_number_of_steps():
    drops = train.learning_rates(train.RECIPES["ntk_sap_resnet20"], 50_000)
    assert len(drops) == 62_560
    assert drops[80 * 391 - 1 : 80 * 391 + 1] == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize("change", [{"steps": 10**12}, {"epochs": 10**9}])
def test_more_steps_than_memory_are_refused_before_they_are_listed(change):
    recipe = train.Recipe(**{**GOOD, "steps": None, **change})
    with pytest.raises(ValueError, match="expected at most 1,000,000,000 steps, got"):
        train.learning_rates(recipe, 50_000)
