# %% [markdown]
# # Exercise 3: signal
#
# | objective | minutes | difficulty | points |
# |---|---|---|---|
# | The edge of chaos, and how scores grow with depth | 90 | 3 of 3 | 15 |
#
# A deep network of width $N$ is drawn with $W^l_{ij} \sim N(0, \sigma_w^2 / N)$ and
# $b^l_i \sim N(0, \sigma_b^2)$:
#
# $$ y^1 = W^1 x + b^1, \qquad y^l = W^l \phi(y^{l-1}) + b^l. $$
#
# In a wide network each $y^l_i$ is Gaussian with some variance $q^l$, and four numbers
# follow from integrals over one Gaussian variable $Z \sim N(0, 1)$. They decide whether
# a score empties the first layers, the last ones or none.
#
# Read before: [11_edge_of_chaos](../11_edge_of_chaos.ipynb), "The idea on paper".

# %% nbgrader={"grade_id": "setup"}
import math

import checks_ex3 as check
import numpy as np
import torch

# %% nbgrader={"grade_id": "numbers"}
SEED = 2026  # the course's seed
SIGMA_W = 2.0  # one of 1.8 | 1.9 | 2.0 | 2.1 | 2.2
SIGMA_B = 0.3  # one of 0.2 | 0.22 | 0.25 | 0.28 | 0.3

# %% nbgrader={"grade_id": "tools"}
NODES = np.linspace(-10, 10, 401)
WEIGHTS = np.exp(-(NODES**2) / 2) / math.sqrt(2 * math.pi) * 0.05


def mean(f):
    """E f(Z) of a smooth function; f takes and returns an array (401,)."""
    return float(f(NODES) @ WEIGHTS)


def dtanh(z):
    """Derivative of tanh."""
    return 1 - np.tanh(z) ** 2


# %% [markdown]
# ## Predict first
#
# SBP scores a weight by $(W \, \partial L / \partial W)^2$. With tanh and
# $\sigma_w = 2$ the network is chaotic: two nearly equal inputs drift apart from layer
# to layer. When 90 % of the weights are pruned globally, which layers lose most, the
# first or the last?

# %% [markdown] nbgrader={"grade_id": "prediction", "solution": true, "points": 1}
# *Your prediction:*

# %% [markdown]
# ## 1. Variance
#
# $$ q^l = \sigma_w^2 \, \mathbb E\big[\phi(\sqrt{q^{l-1}} \, Z)^2\big] + \sigma_b^2 $$
#
# Iterated, $q^l$ settles at a *fixed point* $q$. Write one step and the fixed point,
# accurate to $10^{-10}$. Start anywhere above 0.
#
# Example: with $\phi$ the identity, $\sigma_w = 0.5$ and $\sigma_b = 1$, a step from
# $q = 1$ gives $0.25 + 1 = 1.25$ and the fixed point is $1 / (1 - 0.25) = 4/3$.
#
# <details><summary>Hint</summary>
#
# `mean(lambda z: z**2)` is 1. Ten steps are not enough: stop when $q$ no longer moves.
#
# </details>


# %% nbgrader={"grade_id": "variance", "solution": true}
def next_variance(q, sigma_w, sigma_b, phi):
    """Return the variance of the next layer.

    Args:
        q: variance of this layer, > 0.
        sigma_w: standard deviation of the weights times sqrt(N).
        sigma_b: standard deviation of the biases.
        phi: activation, from array to array.

    Returns:
        float.
    """
    ### BEGIN SOLUTION
    second = mean(lambda z: phi(math.sqrt(q) * z) ** 2)
    return sigma_w**2 * second + sigma_b**2
    ### END SOLUTION


def fixed_point(sigma_w, sigma_b, phi):
    """Return the variance that a step leaves as it is, to 1e-10."""
    ### BEGIN SOLUTION
    q, moved = 1.0, 1.0
    while moved > 1e-13:
        new = next_variance(q, sigma_w, sigma_b, phi)
        q, moved = new, abs(new - q)
    return q
    ### END SOLUTION


# %% nbgrader={"grade_id": "variance_check", "points": 3}
check.next_variance(next_variance)
check.fixed_point(fixed_point)
### BEGIN HIDDEN TESTS
check.next_variance(next_variance, seed=SEED + 1)
check.fixed_point(fixed_point, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The slope chi
#
# A small difference between two inputs, and a gradient on its way back, is multiplied
# per layer by
#
# $$ \chi = \sigma_w^2 \, \mathbb E\big[\phi'(\sqrt{q} \, Z)^2\big]
#    \quad\text{at the fixed point } q. $$
#
# $\chi < 1$ is the ordered phase, $\chi > 1$ the chaotic one.
#
# Example: with the identity $\phi' = 1$ and $\chi = \sigma_w^2$, whatever $q$ is.


# %% nbgrader={"grade_id": "chi", "solution": true}
def chi(sigma_w, sigma_b, phi, dphi):
    """Return chi at the fixed point.

    Args:
        sigma_w, sigma_b: scales of weights and biases.
        phi, dphi: activation and its derivative, from array to array.

    Returns:
        float.
    """
    ### BEGIN SOLUTION
    q = fixed_point(sigma_w, sigma_b, phi)
    return sigma_w**2 * mean(lambda z: dphi(math.sqrt(q) * z) ** 2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "chi_check", "points": 3}
check.chi(chi)
### BEGIN HIDDEN TESTS
check.chi(chi, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The edge of chaos
#
# For each $\sigma_b$ there is one $\sigma_w$ with $\chi = 1$: there signals and
# gradients keep their size. Find it to $10^{-6}$; it lies between 0.8 and 3, and $\chi$
# grows with $\sigma_w$. Claim K2 of notebook 11: with tanh and $\sigma_b = 0.2$ it is
# 1.3041.
#
# <details><summary>Hint</summary>
#
# Bisection: 25 halvings of an interval of length 2.2 leave less than $10^{-7}$.
#
# </details>


# %% nbgrader={"grade_id": "edge", "solution": true}
def edge(sigma_b, phi, dphi):
    """Return the sigma_w with chi = 1, to 1e-6."""
    ### BEGIN SOLUTION
    low, high = 0.8, 3.0
    for _ in range(30):
        middle = (low + high) / 2
        if chi(middle, sigma_b, phi, dphi) < 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "edge_check", "points": 2}
check.edge(edge)
### BEGIN HIDDEN TESTS
check.edge(edge, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Moments of the score
#
# Now a real tanh network. For one input $x$ and a loss $L = v \cdot y^L$, measure
#
# $$ m^l = \frac{1}{|W^l|} \sum_{ij}
#    \left( W^l_{ij} \frac{\partial L}{\partial W^l_{ij}} \right)^2, $$
#
# with $|W^l|$ the number of entries. `y` below returns $y^L$.
#
# Example: one layer, one weight $W = 3$, $x = 2$, $b = 0$, $v = 1$: the derivative is 2
# and $m^1 = 36$.


# %% nbgrader={"grade_id": "network"}
def y(weights, biases, x):
    """Last layer of a tanh network: x (inputs,) to (outputs,)."""
    out = weights[0] @ x + biases[0]
    for w, b in zip(weights[1:], biases[1:], strict=True):
        out = w @ torch.tanh(out) + b
    return out


# %% nbgrader={"grade_id": "moments", "solution": true}
def moments(weights, biases, x, v):
    """Return m^1 ... m^L.

    Args:
        weights: list of L float64 tensors (outputs, inputs); not changed.
        biases: list of L tensors (outputs,).
        x: input (inputs,).
        v: direction of the loss (outputs of the last layer,).

    Returns:
        tensor (L,).
    """
    ### BEGIN SOLUTION
    leaves = [w.detach().clone().requires_grad_() for w in weights]
    grads = torch.autograd.grad(y(leaves, biases, x) @ v, leaves)
    pairs = zip(weights, grads, strict=True)
    return torch.stack([(w * g).square().mean() for w, g in pairs])
    ### END SOLUTION


# %% nbgrader={"grade_id": "moments_check", "points": 3}
check.moments(moments)
### BEGIN HIDDEN TESTS
check.moments(moments, seed=SEED + 1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your number
#
# Theory says $m^l = \text{const} \cdot \chi^{L-l}$ at the fixed point. What slope does
# $\log m^l$ (natural logarithm) have against $l$, at `SIGMA_W` and `SIGMA_B`, with
# tanh? The cell after the check measures it in a network of 30 layers; claims K12 to
# K15 of notebook 11 allow 0.03 between the two.


# %% nbgrader={"grade_id": "my_number", "solution": true}
def my_number(sigma_w, sigma_b):
    """Return the predicted slope of log m^l against l, for tanh."""
    ### BEGIN SOLUTION
    return -math.log(chi(sigma_w, sigma_b, np.tanh, dtanh))
    ### END SOLUTION


# %% nbgrader={"grade_id": "my_number_check", "points": 1}
answer = my_number(SIGMA_W, SIGMA_B)
print(f"predicted slope {answer:.4f}")
check.number(answer, SIGMA_W, SIGMA_B)


# %% nbgrader={"grade_id": "measure"}
def measured_slope(depth=30, width=100, draws=40):
    """Slope of log m^l over layers 9 to 25, the mean over networks and inputs."""
    g = torch.Generator().manual_seed(SEED)
    total = torch.zeros(depth, dtype=torch.float64)
    options = {"generator": g, "dtype": torch.float64}
    for _ in range(draws):
        weights = torch.randn(depth, width, width, **options) * SIGMA_W / width**0.5
        biases = torch.randn(depth, width, **options) * SIGMA_B
        x, v = torch.randn(2, width, **options)
        total += moments(list(weights), list(biases), x, v)
    layers = np.arange(9, 26)
    return float(np.polyfit(layers, (total / draws).log().numpy()[8:25], 1)[0])


# %% [markdown]
# Call `measured_slope()` once your checks pass, in a cell of your own.
#
# ## What would happen if
#
# you took ReLU without biases and $\sigma_w = 1$, which is below its edge $\sqrt 2$, so
# that $\chi = 1/2$? What does $m^l$ do with $l$ then, and why does the argument of part
# 5 not apply? A small experiment helps. Three to five sentences.

# %% [markdown] nbgrader={"grade_id": "open", "solution": true, "points": 2}
# *Your answer:*
#
# ### BEGIN SOLUTION
# On average $m^l$ is the same in every layer. Without biases the variance has no fixed
# point above 0: $q^l$ shrinks by $\chi = 1/2$ per layer, while the squared gradient
# gains the same factor per layer on its way back, and $m^l$ is their product. Part 5
# needs a fixed point, where $q^l$ is constant. In fact the sum of
# $W \, \partial L / \partial W$ over a layer is the same for all layers of such a
# network, by Euler's theorem for homogeneous functions.
# ### END SOLUTION
