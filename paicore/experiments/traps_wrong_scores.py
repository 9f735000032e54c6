"""The wrong scores: what public pruning code does, re-stated by us in a few lines.

As in `traps_wrong`: nothing is copied, each function names the repository and file
where the behaviour was read and takes what its counterpart in paicore takes:
``score(net, masks, batch, *, generator, ...)`` to a dict name -> tensor, larger: keep.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from paicore.forward import private_copy, prunable
from paicore.forward.private import like
from paicore.masks import reinitialised
from paicore.nets.initialise import initialise_
from paicore.scores import snip
from paicore.scores.loss import Batch, cross_entropy, gradients, weights_of

Scores = dict[str, Tensor]


def plain_flow(twin: nn.Module, in_shape: Sequence[int]) -> Scores:
    """SynFlow of a copy in its own dtype and mode, moduli of all that is stored."""
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            tensor.abs_()
    weights = prunable(twin)
    ones = torch.ones(1, *in_shape, dtype=next(twin.parameters()).dtype)
    found = gradients(twin(ones).sum(), weights)
    return {n: weights[n].detach() * found[n] for n in weights}


def wrong_synflow_float32(net, masks, batch, *, generator=None, **_) -> Scores:
    """Score by SynFlow in single precision.

    ganguli-lab/Synaptic-Flow, iurada/px-ntk-pruning: the double-precision lines are
    commented out.
    """
    twin = private_copy(net, masks=masks, dtype=torch.float32, batch_norm="eval")
    return plain_flow(twin, batch[0].shape[1:])


def wrong_synflow_train_mode(net, masks, batch, *, generator=None, **_) -> Scores:
    """Score by SynFlow with batch norm in training mode, on a batch of one.

    SamsungLabs/zero-cost-nas, its measure synflow_bn.
    """
    twin = private_copy(net, masks=masks, batch_norm="train")
    return plain_flow(twin, batch[0].shape[1:])


def theta_hg(
    net: nn.Module,
    masks,
    first: Sequence[Batch],
    second: Sequence[Batch],
    temperature: float,
) -> Scores:
    """Return theta * (H g): g summed over the batches `first`, H over `second`."""
    twin = private_copy(net, masks=masks, batch_norm="train")
    weights = weights_of(twin)
    g = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for x, y in first:
        found = gradients(cross_entropy(twin, x, y, temperature), weights)
        g = {name: g[name] + found[name] for name in g}
    along = 0.0
    for x, y in second:
        loss = cross_entropy(twin, x, y, temperature)
        found = gradients(loss, weights, create_graph=True)
        along = along + sum((found[name] * g[name]).sum() for name in g)
    hg = gradients(along, weights)
    return {name: (weights[name] * hg[name]).detach() for name in weights}


def wrong_grasp_reversed(
    net, masks, batch, *, generator=None, temperature=200.0, **_
) -> Scores:
    """Keep what GraSP removes: the sign of the score is the opposite one.

    uditsaxena/Synaptic-Flow Pruners/pruners.py at its head.
    """
    right = theta_hg(net, masks, [batch], [batch], temperature)
    return {name: -score for name, score in right.items()}


def wrong_grasp_flagged(
    net, masks, batch, *, temperature=200.0, prune_highest=False, **_
) -> Scores:
    """Score by -theta Hg and remove the lowest, unless a flag says the highest.

    123Bailey123/Pruning (of sahibsin/Pruning), README: the default is the wrong end.
    """
    right = theta_hg(net, masks, [batch], [batch], temperature)
    return {name: s if prune_highest else -s for name, s in right.items()}


def wrong_grasp_hidden_temperature(net, masks, batch, *, generator=None, **_) -> Scores:
    """Divide logits by 1, whatever temperature is asked for.

    SamsungLabs/zero-cost-nas: 1; alecwangcq/GraSP pruner/GraSP.py: 200. Each is a
    constant of its code.
    """
    return theta_hg(net, masks, [batch], [batch], temperature=1.0)


def wrong_grasp_class_halves(
    net, masks, batch, *, generator=None, temperature=200.0, **_
) -> Scores:
    """Sort the batch by class and cut it in two: each half sees half the classes.

    alecwangcq/GraSP pruner/GraSP.py; only batch norm notices.
    """
    x, y = batch
    order = torch.argsort(y, stable=True)
    half = len(y) // 2
    parts = [(x[i], y[i]) for i in (order[:half], order[half:])]
    return theta_hg(net, masks, parts, parts, temperature)


def wrong_grasp_two_batches(
    net, masks, batch, *, generator, temperature=200.0, **_
) -> Scores:
    """Take g from one augmentation of the batch and H from another.

    ganguli-lab/Synaptic-Flow Pruners/pruners.py runs through its augmenting loader
    twice; YiteWang/NTK-SAP keeps the first pass's batches.
    """
    x, y = batch
    first, second = (moved(x, generator) for _ in range(2))
    return theta_hg(net, masks, [(first, y)], [(second, y)], temperature)


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to an eighth of its side; mirror colour images."""
    pad = max(x.shape[-1] // 8, 1)
    padded = functional.pad(x, (pad,) * 4)
    height, width = x.shape[-2:]
    images = []
    for image in padded:
        down, across, flip = torch.randint(0, 2 * pad + 1, (3,), generator=generator)
        cut = image[:, down : down + height, across : across + width]
        mirror = len(image) == 3 and flip <= pad
        images.append(cut.flip(-1) if mirror else cut)
    return torch.stack(images)


def wrong_snip_per_batch(
    net, masks, batch, *, generator=None, batch_size=None, **_
) -> Scores:
    """Sum moduli batch by batch, so that the split decides.

    123Bailey123/Pruning (of sahibsin/Pruning).
    """
    return snip(net, masks, batch, reduction="per_batch", batch_size=batch_size)


def wrong_snip_redrawn(net, masks, batch, *, generator=None, **_) -> Scores:
    """Draw new weights and score those instead of the network's own.

    mil-ad/snip snip.py always; alecwangcq/GraSP pruner/GraSP.py for Linear layers.
    """
    generator = generator or torch.Generator().manual_seed(0)
    return snip(reinitialised(net, generator, init="glorot"), masks, batch)


def wrong_score_in_place(net, masks, batch, *, generator, draws=2, **_) -> Scores:
    """Average a score over re-draws of the caller's own weights; the last one stays.

    Batch norm keeps the last statistics and a momentum of 0.1. YiteWang/NTK-SAP
    Pruners/pruners.py; in iurada/px-ntk-pruning lib/pruners.py the saved copy is bound
    to a local name at the end, so nothing comes back either.
    """
    total = {name: torch.zeros(mask.shape) for name, mask in masks.items()}
    norms = [each for each in net.modules() if isinstance(each, _BatchNorm)]
    for _ in range(draws):
        initialise_(net, init="he", bias_init=None, generator=generator)
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            net.train()(like(batch[0], net))
        found = snip(net, masks, batch, batch_norm="eval")
        total = {name: total[name] + found[name] / draws for name in total}
    for norm in norms:
        norm.momentum = 0.1
    return total


def wrong_snip_patching_relu(net, masks, batch, *, generator=None, **_) -> Scores:
    """Replace torch.nn.functional.relu for everybody while scoring.

    iurada/px-ntk-pruning lib/pruners.py at its head; put back only if nothing fails.
    """
    original, maps = functional.relu, []

    def recording(x: Tensor, inplace: bool = False) -> Tensor:
        maps.append(x.detach() > 0)
        return original(x, inplace)

    functional.relu = recording
    scores = snip(net, masks, batch)
    functional.relu = original
    return scores
