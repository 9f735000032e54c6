# %% [markdown]
# # Exercise 5: paths
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | Sums over all paths, SynFlow, and why it needs rounds | 75 | 2 of 3 | 15 |
#
# A path $p$ takes one weight from every layer, each starting at the unit where the one
# before ends. Its value is the product of its weights,
# $v_p = \prod_{j \in p} \theta_j$. There are far too many to list: LeNet-300-100 has
# 235 million. But sums over paths are products of matrices, and sums over the paths
# *through a weight* are gradients.
#
# Throughout, `weights` is a list of $L$ float64 matrices $W^l$ of shape (outputs,
# inputs), first layer first. Read before: [31_paths](../31_paths.ipynb).

# %% nbgrader={"grade_id": "setup"}
import checks_ex5 as check
import torch

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
DENSITY = 0.01  # one of 0.008 | 0.01 | 0.015
ROUNDS = 50  # one of 40 | 50 | 60
SIZES = (64, 100, 50, 10)  # widths, input first

# %% [markdown]
# ## Predict first
#
# SynFlow sees no data. Its scores of one layer always have the same sum, whatever the
# layer's size. A network has layers of 6,400, 5,000 and 500 weights, and about 1 % of
# all weights are kept by one global cut. Which layer keeps the smallest part of its
# weights?

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. The sum over all paths
#
# $$ R = \sum_p |v_p| = \mathbf 1^\top |W^L| \cdots |W^1| \, \mathbf 1 $$
#
# Example: $W^1 = (1, -2)$, $W^2 = (3)$: two paths,
# $R = |3 \cdot 1| + |3 \cdot (-2)| = 9$.


# %% nbgrader={"grade_id": "path_sum", "solution": true}
def path_sum(weights):
    """Return the sum of the moduli of all path values.

    Args:
        weights: list of L tensors (outputs, inputs).

    Returns:
        tensor without dimensions.
    """
    ### BEGIN SOLUTION
    signal = torch.ones(weights[0].shape[1], dtype=weights[0].dtype)  # (inputs,)
    for w in weights:
        signal = w.abs() @ signal  # (outputs,)
    return signal.sum()
    ### END SOLUTION


# %% nbgrader={"grade_id": "path_sum_check", "points": 2}
check.path_sum(path_sum)
### BEGIN HIDDEN TESTS
check.path_sum(path_sum, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. SynFlow
#
# A weight's score is the sum over the paths that pass through it:
#
# $$ s_j = \sum_{p \ni j} |v_p|
#        = |\theta_j| \, \frac{\partial R}{\partial |\theta_j|}. $$
#
# It is conserved: what flows into a hidden unit flows out of it, and the scores of
# every layer add up to $R$.
#
# Example: with the weights above the scores are $(3, 6)$ and $(9)$.
#
# <details><summary>Hint</summary>
#
# Make the moduli the leaves: `w.detach().abs().requires_grad_()`. Then one call of
# `torch.autograd.grad` on `path_sum` does it.
#
# </details>


# %% nbgrader={"grade_id": "synflow", "solution": true}
def synflow(weights):
    """Score every weight by the paths through it.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.

    Returns:
        list of L tensors like the weights, >= 0, without a graph.
    """
    ### BEGIN SOLUTION
    moduli = [w.detach().abs().requires_grad_() for w in weights]
    grads = torch.autograd.grad(path_sum(moduli), moduli)
    return [(w * g).detach() for w, g in zip(moduli, grads, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "synflow_check", "points": 3}
check.synflow(synflow)
### BEGIN HIDDEN TESTS
check.synflow(synflow, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The trace of the Path Kernel
#
# The Path Kernel compares paths by the weights that they share:
#
# $$ \Pi_{pq} = \sum_j \frac{\partial v_p}{\partial \theta_j}
#                     \frac{\partial v_q}{\partial \theta_j}. $$
#
# Its trace is
#
# $$ \operatorname{tr} \Pi = \sum_p \sum_{j \in p} \Big( \frac{v_p}{\theta_j} \Big)^2
#    = \sum_j \frac{\partial}{\partial (\theta_j^2)} \sum_p v_p^2, $$
#
# where $v_p / \theta_j$ stands for the product of the path's other weights, also if
# $\theta_j = 0$. The inner sum is a path sum of squared weights, so that one backward
# pass gives the trace of a matrix that nobody could store.
#
# Example: with the weights above, the first path $(1, 3)$ gives $3^2 + 1^2 = 10$, the
# second $(-2, 3)$ gives $3^2 + 2^2 = 13$: the trace is 23.
#
# <details><summary>Hint</summary>
#
# Look at weights that are 0, too: torch takes 0 as the derivative of the modulus there.
#
# </details>


# %% nbgrader={"grade_id": "path_kernel_trace", "solution": true}
def path_kernel_trace(weights):
    """Return the trace of the Path Kernel, by one backward pass.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.

    Returns:
        tensor without dimensions.
    """
    ### BEGIN SOLUTION
    squares = [w.detach().square().requires_grad_() for w in weights]
    signal = torch.ones(weights[0].shape[1], dtype=weights[0].dtype)  # (inputs,)
    for square in squares:
        signal = square @ signal  # no modulus: its derivative at 0 would be 0
    return sum(g.sum() for g in torch.autograd.grad(signal.sum(), squares))
    ### END SOLUTION


# %% nbgrader={"grade_id": "path_kernel_trace_check", "points": 3}
check.path_kernel_trace(path_kernel_trace)
### BEGIN HIDDEN TESTS
check.path_kernel_trace(path_kernel_trace, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Rounds
#
# SynFlow prunes in $T$ rounds: after round $t = 1, \ldots, T$ there are
# $\lfloor n \, d^{t/T} + \tfrac12 \rfloor$ weights left, $n$ the number of all weights.
# In each round the scores are computed afresh, with pruned weights set to 0, and all
# layers compete. Pruned weights stay pruned; of equal scores the lower index is kept.
#
# Example: $n = 100$, $d = 0.01$, $T = 2$: 10 weights after the first round, 1 after the
# second.


# %% nbgrader={"grade_id": "iterated", "solution": true}
def iterated(weights, density, rounds):
    """Prune by SynFlow in rounds.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.
        density: fraction kept at the end.
        rounds: number of rounds, >= 1.

    Returns:
        list of L bool tensors like the weights.
    """
    ### BEGIN SOLUTION
    sizes = [w.numel() for w in weights]
    alive = torch.ones(sum(sizes), dtype=torch.bool)
    for t in range(1, rounds + 1):
        parts = zip(weights, alive.split(sizes), strict=True)
        scores = synflow([w * m.view(w.shape) for w, m in parts])
        flat = torch.cat([s.flatten() for s in scores])
        flat[~alive] = -1.0
        k = int(sum(sizes) * density ** (t / rounds) + 0.5)
        alive = torch.zeros_like(alive)
        alive[flat.argsort(descending=True, stable=True)[:k]] = True
    pairs = zip(weights, alive.split(sizes), strict=True)
    return [m.view(w.shape) for w, m in pairs]
    ### END SOLUTION


# %% nbgrader={"grade_id": "iterated_check", "points": 3}
check.iterated(iterated)
### BEGIN HIDDEN TESTS
check.iterated(iterated, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your number
#
# Claim K1 of [00_tour](../00_tour.ipynb): in 100 rounds SynFlow empties no layer,
# down to a density of 0.1 %. For `network(SEED)`, `DENSITY` and `ROUNDS`, return the
# density of the **first** layer, the fraction of its weights that is kept. Print the
# same after a single round, and compare with your prediction.


# %% nbgrader={"grade_id": "network"}
def network(seed):
    """He weights for SIZES, list of (outputs, inputs)."""
    g = torch.Generator().manual_seed(seed)
    shapes = zip(SIZES[1:], SIZES, strict=False)
    return [
        torch.randn(o, i, generator=g, dtype=torch.float64) * (2 / i) ** 0.5
        for o, i in shapes
    ]


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(weights, density, rounds):
    """Return the density of the first layer after SynFlow in rounds."""
    ### BEGIN SOLUTION
    once = iterated(weights, density, 1)[0].double().mean()
    print(f"after one round {float(once):.5f}")
    return float(iterated(weights, density, rounds)[0].double().mean())
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 1}
answer = my_number(network(SEED), DENSITY, ROUNDS)
print(f"density of the first layer {answer:.5f}")
check.number(answer, network(SEED), DENSITY, ROUNDS)

# %% [markdown]
# ## What would happen if
#
# you lowered the density further, with one round and with many? Use the conservation of
# part 2 to say which layer a single cut empties first, and why a layer that is nearly
# empty is safe when the scores are computed afresh. Three to five sentences.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# Every layer's scores add up to the same $R$, so the mean score of a layer is $R$
# divided by its size, and one global cut takes most from the largest layer, here the
# first, which is emptied while others still have weights to give. With fresh scores the
# sum is shared by the weights that are left: the fewer a layer has, the larger their
# scores. The last weight of a layer carries all of $R$ and no other weight scores more,
# so it goes last.
# ### END SOLUTION
