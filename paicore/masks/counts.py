"""How many of n weights a density keeps: one exact rule, and the published ones.

Each rule maps (n, density) to a number of kept weights. The published rules cut at a
threshold; for scores without ties they keep exactly this many of the largest scores,
which is what makes masks bit-equal. With ties some of them keep too few or too many
(`notebooks/01_traps`); here the count holds and ties go to the lower index.
"""

import math
from collections.abc import Callable, Sequence


def exact(n: int, density: float) -> int:
    """Round n * density to the nearest integer, halves up."""
    return math.floor(n * density + 0.5)


def synflow(n: int, density: float) -> int:
    """Drop int((1 - d) n) (ganguli-lab/Synaptic-Flow, YiteWang/NTK-SAP)."""
    return n - int((1.0 - density) * n)


def force(n: int, density: float) -> int:
    """Keep the int(n d) largest (naver/force, mil-ad/snip)."""
    return int(n * density)


def grasp(n: int, density: float) -> int:
    """Remove int(n (1 - d)), but keep the last of them (alecwangcq/GraSP)."""
    return n - max(int(n * (1.0 - density)) - 1, 0)


def phew(n: int, density: float) -> int:
    """Keep what exceeds the interpolated percentile (ShreyasMalakarjunPatil/PHEW)."""
    return n - 1 - math.floor((n - 1) * (1.0 - density)) if density < 1 else n


def ntt(n: int, density: float) -> int:
    """Keep abs(w) > sorted[int((1 - d) n)] (fmi-basel/neural-tangent-transfer).

    One fewer than asked, also at density 1.

    Returns:
        Number kept.
    """
    return max(n - int((1.0 - density) * n) - 1, 0)


def ntt_snip(n: int, density: float) -> int:
    """Keep score >= sorted[int((1 - d) n)] (the same repository, SNIP baseline)."""
    return n - int((1.0 - density) * n)


def open_lth(n: int, density: float) -> int:
    """Drop ceil((1 - d) n), keep > sorted[that] (facebookresearch/open_lth)."""
    return max(n - math.ceil((1.0 - density) * n) - 1, 0)


COUNT_RULES: dict[str, Callable[[int, float], int]] = {
    rule.__name__: rule
    for rule in (exact, synflow, force, grasp, phew, ntt, ntt_snip, open_lth)
}


def count_rule(name: str) -> Callable[[int, float], int]:
    """Look a count rule up by name."""
    if not isinstance(name, str) or name not in COUNT_RULES:
        raise ValueError(f"count_rule: expected one of {sorted(COUNT_RULES)}, "
                         f"got {name!r}")  # fmt: skip
    return COUNT_RULES[name]


def allocate(total: int, ideal: Sequence[float], caps: Sequence[int]) -> list[int]:
    """Share a total among layers by largest remainder, no layer above its cap.

    Args:
        total: Number of weights to keep in all, at most the sum of `caps`.
        ideal: Wished number of each layer, not necessarily whole.
        caps: Largest possible number of each layer.

    Returns:
        Whole numbers that sum to `total`; ties go to the earlier layer.

    Raises:
        ValueError: the caps leave no room for the total.
    """
    if total > sum(caps):
        raise ValueError(f"total: expected at most {sum(caps)} weights, got {total}")
    counts = [min(math.floor(wish), cap) for wish, cap in zip(ideal, caps, strict=True)]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        room = [i for i, n in enumerate(counts) if (n < caps[i] if step > 0 else n > 0)]
        best = max(room, key=lambda i: (step * (ideal[i] - counts[i]), -i))
        counts[best] += step
    return counts
