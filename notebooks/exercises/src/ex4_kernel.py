# %% [markdown]
# # Exercise 4: kernel
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | The NTK three ways, and what it says about one training step | 90 | 3 of 3 | 15 |
#
# The empirical neural tangent kernel of a network with $k$ outputs compares two inputs
# by the gradients that they give:
#
# $$ K_{ab,ij} = \sum_p \frac{\partial f_i(x_a)}{\partial \theta_p}
#                      \frac{\partial f_j(x_b)}{\partial \theta_p}, \qquad
#    K \text{ of shape } (n, n, k, k), $$
#
# first the two samples $a, b$, then the two outputs $i, j$. It says how a gradient step
# changes the outputs. Throughout, `weights` is a list of $L$ float64 matrices $W^l$ of
# shape (outputs, inputs), the network is ReLU without biases, and $\theta$ are all
# entries of all $W^l$.
#
# Read before: [02_kernels](../02_kernels.ipynb), "By hand".

# %% nbgrader={"grade_id": "setup"}
import checks_ex4 as check
import torch

from paicore import data, seeds

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
DENSITY = 0.25  # one of 0.2 | 0.25 | 0.3
ETA = 1e-5  # step size
SAMPLES = 10


# %% nbgrader={"grade_id": "network"}
def logits(weights, x):
    """ReLU network without biases: x (n, inputs) to (n, k)."""
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)  # (n, outputs)
    return x @ weights[-1].T


# %% [markdown]
# ## Predict first
#
# Most weights of a network are pruned, and only the others are trained. Somebody
# predicts the change of the outputs in one gradient step with the kernel over **all**
# weights. Is the prediction too large, too small or right? By about which factor?

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. By definition
#
# Take the gradient of every output of every sample, and multiply.
#
# Example: $f(x) = W x$ with one output, $x_1 = (1, 2)$ and $x_2 = (3, 0)$: the
# gradients are the inputs themselves, so $K_{11} = 5$, $K_{12} = 3$, $K_{22} = 9$.
#
# <details><summary>Hint</summary>
#
# Stack the gradients, flattened and joined over layers, into $J$ of shape $(n, k, P)$.
# Then `torch.einsum("aip,bjp->abij", J, J)`. Several gradients of one graph need
# `retain_graph=True`.
#
# </details>


# %% nbgrader={"grade_id": "ntk", "solution": true}
def ntk(weights, x):
    """Return the kernel over all weights.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.
        x: inputs (n, inputs).

    Returns:
        tensor (n, n, k, k), without a graph.
    """
    ### BEGIN SOLUTION
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    rows = []
    for output in logits(leaves, x).flatten():  # n k of them
        grads = torch.autograd.grad(output, leaves, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in grads]))
    jacobian = torch.stack(rows).view(len(x), -1, len(rows[0]))  # (n, k, P)
    return torch.einsum("aip,bjp->abij", jacobian, jacobian)
    ### END SOLUTION


# %% nbgrader={"grade_id": "ntk_check", "points": 3}
check.ntk(ntk)
### BEGIN HIDDEN TESTS
check.ntk(ntk, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Factored
#
# With $a^{l-1}$ the input of layer $l$ and $\delta^{l}_i = \partial f_i / \partial y^l$
# the gradient by its pre-activation $y^l = W^l a^{l-1}$, the gradient by $W^l$ is
# $\delta^l_i (a^{l-1})^\top$, and the kernel needs no gradient of a weight at all:
#
# $$ K_{ab,ij} = \sum_l \big( a^{l-1}(x_a) \cdot a^{l-1}(x_b) \big)
#                       \big( \delta^l_i(x_a) \cdot \delta^l_j(x_b) \big). $$
#
# $\delta^L_i$ is the $i$-th unit vector and
# $\delta^{l-1}_i = (W^{l\top} \delta^l_i) \odot \phi'(y^{l-1})$. No autograd here: two
# small products per layer instead of $P$ numbers per output.
#
# Example: a single layer has $\delta_i \cdot \delta_j = 1$ if $i = j$, else 0, so $K$
# is the Gram matrix of the inputs on the diagonal $i = j$.


# %% nbgrader={"grade_id": "factored", "solution": true}
def factored(weights, x):
    """Return the kernel over all weights, without autograd.

    Args:
        weights: list of L tensors (outputs, inputs).
        x: inputs (n, inputs).

    Returns:
        tensor (n, n, k, k).
    """
    ### BEGIN SOLUTION
    inputs = [x]
    for w in weights[:-1]:
        inputs.append(torch.relu(inputs[-1] @ w.T))  # (n, outputs)
    k = len(weights[-1])
    delta = torch.eye(k, dtype=x.dtype).expand(len(x), k, k)  # (n, k, outputs)
    kernel = 0.0
    for w, a in zip(reversed(weights), reversed(inputs), strict=True):
        gram = torch.einsum("aio,bjo->abij", delta, delta)
        kernel = kernel + (a @ a.T)[:, :, None, None] * gram
        delta = (delta @ w) * (a > 0)[:, None, :]  # (n, k, inputs)
    return kernel
    ### END SOLUTION


# %% nbgrader={"grade_id": "factored_check", "points": 3}
check.factored(factored)
### BEGIN HIDDEN TESTS
check.factored(factored, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Masked and ambient
#
# A pruned network is evaluated at $m \odot \theta$ and only surviving weights move. Its
# *masked* kernel sums over the surviving weights alone; the *ambient* kernel of the
# same network sums over all, also over those that are zero and stay zero. A pruned
# weight has a gradient of its own: that its value is 0 does not make it vanish.
#
# Example: $f(x) = W x$, $x = (1, 2)$, mask $(1, 0)$: masked $K = 1$, ambient $K = 5$.


# %% nbgrader={"grade_id": "masked_ntk", "solution": true}
def masked_ntk(weights, masks, x):
    """Return the kernel of the pruned network over its surviving weights.

    Args:
        weights: list of L tensors (outputs, inputs), not masked yet; not changed.
        masks: list of L bool tensors of the same shapes.
        x: inputs (n, inputs).

    Returns:
        tensor (n, n, k, k).
    """
    ### BEGIN SOLUTION
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    sparse = [w * m for w, m in zip(leaves, masks, strict=True)]
    rows = []
    for output in logits(sparse, x).flatten():
        grads = torch.autograd.grad(output, leaves, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in grads]))
    jacobian = torch.stack(rows).view(len(x), -1, len(rows[0]))  # (n, k, P)
    return torch.einsum("aip,bjp->abij", jacobian, jacobian)
    ### END SOLUTION


# %% nbgrader={"grade_id": "masked_ntk_check", "points": 3}
check.masked_ntk(masked_ntk)
### BEGIN HIDDEN TESTS
check.masked_ntk(masked_ntk, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. One step
#
# One step of gradient descent with step size $\eta$ on the cross-entropy, averaged over
# the $n$ samples, changes the logits of these samples to first order by
#
# $$ \Delta f_{ai} = -\frac{\eta}{n} \sum_{b,j} K_{ab,ij} \, e_{bj}, \qquad
#    e_b = \operatorname{softmax}(f(x_b)) - \text{onehot}(y_b). $$
#
# Example: one sample, two classes, $f = (0, 0)$, $y = 0$, $K = 4 \cdot I$,
# $\eta = 0.1$: $e = (-0.5, 0.5)$ and $\Delta f = (0.2, -0.2)$.


# %% nbgrader={"grade_id": "predicted_step", "solution": true}
def predicted_step(kernel, outputs, y, eta):
    """Return the change of the logits in one step, to first order.

    Args:
        kernel: tensor (n, n, k, k).
        outputs: logits before the step (n, k).
        y: labels (n,).
        eta: step size.

    Returns:
        tensor (n, k).
    """
    ### BEGIN SOLUTION
    n, k = outputs.shape
    errors = outputs.softmax(1) - torch.nn.functional.one_hot(y, k)  # (n, k)
    return -eta / n * torch.einsum("abij,bj->ai", kernel, errors)
    ### END SOLUTION


# %% nbgrader={"grade_id": "predicted_step_check", "points": 2}
check.predicted_step(predicted_step)
### BEGIN HIDDEN TESTS
check.predicted_step(predicted_step, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your number
#
# Claims K1 and K2 of [02_kernels](../02_kernels.ipynb): the masked kernel predicts a
# step of a pruned network to 1 %, the ambient kernel misses it by its whole size or
# more. For `problem(SEED)`: do one real step of size `ETA` on the surviving weights,
# compute the true change $\Delta f$ and the **ambient** prediction, and return the
# relative error $\| \text{predicted} - \Delta f \| / \| \Delta f \|$ over all samples
# and outputs. For comparison, print the masked kernel's too.


# %% nbgrader={"grade_id": "problem"}
def problem(seed):
    """A fresh network, random masks, and digits: weights, masks, x, y."""
    g = torch.Generator().manual_seed(seed)
    options = {"generator": g, "dtype": torch.float64}
    shapes = ((32, 64), (32, 32), (10, 32))
    weights = [torch.randn(o, i, **options) * (2 / i) ** 0.5 for o, i in shapes]
    masks = [torch.rand(shape, **options) < DENSITY for shape in shapes]
    draws = seeds.generator(seed, "batch")
    x, y = data.sample(data.load("digits"), SAMPLES, draws, balanced=True)
    return weights, masks, x.flatten(1), y


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(weights, masks, x, y, eta):
    """Return the ambient kernel's relative error on one step of a pruned network."""
    ### BEGIN SOLUTION
    sparse = [(w * m).requires_grad_() for w, m in zip(weights, masks, strict=True)]
    before = logits(sparse, x)
    loss = torch.nn.functional.cross_entropy(before, y)
    grads = torch.autograd.grad(loss, sparse)
    triples = zip(sparse, grads, masks, strict=True)
    moved = [(w - eta * g * m).detach() for w, g, m in triples]
    true = logits(moved, x) - before.detach()
    for kernel in (masked_ntk(weights, masks, x), ntk(sparse, x)):
        guess = predicted_step(kernel, before.detach(), y, eta)
        error = float((guess - true).norm() / true.norm())
        print(f"relative error {error:.3g}")
    return error
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 1}
answer = my_number(*problem(SEED), ETA)
print(f"ambient kernel's relative error {answer:.4f}")
check.number(answer, *problem(SEED), ETA)

# %% [markdown]
# ## What would happen if
#
# you doubled `ETA` again and again? Which of the two errors, masked or ambient, depends
# on it, and how? Say what this means for whoever wants to check a kernel by a real
# step. Three to five sentences.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# The masked kernel is the exact first order, so what it misses is of second order: its
# relative error is proportional to the step size, as long as few units cross the kink
# of ReLU. The ambient kernel is wrong at first order already: it counts directions in
# which nothing moves, and its error stays what it is as the step becomes small. A
# kernel is therefore checked by several small steps: the error of the right one goes to
# zero with the step size, that of a wrong one does not.
# ### END SOLUTION
