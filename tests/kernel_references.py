"""Slow definitions of the tangent kernel: one backward pass per logit, one sum."""

import copy

import torch
from torch import nn

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Fixed(nn.Module):
    """A norm that keeps mean and unbiased variance of each call of the first pass."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.kept, self.next = [], None

    def forward(self, x):
        axes = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        if self.next is None:
            mean = x.mean(axes).view(shape)
            squares = ((x - mean) ** 2).sum(axes).view(shape)
            count = x.numel() // x.shape[1]
            self.kept.append((mean.detach(), squares.detach() / (count - 1)))
            var = squares / count
        else:
            mean, var = self.kept[self.next % len(self.kept)]
            self.next += 1
        x = (x - mean) / (var + self.eps) ** 0.5
        return x * self.weight.view(shape) + self.bias.view(shape)


def fix_norms(net, batch):
    """Replace every batch norm by its statistics on a batch, in place."""
    fixed = {}
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NORMS):
                fixed.setdefault(id(child), Fixed(child))
                setattr(parent, name, fixed[id(child)])
    with torch.no_grad():
        net(batch)
    for norm in fixed.values():
        norm.next = 0


def evaluated(net, masks=None, mode=None, batch=None, dtype=torch.float64):
    """A copy at masked weights, in a batch-norm mode."""
    twin = copy.deepcopy(net).to(dtype).eval()
    if masks is not None:
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                if name in masks:
                    parameter.mul_(masks[name].to(parameter.dtype))
    for module in twin.modules():
        if isinstance(module, NORMS):
            module.train(mode == "train")
    if mode == "frozen":
        fix_norms(twin, batch.to(dtype))
    return twin


def weights_of(net):
    """Names of the Linear and Conv weights."""
    return [f"{path}.weight" for path, m in net.named_modules() if isinstance(m, KINDS)]


def jacobian(twin, x, params="trainable"):
    """name -> (n, k, *shape): one backward pass per logit, nothing else."""
    out = twin(x)
    names = dict(twin.named_parameters())
    if params == "prunable":
        chosen = weights_of(twin)
        names = {name: p for name, p in names.items() if name in chosen}
    rows = [
        torch.autograd.grad(
            logit, list(names.values()), retain_graph=True, allow_unused=True
        )
        for logit in out.flatten()
    ]
    found = {}
    for column, (name, parameter) in enumerate(names.items()):
        parts = [
            torch.zeros_like(parameter) if row[column] is None else row[column]
            for row in rows
        ]
        found[name] = torch.stack(parts).view(*out.shape, *parameter.shape)
    return found


def flat(jac, masks=None):
    """Jacobian (n, k, P); with masks only the surviving columns."""
    parts = []
    for name, rows in jac.items():
        rows = rows.flatten(2)
        if masks is not None and name in masks:
            rows = rows[:, :, masks[name].flatten()]
        parts.append(rows)
    return torch.cat(parts, 2)


def gram(
    net, x, x2=None, *, masks=None, tangent="masked", batch_norm=None,
    params="trainable", outputs="full", dtype=torch.float64,
):  # fmt: skip
    """The kernel from the whole Jacobian."""
    x = x.to(dtype)
    both = x if x2 is None else torch.cat([x, x2.to(dtype)])
    twin = evaluated(net, masks, batch_norm, both, dtype)
    rows = flat(jacobian(twin, both, params), masks if tangent == "masked" else None)
    left, right = rows[: len(x)], rows if x2 is None else rows[len(x) :]
    whole = torch.einsum("ncp,mdp->nmcd", left, right)
    if outputs == "full":
        return whole
    diagonal = whole.diagonal(dim1=2, dim2=3)
    return diagonal if outputs == "class" else diagonal.sum(2)
