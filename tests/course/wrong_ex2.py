"""Named wrong answers to exercise 2."""

import torch
from course_cases import Wrong
from torch.nn.functional import cross_entropy


def loss(weights, x, y, temperature=1.0):
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)
    return cross_entropy(x @ weights[-1].T / temperature, y)


def leaves(weights):
    return [w.detach().clone().requires_grad_() for w in weights]


def gradients(weights, x, y, **options):
    own = leaves(weights)
    return own, torch.autograd.grad(loss(own, x, y, **options), own)


def times(weights, others):
    return [(w * g).detach() for w, g in zip(weights, others, strict=True)]


def missing_modulus(weights, x, y):
    return times(*gradients(weights, x, y))


def gradient_only(weights, x, y):
    return [g.abs() for g in gradients(weights, x, y)[1]]


def modulus_per_sample(weights, x, y):
    parts = [
        times(*gradients(weights, x[i : i + 1], y[i : i + 1])) for i in range(len(y))
    ]
    return [sum(p[k].abs() for p in parts) / len(y) for k in range(len(weights))]


def summed_loss(weights, x, y):
    return [len(y) * s.abs() for s in missing_modulus(weights, x, y)]


def normalised(weights, x, y):
    scores = [s.abs() for s in missing_modulus(weights, x, y)]
    return [s / sum(t.sum() for t in scores) for s in scores]


def leaves_of_the_given(weights, x, y):
    for w in weights:
        w.requires_grad_()
    loss(weights, x, y).backward()
    return [(w * w.grad).abs().detach() for w in weights]


def stacked(weights, x, y):
    return torch.cat([s.abs().flatten() for s in missing_modulus(weights, x, y)])


def product(weights, x, y, temperature=1.0, half=0.5, power=1.0):
    own = leaves(weights)
    value = loss(own, x, y, temperature**power)
    grads = torch.autograd.grad(value, own, create_graph=True)
    total = half * sum(g.square().sum() for g in grads)
    return list(torch.autograd.grad(total, own))


def without_half(weights, x, y, temperature=1.0):
    return product(weights, x, y, temperature, half=1.0)


def detached(weights, x, y, temperature=1.0):
    return list(gradients(weights, x, y, temperature=temperature)[1])


def layer_by_layer(weights, x, y, temperature=1.0):
    own = leaves(weights)
    grads = torch.autograd.grad(loss(own, x, y, temperature), own, create_graph=True)
    pairs = zip(grads, own, strict=True)
    return [
        torch.autograd.grad(0.5 * g.square().sum(), w, retain_graph=True)[0]
        for g, w in pairs
    ]


def minus(weights, x, y, temperature=1.0):
    return [-h for h in product(weights, x, y, temperature)]


def no_temperature(weights, x, y, temperature=1.0):
    return product(weights, x, y)


def temperature_multiplied(weights, x, y, temperature=1.0):
    return product(weights, x, y, temperature, power=-1.0)


def reversed_sign(weights, x, y, temperature):
    return times(weights, minus(weights, x, y, temperature))


def modulus(weights, x, y, temperature):
    return [s.abs() for s in reversed_sign(weights, x, y, temperature)]


def without_weight(weights, x, y, temperature):
    return product(weights, x, y, temperature)


def temperature_ignored(weights, x, y, temperature):
    return times(weights, product(weights, x, y))


def snip_again(weights, x, y, temperature):
    return [s.abs() for s in times(*gradients(weights, x, y, temperature=temperature))]


def twice(weights, x, y, temperature):
    return times(weights, without_half(weights, x, y, temperature))


WRONG = {
    "missing modulus": Wrong("snip", "modulus is missing", missing_modulus),
    "gradient only": Wrong("snip", "multiply by the weight", gradient_only),
    "modulus per sample": Wrong("snip", "sample by sample", modulus_per_sample),
    "summed loss": Wrong("snip", "take the mean", summed_loss),
    "normalised": Wrong("snip", "divided by its sum", normalised),
    "given weights as leaves": Wrong("snip", "add up", leaves_of_the_given),
    "one tensor": Wrong("snip", "a list of 3 tensors, got a Tensor", stacked),
    "without the half": Wrong("hessian_gradient", "twice too large", without_half),
    "detached gradient": Wrong("hessian_gradient", "graph of the first", detached),
    "block diagonal": Wrong("hessian_gradient", "all layers", layer_by_layer),
    "minus": Wrong("hessian_gradient", "sign is reversed", minus),
    "no temperature": Wrong("hessian_gradient", "no effect", no_temperature),
    "temperature times": Wrong("hessian_gradient", "divide", temperature_multiplied),
    "reversed sign": Wrong("grasp", "sign is reversed", reversed_sign),
    "modulus of a signed score": Wrong("grasp", "GraSP is signed", modulus),
    "without the weight": Wrong("grasp", "not Hg", without_weight),
    "temperature ignored": Wrong("grasp", "no effect", temperature_ignored),
    "SNIP again": Wrong("grasp", "needs Hg", snip_again),
    "twice": Wrong("grasp", "twice too large", twice),
}
NUMBERS = {
    "of k": ("divide by the union", lambda right, space: 2 * right / (1 + right)),
    "percent": ("in percent", lambda right, space: 100 * right),
    "same temperature": ("no effect", lambda right, space: 1.0),
    "temperature 20": ("is 200", lambda right, space: overlap_at(20.0, space)),
    "text": ("expected a number", lambda right, space: str(right)),
    "none": ("expected a number", lambda right, space: None),
}


def overlap_at(temperature, space):
    """Overlap of GraSP's masks at temperature 1 and another one."""
    weights, x, y = space["problem"](space["SEED"])
    kept = []
    for t in (1.0, temperature):
        flat = torch.cat([s.flatten() for s in space["grasp"](weights, x, y, t)])
        k = int(len(flat) * space["DENSITY"] + 0.5)
        kept.append(set(flat.topk(k).indices.tolist()))
    return len(kept[0] & kept[1]) / len(kept[0] | kept[1])
