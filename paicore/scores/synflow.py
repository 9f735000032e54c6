"""SynFlow: the share of all path products that passes through a weight."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paicore.forward import isolated, linearised, outputs, private_copy, prunable
from paicore.masks.loop import segments


@isolated
def synflow(
    net: nn.Module,
    masks,
    batch,
    *,
    generator=None,
    bias: str = "zero",
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    r"""Score each weight by its synaptic flow.

    .. math:: s_j = |w_j| \, \partial R / \partial |w_j|, \qquad
              R = \mathbf 1^\top \prod_l |W^l| \, \mathbf 1, \quad w = m \odot \theta

    Conventions: R is the path-linear network of `paicore.forward.linearised` on one
    input of ones; only the shape of the inputs is used. Batch norm in mode "eval".
    Max pooling stays a maximum. Activations of any kind are left out: exact for ReLU,
    and a tanh network is scored by its linear skeleton. In float64 the scores of
    ResNet-110 and VGG-19 are finite; in float32 they are not from ResNet-32 on (He,
    32x32). A network without path form and a path sum beyond the range of `dtype`
    raise ValueError.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor; a pruned weight scores 0.
        batch: Pair (x, y); only the shape of x is used.
        generator: Not used.
        bias: "zero" leaves biases out; "abs" keeps their moduli and the activations,
            as the authors do.
        dtype: Floating type of the computation.

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Cost: one forward and one backward pass for a single input.

    Source: Tanaka et al. (2020). Differs from ganguli-lab/Synaptic-Flow
    Pruners/pruners.py, which keeps biases and activations, and overwrites the
    caller's tensors while it scores.
    """
    engine = SynflowEngine(net, masks, batch, bias=bias, dtype=dtype)
    everything = torch.arange(engine.flat.numel(), device=engine.flat.device)
    values = engine.scores(everything)
    parts = values.split([shape.numel() for shape in engine.shapes.values()])
    return {
        name: part.view(shape)
        for (name, shape), part in zip(engine.shapes.items(), parts, strict=True)
    }


class SynflowEngine:
    """SynFlow over many rounds: moduli once, norms folded, survivors only.

    All prunable moduli lie in one flat vector of which the layers' weights are views,
    so dropping weights is one indexed write and no sign is ever put back.

    Args:
        net: Module; not changed.
        masks: Masks at the start.
        batch: Pair (x, y); only the shape of x is used.
        names: Weights that are scored, in order; None: all.
        bias: As in `synflow`.
        dtype: Floating type of the computation.
    """

    def __init__(
        self,
        net: nn.Module,
        masks: Mapping[str, Tensor],
        batch,
        *,
        names: list[str] | None = None,
        bias: str = "zero",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        twin = private_copy(net, masks=masks, dtype=dtype, batch_norm="eval")
        shape = tuple(batch[0].shape[1:])
        self.net = linearised(twin, shape, bias=bias)
        weights = prunable(twin)
        weights = {name: weights[name] for name in names or weights}
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        self.weights = list(weights.values())
        self.sizes = [weight.numel() for weight in self.weights]
        self.flat = torch.cat([weight.detach().flatten() for weight in self.weights])
        parts = self.flat.split(self.sizes)
        for weight, part in zip(self.weights, parts, strict=True):
            weight.data = part.view(weight.shape)
        self.ones = torch.ones(1, *shape, dtype=dtype, device=self.flat.device)
        outputs(self.net, self.ones)  # refuses once what every round would meet

    def scores(self, alive: Tensor) -> Tensor:
        """Return w * dR/dw at the flat indices `alive`, sorted."""
        total = self.net(self.ones.clone()).sum()
        if not torch.isfinite(total):
            raise ValueError(f"dtype: the path sum leaves the range of {total.dtype}")
        grads = torch.autograd.grad(total, self.weights, allow_unused=True)
        values = self.flat.index_select(0, alive)
        start, offset = 0, 0
        ends = segments(alive, self.sizes)
        for size, grad, end in zip(self.sizes, grads, ends, strict=True):
            part = values[start:end]
            if grad is None:
                part.zero_()
            elif len(part) == size:
                part.mul_(grad.flatten())
            else:
                part.mul_(grad.flatten().index_select(0, alive[start:end] - offset))
            start, offset = end, offset + size
        return values

    def keep(self, kept: Tensor, dropped: Tensor) -> None:
        """Set the dropped weights to zero."""
        self.flat.index_fill_(0, dropped, 0.0)
