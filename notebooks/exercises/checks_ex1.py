"""Checks of exercise 1: exact counts, scopes, collapse and effective density."""

import math

import torch
from checks import call, correct, explain, generator

BORDER_ALL = (
    "every score that ties at the border is kept, which is more than k: "
    "a threshold cannot tell equal scores apart"
)
BORDER_NONE = "every score that ties at the border is dropped, which is fewer than k"
BORDER_LAST = "ties at the border go to the higher index: is the sort stable?"
CLOSE = (
    "scores that lie close together are mixed up: compare them as they are, without "
    "rounding and without small numbers added against ties"
)
SWAPPED = "kept and pruned are swapped: True marks a weight that is kept"
MODULUS = "the modulus decides: scores are signed, and -9 is smaller than 1"
LAYERWISE = "each layer is cut on its own: for a global mask all layers compete"
GLOBAL = "all layers compete: a layerwise mask cuts each layer on its own"
TRUNCATED = "the count is cut off by int(): it is floor(n d + 1/2)"
HALF_EVEN = "Python's round takes a half to the even number: it is floor(n d + 1/2)"
SPARSITY = "density is the fraction kept, not the fraction removed"
OFF_BY_ONE = "one too few: at this k the last layer is still empty"
FIRST_LAYER = "this is when the first layer gets a weight: ask for the last"
LAST_NAMED = "this is about the dict's last layer: any layer may be the last to get one"
LOW_MEAN = "the layer of the lowest mean may still get a weight early: its best counts"
LAYER_SIZE = "this is a rank inside its layer: count over all layers together"
NO_FORWARD = (
    "weights count that no input reaches: look from the inputs too, not only from "
    "the outputs"
)
NO_BACKWARD = (
    "weights count that lead to no output: look from the outputs too, not only from "
    "the inputs"
)
ONE_STEP = (
    "only the neighbouring layers are looked at: a dead unit kills others further away"
)
KEPT_ONLY = "this is the density of the mask itself: weights off all paths count"
OF_KEPT = "effective weights are divided by the kept ones: divide by all weights"
PERCENT = "this is in percent: a fraction is asked"


def largest(scores, k, key):
    """Mask of the first k indices in the order of a key."""
    order = sorted(range(len(scores)), key=key)
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[order[:k]] = True
    return keep


def slow_top_k(scores, k):
    """The definition: sort by falling score, then by rising index."""
    values = scores.tolist()
    return largest(values, k, lambda i: (-values[i], i))


def wrong_top_k(scores, k):
    """Message to mask, of the mistakes that are common."""
    s = scores.tolist()
    falling = sorted(s, reverse=True)
    border = falling[k - 1] if k else math.inf
    right = slow_top_k(scores, k)
    return {
        BORDER_ALL: scores >= border,
        BORDER_NONE: scores > border,
        BORDER_LAST: largest(s, k, lambda i: (-s[i], -i)),
        SWAPPED: ~right,
        SWAPPED + " ": largest(s, k, lambda i: (s[i], i)),
        MODULUS: largest(s, k, lambda i: (-abs(s[i]), i)),
    }


def top_k(function, seed=0):
    """Check `top_k(scores, k)`."""
    g = generator(seed, 1)
    cases = [(torch.tensor([5.0, 6.0, 0.0, 5.0, 7.0]), 3)]
    cases += [(torch.randn(12, generator=g), k) for k in (5, 0, 12, 1)]
    cases += [
        (torch.randint(-3, 3, (40,), generator=g).float(), k) for k in (7, 13, 20, 33)
    ]
    cases += [(torch.ones(30), 11)]
    cases += [(1e-30 * torch.randn(40, generator=g), 15)]
    for scores, k in cases:
        got = call(function, scores, k)
        suspects = wrong_top_k(scores, k)
        if scores is cases[-1][0]:
            suspects[CLOSE] = got
        explain(got, slow_top_k(scores, k), suspects, f"top_k with k = {k}")
    correct("top_k")


def count(n, density):
    """How many are kept: the nearest whole number, halves up."""
    return math.floor(n * density + 0.5)


def slow_global(scores, density, counted=count):
    """The definition: one long list of all scores."""
    flat = torch.tensor([v for s in scores.values() for v in s.flatten().tolist()])
    keep = slow_top_k(flat, counted(len(flat), density)).tolist()
    masks = {}
    for name, score in scores.items():
        own, keep = keep[: score.numel()], keep[score.numel() :]
        masks[name] = torch.tensor(own, dtype=torch.bool).view(score.shape)
    return masks


def slow_layerwise(scores, density, counted=count):
    """The definition: each layer as if it were alone."""
    masks = {}
    for name, score in scores.items():
        masks |= slow_global({name: score}, density, counted)
    return masks


def check_scope(function, right, other, message, seed, what):
    """Check one of the two scopes."""
    g = generator(seed, 2)
    shapes = {"first": (6, 3), "second": (4, 2, 2), "third": (3, 5)}
    scales = {"first": 1.0, "second": 3.0, "third": 0.3}
    # n = 18, 16, 15, 49 in all: fractions above a half first, exact halves last
    for density in (0.4, 0.6, 0.11, 0.03125, 0.5, 0.0, 1.0):
        scores = {k: scales[k] * torch.randn(s, generator=g) for k, s in shapes.items()}
        got = call(function, scores, density)
        expected = right(scores, density)
        suspects = {
            message: other(scores, density),
            HALF_EVEN: right(scores, density, lambda n, d: round(n * d)),
            TRUNCATED: right(scores, density, lambda n, d: int(n * d)),
            SPARSITY: right(scores, 1 - density),
            SWAPPED: {name: ~mask for name, mask in expected.items()},
        }
        explain(got, expected, suspects, f"{what} at density {density}")
    scores = {name: (2 * score).round() for name, score in scores.items()}
    for density in (0.2, 0.4):
        suspects = {
            message: other(scores, density),
            BORDER_ALL: at_least(scores, right(scores, density), what),
            BORDER_LAST: turned(right(turned(scores), density)),
        }
        got, expected = call(function, scores, density), right(scores, density)
        explain(got, expected, suspects, f"{what} with ties, density {density}")
    correct(what)


def turned(tensors):
    """Layers and entries in reversed order."""
    pairs = reversed(tensors.items())
    return {name: t.flatten().flip(0).view(t.shape) for name, t in pairs}


def at_least(scores, masks, what):
    """What a threshold keeps: all that tie with the smallest kept score."""
    kept = {name: score[masks[name]].tolist() for name, score in scores.items()}
    if what == "global_masks":
        everywhere = [v for values in kept.values() for v in values]
        kept = dict.fromkeys(scores, everywhere)
    return {n: s >= min(kept[n], default=math.inf) for n, s in scores.items()}


def global_masks(function, seed=0):
    """Check `global_masks(scores, density)`."""
    check_scope(
        function, slow_global, slow_layerwise, LAYERWISE, seed, "global_masks"
    )  # fmt: skip


def layerwise_masks(function, seed=0):
    """Check `layerwise_masks(scores, density)`."""
    check_scope(
        function, slow_layerwise, slow_global, GLOBAL, seed, "layerwise_masks"
    )  # fmt: skip


def slow_smallest_count(scores):
    """The definition: try k = 1, 2, ... until no layer is empty."""
    flat = [(v, name) for name, s in scores.items() for v in s.flatten().tolist()]
    flat.sort(reverse=True)
    k = 1
    while len({name for _, name in flat[:k]}) < len(scores):
        k += 1
    return k


def smallest_count(function, seed=0):
    """Check `smallest_count(scores)`."""
    g = generator(seed, 3)
    for turn in range(5):
        # the layer that comes last is first, middle or last in the dict
        scales = [1.0, 0.5, 0.2]
        scales = dict(zip("abc", scales[turn % 3 :] + scales[: turn % 3], strict=True))
        scores = {
            name: s * torch.randn(4, 6, generator=g) for name, s in scales.items()
        }
        scores[min(scales, key=scales.get)] -= 0.3
        # of low scores, but for one
        scores[max(scales, key=scales.get)] -= 2.0
        scores[max(scales, key=scales.get)][1, 2] = 3.0
        right = slow_smallest_count(scores)
        flat = torch.cat([s.flatten() for s in scores.values()])
        worst = min(scores.values(), key=torch.max)
        best = max(float(s.max()) for s in scores.values())
        suspects = {
            OFF_BY_ONE: right - 1,
            FIRST_LAYER: int((flat >= best).sum()),
            LAYER_SIZE: int((worst >= worst.max()).sum()),
            LAST_NAMED: int((flat >= scores["c"].max()).sum()),
            LOW_MEAN: int((flat >= min(scores.values(), key=torch.mean).max()).sum()),
        }
        explain(call(function, scores), right, suspects, "smallest_count")
    correct("smallest_count")


def reached(masks):
    """Units of every layer that a path from an input enters, by following edges."""
    layers = [set(range(masks[0].shape[1]))]
    for mask in masks:
        edges = mask.nonzero().tolist()
        layers.append({o for o, i in edges if i in layers[-1]})
    return layers


def slow_effective(masks, forward=True, backward=True):
    """The definition: both ends of a weight lie on the way."""
    ahead = reached(masks)
    turned = [mask.T for mask in reversed(masks)]
    behind = reached(turned)[::-1]
    out = []
    for k, mask in enumerate(masks):
        keep = torch.zeros_like(mask)
        for o, i in mask.nonzero().tolist():
            fed = not forward or i in ahead[k]
            used = not backward or o in behind[k + 1]
            keep[o, i] = fed and used
        out.append(keep)
    return out


def one_step(masks):
    """A weight stays if its two units have any neighbour on the other side."""
    out = []
    for k, mask in enumerate(masks):
        fed = masks[k - 1].any(1) if k else torch.ones(mask.shape[1]).bool()
        last = k == len(masks) - 1
        used = torch.ones(len(mask)).bool() if last else masks[k + 1].any(0)
        out.append(mask & fed & used[:, None])
    return out


def effective(function, seed=0):
    """Check `effective(masks)`."""
    g = generator(seed, 4)
    first = [
        torch.tensor([[True, False], [False, True]]),
        torch.tensor([[True, False]]),
    ]
    sizes = (4, 7, 7, 7, 7, 3)
    pairs = list(zip(sizes[1:], sizes, strict=False))
    cases = [[torch.rand(s, generator=g) < d for s in pairs] for d in (0.2, 0.2, 0.3)]
    cases += [[torch.zeros(s, dtype=torch.bool) for s in pairs], first]
    for masks in cases:
        suspects = {
            KEPT_ONLY: masks,
            NO_FORWARD: slow_effective(masks, forward=False),
            NO_BACKWARD: slow_effective(masks, backward=False),
            ONE_STEP: one_step(masks),
        }
        explain(call(function, masks), slow_effective(masks), suspects, "effective")
    correct("effective")


def number(answer, scores, density):
    """Check the effective density of the global mask of given scores."""
    flat = torch.cat([score.flatten() for score in scores.values()])
    k = count(len(flat), density)
    border = flat.sort(descending=True).values[k - 1]
    masks = [score >= border for score in scores.values()]
    alive = sum(int(m.sum()) for m in slow_effective(masks))
    suspects = {
        KEPT_ONLY: k / len(flat),
        OF_KEPT: alive / k,
        PERCENT: 100 * alive / len(flat),
        LAYERWISE: lambda: alive_layerwise(scores, density) / len(flat),
    }
    explain(answer, alive / len(flat), suspects, "your number")
    correct("your number")


def alive_layerwise(scores, density):
    """Effective weights, had each layer been cut on its own."""
    masks = []
    for score in scores.values():
        falling = score.flatten().sort(descending=True).values
        masks.append(score >= falling[max(count(len(falling), density), 1) - 1])
    return sum(int(m.sum()) for m in slow_effective(masks))
