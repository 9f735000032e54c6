"""Tangent kernels as a reader would otherwise write them, in torch only."""

import torch
from torch.func import functional_call, jacrev, vmap


def contraction(net, x, x2, *, values=None, chunk=None):
    """The Jacobian contraction of torch.func's tutorial: (n, n2, k, k).

    `x2` may be None for x. Batch norm must be in eval mode. With `values`, a mapping
    name -> tensor, the result is differentiable in them.
    """
    values = values or {n: p.detach() for n, p in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def logits(theta, sample):
        return functional_call(net, (theta, buffers), (sample.unsqueeze(0),))[0]

    def rows(batch):
        found = vmap(jacrev(logits), (None, 0), chunk_size=chunk)(values, batch)
        return [each.flatten(2) for each in found.values()]

    left = rows(x)
    right = left if x2 is None else rows(x2)
    pairs = zip(left, right, strict=True)
    return sum(torch.einsum("ncp,mdp->nmcd", *pair) for pair in pairs)


def loop(net, x):
    """One backward pass per sample and output, then one matrix product."""
    parameters = list(net.parameters())
    rows = []
    for sample in x.split(1):
        for logit in net(sample)[0]:
            found = torch.autograd.grad(logit, parameters, retain_graph=True)
            rows.append(torch.cat([each.flatten() for each in found]))
    return _product(torch.stack(rows), len(x))


def loop_train(net, x):
    """The same for batch norm in train mode: every pass goes through the batch."""
    parameters = list(net.parameters())
    rows = []
    for logit in net(x).flatten():
        found = torch.autograd.grad(logit, parameters, retain_graph=True)
        rows.append(torch.cat([each.flatten() for each in found]))
    return _product(torch.stack(rows), len(x))


def _product(rows, n):
    """Return J J^T as (n, n, k, k)."""
    k = len(rows) // n
    return (rows @ rows.T).view(n, k, n, k).transpose(1, 2)
