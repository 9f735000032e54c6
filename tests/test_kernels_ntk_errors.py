"""Bad input gets an error that names it, and the network stays as it was."""

import cases
import pytest
import torch
from references import same, snapshot

from paicore import Masks, seeds
from paicore.kernels import ntk

FUNCTIONS = {
    "gram": lambda net, x, **o: ntk.gram(net, x, **o),
    "trace": lambda net, x, **o: ntk.trace(net, x, **o),
    "frobenius": lambda net, x, **o: ntk.frobenius(net, x, **o),
    "distance": lambda net, x, **o: ntk.distance(net, net, x, **o),
    "eigenvalues": lambda net, x, **o: ntk.eigenvalues(net, x, **o),
    "top": lambda net, x, **o: ntk.eigenvalues(net, x, top=2, **o),
    "matvec": lambda net, x, **o: ntk.matvec(net, x, torch.ones(len(x), 3), **o),
    "trace_estimate": lambda net, x, **o: ntk.trace_estimate(
        net, x, probes=6, generator=seeds.generator(0), **o
    ),
    "distance_estimate": lambda net, x, **o: ntk.distance_estimate(
        net, net, x, probes=2, generator=seeds.generator(0), **o
    ),
}


@pytest.mark.parametrize("mode", ["train", "frozen", "eval"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_network_the_inputs_and_the_generator_are_left_untouched(name, mode):
    c = cases.case("resnet8_bn", n=4)
    c.net.train()
    before, x = snapshot(c.net), c.x.clone()
    state, flags = torch.get_rng_state(), torch.backends.cudnn.allow_tf32
    FUNCTIONS[name](c.net, c.x, batch_norm=mode, masks=cases.some_masks(c))
    assert same(before, snapshot(c.net))
    assert torch.equal(c.x, x)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.backends.cudnn.allow_tf32 == flags
    with pytest.raises(ValueError, match="batch_norm"):
        FUNCTIONS[name](c.net, c.x)
    assert same(before, snapshot(c.net))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_do_not_depend_on_the_callers_mode_or_gradient_flags(name):
    c = cases.case("lenet5", n=4)
    first = FUNCTIONS[name](c.net, c.x)
    c.net.train().requires_grad_(False)
    with torch.no_grad():
        second = FUNCTIONS[name](c.net, c.x)
    as_list = [torch.as_tensor(each).tolist() for each in (first, second)]
    assert as_list[0] == as_list[1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_carry_no_graph(name):
    c = cases.case("lenet5", n=4)
    found = FUNCTIONS[name](c.net, c.x)
    assert not getattr(found, "requires_grad", False)


WRONG = {
    "tangent": ({"tangent": "dense"}, "tangent"),
    "params": ({"params": "all"}, "params"),
    "outputs": ({"outputs": "trace"}, "outputs"),
    "mode": ({"batch_norm": "training"}, "batch_norm"),
    "bound": ({"max_bytes": 0}, "max_bytes"),
    "statistics": ({"stats_from": torch.ones(2, 1, 28, 28)}, "stats_from"),
    "masks": ({"masks": {"fc1.weight": torch.ones(2, 2, dtype=torch.bool)}}, "masks"),
    "values": ({"at": {"fc1.weight": torch.ones(2, 2)}}, "at"),
    "x2": ({"x2": torch.ones(3, 1, 27, 28)}, "x2"),
    "no_samples": ({"x2": torch.ones(0, 1, 28, 28)}, "x2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name):
    c = cases.case("lenet5", n=4)
    before = snapshot(c.net)
    options, word = WRONG[name]
    with pytest.raises(ValueError, match=f"^{word}:"):
        ntk.gram(c.net, c.x, **options)
    assert same(before, snapshot(c.net))


def test_arguments_of_a_wrong_kind_are_named():
    c = cases.case("lenet5", n=4)
    with pytest.raises(TypeError, match=r"^max_bytes:"):
        ntk.gram(c.net, c.x, max_bytes=1e9)
    with pytest.raises(TypeError, match=r"^x:"):
        ntk.gram(c.net, c.x.numpy())
    with pytest.raises(TypeError, match=r"^tangents: unexpected keyword"):
        ntk.trace(c.net, c.x, tangents="masked")
    with pytest.raises(ValueError, match=r"^v:.*\(4, 3\)"):
        ntk.matvec(c.net, c.x, torch.ones(4, 2))
    shapes = dict(c.net.named_parameters()) | {"fc1.weight": torch.ones(2, 2)}
    with pytest.raises(ValueError, match=r"^at:.*fc1.weight"):
        ntk.gram(c.net, c.x, at=shapes)


def test_spectrum_and_estimators_refuse_what_they_cannot_give():
    c, g = cases.case("lenet5", n=4), seeds.generator(0)
    for top, bottom in ((13, 0), (0, 0), (12, 1), (-1, 2)):
        with pytest.raises(ValueError, match=r"^top:"):
            ntk.lanczos(c.net, c.x, top=top, bottom=bottom, generator=g)
    with pytest.raises(ValueError, match=r"^method:"):
        ntk.trace_estimate(c.net, c.x, probes=9, method="xtrace", generator=g)
    with pytest.raises(ValueError, match=r"^probes:"):
        ntk.trace_estimate(c.net, c.x, probes=5, generator=g)
    with pytest.raises(ValueError, match=r"^probes:"):
        ntk.distance_estimate(c.net, c.net, c.x, probes=1, generator=g)
    other = cases._built("lenet5", (1, 28, 28), width=2)
    other.fc2 = torch.nn.Linear(other.fc2.in_features, 5)
    with pytest.raises(ValueError, match=r"^other: expected 3 outputs, got 5"):
        ntk.distance(c.net, other, c.x)
    with pytest.raises(ValueError, match=r"^other: expected 3 outputs, got 5"):
        ntk.distance_estimate(c.net, other, c.x, probes=2, generator=g)


def test_logits_that_are_not_finite_are_refused():
    c = cases.case("lenet5", n=4)
    x = c.x.clone()
    x[2] = float("nan")
    for name in ("gram", "trace", "matvec"):
        with pytest.raises(ValueError, match="NaN"):
            FUNCTIONS[name](c.net, x)


def test_a_network_in_one_sample_and_one_output_has_a_kernel():
    net = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    found = ntk.gram(net, torch.ones(1, 3), masks=Masks.dense(net))
    assert found.tolist() == [[[[4.0]]]]


def nets_that_fail():
    """Words, a network and inputs that it cannot take."""
    image = torch.ones(3, 8, 8)
    conv = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(),
        torch.nn.Linear(72, 3),
    )  # fmt: skip
    flat = torch.nn.Sequential(
        torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )
    tokens = torch.nn.Sequential(
        torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(12, 2)
    )
    perceptron = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    return {
        r"^x: .*\(3, 8, 8\), read as 3 samples of shape \(8, 8\)": (
            conv, image, {"batch_norm": "eval"}),
        r"^x: .*read as 3 samples of shape \(8, 8\) \(": (perceptron, image, {}),
        r"^x: .*embed tokens": (tokens, torch.ones(2, 3, dtype=torch.long), {}),
        r"^x: batch statistics need more than one .*\(1, 6\)": (
            flat, torch.ones(1, 6), {"batch_norm": "frozen"}),
        r"^x: batch statistics need more": (
            flat, torch.ones(1, 6), {"batch_norm": "train"}),
        r"^stats_from: batch statistics need more": (
            flat, torch.ones(4, 6),
            {"batch_norm": "frozen", "stats_from": torch.ones(1, 6)}),
        r"^stats_from: expected samples of shape \(6,\), got \(5,\)": (
            flat, torch.ones(4, 6),
            {"batch_norm": "frozen", "stats_from": torch.ones(3, 5)}),
        r"^stats_from: holds NaN": (
            flat, torch.ones(4, 6),
            {"batch_norm": "frozen", "stats_from": torch.full((3, 6), torch.nan)}),
        r"^stats_from: expected at least one": (
            flat, torch.ones(4, 6),
            {"batch_norm": "frozen", "stats_from": torch.ones(0, 6)}),
    }  # fmt: skip


@pytest.mark.parametrize("words", list(nets_that_fail()))
def test_inputs_that_the_network_cannot_take_are_named(words):
    net, x, options = nets_that_fail()[words]
    with pytest.raises(ValueError, match=words):
        ntk.gram(net, x, **options)


NAN, G = float("nan"), seeds.generator(0)
LINEAR = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
NOT_FINITE = {
    "x": lambda: ntk.gram(LINEAR, torch.full((2, 3), float("inf"))),
    "x2": lambda: ntk.gram(LINEAR, torch.ones(2, 3), torch.full((2, 3), NAN)),
    "v": lambda: ntk.matvec(LINEAR, torch.ones(2, 3), torch.full((2, 2), NAN)),
    "x: the result": lambda: ntk.trace(
        LINEAR[:1], torch.full((2, 3), 1e200, dtype=torch.float64)
    ),
    "relative: the other kernel is zero": lambda: ntk.distance(
        LINEAR, LINEAR, torch.zeros(2, 3), params="prunable", relative=True
    ),
}


@pytest.mark.parametrize("words", list(NOT_FINITE))
def test_what_is_not_finite_is_named(words):
    with pytest.raises(ValueError, match=f"^{words}"):
        NOT_FINITE[words]()


X = torch.ones(2, 3)
WRONG_KIND = {
    "tangents: unexpected keyword": lambda: ntk.gram(LINEAR, X, tangents="masked"),
    "at": lambda: ntk.gram(LINEAR, X, at=3),
    "masks": lambda: ntk.gram(LINEAR, X, masks={"0.weight": [1]}),
    "stats_from": lambda: ntk.gram(
        torch.nn.Sequential(LINEAR, torch.nn.BatchNorm1d(2)), X,
        batch_norm="frozen", stats_from=3,
    ),
    "v": lambda: ntk.matvec(LINEAR, X, [1.0]),
    "x: expected real": lambda: ntk.gram(LINEAR, X * 1j),
    "probes": lambda: ntk.trace_estimate(LINEAR, X, probes="a", generator=G),
    "top": lambda: ntk.eigenvalues(LINEAR, X, top="a"),
    "generator: expected": lambda: ntk.lanczos(LINEAR, X, generator=None),
    "generator: expected a": lambda: ntk.trace_estimate(
        LINEAR, X, probes=6, generator=None
    ),
    "generator: expected a torch": lambda: ntk.distance_estimate(
        LINEAR, LINEAR, X, probes=6, generator=None
    ),
    "other": lambda: ntk.distance(LINEAR, None, X),
}  # fmt: skip


@pytest.mark.parametrize("words", list(WRONG_KIND))
def test_arguments_of_another_kind_are_named(words):
    with pytest.raises(TypeError, match=f"^{words}"):
        WRONG_KIND[words]()
