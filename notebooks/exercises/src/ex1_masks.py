# %% [markdown]
# # Exercise 1: masks
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | From scores to masks with the exact count; what is alive | 60 | 1 of 3 | 15 |
#
# A *score* is a number per weight, larger means keep. A *mask* is a boolean per weight,
# True where the weight is kept. *Density* is the fraction kept. Between the two stand
# three decisions that public code takes in different ways: how many weights are kept,
# who wins a tie, and whether layers compete with each other.
#
# Work in a copy, `my_ex1.ipynb`: `make course` overwrites this file. Read before:
# [00_tour](../00_tour.ipynb). Write code only where a cell says so; every part ends
# with a check that says what is likely wrong. Solutions are public, beside this file:
# an answer is worth what you can explain.

# %% nbgrader={"grade_id": "setup"}
import itertools
import math

import checks_ex1 as check
import torch

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
DENSITY = 0.02  # one of 0.015 | 0.02 | 0.025 | 0.018
SIZES = (784, 300, 100, 10)  # widths of LeNet-300-100, input first

# %% [markdown]
# ## Predict first
#
# A random mask keeps a fraction `DENSITY` of the weights of LeNet-300-100. Which part
# of the **kept** weights lies on a whole path from an input to an output? The tour has
# 9 % at 1 % and 50 % at 3 %: where between? Write down a number and one sentence before
# you compute anything.

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. Exactly k
#
# Mark the $k$ largest of $n$ scores. Exactly $k$, also when scores are equal: of equal
# scores at the border the ones with the **lower index** are kept. Scores may be
# negative.
#
# Example: of `[5, 6, 0, 5, 7]` with $k = 3$ the mask is `[1, 1, 0, 0, 1]`. The border
# value 5 occurs twice and there is room for one.
#
# <details><summary>Hint</summary>
#
# A comparison with a threshold cannot tell equal scores apart. `torch.argsort`
# has an option that keeps equal values in order.
#
# </details>


# %% nbgrader={"grade_id": "top_k", "solution": true}
def top_k(scores, k):
    """Mark exactly the k largest scores, ties by lower index.

    Args:
        scores: float tensor (n,).
        k: int, 0 <= k <= n.

    Returns:
        bool tensor (n,).
    """
    ### BEGIN SOLUTION
    order = torch.argsort(scores, descending=True, stable=True)  # (n,)
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[order[:k]] = True
    return keep
    ### END SOLUTION


# %% nbgrader={"grade_id": "top_k_check", "points": 2}
check.top_k(top_k)
### BEGIN HIDDEN TESTS
check.top_k(top_k, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Who competes with whom
#
# Scores now come as a dict from a layer's name to a tensor of the weight's shape. Let
# $n$ be the number of all weights and $d$ the density. *Global*: all weights compete
# for $\lfloor n d + \tfrac12 \rfloor$ places; the index of a weight counts through the
# layers in order. *Layerwise*: each layer with $n_l$ weights has
# $\lfloor n_l d + \tfrac12 \rfloor$ places of its own. A half is rounded up, which
# Python's `round` does not do.
#
# Example: `{"a": [[9., 8.]], "b": [[1., 7.]]}` at $d = 0.5$: global keeps 9 and 8, so
# layer b is empty; layerwise keeps 9 and 7.
#
# <details><summary>Hint</summary>
#
# Flatten, join with `torch.cat`, call `top_k`, and give every layer
# its part back with `split` and `view`.
#
# </details>


# %% nbgrader={"grade_id": "scopes", "solution": true}
def global_masks(scores, density):
    """Keep the floor(n d + 1/2) largest scores of all layers together.

    Args:
        scores: dict name -> float tensor.
        density: float, 0 to 1.

    Returns:
        dict name -> bool tensor of the same shape.
    """
    ### BEGIN SOLUTION
    flat = torch.cat([score.flatten() for score in scores.values()])  # (n,)
    keep = top_k(flat, math.floor(len(flat) * density + 0.5))
    parts = keep.split([score.numel() for score in scores.values()])
    pairs = zip(scores.items(), parts, strict=True)
    return {name: part.view(score.shape) for (name, score), part in pairs}
    ### END SOLUTION


def layerwise_masks(scores, density):
    """Keep the floor(n_l d + 1/2) largest scores of each layer.

    Args:
        scores: dict name -> float tensor.
        density: float, 0 to 1.

    Returns:
        dict name -> bool tensor of the same shape.
    """
    ### BEGIN SOLUTION
    masks = {}
    for name, score in scores.items():
        masks |= global_masks({name: score}, density)
    return masks
    ### END SOLUTION


# %% nbgrader={"grade_id": "scopes_check", "points": 4}
check.global_masks(global_masks)
check.layerwise_masks(layerwise_masks)
### BEGIN HIDDEN TESTS
check.global_masks(global_masks, seed=SEED + 1)
check.layerwise_masks(layerwise_masks, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Collapse
#
# A layer *collapses* when a global mask leaves nothing of it; a chain of layers then
# computes a constant. Find the smallest number $k$ of kept weights, over all layers
# together, at which **every** layer still keeps at least one. Assume no ties.
#
# Example: `{"a": [9., 8.], "b": [1., 7.], "c": [2., 6.]}` needs $k = 4$: the best of c
# is the fourth of all.
#
# <details><summary>Hint</summary>
#
# Each layer is first kept when its best weight is. Which layer comes last?
#
# </details>


# %% nbgrader={"grade_id": "smallest_count", "solution": true}
def smallest_count(scores):
    """Return the smallest k at which the k largest scores touch every layer.

    Args:
        scores: dict name -> float tensor, all scores different.

    Returns:
        int.
    """
    ### BEGIN SOLUTION
    flat = torch.cat([score.flatten() for score in scores.values()])
    worst = min(score.max() for score in scores.values())
    return int((flat >= worst).sum())
    ### END SOLUTION


# %% nbgrader={"grade_id": "smallest_count_check", "points": 2}
check.smallest_count(smallest_count)
### BEGIN HIDDEN TESTS
check.smallest_count(smallest_count, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. What is alive
#
# A kept weight is *effective* if it lies on a path of kept weights from an input to an
# output. Let $m^l$ be the mask of layer $l$, of shape (outputs, inputs). With
#
# $$ f^0 = \mathbf 1, \quad f^l_o = \max_i m^l_{oi} f^{l-1}_i, \qquad
#    b^L = \mathbf 1, \quad b^{l-1}_i = \max_o m^l_{oi} b^l_o $$
#
# ($f$: reached from an input, $b$: reaches an output) the weight $(o, i)$ of layer $l$
# is effective if $m^l_{oi} f^{l-1}_i b^l_o = 1$.
#
# Example, two layers: $m^1 = \begin{pmatrix}1&0\\0&1\end{pmatrix}$,
# $m^2 = \begin{pmatrix}1&0\end{pmatrix}$. The weight into the second hidden unit is
# kept but leads nowhere: effective are $\begin{pmatrix}1&0\\0&0\end{pmatrix}$ and
# $\begin{pmatrix}1&0\end{pmatrix}$.


# %% nbgrader={"grade_id": "effective", "solution": true}
def effective(masks):
    """Keep of each mask the weights that lie on a whole path.

    Args:
        masks: list of L bool tensors (outputs, inputs), first layer first.

    Returns:
        list of L bool tensors of the same shapes.
    """
    ### BEGIN SOLUTION
    forward = [torch.ones(masks[0].shape[1], dtype=torch.bool)]
    for mask in masks:
        forward.append((mask & forward[-1]).any(dim=1))  # (outputs,)
    backward = [torch.ones(masks[-1].shape[0], dtype=torch.bool)]
    for mask in reversed(masks):
        backward.insert(0, (mask & backward[0][:, None]).any(dim=0))  # (inputs,)
    return [m & forward[k] & backward[k + 1][:, None] for k, m in enumerate(masks)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "effective_check", "points": 3}
check.effective(effective)
### BEGIN HIDDEN TESTS
check.effective(effective, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your number
#
# `random_scores` draws a score for each weight of LeNet-300-100. Make the global mask
# at `DENSITY` and compute its **effective density**: effective weights divided by all
# $n$ weights, a fraction. Claim K3 of the tour puts it between 0.0006 and 0.0011 at
# density 0.01; your density is another one. Compare with your prediction, which
# was about the kept weights.


# %% nbgrader={"grade_id": "scores"}
def random_scores(sizes, seed):
    """One uniform score per weight; name -> (outputs, inputs)."""
    g = torch.Generator().manual_seed(seed)
    return {
        f"layer{k}": torch.rand(o, i, generator=g, dtype=torch.float64)
        for k, (i, o) in enumerate(itertools.pairwise(sizes))
    }


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(scores, density):
    """Return the effective density of the global mask: effective / all weights."""
    ### BEGIN SOLUTION
    masks = list(global_masks(scores, density).values())
    alive = sum(int(mask.sum()) for mask in effective(masks))
    return alive / sum(mask.numel() for mask in masks)
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 1}
answer = my_number(random_scores(SIZES, SEED), DENSITY)
print(f"effective density {answer:.6f}")
check.number(answer, random_scores(SIZES, SEED), DENSITY)

# %% [markdown]
# ## What would happen if
#
# you pruned in many small rounds, and after each round drew new random scores for the
# weights that are left? And what if, after each round, weights that are not effective
# had to go first? For both, say whether the effective density at the end is higher,
# lower or the same as in one round, and why. Three to five sentences; a small
# experiment helps.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# New scores change nothing: what is left after all rounds is a uniformly random subset
# of the same size, in one round or in many. Removing dead weights first spends the
# budget on weights that do no work, so more of the kept ones lie on a path and the
# effective density rises up to the density itself. Scores that look at paths, as
# SynFlow does, have the same effect without a rule: a dead weight scores zero and goes
# first.
# ### END SOLUTION
