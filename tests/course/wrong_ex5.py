"""Named wrong answers to exercise 5."""

import torch
from course_cases import Wrong


def flow(weights):
    signal = torch.ones(weights[0].shape[1], dtype=weights[0].dtype)
    for w in weights:
        signal = w @ signal
    return signal.sum()


def moduli(weights):
    return [w.detach().abs() for w in weights]


def signed_paths(weights):
    return flow(weights)


def squared_paths(weights):
    return flow([w**2 for w in weights])


def layer_sums(weights):
    return torch.stack([w.abs().sum() for w in weights]).prod()


def average_path(weights):
    count = flow([torch.ones_like(w) for w in weights])
    return flow(moduli(weights)) / count


def gradient(weights):
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    return torch.autograd.grad(flow(leaves), leaves)


def times(weights, others):
    return [w * g for w, g in zip(weights, others, strict=True)]


def without_moduli(weights):
    return times(weights, gradient(weights))


def gradient_only(weights):
    return list(gradient(moduli(weights)))


def signed_factor(weights):
    return times(weights, gradient(moduli(weights)))


def leaves_of_the_given(weights):
    for w in weights:
        w.requires_grad_()
    flow([w.abs() for w in weights]).backward()
    return [(w * w.grad).detach() for w in weights]


def synflow_l2(weights):
    squares = [w**2 for w in weights]
    return times(squares, gradient(squares))


def right_synflow(weights):
    return times(moduli(weights), gradient(moduli(weights)))


def times_the_square(weights):
    return sum(s.sum() for s in synflow_l2(weights))


def by_the_weight(weights):
    squares = [w**2 for w in weights]
    pairs = zip(weights, gradient(squares), strict=True)
    return sum((2 * w * g).sum() for w, g in pairs)


def modulus_of_the_square(weights):
    leaves = [w.square().requires_grad_() for w in weights]
    value = flow([leaf.abs() for leaf in leaves])
    return sum(g.sum() for g in torch.autograd.grad(value, leaves))


def moduli_for_squares(weights):
    return sum(g.sum() for g in gradient(moduli(weights)))


def mean_over_layers(weights):
    squares = [w**2 for w in weights]
    return sum(g.sum() for g in gradient(squares)) / len(weights)


def falling(flat):
    return flat.argsort(descending=True, stable=True)


def falling_last(flat):
    return flat.argsort(stable=True).flip(0)


def exponential(d, t, n):
    return d ** (t / n)


def cut(
    weights,
    density,
    rounds,
    fresh=True,
    schedule=exponential,
    dead=-1.0,
    order=falling,
):
    sizes = [w.numel() for w in weights]
    alive = torch.ones(sum(sizes), dtype=torch.bool)
    for t in range(1, rounds + 1):
        parts = zip(weights, alive.split(sizes), strict=True)
        now = [w * m.view(w.shape) if fresh else w for w, m in parts]
        flat = torch.cat([s.flatten() for s in right_synflow(now)])
        flat[~alive] = dead
        alive = torch.zeros_like(alive)
        k = int(sum(sizes) * schedule(density, t, rounds) + 0.5)
        alive[order(flat)[:k]] = True
    return [m.view(w.shape) for w, m in zip(weights, alive.split(sizes), strict=True)]


def stale_scores(weights, density, rounds):
    return cut(weights, density, rounds, fresh=False)


def linear_schedule(weights, density, rounds):
    return cut(weights, density, rounds, schedule=lambda d, t, n: 1 - (1 - d) * t / n)


def layer_by_layer(weights, density, rounds):
    out = []
    for s in right_synflow(weights):
        keep = torch.zeros(s.numel(), dtype=torch.bool)
        k = int(s.numel() * density + 0.5)
        keep[s.flatten().argsort(descending=True)[:k]] = True
        out.append(keep.view(s.shape))
    return out


def pruned_for_kept(weights, density, rounds):
    return [~m for m in cut(weights, density, rounds)]


def one_round_less(weights, density, rounds):
    return cut(weights, density, max(rounds - 1, 1))


def revived(weights, density, rounds):
    return cut(weights, density, rounds, dead=0.0)


def ties_to_the_last(weights, density, rounds):
    return cut(weights, density, rounds, order=falling_last)


def first_layer(space, rounds):
    weights = space["network"](space["SEED"])
    return cut(weights, space["DENSITY"], rounds)


WRONG = {
    "signed paths": Wrong("path_sum", "opposite sign cancel", signed_paths),
    "squared paths": Wrong("path_sum", "squares stand", squared_paths),
    "layer sums": Wrong("path_sum", "one by one", layer_sums),
    "average path": Wrong("path_sum", "number of paths", average_path),
    "without moduli": Wrong("synflow", "cancel", without_moduli),
    "gradient only": Wrong("synflow", "gradient alone", gradient_only),
    "signed factor": Wrong("synflow", "factor has a sign", signed_factor),
    "squared": Wrong("synflow", "squared path values", synflow_l2),
    "given weights as leaves": Wrong("synflow", "add up", leaves_of_the_given),
    "times the square": Wrong("path_kernel_trace", "L times", times_the_square),
    "by the weight": Wrong("path_kernel_trace", "by theta", by_the_weight),
    "moduli": Wrong("path_kernel_trace", "moduli stand", moduli_for_squares),
    "modulus at 0": Wrong("path_kernel_trace", "are 0", modulus_of_the_square),
    "mean": Wrong("path_kernel_trace", "number of layers", mean_over_layers),
    "stale scores": Wrong("iterated", "compute the scores afresh", stale_scores),
    "linear schedule": Wrong("iterated", "linear", linear_schedule),
    "layer by layer": Wrong("iterated", "compete", layer_by_layer),
    "pruned for kept": Wrong("iterated", "swapped", pruned_for_kept),
    "pruned weights revived": Wrong("iterated", "come back", revived),
    "ties to the last": Wrong("iterated", "lower index", ties_to_the_last),
    "one round less": Wrong("iterated", "one round is missing", one_round_less),
}
NUMBERS = {
    "percent": ("in percent", lambda right, space: 100 * right),
    "one round": (
        "single round",
        lambda right, space: float(first_layer(space, 1)[0].double().mean()),
    ),
    "last layer": (
        "last layer's",
        lambda right, s: float(first_layer(s, s["ROUNDS"])[-1].double().mean()),
    ),
}
