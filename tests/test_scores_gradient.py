import copy

import cases
import pytest
import references
import torch
from cases import some_masks
from references import close
from torch import nn

from paicore import SCORES, Masks, prune
from paicore.scores import grasp, snip


@pytest.mark.parametrize("case_name", cases.NAMES)
def test_snip_is_the_modulus_of_weight_times_gradient(case_name):
    c = cases.case(case_name)
    kept = some_masks(c)
    found = snip(c.net, kept, (c.x, c.y))
    for name, (w, g) in references.loss_gradient(c.net, kept, c.x, c.y).items():
        assert close(found[name], (w * g).abs())


def test_snip_is_the_derivative_of_the_loss_in_the_mask():
    c = cases.case("mlp_tanh")
    found = snip(c.net, Masks.dense(c.net), (c.x, c.y))
    name, step = next(iter(found)), 1e-6
    weight = references.layers(c.net)[name]
    for index in [(0, 0), (1, 3), (4, 5)]:
        losses = []
        for factor in (1 + step, 1 - step):
            twin = copy.deepcopy(c.net)
            with torch.no_grad():
                references.layers(twin)[name][index] = factor * weight[index]
                losses.append(float(nn.functional.cross_entropy(twin(c.x), c.y)))
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float(found[name][index]) == pytest.approx(abs(slope), rel=1e-6)


def test_snip_by_hand_on_two_weights():
    net = nn.Sequential(nn.Linear(1, 2, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[2.0], [1.0]]))
    x, y = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0])
    p = torch.softmax(torch.tensor([2.0, 1.0], dtype=torch.float64), 0)
    expected = torch.stack([2 * (1 - p[0]), 1 * p[1]])
    found = snip(net, Masks.dense(net), (x, y))["0.weight"].flatten()
    assert close(found, expected)


def test_snip_per_batch_sums_moduli_and_whole_does_not_depend_on_the_split():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)
    whole = snip(c.net, dense, (c.x, c.y))
    split = snip(c.net, dense, (c.x, c.y), batch_size=2)
    per = snip(c.net, dense, (c.x, c.y), batch_size=2, reduction="per_batch")
    parts = [
        references.loss_gradient(c.net, dense, c.x[i : i + 2], c.y[i : i + 2])
        for i in (0, 2, 4)
    ]
    for name in dense:
        assert close(split[name], whole[name])
        expected = sum((w * g).abs() for w, g in (p[name] for p in parts))
        assert close(per[name], expected)


def test_force_equals_snip_where_nothing_is_pruned_and_sees_pruned_weights_after():
    c = cases.case("mlp")
    dense, kept = Masks.dense(c.net), some_masks(c)
    function = SCORES["force"].function
    one, two = function(c.net, dense, (c.x, c.y)), snip(c.net, dense, (c.x, c.y))
    assert all(torch.equal(one[n], two[n]) for n in dense)
    found = function(c.net, kept, (c.x, c.y))
    assert any(torch.any(found[n][~kept[n]] > 0) for n in kept)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_is_the_finite_difference_of_half_the_squared_gradient_norm(temperature):
    c = cases.case("mlp_tanh")
    found = grasp(c.net, Masks.dense(c.net), (c.x, c.y), temperature=temperature)
    for name, weight in references.layers(c.net).items():
        for index in [(0, 0), (1, 2), (2, 4)]:
            step, norms = 1e-5, []
            for factor in (1 + step, 1 - step):
                twin = copy.deepcopy(c.net)
                with torch.no_grad():
                    references.layers(twin)[name][index] = factor * weight[index]
                norms.append(
                    references.half_squared_gradient_norm(twin, c.x, c.y, temperature)
                )
            slope = float(norms[0] - norms[1]) / (2 * step)
            assert float(found[name][index]) == pytest.approx(slope, rel=1e-5)


def test_grasp_keeps_gradient_flow_and_its_fork_sign_destroys_it():
    c = cases.case("lenet5", n=12)
    norms = {}
    for sign in ("fixed", "fork"):
        kept = prune(c.net, "grasp", density=0.2, batch=(c.x, c.y), sign=sign)
        grads = references.loss_gradient(c.net, kept, c.x, c.y)
        norms[sign] = float(sum((kept[n] * g**2).sum() for n, (_, g) in grads.items()))
    assert norms["fixed"] > 10 * norms["fork"]


def test_grasp_splits_of_a_network_without_batch_norm_change_nothing():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)
    whole = grasp(c.net, dense, (c.x, c.y))
    for options in ({"split": "class_halves"}, {"batch_size": 2}):
        other = grasp(c.net, dense, (c.x, c.y), **options)
        assert all(close(other[n], whole[n]) for n in dense)
