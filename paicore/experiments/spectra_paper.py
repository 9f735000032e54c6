"""What Figure 2 of NTK-SAP shows: eigenvalues of ResNet-20's tangent kernel, digitised.

Sparsity 73.80 %, 1,000 eigenvalues in rising order, index 0 to 999. Letter P: read off
the printed curves, to a few percent. Where a curve is hidden there is no value.
"""

from math import log10, sqrt
from types import MappingProxyType

SIZE = 1000  # 100 inputs, 10 logits
MIDDLE = (100, 900)  # indices that are held to 20 %; those outside to 35 %

DENSE = MappingProxyType(
    {
        5: 46.7, 50: 77.7, 100: 98.0, 200: 137.0, 400: 235.0, 600: 406.0, 800: 787.0,
        900: 1390.0, 950: 2510.0, 980: 6250.0, 998: 16400.0,
    }
)  # fmt: skip

_AT = (5, 50, 100, 200, 400, 600, 800, 900, 980)
_RATIOS = {
    "ntk_sap": (0.70, 0.74, 0.73, 0.73, 0.74, 0.72, 0.74, 0.76, 0.79),
    "snip": (0.44, 0.48, 0.49, 0.52, 0.57, 0.58, 0.66, 0.71, 0.71),
    "iterative_snip": (0.21, 0.21, 0.24, 0.27, None, None, None, 0.60, 0.94),
    "synflow": (None, None, 0.36, 0.37, 0.40, 0.42, 0.49, 0.56, 0.54),
    "magnitude": (0.34, 0.36, 0.38, 0.39, 0.38, 0.36, 0.37, 0.40, 0.50),
    "grasp": (0.10, 0.11, 0.13, 0.18, 0.32, 0.68, 1.97, 3.4, 6.1),
}
# Method -> index -> eigenvalue over the dense one.
RATIOS = MappingProxyType(
    {
        name: {i: r for i, r in zip(_AT, values, strict=True) if r is not None}
        for name, values in _RATIOS.items()
    }
)
# Distances of the digitised curves from the dense one, as the reference reads them.
RMS = MappingProxyType(
    {
        "ntk_sap": 0.13, "snip": 0.26, "iterative_snip": 0.53, "synflow": 0.36,
        "magnitude": 0.42, "grasp": 0.71,
    }
)  # fmt: skip


def place(index: int, size: int) -> int:
    """Return where an index of the figure lies among `size` eigenvalues."""
    return min(round(index / SIZE * size), size - 1)


def off(values: list[float]) -> dict[str, float]:
    """Compare a spectrum with the digitised dense curve.

    Args:
        values: Eigenvalues, rising.

    Returns:
        "off_rms" in log10 over the digitised indices; "off_middle" and "off_ends",
        the largest relative difference at indices 100 to 900, and outside.
    """
    found = {i: values[place(i, len(values))] / known for i, known in DENSE.items()}
    inside = [i for i in found if MIDDLE[0] <= i <= MIDDLE[1]]
    outside = [i for i in found if i not in inside]
    return {
        "off_rms": sqrt(sum(log10(r) ** 2 for r in found.values()) / len(found)),
        "off_middle": max(abs(found[i] - 1) for i in inside),
        "off_ends": max(abs(found[i] - 1) for i in outside),
    }


def ratio_of(method: str, index: int) -> float | None:
    """Return a digitised eigenvalue over the dense one; None where it is hidden."""
    return 1.0 if method == "dense" else RATIOS.get(method, {}).get(index)


def scale_free(method: str) -> float:
    """Return the sd of a digitised log ratio over the indices that can be read."""
    logs = [log10(ratio) for ratio in RATIOS[method].values()]
    middle = sum(logs) / len(logs)
    return sqrt(sum((each - middle) ** 2 for each in logs) / len(logs))
