"""PHEW's walks: where they lead, with what chances, and what they leave behind."""

import cases
import pytest
import torch
from torch import nn

from paicore import Masks, nets, prune, seeds
from paicore.forward import private_copy
from paicore.scores import phew
from paicore.scores.phew_graph import reachable, read

SHAPE = torch.zeros(1, 1, 28, 28, dtype=torch.float64)


def draw(*names):
    return seeds.generator(0, "phew", *names)


def lenet():
    return nets.build(
        "lenet5", classes=3, in_shape=(1, 28, 28), width=4, generator=draw("net")
    )


def small(weights):
    """A bias-free ReLU network of the given matrices."""
    layers = []
    for weight in weights:
        weight = torch.tensor(weight, dtype=torch.float64)
        layers.append(nn.Linear(*weight.T.shape, bias=False).double())
        layers[-1].weight.data = weight
        layers.append(nn.ReLU())
    return nn.Sequential(*layers[:-1])


def test_a_network_with_one_path_is_visited_from_input_to_output():
    net = small([[[2.0]], [[0.5]], [[1.0]]])
    scores = phew(net, Masks.dense(net), (torch.zeros(1, 1), None), generator=draw())
    assert [float(each) for each in scores.values()] == [3.0, 2.0, 1.0]


def test_the_first_walk_chooses_edges_in_proportion_to_their_moduli():
    net = small([[[1.0], [-3.0], [6.0]], [[1.0, 1.0, 1.0]]])
    batch, dense = (torch.zeros(1, 1), None), Masks.dense(net)
    first = torch.zeros(3)
    for i in range(300):
        scores = phew(net, dense, batch, generator=draw(i), density=0.1)
        first[next(iter(scores.values())).flatten().argmax()] += 1
    expected = torch.tensor([0.1, 0.3, 0.6]) * 300
    deviations = (first - expected) / (expected * (1 - expected / 300)).sqrt()
    assert deviations.abs().max() < 4
    assert (first - 100).abs().max() > 25  # uniform edges would be told apart


def test_backward_walks_choose_inputs_in_proportion_to_the_moduli():
    net = small([[[1.0, 9.0]]])
    batch, dense = (torch.zeros(1, 2), None), Masks.dense(net)
    # The first walk starts at the first input and takes its only edge; the second goes
    # back from the output, and finds the other edge with chance 0.9.
    found = 0
    for i in range(300):
        scores = phew(net, dense, batch, generator=draw(i), max_walks=2)
        found += float(scores["0.weight"][0, 1]) == 1.0
    assert abs(found - 270) < 4 * (300 * 0.9 * 0.1) ** 0.5
    uniform = small([[[0.0, 1.0], [5.0, 1.0]]])
    order = phew(uniform, Masks.dense(uniform), batch, generator=draw(), density=0.25)
    # The first input leads to the second output only.
    assert int(order["0.weight"].flatten().argmax()) == 2


@pytest.mark.parametrize("name", ["lenet5", "resnet8_bn", "residual_mlp", "conv1d"])
def test_every_weight_that_is_kept_lies_on_a_path(name):
    c = cases.case(name)
    masks = prune(c.net, "phew", density=0.2, batch=(c.x, None), generator=draw())
    effective = masks.effective(c.net, c.in_shape)
    # In a 1x1 map the border of a 3x3 kernel meets padding only; walks cannot know.
    assert effective.kept >= (0.7 if name == "resnet8_bn" else 1.0) * masks.kept


def test_a_higher_density_keeps_what_a_lower_one_kept():
    net = lenet()
    options = {"batch": (SHAPE, None)}
    few, more = (
        prune(net, "phew", density=d, generator=draw(), **options) for d in (0.05, 0.2)
    )
    assert all(not (few[n] & ~more[n]).any() for n in few)


def test_masked_weights_are_no_edges():
    c = cases.case("lenet5")
    masks = cases.some_masks(c)
    scores = phew(c.net, masks, (c.x, None), generator=draw(), density=0.3)
    assert all(not scores[n][~masks[n]].any() for n in masks)
    assert all(scores[n].any() for n in masks)


def test_the_whole_kernel_is_visited_or_one_position():
    net = lenet()
    options = {"generator": draw(), "density": 0.01}
    whole = phew(net, Masks.dense(net), (SHAPE, None), kernel="whole", **options)
    conv = next(iter(whole.values())) > 0
    assert set(conv.flatten(2).sum(2).flatten().tolist()) <= {0, 25}
    options = {"generator": draw(), "density": 0.01}
    one = phew(net, Masks.dense(net), (SHAPE, None), **options)
    counts = (next(iter(one.values())) > 0).flatten(2).sum(2)
    assert 0 < counts.max() < 25


def test_uniform_walks_do_not_see_the_size_of_a_weight():
    net = small([[[1e-9], [1.0]], [[1.0, 1.0]]])
    batch, dense = (torch.zeros(1, 1), None), Masks.dense(net)
    hits = sum(
        float(
            phew(net, dense, batch, generator=draw(i), density=0.5, choice="uniform")[
                "0.weight"
            ][0, 0]
        )
        > 0
        for i in range(60)
    )
    assert 15 < hits < 60
    assert not any(
        phew(net, dense, batch, generator=draw(i), density=0.25)["0.weight"][0, 0] > 0
        for i in range(60)
    )


def test_walks_stay_within_the_groups_of_a_convolution():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ReLU(), nn.Conv2d(6, 2, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    x = torch.zeros(1, 4, 5, 5)
    net[2].weight.data[:, 3:] = 0  # the second group leads nowhere
    masks = prune(net, "phew", density=0.4, batch=(x, None), generator=draw())
    scores = phew(net, Masks.dense(net), (x, None), generator=draw(), density=0.3)
    assert scores["2.weight"][:, :3].any() and not scores["2.weight"][:, 3:].any()
    assert masks.kept == int(0.4 * masks.total + 0.5)


def test_reachable_weights_are_those_that_long_walks_visit():
    c = cases.case("residual_mlp")
    masks = prune(c.net, "random", density=0.3, batch=(c.x, None), generator=draw())
    assert masks.effective(c.net, c.in_shape).kept < masks.kept
    twin = private_copy(c.net, masks=masks, batch_norm="eval")
    expected = reachable(read(twin, c.x[:1]))
    scores = phew(c.net, masks, (c.x, None), generator=draw(1), choice="uniform")
    for name, mask in expected.items():
        shape = scores[name].shape
        assert torch.equal(scores[name] > 0, torch.from_numpy(mask).view(shape))


def test_the_walks_depend_on_the_generator_alone():
    net = lenet()
    dense = Masks.dense(net)
    one, two = (
        phew(net, dense, (SHAPE, None), generator=draw("same"), density=0.05)
        for _ in range(2)
    )
    other = phew(net, dense, (SHAPE, None), generator=draw("other"), density=0.05)
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert any(not torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kernel": "slice"}, "kernel: expected 'position' or 'whole'"),
        ({"choice": "best"}, "choice: expected 'magnitude' or 'uniform'"),
        ({"max_walks": 3, "density": 0.1}, "max_walks: 3 walks visited"),
    ],
)
def test_bad_options_are_refused_by_name(options, says):
    net = lenet()
    with pytest.raises(ValueError, match=says):
        phew(net, Masks.dense(net), (SHAPE, None), generator=draw(), **options)


@pytest.mark.parametrize("module", [nn.Softmax(1), nn.LayerNorm(5)])
def test_a_module_that_mixes_units_has_no_walks(module):
    net = nn.Sequential(nn.Linear(4, 5), module, nn.Linear(5, 2))
    with pytest.raises(ValueError, match=r"net: .*has no walks"):
        phew(net, Masks.dense(net), (torch.zeros(1, 4), None), generator=draw())


def test_a_network_that_cannot_be_traced_is_refused():
    c = cases.case("functional_relu")
    with pytest.raises(ValueError, match=r"net: walks need a network that torch\.fx"):
        phew(c.net, Masks.dense(c.net), (c.x, None), generator=draw())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"generator": None}, TypeError, "generator: expected a torch.Generator"),
        *[({"density": d}, ValueError, r"density: expected a number in \(0, 1\]")
          for d in (-1, 0, 2, float("nan"))],
        *[({"density": d}, TypeError, "density: expected a number")
          for d in (True, "a")],
        *[({"max_walks": n}, ValueError, "max_walks: expected at least 1")
          for n in (0, -3)],
        ({"max_walks": 1.5}, TypeError, "max_walks: expected an int"),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_named(options, error, words):
    net = lenet()
    given = {"generator": draw(), **options}
    with pytest.raises(error, match=f"^{words}"):
        phew(net, Masks.dense(net), (SHAPE, None), **given)


def test_draws_stay_on_the_cpu_under_another_default_device():
    net = lenet()
    options = {"density": 0.05}
    right = phew(net, Masks.dense(net), (SHAPE, None), generator=draw(), **options)
    masks = Masks.dense(net)
    with torch.device("meta"):
        found = phew(net, masks, (SHAPE, None), generator=draw(), **options)
    assert all(torch.equal(found[n], right[n]) for n in right)


@pytest.mark.parametrize("batch", [None, SHAPE, (None, None)])
def test_a_batch_that_is_none_is_named(batch):
    net = lenet()
    with pytest.raises(TypeError, match=r"^batch: expected a (pair|tensor)"):
        phew(net, Masks.dense(net), batch, generator=draw())
