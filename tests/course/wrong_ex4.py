"""Named wrong answers to exercise 4."""

import torch
from course_cases import Wrong


def outputs(weights, x):
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)
    return x @ weights[-1].T


def gram(weights, x, through=lambda leaves: leaves, layers=slice(None), path="abij"):
    """Kernel by autograd, over some layers, in some order of the axes."""
    with torch.enable_grad():
        leaves = [w.detach().clone().requires_grad_() for w in weights]
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(
                value, leaves[layers], retain_graph=True)])
            for value in outputs(through(leaves), x).flatten()
        ]  # fmt: skip
    jacobian = torch.stack(rows).view(len(x), -1, len(rows[0]))
    return torch.einsum(f"aip,bjp->{path}", jacobian, jacobian)


def transposed_blocks(weights, x):
    return gram(weights, x, path="abji")


def last_layer_only(weights, x):
    return gram(weights, x, layers=slice(-1, None))


def mean_over_samples(weights, x):
    return gram(weights, x) / len(x)


def samples_after_outputs(weights, x):
    return gram(weights, x, path="iajb")


def leaves_of_the_given(weights, x):
    for w in weights:
        w.requires_grad_()
    rows = []
    for value in outputs(weights, x).flatten():
        for w in weights:
            w.grad = None
        value.backward(retain_graph=True)
        rows.append(torch.cat([w.grad.flatten() for w in weights]))
    jacobian = torch.stack(rows).view(len(x), -1, len(rows[0]))
    return torch.einsum("aip,bjp->abij", jacobian, jacobian)


def by_jacrev(weights, x):
    def of_one(sample):
        return torch.func.jacrev(lambda own: outputs(own, sample[None])[0])(weights)

    parts = torch.func.vmap(of_one)(x)
    return sum(torch.einsum("aiop,bjop->abij", j, j) for j in parts)


def by_autograd(weights, x):
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    torch.autograd.grad(outputs(leaves, x).sum(), leaves)


def products(weights, x, slope=True, own=False):
    signals = [x]
    for w in weights[:-1]:
        signals.append(torch.relu(signals[-1] @ w.T))
    signals.append(signals[-1] @ weights[-1].T)
    k = len(weights[-1])
    delta, total = torch.eye(k, dtype=x.dtype).expand(len(x), k, k), 0.0
    for at in reversed(range(len(weights))):
        a = signals[at + own]
        pair = torch.einsum("aio,bjo->abij", delta, delta)
        total = total + (a @ a.T)[:, :, None, None] * pair
        delta = delta @ weights[at]
        if slope:
            delta = delta * (signals[at] > 0)[:, None]
    return total


def without_slope(weights, x):
    return products(weights, x, slope=False)


def own_output(weights, x):
    return products(weights, x, own=True)


def factored_transposed(weights, x):
    return products(weights, x).transpose(2, 3)


def masked(weights, masks):
    return [w * m for w, m in zip(weights, masks, strict=True)]


def ambient_for_masked(weights, masks, x):
    return gram(masked(weights, masks), x)


def mask_on_the_tangent_only(weights, masks, x):
    values = [w.detach() for w in weights]

    def through(leaves):
        triples = zip(leaves, values, masks, strict=True)
        return [v * ~m + w * m for w, v, m in triples]

    return gram(weights, x, through)


def dense_for_masked(weights, masks, x):
    return gram(weights, x)


def pruned_for_kept(weights, masks, x):
    return gram(weights, x, lambda leaves: masked(leaves, [~m for m in masks]))


def step(kernel, logits, y, eta, path="abij,bj->ai", target=True, softmax=True):
    errors = logits.softmax(1) if softmax else logits.clone()
    if target:
        errors = errors - torch.nn.functional.one_hot(y, logits.shape[1])
    return -eta / len(y) * torch.einsum(path, kernel, errors)


def uphill(kernel, logits, y, eta):
    return -step(kernel, logits, y, eta)


def summed(kernel, logits, y, eta):
    return len(y) * step(kernel, logits, y, eta)


def blocks_transposed(kernel, logits, y, eta):
    return step(kernel, logits, y, eta, path="abji,bj->ai")


def eta_fixed(kernel, logits, y, eta):
    return step(kernel, logits, y, 0.1)


def without_labels(kernel, logits, y, eta):
    return step(kernel, logits, y, eta, target=False)


def without_softmax(kernel, logits, y, eta):
    return step(kernel, logits, y, eta, softmax=False)


WRONG = {
    "transposed blocks": Wrong("ntk", "transposed", transposed_blocks),
    "last layer only": Wrong("ntk", "only the last layer", last_layer_only),
    "mean over samples": Wrong("ntk", "number of samples", mean_over_samples),
    "axes out of order": Wrong("ntk", "expected shape", samples_after_outputs),
    "given weights as leaves": Wrong("ntk", "add up", leaves_of_the_given),
    "jacrev": Wrong("factored", "without autograd", by_jacrev),
    "autograd switched on": Wrong("factored", "without autograd", gram),
    "autograd": Wrong("factored", "without autograd", by_autograd),
    "without phi'": Wrong("factored", "phi' is missing", without_slope),
    "a layer's own output": Wrong("factored", "layer's input", own_output),
    "transposed": Wrong("factored", "transposed", factored_transposed),
    "ambient for masked": Wrong("masked_ntk", "ambient", ambient_for_masked),
    "dense point": Wrong("masked_ntk", "tangent only", mask_on_the_tangent_only),
    "no masks": Wrong("masked_ntk", "no effect", dense_for_masked),
    "pruned for kept": Wrong("masked_ntk", "swapped", pruned_for_kept),
    "uphill": Wrong("predicted_step", "downhill", uphill),
    "summed loss": Wrong("predicted_step", "1/n is missing", summed),
    "eta fixed": Wrong("predicted_step", "eta has no effect", eta_fixed),
    "blocks transposed": Wrong("predicted_step", "transposed", blocks_transposed),
    "without labels": Wrong("predicted_step", "labels are missing", without_labels),
    "without softmax": Wrong("predicted_step", "softmax is missing", without_softmax),
}
NUMBERS = {
    "percent": ("in percent", lambda right, space: 100 * right),
    "masked kernel": ("masked kernel's", lambda right, s: masked_error(s)),
    "no pruned weight held": ("have moved", lambda right, s: free_error(s)),
}


def errors_of(space, hold, over):
    """Relative error of a kernel on a step in which pruned weights move or not."""
    weights, masks, x, y = space["problem"](space["SEED"])
    sparse = [w.requires_grad_() for w in masked(weights, masks)]
    before = outputs(sparse, x)
    loss = torch.nn.functional.cross_entropy(before, y)
    grads = torch.autograd.grad(loss, sparse)
    moved = [
        w - space["ETA"] * g * (m if hold else 1)
        for w, g, m in zip(sparse, grads, masks, strict=True)
    ]
    true = outputs(moved, x) - before
    guess = step(over(weights, masks, x), before, y, space["ETA"])
    return float(((guess - true).norm() / true.norm()).detach())


def masked_error(space):
    return errors_of(
        space, True, lambda w, m, x: gram(w, x, lambda leaves: masked(leaves, m))
    )


def free_error(space):
    return errors_of(space, False, ambient_for_masked)
