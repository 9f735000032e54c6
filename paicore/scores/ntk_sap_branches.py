"""The two branches of NTK-SAP: the network, and the network perturbed.

Their batch norms share the statistics of the unperturbed branch. One draw runs as it
is; several run as one program through ``torch.func.vmap``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, jvp, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from paicore.forward import outputs, private_copy, prunable
from paicore.forward.batch_norm import replace_modules
from paicore.scores.ntk_sap_draws import Draw, Settings
from paicore.scores.ntk_sap_norms import BranchNorm, recorded

Weights = Mapping[str, Tensor]


class _Substituted:
    """A private copy with other weights, as `outputs` wants a network."""

    def __init__(self, twin: nn.Module, weights: Weights) -> None:
        self.twin, self.weights, self.originals = twin, weights, twin.originals

    def __call__(self, x: Tensor) -> Tensor:
        return functional_call(self.twin, dict(self.weights), (x,))


class TwoBranches:
    """A network that is run with two sets of weights.

    Args:
        net: Module; not changed.
        masks: name -> bool tensor.
        settings: Options of the score.
        stacked: Draws that run as one program.
    """

    def __init__(
        self, net: nn.Module, masks: Weights, settings: Settings, stacked: int
    ) -> None:
        self.settings, self.stacked, mode = settings, stacked, settings.batch_norm
        twin = private_copy(
            net, masks=masks, dtype=settings.dtype,
            batch_norm="eval" if mode == "eval" else "train",
        ).requires_grad_(False)  # fmt: skip
        images = any(isinstance(m, nn.Conv2d) for m in twin.modules())
        self.channels_last = images and stacked == 1
        self.norms: list[BranchNorm] = []
        if settings.weights == "redrawn":
            _reset_affine(twin)
        if mode != "eval":
            replace_modules(twin, _BatchNorm, self._branch_norm)
        self.twin = twin.eval()
        self.weights = {n: w.detach() for n, w in prunable(twin).items()}

    def _branch_norm(self, path: str, norm: _BatchNorm) -> BranchNorm:
        made = BranchNorm(
            norm,
            coupled=self.settings.batch_norm == "train",
            merged=self.settings.statistics == "merged",
            batched=self.stacked > 1,
        )
        self.norms.append(made)
        return made

    def signed(self, group: list[Draw]) -> tuple[dict[str, Tensor], Tensor]:
        """Return the sum over draws of ``m dD/dm``, by name, and D, (draws,)."""
        if len(group) == 1:
            parts, value = self._single(group[0])
            return parts, value.view(1)
        names = list(self.weights)
        weights, step = (
            {n: torch.stack([pair[n] for pair in side]) for n in names}
            for side in (
                [draw.weights for draw in group], [draw.step for draw in group]
            )
        )  # fmt: skip
        x = torch.stack([draw.x for draw in group])  # (draws, n, *in_shape)
        parts, values = vmap(self._stacked)(weights, step, x)
        return {n: part.sum(0) for n, part in parts.items()}, values

    def _single(self, draw: Draw) -> tuple[dict[str, Tensor], Tensor]:
        """One draw through autograd, which takes any network."""
        weights, step = (self._leaves(side) for side in draw[:2])
        x = self._laid_out(draw.x)
        self._find_statistics(weights, x)
        value = self._squared_change(weights, step, x)
        leaves = [*weights.values(), *step.values()]
        found = torch.autograd.grad(value, leaves, materialize_grads=True)
        grads = [
            dict(zip(weights, part, strict=True))
            for part in (found[: len(weights)], found[len(weights) :])
        ]
        return _euler(weights, step, *grads), value.detach()

    def _stacked(self, weights: Weights, step: Weights, x: Tensor):
        """One draw as `vmap` sees it."""
        self._find_statistics(weights, x)
        change = grad_and_value(self._squared_change, argnums=(0, 1))
        grads, value = change(weights, step, x)
        return _euler(weights, step, *grads), value

    def _find_statistics(self, weights: Weights, x: Tensor) -> None:
        """Run the pass that only records, where the score has one."""
        frozen = self.settings.batch_norm == "frozen"
        if self.norms and frozen and self.settings.statistics == "separate":
            with torch.no_grad(), recorded(self.norms):
                self._outputs(weights, x)

    def _squared_change(self, weights: Weights, step: Weights, x: Tensor) -> Tensor:
        """Return D, or its limit D / epsilon for "jvp"."""

        def unperturbed(values: Weights) -> Tensor:
            if self.settings.statistics == "separate":
                return self._outputs(values, x)
            with recorded(self.norms):
                return self._outputs(values, x)

        if self.settings.estimator == "jvp":
            _, change = jvp(unperturbed, (dict(weights),), (dict(step),))  # (n, k)
        else:
            before = unperturbed(weights)
            moved = {name: weight + step[name] for name, weight in weights.items()}
            change = before - self._outputs(moved, x)  # (n, k)
        return change.square().sum()

    def _outputs(self, weights: Weights, x: Tensor) -> Tensor:
        return outputs(_Substituted(self.twin, weights), x)

    def _leaves(self, side: Weights) -> Weights:
        return {n: self._laid_out(w).detach().requires_grad_() for n, w in side.items()}

    def _laid_out(self, tensor: Tensor) -> Tensor:
        """Channels last, where convolutions are a fifth faster for it."""
        if self.channels_last and tensor.dim() == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def _euler(weights, step, by_weight, by_step) -> dict[str, Tensor]:
    """Return ``m dD/dm``: the masks scale the weights and the step alike."""
    return {
        name: (weights[name] * by_weight[name] + step[name] * by_step[name]).detach()
        for name in weights
    }


@torch.no_grad()
def _reset_affine(twin: nn.Module) -> None:
    """Set gamma to 1 and beta to 0, as where weights are drawn anew."""
    for module in twin.modules():
        if isinstance(module, _BatchNorm) and module.affine:
            module.weight.fill_(1)
            module.bias.zero_()


@contextmanager
def full_precision() -> Iterator[None]:
    """Hold TF32 off, which would swamp a small change, and put the flags back."""
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags:
            flag.allow_tf32 = False
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value
