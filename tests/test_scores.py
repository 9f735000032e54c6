import copy
from contextlib import nullcontext
from itertools import pairwise

import cases
import pytest
import references
import torch
from cases import some_masks
from references import close
from torch import nn

from paicore import SCORES, Masks, Score, nets, prune, seeds

ON_PATHS = ("synflow_l2", "synflow_dist", "gated_l2", "px")
NO_PATHS = ("mlp_tanh", "twice_called")  # a curve; a weight tied across depth
REFUSED = {(score, case) for score in ON_PATHS for case in NO_PATHS}
REFUSED |= {("phew", "functional_relu")}  # not traceable


def options_of(name):
    return {"rounds": 2} if SCORES[name].defaults.get("rounds", 1) > 1 else {}


def batch_of(c):
    """Raw inputs, which every score takes: none is negative."""
    return c.x.abs(), c.y


@pytest.mark.parametrize("case_name", cases.NAMES)
@pytest.mark.parametrize("name", SCORES)
def test_pruning_leaves_the_network_and_the_random_state_as_they_were(name, case_name):
    c = cases.case(case_name)
    c.net.train()
    c.net(c.x).sum().backward()  # gradients that must stay
    first = next(c.net.parameters())
    first.requires_grad_(False)
    c.net.register_forward_hook(lambda *_: None)
    before, state = references.snapshot(c.net), torch.get_rng_state()
    refused = (name, case_name) in REFUSED
    with pytest.raises(ValueError, match="net: ") if refused else nullcontext():
        kept = prune(
            c.net, name, density=0.5, batch=batch_of(c),
            generator=seeds.generator(0, "pure"), **options_of(name),
        )  # fmt: skip
    assert references.same(before, references.snapshot(c.net))
    assert torch.equal(state, torch.get_rng_state())
    if refused:
        return
    assert kept.kept == int(0.5 * kept.total + 0.5)
    assert not any(mask.requires_grad for mask in kept.values())


class Fails(nn.Module):
    """A layer that works `times` times and then raises, forward or backward."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def forward(self, x):
        if self.where == "forward":
            raise RuntimeError("half-way")
        x.register_hook(self._fail)
        return x

    def _fail(self, grad):
        raise RuntimeError("half-way")


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(
    "name", [n for n in SCORES if SCORES[n].needs & {"shape", "inputs"}]
)
def test_a_score_that_raises_half_way_leaves_everything_as_it_was(name, where):
    c = cases.case("resnet8_bn")
    net = nn.Sequential(c.net, Fails(where))
    net.train()
    before, state = references.snapshot(net), torch.get_rng_state()
    flag = torch.are_deterministic_algorithms_enabled()
    with pytest.raises((RuntimeError, ValueError), match=r"half-way|register|trace"):
        prune(
            net, name, density=0.5, batch=batch_of(c),
            generator=seeds.generator(0, "fails"), **options_of(name),
        )  # fmt: skip
    assert references.same(before, references.snapshot(net))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() == flag


@pytest.mark.parametrize("name", SCORES)
def test_pruned_weights_never_return_unless_the_score_revives(name):
    c = cases.case("lenet5")
    history = []

    def watched(net, masks, batch, *, generator, **options):
        history.append(Masks(masks))
        inner = SCORES[name].function
        return inner(net, masks, batch, generator=generator, **options)

    score = Score(watched, needs=SCORES[name].needs, revives=SCORES[name].revives)
    final = prune(
        c.net, score, density=0.1, batch=batch_of(c), rounds=4,
        generator=seeds.generator(1, "revive"),
    )  # fmt: skip
    history.append(final)
    came_back = sum(
        int((later[n] & ~earlier[n]).sum())
        for earlier, later in pairwise(history)
        for n in final
    )
    assert len(history) == 5
    assert (came_back > 0) == (name == "force")


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_scores_do_not_see_what_a_pruned_weight_holds(name):
    c = cases.case("mlp")
    kept = some_masks(c)
    dirty = copy.deepcopy(c.net)
    with torch.no_grad():
        for n, weight in references.layers(dirty).items():
            weight[~kept[n]] = 1e3
    clean = SCORES[name].function(c.net, kept, (c.x, c.y))
    other = SCORES[name].function(dirty, kept, (c.x, c.y))
    for n in kept:
        assert torch.equal(clean[n], other[n])
        assert torch.all(clean[n][~kept[n]] == 0)


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_the_order_of_the_data_does_not_matter(name):
    c = cases.case("mlp")
    kept, order = some_masks(c), torch.randperm(6, generator=seeds.generator(0, "o"))
    one = SCORES[name].function(c.net, kept, (c.x, c.y))
    two = SCORES[name].function(c.net, kept, (c.x[order], c.y[order]))
    assert all(close(one[n], two[n]) for n in kept)


@pytest.mark.parametrize("name", ["snip", "force", "grasp", "synflow"])
def test_float32_scores_agree_with_float64_ones(name):
    c = cases.case("lenet5")
    dense = Masks.dense(c.net)
    exact = SCORES[name].function(c.net, dense, (c.x, c.y))
    fast = SCORES[name].function(c.net, dense, (c.x, c.y), dtype=torch.float32)
    for n in dense:
        assert fast[n].dtype == torch.float32
        assert close(fast[n].double(), exact[n], 1e-3)


@pytest.mark.parametrize(
    ("name", "option", "values", "case_name"),
    [
        ("snip", "reduction", ["whole", "per_batch"], "mlp"),
        ("snip", "batch_norm", ["train", "frozen", "eval"], "resnet8_bn"),
        ("snip", "batch_size", [None, 3], "resnet8_bn"),
        ("force", "batch_norm", ["train", "eval"], "resnet8_bn"),
        ("grasp", "sign", ["fixed", "fork"], "mlp"),
        ("grasp", "temperature", [1.0, 200.0], "mlp"),
        ("grasp", "split", ["none", "class_halves"], "resnet8_bn"),
        ("grasp", "batch_norm", ["train", "frozen"], "resnet8_bn"),
        ("synflow", "bias", ["zero", "abs"], "mlp_bias"),
    ],
)
def test_every_named_option_changes_the_score(name, option, values, case_name):
    c = cases.case(case_name)
    dense = Masks.dense(c.net)
    extra = {"batch_size": 3} if option == "reduction" else {}

    def direction(value):
        found = SCORES[name].function(
            c.net, dense, (c.x, c.y), **{option: value}, **extra
        )
        flat = torch.cat([found[n].flatten() for n in found])
        return flat / flat.norm()

    found = [direction(value) for value in values]
    for i in range(len(values)):
        for j in range(i):
            assert float((found[i] - found[j]).norm()) > 1e-6


def test_torchvision_networks_are_pruned_as_they_are():
    net = nets.build(
        "torchvision_resnet18", classes=10, in_shape=(3, 32, 32),
        generator=seeds.generator(0, "tv"),
    )  # fmt: skip
    x, y = (
        torch.randn(2, 3, 32, 32, generator=seeds.generator(1, "tv")),
        torch.arange(2),
    )
    for name in ("magnitude", "synflow"):
        kept = prune(net, name, density=0.05, batch=(x, y), **options_of(name))
        assert kept.kept == int(kept.total * 0.05 + 0.5)
