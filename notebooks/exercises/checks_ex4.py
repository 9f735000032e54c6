"""Checks of exercise 4: the NTK, factored, masked, and one step predicted.

Jacobians are central differences, one weight at a time.
"""

import torch
from checks import Mistake, call, correct, explain, generator, tensors
from torch.overrides import TorchFunctionMode

BLOCKS = "the blocks are transposed: K[a, b, i, j] pairs output i of a with j of b"
LAST = "only the last layer counts: sum over all layers"
FIRST = "only the first layer counts: sum over all layers"
NO_LAST = "the last layer is missing: sum over all layers"
MEAN = "divided by the number of samples: the kernel is a plain sum over weights"
AUTOGRAD = "factored must do without autograd: all products are explicit"
NO_SLOPE = "phi' is missing on the way back"
OWN_OUTPUT = "a is a layer's output: the gradient by W has the layer's input"
AMBIENT = (
    "this is the ambient kernel: pruned weights have gradients, too, leave them out"
)
DENSE_POINT = (
    "the mask is on the tangent only: evaluate the network at the masked weights"
)
DENSE = "the masks have no effect: this is the dense network's kernel"
PRUNED = "kept and pruned are swapped: True marks a weight that is kept"
FIXED_STEP = "eta has no effect"
UPHILL = "the sign is wrong: the step goes downhill"
SUMMED = "the 1/n is missing: the loss is a mean over the samples"
NO_TARGET = "the labels are missing: e = softmax - onehot"
NO_SOFTMAX = "the softmax is missing: e = softmax - onehot"
MASKED_ERROR = "this is the masked kernel's error: the ambient one's is asked"
PERCENT = "this is in percent: a fraction is asked"
OF_GUESS = "divided by the predicted change: divide by the true one"
ALL_MOVED = "pruned weights have moved, too: only surviving weights are trained"


def case(seed, n=4, sizes=(5, 8, 6, 3)):
    """A small network, masks, inputs and labels."""
    g = generator(seed, n)
    options = {"generator": g, "dtype": torch.float64}
    pairs = list(zip(sizes[1:], sizes, strict=False))
    weights = [torch.randn(s, **options) for s in pairs]
    masks = [torch.rand(s, **options) < 0.6 for s in pairs]
    x = torch.randn(n, sizes[0], **options)
    return weights, masks, x, torch.randint(sizes[-1], (n,), generator=g)


def outputs(weights, x):
    """ReLU network without biases."""
    for w in weights[:-1]:
        x = (x @ w.T).clamp(min=0)
    return x @ weights[-1].T


def jacobians(weights, x, step=1e-6):
    """Per layer (n, k, weights): move one weight up and down."""
    out = []
    for k, w in enumerate(weights):
        columns = []
        for at in range(w.numel()):
            ends = []
            for turn in (step, -step):
                moved = [each.clone() for each in weights]
                moved[k].view(-1)[at] += turn
                ends.append(outputs(moved, x))
            columns.append((ends[0] - ends[1]) / (2 * step))
        out.append(torch.stack(columns, dim=2))
    return out


def kernel(parts):
    """Sum of products over weights; parts are jacobians (n, k, weights)."""
    return sum((j[:, None, :, None] * j[None, :, None, :]).sum(4) for j in parts)


def kept(parts, masks):
    """Jacobians with the columns of pruned weights set to zero."""
    return [j * m.flatten() for j, m in zip(parts, masks, strict=True)]


def wrong_kernels(weights, x):
    """Message to kernel, of the mistakes that are common."""
    parts = jacobians(weights, x)
    right = kernel(parts)
    return right, {
        BLOCKS: right.transpose(2, 3),
        LAST: kernel(parts[-1:]),
        FIRST: kernel(parts[:1]),
        NO_LAST: kernel(parts[:-1]),
        MEAN: right / len(x),
    }


def ntk(function, seed=0):
    """Check `ntk(weights, x)`."""
    for n in (5, 4):
        weights, _, x, _ = case(seed, n)
        right, suspects = wrong_kernels(weights, x)
        explain(call(function, weights, x), right, suspects, "ntk", tolerance=1e-5)
    correct("ntk")


def careless(weights, x, slope="none"):
    """The factored kernel with one mistake: in phi', or in the inputs of layers."""
    signals = [x]
    for w in weights[:-1]:
        signals.append((signals[-1] @ w.T).clamp(min=0))
    size = len(weights[-1])
    delta = torch.eye(size, dtype=x.dtype).repeat(len(x), 1, 1)
    total = 0.0
    for k in reversed(range(len(weights))):
        a = signals[k]
        if slope == "outputs":
            a = signals[k + 1] if k + 1 < len(weights) else outputs(weights, x)
        gram = (delta[:, None, :, None] * delta[None, :, None]).sum(4)
        total = total + (a @ a.T)[:, :, None, None] * gram
        delta = delta @ weights[k]
        if slope == "outputs":
            delta = delta * (signals[k] > 0)[:, None]
    return total


class NoGradients(TorchFunctionMode):
    """Refuse every operation on tensors that autograd follows, torch.func's too."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Call the operation and look at what it takes and gives."""
        found = function(*args, **(kwargs or {}))
        if any(each.requires_grad for each in tensors([args, found])):
            raise Mistake(AUTOGRAD)
        return found


def factored(function, seed=0):
    """Check `factored(weights, x)`, which must not use autograd."""
    for n in (5, 4):
        weights, _, x, _ = case(seed, n)
        right, suspects = wrong_kernels(weights, x)
        suspects |= {
            NO_SLOPE: careless(weights, x),
            OWN_OUTPUT: careless(weights, x, slope="outputs"),
        }
        with NoGradients():
            got = call(function, weights, x)
        explain(got, right, suspects, "factored", tolerance=1e-5)
    correct("factored")


def masked_ntk(function, seed=0):
    """Check `masked_ntk(weights, masks, x)`."""
    for n in (5, 4):
        weights, masks, x, _ = case(seed, n)
        sparse = [w * m for w, m in zip(weights, masks, strict=True)]
        other = [w * ~m for w, m in zip(weights, masks, strict=True)]
        here, dense = jacobians(sparse, x), jacobians(weights, x)
        right = kernel(kept(here, masks))
        suspects = {
            AMBIENT: kernel(backward(sparse, x)),  # at the kinks of dead units, too
            DENSE_POINT: kernel(kept(dense, masks)),
            DENSE: kernel(dense),
            PRUNED: kernel(kept(jacobians(other, x), [~m for m in masks])),
            BLOCKS: right.transpose(2, 3),
        }
        got = call(function, weights, masks, x)
        explain(got, right, suspects, "masked_ntk", tolerance=1e-5)
    correct("masked_ntk")


def errors(logits, y):
    """softmax - onehot, sample by sample."""
    found = logits.exp() / logits.exp().sum(1, keepdim=True)
    for row, label in zip(found, y.tolist(), strict=True):
        row[label] -= 1.0
    return found


def change(matrix, error, eta):
    """-eta / n K e, entry by entry."""
    out = torch.zeros_like(error)
    for b in range(len(error)):
        out -= eta / len(error) * (matrix[:, b] @ error[b])
    return out


def predicted_step(function, seed=0):
    """Check `predicted_step(kernel, outputs, y, eta)`."""
    for n, eta in ((5, 0.1), (4, 0.03)):
        weights, _, x, y = case(seed, n)
        matrix, before = kernel(jacobians(weights, x)), outputs(weights, x)
        error = errors(before, y)
        right = change(matrix, error, eta)
        onehot = error - errors(before, y) + torch.eye(error.shape[1])[y].double()
        suspects = {
            UPHILL: -right,
            SUMMED: n * right,
            SUMMED + ";": -n * right,
            FIXED_STEP: change(matrix, error, 0.1),
            BLOCKS: change(matrix.transpose(2, 3), error, eta),
            NO_TARGET: change(matrix, error + onehot, eta),
            NO_SOFTMAX: change(matrix, before - onehot, eta),
        }
        got = call(function, matrix, before, y, eta)
        explain(got, right, suspects, "predicted_step")
    correct("predicted_step")


def backward(weights, x):
    """Jacobians per layer by the chain rule, for networks that are not small."""
    signals = [x]
    for w in weights[:-1]:
        signals.append((signals[-1] @ w.T).clamp(min=0))
    size = len(weights[-1])
    delta = torch.eye(size, dtype=x.dtype).repeat(len(x), 1, 1)  # (n, k, outputs)
    parts = []
    for k in reversed(range(len(weights))):
        outer = delta[..., None] * signals[k][:, None, None]  # (n, k, outputs, inputs)
        parts.insert(0, outer.flatten(2))
        delta = (delta @ weights[k]) * (signals[k] > 0)[:, None]
    return parts


def real_step(sparse, parts, masks, error, eta):
    """Weights after one step; with masks of ones every weight moves."""
    moved = []
    for w, j, m in zip(sparse, parts, masks, strict=True):
        grad = torch.einsum("aip,ai->p", j, error).view(w.shape) / len(error)
        moved.append(w - eta * grad * m)
    return moved


def number(answer, weights, masks, x, y, eta):
    """Check the ambient kernel's relative error on one step of a pruned network."""
    sparse = [w * m for w, m in zip(weights, masks, strict=True)]
    parts, before = backward(sparse, x), outputs(sparse, x)
    error = errors(before, y)
    true = outputs(real_step(sparse, parts, masks, error, eta), x) - before
    ones = [torch.ones_like(m) for m in masks]
    free = outputs(real_step(sparse, parts, ones, error, eta), x) - before
    ambient = change(gram(parts), error, eta)
    masked = change(gram(kept(parts, masks)), error, eta)
    right = float((ambient - true).norm() / true.norm())
    suspects = {
        MASKED_ERROR: float((masked - true).norm() / true.norm()),
        PERCENT: 100 * right,
        OF_GUESS: float((ambient - true).norm() / ambient.norm()),
        ALL_MOVED: float((ambient - free).norm() / free.norm()),
    }
    explain(answer, right, suspects, "your number", tolerance=1e-4)
    correct("your number")


def gram(parts):
    """`kernel` by one product per layer."""
    return sum(torch.einsum("aip,bjp->abij", j, j) for j in parts)
