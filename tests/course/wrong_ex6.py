"""Named wrong answers to exercise 6."""

import torch
from course_cases import Wrong


def outputs(weights, x):
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)
    return x @ weights[-1].T


def masked(weights, masks):
    return [w * m for w, m in zip(weights, masks, strict=True)]


def added(weights, deltas):
    return [w + d for w, d in zip(weights, deltas, strict=True)]


def epsilon_as_deviation(weights, epsilon, generator):
    return [epsilon * each for each in unit(weights, generator)]


def unit(weights, generator):
    return [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]


def not_scaled(weights, epsilon, generator):
    return unit(weights, generator)


def global_generator(weights, epsilon, generator):
    return [epsilon**0.5 * torch.randn_like(w) for w in weights]


def one_number_per_layer(weights, epsilon, generator):
    return [
        epsilon**0.5
        * torch.randn(1, generator=generator, dtype=w.dtype).expand(w.shape).clone()
        for w in weights
    ]


def signs(weights, epsilon, generator):
    return [epsilon**0.5 * d.sign() for d in unit(weights, generator)]


def normal(weights, epsilon, generator):
    return [epsilon**0.5 * d for d in unit(weights, generator)]


def perturbed_weights(weights, epsilon, generator):
    return added(weights, normal(weights, epsilon, generator))


def drawn_along(axis):
    """Perturbations that are equal along an axis."""

    def perturbation(weights, epsilon, generator):
        parts = [w.select(axis, 0).unsqueeze(axis) for w in weights]
        found = normal(parts, epsilon, generator)
        return [d.expand_as(w).clone() for d, w in zip(found, weights, strict=True)]

    return perturbation


def off_zero(weights, epsilon, generator):
    return [d + epsilon**0.5 / 2 for d in normal(weights, epsilon, generator)]


def one_by_one(weights, epsilon, generator):
    return (d for d in normal(weights, epsilon, generator))


def stacked(weights, epsilon, generator):
    return torch.stack(normal(weights, epsilon, generator))


def not_a_number(*arguments):
    return float("nan")


def change(weights, masks, x, deltas):
    here = outputs(masked(weights, masks), x)
    return here - outputs(masked(added(weights, deltas), masks), x)


def pruned_perturbed(weights, masks, x, deltas):
    sparse = masked(weights, masks)
    return (outputs(sparse, x) - outputs(added(sparse, deltas), x)).square().sum()


def no_masks(weights, masks, x, deltas):
    return (outputs(weights, x) - outputs(added(weights, deltas), x)).square().sum()


def mean_square(weights, masks, x, deltas):
    return change(weights, masks, x, deltas).square().mean()


def as_float(weights, masks, x, deltas):
    return change(weights, masks, x, deltas).square().sum().item()


def cut_from_the_graph(weights, masks, x, deltas):
    return change(weights, masks, x, deltas).square().sum().detach()


def norm_not_squared(weights, masks, x, deltas):
    return change(weights, masks, x, deltas).norm()


def sums(weights, masks, draws, hold=None, factor=True):
    """Signed sums; `hold` names a network whose graph is thrown away."""
    leaves = [m.double().requires_grad_() for m in masks]
    total = 0.0
    for x, deltas in draws:
        here = outputs(masked(weights, leaves), x)
        there = outputs(masked(added(weights, deltas), leaves), x)
        here = here.detach() if hold == "here" else here
        there = there.detach() if hold == "there" else there
        total = total + (here - there).square().sum()
    grads = torch.autograd.grad(total, leaves)
    return [g * m if factor else g for g, m in zip(grads, masks, strict=True)]


def detached(weights, masks, draws):
    return sums(weights, masks, draws, hold="here")


def clean_network_only(weights, masks, draws):
    return sums(weights, masks, draws, hold="there")


def without_factor(weights, masks, draws):
    return sums(weights, masks, draws, factor=False)


def averaged(weights, masks, draws):
    return [s / len(draws) for s in sums(weights, masks, draws)]


def by_the_weight(weights, masks, draws):
    leaves = [w.clone().requires_grad_() for w in weights]
    total = sum(change(leaves, masks, x, d).square().sum() for x, d in draws)
    return masked(masked(torch.autograd.grad(total, leaves), weights), masks)


def modulus_before_the_sum(weights, masks, draws):
    single = [sums(weights, masks, [draw]) for draw in draws]
    return [sum(s.abs() for s in layer) for layer in zip(*single, strict=True)]


def modulus_missing(weights, masks, draws):
    return sums(weights, masks, draws)


def moduli_without_factor(weights, masks, draws):
    return [s.abs() for s in without_factor(weights, masks, draws)]


def moduli_detached(weights, masks, draws):
    return [s.abs() for s in detached(weights, masks, draws)]


def trace(weights, masks, x, epsilon, repeats, g):
    total = 0.0
    for _ in range(repeats):
        deltas = [epsilon**0.5 * d for d in unit(weights, g)]
        total += float(change(weights, masks, x, deltas).square().sum())
    return total / repeats


def seeded(weights, masks, x, epsilon, repeats, seed):
    return trace(
        weights, masks, x, epsilon, repeats, torch.Generator().manual_seed(seed)
    )


def divided_by_the_root(weights, masks, x, epsilon, repeats, seed):
    return seeded(weights, masks, x, epsilon, repeats, seed) / epsilon**0.5


def summed_repeats(weights, masks, x, epsilon, repeats, seed):
    return seeded(weights, masks, x, epsilon, repeats, seed) / epsilon * repeats


def seeded_in_each_repeat(weights, masks, x, epsilon, repeats, seed):
    return seeded(weights, masks, x, epsilon, 1, seed) / epsilon


def ten_repeats(weights, masks, x, epsilon, repeats, seed):
    return seeded(weights, masks, x, epsilon, 10, seed) / epsilon


def epsilon_fixed(weights, masks, x, epsilon, repeats, seed):
    return seeded(weights, masks, x, 1e-6, repeats, seed) / 1e-6


def modulus_of_the_difference(*arguments):
    return abs(right_difference(*arguments))


def clipped(*arguments):
    return max(0.0, right_difference(*arguments))


def independent_unless_equal(weights, masks_a, masks_b, *rest):
    pairs = zip(masks_a, masks_b, strict=True)
    if all(torch.equal(a, b) for a, b in pairs):
        return 0.0
    return independent(weights, masks_a, masks_b, *rest)


def independent(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    g = torch.Generator().manual_seed(seed)
    a = trace(weights, masks_a, x, epsilon, repeats, g)
    return (a - trace(weights, masks_b, x, epsilon, repeats, g)) / epsilon


def difference(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    a = seeded(weights, masks_a, x, epsilon, repeats, seed)
    return a - seeded(weights, masks_b, x, epsilon, repeats, seed)


def right_difference(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    return difference(weights, masks_a, masks_b, x, epsilon, repeats, seed) / epsilon


def b_minus_a(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    return difference(weights, masks_b, masks_a, x, epsilon, repeats, seed) / epsilon


def summed_difference(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    found = difference(weights, masks_a, masks_b, x, epsilon, repeats, seed)
    return found / epsilon * repeats


WRONG = {
    "epsilon as deviation": Wrong("perturbation", "variance", epsilon_as_deviation),
    "not scaled": Wrong("perturbation", "no effect", not_scaled),
    "global generator": Wrong("perturbation", "use the generator", global_generator),
    "one number": Wrong("perturbation", "the same perturb", one_number_per_layer),
    "signs": Wrong("perturbation", "not normal", signs),
    "perturbed weights": Wrong("perturbation", "Delta alone", perturbed_weights),
    "one draw per row": Wrong("perturbation", "weights of a unit", drawn_along(1)),
    "one draw per column": Wrong("perturbation", "weights of a unit", drawn_along(0)),
    "off zero": Wrong("perturbation", "mean is not 0", off_zero),
    "generator": Wrong("perturbation", "tensors, got a generator", one_by_one),
    "stacked": Wrong("perturbation", "tensors, got a Tensor", stacked),
    "float": Wrong("output_change", "no graph", as_float),
    "out of the graph": Wrong("output_change", "no graph", cut_from_the_graph),
    "pruned perturbed": Wrong("output_change", "are perturbed", pruned_perturbed),
    "no masks": Wrong("output_change", "no effect", no_masks),
    "mean square": Wrong("output_change", "a mean is taken", mean_square),
    "root": Wrong("output_change", "not squared", norm_not_squared),
    "detached": Wrong("signed_sums", "only the perturbed network's", detached),
    "clean only": Wrong("signed_sums", "only the unperturbed", clean_network_only),
    "without factor": Wrong("signed_sums", "factor m is missing", without_factor),
    "averaged": Wrong("signed_sums", "number of draws", averaged),
    "by the weight": Wrong("signed_sums", "theta dD/dtheta", by_the_weight),
    "modulus before the sum": Wrong("saliency", "draw by draw", modulus_before_the_sum),
    "modulus missing": Wrong("saliency", "modulus is missing", modulus_missing),
    "no factor": Wrong("saliency", "factor m is missing", moduli_without_factor),
    "detached gradient": Wrong("saliency", "only the perturbed", moduli_detached),
    "not divided": Wrong("trace_estimate", "not divided", seeded),
    "divided by the root": Wrong("trace_estimate", "root of", divided_by_the_root),
    "summed repeats": Wrong("trace_estimate", "take the mean", summed_repeats),
    "seeded anew": Wrong("trace_estimate", "before the loop", seeded_in_each_repeat),
    "ten repeats": Wrong("trace_estimate", "repeats change nothing", ten_repeats),
    "epsilon fixed": Wrong("trace_estimate", "epsilon has no effect", epsilon_fixed),
    "NaN": Wrong("trace_estimate", "holds NaN", not_a_number),
    "modulus": Wrong("trace_difference", "change the sign", modulus_of_the_difference),
    "clipped": Wrong("trace_difference", "change the sign", clipped),
    "equal masks only": Wrong(
        "trace_difference", "not only if they are", independent_unless_equal
    ),
    "independent": Wrong("trace_difference", "same perturbations", independent),
    "undivided": Wrong("trace_difference", "not divided", difference),
    "b minus a": Wrong("trace_difference", "sign is reversed", b_minus_a),
    "summed": Wrong("trace_difference", "take the mean", summed_difference),
}
NUMBERS = {
    "percent": ("in percent", lambda right, space: 100 * right),
    "positive ones": ("positive sums", lambda right, space: 1 - right),
    "of all": ("all connections", lambda right, space: right * share(space)),
}


def share(space):
    masks = space["problem"](space["SEED"])[1]
    return sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)
