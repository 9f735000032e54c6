import cases
import pytest
import references
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from paicore import SCORES, masks, prune
from paicore.kernels import paths
from paicore.scores import prune_many

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


SPARSE = torch.ones(2, 6).to_sparse()
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((X.to("meta"), LABELS), "^batch: x: expected a dense tensor.*meta"),
        ((X, LABELS.to("meta")), "^batch: y: expected a dense tensor.*meta"),
        (
            (SPARSE, LABELS),
            "^batch: x: expected a dense tensor.*sparse_coo",
        ),
        ((X, LABELS.to_sparse()), "^batch: y: expected a dense tensor.*sparse_coo"),
    ],
)
@pytest.mark.parametrize("name", ["snip", "synflow", "magnitude"])
def test_batches_without_values_or_density_are_refused(name, batch, words):
    c = cases.case("mlp")
    before = references.snapshot(c.net)
    with pytest.raises(TypeError, match=words):
        prune(c.net, name, density=0.5, batch=batch)
    assert references.same(before, references.snapshot(c.net))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: mask.to("meta"), "expected a dense tensor with .*meta device"),
        (lambda mask: mask.to_sparse(), "expected a dense tensor with .*sparse_coo"),
    ],
)
def test_masks_without_values_or_sparse_are_refused_by_name(change, words):
    c = cases.case("mlp")
    before = references.snapshot(c.net)
    dense = masks.Masks.dense(c.net)
    odd = {name: change(mask) for name, mask in dense.items()}
    first = next(iter(odd))
    for call in (
        lambda: masks.Masks(odd),
        lambda: SCORES["snip"].function(c.net, odd, (c.x, c.y)),
        lambda: paths.trace(c.net, tuple(c.x.shape[1:]), masks=odd),
    ):
        with pytest.raises(TypeError, match=f"^masks: {first!r}: {words}"):
            call()
    with pytest.raises(TypeError, match="meta device"):
        dense.to("meta")
    assert references.same(before, references.snapshot(c.net))


@pytest.mark.parametrize(
    ("temperature", "error"),
    [
        (True, TypeError), ("200", TypeError), (None, TypeError), (1j, TypeError),
        ([1.0], TypeError), (torch.tensor(2.0), TypeError), (float("nan"), ValueError),
        (0, ValueError), (-1.0, ValueError), (float("inf"), ValueError),
    ],
)  # fmt: skip
def test_grasp_refuses_what_is_no_temperature(temperature, error):
    c = cases.case("mlp")
    before = references.snapshot(c.net)
    with pytest.raises(error, match=r"^temperature: expected a .*number > 0, got"):
        prune(c.net, "grasp", density=0.5, batch=(c.x, c.y), temperature=temperature)
    assert references.same(before, references.snapshot(c.net))


def test_random_scores_ask_for_their_generator():
    with pytest.raises(ValueError, match="generator: random draws"):
        prune(nn.Linear(2, 2), "random", density=0.5)


@pytest.mark.parametrize("name", ["erk", "iterative_snip"])
def test_messages_name_the_score_that_was_asked_for(name):
    c = cases.case("mlp")
    needs = "generator: erk draws" if name == "erk" else "batch: iterative_snip needs"
    with pytest.raises(ValueError, match=f"^{needs}"):
        prune(c.net, name, density=0.5)
    own = torch.Generator()
    with pytest.raises(TypeError, match=f"^options: {name} takes .*got \\['foo'\\]"):
        prune(c.net, name, density=0.5, batch=(c.x, c.y), generator=own, foo=1)
    with pytest.raises(TypeError, match=f"^options: {name} takes"):
        prune_many(
            c.net, name, densities=[0.5], batch=(c.x, c.y), generators=own, foo=1
        )
    assert all(score.name == key for key, score in SCORES.items())


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


SHAPED = [name for name, score in SCORES.items() if score.needs - {"generator"}]


@pytest.mark.parametrize("name", SHAPED)
def test_inputs_that_the_network_does_not_take_are_named_with_its_words(name):
    c = cases.case("mlp")
    before = references.snapshot(c.net)
    batch = (torch.zeros(2, 1, 5, 5), torch.tensor([0, 1]))
    words = r"^batch: the network cannot run on inputs x of shape \(2, 1, 5, 5\) \("
    with pytest.raises(ValueError, match=words + ".*shapes cannot be mult") as caught:
        prune(c.net, name, density=0.5, batch=batch, generator=torch.Generator())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert references.same(before, references.snapshot(c.net))


def test_inputs_with_too_few_axes_for_batch_norm_are_named():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    batch = torch.zeros(2, 2, 2), torch.tensor([0, 1])
    words = r"^batch: the network cannot run .* \(2, 2, 2\) \(expected 4D input"
    with pytest.raises(ValueError, match=words):
        prune(net, "snip", density=0.5, batch=batch)


def test_what_a_score_refuses_comes_before_inputs_that_do_not_fit():
    c = cases.case("mlp")
    batch = torch.zeros(2, 1, 5, 5), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"^reduction: expected"):
        prune(c.net, "snip", density=0.5, batch=batch, reduction="sum")


def test_an_error_that_is_not_about_the_inputs_passes_as_it_is():
    c = cases.case("mlp")

    def broken(net, masks, batch, *, generator):
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        prune(c.net, broken, density=0.5, batch=(c.x, c.y))


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
