# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Paths: the Path Kernel, path by path
#
# Thomas Gebhart, Udit Saxena, Paul Schrater, *A unified paths perspective for pruning
# at initialization*, 2021, [arXiv 2101.10552](https://arxiv.org/abs/2101.10552). In our
# words: a network is a sum over paths; its tangent kernel splits into data and weights,
# and scores for pruning are sums over paths too.
#
# | profile | data and networks | machine | time | memory |
# |---|---|---|---|---|
# | replay (default) | committed records, drawn inputs | 1 CPU core | 10 s | 1 GB |
# | `smoke` | networks of 16 to 3,438 paths | 1 CPU core | 30 s | 1 GB |
# | `quick` | to 3,872 paths; FC-1000, ResNet-20, VGG-11 | 1 CPU core | 5 min | 2 GB |
# | `paper` | none: `quick` is the whole of it | - | - | - |

# %% [markdown]
# ## What we check
#
# Of this paper we have read the abstract, and of its authors the public code. So no
# claim is a number of the paper, and all have the letter D: derived by us, with rules
# and thresholds that were set before the quick runs. Most are identities that must hold
# to rounding; *negative controls* beside them must fail.
#
# * **K1 to K9**: outputs, tangent kernel, trace, sums, spectrum and rank against the
#   list of all paths.
# * **K10**: fifteen scores are sums over paths.
# * **K11 to K23**: scores that are conserved, or unchanged by a rescaling; A and C must
#   fail both.
# * **K24 to K30**: bounds that hold, one that does not, and one real step.
# * **K31 to K38**: closed forms at initialisation, and what the authors' code computes.
# * **K39, K40**: the trace ranks networks as the tangent kernel's trace does.
# * **K41 to K46** and K10's leaky network: more of the same, added after the runs with
#   their neighbours' thresholds.
#
# Nothing is trained and no data set read; training is for notebook 32. You should know
# the tangent kernel ([02_kernels](02_kernels.ipynb)) and SynFlow
# ([00_tour](00_tour.ipynb)).

# %% [markdown]
# ## Setup

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from paicore import claims, figures, records
from paicore.experiments import paths as study
from paicore.experiments import paths_algebra, paths_scores
from paicore.experiments import paths_tables as tables
from paicore.kernels import ntk, paths
from paicore.masks import Masks

# %% tags=["parameters"]
profile: str = "best"  # best (replay paper, else quick), smoke, quick or paper
recompute: bool = False  # False: draw committed records; True: run, see the cost table
seeds: int = 0  # repetitions; 0 means the profile's own number
device: str = "auto"  # auto, cpu or cuda
only: str = ""  # comma list of method names, to shard long runs

# %% tags=["settings", "nbval-ignore-output"]
settings = records.settings(
    profile=profile, recompute=recompute, seeds=seeds, device=device, only=only
)
print(settings)

# %% tags=["nbval-ignore-output"]
print(f"torch {torch.__version__}, device {settings.device}")

# %% tags=["nbval-check-output"]
figures.theme()
tight = {"rtol": 1e-12, "atol": 1e-12}
shown = {
    name: records.load_or_run(experiment, settings)
    for name, experiment in study.EXPERIMENTS.items()
}
for record in shown.values():
    print(record.message)

# %% [markdown]
# ## The idea on paper
#
# A **path** $p$ runs from one input to one output and takes one weight per layer; where
# there are biases, paths also start at the constant 1 behind each of them. Its strength
# $\pi_p$ is the product of its weights. On an input $x$ it is **open**, $a_p(x) = 1$,
# if every ReLU on its way is on, and else $a_p(x) = 0$. With $s(p)$ the input that it
# starts at, output $k$ is exactly
#
# $$ f_k(x) = \sum_{p \to k} \pi_p \, a_p(x) \, x_{s(p)} . $$
#
# Below is a network small enough to draw: two inputs, two hidden layers of two ReLU
# units, two outputs, no biases. It has 12 weights and 16 paths.

# %%
record = shown["drawn"]
if record.rows is not None:
    fig, axes = plt.subplots(2, 8, figsize=(figures.WIDTH_TWO, 2.7))
    for ax, row in zip(axes.flat, record.rows.itertuples(), strict=True):
        for layer in range(3):
            for a in (0, 1):
                ax.plot((layer, layer + 1), (-a, 0), "0.85", lw=0.8, zorder=0)
                ax.plot((layer, layer + 1), (-a, -1), "0.85", lw=0.8, zorder=0)
        nodes = (row.source, row.hidden_1, row.hidden_2, row.output)
        color = "C0" if row.strength > 0 else "C3"
        ax.plot(range(4), [-node for node in nodes], color=color, lw=2)
        grid = np.repeat(range(4), 2), -np.tile((0, 1), 4)
        ax.scatter(*grid, s=14, c="white", edgecolors="0.4", linewidths=0.8, zorder=3)
        opened = [str(i) for i in (1, 2) if getattr(row, f"open_{i}")]
        below = "open: " + (", ".join(opened) or "never")
        ax.set(title=f"{row.strength:+.3f}", xticks=[], yticks=[], xlabel=below)
        ax.set(xlim=(-0.4, 3.4), ylim=(-1.4, 0.4), frame_on=False)
    figures.save(fig, record)

# %% [markdown]
# **Figure 1.** The whole network is these 16 paths; a hidden unit that is off closes
# all eight through it. Inputs are left, outputs right; the upper row ends at output 1,
# the lower at output 2. Above each panel the strength, blue if positive, red if
# negative; below it on which of the inputs $(1, 2)$ and $(2, 1)$ the path is open.
# Quick profile. *Alt text: sixteen drawings of a network with four columns of two
# nodes, one path highlighted in each. Four paths are open on both inputs, four on
# neither.*
#
# Now train. A weight moves all paths through it at once. Let $A$ hold the inputs of the
# open paths, $a_p(x) x_{s(p)}$, one row per output of each input, one column per path.
# (In the paper's notation $A$ is $J_\pi^f$, as far as we know.) Let $J$ hold the
# derivatives $\partial \pi_p / \partial \theta_i$: the product of the *other* weights
# of the path, or 0 if $i$ is not on it. Then, as gates do not move under a small step,
#
# $$ f = A \, \pi, \qquad
#    \Theta = \frac{\partial f}{\partial \theta}
#             \frac{\partial f}{\partial \theta}^{\!\top}
#           = A \, \Pi \, A^\top, \qquad \Pi = J J^\top . $$
#
# $\Theta$ is the tangent kernel. $\Pi$ is the **Path Kernel**: the weights and nothing
# else. All data are in $A$.

# %%
if record.rows is not None:
    parts = tables.matrices(record)
    names = ("A: 4 outputs, 16 paths", "Path Kernel", "tangent kernel")
    options = {"gridspec_kw": {"width_ratios": (4, 4, 1.6)}}
    fig, axes = plt.subplots(1, 3, figsize=(figures.WIDTH_TWO, 2.5), **options)
    for ax, matrix, name in zip(axes, parts, names, strict=True):
        top = np.abs(matrix).max()
        image = ax.imshow(matrix, cmap="RdBu", vmin=-top, vmax=top)
        fig.colorbar(image, ax=ax, shrink=0.6, pad=0.03)
        ax.set(title=name, xticks=[], yticks=[])
    axes[1].axhline(7.5, color="0.3", lw=0.6)
    axes[1].axvline(7.5, color="0.3", lw=0.6)
    figures.save(fig, record, "matrices")

# %% [markdown]
# **Figure 2.** Paths overlap in the Path Kernel when they share weights, also across
# outputs. $A$, $\Pi$ and $A \Pi A^\top$ of the network of Figure 1, in its order of
# paths; rows of $A$ are input 1 with both outputs, then input 2. Lines separate the
# outputs. Blue is positive, red negative, white zero; quick profile. *Alt text: three
# matrices as colours. The Path Kernel has a strong diagonal, blocks near it, and weaker
# stripes across outputs.*

# %% [markdown]
# ## By hand: the network is its paths
#
# The same network, live. `paths.enumerate` makes the list by walking the unrolled
# network, one path at a time.

# %% tags=["nbval-check-output"]
net, x = paths_algebra.drawn_network(study.SMOKE["drawn"])
listed = paths.enumerate(net, (2,))
A, J, pi = listed.activations(x), listed.jacobian(), listed.products()
print(f"{len(listed)} paths; the first: {listed.describe(0)}")
torch.testing.assert_close((A @ pi).view(2, 2), net(x).detach(), **tight)
for k, values in enumerate((A @ pi).view(2, 2).tolist(), 1):
    print(f"input {k}: outputs", *(f"{v:.4f}" for v in values))
Theta = A @ J @ J.T @ A.T
gram = ntk.gram(net, x).permute(0, 2, 1, 3).reshape(4, 4)
torch.testing.assert_close(Theta, gram, **tight)
print("tangent kernel, the same from ntk.gram:")
for row in Theta.tolist():
    print(*(f"{v:9.4f}" for v in row))

# %% [markdown]
# The list grows exponentially with depth, but its sums do not need it. Feed ones into
# the network with every weight squared: what comes out is $R_2 = \sum_p \pi_p^2$. Its
# derivative in $\theta_i^2$ is the sum over the paths through $i$ of the squared other
# weights,
#
# $$ T_i = \sum_{p \ni i} \Bigl(\frac{\partial \pi_p}{\partial \theta_i}\Bigr)^2, \qquad
#    \operatorname{tr} \Pi = \sum_i T_i . $$
#
# So one backward pass gives the trace of a kernel between all paths.

# %% tags=["nbval-check-output"]
squares = [(w**2).detach().requires_grad_() for w in net.parameters()]
state = torch.ones(2, dtype=torch.float64)
for weight in squares:  # linear: with squares and ones no unit is ever off
    state = weight @ state
R2 = state.sum()
T = torch.cat([g.flatten() for g in torch.autograd.grad(R2, squares)])
Pi = listed.kernel()
assert abs(T.sum() - Pi.trace()) < 1e-12 and abs(R2 - (pi**2).sum()) < 1e-12
print(f"R_2: by the list {(pi**2).sum():.6f}, by one pass {R2:.6f}")
print(f"trace: by the list {Pi.trace():.6f}, by one backward pass {T.sum():.6f}")
print(f"paths.trace {paths.trace(net, (2,)):.6f}")
values, top = torch.linalg.eigvalsh(Pi).flip(0), paths.eigenvalues(net, (2,), top=3)
print("largest eigenvalues by the list:", *(f"{v:.6f}" for v in values[:3].tolist()))
print("by Hessian-vector products:     ", *(f"{v:.6f}" for v in top.values.tolist()))
rank = int((values > 1e-12).sum())
print(f"rank by the list {rank}, by counting {paths.rank(net, (2,))}")

# %% [markdown]
# The rank is 8 though there are 12 weights and 16 paths: each of the four hidden units
# can have its incoming weights doubled and its outgoing ones halved, and no path
# notices.
#
# One step of gradient descent now moves the outputs by $-\eta A \Pi A^\top g$, with $g$
# the loss's slope in the outputs, up to terms of second order: half the step, a quarter
# of the residual, as long as no unit switches.

# %% tags=["nbval-check-output"]
logits = net(x)
loss = cross_entropy(logits, torch.tensor([0, 1]))
g, *slopes = torch.autograd.grad(loss, [logits, *net.parameters()])
push, last = (Theta @ g.flatten()).view(2, 2), None
for rate in (0.08, 0.04, 0.02, 0.01):
    moved, _ = paths_algebra.drawn_network(study.SMOKE["drawn"])
    for w, slope in zip(moved.parameters(), slopes, strict=True):
        w.data -= rate * slope
    same = torch.equal(paths.enumerate(moved, (2,)).activations(x), A)
    residual = float((moved(x) - logits + rate * push).detach().norm())
    text = "" if last is None else f", previous / this {last / residual:.2f}"
    print(f"step {rate}: no gate moved {same}, residual {residual:.3g}{text}")
    last = residual

# %% [markdown]
# ## By hand: one table for all scores
#
# Take any function $R$ of the network and score a weight by
# $\theta_i \, \partial R / \partial \theta_i$. If $R$ sees the weights only through
# paths, the chain rule makes that the sum of $\pi_p \, \partial R / \partial \pi_p$
# over the paths $p \ni i$ through the weight. Scores then differ in their $R$. Let
# $SF_i$ be the sum of $|\pi_p|$ over the paths through $i$, $D_i$ that of $\pi_p^2$,
# and $u = \partial L / \partial \pi = A^\top g$ the slope of the loss in the paths.
# Below, sums on the left run over all paths, those on the right over those through $i$.
#
# | score | $R$ | over paths | data |
# |---|---|---|---|
# | magnitude | $\frac12 \sum_i \theta_i^2$ | each weight is its own path | no |
# | SNIP | loss $L$ | $\lvert \sum \pi_p u_p \rvert$ | yes |
# | GraSP | $\frac12 \lVert\nabla L\rVert^2 = \frac12 u^\top \Pi u$ | both move | yes |
# | SynFlow | $\sum \lvert\pi_p\rvert$ | $SF_i$ | no |
# | SynFlow-Dist | $\sum \lvert\pi_p\rvert \, w_s$ | $SF_i$, weighted by $w_s$ | mean |
# | SynFlow-L2, A | none | $SF_i \, \lvert\theta_i\rvert$ | no |
# | SynFlow-L2, B | none | $SF_i^2$ | no |
# | SynFlow-L2, C | none | $D_i / \lvert\theta_i\rvert$ | no |
# | SynFlow-L2, D | $\frac12 \sum \pi_p^2$ | $D_i$ | no |
# | SynFlow-L2, E | none | loss of trace without $i$ | no |
# | L2-Dist | $\frac12 \sum \pi_p^2 \, w_s$ | $D_i$, weighted by $w_s$ | mean |
# | gated L2 (ours) | $\frac12 \sum_x \sum a_p x_s^2 \pi_p^2$ | $D_i$, if open | yes |
# | PX | bound on $\operatorname{tr} \Theta$ | $D_i$ times what is open | yes |
# | PX, all ones | $\frac c2 \sum \pi_p^2$ | $c \, D_i$ | $c$ only |
# | PX, exact | none | $\theta_i^2$ times squared slopes | yes |
#
# GraSP's $\Pi$ and $u$ both depend on the weight; $w_s$ is the mean of the input that a
# path starts at, or of its square. Magnitude's $R$ is no function of the paths. Of the
# five formulas called SynFlow-L2, A to C are in public code, D is what the recipe
# gives, and E is the true loss of trace.
#
# Each row on the network of Figure 1: the library's score against the sum over the
# list.

# %% tags=["nbval-check-output"]
y, raw = torch.tensor([0, 1]), x.abs()
one = paths_scores.Listed(net, (2,), x, y, raw)
print(f"{'':14}" + "".join(f"{f'weight {i}':>12}" for i in (1, 5, 9)))
for name in paths_scores.ROWS:
    assert paths_scores.off(name, one) < 1e-12, name
    ours = paths_scores.library(name, one)
    print(f"{name:14}" + "".join(f"{float(ours[i]):12.4g}" for i in (0, 4, 8)))
print("all rows equal their sums over paths")
dense, lost = Masks.dense(net), []
for name, mask in dense.items():
    for at in mask.nonzero().tolist():
        fewer = {key: each.clone() for key, each in dense.items()}
        fewer[name][tuple(at)] = False
        left = paths.enumerate(net, (2,), masks=fewer).jacobian()
        lost.append(float(Pi.trace() - (left**2).sum()))
deleted = torch.tensor(lost, dtype=torch.float64)
torch.testing.assert_close(deleted, paths_scores.library("l2_E", one), **tight)
print("E is the trace lost by deleting the weight")

# %% [markdown]
# ## By hand: a bound that holds, and one that does not
#
# Let $\nu_k$, $\sigma_k$ and $\lambda_k$ be the eigenvalues of $\Theta$, $A A^\top$ and
# $\Pi$, largest first. Larger $\nu$ mean faster training, and one would like to bound
# them by data times weights. What holds is
#
# $$ \nu_{i+j-1} \le \sigma_i \lambda_j \quad (1), \qquad
#    \sum_{k \le m} \nu_k \le \sum_{k \le m} \sigma_k \lambda_k \quad (2). $$
#
# What does not hold is the tempting $\nu_k \le \sigma_k \lambda_k$ for each $k$. Two
# diagonal matrices are enough: the strong direction of one meets the weak one of the
# other.

# %% tags=["nbval-check-output"]
strong, weak = torch.tensor([[1.0, 0.1], [0.1, 1.0]], dtype=torch.float64)
a, j = torch.diag(strong), torch.diag(weak.sqrt())
nu, sigma, lam = (torch.linalg.svdvals(m) ** 2 for m in (a @ j, a, j))
for k in (0, 1):
    print(f"nu_{k + 1} {nu[k]:.3f}, sigma_{k + 1} lambda_{k + 1}", end=" ")
    print(f"{sigma[k] * lam[k]:.3f}, bound (1) {sigma[0] * lam[k]:.3f}")
print(f"sum: nu {nu.sum():.3f}, bound (2) {(sigma * lam).sum():.3f}")
assert nu[1] > 9 * sigma[1] * lam[1]

# %% [markdown]
# ## Experiment 1: identities on seven networks
#
# Biases, leaky ReLU, strides, pooling, batch norm and residual sums each have their own
# rule. A constant on an edge (an average over $n$ values is $1/n$) belongs to $\pi_p$
# and must be squared where weights are; max pooling sums over its window and gates it
# by the winner; batch norm in mode "eval" is a constant, a gain and two biases. We
# expect rounding everywhere.

# %% tags=["nbval-check-output"]
print("largest difference from the list of paths, relative, over n draws")
columns = ("output", "kernel", "trace", "sums", "gram", "top", "activity")
print(tables.worst(shown["algebra"], columns))
if shown["algebra"].rows is not None:
    counts = shown["algebra"].rows.groupby("method")["paths"].first().astype(int)
    print("paths:", counts.to_dict())

# %% [markdown]
# All is rounding (below $10^{-14}$), 4.22e-15 at most (K1 to K6, K45). "sums" is the
# worst of $SF$, $D$ and $T$; "gram" is $J^\top J$ from Hessian-vector products, "top"
# its three largest eigenvalues, "activity" the norm of $A$ from a network of ones.
#
# ## Experiment 2: spectrum and rank
#
# $\Pi$ has as many rows as paths, $J^\top J$ as many as weights, and both have the same
# eigenvalues but for zeros. No weight is on a path twice, so products with $J^\top J$
# cost one Hessian-vector product of $R_2$, and Lanczos finds the top. The end is a
# count: each hidden unit gives one direction of rescaling that moves no path, so
#
# $$ \operatorname{rank} \Pi = (\text{weights and biases on a path})
#    - (\text{hidden units on a path}) . $$
#
# Under a mask a weight into a unit that leads nowhere counts for nothing. The naive
# count, surviving parameters less all hidden units, forgets it.

# %%
record = shown["spectrum"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 3, figsize=(figures.WIDTH_TWO, 2.3), sharey=True)
    rows = record.rows[record.rows["seed"] == 0]
    for ax, density in zip(axes, record.config.densities, strict=True):
        part = rows[rows["density"] == density]
        floor = part["enumerated"].clip(lower=1e-20)
        number = part["step"] + 1
        ax.semilogy(number, floor, "C0.", ms=3, label="list of paths")
        ax.semilogy(number, part["lanczos"], "ko", mfc="none", ms=5, label="Lanczos")
        counted = part["counted"].iloc[0]
        ax.axvline(counted + 0.5, color="C3", lw=0.9, label="counted rank")
        ax.set(title=f"{density:.0%} of the weights", xlabel="eigenvalue number")
    axes[0].set_ylabel("eigenvalue")
    axes[0].legend(loc="lower left")
    figures.save(fig, record)

# %% [markdown]
# **Figure 3.** The spectrum drops to rounding exactly where the count says, and Lanczos
# finds its top. MLP 6-8-6-3 with biases, one draw per panel, quick profile; values
# below $10^{-20}$ are drawn there; Lanczos was asked for eight. *Alt text: three panels
# of eigenvalues on a logarithmic axis. They fall over some decades, then by more than
# ten at a vertical line, at a smaller number the fewer weights are kept.*

# %% tags=["nbval-check-output"]
print("counts that equal the rank of the listed Jacobian, of n masked networks")
print(tables.ranks(shown["rank"]))

# %% [markdown]
# The count is right on all 144 networks (K7), the naive one wrong on 79 of the 108
# pruned ones (K8). The count also bounds the rank of every tangent kernel
# (K9). The last column says how often 60 random inputs reach it: on 39 of the
# 144, and once on the 48 residual ones. A unit that is off on all inputs, for one, adds
# nothing.
#
# ## Experiment 3: the table of scores
#
# The fifteen scores again, on larger networks.

# %% tags=["nbval-check-output"]
print("largest difference of a score from its sum over paths, relative")
print(tables.spread(shown["scores"], "off"))

# %% [markdown]
# All rows agree, to 1.44e-15 (K10). "px" is PX as released, with a classifier that is
# neither squared nor set to one. "px_ones" treats it as the other layers: a
# constant $c$ times D. So here, with dense masks and neither batch norm
# nor pooling, the released score differs from D by its classifier alone.
#
# ## Experiment 4: two laws
#
# Every path that enters a hidden unit leaves it. So a sum over the paths through a
# weight is **conserved**: the weights into a unit carry what those out of it carry. And
# products of paths do not notice a **rescaling** of hidden units. SF and D obey both
# laws. A and C multiply or divide by a single $|\theta_i|$ and should fail both. E sums
# derivatives over paths: conserved, yet not invariant. Nor is the trace, though the
# function is (K46).

# %% tags=["nbval-check-output"]
print("relative gaps and changes, least to greatest over networks and n draws;")
print("overlap: with SynFlow's mask of 30 % of the weights, one round")
print(tables.laws(shown["laws"]))

# %% [markdown]
# Conservation holds where expected (K11 to K13, K41 to K43), with biases once a unit's
# own bias counts as an input (`synflow_biases`, `l2_D_biases`), and A and C fail both
# laws in every draw. B is the square of SF: not conserved, but with SynFlow's order and
# masks (K23). Its overlaps below 1 come from the second network: at max pooling SynFlow
# passes on the maximum, as its authors do, and our L2 scores sum over the window, as
# paths do. Conservation protects SynFlow from emptying a layer early. D inherits the
# argument, A and C do not.
#
# ## Experiment 5: bounds at random
#
# Random small networks, four random inputs, and pairs of Gaussian matrices beside them.
# A share above 1 breaks the bound.

# %% tags=["nbval-check-output"]
print(tables.bounds(shown["bounds"]))
print("trace bounds over the tangent kernel's trace")
print(tables.looseness(shown["bounds"]))

# %%
record = shown["bounds"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.6))
    rows = tables.alive(record.rows)
    for k, name in enumerate(record.config.methods):
        part = rows[rows["method"] == name]
        jitter = k + np.linspace(-0.25, 0.25, len(part))
        axes[0].semilogy(jitter, part["px"] / part["tangent"], ".", ms=3)
        axes[1].semilogy(jitter, part["index"], ".", ms=3)
    for ax in axes:
        ax.set_xticks(range(len(record.config.methods)), record.config.methods)
        ax.axhline(1, color="0.4", lw=0.8, zorder=0)
    axes[0].set_ylabel("coarsest bound / trace")
    axes[1].set_ylabel("largest $\\nu_k / (\\sigma_k \\lambda_k)$")
    figures.save(fig, record)

# %% [markdown]
# **Figure 4.** The bounds of the trace hold and are loose, and the product of equal
# indices fails on one random network of 239. Left how many times the last of the bounds
# below is too large; right the largest $\nu_k / (\sigma_k \lambda_k)$, broken above the
# line. Dots are 60 networks or pairs (59 for `mlp`: one is off on all inputs); quick
# profile. *Alt text: two panels of dots in five columns. Left all lie above 1, conv
# around a thousand, matrices below ten. Right networks lie no higher than 1 but for one
# of masked, all matrices above.*
#
# Bounds (1) and (2) hold everywhere (K24, K25), and so do those of the trace (K26),
#
# $$ \operatorname{tr} \Theta \le \sum_k \sigma_k \lambda_k
#    \le \sigma_1 \operatorname{tr} \Pi
#    \le \lVert A \rVert_F^2 \operatorname{tr} \Pi , $$
#
# the columns of the second table; the last is PX's. The product of equal indices is
# broken by one masked network, by 13 % (K27), and by every pair of Gaussian matrices,
# up to a factor of 33.2. The coarsest bound is 148 times too large on the median
# bias-free MLP and 1.37e+03 times on the median convolution (K28, K29).
#
# ## Experiment 6: closed forms at initialisation
#
# For independent weights of mean zero and variance $v_l$ in layer $l$, the expectation
# of a squared path product is a product of variances, and
#
# $$ \mathbb E \operatorname{tr} \Pi
#    = n_L \prod_l n_{l-1} v_l \; \sum_l \frac{1}{v_l} . $$
#
# He's initialisation makes it grow like $2^L$, PyTorch's default shrink like $3^{-L}$,
# so traces of different depth or initialisation cannot be compared. We draw the fully
# connected networks of the authors' code: six layers, 784 inputs, 10 outputs. The third
# line per network has biases and adds up the trace as that code does.

# %% tags=["nbval-check-output"]
print(tables.expectations(shown["expectation"]))

# %%
record = shown["expectation"]
if record.rows is not None:
    size = (figures.WIDTH_TWO, 2.3)
    fig, axes = plt.subplots(1, 3, figsize=size, sharey=True)
    for ax, variant in zip(axes, record.config.variants, strict=True):
        for k, name in enumerate(record.config.methods):
            chosen = (record.rows["method"] == name) & (
                record.rows["variant"] == variant
            )
            share = record.rows[chosen]["trace"] / record.rows[chosen]["expected"]
            n = len(share)
            ax.plot(k + np.linspace(-0.25, 0.25, n), share, ".", ms=3)
            error = share.std() / n**0.5
            ax.errorbar(k, share.mean(), 3 * error, fmt="ks", ms=3, capsize=3)
        ax.axhline(1, color="0.4", lw=0.8, zorder=0)
        ax.set_xticks(range(len(record.config.methods)), record.config.methods)
        ax.set(title=variant.replace("_", ", "))
    axes[0].set_ylabel("trace / closed form")
    figures.save(fig, record)

# %% [markdown]
# **Figure 5.** On all nine lines the mean trace lies within three standard errors of
# the closed form (K31 to K33), 2.46 at most. Dots are 30 draws over their closed form,
# squares their mean with three standard errors. Quick profile. *Alt text: three panels,
# each with three columns of dots around 1, narrower from fc_100 to fc_1000. The bars of
# all squares reach the line.*
#
# The authors' trace function squares the parameters and runs the network as it is.
# Constants stay unsquared: ResNet-20 ends with an average over $8 \times 8$ values,
# whose $1/64$ should be $1/64^2$. And max pooling of squares keeps one path of each
# window instead of all.

# %% tags=["nbval-check-output"]
print(tables.poolings(shown["pooling"]))

# %% [markdown]
# With an epsilon of 0 in batch norm the ratio on ResNet-20 is 64 over the weights (K34)
# and 63.9999997 over all parameters (K35): the last bias escapes the factor. As built
# it is 64.0050361, because only one of them squares the epsilon (K36). The exact trace,
# 1.94e+09, agrees with an earlier mean of three draws, 1.73e9 (K37), but loosely: its
# standard deviation over draws is 2.61e+08. On VGG-11 the authors' trace is one 35th of
# the exact one (K38): the maximum loses more than the average adds. So it cannot
# compare a ResNet with a VGG.
#
# ## Experiment 7: does the trace rank networks?
#
# If the bounds are so loose, the trace of $\Pi$ is of use as a *rank*, if at all. We
# draw 40 networks 10-20-20-4 and compare the orders of both traces, on the same 16
# inputs. Networks differ by scales of their layers, or by random masks of random
# density; as controls by masks of one density, or by nothing but a new draw.

# %%
record = shown["ranking"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 4, figsize=(figures.WIDTH_TWO, 2.2))
    titles = {"scales": "layer scales", "masks": "random densities",
              "fixed": "one density", "draws": "new draws"}  # fmt: skip
    for ax, name in zip(axes, record.config.methods, strict=True):
        part = record.rows[record.rows["method"] == name]
        for seed, points in part.groupby("seed"):
            color = f"C{seed}"
            ax.plot(points["path"], points["tangent"], ".", ms=3, color=color)
        if name in ("scales", "masks"):
            ax.set(xscale="log", yscale="log")
        ax.set(title=titles[name], xlabel="trace of $\\Pi$")
    axes[0].set_ylabel("trace of $\\Theta$")
    figures.save(fig, record)

# %% [markdown]
# **Figure 6.** Both traces order networks alike when scale or density varies, and only
# loosely when nothing but the draw does. A dot is a network, a colour one of five
# draws; the left two panels have logarithmic axes, on which two masked networks with a
# tangent kernel of zero are missing. Quick profile. *Alt text: four panels of dots. For
# layer scales and random densities they rise along a narrow band; for one density and
# for new draws they form a cloud that rises slightly.*

# %% tags=["nbval-check-output"]
print("rank correlation of the tangent kernel's trace, range over n draws")
print(tables.rankings(shown["ranking"]))

# %% [markdown]
# With layer scales the correlation is 0.958 to 0.993 (K39), with random masks 0.979 to
# 0.987 (K40). But for masks the density alone reaches 0.964 to 0.975. At one density
# 0.449 to 0.723 are left, and 0.336 to 0.760 between plain draws. So most of what the
# trace knows here is how large and how dense a network is. Notebook 32 asks
# whether the rest bears on training.
#
# ## Experiment 8: one real step
#
# The toy's step, on MLPs 6-8-6-3 and from 0.8 downwards, halved each time. If
# the residual is of second order, halving divides it by four. A unit that switches
# should spoil that.

# %% tags=["nbval-check-output"]
print("residual of one step over that of half the step, by whether units switch")
print(tables.steps(shown["steps"]))

# %% [markdown]
# Where no unit switches in either step the ratio is 3.95 to 4, at the smallest step 4
# to within 4.6e-05 (K30). Where some switch it is 2.1 to 182: the identity is one of
# small steps.
#
# ## Paper and measured
#
# Differences are relative.

# %% tags=["nbval-check-output"]
print(claims.table("31_paths", shown))

# %% [markdown]
# All 46 claims hold, as identities must in correct code; K8, K14, K15, K20 to K22 and
# K27 show that the checks can fail. Three are weak: K27 rests on one network of 60, K38
# allows 1 where one 35th is found, and K40 says little, since density alone nearly does
# as well.
#
# ## What differs from the paper and why
#
# * **The paper is unread but for its abstract.** Which scores, which SynFlow-L2 and
#   which bound it prints, we do not know.
# * **SynFlow-L2.** The authors' code has A since 27 September 2020 and had B before
#   (`uditsaxena/Synaptic-Flow`, `Pruners/pruners.py`). C is in
#   `ShreyasMalakarjunPatil/PHEW` (`Prune/synflowl2_utils.py`) and
#   `iurada/px-ntk-pruning` (`lib/pruners.py`); it is the default of `synflow_l2`.
# * **The trace.** `uditsaxena/Synaptic-Flow`, `path_kernel.py`, leaves constants
#   unsquared, and its tracker runs in training mode, where batch norm is no sum over
#   paths. `paths.trace` has `mode="exact"` (default) and `mode="authors"`, both in mode
#   "eval".
# * **Biases.** Data-free scores here leave them out; the authors' code keeps them.
#   Traces keep them unless said otherwise.
# * **Networks.** The authors' identity shortcuts are parameters of ones and enter their
#   trace; ours are none. Our VGG-11 has batch norm, their `vgg11` has not.
#
# ## Exercises
#
# 1. Set one weight of the drawn network to zero without masking it. Which of $SF$, $D$
#    and $T$ of that weight vanish? Why is $T$ alone a bad score?
#
# ## References
#
# * Thomas Gebhart, Udit Saxena, Paul Schrater: *A unified paths perspective for pruning
#   at initialization*. 2021. [arXiv 2101.10552](https://arxiv.org/abs/2101.10552).
#   Code: [uditsaxena/Synaptic-Flow](https://github.com/uditsaxena/Synaptic-Flow).
# * Hidenori Tanaka and others: *Pruning neural networks without any data by iteratively
#   conserving synaptic flow*. NeurIPS 2020.
#   [arXiv 2006.05467](https://arxiv.org/abs/2006.05467)
# * PX: Leonardo Iurada, Marco Ciccone, Tatiana Tommasi, CVPR 2024,
#   [arXiv 2406.01820](https://arxiv.org/abs/2406.01820).
# * PHEW: Shreyas Malakarjun Patil, Constantine Dovrolis, ICML 2021,
#   [arXiv 2010.11354](https://arxiv.org/abs/2010.11354).
