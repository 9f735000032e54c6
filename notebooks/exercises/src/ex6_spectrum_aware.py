# %% [markdown]
# # Exercise 6: spectrum-aware
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | NTK-SAP's score by finite differences, and its four traps | 90 | 3 of 3 | 15 |
#
# NTK-SAP scores a connection by what it does to the trace of the tangent kernel,
# without building a kernel: it perturbs all weights at random and looks at how much the
# outputs move. With $\Delta \sim N(0, \varepsilon)$ for every weight and inputs $z$,
#
# $$ D = \big\| f(z; \theta \odot m) - f(z; (\theta + \Delta) \odot m) \big\|^2,
#    \qquad \mathbb E \, D \approx \varepsilon \operatorname{tr} K(m), $$
#
# where the norm runs over all samples and outputs and $K(m)$ is the masked kernel.
#
# Throughout, `weights` and `masks` are lists of $L$ tensors (outputs, inputs), float64
# and bool, and the network is ReLU without biases. Read before:
# [41_saliency](../41_saliency.ipynb); exercise 4 helps.

# %% nbgrader={"grade_id": "setup"}
import checks_ex6 as check
import torch

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
DENSITY = 0.5  # one of 0.4 | 0.5 | 0.6
DRAWS = 8  # one of 6 | 8 | 10
EPSILON = 1e-8  # a variance


# %% nbgrader={"grade_id": "network"}
def outputs(weights, x):
    """ReLU network without biases: x (n, inputs) to (n, k)."""
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)
    return x @ weights[-1].T


# %% [markdown]
# ## Predict first
#
# Can the removal of a connection *raise* the trace of the kernel? Write down yes or no
# and a reason, and for which share of the connections you expect it.

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. A perturbation
#
# Draw one $\Delta$ for each weight of each layer, independent, normal, with mean 0 and
# **variance** $\varepsilon$. All randomness comes from the generator.
#
# Example: with $\varepsilon = 0.01$ about two thirds of the entries lie between -0.1
# and 0.1.


# %% nbgrader={"grade_id": "perturbation", "solution": true}
def perturbation(weights, epsilon, generator):
    """Return a list of L tensors like the weights, entries N(0, epsilon).

    Args:
        weights: list of L tensors.
        epsilon: variance of each entry.
        generator: torch.Generator, the only source of randomness.
    """
    ### BEGIN SOLUTION
    return [
        epsilon**0.5 * torch.randn(w.shape, generator=generator, dtype=w.dtype)
        for w in weights
    ]
    ### END SOLUTION


# %% nbgrader={"grade_id": "perturbation_check", "points": 2}
check.perturbation(perturbation)
### BEGIN HIDDEN TESTS
check.perturbation(perturbation, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The change of the outputs
#
# Compute $D$ for given weights, masks, inputs and perturbations. A pruned connection is
# not there: it is not perturbed either.
#
# Example: $f(x) = W x$, $x = (1, 2)$, $\theta = (3, 4)$, $m = (1, 0)$,
# $\Delta = (0.1, 0.5)$: only the first weight moves, by 0.1, so $D = 0.01$.


# %% nbgrader={"grade_id": "output_change", "solution": true}
def output_change(weights, masks, x, deltas):
    """Return D, a tensor without dimensions; masks may be bool or float.

    Args:
        weights, masks, deltas: lists of L tensors (outputs, inputs).
        x: inputs (n, inputs).
    """
    ### BEGIN SOLUTION
    here = [w * m for w, m in zip(weights, masks, strict=True)]
    triples = zip(weights, deltas, masks, strict=True)
    there = [(w + d) * m for w, d, m in triples]
    return (outputs(here, x) - outputs(there, x)).square().sum()
    ### END SOLUTION


# %% nbgrader={"grade_id": "output_change_check", "points": 2}
check.output_change(output_change)
### BEGIN HIDDEN TESTS
check.output_change(output_change, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The saliency
#
# A connection's score is the effect of its mask on $D$, added over the draws
# $i = 1, \ldots, M$, each with inputs and perturbations of its own:
#
# $$ s_j = \Big| \sum_{i=1}^{M} m_j \frac{\partial D_i}{\partial m_j} \Big|. $$
#
# The modulus comes **after** the sum, so that the noise of single draws can cancel.
# *Both* networks in $D$ depend on $m$. The factor $m_j$ makes pruned connections score
# 0.
#
# Test yourself: without the modulus, the scores of every layer add up to
# $2 \sum_i D_i$, at any $\varepsilon$ (claim K1 of notebook 41).
#
# <details><summary>Hint</summary>
#
# Make float copies of the masks the leaves of the graph.
#
# </details>


# %% nbgrader={"grade_id": "saliency", "solution": true}
def signed_sums(weights, masks, draws):
    """Return the sums over the draws before the modulus, list of L tensors.

    Args:
        weights, masks: lists of L tensors (outputs, inputs); not changed.
        draws: list of M pairs (x, deltas).
    """
    ### BEGIN SOLUTION
    leaves = [m.double().requires_grad_() for m in masks]
    total = sum(output_change(weights, leaves, x, deltas) for x, deltas in draws)
    grads = torch.autograd.grad(total, leaves)
    return [(m * g).detach() for m, g in zip(leaves, grads, strict=True)]
    ### END SOLUTION


def saliency(weights, masks, draws):
    """Return NTK-SAP's scores, list of L tensors >= 0."""
    ### BEGIN SOLUTION
    return [s.abs() for s in signed_sums(weights, masks, draws)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "saliency_check", "points": 4}
check.signed_sums(signed_sums)
check.saliency(saliency)
### BEGIN HIDDEN TESTS
check.signed_sums(signed_sums, seed=SEED + 1)
check.saliency(saliency, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Common random numbers
#
# $D / \varepsilon$ estimates the trace, with a relative standard deviation of up to
# $\sqrt{2 / R}$ after $R$ draws. The *difference* between two masks is much smaller
# than either trace, and drowns in that noise, unless both masks meet the **same**
# perturbations. Then most of the noise is the same on both sides and cancels.
#
# Make the generator from `seed`, afresh for each mask, or draw once and use twice.
#
# Example: for two equal masks the difference is exactly 0, whatever the seed.


# %% nbgrader={"grade_id": "trace", "solution": true}
def trace_estimate(weights, masks, x, epsilon, repeats, seed):
    """Return the mean of D / epsilon over `repeats` perturbations, a float."""
    ### BEGIN SOLUTION
    g = torch.Generator().manual_seed(seed)
    total = 0.0
    for _ in range(repeats):
        deltas = perturbation(weights, epsilon, g)
        total += float(output_change(weights, masks, x, deltas))
    return total / epsilon / repeats
    ### END SOLUTION


def trace_difference(weights, masks_a, masks_b, x, epsilon, repeats, seed):
    """Return the estimate of tr K(a) - tr K(b) from common random numbers."""
    ### BEGIN SOLUTION
    a = trace_estimate(weights, masks_a, x, epsilon, repeats, seed)
    b = trace_estimate(weights, masks_b, x, epsilon, repeats, seed)
    return a - b
    ### END SOLUTION


# %% nbgrader={"grade_id": "trace_check", "points": 3}
check.trace_estimate(trace_estimate)
check.trace_difference(trace_difference)
### BEGIN HIDDEN TESTS
check.trace_estimate(trace_estimate, seed=SEED + 1)
check.trace_difference(trace_difference, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your number
#
# Claim K15 of [41_saliency](../41_saliency.ipynb): some connections lower the trace, so
# the modulus matters. For `problem(SEED)`, return the share of the **surviving**
# connections whose signed sum is negative.


# %% nbgrader={"grade_id": "problem"}
def problem(seed):
    """A fresh network, random masks and draws: weights, masks, draws."""
    g = torch.Generator().manual_seed(seed)
    options = {"generator": g, "dtype": torch.float64}
    shapes = ((24, 16), (24, 24), (5, 24))
    weights = [torch.randn(o, i, **options) * (2 / i) ** 0.5 for o, i in shapes]
    masks = [torch.rand(shape, **options) < DENSITY for shape in shapes]
    draws = [
        (
            torch.randn(20, 16, **options),
            [EPSILON**0.5 * torch.randn(shape, **options) for shape in shapes],
        )
        for _ in range(DRAWS)
    ]
    return weights, masks, draws


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(weights, masks, draws):
    """Return the share of surviving connections with a negative signed sum."""
    ### BEGIN SOLUTION
    signed = signed_sums(weights, masks, draws)
    lower = sum(int((s[m] < 0).sum()) for s, m in zip(signed, masks, strict=True))
    return lower / sum(int(m.sum()) for m in masks)
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 1}
answer = my_number(*problem(SEED))
print(f"share of connections that lower the trace {answer:.4f}")
check.number(answer, *problem(SEED))

# %% [markdown]
# ## What would happen if
#
# you made $\varepsilon$ larger and smaller, from $10^{-2}$ to $10^{-30}$? Plot
# `trace_estimate` of one problem against $\varepsilon$, with one seed for all, and
# explain both ends of the curve. The paper's value is $10^{-4}$; is it small enough for
# ReLU? Three to five sentences.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# At the large end the outputs are not linear over the step: units cross the kink of
# ReLU and products of perturbations of several layers add up, so $D / \varepsilon$ is
# biased. At the small end the two outputs agree in nearly all digits, and once
# $\sqrt \varepsilon$ comes near $10^{-16}$ times the weights their difference is
# rounding. In between the curve is flat, at the trace up to the noise of the draws. At
# $10^{-4}$ the standard deviation is 0.01 per weight, which in wide ReLU networks moves
# units across their kinks: the score still works as a score, but it is no longer the
# derivative of the trace.
# ### END SOLUTION
