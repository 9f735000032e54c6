import contextlib
import copy
import math

import pytest
import torch
import torch.nn.functional as F
from train_cases import DIGITS, RECIPES, conv_bn, mlp, of, random_masks, seeded

from paicore import data, train
from paicore.train import fitting


def reference_training(net, ds, recipe, masks, g):
    """Train with the mask inside the forward pass, torch's own optimiser, plainly."""
    net = copy.deepcopy(net)
    named = dict(net.named_parameters())
    kind = torch.optim.SGD if recipe.optimizer == "sgd" else torch.optim.Adam
    extra = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    decay = recipe.weight_decay
    groups = [
        {
            "params": [p],
            "weight_decay": decay if recipe.decay == "all" or p.ndim > 1 else 0.0,
        }
        for p in named.values()
    ]
    optimizer = kind(groups, recipe.lr, **(extra if kind is torch.optim.SGD else {}))
    step = 0
    while True:
        order = torch.randperm(len(ds.train_y), generator=g)
        for index in order.split(recipe.batch):
            if len(index) < recipe.batch:
                continue
            x = data.normalise(ds, ds.train_x[index], torch.float64)
            masked = {k: p * masks.get(k, 1) for k, p in named.items()}
            loss = F.cross_entropy(
                torch.func.functional_call(net, masked, (x,)), ds.train_y[index]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == recipe.steps:
                return {k: p.detach() * masks.get(k, 1) for k, p in named.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_training_equals_the_mask_in_the_forward_pass(name):
    net = mlp(dtype=torch.float64)
    masks = random_masks(net, 0.3)
    recipe = of(name, steps=30, batch=100, precision="float64")
    expected = reference_training(net, DIGITS, recipe, masks, seeded(2))
    train.fit(net, DIGITS, recipe, masks=masks, generator=seeded(2))
    for key, p in net.named_parameters():
        assert torch.allclose(p, expected[key], rtol=1e-10, atol=1e-12), key


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("make", [mlp, conv_bn])
def test_pruned_weights_are_exactly_zero_whenever_the_network_is_used(name, make):
    net = make()
    masks = random_masks(net, 0.2)
    parameters, seen = dict(net.named_parameters()), []

    def watch(module, _):
        if module.training:  # all but the first look follow a step
            seen.append(
                [parameters[k][~m].abs().max().item() for k, m in masks.items()]
            )

    net.register_forward_pre_hook(watch)
    recipe = of(name, steps=12, batch=100)
    train.fit(net, DIGITS, recipe, masks=masks, generator=seeded())
    assert len(seen) == 12 and all(value == 0 for row in seen for value in row)
    for key, mask in masks.items():
        assert parameters[key][~mask].abs().max() == 0
        assert (parameters[key][mask] != 0).all()


def test_without_the_projection_momentum_would_move_pruned_weights(monkeypatch):
    net, recipe = mlp(), of("momentum", steps=3)
    masks = random_masks(net, 0.2)
    for key, mask in masks.items():
        net.get_parameter(key).data.mul_(mask)
    idle = contextlib.nullcontext(lambda: None)
    monkeypatch.setattr(fitting, "projected", lambda *_: idle)
    train.fit(net, DIGITS, recipe, masks=masks, generator=seeded())
    key, mask = next(iter(masks.items()))
    assert net.get_parameter(key)[~mask].abs().max() > 0


def test_a_frozen_parameter_is_masked_but_not_trained():
    net = mlp()
    net[1].weight.requires_grad_(False)
    mask = random_masks(net, 0.5)["1.weight"]
    expected = net[1].weight * mask
    train.fit(net, DIGITS, of("momentum"), masks={"1.weight": mask}, generator=seeded())
    assert torch.equal(net[1].weight, expected)


def test_decay_of_weights_leaves_out_everything_of_one_dimension():
    net = conv_bn()
    for decay, free in (("all", []), ("weights", [net[1].weight, net[1].bias])):
        optimizer = train.build_optimizer(
            net, of("momentum", weight_decay=0.5, decay=decay)
        )
        held = {id(p): g["weight_decay"] for g in optimizer.param_groups
                for p in g["params"]}  # fmt: skip
        assert len(held) == len(list(net.parameters()))
        free = {id(p) for p in free} | ({id(net[5].bias)} if free else set())
        assert all((rate == 0.0) == (key in free) for key, rate in held.items())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_pruned_may_be_anything_and_what_is_kept_must_be_finite(bad):
    net = mlp()
    masks = random_masks(net, 0.5)
    clean = copy.deepcopy(net)
    for key, mask in masks.items():
        net.get_parameter(key).data[~mask] = bad
    with pytest.raises(ValueError, match=r"net: expected finite .*'1\.weight'"):
        train.fit(net, DIGITS, of("momentum"), generator=seeded())
    rows = [
        train.fit(n, DIGITS, of("momentum"), masks=masks, generator=seeded())
        for n in (net, clean)
    ]
    assert rows[0] == rows[1]
    for key, mask in masks.items():
        assert (net.get_parameter(key)[~mask] == 0).all()
    net[5].bias.data[3] = bad
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=r"got 1 kept ones in '5\.bias'"):
        train.fit(net, DIGITS, of("momentum"), masks=masks, generator=seeded())
    after = net.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before if k != "5.bias")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_pruned_weights_are_zero_when_an_optimiser_step_is_interrupted(
    error, monkeypatch
):
    net = mlp()
    masks = random_masks(net, 0.5)
    step, taken = torch.optim.SGD.step, []

    def interrupted(self, *args):
        step(self, *args)
        taken.append(net[1].weight[~masks["1.weight"]].abs().max().item())
        if len(taken) == 3:
            net[3].weight.data[~masks["3.weight"]] = math.nan
            raise error("now")

    monkeypatch.setattr(torch.optim.SGD, "step", interrupted)
    recipe = of("momentum", steps=5)
    with pytest.raises(error, match="now"):
        train.fit(net, DIGITS, recipe, masks=masks, generator=seeded())
    assert taken[-1] > 0  # the step itself moved them
    for key, mask in masks.items():
        assert (net.get_parameter(key)[~mask] == 0).all(), key
