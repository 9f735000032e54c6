"""Checks of exercise 2: SNIP, Hessian times gradient, GraSP.

Gradients are written out layer by layer, Hessian products are central differences of
those; autograd is not used.
"""

import torch
from checks import call, correct, explain, generator

SIGNED = "the modulus is missing: SNIP asks how much, not in which direction"
GRADIENT = "this is the gradient's modulus: multiply by the weight"
PER_SAMPLE = "the modulus is taken sample by sample: sum over the batch first"
SUMMED = "the loss is summed over the samples: take the mean"
NORMALISED = "divided by its sum: the same order, but not the definition"
TWICE = "twice too large: differentiate one half of the squared norm"
BLOCKS = (
    "each layer's norm is differentiated on its own: sum the squares over all layers "
    "before the second gradient"
)
FIRST_ORDER = "this is g, not Hg: was the graph of the first gradient kept?"
MINUS = "the sign is reversed: Hg is the gradient of +|g|^2/2"
REVERSED = (
    "the sign is reversed: s = w Hg, larger means keep; with -w Hg one removes from "
    "the top"
)
NO_SIGN = "a modulus is taken: GraSP is signed"
NO_WEIGHT = "the weight is missing: s = w Hg, not Hg"
NO_TEMPERATURE = "the temperature has no effect: divide the logits by it"
TIMES = "the logits are multiplied by the temperature: divide"
OF_LOSS = "the loss is divided by the temperature: divide the logits, inside"
GRASP_NOT_SNIP = "this is SNIP's score: GraSP needs Hg"
OF_K = "shared weights are divided by k: divide by the union"
PERCENT = "this is in percent: a fraction is asked"
OTHER_END = "the second temperature is 200"
MODULUS_MASKS = "the masks keep large moduli: GraSP's score is signed"


def case(seed, n=7, sizes=(5, 6, 4, 3)):
    """A small network, inputs and labels."""
    g = generator(seed, n)
    pairs = zip(sizes[1:], sizes, strict=False)
    weights = [torch.randn(s, generator=g, dtype=torch.float64) for s in pairs]
    x = torch.randn(n, sizes[0], generator=g, dtype=torch.float64)
    return weights, x, torch.randint(sizes[-1], (n,), generator=g)


def gradient(weights, x, y, temperature=1.0):
    """Gradient of the mean cross-entropy, by the chain rule from the last layer on."""
    signals = [x]
    for w in weights[:-1]:
        signals.append((signals[-1] @ w.T).clamp(min=0))
    scaled = signals[-1] @ weights[-1].T / temperature
    chances = scaled.exp() / scaled.exp().sum(1, keepdim=True)
    target = torch.zeros_like(chances)
    target[torch.arange(len(y)), y] = 1.0
    error = (chances - target) / temperature / len(y)  # dL/dlogits, (n, classes)
    grads = []
    for k in reversed(range(len(weights))):
        grads.insert(0, error.T @ signals[k])
        error = (error @ weights[k]) * (signals[k] > 0)
    return grads


def half_norm(weights, x, y, temperature):
    """One half of the squared gradient norm."""
    return 0.5 * sum(float((g**2).sum()) for g in gradient(weights, x, y, temperature))


def differences(weights, x, y, temperature=1.0, step=1e-5):
    """Hg, entry by entry: change one weight up and down and look at |g|^2 / 2."""
    out = []
    for k, w in enumerate(weights):
        own = torch.zeros_like(w)
        for at in range(w.numel()):
            values = []
            for turn in (step, -step):
                moved = [each.clone() for each in weights]
                moved[k].view(-1)[at] += turn
                values.append(half_norm(moved, x, y, temperature))
            own.view(-1)[at] = (values[0] - values[1]) / (2 * step)
        out.append(own)
    return out


def products(weights, others):
    """Entry by entry, layer by layer."""
    return [w * g for w, g in zip(weights, others, strict=True)]


def moduli(tensors):
    """Moduli of a list."""
    return [each.abs() for each in tensors]


def per_sample(weights, x, y):
    """What the modulus of each sample's own gradient gives."""
    parts = [gradient(weights, x[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    return [w.abs() * sum(p[k].abs() for p in parts) / len(y)
            for k, w in enumerate(weights)]  # fmt: skip


def snip(function, seed=0):
    """Check `snip(weights, x, y)`."""
    for k in range(2):
        weights, x, y = case(seed, 7 + k)
        grads = gradient(weights, x, y)
        right = moduli(products(weights, grads))
        total = sum(float(s.sum()) for s in right)
        suspects = {
            SIGNED: products(weights, grads),
            GRADIENT: moduli(grads),
            PER_SAMPLE: per_sample(weights, x, y),
            SUMMED: [len(y) * s for s in right],
            NORMALISED: [s / total for s in right],
        }
        explain(call(function, weights, x, y), right, suspects, "snip")
    correct("snip")


def blocks(weights, x, y, temperature, step=1e-5):
    """Hg of each layer alone, the cross terms left out."""
    grads = gradient(weights, x, y, temperature)
    out = []
    for k in range(len(weights)):
        turned = []
        for turn in (step, -step):
            moved = list(weights)
            moved[k] = weights[k] + turn * grads[k]
            turned.append(gradient(moved, x, y, temperature)[k])
        out.append((turned[0] - turned[1]) / (2 * step))
    return out


def hessian_gradient(function, seed=0):
    """Check `hessian_gradient(weights, x, y, temperature)`."""
    for temperature in (1.0, 3.0):
        weights, x, y = case(seed, 8)
        right = differences(weights, x, y, temperature)
        suspects = {
            TWICE: [2 * h for h in right],
            BLOCKS: blocks(weights, x, y, temperature),
            BLOCKS + ";": [2 * h for h in blocks(weights, x, y, temperature)],
            FIRST_ORDER: gradient(weights, x, y, temperature),
            MINUS: [-h for h in right],
            NO_TEMPERATURE: differences(weights, x, y),
            TIMES: differences(weights, x, y, 1 / temperature),
            OF_LOSS: [h / temperature**2 for h in differences(weights, x, y)],
        }
        got = call(function, weights, x, y, temperature)
        what = f"hessian_gradient at temperature {temperature:g}"
        explain(got, right, suspects, what, tolerance=1e-5)
    correct("hessian_gradient")


def grasp(function, seed=0):
    """Check `grasp(weights, x, y, temperature)`."""
    for temperature in (1.0, 5.0):
        weights, x, y = case(seed, 9)
        hg = differences(weights, x, y, temperature)
        right = products(weights, hg)
        plain = products(weights, differences(weights, x, y))
        suspects = {
            REVERSED: [-s for s in right],
            NO_SIGN: moduli(right),
            NO_WEIGHT: hg,
            NO_TEMPERATURE: plain,
            OF_LOSS: [s / temperature**2 for s in plain],
            TWICE: [2 * s for s in right],
            GRASP_NOT_SNIP: moduli(
                products(weights, gradient(weights, x, y, temperature))
            ),
        }
        got = call(function, weights, x, y, temperature)
        what = f"grasp at temperature {temperature:g}"
        explain(got, right, suspects, what, tolerance=1e-5)
    correct("grasp")


def along_gradient(weights, x, y, temperature):
    """Hg as the change of g along itself, by a step too short to cross kinks."""
    grads = gradient(weights, x, y, temperature)
    step = 1e-7 / max(float(g.abs().max()) for g in grads)
    ends = []
    for turn in (step, -step):
        moved = [w + turn * g for w, g in zip(weights, grads, strict=True)]
        ends.append(gradient(moved, x, y, temperature))
    return [(a - b) / (2 * step) for a, b in zip(*ends, strict=True)]


def kept(scores, k):
    """Indices of the k largest of all scores."""
    flat = torch.cat([s.flatten() for s in scores])
    return set(flat.argsort(descending=True)[:k].tolist())


def number(answer, weights, x, y, density):
    """Check the overlap of the masks at temperature 1 and 200."""
    pair = [products(weights, along_gradient(weights, x, y, t)) for t in (1.0, 200.0)]
    n = sum(w.numel() for w in weights)
    k = int(n * density + 0.5)
    a, b = (kept(scores, k) for scores in pair)
    c, d = (kept(moduli(scores), k) for scores in pair)
    right = len(a & b) / len(a | b)
    warm = kept(products(weights, along_gradient(weights, x, y, 20.0)), k)
    suspects = {
        OF_K: len(a & b) / k,
        PERCENT: 100 * right,
        MODULUS_MASKS: len(c & d) / len(c | d),
        OTHER_END: len(a & warm) / len(a | warm),
        NO_TEMPERATURE: 1.0,
    }
    # a weight at the border may fall to either side by rounding
    explain(answer, right, suspects, "your number", tolerance=3 / k)
    correct("your number")
