import copy
from itertools import pairwise

import cases
import pytest
import references
import torch
from cases import some_masks
from references import close
from torch import nn

from paicore import Masks, nets, prune, seeds
from paicore.scores import synflow


def test_synflow_equals_the_enumeration_of_all_paths():
    c = cases.case("mlp")
    kept = some_masks(c)
    found = synflow(c.net, kept, (c.x, None))
    matrices = [w.detach() * kept[n] for n, w in references.layers(c.net).items()]
    for score, expected in zip(
        found.values(), references.path_scores(matrices), strict=True
    ):
        assert close(score, expected)


def test_synflow_conserves_flow_through_every_hidden_unit_and_layer():
    c = cases.case("mlp")
    found = list(synflow(c.net, some_masks(c), (c.x, None)).values())
    for before, after in pairwise(found):
        assert close(before.sum(1), after.sum(0))
    totals = torch.stack([each.sum() for each in found])
    assert close(totals, totals[:1].expand_as(totals))


def test_synflow_conserves_flow_through_every_channel_of_a_convolutional_network():
    c = cases.case("lenet5")
    found = synflow(c.net, Masks.dense(c.net), (c.x, None))
    conv1, conv2, fc1, fc2 = found.values()
    assert close(conv1.flatten(1).sum(1), conv2.sum((0, 2, 3)))
    assert close(
        conv2.flatten(1).sum(1), fc1.view(len(fc1), len(conv2), -1).sum((0, 2))
    )
    assert close(fc1.sum(1), fc2.sum(0))


def test_synflow_does_not_notice_a_positive_rescaling_of_hidden_units():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)
    before = synflow(c.net, dense, (c.x, None))
    first, second = list(references.layers(c.net).values())[:2]
    with torch.no_grad():
        factor = torch.linspace(0.1, 10, len(first), dtype=torch.float64)
        first.mul_(factor[:, None])
        second.div_(factor)
    after = synflow(c.net, dense, (c.x, None))
    assert all(close(after[n], before[n]) for n in dense)


@pytest.mark.parametrize("case_name", ["resnet8_bn", "twice_called", "functional_relu"])
def test_synflow_folds_batch_norm_exactly(case_name):
    c = cases.case(case_name)
    c.net.train()
    for _ in range(3):
        c.net(c.x)  # statistics that are not 0 and 1
    with torch.no_grad():
        for name, parameter in c.net.named_parameters():
            if "norm" in name or "bn" in name:
                parameter.mul_(-1.7).add_(0.3)
    dense = Masks.dense(c.net)
    found = synflow(c.net, dense, (c.x, None))
    twin = copy.deepcopy(c.net).eval()
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.zero_()
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
        for parameter in twin.parameters():
            parameter.abs_()
    ones = torch.ones(1, *c.in_shape, dtype=torch.float64)
    twin(ones).sum().backward()
    for name, weight in references.layers(twin).items():
        assert close(found[name], weight.detach() * weight.grad), name


@pytest.mark.parametrize("name", ["resnet110", "vgg19", "vgg19_bn"])
def test_synflow_stays_in_range_at_depth(name):
    classes = 100 if name.startswith("vgg") else 10
    width = None if name.startswith("res") else 8
    net = nets.build(
        name, classes=classes, in_shape=(3, 32, 32), width=width,
        generator=seeds.generator(0, "range"),
    )  # fmt: skip
    found = synflow(net, Masks.dense(net), (torch.zeros(1, 3, 32, 32), None))
    assert all(torch.isfinite(s).all() and (s > 0).any() for s in found.values())
    kept = prune(net, "synflow", density=0.01, batch=(torch.zeros(1, 3, 32, 32), None),
                 rounds=3)  # fmt: skip
    assert kept.kept == int(kept.total * 0.01 + 0.5)


def test_synflow_in_float32_leaves_its_range_at_resnet110_with_a_clear_error():
    net = nets.build(
        "resnet110", in_shape=(3, 32, 32), generator=seeds.generator(0, "range")
    )
    with pytest.raises(ValueError, match=r"dtype: the path sum leaves.*float32"):
        synflow(
            net, Masks.dense(net), (torch.zeros(1, 3, 32, 32), None),
            dtype=torch.float32,
        )  # fmt: skip


def plain_synflow(net, in_shape, density, rounds):
    """The loop with whole-network scores and a full sort in every round."""
    kept = Masks.dense(net)
    for t in range(1, rounds + 1):
        score = synflow(net, kept, (torch.zeros(1, *in_shape), None))
        flat = torch.cat([score[n].flatten() for n in kept])
        k = int(density ** (t / rounds) * len(flat) + 0.5)
        keep = torch.zeros(len(flat), dtype=torch.bool)
        keep[flat.argsort(descending=True, stable=True)[:k]] = True
        parts = keep.split([m.numel() for m in kept.values()])
        kept = Masks({
            n: part.view(m.shape)
            for (n, m), part in zip(kept.items(), parts, strict=True)
        })  # fmt: skip
    return kept


@pytest.mark.parametrize("case_name", ["lenet5", "resnet8_bn", "twice_called"])
def test_the_synflow_engine_gives_the_masks_of_a_plain_loop(case_name):
    c = cases.case(case_name)
    fast = prune(c.net, "synflow", density=0.2, batch=(c.x, None), rounds=10)
    assert fast == plain_synflow(c.net, c.in_shape, 0.2, 10)


def test_iterative_synflow_never_empties_a_layer_where_one_round_does():
    net = nets.build(
        "mlp", in_shape=(1, 8, 8), width=(60, 4, 60), depth=4, classes=10,
        generator=seeds.generator(0, "collapse"),
    )  # fmt: skip
    batch = (torch.zeros(1, 1, 8, 8), None)
    density = 0.004
    once = prune(net, "synflow", density=density, batch=batch, rounds=1)
    many = prune(net, "synflow", density=density, batch=batch, rounds=100)
    assert once.effective(net, (1, 8, 8)).kept < many.effective(net, (1, 8, 8)).kept
    assert not many.collapsed


def test_the_abs_option_is_the_authors_code_on_a_trained_norm():
    c = cases.case("mlp_bias")
    norm = nn.BatchNorm1d(4).double()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([8.0, -8.0, 0.5, -0.5]))
        norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0, 9.0]))
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
        norm.bias.copy_(torch.tensor([-0.1, 0.2, 0.3, -0.4]))
    first, second = nn.Linear(6, 4).double(), nn.Linear(4, 3).double()
    net = nn.Sequential(nn.Flatten(), first, norm, nn.ReLU(), second).eval()
    found = synflow(net, Masks.dense(net), (c.x, None), bias="abs")
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            if tensor.is_floating_point():
                tensor.abs_()
    twin(torch.ones(1, 6, dtype=torch.float64)).sum().backward()
    for name, weight in references.layers(twin).items():
        assert close(found[name], (weight * weight.grad).detach())
        assert torch.all(found[name] >= 0)
