"""The kernel against a loop of backward passes, on every kind of network."""

import cases
import kernel_references as reference
import pytest
import torch
from references import TOLERANCE, close

from paicore import Masks, nets, prune, seeds
from paicore.kernels import ntk

DOUBLE = TOLERANCE[torch.float64]
MODES = ("eval", "frozen", "train")
NETS = {  # name -> (network, shape of its inputs, options)
    "mlp": ("mlp", (1, 4, 4), {"width": 12, "depth": 3, "bias_init": "torch"}),
    "lenet5": ("lenet5", (1, 16, 16), {"width": 2, "bias_init": "torch"}),
    "conv4": ("conv4", (3, 8, 8), {"width": 4, "bias_init": "torch"}),
    "vgg11": ("vgg11", (3, 32, 32), {"width": 4, "bias_init": "torch"}),
    "vgg11_bn": ("vgg11_bn", (3, 32, 32), {"width": 2}),
    "resnet20": ("resnet20", (3, 8, 8), {"width": 2}),
    "resnet8": ("resnet", (3, 8, 8), {"width": 2, "depth": 8}),
}
NORMED = ("vgg11_bn", "resnet20", "resnet8")
COMBINATIONS = [
    (name, mode) for name in NETS for mode in (MODES if name in NORMED else (None,))
]


def network(name, n=4):
    """A narrow network that has seen data, and inputs."""
    kind, in_shape, options = NETS[name]
    g = seeds.generator(0, "kernels", name)
    net = nets.build(kind, classes=3, in_shape=in_shape, generator=g, **options)
    net = net.double()
    x = torch.randn(n, *in_shape, generator=g, dtype=torch.float64)
    with torch.no_grad():
        net(x)  # running statistics other than 0 and 1
    return net, x


def random_masks(net, density):
    if density == 0:
        return Masks({n: torch.zeros_like(m) for n, m in Masks.dense(net).items()})
    g = seeds.generator(1, "kernels")
    return prune(net, "random", density=density, generator=g)


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_kernel_equals_the_loop_of_backward_passes(name, mode):
    net, x = network(name)
    for x2 in (None, x[:3].flip(0) * 0.7):
        found = ntk.gram(net, x, x2, batch_norm=mode)
        assert found.shape == (4, 4 if x2 is None else 3, 3, 3)
        assert close(found, reference.gram(net, x, x2, batch_norm=mode))


@pytest.mark.parametrize("density", [1.0, 0.1, 0.03, 0.01, 0.0])
@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_masked_kernel_sums_the_surviving_columns(name, mode, density):
    net, x = network(name, n=3)
    masks = random_masks(net, density)
    for tangent in ("masked", "ambient"):
        options = {"masks": masks, "tangent": tangent, "batch_norm": mode}
        assert close(ntk.gram(net, x, **options), reference.gram(net, x, **options))
    if density == 0:  # no parameter is left
        empty = ntk.gram(net, x, masks=masks, batch_norm=mode, params="prunable")
        assert torch.all(empty == 0)


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_option_equals_the_reference(name):
    c = cases.case(name, n=4)
    normed = any(isinstance(m, reference.NORMS) for m in c.net.modules())
    for mode in MODES if normed else (None,):
        for outputs in ("full", "class", "sum"):
            for params in ("trainable", "prunable"):
                options = {
                    "batch_norm": mode, "outputs": outputs, "params": params,
                    "masks": cases.some_masks(c),
                }  # fmt: skip
                found = ntk.gram(c.net, c.x, c.x[1:3], **options)
                assert close(found, reference.gram(c.net, c.x, c.x[1:3], **options))


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet8"])
@pytest.mark.parametrize("density", [None, 0.3])
def test_a_small_memory_bound_changes_nothing(name, density):
    net, x = network(name, n=5)
    masks = None if density is None else random_masks(net, density)
    for mode in MODES if name in NORMED else (None,):
        for x2 in (None, x[:3] * 0.5):
            for outputs in ("full", "class", "sum") if mode is None else ("full",):
                options = {"masks": masks, "batch_norm": mode, "outputs": outputs}
                whole = ntk.gram(net, x, x2, **options)
                for bound in (1, 100_000):
                    cut = ntk.gram(net, x, x2, max_bytes=bound, **options)
                    assert close(cut, whole, 1e-12)


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_float32_agrees_with_the_reference_in_float64(name, mode):
    net, x = network(name)
    masks = random_masks(net, 0.3)
    options = {"masks": masks, "batch_norm": mode}
    found = ntk.gram(net.float(), x.float(), dtype=None, **options)
    assert found.dtype == torch.float32
    expected = reference.gram(net, x, **options)
    assert close(found.double(), expected, TOLERANCE[torch.float32])


def test_float64_is_the_default_whatever_the_network_is():
    net, x = network("lenet5")
    single = net.float()
    assert ntk.gram(single, x.float()).dtype == torch.float64
    expected = reference.gram(single.double(), x.float().double())
    assert close(ntk.gram(net.float(), x.float()), expected)


def test_masks_of_ones_make_masked_and_ambient_equal_and_ten_percent_do_not():
    net, x = network("lenet5")
    kernels = {}
    for density in (1.0, 0.1):
        masks = random_masks(net, density)
        kernels[density] = [
            ntk.gram(net, x, masks=masks, tangent=each)
            for each in ("masked", "ambient")
        ]
    assert close(*kernels[1.0])
    assert not close(*kernels[0.1], rtol=0.1)


@pytest.mark.parametrize("tangent", ["masked", "ambient"])
def test_what_stands_in_pruned_weights_does_not_matter(tangent):
    net, x = network("resnet20")
    masks = random_masks(net, 0.2)
    options = {"masks": masks, "tangent": tangent, "batch_norm": "frozen"}
    before = ntk.gram(net, x, **options)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name in masks:
                weight[~masks[name]] = 1e6
    assert torch.equal(ntk.gram(net, x, **options), before)


@pytest.mark.parametrize(("name", "mode"), COMBINATIONS)
def test_kernels_are_symmetric_and_positive_and_so_is_what_masking_removes(name, mode):
    net, x = network(name)
    masks = random_masks(net, 0.1)
    flat = {}
    for tangent in ("masked", "ambient"):
        found = ntk.gram(net, x, masks=masks, tangent=tangent, batch_norm=mode)
        flat[tangent] = found.transpose(1, 2).reshape(12, 12)
        assert close(flat[tangent].T, flat[tangent])
    for matrix in (flat["masked"], flat["ambient"] - flat["masked"]):
        values = torch.linalg.eigvalsh(matrix)
        assert float(values[0]) >= -1e-12 * float(flat["ambient"].trace())
        assert float(values[-1]) > 0


def test_kernel_of_a_linear_network_by_hand():
    net = torch.nn.Sequential(torch.nn.Linear(2, 1)).double()
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)
    expected = torch.tensor([[6.0, 14.0], [14.0, 35.0]], dtype=torch.float64)
    assert close(ntk.gram(net, x)[:, :, 0, 0], expected)
    masks = {"0.weight": torch.tensor([[False, True]])}
    expected = torch.tensor([[5.0, 11.0], [11.0, 26.0]], dtype=torch.float64)
    assert close(ntk.gram(net, x, masks=masks)[:, :, 0, 0], expected)


def test_statistics_of_the_frozen_kernel_come_from_the_batch_named():
    net, x = network("resnet20", n=6)
    own = ntk.gram(net, x[:2], x[2:4], batch_norm="frozen")
    joint = ntk.gram(net, x[:2], x[2:4], batch_norm="frozen", stats_from=x[:4])
    other = ntk.gram(net, x[:2], x[2:4], batch_norm="frozen", stats_from=x)
    assert torch.equal(own, joint)
    assert not close(own, other, 1e-3)
    whole = ntk.gram(net, x, batch_norm="frozen")
    assert close(whole[:2, 2:4], other)


def test_batch_norm_modes_give_three_kernels():
    net, x = network("resnet20", n=6)
    kernels = [ntk.gram(net, x, batch_norm=mode) for mode in MODES]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not close(kernels[first], kernels[second], 0.05)
