# %% [markdown]
# # Exercise 2: saliency
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | SNIP and GraSP by autograd, with the right sign and modulus | 75 | 2 of 3 | 15 |
#
# A *saliency* score says what a weight is worth before any training. SNIP asks what its
# removal does to the loss, GraSP what it does to the gradient norm. Both take a few
# lines of autograd. Public code disagrees on the sign of one and on the place of the
# modulus in the other, and a gradient that has lost its graph is wrong without an
# error.
#
# Read before: [00_tour](../00_tour.ipynb); afterwards [01_traps](../01_traps.ipynb),
# which holds the wrong versions that were published. Throughout, `weights` is a list of
# $L$ matrices $W^l$ of shape (outputs, inputs) in float64, the network is
# $f(x) = W^L \phi(W^{L-1} \cdots \phi(W^1 x))$ with $\phi$ = ReLU, and $L(w)$ is the
# cross-entropy of $f(x) / T$, averaged over the $n$ samples; $T$ is a temperature.

# %% nbgrader={"grade_id": "setup"}
import checks_ex2 as check
import torch

from paicore import data, seeds

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
DENSITY = 0.1  # one of 0.05 | 0.08 | 0.1 | 0.15
WIDTH = 40  # one of 32 | 40 | 48
SAMPLES = 100


# %% nbgrader={"grade_id": "network"}
def logits(weights, x):
    """Network of ReLU layers without biases: x (n, inputs) to (n, classes)."""
    for w in weights[:-1]:
        x = torch.relu(x @ w.T)  # (n, outputs)
    return x @ weights[-1].T


def loss(weights, x, y, temperature=1.0):
    """Mean cross-entropy of the logits / temperature, a scalar."""
    return torch.nn.functional.cross_entropy(logits(weights, x) / temperature, y)


# %% [markdown]
# ## Predict first
#
# Multiply all weights of the first layer by 10 and divide those of the second by 10.
# The function that the network computes stays the same. Does SNIP's score of a weight
# stay the same? Does GraSP's? Write down two answers before you compute anything.

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. SNIP
#
# Put a factor $c_j = 1$ before every weight. SNIP scores a weight by how much the loss
# depends on its factor:
#
# $$ s_j = \left| \frac{\partial L}{\partial c_j} \right|
#        = \left| w_j \frac{\partial L}{\partial w_j} \right|. $$
#
# The modulus is taken of the gradient of the whole batch, not sample by sample.
#
# Example: one weight $w = 2$ with $\partial L / \partial w = -0.3$ has $s = 0.6$.
#
# <details><summary>Hint</summary>
#
# `torch.autograd.grad` returns gradients without storing them anywhere. It needs
# leaves: `w.detach().clone().requires_grad_()`.
#
# </details>


# %% nbgrader={"grade_id": "snip", "solution": true}
def snip(weights, x, y):
    """Score every weight by |w dL/dw|.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.
        x: inputs (n, inputs).
        y: labels (n,).

    Returns:
        list of L tensors like the weights, >= 0, without a graph.
    """
    ### BEGIN SOLUTION
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    grads = torch.autograd.grad(loss(leaves, x, y), leaves)
    return [(w * g).abs().detach() for w, g in zip(leaves, grads, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "snip_check", "points": 3}
check.snip(snip)
### BEGIN HIDDEN TESTS
check.snip(snip, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Hessian times gradient
#
# Let $g = \nabla_w L$ over all weights of all layers, and $H$ the Hessian of $L$. The
# product $Hg$ has as many entries as there are weights; $H$ itself would have their
# square. It is the gradient of a scalar:
#
# $$ H g = \nabla_w \, \tfrac12 \| g \|^2. $$
#
# Example: for $L(w) = w_1^2 w_2$ at $w = (1, 2)$: $g = (2 w_1 w_2, w_1^2) = (4, 1)$,
# $H = \begin{pmatrix}4&2\\2&0\end{pmatrix}$, $Hg = (18, 8)$.
#
# <details><summary>Hint</summary>
#
# The first gradient must keep its own graph: `create_graph=True`. The sum of squares
# runs over **all** layers before the second gradient is taken.
#
# </details>


# %% nbgrader={"grade_id": "hessian_gradient", "solution": true}
def hessian_gradient(weights, x, y, temperature=1.0):
    """Return Hg of the loss at a temperature.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.
        x: inputs (n, inputs).
        y: labels (n,).
        temperature: logits are divided by it.

    Returns:
        list of L tensors like the weights, without a graph.
    """
    ### BEGIN SOLUTION
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    value = loss(leaves, x, y, temperature)
    grads = torch.autograd.grad(value, leaves, create_graph=True)
    half = 0.5 * sum(g.square().sum() for g in grads)
    return list(torch.autograd.grad(half, leaves))
    ### END SOLUTION


# %% nbgrader={"grade_id": "hessian_gradient_check", "points": 4}
check.hessian_gradient(hessian_gradient)
### BEGIN HIDDEN TESTS
check.hessian_gradient(hessian_gradient, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. GraSP
#
# Training lowers the loss at the rate $\|g\|^2$, so GraSP keeps the weights that carry
# the gradient norm. Shrinking weight $j$ by a small fraction $\delta$ changes
# $\tfrac12\|g\|^2$ by $-\delta \, w_j (Hg)_j$. The weights whose removal costs most are
# kept:
#
# $$ s_j = w_j (Hg)_j, \qquad \text{larger means keep.} $$
#
# The score is signed and no modulus is taken: a weight of negative score *raises* the
# gradient norm when it goes. The authors' code writes $-w_j (Hg)_j$ and removes from
# the top, which is the same choice; a fork that copied one half of this kept what GraSP
# removes. The temperature is the loss's, 200 in the authors' code.
#
# Example: with $w$ and $Hg$ of part 2, $s = (18, 16)$: with one place, keep the first.


# %% nbgrader={"grade_id": "grasp", "solution": true}
def grasp(weights, x, y, temperature):
    """Score every weight by w Hg; larger means keep.

    Args:
        weights: list of L tensors (outputs, inputs); not changed.
        x: inputs (n, inputs).
        y: labels (n,).
        temperature: logits are divided by it.

    Returns:
        list of L signed tensors like the weights.
    """
    ### BEGIN SOLUTION
    products = hessian_gradient(weights, x, y, temperature)
    return [w * hg for w, hg in zip(weights, products, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "grasp_check", "points": 3}
check.grasp(grasp)
### BEGIN HIDDEN TESTS
check.grasp(grasp, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Your number
#
# Claim K2 of [01_traps](../01_traps.ipynb) says that GraSP's temperature changes the
# mask: public codes use 1 and 200. Take the two scores, keep of each the
# $k = \lfloor n d + \tfrac12 \rfloor$ largest of all $n$ weights ($d$ = `DENSITY`), and
# return the overlap of the two masks, intersection over union:
# $|A \cap B| / |A \cup B|$, a fraction.


# %% nbgrader={"grade_id": "problem"}
def problem(seed):
    """A fresh network for the digits and a balanced batch: weights, x, y."""
    g = torch.Generator().manual_seed(seed)
    shapes = ((WIDTH, 64), (WIDTH, WIDTH), (10, WIDTH))
    weights = [
        torch.randn(o, i, generator=g, dtype=torch.float64) * (2 / i) ** 0.5
        for o, i in shapes
    ]
    draws = seeds.generator(seed, "batch")
    x, y = data.sample(data.load("digits"), SAMPLES, draws, balanced=True)
    return weights, x.flatten(1), y


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(weights, x, y, density):
    """Return the intersection over union of GraSP's masks at temperature 1 and 200."""
    ### BEGIN SOLUTION
    kept = []
    for temperature in (1.0, 200.0):
        scores = grasp(weights, x, y, temperature)
        flat = torch.cat([s.flatten() for s in scores])
        k = int(len(flat) * density + 0.5)
        kept.append(set(flat.topk(k).indices.tolist()))
    return len(kept[0] & kept[1]) / len(kept[0] | kept[1])
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 2}
weights, x, y = problem(SEED)
answer = my_number(weights, x, y, DENSITY)
print(f"intersection over union {answer:.4f}")
check.number(answer, *problem(SEED), DENSITY)

# %% [markdown]
# ## What would happen if
#
# you did what the prediction was about: factor 10 on the first layer, 1/10 on the
# second? Explain what you find with the chain rule, for both scores, and say what it
# means for a comparison of two initialisations that compute the same function. Three to
# five sentences.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# The loss is the same function of the products, so the derivative by the factor $c_j$,
# which is $w_j \partial L / \partial w_j$, does not change: SNIP keeps its scores. The
# gradient itself does: it is divided by 10 in the first layer and multiplied by 10 in
# the second, so the second layer now makes up nearly all of $\|g\|^2$ and GraSP's
# scores and mask change. A score that is not invariant depends on the parametrisation,
# not only on the function: two codes with other initial scales per layer need not
# agree.
# ### END SOLUTION
