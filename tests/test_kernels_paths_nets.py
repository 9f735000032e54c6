"""Layers and nets as people write them: every call with a path form is exact."""

import copy

import path_references
import pytest
import torch
from path_references import flat
from references import close
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from paicore import Masks, nets, prune, seeds
from paicore.kernels import paths


class Written(nn.Module):
    """A layer, something done to its output, a readout."""

    def __init__(self, layer, done, features):
        super().__init__()
        self.layer, self.done = layer, done
        self.gain = nn.Parameter(torch.tensor([0.7, -1.3]).view(2, 1, 1))
        self.read = nn.Linear(features, 2)
        self.register_buffer("fixed", torch.tensor([[2.0], [-0.5]])[..., None])

    def forward(self, x):
        return self.read(self.done(self, self.layer(x)).flatten(1))


def conv(**options):
    return nn.Conv2d(1, 2, 3, **options)


def residual_in_place(net, x):
    y = functional.relu(x * 0.5, inplace=True) + x
    y += net.gain
    y.mul_(-2.0)
    return y.relu_()


WRITTEN = {
    "dilated": (conv(dilation=2, padding=2), lambda net, x: x.relu(), 32),
    "circular": (
        conv(padding=1, padding_mode="circular"), lambda net, x: x.relu(), 32,
    ),
    "same": (conv(padding="same"), lambda net, x: torch.relu(x), 32),
    "grouped": (
        nn.Sequential(conv(), nn.ReLU(), nn.Conv2d(2, 4, 2, groups=2)),
        lambda net, x: x, 4,
    ),
    "transposed": (nn.ConvTranspose2d(1, 2, 2), lambda net, x: x.relu(), 50),
    "mean": (conv(), lambda net, x: x.relu().mean((2, 3)), 2),
    "sum": (conv(), lambda net, x: x.relu().sum(-1), 4),
    "max_ceil": (
        conv(padding=1),
        lambda net, x: functional.max_pool2d(x, 3, 2, ceil_mode=True), 8,
    ),
    "max_padded": (
        conv(padding=1), lambda net, x: functional.max_pool2d(x, 3, 2, 1), 8,
    ),
    "max_adaptive": (
        conv(padding=1), lambda net, x: functional.adaptive_max_pool2d(x, 3), 18,
    ),
    "average_padded": (
        conv(padding=1), lambda net, x: functional.avg_pool2d(x.relu(), 3, 2, 1), 8,
    ),
    "average_inside": (
        conv(padding=1),
        lambda net, x: functional.avg_pool2d(
            x.relu(), 3, 2, 1, count_include_pad=False
        ), 8,
    ),
    "average_ceil": (
        conv(padding=1),
        lambda net, x: functional.avg_pool2d(x.relu(), 3, 2, 1, ceil_mode=True), 18,
    ),
    "average_divisor": (
        conv(padding=1),
        lambda net, x: functional.avg_pool2d(x, (2, 1), divisor_override=3), 16,
    ),
    "average_adaptive": (
        conv(padding=1), lambda net, x: functional.adaptive_avg_pool2d(x, 3), 18,
    ),
    "gain": (conv(), lambda net, x: torch.relu(net.gain * x), 8),
    "constants": (conv(), lambda net, x: 3 - (x * net.fixed).relu() / 4, 8),
    "shifted": (conv(), lambda net, x: (x - net.fixed).relu() + 0.25, 8),
    "in_place": (conv(), residual_in_place, 8),
    "split": (
        conv(),
        lambda net, x: torch.cat([-x[:, :1], *(x.chunk(2, 1)), x * 0], 1).relu(), 20,
    ),
    "leaky": (conv(), lambda net, x: functional.leaky_relu(x, 0.3), 8),
    "dropout": (
        conv(),
        lambda net, x: functional.dropout(x.relu(), 0.5, training=net.training), 8,
    ),
}  # fmt: skip


def written(name):
    layer, done, features = WRITTEN[name]
    state = torch.get_rng_state()
    torch.manual_seed(5)
    net = Written(copy.deepcopy(layer), done, features)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    torch.set_rng_state(state)
    return net.double().eval(), (1, 4, 4)


def jacobian_by_loops(net, x):
    return path_references.tangent_kernel(net, dict(net.named_parameters()), x)[1]


def draw(shape, n=4):
    generator = seeds.generator(0, "written")
    return torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def check_against_paths(net, in_shape):
    """The real network fixes the paths; the paths fix the sums."""
    x = draw(in_shape)
    listed = paths.enumerate(net, in_shape)
    open_, pi, jacobian = listed.activations(x), listed.products(), listed.jacobian()
    assert close(open_ @ pi, net(x).detach().flatten(), 1e-12)
    assert close(open_ @ jacobian, jacobian_by_loops(net, x), 1e-12)
    sums = paths.edge_sums(net, in_shape)
    assert close(flat(sums.t), (jacobian**2).sum(0), 1e-12)
    through = torch.zeros_like(jacobian)
    for row, members in zip(through, listed.members, strict=True):
        row[list(members)] = 1.0
    assert close(flat(sums.sf), through.T @ pi.abs(), 1e-12)
    assert close(flat(paths.gated_sums(net, x)), (open_**2 @ jacobian**2).sum(0), 1e-12)
    norm = float((open_**2).sum() ** 0.5)
    assert paths.activation_norm(net, x) == pytest.approx(norm, rel=1e-12)
    assert paths.count(net, in_shape) == len(listed)


@pytest.mark.parametrize("name", list(WRITTEN))
def test_calls_as_people_write_them_are_exact(name):
    check_against_paths(*written(name))


def normed(net):
    """Move a network's stored statistics and gains away from 0 and 1."""
    generator = seeds.generator(2, "norms")
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=generator))
            module.running_var.copy_(torch.rand(size, generator=generator) + 0.5)
            if module.affine:
                nn.init.normal_(module.weight, generator=generator)
    return net.double().eval()


OTHER = {
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.ReLU(), nn.MaxPool1d(2, 1),
            nn.AvgPool1d(2, 1, 1), nn.Flatten(), nn.Linear(12, 2),
        ), (2, 5),
    ),
    "conv3d": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2, affine=False), nn.LeakyReLU(0.1),
            nn.MaxPool3d(2, 1), nn.AvgPool3d(1), nn.Flatten(), nn.Linear(2, 2),
        ), (1, 3, 3, 3),
    ),
    "linear_norm": (
        lambda: nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4, 2),
        ), (3,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(OTHER))
def test_other_dimensions_are_exact(name):
    state = torch.get_rng_state()
    torch.manual_seed(1)
    net = normed(OTHER[name][0]())
    torch.set_rng_state(state)
    check_against_paths(net, OTHER[name][1])


@pytest.mark.parametrize(
    ("name", "options", "in_shape"),
    [
        ("residual_mlp", {"width": 3, "depth": 2, "stable": True}, (2,)),
        ("cnn", {"width": 2, "depth": 2}, (1, 3, 3)),
        ("mlp", {"width": 3, "batch_norm": True, "activation": "leaky_relu"}, (3,)),
    ],
)
def test_our_own_nets_are_exact(name, options, in_shape):
    net = nets.build(
        name, classes=2, in_shape=in_shape, generator=seeds.generator(0, "own"),
        bias_init="torch", **options,
    )  # fmt: skip
    check_against_paths(normed(net), in_shape)


def folded(net, x):
    """R_2 and its gradients for a CIFAR ResNet, by convolutions written out."""
    squares = {k: (p.detach() ** 2).requires_grad_() for k, p in net.named_parameters()}
    one = copy.deepcopy(net)
    for module in one.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.copy_((module.running_var + module.eps) ** 2)
            module.running_mean.copy_(
                -(module.running_mean**2)  # a source: it is added
            )
            module.eps = 0.0
    one.average1 = nn.AvgPool2d(one.average1.kernel_size, divisor_override=4 * 4)
    out = functional_call(one.eval(), squares, (x,)).sum()
    return out, dict(
        zip(squares, torch.autograd.grad(out, list(squares.values())), strict=True)
    )


def test_a_resnet_is_exact_after_training_moved_its_statistics():
    net = nets.build("resnet20", in_shape=(3, 8, 8), width=2, classes=3,
                     generator=seeds.generator(0, "res"))  # fmt: skip
    net = normed(net)
    net.average1 = nn.AvgPool2d(2)
    out, expected = folded(net, torch.ones(1, 3, 8, 8).double())
    t = paths.edge_sums(net, (3, 8, 8)).t
    assert close(flat(t), flat(expected), 1e-12)
    assert paths.norm(net, (3, 8, 8)) ** 2 == pytest.approx(
        float(out.detach()), rel=1e-12
    )


@pytest.mark.parametrize("side", [2, 3])
def test_the_authors_trace_is_larger_by_the_window_of_an_average_pooling(side):
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.AvgPool2d(side), nn.Flatten(),
        nn.Linear(3, 2, bias=False),
    )  # fmt: skip
    in_shape = (1, side + 2, side + 2)
    exact = paths.trace(net, in_shape)
    assert paths.trace(net, in_shape, mode="authors") == pytest.approx(
        side**2 * exact, rel=1e-12
    )


def test_the_authors_trace_of_resnet20_is_64_times_the_exact_one():
    net = nets.build("resnet20", in_shape=(3, 32, 32), width=4,
                     generator=seeds.generator(0, "ratio"))  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # the authors leave eps unsquared
    ratio = {
        params: paths.trace(net, (3, 32, 32), mode="authors", params=params)
        / paths.trace(net, (3, 32, 32), params=params)
        for params in ("prunable", "trainable")
    }
    assert ratio["prunable"] == pytest.approx(64, rel=1e-12)
    assert 64 - 1e-3 < ratio["trainable"] < 64 - 1e-9  # the classifier's bias escapes


def test_the_authors_trace_counts_one_position_of_a_max_pooling():
    net = nets.build("lenet5", in_shape=(1, 20, 20), width=2,
                     generator=seeds.generator(0, "max"))  # fmt: skip
    exact = paths.trace(net, (1, 20, 20))
    assert paths.trace(net, (1, 20, 20), mode="authors") < 0.5 * exact


@pytest.mark.parametrize("mode", ["exact", "authors"])
def test_masked_traces_are_those_of_the_network_without_these_edges(mode):
    net = nets.build("lenet5", in_shape=(1, 20, 20), width=2,
                     generator=seeds.generator(0, "max"))  # fmt: skip
    masks = prune(net, "random", density=0.3, generator=seeds.generator(0, "cut"))
    found = paths.trace(net, (1, 20, 20), masks=masks, mode=mode)
    with torch.no_grad():
        for name in masks:
            net.get_parameter(name)[~masks[name]] = 1e20  # rubbish
    assert paths.trace(net, (1, 20, 20), masks=masks, mode=mode) == found
    assert paths.trace(net, (1, 20, 20), mode=mode) > 1e6 * found
    dense = Masks.dense(net)
    assert paths.trace(net, (1, 20, 20), masks=dense) == paths.trace(net, (1, 20, 20))


def test_a_weight_shared_by_parallel_branches_is_on_each_path_once():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.last = nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x):
            halves = [self.shared(part).relu() for part in x.chunk(2, 1)]
            return self.last(halves[0] + halves[1])

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Siamese().double()
    check_against_paths(net, (4,))
