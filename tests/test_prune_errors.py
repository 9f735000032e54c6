import cases
import pytest
import references
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from paicore import masks, prune

X = torch.ones(2, 1, 2, 3)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"density": 0}, ValueError, "density"),
        ({"density": 1.5}, ValueError, "density"),
        ({"density": float("nan")}, ValueError, "density"),
        ({"density": "0.1"}, TypeError, "density"),
        ({"density": 1e-9}, ValueError, "density"),
        ({"score": "snipp"}, ValueError, "did you mean snip"),
        ({"score": 3}, TypeError, "score"),
        ({"batch": None}, ValueError, "batch: snip needs"),
        ({"batch": (X, None)}, ValueError, "labels"),
        ({"batch": X}, TypeError, "pair"),
        ({"batch": (X, torch.tensor([0]))}, TypeError, "labels"),
        ({"batch": (X, torch.tensor([0, 9]))}, ValueError, "0 to 2"),
        ({"batch": (X, torch.tensor([0.0, 1.0]))}, TypeError, "int64"),
        ({"batch": (X / 0, torch.tensor([0, 1]))}, ValueError, "finite"),
        ({"batch": (X[:0], torch.zeros(0).long())}, ValueError, "at least one"),
        ({"batch": (X.long(), torch.tensor([0, 1]))}, TypeError, "float inputs"),
        ({"rounds": 0}, ValueError, "rounds"),
        ({"schedule": "cosine"}, ValueError, "schedule"),
        ({"scope": "everywhere"}, ValueError, "scope"),
        ({"count_rule": "about"}, ValueError, "count_rule"),
        ({"batch_norm": "off"}, ValueError, "batch_norm"),
        ({"reduction": "sum"}, ValueError, "reduction"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"temperature": 2.0}, TypeError, "temperature"),
        ({"generator": 3}, TypeError, "generator"),
        ({"net": "net"}, TypeError, "net"),
        ({"net": nn.ReLU()}, ValueError, "at least one"),
    ],
)  # fmt: skip
def test_bad_input_names_the_argument_and_leaves_the_network(change, error, words):
    c = cases.case("mlp")
    before = references.snapshot(c.net)
    arguments = {
        "net": c.net, "score": "snip", "density": 0.5, "batch": (c.x, c.y)
    } | change  # fmt: skip
    net, score = arguments.pop("net"), arguments.pop("score")
    with pytest.raises(error, match=words):
        prune(net, score, **arguments)
    assert references.same(before, references.snapshot(c.net))


def test_random_scores_ask_for_their_generator():
    with pytest.raises(ValueError, match="generator: random draws"):
        prune(nn.Linear(2, 2), "random", density=0.5)


def test_weights_that_are_not_finite_are_named():
    net = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"0\.weight.*NaN"):
        prune(net, "magnitude", density=0.5)


def test_a_network_pruned_by_torch_is_refused_with_the_remedy():
    net = nn.Sequential(nn.Linear(4, 2))
    torch_prune.l1_unstructured(net[0], "weight", amount=0.5)
    with pytest.raises(ValueError, match=r"torch\.nn\.utils\.prune\.remove"):
        prune(net, "magnitude", density=0.5)


def test_path_scores_refuse_layer_norm_by_name():
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="LayerNorm '1' has no path form"):
        prune(net, "synflow", density=0.5, batch=(torch.zeros(1, 4), None))


def test_a_score_of_ones_own_works_and_its_mistakes_are_named():
    c = cases.case("mlp")

    def squares(net, masks, batch, *, generator):
        return {n: w.detach() ** 2 for n, w in masks_of(net).items()}

    def masks_of(net):
        return masks.prunable(net)

    assert prune(c.net, squares, density=0.3) == prune(c.net, "magnitude", density=0.3)

    def incomplete(net, masks, batch, *, generator):
        return {}

    def misshapen(net, masks, batch, *, generator):
        return {n: torch.zeros(1) for n in masks}

    def not_numbers(net, masks, batch, *, generator):
        return {n: torch.full(m.shape, float("nan")) for n, m in masks.items()}

    for bad, words in (
        (incomplete, "every weight"), (misshapen, "of shape"), (not_numbers, "NaN")
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"score: {bad.__name__}.*{words}"):
            prune(c.net, bad, density=0.3)


def test_a_weight_shared_by_two_layers_is_counted_once():
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    net = nn.Sequential(first, nn.ReLU(), second).double()
    batch = (torch.ones(4, 4, dtype=torch.float64), torch.arange(4))
    for name in ("magnitude", "snip", "grasp"):
        kept = prune(net, name, density=0.5, batch=batch)
        assert (kept.total, kept.kept) == (16, 8)


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_inputs_of_a_wrong_shape_are_named_in_the_error(name):
    c = cases.case("mlp")
    x = torch.zeros(2, 1, 5, 5)
    with pytest.raises(RuntimeError) as caught:
        prune(c.net, name, density=0.5, batch=(x, torch.tensor([0, 1])))
    assert "inputs" in caught.value.__notes__[0]
    assert "1, 5, 5" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_a_network_that_returns_a_pair_is_refused(name):
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x), x

    batch = (torch.zeros(2, 4), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match="expected a tensor back, got tuple"):
        prune(Pair(), name, density=0.5, batch=batch)
