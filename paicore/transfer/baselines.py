"""The two baselines of the released code that nobody else has, bugs included."""

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated, logits, private_copy, prunable
from paicore.forward.private import like
from paicore.masks.container import Masks


@isolated
def logit_snip(
    net: nn.Module,
    masks,
    batch: tuple[Tensor, Tensor | None],
    *,
    generator=None,
    batch_norm: str = "train",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each weight by what it does to the squared logits; no labels are used.

    .. math:: s_j = |m_j \theta_j \, \partial L / \partial w_j|, \qquad
              L = \sum_{nc} f_c(x_n)^2, \quad w = m \odot \theta

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor, or None; a pruned weight scores 0.
        batch: Pair (x, y); y is not looked at and may be None.
        generator: Not used.
        batch_norm: "train", "frozen" or "eval".
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        TypeError: there is no batch.

    Cost: one forward and one backward pass.

    Source: the label-free baseline of Liu and Zenke (2020), fmi-basel/
    neural-tangent-transfer nt_transfer/utils.py. There it scores 100 or 128 examples
    and keeps every weight at the threshold: count_rule="ntt_snip".
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"batch: expected a pair (x, y), y may be None, got {batch!r}")
    twin = private_copy(
        net, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=batch[0]
    )
    weights = dict(prunable(twin))
    loss = logits(twin, like(batch[0], twin)).square().sum()
    found = torch.autograd.grad(
        loss, list(weights.values()), allow_unused=True, materialize_grads=True
    )
    pairs = zip(weights.items(), found, strict=True)
    return {name: (weight * grad).detach().abs() for (name, weight), grad in pairs}


def shuffled_along_axis0(
    masks: Masks, generator: torch.Generator | None = None
) -> Masks:
    """Shuffle masks as the released code's random baseline does: along one axis.

    Conventions: the authors' axis 0 is the input of a dense layer and the first
    (vertical) axis of a convolution's kernel, and every line along it is shuffled by
    itself. So the number of inputs of each output unit stays what it was, and in a
    convolution a weight moves only up or down. A random mask is `Masks.shuffled`.

    Args:
        masks: Masks, in the authors' baseline by magnitude layer by layer; kept.
        generator: CPU generator of the permutations; None for one fixed one, since
            the authors' key is 0 whatever the seed is.

    Returns:
        New masks on the same devices, with the same counts.

    Source: fmi-basel/neural-tangent-transfer nt_transfer/utils.py. That its
    `random.shuffle` goes along axis 0 is confirmed by its log, whose first accuracies
    follow to the digit from that and from no other shuffle.
    """
    if generator is None:
        generator = seeds.generator(0, "transfer", "axis 0")
    return Masks({name: _along(mask, generator) for name, mask in masks.items()})


def _along(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Permute every line along a weight's input or first kernel axis on its own."""
    axis = 1 if mask.dim() == 2 else 2  # (out, in) or (out, in, height, ...)
    draws = torch.rand(mask.shape, generator=generator, dtype=torch.float64)
    return mask.gather(axis, draws.argsort(axis).to(mask.device))
