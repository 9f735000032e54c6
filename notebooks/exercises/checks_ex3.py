"""Checks of exercise 3: variance, chi, the edge of chaos, moments of the score.

Gaussian means are trapezoid sums on a fine grid, gradients are written out.
"""

import math

import torch
from checks import call, correct, explain, generator, real

Z = torch.linspace(-12, 12, 2401, dtype=torch.float64)
BELL = (-(Z**2) / 2).exp() / math.sqrt(2 * math.pi) * 0.01

ROOT = "q is a variance: phi sees sqrt(q) Z, not q Z"
BIAS = "sigma_b enters squared: it is a standard deviation"
WEIGHT = "sigma_w enters squared: it is a standard deviation"
NO_SQUARE = "the square of phi is missing inside the mean"
NO_BIAS = "the biases' variance is missing"
EARLY = "stopped too early: iterate until q no longer moves"
ONE_STEP = "this is one step, not the fixed point"
SQUARE_OUTSIDE = "the square belongs inside the mean: E[phi'^2], not E[phi']^2"
PHI = "phi stands where its derivative belongs"
AT_ONE = "taken at q = 1: chi is a number at the fixed point"
AT_BIAS = "taken at q = sigma_b^2: chi is a number at the fixed point"
DIFFERENT = "the square of phi' is missing inside the mean"
SQUARED = "this is sigma_w squared"
COARSE = "not to 1e-6: halve the interval more often"
FIRST_POWER = "the square is missing: m^l is a mean of squares"
GRADIENT = "the weight is missing: m^l is about W dL/dW, not dL/dW"
SUM = "this is the sum: divide by the number of entries"
SQUARED_MEAN = "the mean is squared: square each entry first"
PHI_BACK = "phi stands for phi' on the way back"
REVERSED = "the layers are in reversed order: m^1 is the first layer's"
SIGN = "the sign is reversed: m^l grows like chi^(L - l), so it falls with l if chi > 1"
BASE = "this is a logarithm to base 10: a natural one is asked"
NO_LOG = "this is chi itself: the slope of the logarithm is asked"


def mean(values):
    """E f(Z) from the values of f on the grid."""
    return float((values * BELL).sum())


def tanh(z):
    """Tanh of an array or tensor."""
    return torch.tanh(torch.as_tensor(z)).numpy()


def dtanh(z):
    """Derivative of tanh."""
    return 1 - tanh(z) ** 2


def erf(z):
    """Error function."""
    return torch.erf(torch.as_tensor(z)).numpy()


def derf(z):
    """Derivative of the error function."""
    return 2 / math.sqrt(math.pi) * torch.exp(-(torch.as_tensor(z) ** 2)).numpy()


ACTIVATIONS = {"tanh": (tanh, dtanh), "erf": (erf, derf)}


def moment(f, q, power=2, inner=math.sqrt):
    """E[f(sqrt(q) Z)^power]."""
    return mean(torch.as_tensor(f(inner(q) * Z)) ** power)


def step(q, sigma_w, sigma_b, phi):
    """One step of the variance."""
    return sigma_w**2 * moment(phi, q) + sigma_b**2


def settled(sigma_w, sigma_b, phi, steps=3000):
    """The variance after many steps."""
    q = 1.0
    for _ in range(steps):
        new = step(q, sigma_w, sigma_b, phi)
        if abs(new - q) < 1e-15:
            break
        q = new
    return q


def points(seed):
    """Pairs of scales, away from those of the text."""
    g = generator(seed, 1)
    u = torch.rand(3, 2, generator=g, dtype=torch.float64).tolist()
    return [(1.2 + 1.0 * a, 0.15 + 0.4 * b) for a, b in u]


def next_variance(function, seed=0):
    """Check `next_variance(q, sigma_w, sigma_b, phi)`."""
    for name, (phi, _) in ACTIVATIONS.items():
        for q, (w, b) in zip((0.4, 0.9, 2.0), points(seed), strict=True):
            second = moment(phi, q)
            suspects = {
                ROOT: w**2 * moment(phi, q, inner=float) + b**2,
                BIAS: w**2 * second + b,
                WEIGHT: w * second + b**2,
                NO_SQUARE: w**2 * moment(phi, q, 1) + b**2,
                NO_BIAS: w**2 * second,
            }
            got = call(function, q, w, b, phi)
            explain(got, step(q, w, b, phi), suspects, f"next_variance with {name}")
    correct("next_variance")


def fixed_point(function, seed=0):
    """Check `fixed_point(sigma_w, sigma_b, phi)`."""
    for name, (phi, _) in ACTIVATIONS.items():
        for w, b in points(seed):
            right = settled(w, b, phi)
            suspects = {
                ONE_STEP: step(1.0, w, b, phi),
                BIAS: settled(w, math.sqrt(b), phi),
                WEIGHT: settled(math.sqrt(w), b, phi),
            }
            suspects |= {
                f"{EARLY} ({n} steps)": settled(w, b, phi, n) for n in (5, 10, 20, 50)
            }
            got = call(function, w, b, phi)
            explain(got, right, suspects, f"fixed_point with {name}", tolerance=1e-9)
    correct("fixed_point")


def slow_chi(w, b, phi, dphi):
    """The definition, on the grid."""
    return w**2 * moment(dphi, settled(w, b, phi))


def chi(function, seed=0):
    """Check `chi(sigma_w, sigma_b, phi, dphi)`."""
    for name, (phi, dphi) in ACTIVATIONS.items():
        for w, b in points(seed):
            q = settled(w, b, phi)
            suspects = {
                PHI: w**2 * moment(phi, q),
                DIFFERENT: w**2 * moment(dphi, q, 1),
                SQUARE_OUTSIDE: w**2 * moment(dphi, q, 1) ** 2,
                AT_ONE: w**2 * moment(dphi, 1.0),
                AT_BIAS: w**2 * moment(dphi, b**2),
                ROOT: w**2 * moment(dphi, q, inner=float),
                WEIGHT: w * moment(dphi, q),
            }
            got = call(function, w, b, phi, dphi)
            explain(got, slow_chi(w, b, phi, dphi), suspects, f"chi with {name}")
    correct("chi")


def crossing(f):
    """Where a growing function is 1, between 0.5 and 3.5."""
    low, high = 0.5, 3.5
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 1 else (low, middle)
    return low


def edge(function, seed=0):
    """Check `edge(sigma_b, phi, dphi)`."""
    b = 0.15 + 0.25 * float(torch.rand(1, generator=generator(seed, 2)))
    for name, (phi, dphi) in ACTIVATIONS.items():
        right = crossing(lambda w, p=phi, d=dphi: slow_chi(w, b, p, d))
        suspects = {
            SQUARED: right**2,
            AT_ONE: crossing(lambda w, d=dphi: w**2 * moment(d, 1.0)),
            AT_BIAS: crossing(lambda w, d=dphi: w**2 * moment(d, b**2)),
            DIFFERENT: crossing(
                lambda w, p=phi, d=dphi: w**2 * moment(d, settled(w, b, p), 1)
            ),
        }
        got = call(function, b, phi, dphi)
        close = abs(real(got, "edge") - right) < 2e-2
        suspects |= {COARSE: got} if close else {}
        explain(got, right, suspects, f"edge with {name}", tolerance=1.2e-6)
    correct("edge")


def network(seed, sizes=(4, 6, 5, 3)):
    """A small tanh network, an input and a direction."""
    g = generator(seed, 3)
    options = {"generator": g, "dtype": torch.float64}
    pairs = list(zip(sizes[1:], sizes, strict=False))
    weights = [torch.randn(o, i, **options) for o, i in pairs]
    biases = [torch.randn(o, **options) for o, _ in pairs]
    x, v = torch.randn(sizes[0], **options), torch.randn(sizes[-1], **options)
    return weights, biases, x, v


def gradients(weights, biases, x, v, slope=lambda h: 1 - h**2):
    """Gradient of v y by each weight, from the last layer on."""
    inputs = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        inputs.append(torch.tanh(w @ inputs[-1] + b))
    grads, back = [], v
    for k in reversed(range(len(weights))):
        grads.insert(0, back[:, None] * inputs[k][None, :])
        back = (weights[k].T @ back) * slope(inputs[k])
    return grads


def moments(function, seed=0):
    """Check `moments(weights, biases, x, v)`."""
    weights, biases, x, v = network(seed)
    grads = gradients(weights, biases, x, v)
    terms = [w * g for w, g in zip(weights, grads, strict=True)]
    wrong = gradients(weights, biases, x, v, slope=lambda h: h)
    falsely = [w * g for w, g in zip(weights, wrong, strict=True)]
    right = torch.stack([(t**2).mean() for t in terms])
    suspects = {
        FIRST_POWER: torch.stack([t.mean() for t in terms]),
        FIRST_POWER + ";": torch.stack([t.abs().mean() for t in terms]),
        SQUARED_MEAN: torch.stack([t.mean() ** 2 for t in terms]),
        GRADIENT: torch.stack([(g**2).mean() for g in grads]),
        SUM: torch.stack([(t**2).sum() for t in terms]),
        PHI_BACK: torch.stack([(t**2).mean() for t in falsely]),
        REVERSED: right.flip(0),
    }
    explain(call(function, weights, biases, x, v), right, suspects, "moments")
    correct("moments")


def number(answer, sigma_w, sigma_b):
    """Check the predicted slope for tanh."""
    value = slow_chi(sigma_w, sigma_b, tanh, dtanh)
    suspects = {
        SIGN: math.log(value),
        BASE: -math.log10(value),
        NO_LOG: value,
        AT_ONE: -math.log(sigma_w**2 * moment(dtanh, 1.0)),
    }
    explain(answer, -math.log(value), suspects, "your number")
    correct("your number")
