import copy
import math
import pickle
import re

import pytest
import torch
from torch import nn
from train_cases import DIGITS, mlp, seeded

from paicore import train

GOOD = {"optimizer": "sgd", "lr": 0.1, "steps": 5}


def test_a_loss_that_is_not_finite_stops_and_says_where():
    net = mlp()
    recipe = train.Recipe("sgd", 1e30, momentum=0.0, batch=100, epochs=2, eval_every=1)
    with pytest.raises(train.Diverged) as caught:
        train.fit(net, DIGITS, recipe, generator=seeded())
    found = re.fullmatch(
        r"(training|test) loss is (nan|inf) at step (\d+) of 28 \(epoch ([\d.]+), "
        r"learning rate 1e\+30\)",
        str(caught.value),
    )
    step = int(found[3])
    assert 1 <= step <= 3 and float(found[4]) == pytest.approx(step / 14, rel=1e-3)
    assert net.training and len(caught.value.rows) == step - 1


def test_the_step_is_exact_also_when_losses_are_read_late():
    losses = [torch.tensor(v) for v in (1.0, math.inf, math.nan)]
    with pytest.raises(train.Diverged, match=r"is inf at step 9 of 20 \(epoch 1\.8, "):
        train.divergence.read_losses(losses, 10, [0.1] * 20, 5)
    assert train.divergence.read_losses(losses[:1], 3, [0.1] * 20, 5) == [1.0]


def test_the_stop_survives_the_way_between_processes_with_its_rows():
    error = train.Diverged("training loss is nan")
    error.rows = ({"step": 1},)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.rows == error.rows


def bad_fits():
    net, g = mlp(), seeded()
    recipe, mask = train.Recipe(**GOOD), torch.ones(32, 64, dtype=torch.bool)
    frozen = mlp().requires_grad_(False)
    return {
        "a masked name": ((net, DIGITS, recipe, {"9.weight": mask}, g), ValueError,
                          "masks: '9.weight' is no parameter of the network"),
        "a mask's shape": ((net, DIGITS, recipe, {"1.weight": mask.T}, g), ValueError,
                           "masks['1.weight']: expected shape (32, 64), got (64, 32)"),
        "a mask's dtype": ((net, DIGITS, recipe, {"1.weight": mask.float()}, g),
                           TypeError, "expected a bool tensor, got torch.float32"),
        "masks": ((net, DIGITS, recipe, [mask], g), TypeError, "masks: expected a map"),
        "net": ((len, DIGITS, recipe, None, g), TypeError, "net: expected a Module"),
        "ds": ((net, "digits", recipe, None, g), TypeError, "ds: expected a Dataset"),
        "recipe": ((net, DIGITS, GOOD, None, g), TypeError, "recipe: expected a Rec"),
        "generator": ((net, DIGITS, recipe, None, 0), TypeError, "generator: expected"),
        "batch": ((net, DIGITS.subset(train=99), recipe, None, g), ValueError,
                  "batch: expected at most the 99 training samples"),
        "outputs": ((mlp(classes=9), DIGITS, recipe, None, g), ValueError,
                    "net: expected logits of shape (n, 10)"),
        "no parameter": ((nn.Flatten(), DIGITS, recipe, None, g), ValueError,
                         "net: expected a trainable parameter, got none"),
        "frozen": ((frozen, DIGITS, recipe, None, g), ValueError, "trainable parame"),
    }  # fmt: skip


@pytest.mark.parametrize("case", bad_fits())
def test_bad_arguments_are_refused_and_the_network_is_untouched(case):
    (net, ds, recipe, masks, g), kind, message = bad_fits()[case]
    is_net = isinstance(net, nn.Module)
    before = copy.deepcopy(net.state_dict()) if is_net else {}
    state = g.get_state() if isinstance(g, torch.Generator) else None
    with pytest.raises(kind, match=re.escape(message)):
        train.fit(net, ds, recipe, masks=masks, generator=g)
    after = net.state_dict() if is_net else {}
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not is_net or net.training
    assert state is None or torch.equal(state, g.get_state())
