"""What a reader would otherwise write: plain loops, in torch only."""

import torch


def synflow(net, in_shape, density, rounds):
    """Prune by SynFlow with a plain loop: abs, score, kthvalue, mask, signs back.

    The usual bookkeeping: the moduli of the whole state are taken in place before each
    scoring and the signs put back after it; the threshold is the k-th smallest of all
    scores, pruned ones (zero) included. `net` must be in float64 and eval mode.
    """
    layers = (torch.nn.Linear, torch.nn.Conv2d)
    weights = [module.weight for module in net.modules() if isinstance(module, layers)]
    masks = [torch.ones_like(w) for w in weights]
    ones = torch.ones(1, *in_shape, dtype=torch.float64)
    total = sum(w.numel() for w in weights)
    for step in range(1, rounds + 1):
        with torch.no_grad():
            for weight, mask in zip(weights, masks, strict=True):
                weight.mul_(mask)
            state = [t for t in net.state_dict().values() if t.is_floating_point()]
            signs = [torch.sign(t) for t in state]
            for tensor in state:
                tensor.abs_()
        net.zero_grad()
        net(ones).sum().backward()
        with torch.no_grad():
            scores = [(w * w.grad).abs() for w in weights]
            for tensor, sign in zip(state, signs, strict=True):
                tensor.mul_(sign)
            flat = torch.cat([score.flatten() for score in scores])
            k = int((1.0 - density ** (step / rounds)) * total)
            if k >= 1:
                border = torch.kthvalue(flat, k).values
                for score, mask in zip(scores, masks, strict=True):
                    mask.copy_((score > border).to(mask.dtype))
    return [mask.bool() for mask in masks]
