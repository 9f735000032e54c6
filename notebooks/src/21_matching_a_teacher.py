# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Matching a teacher: Neural Tangent Transfer and its two kernels
#
# Tianlin Liu and Friedemann Zenke, *Finding trainable sparse networks through Neural
# Tangent Transfer*, ICML 2020, [arXiv 2006.08228](https://arxiv.org/abs/2006.08228).
# In our words: a sparse network that starts with the outputs and the tangent kernel of
# a dense one should train like it, and both can be matched before any label is seen.
#
# | profile | data and networks | machine | time | memory |
# |---|---|---|---|---|
# | replay (default) | committed records, digits | 1 CPU core | 10 s | 1 GB |
# | `smoke` | digits, MLP 64-16-8 | 1 CPU core | 30 s | 1 GB |
# | `quick` | digits and MNIST, LeNet-300-100 | 1 CPU core | 1.5 h | 2 GB |
# | `paper` | `quick` with more seeds, LeNet-5 | 1 GPU | 11 h (estimate) | 8 GB |

# %% [markdown]
# ## What we check
#
# Nearly all that is public about this paper is its abstract, the authors' blog and
# their code; the printed pages are mostly unread here. So "paper" below means one of
# four things, and each claim has its letter: the abstract or the blog (R), the code
# (C), the log that the authors left in their demo notebooks (L, no paper), or a check
# that we derived and wrote down before the runs (D).
#
# * **K1, K2**: the released settings keep 7,983 weights, and these have the sum of
#   squares that the log shows.
# * **K3 to K7**: the transfer ends where the log's two runs end; that is, they lie in
#   the interval in which one more run of ours should lie.
# * **K8, K9**: both distances fall early.
# * **K10**: the kernel that the released code matches is not the one that trains.
# * **K11 to K26**: on zeros and ones of the digits, a student matched in the *masked*
#   kernel follows its teacher during training, on matched and on held-out images.
# * **K27 to K29**: the same on MNIST, and the authors' toy figure.
# * **K30 to K34**: on the released run's own random draws, our code repeats its log.
#
# You should know the tangent kernel ([02_kernels](02_kernels.ipynb)). Whether matching
# helps accuracy is the subject of notebooks 22 and 23.

# %% [markdown]
# ## Setup

# %%
from functools import partial

import matplotlib.pyplot as plt
import torch
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy, one_hot

from paicore import claims, figures, nets, prune, records, transfer
from paicore.experiments import matching_a_teacher as matching
from paicore.experiments import matching_a_teacher_tables as tables
from paicore.kernels import ntk
from paicore.masks import Masks
from paicore.seeds import generator

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
faint = {"marker": ".", "ls": "none", "ms": 3, "alpha": 0.35}  # single seeds
shown = {
    name: records.load_or_run(experiment, settings)
    for name, experiment in matching.EXPERIMENTS.items()
}
for record in shown.values():
    print(record.message)

# %% [markdown]
# ## The idea on paper
#
# Train a network $f$ by small steps of gradient descent. Its outputs then move by
#
# $$ \Delta f \approx -\eta \, K \, \frac{\partial L}{\partial f}, \qquad
#    K = \sum_{\text{trained } j} \frac{\partial f}{\partial \theta_j}
#        \frac{\partial f}{\partial \theta_j}^{\!\top} . $$
#
# Two networks with equal outputs at the start and equal kernels $K$ make the same first
# step, whatever the labels are. If $K$ changes little on the way, they end at the same
# function. So take a dense network at its random initialisation, the **teacher**
# $\theta$, and look for a sparse **student** $m \odot \tilde\theta$ with the same
# outputs and the same kernel. The released code minimises, over batches without labels,
#
# $$ \lambda_K \, \operatorname{mean} (K_s - K_t)^2
#    + \operatorname{mean} (f_s - f_t)^2
#    + \frac{\lambda_2}{d} \sum_l \| m_l \odot W_l \|^2 . $$
#
# Here $d$ is the density. The kernel is a cross block: the first half of the batch
# against the second, all pairs of outputs. The third term is not in the form in which
# the method is commonly stated, but it is in all released runs.
#
# Every 100 steps the mask is drawn again: the largest $|\tilde\theta|$ of each layer
# stay. Pruned weights get no gradient, yet they come back. Say a layer keeps two of the
# weights 0.9, -0.5, 0.4, 0.1. Training shrinks the -0.5 to -0.3. At the next update 0.4
# is larger, and returns with the value that it had at first. What never returns in
# other methods must be able to return here.
#
# **Which kernel?** The network computes $f(x, p)$ at $p = m \odot \tilde\theta$. Two
# sums are possible:
#
# | kernel | sum over | meaning |
# |---|---|---|
# | masked | weights that are kept, and biases | how the sparse network trains |
# | ambient | all weights and biases | the dense architecture's, at a sparse point |
#
# The supervised phase trains kept weights only, so the argument above needs the masked
# kernel. The released code computes the ambient one (`nt_transfer/ntt.py` of
# [the repository](https://github.com/fmi-basel/neural-tangent-transfer)): its kernel
# function is made from the network without masks and is given masked weights. Which one
# the paper's equations mean is open. `paicore.transfer` has both behind `tangent=`, and
# the log of each run holds both distances.

# %% [markdown]
# ## By hand: both kernels in closed form
#
# A Linear layer has inputs $a$ and backward signals $\delta$, the derivatives of the
# outputs in its units. The gradient in the weight from input $i$ to unit $o$ is
# $\delta_o a_i$, so the ambient kernel of a layer factors into one product. In the
# masked kernel each unit $o$ has its own kept inputs $S_o$, hence its own Gram matrix:
#
# $$ K_{\text{ambient}} = (a \cdot a' + 1)(\delta \cdot \delta'), \qquad
#    K_{\text{masked}} = \sum_o \Bigl(\sum_{i \in S_o} a_i a'_i + 1\Bigr)
#    \delta_o \delta'_o . $$
#
# The 1 is the bias, which is never pruned. We compare with the definition: the masked
# kernel differentiates $f(m \odot \theta)$ in $\theta$, the ambient one $f(p)$ in $p$,
# at $p = m \odot \theta$.


# %%
def draw(*shape, name):
    """Return made inputs, the same on every machine."""
    g = generator(0, "matching", name)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


made = {"classes": 2, "in_shape": (5,), "bias_init": "torch", "dtype": torch.float64}
g = generator(0, "matching", "by hand")
net = nets.build("mlp", width=6, depth=2, generator=g, **made)
masks = prune(net, "magnitude", density=0.4)
masks.apply_(net)
x = draw(3, 5, name="inputs")  # (n, inputs)
hidden = net.fc1(x).relu().detach()  # (n, 6)
last = torch.eye(2, dtype=torch.float64).expand(3, 2, 2)  # (n, k, k)
first = net.fc2.weight.detach() * (hidden > 0)[:, None]  # (n, k, 6)
closed = {"masked": 0, "ambient": 0}
for name, a, delta in (("fc1.weight", x, first), ("fc2.weight", hidden, last)):
    signals = torch.einsum("nio,mjo->nmijo", delta, delta)
    mask = masks[name].double()
    for tangent, kept in (("masked", mask), ("ambient", torch.ones_like(mask))):
        inputs = torch.einsum("ni,mi,oi->nmo", a, a, kept) + 1  # one Gram per unit
        part = torch.einsum("nmo,nmijo->nmij", inputs, signals)
        closed[tangent] = closed[tangent] + part

# %% tags=["nbval-check-output"]
theta = {name: p.detach() for name, p in net.named_parameters()}


def masked_outputs(values):
    """Return f(m * theta), a function of theta."""
    chosen = {name: v * masks.get(name, 1) for name, v in values.items()}
    return functional_call(net, chosen, (x,))


outputs = partial(functional_call, net, args=(x,))  # f(p), a function of p
for tangent, function in (("masked", masked_outputs), ("ambient", outputs)):
    rows = [j.flatten(2) for j in jacrev(function)(theta).values()]  # (n, k, P)
    defined = sum(torch.einsum("nip,mjp->nmij", j, j) for j in rows)
    gram = ntk.gram(net, x, masks=masks, tangent=tangent)
    equal = [torch.allclose(k, gram, rtol=1e-12) for k in (closed[tangent], defined)]
    block = gram[0, 1].flatten().tolist()  # inputs 1 and 2, all pairs of outputs
    print(f"{tangent:8} K(x1, x2) =", *(f"{value:.4f}" for value in block))
    print(f"{'':8} closed form, definition and ntk.gram are equal: {all(equal)}")
    assert all(equal)

# %% [markdown]
# Both traces are sums of squares, and the ambient one has more of them: it can only be
# larger. The difference is exactly what the pruned weights would do if they moved.
#
# ## By hand: which kernel moves the network?
#
# One real step of gradient descent in which pruned weights stay at zero, and what each
# kernel predicts for it. A prediction of first order must improve with the step size.

# %% tags=["nbval-check-output"]
g = generator(0, "matching", "one step")
net = nets.build("mlp", width=20, depth=3, generator=g, activation="tanh", **made)
masks = prune(net, "magnitude", density=0.1)
masks.apply_(net)
x, y = draw(6, 5, name="step"), torch.tensor([0, 1, 0, 1, 1, 0])
before = net(x)
slopes = torch.autograd.grad(cross_entropy(before, y), list(net.parameters()))
push = (before.softmax(1) - one_hot(y, 2)).detach() / 6  # of the mean cross-entropy
pairs = list(zip(net.named_parameters(), slopes, strict=True))
print("relative error of the predicted change of the outputs")
for rate in (0.1, 0.01, 0.001):
    moved = {n: p - rate * masks.get(n, 1) * slope for (n, p), slope in pairs}
    change = (functional_call(net, moved, (x,)) - before).detach()
    print(f"step size {rate:<6g}", end="")
    for tangent in ("masked", "ambient"):
        predicted = -rate * ntk.matvec(net, x, push, masks=masks, tangent=tangent)
        error = float((predicted - change).norm() / change.norm())
        print(f"  {tangent} {error:.3g}", end="")
    print()

# %% [markdown]
# The masked kernel's error falls with the step size, the ambient kernel's does not: it
# counts weights that stand still. A student that matches its teacher's kernel in the
# ambient sense is promised nothing about its training.
#
# ## By hand: the objective
#
# The objective on eight made inputs, in plain torch around `ntk.gram`, must be the
# first row of the log of `neural_tangent_transfer`. Its gradient must vanish on pruned
# weights. And without pruning there is nothing to do: the teacher is its own student.

# %% tags=["nbval-check-output"]
g = generator(0, "matching", "objective")
net = nets.build("mlp", width=6, depth=2, generator=g, **made)
x, d = draw(8, 5, name="batch"), 0.3


def objective(masks, values):
    """Return the loss of a student: kernel, output and L2 term."""
    weights = {name: v * masks.get(name, 1) for name, v in values.items()}
    mine = ntk.gram(net, x[:4], x[4:], masks=masks, at=values)
    gap = mine - ntk.gram(net, x[:4], x[4:])
    away = functional_call(net, weights, (x,)) - net(x).detach()
    l2 = sum(weights[name].square().sum() for name in masks)
    return 1e-3 * gap.square().mean() + away.square().mean(), 1e-4 / d * l2


values = {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}
masks = prune(net, "magnitude", density=d, scope="layerwise")
loss = sum(objective(masks, values))
grads = torch.autograd.grad(loss, list(values.values()))
loss, grads = float(loss.detach()), dict(zip(values, grads, strict=True))
pruned = max(float(grads[name][~mask].abs().max()) for name, mask in masks.items())
run = transfer.neural_tangent_transfer(
    net, x, density=d, generator=g, steps=1, batch=8, validation=x, dtype=None
)
print(f"loss by hand {loss:.6g}, in the log {run.log[0]['loss']:.6g}")
print("largest gradient of a pruned weight:", pruned)
alone = float(objective(Masks.dense(net), values)[0].detach())
print("teacher as its own student, without L2, has loss 0:", alone < 1e-20)
assert abs(run.log[0]["loss"] / loss - 1) < 1e-12
assert pruned == 0

# %% [markdown]
# The released MLP log begins with these numbers; they fix the weights of the three
# terms.

# %% tags=["nbval-check-output"]
kernel, target, l2, total = 6439.033, 1.022, 82.942, 7.737  # letter L, before step 1
print(f"kernel {kernel}, target {target}, L2 {l2}: total {total} in the log,")
print(f"1e-3 kernel + target + 1e-4 / 0.03 L2 = {kernel / 1e3 + target + l2 / 300:.4f}")

# %% [markdown]
#
# ## Experiment 1: two classes, matched and held out
#
# The authors' blog shows a toy with two classes and two outputs: the dense network's
# outputs draw a path through the plane while it trains; the student's path stays close,
# a randomly pruned network's does not. Density, learning rate and network of that
# figure are unknown. Ours: the digits 0 and 1, an MLP 64-300-100-2, 10 % of the
# weights, plain gradient descent on 240 images. Masked and ambient students are matched
# on these 240 images for 400 steps. Another 120 images are held out: they are neither
# matched nor trained on. We measure
#
# $$ e(t) = \frac{\| f_s(t) - f_t(t) \|}{\| f_t(t) - f_t(0) \|} . $$
#
# A network that does not move has about $e = 1$. We expect masked transfer to stay
# below 0.3. Held-out images decide: matching a kernel on given images is easier than
# matching it.

# %%
record = shown["trajectories"]
if record.rows is not None:
    best, worst = tables.extreme_seeds(record, "ntt_masked", "worst_held")
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.8))
    for ax, seed in zip(axes, (best, worst), strict=True):
        rows = record.rows[record.rows["seed"] == seed]
        for method in ("dense", "ntt_masked", "ntt_ambient", "random"):
            part = rows[rows["method"] == method]
            look = figures.style(method) | {"ms": 3}
            for digit in ("zero", "one"):
                ax.plot(part[f"{digit}_1"], part[f"{digit}_2"], **look)
                look["label"] = None
        ax.set(title=f"seed {seed}", xlabel="output for 0", ylabel="output for 1")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record, "plane")

# %% [markdown]
# **Figure 1.** The masked student goes nearly its teacher's way (black) through the
# plane of the two outputs; the ambient student starts at the same place, falls behind
# and turns, and the random mask hardly moves. Digits, quick profile; outputs averaged
# over held-out zeros (paths to the lower right) and ones (upper left), at steps 0 to
# 60; left the seed with the smallest error of the masked student, right the one with
# the greatest. *Alt text: two panels, each with two black paths from the middle to the
# corners. Solid green ones run along them, on the right with a growing gap; dashed
# green ones stop half-way or turn; the grey ones are points near the middle.*

# %%
if record.rows is not None:
    size = (figures.WIDTH_TWO, 2.5)
    fig, axes = plt.subplots(1, 2, figsize=size, sharey=True)
    for ax, images in zip(axes, ("matched", "held-out"), strict=True):
        column = f"error_{images.removesuffix('-out')}"
        for method, part in tables.methods(record)[1:]:
            part, look = part[part["step"] > 0], figures.style(method)
            look["label"] += f" (n={part['seed'].nunique()})"
            ax.plot(part.groupby("step")[column].mean(), **look)
            ax.plot(part["step"], part[column], color=look["color"], **faint)
        ax.set(xscale="log", xlabel="step", title=f"{images} images")
    axes[0].set(ylabel="relative error e(t)", ylim=(0, 1.5))
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 2.** Masked transfer keeps the student's error near 0.2 through 60 steps, on
# held-out images as on matched ones; ambient transfer comes down to half the way, the
# rivals stay above. Digits 0 and 1, 10 % of the weights, quick profile; mean over n
# seeds, single seeds as faint points; the axis is cut at 1.5.
# *Alt text: two panels of error against step. In both, the solid green line is flat and
# low; the dashed green line falls from 0.9 to 0.5; the others end between 0.7 and 1.*

# %% tags=["nbval-check-output"]
for part in ("matched", "held"):
    print(f"e(t), mean (least to greatest) over the seeds, {part}")
    print(tables.by_step(shown["trajectories"], f"error_{part}"))

# %% [markdown]
# At step 60 the masked student's error on held-out images is 0.207 in the mean, the
# ambient student's 0.538, that of a scaled random network 0.737. Matched images give
# the same. So the match is of the kernel, not of the images.
#
# Two statements fail on both sets of images. In one seed of five the masked error
# reaches 0.310 on the matched images and 0.308 on the others; we had said at most 0.30
# in every run (K11, K16). And we had said at most half of the best rival's error; in
# that seed it is 0.6 of the ambient student's (K12, K17). It is the seed on the right
# of Figure 1: its kernel is as close as in the other seeds, but the paths bend apart
# after ten steps. Equal kernels at the start do not promise equal kernels later.

# %% tags=["nbval-check-output"]
for columns in (
    ("cosine_held", "size_ratio_held"),
    ("masked_share_matched", "masked_share_held"),
    ("ambient_share_matched", "ambient_share_held"),
):
    print("last step, least to greatest over the seeds")
    print(tables.at_end(shown["trajectories"], columns))

# %% [markdown]
# The first block compares how far and where the outputs moved in 60 steps with the
# teacher's move. The others are kernel distances (mean squares) as shares of those of
# the magnitude-pruned network with which both transfers begin, and they show
# the point of this notebook. On held-out images ambient transfer brings the distance it
# minimises to 0.0319 or less, and leaves that of the kernel which trains at 0.717 to
# 0.869. Masked transfer brings the latter to 0.0429 or less; its ambient distance
# *grows*. A small "NTK distance" of the ambient kind says nothing about the dynamics.
#
# The figure does not show longer training. Nor is full-batch gradient descent on a few
# hundred images how anybody trains; notebook 22 uses Adam and minibatches.
#
# ## Experiment 2: the same on MNIST
#
# The data of the authors' toy: the first 250 zeros and 250 ones of MNIST's training
# part, and as many of the test part, here held out. LeNet-300-100 with two outputs,
# learning rate 0.01. The masked student gets 250 steps, the ambient one 400. We expect
# the order of Experiment 1; the inputs are larger, so the kernel moves more.

# %%
record = shown["trajectories_mnist"]
if record.rows is not None:
    size = (figures.WIDTH_TWO, 2.5)
    fig, axes = plt.subplots(1, 2, figsize=size, sharey=True)
    for ax, images in zip(axes, ("matched", "held-out"), strict=True):
        column = f"error_{images.removesuffix('-out')}"
        for method, part in tables.methods(record)[1:]:
            part, look = part[part["step"] > 0], figures.style(method)
            look["label"] += f" (n={part['seed'].nunique()})"
            ax.plot(part.groupby("step")[column].mean(), **look)
            ax.plot(part["step"], part[column], color=look["color"], **faint)
        ax.set(xscale="log", xlabel="step", title=f"{images} images")
    axes[0].set(ylabel="relative error e(t)", ylim=(0, 1.5))
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 3.** On MNIST, too, masked transfer alone brings the outputs to the teacher's
# path, but it needs some ten steps, and more on held-out images. Zeros and ones,
# LeNet-300-100, 10 % of the weights, quick profile; mean over n seeds, single seeds as
# faint points; the axis is cut at 1.5.
# *Alt text: two panels of error against step. The solid green line falls from 0.5 to
# 0.2 on the left and from above 0.8 on the right; all others end above 0.4.*

# %% tags=["nbval-check-output"]
record = shown["trajectories_mnist"]
for part in ("matched", "held"):
    print(f"e(t), mean (least to greatest) over the seeds, {part}")
    print(tables.by_step(record, f"error_{part}"))
print("last step, least to greatest over the seeds")
columns = ("size_ratio_held", "masked_share_held", "ambient_share_held")
print(tables.at_end(record, columns))

# %% [markdown]
# At step 60 the masked student's error on held-out images is 0.213 in the mean, the
# ambient student's 0.582, the random mask's 1.031: the order of the digits, and of the
# authors' toy (K28, K29). Its ambient student would already look good beside a random
# mask; beside its teacher it has gone half the way or less in most seeds.
#
# One claim fails. At step 10 the masked error on held-out images is 0.382 in one seed
# and above 0.30 in another (K27). The errors of the first steps are large because $e$
# divides by a move of the teacher that is still small: what counts there is how well
# the outputs agree before any training, and 500 images of two kinds do not settle that
# for others. On the matched images the bound holds. So here, unlike on the digits, part
# of the match is of the images.
#
# ## Experiment 3: the released loss curves
#
# The authors left two MLP runs in their demo notebook: MNIST, LeNet-300-100, 3 % of the
# weights layer by layer, 18,720 steps of Adam on batches of 64. Distances are taken on
# one block of 32 against 32 held-out images. We run the same settings
# (`transfer.PRESETS["official_mlp"]`) with five teachers of our own, and two of them
# also in the masked tangent, which costs several times as much.

# %%
record = shown["transfer_loss"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.7), sharey=True)
    for ax, tangent in zip(axes, ("ambient", "masked"), strict=True):
        column = f"{tangent}_share"
        for method, part in tables.methods(record):
            look = figures.style(method) | {"marker": None}
            look["label"] += f" (n={part['seed'].nunique()})"
            ax.plot(100 * part.groupby("step")[column].mean(), **look)
            for _, one in part.groupby("seed"):
                ax.plot(one["step"], 100 * one[column], color=look["color"], lw=0.4)
        for k, run in enumerate(tables.released(record, column)):
            points = [100 * share for share in run.values()]
            ax.plot([*run], points, "k" + "os"[k], mfc="none",
                    label=f"released log, run {k + 1}")  # fmt: skip
        ax.set(title=f"{tangent} kernel", xlabel="step", yscale="log")
        ax.set_xscale("symlog", linthresh=100)
        ax.set_xlim(-10, 1.5 * record.rows["step"].max())
    axes[0].set_ylabel("distance, % of start")
    axes[1].legend(*axes[0].get_legend_handles_labels(), loc="upper left")
    figures.save(fig, record)

# %% [markdown]
# **Figure 4.** Each transfer brings down the distance it minimises and no other: the
# ambient one leaves the kernel that trains at three quarters of its distance, the
# masked one sends the ambient distance up. LeNet-300-100 on MNIST, 3 % of the weights,
# quick profile; thick lines the mean over n seeds, thin ones single seeds; hollow
# markers the authors' released log, which holds the ambient distance only.
# *Alt text: two panels of distance against step, both axes logarithmic. Left, the
# dashed line falls from 100 to 11 percent, just above the hollow markers, and the solid
# one rises to over 1,000. Right, the solid line falls, the dashed one hardly does.*

# %% tags=["nbval-check-output"]
for column in ("ambient_share", "masked_share"):
    print(f"{column} in %, mean ±sd over (n) seeds")
    print(tables.beside_the_log(shown["transfer_loss"], column, scale=100))
print("ambient distance itself")
print(tables.beside_the_log(shown["transfer_loss"], "ambient"))

# %% [markdown]
# Here is the gap between the code and the argument in the authors' own setting. The
# quantity that their log calls "NTK distance" falls by an order of magnitude; that of
# the kernel which the supervised phase uses hardly falls (K10).
#
# Our ambient curves have the log's shape, the sharp drop of the first 200 steps
# included, but end at 10.5 % of the start in the mean, not at the log's 6.59 and 6.7 %
# (K3). The last table tells why. Our teachers differ in their starting distance, yet
# all end at nearly the same one: a larger start makes a smaller share. The log's two
# teachers start at about twice our distance. So a share of the start measures the
# teacher as much as the transfer (Experiment 5).

# %%
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.5))
    for ax, column in zip(axes, ("target", "l2"), strict=True):
        for method, part in tables.methods(record):
            look = figures.style(method) | {"marker": None}
            look["label"] += f" (n={part['seed'].nunique()})"
            ax.plot(part.groupby("step")[column].mean(), **look)
            for _, one in part.groupby("seed"):
                ax.plot(one["step"], one[column], color=look["color"], lw=0.4)
        for k, run in enumerate(tables.released(record, column)):
            ax.plot([*run], [*run.values()], "k" + "os"[k], mfc="none",
                    label=f"released log, run {k + 1}")  # fmt: skip
        ax.set_xscale("symlog", linthresh=100)
        ax.set_xlim(-10, 1.5 * record.rows["step"].max())
        ax.set_xlabel("step")
    axes[0].set(yscale="log", ylabel="target distance")
    axes[1].set(ylim=(0, None), ylabel="sum of squared weights")
    axes[1].legend(*axes[0].get_legend_handles_labels(), loc="lower left")
    figures.save(fig, record, "target")

# %% [markdown]
# **Figure 5.** Ambient transfer matches the outputs as well as the released log and
# shrinks its weights a little further; masked transfer gets there on a rougher way.
# As Figure 4: LeNet-300-100 on MNIST, 3 % of the weights, quick profile. Left the
# mean-square distance of the outputs; right the sum of squares of kept weights, with
# the log's first run. *Alt text: two panels against step. Left, dashed
# line and markers fall together from 1 to 0.1, the solid line rises again after step
# 300 before it falls. Right, the dashed line rises to step 100 and falls to a third,
# slightly below the markers; the solid one ends higher.*

# %% tags=["nbval-check-output"]
for column in ("target", "l2", "turnover"):
    print(f"{column}, mean ±sd over (n) seeds")
    print(tables.beside_the_log(shown["transfer_loss"], column))

# %% [markdown]
# "turnover" is the share of kept weights that were not kept at first. Nearly the whole
# mask is exchanged: the transfer does not just tune the values of a magnitude mask. The
# sums of squares before the first step are those of the log up to the draw (K2). That
# confirms two settings at once, the truncated initialisation and the counting rule.

# ## Experiment 4: would the log's runs pass for ours?
#
# Two runs say nothing about the noise between runs. Five of ours do: with mean
# $\bar x$ and standard deviation $s$ of $n$ runs, one more run lies in
# $\bar x \pm t \, s \sqrt{1 + 1/n}$ with a probability of 95 %, where $t$ is the upper
# 2.5 % point of Student's distribution with $n - 1$ degrees of freedom. If the log's
# runs came from the same process as ours, both should lie inside, for the ambient
# distance (as a share of its start) and for the target distance.

# %% tags=["nbval-check-output"]
names = ("ambient_share", "target")
print(tables.interval(shown["transfer_interval"], names))

# %% [markdown]
# For the target distance both of the log's runs lie inside (K6, K7). For the ambient
# share both lie below the lower end, 0.0738 (K4 fails; K5, the other side, holds). By
# this test they are not draws from our process; the next experiment tells why.
#
# ## Experiment 5: the released run, repeated
#
# The demo draws teachers with JAX from keys 1 and 2, validation split and batches with
# NumPy from seeds 9 and 0. JAX's generator is the cipher Threefry, thirty lines of
# NumPy (`paicore/experiments/released_draws.py`). So the first run can be had again; of
# the second one, which goes on somewhere in the same stream of batches, only the start.

# %% tags=["nbval-check-output"]
print("on the released draws: ours, and the gap to the log")
print(tables.gaps(shown["released_run"]))
print("\nteachers of the keys 1 to 30, released validation block, rank from below")
print(tables.teachers(shown["released_teachers"]))

# %% [markdown]
# The start of both runs, and the kernel over the first 200 steps, are the log's to a
# part in ten thousand (K30, K31): teacher, objective, optimiser, masks and batches are
# the released ones. After that rounding on two machines drifts apart, by 1.9 % at step
# 1,000, more than K32 allowed, and 2.4 % at 10,000; the run ends 1.3 % below the log
# (K33), its weights 0.1 % above (K34). So our code *does* end at 6.6 % of the start
# when it has the log's teacher, and K3 and K4 fail because of the draw: key 2 has the
# largest kernel of thirty keys, key 1 ranks 25th.
#
# The demo's other network, LeNet-5, has a log as well; it is left to `paper`.

# %% tags=["nbval-check-output"]
print(shown["transfer_loss_cnn"].message)

# %% [markdown]
# ## Paper and measured
#
# The letters are those of "What we check". Errors are relative; thresholds were fixed
# before the runs.

# %% tags=["nbval-check-output"]
print(claims.table("21_matching_a_teacher", shown))

# %% [markdown]
# Eight of the 34 claims fail: K3 and
# K4 on the log's shares, K11, K12, K16, K17 on one seed of the digits, K27 on early
# steps of MNIST, K32 on how soon rounding shows. All claims on which of the two kernels
# trains hold (K10, K21 to K26, K28).
#
# ## What differs from the paper and why
#
# * **The paper's figures are not redrawn.** We have not compared with the PDF. The toy
#   figure follows the blog's description and the loader `mnist-2`
#   (`nt_transfer/load_datasets.py`); the loss curves follow the log.
# * **The kernel.** The released code matches the ambient kernel (`nt_transfer/ntt.py`).
#   Our default is `tangent="masked"`; Experiment 3 runs both.
# * **The draws.** Teachers, validation block (the last 120 training images), batches
#   and their order are our own, but in Experiment 5.
# * **When the log is written.** The code measures, then selects the mask anew
#   (`nt_transfer/ntt.py`); our rows come after, but in Experiment 5
#   (`log_before_update`). Most of that is seen at step 100; the last row is the same.
# * **Counts.** Experiments 3 and 5 use the code's rule, `count_rule="ntt"`, with one
#   weight per layer less.
# * **Unknown settings.** Density, step size, network and optimiser of the toy figure.
#   Ours were not tuned. The masked arm has fewer steps on MNIST.
#
# ## Exercises
#
# 1. Predict, then try: in the first toy by hand, which of the two traces changes if you
#    prune only the second layer? Which entries of the masked kernel do?
#
# ## References
#
# * Tianlin Liu, Friedemann Zenke: *Finding trainable sparse networks through Neural
#   Tangent Transfer*. ICML 2020, PMLR 119, 6336-6347.
#   [arXiv 2006.08228](https://arxiv.org/abs/2006.08228)
# * Code and logs:
#   [fmi-basel/neural-tangent-transfer](https://github.com/fmi-basel/neural-tangent-transfer),
#   commit `238afd8` of 2020-06-14.
# * Arthur Jacot, Franck Gabriel, Clément Hongler: *Neural tangent kernel: convergence
#   and generalization in neural networks*. NeurIPS 2018.
#   [arXiv 1806.07572](https://arxiv.org/abs/1806.07572)
