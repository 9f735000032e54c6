"""Scores on path sums: SynFlow-L2 in its five forms, SynFlow-Dist, gated L2.

With SF, D and T the sums over the paths through an edge of `paicore.kernels.paths`,
weighted by their inputs where there are weights. Biases, beta and stored means are left
out by default: squared paths that begin at a bias deep inside outweigh the long ones,
and whole first layers are pruned.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from paicore.forward import isolated, prunable
from paicore.forward.private import like
from paicore.kernels import paths
from paicore.kernels.paths.problem import check_floor, check_range, check_real

# Variant -> power of the path sum, and the score from slope and modulus.
VARIANTS: dict[str, tuple[int, Callable[[Tensor, Tensor], Tensor]]] = {
    "SF": (1, lambda slope, modulus: slope * modulus),
    "A": (1, lambda slope, modulus: slope * modulus**2),
    "B": (1, lambda slope, modulus: (slope * modulus) ** 2),
    "C": (2, lambda slope, modulus: slope * modulus),
    "D": (2, lambda slope, modulus: slope * modulus**2),
}
STATISTICS = ("mean", "mean_sq", "second_moment")


@isolated
def synflow_l2(
    net: nn.Module,
    masks,
    batch,
    *,
    generator=None,
    variant: str = "C",
    mode: str = "exact",
    bias: str = "zero",
) -> dict[str, Tensor]:
    r"""Score each weight by what it carries of the L2 path norm, in one of five forms.

    .. math:: A = SF_i |w_i|, \quad B = SF_i^2, \quad C = D_i / |w_i|, \quad D = D_i,
              \quad E = \operatorname{tr}\Pi - \operatorname{tr}\Pi_{\setminus i}

    with :math:`SF_i = \sum_{p \ni i} |\pi_p|` and
    :math:`D_i = \sum_{p \ni i} \pi_p^2` at :math:`w = m \odot \theta`.

    Conventions: only the shape of x is used. In mode "authors" B gives SynFlow's masks,
    the default of `synflow`; in "exact" only where there is no max pooling, since
    SynFlow keeps the maximum. D and E are conserved by every hidden unit, A and C are
    not; B and D do not notice a rescaling of hidden units, the others do. E is the loss
    of the Path Kernel's trace when the one weight is deleted, a sum over the paths
    through it as well. In mode "exact" max pooling counts all of its window and
    constants are squared where weights are; "authors" runs the network as it is on
    abs(w)^q, and max pooling stays a maximum.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y); only the shape of x is used.
        generator: Not used.
        variant: "A" to "E".
        mode: "exact" or "authors"; E has "exact" only.
        bias: "zero" leaves out biases, beta and stored means, "keep" keeps their paths.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: `variant` is unknown, or E is asked for in mode "authors".

    Cost: one forward and one backward pass for a single input; E: two nested ones.

    Source: Gebhart et al. (2021). A is uditsaxena/Synaptic-Flow Pruners/pruners.py, B
    the same before 27 September 2020, C is ShreyasMalakarjunPatil/PHEW and
    iurada/px-ntk-pruning; D and E have no public code.
    """
    if variant not in ("A", "B", "C", "D", "E"):
        raise ValueError(f"variant: expected 'A' to 'E', got {variant!r}")
    check_given(masks)
    shape = tuple(inputs_of(batch).shape[1:])
    if variant != "E":
        return _score(net, masks, shape, variant, mode=mode, bias=bias)
    if mode != "exact":
        raise ValueError(f"mode: expected 'exact' for variant 'E', got {mode!r}")
    lost = paths.greedy_loss(net, shape, masks=masks, params="prunable", bias=bias)
    return {name: lost[name] for name in prunable(net)}


@isolated
def synflow_dist(
    net: nn.Module,
    masks,
    batch,
    *,
    generator=None,
    input_weights: Tensor | None = None,
    statistic: str = "mean",
    variant: str = "SF",
    mode: str = "exact",
    bias: str = "zero",
) -> dict[str, Tensor]:
    r"""Score each weight by its paths, each weighted by the data at its input.

    .. math:: s_i = \sum_{p \ni i} |\pi_p| \, w_{s(p)} \quad (SF), \qquad
              s_i = \sum_{p \ni i} \pi_p^2 \, w_{s(p)} \quad (D)

    Conventions: the weights are statistics of raw pixels, which are >= 0. A negative
    weight makes scores negative and is refused, so the "mean" of normalised pixels is;
    their squares in "mean_sq" and "second_moment" pass, but then blank pixels weigh
    too. A path from a bias has weight 1. The tangent kernel holds x_s^2, so
    "second_moment" is what belongs to the variants of squared paths.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y); x un-normalised unless `input_weights` is given, then only
            its shape is used.
        generator: Not used.
        input_weights: Weight >= 0 of each input, of shape `in_shape`, for example
            ``data.mean_image(ds)``; None: the statistic of x.
        statistic: "mean" of x; "mean_sq", its square; "second_moment", the mean of x^2.
        variant: "SF" (SynFlow-Dist), or "A" to "D" of `synflow_l2` (SynFlow-L2-Dist;
            the authors' is "A").
        mode: As in `synflow_l2`.
        bias: As in `synflow_l2`.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: an option is unknown, or a weight is negative.

    Cost: one forward and one backward pass for a single input.

    Source: Gebhart et al. (2021), uditsaxena/Synaptic-Flow Pruners/pruners.py: the
    mean of 10 un-normalised training images a class.
    """
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise ValueError(f"variant: expected one of {list(VARIANTS)}, got {variant!r}")
    if statistic not in STATISTICS:
        raise ValueError(f"statistic: expected one of {STATISTICS}, got {statistic!r}")
    check_given(masks)
    x = inputs_of(batch)
    if input_weights is None:
        input_weights = _statistic(like(x, net).double(), statistic)
    elif statistic != "mean":
        raise ValueError(
            f"statistic: expected 'mean' with input_weights, got {statistic!r}"
        )
    return _score(
        net, masks, tuple(x.shape[1:]), variant,
        mode=mode, bias=bias, input_weights=input_weights,
    )  # fmt: skip


@isolated
def gated_l2(net: nn.Module, masks, batch, *, generator=None) -> dict[str, Tensor]:
    r"""Score each weight by its squared paths, over the gates that real inputs open.

    .. math:: s_i = w_i^2 \sum_x \sum_{p \ni i} a_p(x)^2 \, x_{s(p)}^2
              \left(\partial \pi_p / \partial w_i\right)^2

    Conventions: w^2 times the weight's share in the trace of the tangent kernel when
    paths do not interfere. Inputs of any sign; labels are not used. Gates are those of
    the masked network, batch norm in mode "eval".

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y) with x of shape (n, *in_shape); y is not used.
        generator: Not used.

    Returns:
        dict name -> float64 tensor shaped like the weight, >= 0; larger: keep.

    Cost: two forward passes and one backward pass over the batch.

    Source: ours, after Gebhart et al. (2021) and Iurada et al. (2024).
    """
    check_given(masks)
    check_inputs(batch)
    sums = paths.gated_sums(net, like(batch[0], net), masks=masks)
    return _scored(sums, _moduli(net, masks), lambda slope, w: slope * w**2)


def check_given(masks) -> None:
    """Refuse a call without masks.

    Raises:
        TypeError: there are none.
    """
    if masks is None:
        raise TypeError(
            "masks: expected a mapping, got None; Masks.dense(net) is dense"
        )


def inputs_of(batch) -> Tensor:
    """Return the inputs of a batch, or refuse what is none.

    Raises:
        TypeError: it is no pair (x, y) with a tensor x.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"batch: expected a pair (x, y), got {type(batch).__name__}")
    if not isinstance(batch[0], Tensor):
        kind = type(batch[0]).__name__
        raise TypeError(f"batch: expected a tensor of inputs, got {kind}")
    check_real(batch[0], "batch")
    return batch[0]


def check_inputs(batch) -> None:
    """Refuse a batch without inputs, or with such that are not finite.

    Raises:
        ValueError: it is.
    """
    x = inputs_of(batch)
    if x.dim() < 2 or not len(x) or not torch.isfinite(x).all():
        raise ValueError(f"batch: expected finite inputs (n, *in_shape), at least one, "
                         f"got {tuple(x.shape)} or NaN/infinity")  # fmt: skip


def _score(net, masks, shape, variant, **options) -> dict[str, Tensor]:
    """Return one variant from the slopes of R_q."""
    power, formula = VARIANTS[variant]
    slopes = paths.edge_slopes(net, shape, q=power, masks=masks, **options)
    return _scored(slopes, _moduli(net, masks), formula)


def _scored(slopes, moduli: dict[str, Tensor], formula) -> dict[str, Tensor]:
    """Return the formula's scores; refuse such as float64 cannot hold."""
    scores = {name: formula(slopes[name], each) for name, each in moduli.items()}
    for name, each in scores.items():
        check_range(each, f"the score of {name!r}")
    largest = max(float(each.max()) for each in scores.values())
    carried = ((slopes[n] * (w > 0), each) for (n, w), each in
               zip(moduli.items(), scores.values(), strict=True))  # fmt: skip
    check_floor(largest, carried, "the score")
    return scores


def _moduli(net: nn.Module, masks) -> dict[str, Tensor]:
    """Return abs(w) in float64, 0 where pruned, whatever stands there."""
    return {
        name: torch.where(masks[name].to(w.device), w.detach().double().abs(), 0)
        for name, w in prunable(net).items()
    }


def _statistic(x: Tensor, statistic: str) -> Tensor:
    """Return the weight of each input over samples; raw pixels are expected."""
    if statistic == "second_moment":
        return (x**2).mean(0)
    mean = x.mean(0)
    if bool((mean < 0).any()):
        raise ValueError(
            f"batch: expected un-normalised inputs, whose mean is >= 0, got a mean of "
            f"{float(mean.min()):.3g}; pass input_weights=data.mean_image(ds)"
        )
    return mean**2 if statistic == "mean_sq" else mean
