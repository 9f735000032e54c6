"""Checks of exercise 6: perturbation, output change, saliency, trace estimates.

Gradients and the exact trace are written out layer by layer, without autograd.
"""

import math

import torch
from checks import Mistake, call, correct, explain, generator, same

DEVIATION = "epsilon is a variance: the standard deviation is its root"
NOT_SCALED = "epsilon has no effect on the entries"
NOT_NORMAL = "the entries are not normal: use torch.randn"
GLOBAL = "equal generators give different draws: use the generator, nothing else"
SAME_AGAIN = "two draws from one generator are equal: do not seed it again"
EQUAL_ENTRIES = "all weights of a layer get the same perturbation"
SHARED = "two layers of one shape get the same perturbation"
AMBIENT = "pruned connections are perturbed, too: the mask belongs to both networks"
UNMASKED = "the masks have no effect"
MEAN = "a mean is taken: D is a sum over samples and outputs"
ROOT = "the norm is not squared"
EARLY_MODULUS = "the modulus is taken draw by draw: first the sum, then the modulus"
NO_MODULUS = "the modulus is missing"
HAS_MODULUS = "a modulus is taken: these are the sums before it"
NO_FACTOR = "the factor m is missing: pruned connections must score 0"
DETACHED = "only the perturbed network's graph is used: both depend on m"
CLEAN_ONLY = "only the unperturbed network's graph is used: both depend on m"
BY_WEIGHT = (
    "this is theta dD/dtheta: the derivative is by the mask, which scales Delta, too"
)
AVERAGED = "divided by the number of draws: the sum is asked"
NOT_DIVIDED = "D is not divided by epsilon"
BY_ROOT = "D is divided by the root of epsilon: it is a variance already"
SUMMED = "a sum over the repeats: take the mean"
OFF = "not within four standard errors of the exact trace"
INDEPENDENT = "equal masks do not give exactly 0: both need the same perturbations"
REVERSED = "the sign is reversed: tr K(a) - tr K(b)"
POSITIVE = "this is the share of positive sums: negative ones are asked"
OF_ALL = "divided by all connections: divide by the surviving ones"
PERCENT = "this is in percent: a fraction is asked"


def case(seed, sizes=(5, 7, 6, 3), n=6, draws=3):
    """A small network, masks and draws."""
    g = generator(seed, 1)
    options = {"generator": g, "dtype": torch.float64}
    shapes = list(zip(sizes[1:], sizes, strict=False))
    weights = [torch.randn(s, **options) for s in shapes]
    masks = [torch.rand(s, **options) < 0.7 for s in shapes]
    found = []
    for _ in range(draws):
        x = torch.randn(n, sizes[0], **options)
        found.append((x, [0.1 * torch.randn(s, **options) for s in shapes]))
    return weights, masks, found


def added(weights, deltas):
    """Perturbed weights."""
    return [w + d for w, d in zip(weights, deltas, strict=True)]


def masked(weights, masks):
    """Masked weights."""
    return [w * m for w, m in zip(weights, masks, strict=True)]


def signals(weights, x):
    """Inputs of all layers, and the outputs last."""
    found = [x]
    for w in weights[:-1]:
        found.append((found[-1] @ w.T).clamp(min=0))
    return [*found, found[-1] @ weights[-1].T]


def change(weights, masks, x, deltas):
    """The difference of the outputs, (n, k)."""
    here = signals(masked(weights, masks), x)[-1]
    return here - signals(masked(added(weights, deltas), masks), x)[-1]


def backward(weights, x, error):
    """Gradient of sum(error * outputs) by each weight."""
    found, grads = signals(weights, x), []
    for k in reversed(range(len(weights))):
        grads.insert(0, error.T @ found[k])
        error = (error @ weights[k]) * (found[k] > 0)
    return grads


def perturbation(function, seed=0):
    """Check `perturbation(weights, epsilon, generator)`."""
    weights = [torch.zeros(s, dtype=torch.float64) for s in ((120, 90), (120, 90))]
    for epsilon in (0.01, 1e-6):
        g = torch.Generator().manual_seed(seed)
        first = call(function, weights, epsilon, g)
        second = call(function, weights, epsilon, g)
        again = call(function, weights, epsilon, torch.Generator().manual_seed(seed))
        if [d.shape for d in first] != [w.shape for w in weights]:
            raise Mistake("perturbation: one tensor like each weight is asked")
        judge_draws(first, second, again, epsilon)
    correct("perturbation")


def judge_draws(first, second, again, epsilon):
    """Name what is wrong with draws of a known variance."""
    deviation = float(torch.cat([d.flatten() for d in first]).std())
    scaled = first[0] / (deviation or 1.0)
    fourth = float((scaled**4).mean())  # 3 if normal
    found = {
        EQUAL_ENTRIES: float(first[0].std()) < 1e-3 * deviation or not deviation,
        DEVIATION: abs(deviation / epsilon - 1) < 0.05,
        NOT_SCALED: abs(deviation - 1) < 0.05,
        GLOBAL: not same(again, first),
        SAME_AGAIN: same(second, first),
        SHARED: same(first[:1], first[1:]),
        NOT_NORMAL: not 2.5 < fourth < 3.5,
    }
    for message, is_so in found.items():
        if is_so:
            raise Mistake(f"perturbation: {message}")
    if abs(deviation / math.sqrt(epsilon) - 1) > 0.05:
        wanted = math.sqrt(epsilon)
        raise Mistake(f"perturbation: standard deviation is not {wanted:g}")


def output_change(function, seed=0):
    """Check `output_change(weights, masks, x, deltas)`."""
    weights, masks, draws = case(seed)
    for x, deltas in draws:
        u = change(weights, masks, x, deltas)
        ones = [torch.ones_like(m) for m in masks]
        here = signals(masked(weights, masks), x)[-1]
        there = signals(added(masked(weights, masks), deltas), x)[-1]
        suspects = {
            AMBIENT: ((here - there) ** 2).sum(),
            UNMASKED: (change(weights, ones, x, deltas) ** 2).sum(),
            MEAN: (u**2).mean(),
            MEAN + ";": (u**2).sum() / len(x),
            ROOT: (u**2).sum().sqrt(),
        }
        got = call(function, weights, masks, x, deltas)
        explain(got, (u**2).sum(), suspects, "output_change")
    correct("output_change")


def parts(weights, masks, x, deltas):
    """Gradients of D by the masks, through the clean and the perturbed network."""
    error = 2 * change(weights, masks, x, deltas)
    moved = added(weights, deltas)
    clean = backward(masked(weights, masks), x, error)
    other = backward(masked(moved, masks), x, -error)
    return (
        [w * g for w, g in zip(weights, clean, strict=True)],
        [w * g for w, g in zip(moved, other, strict=True)],
        [w * (a + b) for w, a, b in zip(weights, clean, other, strict=True)],
    )


def total(lists):
    """Sum of lists of tensors, entry by entry."""
    return [sum(tensors) for tensors in zip(*lists, strict=True)]


def sums(weights, masks, draws):
    """Right signed sums, and those of common mistakes."""
    found = [parts(weights, masks, *draw) for draw in draws]
    clean, other = total([f[0] for f in found]), total([f[1] for f in found])
    gradient = total([clean, other])
    single = [masked(total(f[:2]), masks) for f in found]
    right = masked(gradient, masks)
    return right, {
        NO_FACTOR: gradient,
        DETACHED: masked(other, masks),
        CLEAN_ONLY: masked(clean, masks),
        BY_WEIGHT: masked(total([f[2] for f in found]), masks),
        AVERAGED: [s / len(draws) for s in right],
        EARLY_MODULUS: total([[s.abs() for s in each] for each in single]),
    }


def signed_sums(function, seed=0):
    """Check `signed_sums(weights, masks, draws)`."""
    weights, masks, draws = case(seed)
    right, suspects = sums(weights, masks, draws)
    suspects[HAS_MODULUS] = [s.abs() for s in right]
    got = call(function, weights, masks, draws)
    explain(got, right, suspects, "signed_sums")
    correct("signed_sums")


def saliency(function, seed=0):
    """Check `saliency(weights, masks, draws)`."""
    weights, masks, draws = case(seed)
    right, wrong = sums(weights, masks, draws)
    suspects = {message: [s.abs() for s in w] for message, w in wrong.items()}
    suspects[NO_MODULUS] = right
    got = call(function, weights, masks, draws)
    explain(got, [s.abs() for s in right], suspects, "saliency")
    correct("saliency")


def exact_trace(weights, masks, x):
    """Sum of squares of the masked Jacobian, sample by sample, output by output."""
    sparse, found = masked(weights, masks), 0.0
    for row in x:
        for k in range(len(weights[-1])):
            error = torch.zeros(1, len(weights[-1]), dtype=x.dtype)
            error[0, k] = 1.0
            grads = backward(sparse, row[None], error)
            found += sum(float(((g * m) ** 2).sum())
                         for g, m in zip(grads, masks, strict=True))  # fmt: skip
    return found


def trace_estimate(function, seed=0):
    """Check `trace_estimate(weights, masks, x, epsilon, repeats, seed)`."""
    weights, masks, draws = case(seed)
    x, epsilon, repeats = draws[0][0], 1e-8, 300
    right = exact_trace(weights, masks, x)
    got = float(call(function, weights, masks, x, epsilon, repeats, seed))
    within = 4 * math.sqrt(2 / repeats)
    factors = {
        NOT_DIVIDED: epsilon,
        BY_ROOT: math.sqrt(epsilon),
        SUMMED: repeats,
    }
    if abs(got / right - 1) > within:
        for message, factor in factors.items():
            if abs(got / right / factor - 1) < within:
                raise Mistake(f"trace_estimate: {message}")
        raise Mistake(f"trace_estimate: {OFF}: {got:.4g} for {right:.4g}")
    if got == call(function, weights, masks, x, epsilon, repeats, seed + 1):
        raise Mistake("trace_estimate: the seed has no effect")
    correct("trace_estimate")


def trace_difference(function, seed=0):
    """Check `trace_difference(weights, masks_a, masks_b, x, epsilon, ...)`."""
    weights, masks, draws = case(seed)
    x, few = draws[0][0], [m.clone() for m in masks]
    for mask in few:  # a third less in each layer
        mask.view(-1)[::3] = False
    rest = (x, 1e-8, 300, seed)
    if call(function, weights, masks, masks, *rest) != 0:
        raise Mistake(f"trace_difference: {INDEPENDENT}")
    got = float(call(function, weights, masks, few, *rest))
    right = exact_trace(weights, masks, x) - exact_trace(weights, few, x)
    factors = {NOT_DIVIDED: 1e-8, BY_ROOT: 1e-4, SUMMED: 300, REVERSED: -1.0}
    within = 5 * math.sqrt(2 / 300)
    if abs(got / right - 1) > within:
        for message, factor in factors.items():
            if abs(got / right / factor - 1) < within:
                raise Mistake(f"trace_difference: {message}")
        raise Mistake(f"trace_difference: {OFF}: {got:.4g} for {right:.4g}")
    correct("trace_difference")


def number(answer, weights, masks, draws):
    """Check the share of surviving connections with a negative signed sum."""
    signed, wrong = sums(weights, masks, draws)
    alive = sum(int(m.sum()) for m in masks)
    lower = sum(int((s < 0).sum()) for s in signed)
    suspects = {
        POSITIVE: sum(int((s > 0).sum()) for s in signed) / alive,
        POSITIVE + ";": 1 - lower / alive,
        OF_ALL: lower / sum(m.numel() for m in masks),
        NO_FACTOR: sum(int((s < 0).sum()) for s in wrong[NO_FACTOR]) / alive,
        PERCENT: 100 * lower / alive,
    }
    explain(answer, lower / alive, suspects, "your number", tolerance=0.5 / lower)
    correct("your number")
