"""Initial weights: seeds, variances, bounds, orthogonality, and purity."""

import math

import pytest
import torch
from torch import nn

from paicore import nets
from paicore.nets.build import NETS
from paicore.nets.initialise import initialise_

LAYERS = (nn.Linear, nn.Conv2d)
CHEAP = [name for name in nets.names() if name not in ("fc_2000", "fc_5000")]
INITS = [
    "he",
    ("he", "fan_in"),
    ("he", "fan_out"),
    "glorot",
    "glorot_truncated",
    "lecun",
    "orthogonal",
    "torch",
    ("gaussian", 1.5, 0.3),
]


def make(name, seed=0, in_shape=(3, 32, 32), **options):
    generator = torch.Generator().manual_seed(seed)
    return nets.build(name, in_shape=in_shape, generator=generator, **options)


def small(name, seed=0, in_shape=(3, 32, 32), **options):
    """The network of this name, narrowed where the name leaves the width open."""
    if "width" in NETS[name].options:
        options.setdefault("width", 4)
    return make(name, seed, in_shape, **options)


def weights(net):
    return [m.weight for m in net.modules() if isinstance(m, LAYERS)]


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def one_layer(init, inputs, outputs, seed=0, **options):
    """The weight and bias of a single Linear layer, in float64."""
    net = make(
        "mlp",
        seed,
        (inputs,),
        depth=1,
        classes=outputs,
        init=init,
        dtype=torch.float64,
        **options,
    )
    return net.fc1.weight.detach(), net.fc1.bias.detach()


@pytest.mark.parametrize("name", ["mlp", "vgg11_bn", "resnet", "torchvision_resnet18"])
def test_building_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    small(name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["cnn", "resnet", "torchvision_resnet18"])
def test_one_seed_gives_one_net_and_another_seed_another(name):
    first = state(small(name, seed=3))
    torch.rand(5)  # the global generator must not matter
    assert same(first, state(small(name, seed=3)))
    assert not same(first, state(small(name, seed=4)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cnn", {"activation": "tanh"}),
        ("cnn", {"bias": False}),
        ("cnn", {"batch_norm": True}),
        ("cnn", {"bias_init": "normal"}),
        ("conv4_valid", {"dropout": True}),
        ("resnet", {"stable": True}),
        ("resnet", {"batch_norm": False}),
        ("residual_mlp", {"branch_factor": 0.1}),
    ],
)
def test_options_without_weights_leave_the_weights_of_a_seed_alone(name, options):
    plain, other = weights(small(name)), weights(small(name, **options))
    assert len(plain) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@pytest.mark.parametrize("init", INITS, ids=str)
def test_float32_is_the_cast_of_float64(init):
    narrow = state(small("cnn", init=init))
    wide = state(small("cnn", init=init, dtype=torch.float64))
    assert all(v.dtype == torch.float64 for v in wide.values())
    assert same(narrow, {k: v.float() for k, v in wide.items()})


def test_a_default_device_of_the_caller_changes_nothing():
    plain = state(small("resnet"))
    with torch.device("meta"):
        assert same(state(small("resnet")), plain)


@pytest.mark.parametrize("name", ["resnet", "vgg11_bn", "torchvision_resnet18"])
def test_batch_norm_starts_as_the_identity(name):
    norms = [m for m in small(name).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.bias == 0).all()
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
        assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("name", CHEAP)
def test_every_parameter_is_finite_trainable_and_on_the_cpu(name):
    net = small(name)
    assert net.training
    for parameter in net.parameters():
        assert parameter.requires_grad and parameter.device.type == "cpu"
        assert isinstance(parameter, nn.Parameter) and parameter.isfinite().all()


# Variance of a weight of Linear(300, 200).
VARIANCE = {
    "he": 2 / 300,
    ("he", "fan_in"): 2 / 300,
    ("he", "fan_out"): 2 / 200,
    "glorot": 2 / 500,
    "glorot_truncated": 2 / 500,
    "lecun": 1 / 300,
    "torch": 1 / 3 / 300,
    ("gaussian", 1.5, 0.3): 1.5**2 / 300,
}


@pytest.mark.parametrize("init", VARIANCE, ids=str)
def test_weights_have_mean_zero_and_the_stated_variance(init):
    w, _ = one_layer(init, 300, 200)
    # Five standard errors of 60,000 draws; a normal's kurtosis is the largest here.
    assert abs(w.mean()) < 5 * math.sqrt(VARIANCE[init] / w.numel())
    assert w.var().item() == pytest.approx(
        VARIANCE[init], rel=5 * math.sqrt(2 / w.numel())
    )


@pytest.mark.parametrize(
    ("init", "fan"), [("he", 3 * 25), (("he", "fan_out"), 400 * 25)], ids=str
)
def test_the_fan_of_a_convolution_counts_kernel_positions(init, fan):
    net = make("cnn", width=400, depth=1, kernel=5, init=init, dtype=torch.float64)
    w = net.conv1.weight
    assert w.var().item() == pytest.approx(2 / fan, rel=5 * math.sqrt(2 / w.numel()))


def test_truncated_glorot_stops_at_two_of_its_untruncated_deviations():
    w, _ = one_layer("glorot_truncated", 300, 200)
    bound = 2 * math.sqrt(2 / 500) / 0.87962566
    assert w.abs().max() <= bound
    assert w.abs().max() > 0.999 * bound  # 60,000 draws come close to it
    # Beyond 1.5 deviations: (Phi(2) - Phi(1.5)) / (Phi(2) - Phi(0)).
    normal = torch.distributions.Normal(0.0, 1.0)
    inner, outer = (normal.cdf(torch.tensor(z)).item() for z in (1.5, 2.0))
    share = (w.abs() > 0.75 * bound).double().mean().item()
    assert share == pytest.approx((outer - inner) / (outer - 0.5), abs=0.006)


def test_the_constant_of_truncated_glorot_is_the_deviation_of_a_cut_normal():
    z = torch.linspace(-2, 2, 400_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2)
    variance = torch.trapezoid(z * z * density, z) / torch.trapezoid(density, z)
    assert variance.sqrt().item() == pytest.approx(0.87962566, abs=1e-8)


@pytest.mark.parametrize(("inputs", "outputs"), [(30, 20), (20, 30), (20, 20)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(inputs, outputs):
    w, _ = one_layer("orthogonal", inputs, outputs)
    gram = w @ w.T if outputs <= inputs else w.T @ w
    eye = torch.eye(min(inputs, outputs), dtype=torch.float64)
    torch.testing.assert_close(gram, eye, rtol=0, atol=1e-13)


def test_orthogonal_filters_are_orthonormal_as_rows():
    net = make("cnn", width=8, depth=1, init="orthogonal", dtype=torch.float64)
    rows = net.conv1.weight.detach().flatten(1)  # (8, 27)
    eye = torch.eye(8, dtype=torch.float64)
    torch.testing.assert_close(rows @ rows.T, eye, rtol=0, atol=1e-13)


def test_orthogonal_draws_have_signs_of_both_kinds():
    # QR alone fixes a sign per column; the draw must be uniform instead.
    corners = [one_layer("orthogonal", 2, 2, seed=s)[0][0, 0] for s in range(200)]
    positive = (torch.stack(corners) > 0).double().mean()
    assert 0.35 < positive < 0.65


@pytest.mark.parametrize(
    ("init", "bias_init", "deviation"),
    [
        ("he", None, 0),
        ("he", "zero", 0),
        ("he", "normal", 0.01),
        ("he", "torch", 1 / math.sqrt(3 * 25)),
        ("torch", None, 1 / math.sqrt(3 * 25)),
        ("torch", "zero", 0),
        (("gaussian", 1.5, 0.3), None, 0.3),
        (("gaussian", 1.5, 0), None, 0),
    ],
)
def test_biases_have_the_stated_deviation(init, bias_init, deviation):
    _, b = one_layer(init, 25, 20_000, bias_init=bias_init)
    assert abs(b.mean()) <= 5 * deviation / math.sqrt(b.numel())
    assert b.std().item() == pytest.approx(deviation, rel=0.03)
    uniform = bias_init == "torch" or (init == "torch" and bias_init is None)
    if uniform:
        assert b.abs().max() <= 1 / math.sqrt(25)


def test_a_network_is_initialised_again_as_if_newly_built():
    net = small("resnet", seed=1)
    net(torch.ones(4, 3, 32, 32))  # moves the running statistics
    initialise_(net, generator=torch.Generator().manual_seed(2))
    assert same(state(net), state(small("resnet", seed=2)))


def test_a_layer_that_initialisers_do_not_know_is_refused_untouched():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.LayerNorm(3))
    net[0].running_mean += 1
    before, generator = state(net), torch.Generator()
    position = generator.get_state()
    with pytest.raises(TypeError, match=r"^net: .* got LayerNorm at '2'"):
        initialise_(net, generator=generator)
    assert same(before, state(net))
    assert torch.equal(position, generator.get_state())
