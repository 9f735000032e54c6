"""Checks of exercise 6: perturbation, output change, saliency, trace estimates.

Gradients and the exact trace are written out layer by layer, without autograd.
"""

import math

import torch
from checks import Mistake, call, correct, explain, form, generator, listed, real
from checks_draws import judge_draws

ADDED = "the perturbed weights are returned: Delta alone is asked"
NO_GRAPH = "no graph to the masks: part 3 differentiates D by them"
ONE_DRAW = (
    "more repeats change nothing: are they used, and is the generator made once, "
    "before the loop?"
)
ANY_EPSILON = "epsilon has no effect"
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
NO_SIGN = "exchanging the masks does not change the sign: the difference has one"
OFF = "not within four standard errors of the exact trace"
INDEPENDENT = "equal masks do not give exactly 0: both need the same perturbations"
OTHER_DRAWS = (
    "exchanged masks give another difference: both masks need the same perturbations, "
    "and not only if they are equal"
)
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
    options = {"generator": generator(seed, 2), "dtype": torch.float64}
    weights = [torch.randn(120, 90, **options) for _ in range(2)]
    for epsilon in (0.01, 1e-6):
        g = torch.Generator().manual_seed(seed)
        first, second, again = (
            listed(
                form(call(function, weights, epsilon, each), weights, "perturbation")
            )
            for each in (g, g, torch.Generator().manual_seed(seed))
        )
        if all(float((d - w).std()) < 0.5 for d, w in zip(first, weights, strict=True)):
            raise Mistake(f"perturbation: {ADDED}")
        judge_draws(first, second, again, epsilon)
    correct("perturbation")


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
    leaves = [m.double().requires_grad_() for m in masks]
    if not getattr(function(weights, leaves, x, deltas), "requires_grad", False):
        raise Mistake(f"output_change: {NO_GRAPH}")
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

    def estimate(epsilon, repeats, seed):
        got = call(function, weights, masks, x, epsilon, repeats, seed)
        return real(got, "trace_estimate")

    right, got = exact_trace(weights, masks, x), estimate(epsilon, repeats, seed)
    one = estimate(epsilon, 1, seed)
    if abs(one - estimate(epsilon, 2, seed)) <= 1e-9 * abs(one):
        raise Mistake(f"trace_estimate: {ONE_DRAW}")
    factors = {
        NOT_DIVIDED: epsilon,
        BY_ROOT: math.sqrt(epsilon),
        SUMMED: repeats,
    }
    near(got, right, factors, 4 * math.sqrt(2 / repeats), "trace_estimate")
    if got == estimate(epsilon, repeats, seed + 1):
        raise Mistake("trace_estimate: the seed has no effect")
    if got == estimate(1e-4, repeats, seed):
        raise Mistake(f"trace_estimate: {ANY_EPSILON}")
    correct("trace_estimate")


def near(got, right, factors, within, what):
    """Pass an estimate that is close to the exact value; else name the factor."""
    if abs(got / right - 1) <= within:
        return
    for message, factor in factors.items():
        if abs(got / right / factor - 1) < within:
            raise Mistake(f"{what}: {message}")
    raise Mistake(f"{what}: {OFF}: {got:.4g} for {right:.4g}")


def trace_difference(function, seed=0):
    """Check `trace_difference(weights, masks_a, masks_b, x, epsilon, ...)`."""
    weights, masks, draws = case(seed)
    x, few = draws[0][0], [m.clone() for m in masks]
    for mask in few:  # a third less in each layer
        mask.view(-1)[::3] = False

    def difference(a, b):
        got = call(function, weights, a, b, x, 1e-8, 300, seed)
        return real(got, "trace_difference")

    if difference(masks, masks) != 0:
        raise Mistake(f"trace_difference: {INDEPENDENT}")
    got, turned = difference(masks, few), difference(few, masks)
    if abs(got + turned) > 1e-6 * abs(got):
        unsigned = got == turned or 0 in (got, turned)
        raise Mistake(f"trace_difference: {NO_SIGN if unsigned else OTHER_DRAWS}")
    right = exact_trace(weights, masks, x) - exact_trace(weights, few, x)
    factors = {NOT_DIVIDED: 1e-8, BY_ROOT: 1e-4, SUMMED: 300, REVERSED: -1.0}
    near(got, right, factors, 5 * math.sqrt(2 / 300), "trace_difference")
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
