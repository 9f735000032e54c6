"""Networks of some ten thousand paths: closed counts and the path identities."""

import kernel_references
import pytest
import torch
from path_references import Residual
from references import close
from torch import nn

from paicore import nets, seeds
from paicore.kernels import paths

SHAPE = (1, 4, 4)


def averaged():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3),
    )  # fmt: skip


def pooled():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(2, 3, bias=False),
    )  # fmt: skip


def normed(moved):
    norms = [nn.BatchNorm2d(2), nn.BatchNorm2d(2)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_var.uniform_(0.5, 2.0)
        if moved:
            norm.running_mean.normal_()
    body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, bias=False), norms[1])
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), norms[0], nn.ReLU(), Residual(body),
        nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(2, 3),
    )  # fmt: skip


# A padded 3 x 3 convolution of 4 x 4 has 10^2 edges per pair of channels, two of them
# have 26^2 paths; there are 3 outputs. Beside the inputs' paths through both of them
# those of the first bias, of the last biases, and of the identity.
BOTH, FIRST, LAST = 4 * 26**2, 4 * 100, 2 * 16
COUNTS = {
    "averaged": (averaged, 3 * (BOTH + FIRST + LAST) + 3),
    "pooled": (pooled, 3 * 4 * 20**2),
    "normed": (lambda: normed(False), 3 * (BOTH + FIRST + 2 * LAST + 2 * 100) + 3),
    "normed_moved": (
        lambda: normed(True), 3 * (BOTH + 2 * FIRST + 4 * LAST + 2 * 100) + 3,
    ),
}  # fmt: skip


def made(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return COUNTS[name][0]().double().eval()


def test_the_counts_are_those_of_the_reference():
    assert [n for _, n in COUNTS.values()] == [9411, 4800, 10107, 11499]
    for name, (_, n) in COUNTS.items():
        assert paths.count(made(name), SHAPE) == n


@pytest.mark.parametrize("name", list(COUNTS))
def test_sums_and_kernels_are_those_of_all_paths(name):
    net = made(name)
    listed = paths.enumerate(net, SHAPE)
    assert len(listed) == paths.count(net, SHAPE)
    jacobian, products = listed.jacobian(), listed.products()
    g = seeds.generator(0, "counts")
    x = torch.randn(2, *SHAPE, generator=g, dtype=torch.float64)
    gates = listed.activations(x)
    assert close(gates @ products, net(x).detach().flatten(), 1e-12)
    direct = kernel_references.flat(kernel_references.jacobian(net, x)).flatten(0, 1)
    assert close(gates @ jacobian, direct, 1e-12)
    assert close(paths.trace(net, SHAPE), jacobian.square().sum(), 1e-12)
    assert close(paths.norm(net, SHAPE) ** 2, products.square().sum(), 1e-12)
    assert close(paths.gram(net, SHAPE), jacobian.T @ jacobian, 1e-12)
    ranks = torch.linalg.matrix_rank(jacobian.T @ jacobian, hermitian=True, rtol=1e-11)
    assert paths.rank(net, SHAPE) == ranks


def test_torchvision_resnets_have_a_path_form():
    net = nets.build("torchvision_resnet18", in_shape=(3, 32, 32), classes=2,
                     generator=seeds.generator(0, "tv"))  # fmt: skip
    t = paths.edge_sums(net, (3, 32, 32)).t
    fc = t["fc.weight"].sum(0)
    assert close(t["fc.bias"], torch.ones(2).double(), 1e-12)
    assert float(fc.min()) > 0
