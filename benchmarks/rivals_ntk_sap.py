"""NTK-SAP as a reader would otherwise write it: the authors' loop, in torch only."""

import copy
from math import sqrt

import torch
from torch.func import functional_call

LAYERS = (torch.nn.Linear, torch.nn.Conv2d)


def ntk_sap(net, in_shape, *, samples, density, rounds, repeats, generator, epsilon):
    """Prune by NTK-SAP with a plain loop, in the dtype and on the device of `net`.

    Per draw: redraw, one forward pass that sets the statistics (momentum 1), a copy
    that is perturbed, a forward pass through each in eval mode, one backward pass to
    the masks both share. Per round: one kthvalue over all scores.
    """
    names = [f"{p}.weight" for p, m in net.named_modules() if isinstance(m, LAYERS)]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    first = net.get_parameter(names[0])
    kept = {name: torch.ones_like(net.get_parameter(name)) for name in names}
    total = sum(mask.numel() for mask in kept.values())

    def normal(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for step in range(1, rounds + 1):
        for mask in kept.values():
            mask.requires_grad_(True).grad = None
        for _ in range(repeats):
            redraw(net, names, normal)
            x = normal((samples, *in_shape)).to(first)
            with torch.no_grad():
                masked(net.train(), kept)(x)
            net.eval()
            other = copy.deepcopy(net)
            for name in names:
                weight = other.get_parameter(name)
                weight.add_((sqrt(epsilon) * normal(weight.shape)).to(first))
            change = masked(net, kept)(x) - masked(other, kept)(x)
            (change**2).sum().backward()
        with torch.no_grad():
            scores = [(mask * mask.grad).abs() for mask in kept.values()]
            flat = torch.cat([score.flatten() for score in scores])
            k = int((1.0 - density ** (step / rounds)) * total)
            if k >= 1:
                border = torch.kthvalue(flat, k).values
                for score, mask in zip(scores, kept.values(), strict=True):
                    mask.copy_((score > border).to(mask.dtype))
    return [mask.detach().bool() for mask in kept.values()]


def redraw(net, names, normal):
    """Draw He weights anew, and put batch norm back; momentum 1 stores one batch."""
    for name in names:
        weight = net.get_parameter(name)
        weight.copy_((normal(weight.shape) * sqrt(2 / weight[0].numel())).to(weight))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_parameters()
            module.momentum = 1.0


def masked(net, kept):
    """The network with its weights times the masks."""
    weights = {name: net.get_parameter(name) * mask for name, mask in kept.items()}
    return lambda x: functional_call(net, weights, (x,))
