"""Right answers in styles other than the solutions': every check has to pass them.

RIGHT: name -> (exercise, check, answer).
"""

import numpy as np
import torch
import wrong_ex1
import wrong_ex2
import wrong_ex3
import wrong_ex4
import wrong_ex5
import wrong_ex6


def by_ranks(scores, k):
    index = torch.arange(len(scores))
    before = scores[None] > scores[:, None]
    before |= (scores[None] == scores[:, None]) & (index[None] < index[:, None])
    return before.sum(1) < k


def numpy_masks(scores, density):
    """Global masks by numpy, in a dict of reversed order."""
    flat = np.concatenate([s.numpy().ravel() for s in scores.values()])
    keep = np.zeros(len(flat), bool)
    keep[np.argsort(-flat, kind="stable")[: int(len(flat) * density + 0.5)]] = True
    found, at = {}, 0
    for name, s in scores.items():
        found[name] = keep[at : at + s.numel()].reshape(s.shape)
        at += s.numel()
    return dict(reversed(found.items()))


def layerwise_reversed(scores, density):
    found = wrong_ex1.each_alone(scores, wrong_ex1.halves_up(density))
    return dict(reversed(found.items()))


def count_as_tensor(scores):
    first = min(scores.values(), key=torch.max)
    return torch.tensor(wrong_ex1.rank_of_best(scores, first))


def tuple_of_arrays(weights, x, y):
    return tuple(s.abs().numpy() for s in wrong_ex2.missing_modulus(weights, x, y))


def functional_snip(weights, x, y):
    grads = torch.func.grad(lambda own: wrong_ex2.loss(own, x, y))(weights)
    return [(w * g).abs() for w, g in zip(weights, grads, strict=True)]


def backward_on_copies(weights, x, y):
    own = wrong_ex2.leaves(weights)
    wrong_ex2.loss(own, x, y).backward()
    return [(w * w.grad).abs() for w in own]


def numpy_fixed_point(sigma_w, sigma_b, phi):
    return np.float64(wrong_ex3.steps(3000, sigma_w, sigma_b, phi))


def tensor_fixed_point(sigma_w, sigma_b, phi):
    return torch.tensor(numpy_fixed_point(sigma_w, sigma_b, phi), dtype=torch.float64)


def numpy_edge(sigma_b, phi, dphi):
    return np.float64(
        wrong_ex3.bisect(lambda w: wrong_ex3.right_chi(w, sigma_b, phi, dphi))
    )


def outer_products(weights, x):
    """Per layer all gradients of all outputs, then their products."""
    signals = [x]
    for w in weights[:-1]:
        signals.append(torch.relu(signals[-1] @ w.T))
    delta = torch.eye(len(weights[-1]), dtype=x.dtype).repeat(len(x), 1, 1)
    total = 0.0
    for w, a in zip(reversed(weights), reversed(signals), strict=True):
        j = (delta[..., None] * a[:, None, None]).flatten(2)
        total = total + torch.einsum("aip,bjp->abij", j, j)
        delta = (delta @ w) * (a > 0)[:, None]
    return total


def one_matrix_product(kernel, logits, y, eta):
    errors = logits.softmax(1)
    errors[torch.arange(len(y)), y] -= 1
    matrix = kernel.permute(0, 2, 1, 3).reshape(logits.numel(), -1)
    return (-eta / len(y) * matrix @ errors.flatten()).view_as(logits)


def behind_all(weights, density, rounds):
    return tuple(wrong_ex5.cut(weights, density, rounds, dead=-torch.inf))


def filled_in_place(weights, epsilon, generator):
    return tuple(
        torch.empty_like(w).normal_(0, epsilon**0.5, generator=generator)
        for w in weights
    )


def drawn_as_one_vector(weights, epsilon, generator):
    sizes = [w.numel() for w in weights]
    options = {"generator": generator, "dtype": weights[0].dtype}
    parts = (epsilon**0.5 * torch.randn(sum(sizes), **options)).split(sizes)
    return [p.view(w.shape) for p, w in zip(parts, weights, strict=True)]


def trace_as_tensor(weights, masks, x, epsilon, repeats, seed):
    found = wrong_ex6.seeded(weights, masks, x, epsilon, repeats, seed)
    return torch.tensor(found / epsilon)


def drawn_once(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    """Difference of traces, draw by draw, of the same draws."""
    g, total = torch.Generator().manual_seed(seed), 0.0
    for _ in range(repeats):
        deltas = wrong_ex6.normal(weights, epsilon, g)
        a, b = (
            wrong_ex6.change(weights, masks, x, deltas).square().sum()
            for masks in (masks_a, masks_b)
        )
        total += a - b
    return total / epsilon / repeats


RIGHT = {
    "mask by ranks": ("ex1", "top_k", by_ranks),
    "dict of arrays in another order": ("ex1", "global_masks", numpy_masks),
    "layers in another order": ("ex1", "layerwise_masks", layerwise_reversed),
    "count as a tensor": ("ex1", "smallest_count", count_as_tensor),
    "tuple of arrays": ("ex2", "snip", tuple_of_arrays),
    "torch.func": ("ex2", "snip", functional_snip),
    "backward on copies": ("ex2", "snip", backward_on_copies),
    "np.float64": ("ex3", "fixed_point", numpy_fixed_point),
    "float64 tensor": ("ex3", "fixed_point", tensor_fixed_point),
    "edge as np.float64": ("ex3", "edge", numpy_edge),
    "kernel by autograd": ("ex4", "ntk", wrong_ex4.gram),
    "outer products": ("ex4", "factored", outer_products),
    "one matrix product": ("ex4", "predicted_step", one_matrix_product),
    "minus infinity for pruned weights": ("ex5", "iterated", behind_all),
    "filled in place": ("ex6", "perturbation", filled_in_place),
    "one vector": ("ex6", "perturbation", drawn_as_one_vector),
    "trace as a tensor": ("ex6", "trace_estimate", trace_as_tensor),
    "drawn once": ("ex6", "trace_difference", drawn_once),
}
