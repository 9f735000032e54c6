"""Monte-Carlo error of NTK-SAP: the mean over M draws against the exact saliency."""

from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor

from paicore import Masks
from paicore.experiments.saliency_laws import exact
from paicore.experiments.saliency_nets import Setting, draws, network
from paicore.experiments.saliency_surrogate import GIVEN, NAN, relative_error
from paicore.scores import saliency_sums

CARLO_VALUES = ("draws", "error", "slope", "sd", "theory", "sd_ratio", "away")


@dataclass(frozen=True)
class Carlo(Setting):
    """The mean over M draws against the exact saliency; the variants are estimators.

    Attributes:
        sizes: Numbers of draws M, rising.
        number: How often each is repeated.
        stacked: Draws that run as one program.
    """

    methods: tuple[str, ...] = ("mlp", "mlp_tanh")
    variants: tuple[str, ...] = ("jvp", "1e-08", "0.0001")
    sizes: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    number: int = 8
    stacked: int = 1024


def run_carlo(config: Carlo, cell: dict) -> list[dict]:
    """Measure the error of the saliency and the sd of D; one row per M.

    Returns:
        Rows: "error" is the root mean square over repetitions, relative to the exact
        saliency; "slope" that of log error in log M, least squares. "sd" is the
        relative sd of one draw of D, "theory" sqrt(2) |Theta| / tr Theta, "sd_ratio"
        one over the other, "away" how many standard errors the mean of D / epsilon
        lies from the trace; they and "slope" stand in the last row, nan before.
    """
    name, seed, variant = cell["method"], cell["seed"], cell["variant"]
    net, in_shape = network(name, draws(seed, "carlo", name))
    g = draws(seed, "carlo", "inputs")
    x = torch.randn(config.samples, *in_shape, generator=g, dtype=torch.float64)
    scale = 1.0 if variant == "jvp" else float(variant)
    how = {"estimator": "jvp"} if variant == "jvp" else {"epsilon": scale}
    truth, errors, values = exact(net, x), [], torch.empty(0)
    for size in config.sizes:
        squares, values = [], []
        for k in range(config.number):
            found = saliency_sums(
                net, Masks.dense(net), (x, None), repeats=size, stacked=config.stacked,
                generator=draws(seed, "carlo", name, size, k),
                **{**GIVEN, **how},
            )  # fmt: skip
            squares.append(
                relative_error(found.signed, truth.signed, size * scale) ** 2
            )
            values.append(found.values / scale)
        errors.append(sqrt(sum(squares) / config.number))
    facts = moments(torch.cat(values), truth.spectrum)
    facts["slope"] = slope(config.sizes, errors)
    blank_facts = dict.fromkeys(facts, NAN)
    return [
        {"step": k, "draws": size, "error": error,
         **(facts if k == len(errors) - 1 else blank_facts)}
        for k, (size, error) in enumerate(zip(config.sizes, errors, strict=True))
    ]  # fmt: skip


def moments(values: Tensor, spectrum: Tensor) -> dict[str, float]:
    """Return the sd of single draws, what theory says, and how far the mean is off."""
    trace = float(spectrum.sum())
    theory = sqrt(2 * float(spectrum.square().sum())) / trace
    sd = float(values.std()) / trace
    error = float(values.std()) / sqrt(len(values))
    return {"sd": sd, "theory": theory, "sd_ratio": sd / theory,
            "away": abs(float(values.mean()) - trace) / error}  # fmt: skip


def slope(sizes: tuple[int, ...], errors: list[float]) -> float:
    """Return the least-squares slope of log error in log size."""
    x = [log(size) for size in sizes]
    y = [log(error) for error in errors]
    middle = sum(x) / len(x)
    above = sum((a - middle) * b for a, b in zip(x, y, strict=True))
    return above / sum((a - middle) ** 2 for a in x)
