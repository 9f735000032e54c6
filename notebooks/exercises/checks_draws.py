"""Checks of random perturbations, for exercise 6: what is wrong with a list of draws.

Two tensors of 120 x 90 entries are enough to see a wrong distribution with certainty.
"""

import math

import torch
from checks import Mistake, same

DEVIATION = "epsilon is a variance: the standard deviation is its root"
NOT_SCALED = "epsilon has no effect on the entries"
NOT_NORMAL = "the entries are not normal: use torch.randn"
OFF_ZERO = "the mean is not 0"
BY_UNIT = "the weights of a unit get the same perturbation"
GLOBAL = "equal generators give different draws: use the generator, nothing else"
SAME_AGAIN = "two draws from one generator are equal: do not seed it again"
EQUAL_ENTRIES = "all weights of a layer get the same perturbation"
SHARED = "two layers of one shape get the same perturbation"


def judge_draws(first, second, again, epsilon):
    """Name what is wrong with draws of a known variance."""
    deviation = float(torch.cat([d.flatten() for d in first]).std())
    scaled = first[0] / (deviation or 1.0)
    fourth = float((scaled**4).mean())  # 3 if normal
    by_unit = max(float(d.mean(k).std()) for d in first for k in (0, 1))
    found = {
        EQUAL_ENTRIES: float(first[0].std()) < 1e-3 * deviation or not deviation,
        DEVIATION: abs(deviation / epsilon - 1) < 0.05,
        NOT_SCALED: abs(deviation - 1) < 0.05,
        GLOBAL: not same(again, first),
        SAME_AGAIN: same(second, first),
        SHARED: same(first[:1], first[1:]),
        BY_UNIT: by_unit > 0.2 * deviation,
        OFF_ZERO: float(torch.cat(first).mean().abs()) > 0.05 * deviation,
        NOT_NORMAL: not 2.5 < fourth < 3.5,
    }
    for message, is_so in found.items():
        if is_so:
            raise Mistake(f"perturbation: {message}")
    wanted = math.sqrt(epsilon)
    if any(abs(float(d.std()) / wanted - 1) > 0.05 for d in first):
        raise Mistake(f"perturbation: standard deviation is not {wanted:g}")
