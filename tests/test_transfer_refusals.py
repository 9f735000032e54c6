"""Networks, inputs and settings that a transfer cannot use, and runs it gives up."""

import pickle
import warnings
from types import SimpleNamespace

import pytest
import torch
import transfer_references as references
from test_transfer_objective import settings
from torch import nn

from paicore import prune, seeds, transfer
from paicore.masks import Masks
from paicore.transfer.divergence import warn_if_faded
from paicore.transfer.objective import objective
from paicore.transfer.tangents import networks

X = references.inputs(20, 6)


def run(net=None, x=X, **options):
    given = {
        "density": 0.4, "steps": 6, "batch": 6, "generator": seeds.generator(0),
        "progress": False,
    }  # fmt: skip
    net = references.mlp() if net is None else net
    return transfer.neural_tangent_transfer(net, x, **given | options)


def frozen():
    net = references.mlp()
    next(net.parameters()).requires_grad_(False)
    return net


class Counting(nn.Module):
    """A layer with a whole number among its parameters."""

    def __init__(self):
        super().__init__()
        self.times = nn.Parameter(torch.tensor(3), requires_grad=False)
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x)


def without_biases():
    layers = nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False)
    return nn.Sequential(*layers)


def deaf():
    net = references.mlp()
    for p in net.parameters():
        p.data.zero_()
    return net


FEATURES = references.inputs(20, 5)
FAR = X.index_fill(0, torch.tensor([19]), 1e300)
DENSE_FIRST = {
    name: torch.ones_like(mask) if name == "fc1.weight" else mask
    for name, mask in prune(
        references.mlp(), "magnitude", density=0.4, scope="layerwise"
    ).items()
}


def lopsided():
    """Masks with the right number of weights in all, but not in each layer."""
    masks = {n: torch.zeros_like(m) for n, m in DENSE_FIRST.items()}
    masks["fc1.weight"].view(-1)[:37] = True  # 17 + 14 + 6
    return masks


REFUSED = {
    "frozen": ({"net": frozen}, "net: parameter 'fc1.weight' does not require grad"),
    "whole": ({"net": Counting}, "net: parameter 'times' is torch.int64"),
    "meta": ({"net": lambda: references.mlp().to("meta")}, "net: .* meta device"),
    "half": (
        {"net": lambda: references.mlp().half(), "dtype": None},
        "dtype: None takes the network's own, torch.float16",
    ),
    "features": ({"x": FEATURES}, r"x: the network cannot run on .*\(6, 5\)"),
    "far": ({"x": FAR}, "x: holds NaN or infinity in torch.float32"),
    "far held out": ({"validation": FAR}, "validation: holds .* in torch.float32"),
    "x on meta": ({"x": X.to("meta")}, "x: expected a dense tensor .* meta"),
    "sparse": ({"x": X.to_sparse()}, "x: expected a dense tensor .*sparse"),
    "zero block": (
        {"net": without_biases, "validation": torch.zeros(4, 6)},
        "validation: the teacher's kernel is zero",
    ),
    "zero inputs": (
        {"net": without_biases, "x": torch.zeros(20, 6), "estimator": "probe"},
        "validation: the teacher's kernel is zero .*first batch where None",
    ),
    "relative": (
        {"net": deaf, "normalise": "relative"}, 'normalise: "relative" needs .*"raw"',
    ),
    "lopsided": (
        {"first_masks": lopsided()},
        "first_masks: keep 37 of layer 'fc1.weight', but density 0.4 asks for 17",
    ),
    "dense layer": (
        {"first_masks": DENSE_FIRST, "scope": {"fc2.weight": 0.1}},
        "first_masks: keep 42 of layer 'fc1.weight'",
    ),
    "large": ({"l2": 10**400}, "l2: expected a finite number"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_transfer_cannot_use_is_refused_by_name(case):
    options, match = REFUSED[case]
    options = dict(options)
    net = options.pop("net", references.mlp)()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    g = seeds.generator(0)
    state = g.get_state()
    with pytest.raises((ValueError, TypeError), match=f"^{match}"):
        run(net, **{"generator": g} | options)
    assert torch.equal(g.get_state(), state)
    for name, parameter in net.named_parameters():
        assert parameter.is_meta or torch.equal(parameter, before[name])


def test_inputs_with_gradients_are_taken_as_they_are():
    x = X.clone().requires_grad_()
    assert run(x=x, validation=x[:4] * 1).log == run(validation=X[:4]).log
    assert x.grad is None


def test_relative_terms_of_a_zero_batch_are_refused_and_raw_ones_are_not():
    net, masks = without_biases(), None
    masks = Masks.dense(net)
    both = networks(net, X[:4].float(), dtype=torch.float32, batch_norm=None)
    zeros, draws = torch.zeros(4, 6), seeds.generator(0)
    for normalise in ("raw", "relative"):
        settings = transfer_settings(normalise=normalise)
        args = both, both.values(), masks, zeros, settings, draws
        if normalise == "raw":
            assert float(objective(*args).target) == 0
            continue
        with pytest.raises(ValueError, match=r'^normalise: "relative" needs'):
            objective(*args)


def transfer_settings(**given):
    import test_transfer_objective

    return test_transfer_objective.settings(**given)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_weights_beyond_the_range_are_a_divergence_not_a_bad_score(scope):
    with pytest.raises(transfer.Diverged, match=r"step 1 of 30.* rate below 1e\+39"):
        run(lr=1e39, frequency=1, steps=30, scope=scope)


@pytest.mark.parametrize("name", ["l2", "kernel_weight", "target_weight"])
def test_a_loss_beyond_the_range_at_first_blames_no_learning_rate(name):
    with pytest.raises(
        transfer.Diverged,
        match=r"^the loss is inf already before the first step",
    ) as caught:
        run(**{name: 1e300})
    assert caught.value.log == [] and "rate" not in str(caught.value)


def test_a_divergence_survives_the_way_between_processes_with_its_log():
    error = transfer.Diverged("the loss is nan", 7, [{"step": 0}])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.step, again.log) == (str(error), 7, [{"step": 0}])


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (None, "expected a pair"), ((X,), "expected a pair"),
        ((X, None, None), "expected a pair .* of 3"),
        ((None, None), "expected a floating tensor"), (("a", None), "got str"),
        ((X.tolist(), None), "got list"), ((X[:0], None), "at least one sample"),
        ((X[0], None), "at least one sample"), ((X / 0, None), "holds NaN or inf"),
        ((X.to(torch.complex64), None), "got torch.complex64"),
        ((FEATURES, None), r"the network cannot run on inputs \(20, 5\)"),
    ],
    ids=["none", "one", "three", "nones", "text", "list", "empty", "vector", "nan",
         "complex", "features"],
)  # fmt: skip
def test_logit_snip_refuses_what_is_no_batch(batch, match):
    with pytest.raises((ValueError, TypeError), match=f"^batch: .*{match}"):
        transfer.logit_snip(references.mlp(), None, batch)


def test_logit_snip_takes_whole_numbers_as_other_scores_do():
    x, net = (10 * X).abs().to(torch.uint8), references.mlp()
    one, other = (transfer.logit_snip(net, None, (y, None)) for y in (x, x.double()))
    assert all(torch.equal(score, other[n]) for n, score in one.items())


def test_axis_shuffles_refuse_what_they_cannot_shuffle():
    masks = references.random_masks(references.mlp())
    flat = {"a": torch.ones(3, dtype=torch.bool)}
    for given, error, match in (
        (None, TypeError, "masks: expected a mapping"),
        (flat, ValueError, r"masks: expected at least two axes, got shape \(3,\)"),
    ):
        with pytest.raises(error, match=match):
            transfer.shuffled_along_axis0(given)
    for generator in (3, torch.default_generator):
        with pytest.raises((TypeError, ValueError), match=r"^generator: expected"):
            transfer.shuffled_along_axis0(masks, generator)


def test_axis_shuffles_depend_on_no_mode_of_the_caller():
    masks = references.random_masks(references.mlp())
    plain = transfer.shuffled_along_axis0(masks)
    with torch.device("meta"), torch.inference_mode():
        other = transfer.shuffled_along_axis0(masks)
    assert other == plain
    assert not any(mask.is_inference() for mask in other.values())


@pytest.mark.parametrize(
    ("l2", "masked", "warns"), [(0.05, 0.95, True), (0.05, 0.5, False), (0.5, 1, False)]
)
def test_weights_that_fade_without_a_match_are_warned_of(l2, masked, warns):
    first = {"l2": 5.0, "masked": 2.0, "ambient": 1.0}
    last = {"l2": 5.0 * l2, "masked": 2.0 * masked, "ambient": 0.1}
    state = SimpleNamespace(log=[first, last])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warn_if_faded(settings(tangent="masked"), state)
    assert len(seen) == warns
    assert all("relative" in str(each.message) for each in seen)
