"""Random networks and their measured saliency, for comparison with the theory."""

import numpy as np
import torch

from paicore import nets, seeds


def mlp(phi, scales, width, depth, seed, *, inputs=None, dtype=torch.float64):
    """A tanh or ReLU MLP with 10 outputs; `scales` is (sigma_w, sigma_b)."""
    return nets.build(
        "mlp", classes=10, in_shape=(inputs or width,), width=width, depth=depth,
        activation=phi, init=("gaussian", *scales), dtype=dtype,
        generator=seeds.generator(seed, "meanfield", phi),
    )  # fmt: skip


def sample(batch, inputs, seed, dtype=torch.float64):
    """Inputs of mean square one, and an output direction v of mean square one."""
    g = seeds.generator(seed, "meanfield", "data")
    x = torch.randn(batch, inputs, generator=g, dtype=torch.float64)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    v = torch.randn(10, generator=g, dtype=torch.float64)
    return x.to(dtype), (v / v.square().mean().sqrt()).to(dtype)


def weights(net):
    return [p for name, p in net.named_parameters() if name.endswith("weight")]


def layer_moments(net, x, v):
    """Mean over each layer's weights of (W dL/dW)^2, L the batch mean of v . f(x)."""
    theta = weights(net)
    grads = torch.autograd.grad((net(x) @ v).mean(), theta)
    terms = [w.detach() * g for w, g in zip(theta, grads, strict=True)]
    return np.array([float(torch.mean((t * t).double())) for t in terms])


def labelled(batch, inputs, seed):
    """Gaussian inputs with random labels, for SNIP's score."""
    g = seeds.generator(seed, "meanfield", "labelled")
    x = torch.randn(batch, inputs, generator=g, dtype=torch.float64)
    return x, torch.randint(10, (batch,), generator=g)


def depth_slope(moments, first, last):
    """Slope of log m^l against l over layers first ... last, counted from one."""
    layers = np.arange(first, last + 1)
    return np.polyfit(layers, np.log(moments[first - 1 : last]), 1)[0]
