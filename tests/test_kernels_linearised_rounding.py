"""What is zero in a kernel stays zero, also in single precision and for long times."""

import pytest
import torch

from paicore import seeds
from paicore.kernels import linearised, ntk

LOSSES = ("mse", "cross_entropy")


def normal(*shape, name=0):
    g = seeds.generator(name, "linearised", "rounding")
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def single_precision_kernels():
    """Kernels of rank 18 of 40, right and in float32, on 20 and 5 points."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 3, bias=False), torch.nn.Tanh(),
        torch.nn.Linear(3, 2, bias=False),
    ).double()  # fmt: skip
    x, other = normal(20, 4, name=7), normal(5, 4, name=8)
    return [
        {"gram": ntk.gram(net, x, dtype=dtype),
         "cross_gram": ntk.gram(net, other, x, dtype=dtype),
         "outputs": normal(20, 2, name=9), "cross_outputs": normal(5, 2, name=10)}
        for dtype in (torch.float64, torch.float32)
    ]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_rounding_of_a_single_precision_kernel_does_not_drift(loss):
    exact, single = single_precision_kernels()
    y = {"mse": normal(20, 2, name=11), "cross_entropy": torch.arange(20) % 2}[loss]
    options = {"targets": y, "loss": loss}
    late = 1e9 if loss == "mse" else 1e4
    runs = {
        linearised.gradient_flow: {"times": [1.0, late]},
        linearised.gradient_descent: {"steps": [100, 2000], "lr": late / 1e4},
    }
    if loss == "mse":
        runs[linearised.gradient_descent] = {"steps": [100, 10**11], "lr": 0.01}
    for run, times in runs.items():
        right, found = (run(**options, **times, **each) for each in (exact, single))
        for a, b in ((found.train, right.train), (found.test, right.test)):
            assert float((a - b).norm() / b.norm()) < 0.01
            assert float((a[1] - b[1]).norm()) < 0.01 * float(b[1].norm())


def test_what_a_single_precision_kernel_leaves_still_is_left_still():
    _, single = single_precision_kernels()
    y = normal(20, 2, name=11)
    found = linearised.gradient_flow(targets=y, times=[1e9, 1e12], **single)
    for part in (found.train, found.test):
        assert float((part[1] - part[0]).abs().max()) < 1e-9
