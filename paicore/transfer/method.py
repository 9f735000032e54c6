"""`neural_tangent_transfer`: the one public door, and what each keyword means."""

import os
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from paicore.transfer.matching import transferred
from paicore.transfer.result import Transfer
from paicore.transfer.settings import Settings


def neural_tangent_transfer(
    net: nn.Module,
    x: Tensor,
    *,
    density: float,
    generator: torch.Generator,
    tangent: str = "masked",
    block: str = "cross",
    estimator: str = "exact",
    probes: int = 4,
    normalise: str = "raw",
    count_rule: str = "exact",
    scope: str | Mapping[str, float] = "layerwise",
    first_masks: str | Mapping[str, Tensor] = "magnitude",
    update_masks: bool = True,
    frequency: int = 100,
    steps: int = 18_720,
    batch: int = 64,
    lr: float = 5e-4,
    optimizer: str = "adam",
    kernel_weight: float = 1e-3,
    target_weight: float = 1.0,
    l2: float = 1e-4,
    l2_over_density: bool = True,
    moments: str = "keep",
    batch_norm: str | None = None,
    dtype: torch.dtype | None = torch.float32,
    validation: Tensor | None = None,
    order: Callable[[int], Tensor] | None = None,
    log_every: int = 100,
    log_before_update: bool = False,
    progress: bool | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> Transfer:
    r"""Find a sparse network with the outputs and the tangent kernel of a dense one.

    .. math:: L = \lambda_K \frac{\|K_s - K_t\|_F^2}{|K|}
              + \lambda_T \frac{\|f_s - f_t\|^2}{N C}
              + \lambda_2 \sum_l \frac{\|m_l \odot W_l\|^2}{d_l}

    Conventions: the teacher t is the network as it is given, untrained or not; it is
    left untouched. The student s starts at the teacher's parameters theta and is
    f(x, m * theta); all its parameters are trained, biases and batch norm unmasked.
    K is the kernel of the raw logits, all pairs of them, with biases. Labels do not
    enter. Pruned weights get the gradient zero and stand still, but they compete by
    their modulus in every update of the masks, so that weights return by design.
    Masks are updated after step s if s is a multiple of `frequency` and
    s < steps - frequency.

    Random draws follow from one number that `generator` gives: the order of the
    batches, new each epoch, the rest dropped, is the same whatever the other keywords
    are; so are the probes. A run that a checkpoint goes on from ends bit for bit as if
    it had not stopped, on a CPU with as many threads.

    Args:
        net: The dense teacher, mapping (n, *in_shape) to (n, k); all its parameters
            are floating and require gradients.
        x: Inputs (n, *in_shape), normalised; on any device.
        density: Fraction of the weights to keep.
        generator: CPU generator; one number is drawn.
        tangent: "masked" matches the kernel of the student as it trains; "ambient"
            that of the dense architecture at m * theta, as the released code does.
        block: "cross", the first half of each batch against the second (one longer if
            `batch` is odd), or "symmetric", the batch against itself, with four times
            the entries.
        estimator: "exact", or "probe": the mean over Gaussian probes v of
            ||(K_s - K_t) v||^2, for networks whose kernel is too large.
        probes: Probes per step of "probe".
        normalise: "raw" takes means of squares; "relative" divides both squares by
            the teacher's, ||K_t||^2 and ||f_t||^2, so that weights mean the same for
            every network. `kernel_weight` is best 1 then.
        count_rule: "exact" or a published rule of `paicore.masks`; "ntt" keeps one
            weight less per layer.
        scope: "layerwise", "global", or a mapping name -> density of a layer, where 1
            is dense and layers it leaves out have `density`.
        first_masks: "magnitude" of the teacher's weights, "logit_snip" on the first
            128 inputs, or masks. Updates are by magnitude in every case.
        update_masks: Whether masks change at all.
        frequency: Steps between two updates of the masks.
        steps: Steps in all.
        batch: Samples per step.
        lr: Learning rate; constant.
        optimizer: "adam" (0.9, 0.999, 1e-8) or "sgd" (no momentum).
        kernel_weight: lambda_K.
        target_weight: lambda_T.
        l2: lambda_2.
        l2_over_density: Whether d_l is the density asked of the layer ("global": of
            all layers), or 1.
        moments: "keep" leaves Adam's moments of deselected weights as they are, which
            moves them a little longer; "clear" sets them to zero.
        batch_norm: "train", "frozen" (each batch's statistics, held constant) or
            "eval"; see `paicore.kernels.ntk`. Nothing to networks without batch norm.
        dtype: float32, float64, or None for the network's own.
        validation: Inputs that the log's distances are taken on, first half against
            second half; None for the first batch of `x`, which is not held out.
        order: Function of an epoch, from 0, to a permutation of the samples, to repeat
            the run of another program; None draws one from `generator`. It must not
            use torch's global generator. A checkpoint tells orders apart by their
            first epoch.
        log_every: Steps between two rows of the log.
        log_before_update: Whether a row shows the masks that its step was taken with,
            as in the released code, or those chosen after it. The last row has no
            update.
        progress: Whether to show a bar; None for only at a terminal.
        checkpoint: Name of an .npz file that is written at each row of the log, and
            that a run with the same arguments goes on from; a finished one returns at
            once. The number of steps is one of the arguments.

    Returns:
        `Transfer`. The log's rows: "step"; "loss" and its terms without their weights
        "kernel", "target", "l2" (the sum of the squared kept weights), on the
        validation inputs; the two kernels' mean-square distances "masked", "ambient"
        on their cross block, and these relative to the teacher's norm,
        "masked_relative", "ambient_relative"; "kept" weights; "turnover", the share of
        them that was not kept at first. With "probe" the distances are estimates from
        16 probes, the same in each row.

    Cost: per step two Grams (see `paicore.kernels.ntk.gram`), the student's forward
    and backward. Checkpoints have about 3.5 times the size of the parameters.

    Accuracy: "probe" is unbiased in value and gradient with "raw"; relative standard
    deviation of one probe about 0.5 on a LeNet-5. With "relative" it is the ratio of
    two estimates from the same probes, and not unbiased.

    Source: Liu and Zenke (2020). Differs from fmi-basel/neural-tangent-transfer
    nt_transfer/ntt.py by its defaults (masked tangent, exact counts, rows of the log;
    `PRESETS` holds the released settings) and by the first mask of "logit_snip", which
    keeps one weight more there. On the released draws it repeats the released log.
    """
    settings = Settings(
        density=density, tangent=tangent, block=block, estimator=estimator,
        probes=probes, normalise=normalise, count_rule=count_rule, scope=scope,
        first_masks=first_masks, update_masks=update_masks, frequency=frequency,
        steps=steps, batch=batch, lr=lr, optimizer=optimizer,
        kernel_weight=kernel_weight, target_weight=target_weight, l2=l2,
        l2_over_density=l2_over_density, moments=moments, batch_norm=batch_norm,
        dtype=dtype, log_every=log_every, log_before_update=log_before_update,
    )  # fmt: skip
    return transferred(
        net, x, settings, generator, validation, order, progress, checkpoint
    )
