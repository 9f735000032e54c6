"""Theory alone: the plane of scales, the edge of chaos, and rates of correlations."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, pi, sqrt

import numpy as np
from scipy.integrate import quad

from paicore.experiments.edge_of_chaos_nets import Setting, scales, slope
from paicore.kernels import meanfield

PLANE_VALUES = ("sigma_b", "sigma_w", "chi", "c")
EDGE_VALUES = ("sigma_b", "sigma_w", "q", "off", "hermite")
RATE_VALUES = ("gap", "constant", "scaled", "off")
LIMIT_VALUES = ("exponent",)
NODES = 201  # of the Gauss-Hermite rule that is wrong at a kink


@dataclass(frozen=True)
class Plane(Setting):
    """A grid of scales.

    Attributes:
        sigma_w: Least, greatest and number of values.
        sigma_b: Least, greatest and number of values.
    """

    points: tuple[tuple[str, str], ...] = (("tanh", ""),)
    sigma_w: tuple[float, float, int] = (0.25, 3.0, 23)
    sigma_b: tuple[float, float, int] = (0.05, 1.0, 20)


@dataclass(frozen=True)
class Edge(Setting):
    """Points of the edge; a variant is sigma_b."""

    points: tuple[tuple[str, str], ...] = (
        ("relu", "0"),
        *(("tanh", b) for b in ("0", "0.05", "0.1", "0.2", "0.3", "0.5", "1")),
        *(("elu", b) for b in ("0.05", "0.1", "0.2", "0.5", "1")),
    )


@dataclass(frozen=True)
class Rates(Setting):
    """Correlations of two inputs, by theory.

    Attributes:
        depth: Layers where the law is a power of l.
        fast: Layers where it is exponential; later there is nothing but rounding.
        marks: Layers that are recorded, where there are so many.
        start: Correlation of the two inputs after the first layer.
    """

    points: tuple[tuple[str, str], ...] = (
        ("tanh", "0.8 0.3"), ("tanh", "edge 0.2"), ("tanh", "2 0.3"),
        ("elu", "edge 0.2"), ("relu", "edge 0"),
    )  # fmt: skip
    depth: int = 1000
    fast: int = 30
    marks: tuple[int, ...] = (
        1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 70, 100, 140, 200, 300,
        400, 600, 1000,
    )  # fmt: skip
    start: float = 0.0


@dataclass(frozen=True)
class Limits(Setting):
    """Exponents of the batch-mean moment for infinitely many samples.

    Attributes:
        width: Of all layers; it drops out.
        start: Cosine of the angle between two inputs.
    """

    points: tuple[tuple[str, str], ...] = tuple(
        (phi, depth) for phi in ("tanh 0.2", "relu 0") for depth in ("60", "200", "600")
    )
    width: int = 100
    start: float = 0.5


def run_plane(config: Plane, cell: dict) -> list[dict]:
    """Return chi, and the correlation that all inputs tend to, on the grid."""
    phi, rows = cell["method"], []
    for sigma_b in np.linspace(*config.sigma_b):
        for sigma_w in np.linspace(*config.sigma_w):
            point = float(sigma_w), float(sigma_b)
            rows.append({
                "step": len(rows), "sigma_b": point[1], "sigma_w": point[0],
                "chi": meanfield.chi(phi, *point),
                "c": meanfield.correlation_fixed_point(phi, *point),
            })  # fmt: skip
    return rows


# Slopes as plain functions: what the solver is checked with is not the solver's.
SLOPES: dict[str, Callable[[float], float]] = {
    "relu": lambda u: float(u > 0),
    "tanh": lambda u: 1 - np.tanh(u) ** 2,
    "elu": lambda u: 1.0 if u > 0 else exp(u),
}


def adaptive_chi(phi: str, sigma_w: float, q: float) -> float:
    """Return sigma_w^2 E[phi'^2] by an adaptive rule on either side of the kink."""

    def integrand(z: float) -> float:
        return SLOPES[phi](sqrt(q) * z) ** 2 * exp(-z * z / 2) / sqrt(2 * pi)

    sides = [quad(integrand, *side, epsabs=1e-13)[0] for side in ((-12, 0), (0, 12))]
    return sigma_w**2 * sum(sides)


def hermite_chi(phi: str, sigma_w: float, q: float) -> float:
    """Return the same by one Gauss-Hermite rule across the kink: a known mistake."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    values = np.array([SLOPES[phi](sqrt(q) * z) ** 2 for z in nodes])
    return float(sigma_w**2 * (weights @ values) / weights.sum())


def run_edge(config: Edge, cell: dict) -> list[dict]:
    """Solve for one point of the edge and check it by two other integrals."""
    phi, sigma_b = cell["method"], float(cell["variant"])
    edge = meanfield.edge_of_chaos(phi, sigma_b=sigma_b)
    return [{
        "step": 0, "sigma_b": sigma_b, "sigma_w": edge.sigma_w, "q": edge.q,
        "off": abs(adaptive_chi(phi, edge.sigma_w, edge.q) - 1),
        "hermite": hermite_chi(phi, edge.sigma_w, edge.q),
    }]  # fmt: skip


def gaps(phi: str, point: tuple[float, float], depth: int, start: float) -> np.ndarray:
    """Iterate 1 - c at the fixed point of the variance, for layers 1 ... depth."""
    q = 1.0 if phi == "relu" else meanfield.fixed_point(phi, *point).q
    found = [1 - start]
    for _ in range(depth - 1):
        found.append(float(meanfield.gap_map(phi, found[-1], *point, q=q)))
    return np.array(found)


def run_rates(config: Rates, cell: dict) -> list[dict]:
    """Iterate correlations and divide them by their law; `scaled` tends to 1."""
    phi, point = cell["method"], scales(cell["method"], cell["variant"])
    rate = meanfield.correlation_rate(phi, *point)
    if rate.law == "exponential":
        found = gaps(phi, point, config.fast + 1, config.start)
        away = np.abs(found - (1 - rate.limit))
        measured = away[1:] / away[:-1]
        layers = range(1, config.fast + 1)
    else:
        found = gaps(phi, point, config.depth, config.start)
        power = {"1/l": 1, "1/l^2": 2}[rate.law]
        measured = found * np.arange(1.0, config.depth + 1) ** power
        layers = [each for each in config.marks if each <= config.depth]
    return [{
        "step": k, "gap": found[k - 1], "constant": rate.value,
        "scaled": measured[k - 1] / rate.value,
        "off": abs(measured[k - 1] - rate.value),
    } for k in layers]  # fmt: skip


def run_limits(config: Limits, cell: dict) -> list[dict]:
    """Fit the exponent of the cross term over the upper half of the layers."""
    phi, sigma_b = cell["method"].split()
    depth = int(cell["variant"])
    edge = meanfield.edge_of_chaos(phi, sigma_b=float(sigma_b))
    moments = meanfield.score_moments(
        phi, [config.width] * (depth + 1), edge.sigma_w, edge.sigma_b,
        q0=1.0, c0=config.start,
    )  # fmt: skip
    fit = depth // 2, depth - 5
    return [{"step": 0, "exponent": slope(moments.cross, fit, np.log)}]
