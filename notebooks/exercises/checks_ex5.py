"""Checks of exercise 5: path sums, SynFlow, the Path Kernel's trace, rounds.

Paths of small networks are listed one by one.
"""

import itertools
import math

import torch
from checks import call, correct, explain, generator, same

NO_MODULUS = "the moduli are missing: paths of opposite sign cancel"
SQUARES = "squares stand for moduli"
PER_LAYER = "layers are summed one by one: not every pair of weights is a path"
LONG_PATHS = "divided by the number of paths: the sum is asked"
GRADIENT = "the factor |theta_j| is missing: this is the gradient alone"
SIGNED_FACTOR = "the factor has a sign: SynFlow's scores are not negative"
L2 = "these are sums of squared path values: SynFlow takes moduli"
TIMES_WEIGHT = "each gradient is multiplied by its square: that is L times the path sum"
AT_ZERO = (
    "weights that are 0 are left out: their gradient is not 0, but that of a modulus "
    "is 0 there"
)
BY_WEIGHT = "the derivative is by theta, not by its square: a factor 2 theta too much"
MODULI = "moduli stand for squares"
MEAN = "divided by the number of layers: the sum over the weights is asked"
ONE_SHOT = "like a single cut: compute the scores afresh, with pruned weights at 0"
LINEAR = "a linear schedule: n d^(t/T) are left after round t"
LAYERWISE = "each layer is cut on its own: all layers compete"
SWAPPED = "kept and pruned are swapped: True marks a weight that is kept"
FEWER_ROUNDS = "one round is missing, or the first one prunes nothing"
REVIVED = (
    "pruned weights come back: they score 0, like weights that have lost all paths; "
    "let them lose every tie, for example by a score of -1"
)
TIES = "of equal scores the lower index is kept: is the sort stable?"
ONE_ROUND = "this is the result of a single round"
SHARE = "divided by all kept weights: divide by the first layer's size"
LAST_LAYER = "this is the last layer's density: the first one's is asked"
PERCENT = "this is in percent: a fraction is asked"


def case(seed, sizes=(3, 5, 4, 2), offset=1):
    """A small network."""
    g = generator(seed, offset)
    pairs = zip(sizes[1:], sizes, strict=False)
    return [torch.randn(s, generator=g, dtype=torch.float64) for s in pairs]


def example():
    """The network of the text's examples."""
    return [torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[3.0]]).double()]


def paths(weights):
    """All paths: per path the weights' (layer, output, input)."""
    units = [range(weights[0].shape[1]), *(range(len(w)) for w in weights)]
    for way in itertools.product(*units):
        yield [(k, way[k + 1], way[k]) for k in range(len(weights))]


def values(weights, path):
    """The weights along a path."""
    return [float(weights[k][o, i]) for k, o, i in path]


def listed_sum(weights, f=abs):
    """Sum over paths of a function of the value."""
    return sum(f(math.prod(values(weights, path))) for path in paths(weights))


def through(weights, f=abs):
    """Per weight the sum over its paths of a function of the value."""
    out = [torch.zeros_like(w) for w in weights]
    for path in paths(weights):
        value = f(math.prod(values(weights, path)))
        for k, o, i in path:
            out[k][o, i] += value
    return out


def others(weights, f):
    """Per weight the sum over its paths of f(product of the other weights)."""
    out = [torch.zeros_like(w) for w in weights]
    for path in paths(weights):
        found = values(weights, path)
        for at, (k, o, i) in enumerate(path):
            out[k][o, i] += f(math.prod(found[:at] + found[at + 1 :]))
    return out


def total(tensors):
    """Sum of all entries."""
    return sum(float(t.sum()) for t in tensors)


def square(value):
    """Square of a number."""
    return value * value


def path_sum(function, seed=0):
    """Check `path_sum(weights)`."""
    for weights in (case(seed), example()):
        right = listed_sum(weights)
        suspects = {
            NO_MODULUS: listed_sum(weights, float),
            NO_MODULUS + ";": abs(listed_sum(weights, float)),
            SQUARES: listed_sum(weights, square),
            PER_LAYER: math.prod(float(w.abs().sum()) for w in weights),
            PER_LAYER + ";": sum(float(w.abs().sum()) for w in weights),
            LONG_PATHS: right / len(list(paths(weights))),
        }
        explain(call(function, weights), right, suspects, "path_sum")
    correct("path_sum")


def synflow(function, seed=0):
    """Check `synflow(weights)`."""
    for weights in (case(seed), example()):
        right = through(weights)
        gradient = others(weights, abs)
        suspects = {
            NO_MODULUS: through(weights, float),
            NO_MODULUS + ";": [s.abs() for s in through(weights, float)],
            GRADIENT: gradient,
            SIGNED_FACTOR: [w * g for w, g in zip(weights, gradient, strict=True)],
            L2: through(weights, square),
        }
        explain(call(function, weights), right, suspects, "synflow")
    correct("synflow")


def path_kernel_trace(function, seed=0):
    """Check `path_kernel_trace(weights)`."""
    sparse = [w * (w.abs() > 0.4) for w in case(seed)]
    for weights in (case(seed), sparse, example()):
        parts = others(weights, square)
        right = total(parts)
        by_weight = [2 * w * p for w, p in zip(weights, parts, strict=True)]
        suspects = {
            TIMES_WEIGHT: total(through(weights, square)),
            BY_WEIGHT: total(by_weight),
            MODULI: total(others(weights, abs)),
            MEAN: right / len(weights),
            AT_ZERO: sum(
                float(p[w != 0].sum()) for w, p in zip(weights, parts, strict=True)
            ),
        }
        got = call(function, weights)
        explain(got, right, suspects, "path_kernel_trace")
    correct("path_kernel_trace")


def scores_of(weights):
    """SynFlow by two products per layer, for networks that are not small."""
    ahead = [torch.ones(weights[0].shape[1], dtype=torch.float64)]
    for w in weights:
        ahead.append(w.abs() @ ahead[-1])
    behind = [torch.ones(len(weights[-1]), dtype=torch.float64)]
    for w in reversed(weights):
        behind.insert(0, w.abs().T @ behind[0])
    return [
        w.abs() * behind[k + 1][:, None] * ahead[k] for k, w in enumerate(weights)
    ]  # fmt: skip


def exponential(density, t, rounds):
    """Density after round t."""
    return density ** (t / rounds)


def linear(density, t, rounds):
    """Density after round t of a schedule that is not asked for."""
    return 1 - (1 - density) * t / rounds


def falling(scores):
    """Indices by falling score, of equal ones the lower first."""
    return scores.argsort(descending=True, stable=True)


def falling_last(scores):
    """Indices by falling score, of equal ones the higher first."""
    return len(scores) - 1 - falling(scores.flip(0))


def slow_iterated(
    weights, density, rounds, schedule=exponential, gaps=None, dead=-1.0, order=falling
):
    """The definition, with a sort by falling score, then index, in each round.

    `gaps` gets the distance of the last kept score from the next, in each round;
    `dead` is the score of pruned weights: with 0 they come back.
    """
    flat = torch.cat([w.flatten() for w in weights])
    sizes = [w.numel() for w in weights]
    alive = torch.ones(len(flat)).bool()
    for t in range(1, rounds + 1):
        now = (flat * alive).split(sizes)
        shaped = [p.view(w.shape) for p, w in zip(now, weights, strict=True)]
        scores = torch.cat([s.flatten() for s in scores_of(shaped)])
        scores[~alive] = dead  # -1: behind all others
        first = order(scores)
        count = int(len(flat) * schedule(density, t, rounds) + 0.5)
        alive = torch.zeros_like(alive)
        alive[first[:count]] = True
        if gaps is not None:
            gaps.append(float(scores[first[count - 1]] - scores[first[count]]))
    return [p.view(w.shape) for p, w in zip(alive.split(sizes), weights, strict=True)]


def clear_case(seed, density, rounds):
    """A network in which no round's border is a tie.

    The weights of a chain without branches have equal scores, but for rounding, and a
    right answer may break such ties in another way.
    """
    for offset in range(1, 100):
        weights, gaps = case(seed, (9, 14, 8, 4), offset), []
        slow_iterated(weights, density, rounds, gaps=gaps)
        if min(gaps) > 1e-9:
            return weights
    raise RuntimeError(f"no network without ties for seed {seed}")


def tied_case(seed, density, rounds):
    """A network in which ties decide, and with its right and wrong masks.

    Weights are small whole numbers, so that sums over paths are exact in any order.
    """
    sizes = (3, 4, 4, 4, 2)
    shapes = list(zip(sizes[1:], sizes, strict=False))
    for offset in range(1, 200):
        g = generator(seed, offset)
        weights = [torch.randint(1, 4, s, generator=g).double() for s in shapes]
        right, revived, last = (
            slow_iterated(weights, density, rounds, **options)
            for options in ({}, {"dead": 0.0}, {"order": falling_last})
        )
        if not same(revived, right) and not same(last, right):
            return weights, right, {REVIVED: revived, TIES: last}
    raise RuntimeError(f"no network with ties for seed {seed}")


def alone(weights, density):
    """Each layer cut on its own, by the scores of the whole network."""
    out = []
    for score in scores_of(weights):
        keep = torch.zeros(score.numel()).bool()
        count = int(score.numel() * density + 0.5)
        keep[score.flatten().argsort(descending=True)[:count]] = True
        out.append(keep.view(score.shape))
    return out


def iterated(function, seed=0):
    """Check `iterated(weights, density, rounds)`."""
    for density, rounds in ((0.08, 6), (0.15, 4), (0.3, 1)):
        weights = clear_case(seed, density, rounds)
        right = slow_iterated(weights, density, rounds)
        suspects = {
            ONE_SHOT: slow_iterated(weights, density, 1),
            LINEAR: slow_iterated(weights, density, rounds, linear),
            LAYERWISE: alone(weights, density),
            SWAPPED: [~m for m in right],
        }
        if rounds > 1:
            suspects[FEWER_ROUNDS] = slow_iterated(weights, density, rounds - 1)
        got = call(function, weights, density, rounds)
        explain(got, right, suspects, f"iterated with {rounds} rounds")
    weights, right, suspects = tied_case(seed, 0.06, 3)
    got = call(function, weights, 0.06, 3)
    explain(got, right, suspects, "iterated with ties")
    correct("iterated")


def share(masks, layer=0):
    """Fraction of a layer's weights that is kept."""
    return float(masks[layer].double().mean())


def number(answer, weights, density, rounds):
    """Check the first layer's density after SynFlow in rounds."""
    masks = slow_iterated(weights, density, rounds)
    right, size = share(masks), weights[0].numel()
    suspects = {
        ONE_ROUND: share(slow_iterated(weights, density, 1)),
        LINEAR: share(slow_iterated(weights, density, rounds, linear)),
        SHARE: right * size / sum(int(m.sum()) for m in masks),
        LAST_LAYER: share(masks, -1),
        PERCENT: 100 * right,
    }
    # ties of a few weights may be broken in another way by rounding
    explain(answer, right, suspects, "your number", tolerance=3.5 / (right * size))
    correct("your number")
