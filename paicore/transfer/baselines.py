"""The two baselines of the released code that nobody else has, bugs included."""

import torch
from torch import Tensor, nn

from paicore import seeds
from paicore.forward import isolated, logits, private_copy, prunable
from paicore.forward.private import like
from paicore.forward.weights import all_finite
from paicore.kernels.ntk.checks import naming_inputs
from paicore.masks.container import Masks
from paicore.transfer.checks import check_tensor


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
        batch: Pair (x, y) of at least one sample; y is not looked at, may be None.
        generator: Not used.
        batch_norm: "train", "frozen" or "eval".
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: one forward and one backward pass.

    Source: the label-free baseline of Liu and Zenke (2020), fmi-basel/
    neural-tangent-transfer nt_transfer/utils.py. There it scores 100 or 128 examples
    and keeps every weight at the threshold: count_rule="ntt_snip".
    """
    x = _inputs(batch)
    with naming_inputs("batch", x, net):
        twin = private_copy(
            net, masks=masks, dtype=dtype, batch_norm=batch_norm, stats_from=x
        )
        weights = dict(prunable(twin))
        loss = logits(twin, like(x, twin)).square().sum()
    found = torch.autograd.grad(
        loss, list(weights.values()), allow_unused=True, materialize_grads=True
    )
    pairs = zip(weights.items(), found, strict=True)
    return {name: (weight * grad).detach().abs() for (name, weight), grad in pairs}


def _inputs(batch) -> Tensor:
    """Return the inputs of a batch, checked.

    Returns:
        Tensor (n, *in_shape).

    Raises:
        TypeError: there is no pair.
        ValueError: there is no sample, or one is not finite.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        kind = type(batch).__name__
        size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(f"batch: expected a pair (x, y), y may be None, got {kind}"
                        f"{size}")  # fmt: skip
    x = batch[0]
    if isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex()):
        x = x.double()  # as every score takes whole numbers
    check_tensor("batch", x)
    if x.dim() < 2 or not len(x):
        raise ValueError(f"batch: expected at least one sample (n, *in_shape), "
                         f"got shape {tuple(x.shape)}")  # fmt: skip
    if not all_finite(x.detach()):
        raise ValueError("batch: holds NaN or infinity")
    return x


def shuffled_along_axis0(
    masks: Masks, generator: torch.Generator | None = None
) -> Masks:
    """Shuffle masks as the released code's random baseline does: along one axis.

    Conventions: the authors' axis 0 is the input of a dense layer and the first
    (vertical) axis of a convolution's kernel, and every line along it is shuffled by
    itself. So the number of inputs of each output unit stays what it was, and in a
    convolution a weight moves only up or down. A random mask is `Masks.shuffled`.

    Args:
        masks: Masks of weights of at least two axes, in the authors' baseline by
            magnitude layer by layer; kept.
        generator: CPU generator of the permutations; None for one fixed one, since
            the authors' key is 0 whatever the seed is.

    Returns:
        New masks on the same devices, with the same counts.

    Raises:
        ValueError: a mask has less than two axes.

    Source: fmi-basel/neural-tangent-transfer nt_transfer/utils.py. That its
    `random.shuffle` goes along axis 0 is confirmed by its log, whose first accuracies
    follow to the digit from that and from no other shuffle.
    """
    if generator is None:
        generator = seeds.generator(0, "transfer", "axis 0")
    seeds.check(generator)
    with torch.inference_mode(False):
        masks = Masks(masks)
        for name, mask in masks.items():
            if mask.dim() < 2:
                raise ValueError(f"masks: expected at least two axes, got shape "
                                 f"{tuple(mask.shape)} at {name!r}")  # fmt: skip
        return Masks({name: _along(mask, generator) for name, mask in masks.items()})


def _along(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Permute every line along a weight's input or first kernel axis on its own."""
    axis = 1 if mask.dim() == 2 else 2  # (out, in) or (out, in, height, ...)
    draws = torch.rand(
        mask.shape, generator=generator, dtype=torch.float64, device="cpu"
    )
    return mask.gather(axis, draws.argsort(axis).to(mask.device))
