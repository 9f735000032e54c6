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


# --- values that the identities above do not fix ------------------------------------


def test_frozen_batch_norm_uses_the_whole_batchs_mean_and_unbiased_variance():
    c = cases.case("functional_relu")
    kept = some_masks(c)
    twin = references.masked_twin(c.net, kept, "eval")
    norm, seen = twin.norm, []
    twin.conv.register_forward_hook(lambda m, i, out: seen.append(out.detach()))
    twin(c.x)
    norm.running_mean.copy_(seen[0].mean((0, 2, 3)))
    norm.running_var.copy_(seen[0].var((0, 2, 3), correction=1))
    nn.functional.cross_entropy(twin(c.x), c.y).backward()
    found = snip(c.net, kept, (c.x, c.y), batch_norm="frozen", batch_size=2)
    for name, weight in references.layers(twin).items():
        assert close(found[name], (weight * weight.grad).abs().detach())


def test_class_halves_are_two_batches_sorted_by_label_with_equal_weight():
    c = cases.case("resnet8_bn", n=7)
    y = torch.tensor([2, 0, 1, 2, 0, 1, 0])
    order = torch.argsort(y, stable=True)
    halves = [(c.x[i], y[i]) for i in (order[:3], order[3:])]
    twin = references.masked_twin(c.net, Masks.dense(c.net), "train")
    weights = list(references.layers(twin).values())

    def loss(x, y):
        return nn.functional.cross_entropy(twin(x) / 200.0, y)

    g = [0.0] * len(weights)
    for half in halves:
        grads = torch.autograd.grad(loss(*half), weights)
        g = [a + b for a, b in zip(g, grads, strict=True)]
    along = sum(
        (torch.autograd.grad(loss(*half), weights, create_graph=True)[k] * g[k]).sum()
        for half in halves
        for k in range(len(weights))
    )
    hg = torch.autograd.grad(along, weights)
    found = grasp(c.net, Masks.dense(c.net), (c.x, y), split="class_halves")
    for score, weight, each in zip(found.values(), weights, hg, strict=True):
        assert close(score, (weight * each).detach() / 4)  # ours halves g and H


def plain_rounds(c, density, rounds, *, foresight):
    """Iterative SNIP and FORCE as a loop over plain gradients and full sorts."""
    kept, dense = Masks.dense(c.net), references.layers(c.net)
    for t in range(1, rounds + 1):
        grads = references.loss_gradient(c.net, kept, c.x, c.y)
        score = {
            n: ((dense[n].detach() if foresight else w) * g).abs()
            for n, (w, g) in grads.items()
        }
        flat = torch.cat([score[n].flatten() for n in kept])
        if not foresight:
            flat[~torch.cat([kept[n].flatten() for n in kept])] = -1.0
        keep = torch.zeros(len(flat), dtype=torch.bool)
        count = int(density ** (t / rounds) * len(flat) + 0.5)
        keep[flat.argsort(descending=True, stable=True)[:count]] = True
        parts = keep.split([m.numel() for m in kept.values()])
        kept = Masks({
            n: part.view(m.shape)
            for (n, m), part in zip(kept.items(), parts, strict=True)
        })  # fmt: skip
    return kept


@pytest.mark.parametrize("case_name", ["mlp", "lenet5", "resnet8_bn"])
def test_iterative_snip_and_force_give_the_masks_of_plain_loops(case_name):
    c = cases.case(case_name)
    for name, foresight in (("iterative_snip", False), ("force", True)):
        found = prune(c.net, name, density=0.1, batch=(c.x, c.y), rounds=6)
        assert found == plain_rounds(c, 0.1, 6, foresight=foresight), name


def test_the_registry_holds_the_defaults_of_the_references():
    assert dict(SCORES["iterative_snip"].defaults) == {
        "rounds": 100, "schedule": "exponential"
    }  # fmt: skip
    assert SCORES["force"].defaults["rounds"] == 10 and SCORES["force"].revives
    assert dict(SCORES["synflow"].defaults) == {
        "rounds": 100, "schedule": "exponential"
    }  # fmt: skip
    assert dict(SCORES["erk"].defaults) == {"scope": "erk"}
    for name in ("random", "magnitude", "snip", "grasp"):
        assert not SCORES[name].defaults and not SCORES[name].revives


def test_the_named_defaults_are_used_when_nothing_is_said():
    c = cases.case("resnet8_bn")
    dense, batch = Masks.dense(c.net), (c.x, c.y)
    for name, said in (
        ("grasp", {"temperature": 200.0, "batch_norm": "train", "split": "none"}),
        ("snip", {"batch_norm": "train", "reduction": "whole"}),
        ("force", {"batch_norm": "train", "reduction": "whole"}),
        ("synflow", {"bias": "zero"}),
    ):
        function = SCORES[name].function
        silent, spoken = (
            function(c.net, dense, batch),
            function(c.net, dense, batch, **said),
        )
        assert all(torch.equal(silent[n], spoken[n]) for n in dense), name
