"""Neural Tangent Transfer written out: Jacobians, the loss, the loop; slow, obvious."""

import torch
from torch import nn
from torch.func import functional_call, jacrev

from paicore import nets, seeds
from paicore.forward import prunable
from paicore.nets import Flatten


def mlp(classes=3, features=6, hidden=(7, 5), seed=0, **options):
    """A small float64 MLP with biases that are not zero."""
    return nets.build(
        "mlp", classes=classes, in_shape=(features,), width=hidden, dtype=torch.float64,
        init="glorot_truncated", bias_init="normal",
        generator=seeds.generator(seed, "transfer", "mlp"), **options,
    )  # fmt: skip


def conv(seed=0):
    """A LeNet-5 in small: unpadded convolutions, max pools, two dense layers."""
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
        Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3),
    ).double()  # fmt: skip
    g = seeds.generator(seed, "transfer", "conv")
    for p in net.parameters():
        p.data.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) / 2)
    return net


def inputs(n, *shape, seed=0):
    g = seeds.generator(seed, "transfer", "inputs")
    return torch.randn(n, *shape, generator=g, dtype=torch.float64)


def setting(kind):
    """Network, inputs, and a random mask at 40 % by name."""
    net, x = (mlp(), inputs(8, 6)) if kind == "mlp" else (conv(), inputs(8, 1, 10, 10))
    return net, x, random_masks(net)


def random_masks(net):
    """About 40 % of each layer."""
    g = seeds.generator(0, "transfer", "masks")
    shapes = {name: weight.shape for name, weight in prunable(net).items()}
    return {n: torch.rand(s, generator=g) < 0.4 for n, s in shapes.items()}


def values_of(net):
    """Parameters as leaves that require gradients."""
    return {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}


def product(values, masks):
    """m * theta."""
    return {n: v * masks[n] if n in masks else v for n, v in values.items()}


def jacobian(net, values, masks, x, tangent):
    """(n, k, P): of f(x, m * theta) in theta, or of f(x, p) in p at p = m * theta."""

    def student(theta):
        return functional_call(net, product(theta, masks), (x,))

    def dense(p):
        return functional_call(net, p, (x,))

    if tangent == "masked":
        found = jacrev(student)(values)
    else:
        found = jacrev(dense)(product(values, masks))
    return torch.cat([each.flatten(2) for each in found.values()], 2)


def kernel(net, values, masks, x, x2, tangent):
    """(n, n2, k, k)."""
    left = jacobian(net, values, masks, x, tangent)
    right = jacobian(net, values, masks, x2, tangent)
    return torch.einsum("ncp,mdp->nmcd", left, right)


def terms(net, values, masks, x, tangent="masked", block="cross", relative=False):
    """Kernel term, output term and L2, with their graph."""
    half = len(x) // 2
    sides = (x, x) if block == "symmetric" else (x[:half], x[half:])
    teacher = {n: p.detach() for n, p in net.named_parameters()}
    taught = kernel(net, teacher, {}, *sides, "masked").detach()
    apart = kernel(net, values, masks, *sides, tangent) - taught
    logits = functional_call(net, teacher, (x,)).detach()
    gap = functional_call(net, product(values, masks), (x,)) - logits
    squares = sum((values[n] * m).square().sum() for n, m in masks.items())
    if relative:
        return (
            apart.square().sum() / taught.square().sum(),
            gap.square().sum() / logits.square().sum(),
            squares,
        )
    return apart.square().mean(), gap.square().mean(), squares


def order(generator, n, batch, steps):
    """Indices of every batch: one number drawn, and from it one order per epoch."""
    key = int(torch.randint(2**62, (1,), generator=generator))
    found, epoch = [], 0
    while len(found) < steps:
        g = seeds.generator(key, "transfer", "order", epoch)
        found += torch.randperm(n, generator=g)[: n // batch * batch].split(batch)
        epoch += 1
    return found[:steps]


def largest(weight, density):
    """The round(d n) largest moduli, by sorting."""
    flat = weight.detach().abs().flatten()
    kept = flat.argsort(descending=True)[: int(density * len(flat) + 0.5)]
    mask = torch.zeros(len(flat), dtype=torch.bool)
    mask[kept] = True
    return mask.view_as(weight)


def transfer(net, x, batches, *, density, frequency, lr, tangent, kernel_weight, l2):
    """The whole method with Adam, layer by layer: theta and masks at the end."""
    values = values_of(net)
    names = list(prunable(net))
    masks = {n: largest(values[n], density) for n in names}
    optimizer = torch.optim.Adam(list(values.values()), lr=lr)
    for step, index in enumerate(batches, 1):
        k, f, squares = terms(net, values, masks, x[index], tangent)
        loss = kernel_weight * k + f + l2 / density * squares
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % frequency == 0 and step < len(batches) - frequency:
            masks = {n: largest(values[n], density) for n in names}
    return {n: v.detach() for n, v in values.items()}, masks
