"""Slow, obvious definitions. They import nothing of the scores or the masks."""

import copy
import itertools

import torch
from torch.nn import functional

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def layers(net):
    """name -> weight of every Linear and Conv layer."""
    kinds = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)
    return {
        f"{path}.weight": module.weight
        for path, module in net.named_modules()
        if isinstance(module, kinds)
    }


def masked_twin(net, masks, mode):
    """A copy with masked weights in train or eval mode."""
    twin = copy.deepcopy(net).train(mode == "train")
    with torch.no_grad():
        for name, weight in layers(twin).items():
            weight.mul_(masks[name].to(weight.dtype))
    return twin


def loss_gradient(net, masks, x, y, mode="train"):
    """Gradient of the mean cross-entropy by one plain backward pass."""
    twin = masked_twin(net, masks, mode)
    functional.cross_entropy(twin(x), y).backward()
    return {n: (w.detach(), w.grad) for n, w in layers(twin).items()}


def half_squared_gradient_norm(net, x, y, temperature):
    """1/2 ||dL/dw||^2 over the prunable weights, without a graph."""
    twin = copy.deepcopy(net).train()
    loss = functional.cross_entropy(twin(x) / temperature, y)
    grads = torch.autograd.grad(loss, list(layers(twin).values()))
    return sum((g**2).sum() for g in grads) / 2


def path_scores(matrices):
    """SynFlow by enumeration: for each weight the sum of abs path products through it.

    `matrices` are the weights (out, in) of a bias-free MLP.
    """
    sizes = [matrices[0].shape[1]] + [m.shape[0] for m in matrices]
    scores = [torch.zeros_like(m) for m in matrices]
    for path in itertools.product(*[range(size) for size in sizes]):
        product = 1.0
        for layer, matrix in enumerate(matrices):
            product *= abs(float(matrix[path[layer + 1], path[layer]]))
        for layer in range(len(matrices)):
            scores[layer][path[layer + 1], path[layer]] += product
    return scores


def live_by_deletion(net, masks, in_shape):
    """Kept weights whose removal lowers the number of paths, one deletion each.

    The network of masks has weights 0 and 1, no bias, and a norm that does nothing.
    """
    twin = copy.deepcopy(net).eval()
    for module in twin.modules():
        if getattr(module, "bias", None) is not None:
            torch.nn.init.zeros_(module.bias)
        if isinstance(getattr(module, "factor", None), float):
            module.factor = abs(module.factor)
    weights = layers(twin)
    ones = torch.ones(1, *in_shape, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(masks[name])
        whole = float(twin(ones).sum())
        live = {name: torch.zeros_like(mask) for name, mask in masks.items()}
        for name, weight in weights.items():
            flat, out = weight.flatten(), live[name].view(-1)
            for index in torch.nonzero(flat).flatten():
                weight.view(-1)[index] = 0.0
                out[index] = float(twin(ones).sum()) < whole
                weight.view(-1)[index] = 1.0
    return live


def snapshot(net):
    """Everything of a network that a score must leave as it is."""
    return {
        "state": {k: v.clone() for k, v in net.state_dict().items()},
        "training": {k: m.training for k, m in net.named_modules()},
        "grads": {
            k: None if p.grad is None else p.grad.clone()
            for k, p in net.named_parameters()
        },
        "requires": {k: p.requires_grad for k, p in net.named_parameters()},
        "objects": {k: id(p) for k, p in net.named_parameters()},
        "hooks": {k: len(m._forward_hooks) for k, m in net.named_modules()},
        "types": {k: type(m) for k, m in net.named_modules()},
    }


def same(before, after):
    """Compare two snapshots bit for bit."""
    for key, first in before.items():
        second = after[key]
        if set(first) != set(second):
            return False
        for name, value in first.items():
            other = second[name]
            if isinstance(value, torch.Tensor):
                if not torch.equal(value, other):
                    return False
            elif value != other:
                return False
    return True


def close(a, b, rtol=TOLERANCE[torch.float64]):
    """Whether two tensors agree relative to the largest entry."""
    scale = max(float(b.abs().max()), 1e-300)
    return float((a - b).abs().max()) <= rtol * scale
