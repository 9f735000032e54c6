"""Named wrong answers to exercise 3."""

import math

import numpy as np
import torch
from course_cases import Wrong

NODES = np.linspace(-10, 10, 401)
WEIGHTS = np.exp(-(NODES**2) / 2) / math.sqrt(2 * math.pi) * 0.05


def mean(f):
    return float(f(NODES) @ WEIGHTS)


def q_for_its_root(q, sigma_w, sigma_b, phi):
    return sigma_w**2 * mean(lambda z: phi(q * z) ** 2) + sigma_b**2


def right_step(q, sigma_w, sigma_b, phi):
    return sigma_w**2 * mean(lambda z: phi(math.sqrt(q) * z) ** 2) + sigma_b**2


def bias_not_squared(q, sigma_w, sigma_b, phi):
    return right_step(q, sigma_w, 0.0, phi) + sigma_b


def phi_not_squared(q, sigma_w, sigma_b, phi):
    return sigma_w**2 * mean(lambda z: phi(math.sqrt(q) * z)) + sigma_b**2


def bias_forgotten(q, sigma_w, sigma_b, phi):
    return right_step(q, sigma_w, 0.0, phi)


def steps(n, sigma_w, sigma_b, phi):
    q = 1.0
    for _ in range(n):
        q = right_step(q, sigma_w, sigma_b, phi)
    return q


def ten_steps(sigma_w, sigma_b, phi):
    return steps(10, sigma_w, sigma_b, phi)


def one_step(sigma_w, sigma_b, phi):
    return steps(1, sigma_w, sigma_b, phi)


def wrong_scales(sigma_w, sigma_b, phi):
    return steps(3000, sigma_w, math.sqrt(sigma_b), phi)


def fixed(sigma_w, sigma_b, phi):
    return steps(400, sigma_w, sigma_b, phi)


def phi_for_its_derivative(sigma_w, sigma_b, phi, dphi):
    q = fixed(sigma_w, sigma_b, phi)
    return sigma_w**2 * mean(lambda z: phi(math.sqrt(q) * z) ** 2)


def square_forgotten(sigma_w, sigma_b, phi, dphi):
    q = fixed(sigma_w, sigma_b, phi)
    return sigma_w**2 * mean(lambda z: dphi(math.sqrt(q) * z))


def square_outside(sigma_w, sigma_b, phi, dphi):
    q = fixed(sigma_w, sigma_b, phi)
    return sigma_w**2 * mean(lambda z: dphi(math.sqrt(q) * z)) ** 2


def at_one(sigma_w, sigma_b, phi, dphi):
    return sigma_w**2 * mean(lambda z: dphi(z) ** 2)


def right_chi(sigma_w, sigma_b, phi, dphi):
    q = fixed(sigma_w, sigma_b, phi)
    return sigma_w**2 * mean(lambda z: dphi(math.sqrt(q) * z) ** 2)


def bisect(f, halvings=30):
    low, high = 0.8, 3.0
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 1 else (low, middle)
    return (low + high) / 2


def edge_at_one(sigma_b, phi, dphi):
    return bisect(lambda w: at_one(w, sigma_b, phi, dphi))


def edge_squared(sigma_b, phi, dphi):
    return bisect(lambda w: right_chi(w, sigma_b, phi, dphi)) ** 2


def edge_coarse(sigma_b, phi, dphi):
    return bisect(lambda w: right_chi(w, sigma_b, phi, dphi), 10)


def terms(weights, biases, x, v):
    leaves = [w.clone().requires_grad_() for w in weights]
    out = leaves[0] @ x + biases[0]
    for w, b in zip(leaves[1:], biases[1:], strict=True):
        out = w @ torch.tanh(out) + b
    grads = torch.autograd.grad(out @ v, leaves)
    return [(w * g, g) for w, g in zip(weights, grads, strict=True)]


def leaves_of_the_given(weights, biases, x, v):
    for w in weights:
        w.requires_grad_()
    out = weights[0] @ x + biases[0]
    for w, b in zip(weights[1:], biases[1:], strict=True):
        out = w @ torch.tanh(out) + b
    (out @ v).backward()
    return torch.stack([(w * w.grad).detach().square().mean() for w in weights])


def no_square(weights, biases, x, v):
    return torch.stack([t.mean() for t, _ in terms(weights, biases, x, v)])


def no_weight(weights, biases, x, v):
    return torch.stack([(g**2).mean() for _, g in terms(weights, biases, x, v)])


def summed(weights, biases, x, v):
    return torch.stack([(t**2).sum() for t, _ in terms(weights, biases, x, v)])


def backwards(weights, biases, x, v):
    found = terms(weights, biases, x, v)
    return torch.stack([(t**2).mean() for t, _ in found]).flip(0)


WRONG = {
    "q for its root": Wrong("next_variance", "not q Z", q_for_its_root),
    "bias not squared": Wrong("next_variance", "sigma_b enters", bias_not_squared),
    "phi not squared": Wrong("next_variance", "square of phi", phi_not_squared),
    "bias forgotten": Wrong("next_variance", "biases' variance", bias_forgotten),
    "ten steps": Wrong("fixed_point", "too early", ten_steps),
    "one step": Wrong("fixed_point", "one step", one_step),
    "root of sigma_b": Wrong("fixed_point", "sigma_b enters", wrong_scales),
    "phi for phi'": Wrong("chi", "its derivative", phi_for_its_derivative),
    "square forgotten": Wrong("chi", "square of phi'", square_forgotten),
    "square outside": Wrong("chi", "belongs inside", square_outside),
    "chi at q = 1": Wrong("chi", "q = 1", at_one),
    "edge at q = 1": Wrong("edge", "q = 1", edge_at_one),
    "sigma_w squared": Wrong("edge", "sigma_w squared", edge_squared),
    "ten halvings": Wrong("edge", "more often", edge_coarse),
    "moment without square": Wrong("moments", "mean of squares", no_square),
    "moment without weight": Wrong("moments", "weight is missing", no_weight),
    "sum": Wrong("moments", "this is the sum", summed),
    "given weights as leaves": Wrong("moments", "add up", leaves_of_the_given),
    "last layer first": Wrong("moments", "reversed order", backwards),
}
NUMBERS = {
    "reversed sign": ("sign is reversed", lambda right, space: -right),
    "base ten": ("base 10", lambda right, space: right / math.log(10)),
    "chi": ("chi itself", lambda right, space: math.exp(-right)),
}
