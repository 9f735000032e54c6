"""Layer densities set beforehand: uniform, uniform+, Erdos-Renyi, its kernel form."""

from collections.abc import Callable, Mapping

import torch

Shapes = Mapping[str, torch.Size]
LAST = 0.2  # least density of the last layer under uniform+


def _uniform(shapes: Shapes) -> dict[str, float]:
    return dict.fromkeys(shapes, 1.0)


def _erdos_renyi(shapes: Shapes) -> dict[str, float]:
    return {name: (s[0] + s[1]) / (s[0] * s[1]) for name, s in shapes.items()}


def _erdos_renyi_kernel(shapes: Shapes) -> dict[str, float]:
    return {name: sum(s) / s.numel() for name, s in shapes.items()}


QUOTAS: dict[str, Callable[[Shapes], dict[str, float]]] = {
    "uniform": _uniform,
    "er": _erdos_renyi,
    "erk": _erdos_renyi_kernel,
    "uniform_plus": _uniform,
}


def layer_quota(shapes: Shapes, kind: str, density: float) -> dict[str, float]:
    r"""Return the density of each layer for one density over all of them.

    .. math:: d_l = \min(1, \epsilon\, r_l), \qquad \sum_l n_l d_l = n\, d

    Conventions: r_l is 1 for "uniform", (n_in + n_out) / (n_in n_out) for "er", and
    (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w) for "erk"; layers that would
    exceed density 1 are dense and the others share the rest. "uniform_plus" keeps the
    first layer dense if it is a convolution and the last layer at 20 % or more.

    Args:
        shapes: Shape of each weight (out, in, *kernel), in order.
        kind: Name of the quota.
        density: Fraction of all weights to keep.

    Returns:
        dict name -> density in [0, 1].

    Raises:
        ValueError: the name is unknown, or the fixed layers leave nothing to share.

    Source: ER, ERK: Mocanu et al. (2018), Evci et al. (2020); uniform+: Gale et al.
    (2019). avysogorets/effective-sparsity gives the same only where no layer would
    exceed density 1: it pushes the excess of a layer into the one before it.
    """
    if kind not in QUOTAS:
        raise ValueError(f"scope: expected a quota of {sorted(QUOTAS)}, got {kind!r}")
    raw = QUOTAS[kind](shapes)
    if kind != "uniform_plus":
        return _share(shapes, raw, density, {})
    first, last = next(iter(shapes)), list(shapes)[-1]
    fixed = {first: 1.0} if len(shapes[first]) > 2 else {}
    shared = _share(shapes, raw, density, fixed)
    if shared[last] >= LAST:
        return shared
    return _share(shapes, raw, density, {**fixed, last: LAST})


def _share(
    shapes: Shapes, raw: dict[str, float], density: float, fixed: dict[str, float]
) -> dict[str, float]:
    """Scale raw densities to the total; layers above 1 become fixed at 1."""
    size = {name: shape.numel() for name, shape in shapes.items()}
    fixed = dict(fixed)
    while True:
        wanted = density * sum(size.values())
        left = wanted - sum(size[name] * d for name, d in fixed.items())
        free = [name for name in shapes if name not in fixed]
        if left < -0.5 or (not free and left > 0.5):
            raise ValueError(
                f"density: {density} leaves {wanted:.0f} weights, fewer than the "
                "layers that the quota fixes need"
            )
        epsilon = max(left, 0) / max(sum(size[n] * raw[n] for n in free), 1e-300)
        over = [name for name in free if epsilon * raw[name] > 1]
        if not over:
            shared = {name: epsilon * raw[name] for name in free}
            return {name: (fixed | shared)[name] for name in shapes}
        fixed |= dict.fromkeys(over, 1.0)
