import copy
import math
import pickle
import re
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from train_cases import DIGITS, conv_bn, mlp, of, seeded

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


class Pair(nn.Module):
    """A network that also returns its inputs."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x), x


def bad_fits():
    net, g = mlp(), seeded()
    recipe, mask = train.Recipe(**GOOD), torch.ones(32, 64, dtype=torch.bool)
    frozen = mlp().requires_grad_(False)
    rest_of_one = replace(recipe, batch=1399, drop_last=False)
    return {
        "a masked name": ((net, DIGITS, recipe, {"9.weight": mask}, g), ValueError,
                          "masks: '9.weight' is no parameter of the network"),
        "a mask's shape": ((net, DIGITS, recipe, {"1.weight": mask.T}, g), ValueError,
                           "masks['1.weight']: expected shape (32, 64), got (64, 32)"),
        "a mask's dtype": ((net, DIGITS, recipe, {"1.weight": mask.float()}, g),
                           TypeError, "expected a bool tensor, got torch.float32"),
        "a mask without values": (
            (net, DIGITS, recipe, {"1.weight": mask.T.to("meta")}, g), TypeError,
            "masks['1.weight']: expected a dense tensor with values"),
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
        "steps": ((net, DIGITS, replace(recipe, steps=10**12), None, g), ValueError,
                  "expected at most 1,000,000,000 steps"),
        "a batch of one": ((conv_bn(), DIGITS, rest_of_one, None, g), ValueError,
                           "batch: 1399 of 1400 samples leave a batch of one"),
        "batches of one": ((conv_bn(), DIGITS, replace(recipe, batch=1), None, g),
                           ValueError, "over which the batch norm '1'"),
        "a pair": ((Pair(mlp()), DIGITS, recipe, None, g), TypeError,
                   "net: expected a tensor of logits as its output, got a tuple"),
        "meta": ((mlp().to("meta"), DIGITS, recipe, None, g), ValueError,
                 "net: '1.weight' is on meta, expected cpu or cuda"),
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
    for key in before:
        assert after[key].is_meta or torch.equal(before[key], after[key])
    assert not is_net or net.training
    assert state is None or torch.equal(state, g.get_state())


@pytest.mark.parametrize("device", ["banana", "meta", "mps", "cuda:99", 3.5])
def test_a_device_that_is_not_here_is_refused_and_the_network_is_untouched(device):
    net = mlp(dtype=torch.float64)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match="device: "):
        train.fit(net, DIGITS, of("sgd"), generator=seeded(), device=device)
    after = net.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert net[1].weight.dtype == torch.float64


def test_a_gpu_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device: 'cuda' asked for, torch finds 0 GPU"):
        train.fit(mlp(), DIGITS, of("sgd"), generator=seeded(), device="cuda")


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_training_inside_no_grad_is_training(context):
    expected = train.fit(mlp(), DIGITS, of("adam", steps=5), generator=seeded())
    net = mlp()
    with context():
        rows = train.fit(net, DIGITS, of("adam", steps=5), generator=seeded())
        assert not torch.is_grad_enabled()
    assert rows == expected


def test_a_network_made_for_inference_only_is_refused():
    with torch.inference_mode():
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(ValueError, match=r"net: '1\.weight' was made under torch\.inf"):
        train.fit(net, DIGITS, of("sgd"), generator=seeded())


def test_functional_dropout_leaves_the_global_generator_as_it_was():
    class Dropped(nn.Linear):
        def forward(self, x):
            return F.dropout(super().forward(x.flatten(1)), 0.5)

    net = Dropped(64, 10)
    state = torch.get_rng_state()
    train.fit(net, DIGITS, of("sgd", steps=2), generator=seeded())
    assert torch.equal(state, torch.get_rng_state())
