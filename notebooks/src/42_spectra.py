# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # NTK-SAP: whose spectrum stays near the dense one, and what of it is a scale
#
# Y. Wang, D. Li, R. Sun, *NTK-SAP: Improving neural network pruning by aligning
# training dynamics*, ICLR 2023, [arXiv 2304.02840](https://arxiv.org/abs/2304.02840).
# In our words, its Figure 2: of six ways to remove 73.8 % of the weights of a ResNet-20
# before training, NTK-SAP moves the eigenvalues of the tangent kernel least.
#
# | profile | data and networks | machine | time | memory |
# |---|---|---|---|---|
# | replay (default) | committed records | 1 CPU core | 10 s | 1 GB |
# | `smoke` | digits, ResNet-20 of 4 channels | 1 CPU core | 30 s | 1 GB |
# | `quick` | CIFAR-10, ResNet-20 of full width | 1 CPU core | 70 min | 4 GB |
# | `paper` | none: `quick` is all of it | - | - | - |

# %% [markdown]
# ## What we check
#
# Letter P is digitised from the printed figure, and of the order of methods only three
# places can be read off it: NTK-SAP first, SNIP second, GraSP last. Letter D is ours,
# measured on one draw in a small study before. All thresholds were set before the runs.
# In tables ± is one standard deviation over n draws, each a seed with its own weights
# and images.
#
# | claims | statement |
# |---|---|
# | K1-K7 | the printed dense curve is the train-mode kernel of 100 images |
# | K8-K18 | the order of methods by rms distance of log eigenvalues |
# | K19-K25 | controls: random and shuffled masks, and distances without the scale |
# | K26-K28 | condition numbers, and how many weights are kept |
# | K29-K34 | precision and parameters do not decide |
# | K35-K37 | other densities |
#
# You should know the tangent kernel ([02_kernels](02_kernels.ipynb)) and the score
# ([41_saliency](41_saliency.ipynb)).

# %% [markdown]
# ## Setup

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.func import jacrev

from paicore import claims, figures, records
from paicore.experiments import spectra as study
from paicore.experiments import spectra_measures as measures
from paicore.experiments import spectra_paper as paper
from paicore.experiments import spectra_tables as tables
from paicore.kernels import ntk
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
print(f"torch {torch.__version__}, numpy {np.__version__}, device {settings.device}")

# %% tags=["nbval-check-output"]
figures.theme()
shown = {
    name: records.load_or_run(experiment, settings)
    for name, experiment in study.EXPERIMENTS.items()
}
for record in shown.values():
    print(record.message)
densities = 0.8 ** np.array([2, 6, 10, 14])
print("weights kept, %:", *(f"{100 * d:.3g}" for d in densities), end="")
print(f"; in Figure 2 {100 * densities[1]:.3g}, removed {100 - 100 * densities[1]:.3g}")

# %% [markdown]
# `conventions` declares two draws of four conventions; the second is not run, for its
# cost.
#
# ## The idea on paper
#
# Let $J$ be the Jacobian of all $k$ logits of $n$ images in the $P$ weights that a mask
# leaves, and $\Theta = J J^\top$ the $nk \times nk$ **tangent kernel**. Under gradient
# flow with a squared loss the residual along eigenvector $i$ decays as
# $e^{-\eta \lambda_i t}$: eigenvalues are rates of training. The largest stable
# learning rate is near $2 / \lambda_{max}$, and the slowest direction is
# $\kappa = \lambda_{max} / \lambda_{min}$ times slower than the fastest, the
# **condition number**.
#
# A pruned network whose eigenvalues are those of the dense one should train like it.
# The figure draws both, in rising order on a logarithmic axis. To put a number on it,
# take $r_i = \log_{10}(\lambda_i / \lambda_i^{dense})$ and
#
# $$ \text{rms} = \sqrt{\overline{r^2}}, \qquad \text{scale} = 10^{\bar r}, \qquad
#    \text{scale-free rms} = \sqrt{\overline{(r - \bar r)^2}} . $$
#
# The squares of $\log_{10}$ scale and scale-free rms add up to that of the rms. The
# split matters: a kernel $c \, \Theta$ at learning rate $\eta / c$ trains exactly like
# $\Theta$ at $\eta$. What a learning rate absorbs is no merit of a mask.
#
# Eigenvalues say nothing about directions. So there is a third number, the
# **alignment** $\langle \Theta, \Theta^{dense} \rangle / (\lVert \Theta \rVert
# \lVert \Theta^{dense} \rVert)$: 1 for kernels that differ by a scale only.
#
# **Which kernel?** Batch norm normalises by the batch, so a weight moves a logit also
# through the mean and variance of *other* images. Mode "train" differentiates through
# them; "frozen" holds them constant, as NTK-SAP's score does; "eval" uses the stored
# ones. These are different matrices, and no public code says which one was drawn.
#
# ## By hand: a kernel that knows its batch
#
# A layer, batch norm, ReLU, a readout; eight inputs, positive as after a ReLU, and two
# logits.

# %% tags=["nbval-check-output"]
draw = generator(0, "spectra", "by hand")
net = nn.Sequential(
    nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)
).double()
with torch.no_grad():
    for weight in (net[0].weight, net[3].weight):
        weight.normal_(generator=draw)
x = torch.randn(8, 3, generator=draw, dtype=torch.float64).abs()
start = net[0].weight.detach(), net[3].weight.detach()


def f(w, v, mode):
    y = x @ w.T
    mean, var = y.mean(0), y.var(0, correction=int(mode == "frozen"))
    if mode == "frozen":
        mean, var = mean.detach(), var.detach()
    return ((y - mean) / (var + 1e-5).sqrt()).relu() @ v.T


for mode in ("train", "frozen"):
    first, last = jacrev(f, (0, 1))(*start, mode)  # (n, k, *shape) each
    J = torch.cat([first.flatten(2), last.flatten(2)], 2).flatten(0, 1)  # (n k, P)
    library = ntk.gram(net, x, batch_norm=mode, params="prunable")
    torch.testing.assert_close(J @ J.T, measures.matrix(library))
    values = torch.linalg.eigvalsh(J @ J.T)
    radial = (first * start[0]).sum(-1).abs().max()  # along each unit's own weights
    print(f"{mode:6} trace {values.sum():.4f}, largest {values[-1]:.4f}", end="")
    print(f", slope along a unit's weights {'0' if radial < 1e-3 else f'{radial:.2f}'}")

# %% [markdown]
# In mode "train" the output does not change when a unit's weights grow, nor when a
# constant is added to its inputs: those directions drop out of $J$, up to the small
# constant under the root. The frozen kernel has them, and they are large: a step along
# them moves all images alike, which shows up as a few very large eigenvalues. They are
# not there when the network trains.
#
# The price is that every logit depends on every image. For $n$ images the train-mode
# kernel takes $n k$ backward passes through the whole batch, the frozen one as many
# through one image each.
#
# ## By hand: what a learning rate absorbs
#
# Three eigenvalues, and a "pruned" kernel with all of them halved, or bent.

# %% tags=["nbval-check-output"]
dense = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
for name, bend in (("halved", (0.5, 0.5, 0.5)), ("bent", (0.5, 1.0, 2.0))):
    pruned = dense * torch.tensor(bend, dtype=torch.float64)
    found = measures.distances(pruned, dense)
    rate = 0.005 / found["scale"]
    gap = ((1 - 0.005 * dense) ** 50 - (1 - rate * pruned) ** 50).abs().max()
    r = torch.log10(pruned / dense)
    torch.testing.assert_close(r.square().mean().sqrt().item(), found["rms"])
    text = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
    print(f"{name}: {text}; residuals after 50 steps differ by {gap:.4f}")
same = torch.dist(f(start[0], start[1], "train"), f(2 * start[0], start[1], "train"))
parts = [jacrev(f)(a * start[0], start[1], "train").square().sum() for a in (1, 2)]
print(f"first layer's weights doubled: logits move by {same:.3f}, ", end="")
print(f"its part of the trace is {parts[1] / parts[0]:.3f} of what it was")

# %% [markdown]
# The halved kernel has the larger rms and, with the learning rate doubled, trains
# exactly alike. The bent one has the scale 1, and no learning rate mends it.
#
# Under batch norm the scale is not even a property of the function: twice the weights
# give the same logits and a quarter of the kernel. A mask that leaves large weights has
# a small kernel, and dividing them by a constant makes it as large as one likes.
#
# ## Experiment 1: which kernel does Figure 2 show?
#
# *Question.* 100 inputs and ten logits make the 1,000 eigenvalues of the figure; the
# rest has to be guessed. ResNet-20 of full width, He weights, weights of convolutions
# and the readout only, nothing divided by $n$; CIFAR-10 images or normal noise, three
# modes of batch norm. *We expect* mode "train" on images within 20 % of the printed
# dense curve at indices 100 to 900 and within 35 % at the ends, and the others farther.

# %%
record = shown["conventions"]
if record.rows is not None:
    fig, ax = plt.subplots(figsize=(0.8 * figures.WIDTH_TWO, 2.8))
    looks = {"train": "k-", "frozen": "C0--", "noise frozen": "C2-.", "eval": "C3:"}
    for name in record.config.variants:
        found = tables.curve(record, "dense", "eigenvalue", name)
        label = f"{name} (n={found['n'].max()})"
        ax.plot(found["mean"], looks[name], label=label, lw=1.2)
    if record.config.samples == 100:
        figures.paper_points(ax, "dense", paper.DENSE.items(), "P")
    ax.set(yscale="log", xlabel="index", ylabel="eigenvalue")
    ax.legend()
    figures.save(fig, record)

# %% [markdown]
# **Figure 1.** Of four conventions only the train-mode kernel of images follows the
# printed curve over all 1,000 eigenvalues. Dense ResNet-20, 100 inputs, n draws, quick
# profile; hollow squares are digitised. *Alt text: four rising curves on a logarithmic
# axis. The solid one runs just above the squares, a dashed and a dash-dotted one leave
# them at the right end, a dotted one lies far above.*

# %% tags=["nbval-check-output"]
print("dense eigenvalues by convention and draw, beside the digitised ones; off_rms:")
print("rms of log10(ours / paper); off_middle, off_ends: largest |ours / paper - 1| at")
print("indices 100 to 900 and at the others; condition: largest over least eigenvalue")
print(tables.conventions(shown["conventions"]))
print("30 images:", tables.spread(shown["draws"], "dense", "trace"))

# %% [markdown]
# Mode "train" on images is the closest of the four (K3 to K5): its rms distance from
# the printed curve is 0.082, against 0.339 for frozen statistics, 0.394 for frozen ones
# of noise and 1.505 in eval mode, where fresh buffers do not normalise at all. At the
# top the frozen kernel is eight times off (K6).
#
# Yet K1 and K2 do not hold. The curve lies above the printed one everywhere, by up to
# 21 % at indices 100 to 900, where 20 were allowed, and by 40 % at index 5, where 35
# were. What is off is mostly a factor, and a draw has its own: with 30 images the dense
# trace of five draws lies between 11 % below and 17 % above its mean. The bounds ask
# one draw to match another, unknown one. The study before this notebook met both, with
# one draw too.
#
# ## Experiment 2: Figure 2, redrawn
#
# *Question.* The same kernel of pruned networks, 26.2 % of the weights left, one draw
# of weights and images; `figure` has the printed first, second and last, `figure_rest`
# the three others. Settings of the scores: SNIP and GraSP see 100 labelled training
# images in training mode, GraSP at temperature 200; SynFlow has 100 rounds, NTK-SAP its
# 20 rounds of five draws with 100 noise inputs. The paper's number of rounds of
# iterative SNIP is unknown to us; here it has 20.

# %%
record = shown["figure"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 3.0))
    both = [r for r in (record, shown["figure_rest"]) if r.rows is not None]
    for part, name in [(r, n) for r in both for n in tables.scores_of(r)]:
        look = {**figures.style(name), "marker": None}
        axes[0].plot(tables.curve(part, name, "eigenvalue")["mean"], **look)
        axes[1].plot(tables.curve(part, name, "ratio")["mean"], **look)
        if record.config.samples == 100:
            figures.paper_points(axes[1], name, paper.RATIOS[name].items(), "P")
    found = tables.curve(record, "dense", "eigenvalue")["mean"]
    axes[0].plot(found, "k", label="dense")
    axes[0].set(yscale="log", xlabel="index", ylabel="eigenvalue")
    axes[1].set(yscale="log", xlabel="index", ylabel="eigenvalue over dense")
    axes[0].legend(fontsize=6)
    figures.save(fig, record)

# %% [markdown]
# **Figure 2.** NTK-SAP's spectrum is the nearest, SNIP's the next and GraSP's the
# farthest, as printed, with other slopes; the three others lie between. One draw, 100
# images, quick profile; lines are ours, dashed with hollow marks digitised. *Alt text:
# left seven rising curves; six close together, GraSP's starts far below and ends far
# above. Right, ratios to the dense one: NTK-SAP falls gently from above one to below
# it, SNIP rises to about one, GraSP rises steeply; dashed lines of the paper run beside
# them, that of NTK-SAP flat.*

# %% tags=["nbval-check-output"]
print("eigenvalues over dense ones, ours and in brackets the paper's (P)")
for name in ("figure", "figure_rest"):
    print(tables.printed(shown[name]))
    print()
    print(tables.distances(shown[name]))
    print()

# %% [markdown]
# NTK-SAP is at rms 0.07, in print 0.13; SNIP at 0.26, in print the same; GraSP at 1.02,
# in print 0.71. SynFlow, iterative SNIP and magnitude are at 0.29, 0.31 and 0.31, in
# print at 0.36, 0.53 and 0.42. In this draw the three places that we claim are the
# printed ones. The shapes are not: our NTK-SAP starts above the dense spectrum and ends
# below it, the printed one is the dense one times 0.74 or so, with a scale-free rms of
# 0.01. Our SNIP bends more, and GraSP lies lower nearly everywhere. NTK-SAP keeps
# 71,014 weights (K28). One draw cannot say whether that is the draw or a setting, hence
# the next experiment.
#
# ## Experiment 3: five draws, and controls
#
# *Question.* Does the order hold over draws of weights and images, and is it the mask?
# Five draws, 30 images each (300 eigenvalues), train mode. Two controls: a random mask,
# and NTK-SAP's mask shuffled inside each layer, which keeps the density of every layer
# and nothing else. *We expect* NTK-SAP first, SNIP second, GraSP last by rms; that
# shuffling costs little; and that without the scale little is left of any difference.

# %%
record = shown["draws"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 3, figsize=(figures.WIDTH_TWO, 2.6), sharey=True)
    order = list(tables.means(record, "rms")["mean"].drop("dense").sort_values().index)
    rows = tables.last(record, variant="train")
    columns = {"rms": "rms", "scale_free": "scale-free rms", "alignment": "alignment"}
    for ax, (column, label) in zip(axes, columns.items(), strict=True):
        for place, name in enumerate(order):
            look = figures.style(name.removesuffix("_shuffled"))
            face = "white" if name.endswith("_shuffled") else look["color"]
            values = rows[rows["method"] == name][column]
            mark = {"marker": look["marker"], "mfc": face, "ls": "none"}
            ax.plot(values, [place] * len(values), ".", color=look["color"], alpha=0.4)
            ax.plot(values.mean(), place, color=look["color"], ms=6, **mark)
        ax.set(xlabel=label)
    axes[0].set(xscale="log", xlim=(0.02, 2))
    axes[1].set(xscale="log", xlim=(0.01, 1))
    axes[0].set_yticks(range(len(order)), [name.replace("_", " ") for name in order])
    figures.save(fig, record)

# %% [markdown]
# **Figure 3.** NTK-SAP is the closest by rms, and so is its shuffled mask; without the
# scale most methods lie together, random among them. Large marks are means over five
# draws, small ones draws, the hollow star is the shuffled mask. Quick profile. *Alt
# text: three panels of dots, a row per method. Left, the two NTK-SAP rows lie apart at
# the small end and GraSP and random at the large one; in the middle all but SNIP,
# iterative SNIP and GraSP overlap; right all but GraSP do.*

# %% tags=["nbval-check-output"]
print(tables.distances(shown["draws"]))
print()
print(tables.orders(shown["draws"]))
print(tables.paired(shown["draws"], "ntk_sap_shuffled", "ntk_sap"))
print(tables.paired(shown["draws"], "ntk_sap_shuffled", "ntk_sap", "alignment"))

# %% [markdown]
# **Rms.** NTK-SAP is first in five of five draws, against every other score (K8 to
# K12), and GraSP is last (K16 to K18). SNIP is *not* second: only in draw 0 it is, and
# on average SynFlow and iterative SNIP come before it (K13 and K14 fail; against
# magnitude it is undecided, K15). One draw, as a figure shows it, does not tell.
#
# **Shuffled.** NTK-SAP's mask loses nothing on average when it is shuffled inside its
# layers: 0.117 after, 0.114 before, and the difference has either sign. Which weights
# it keeps in a layer does not show here; how many does. Even shuffled it is closer than
# magnitude (K20).
#
# **Scale.** 85 % of NTK-SAP's squared rms, and 97 to 100 % of that of SynFlow,
# magnitude and random, is one factor. Without it a *random* mask has 0.034, magnitude
# 0.031 and NTK-SAP 0.039; SNIP, at 0.140, misses the bound that we set (K22), and only
# GraSP has another spectrum altogether. By alignment NTK-SAP is fifth of six.
#
# **Condition numbers.** GraSP's is at least 137 times the dense one (K26), with one
# or few eigenvalues far above the rest. NTK-SAP's is 1.39 times the dense one on
# average, not below it (K27 fails), SNIP's 5.7 times.

# %%
record = shown["draws"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.8), sharey=True)
    scales = tables.means(record, "scale")["mean"]
    for name in (*tables.scores_of(record), "random"):
        found, look = tables.curve(record, name, "ratio"), figures.style(name)
        share = found.index / found.index.max()
        axes[0].plot(share, found["mean"], ms=3, **look)
        axes[1].plot(share, found["mean"] / scales[name], ms=3, **look)
    axes[0].set(yscale="log", ylabel="eigenvalue over dense", title="as it is")
    axes[1].set(title="over its scale")
    axes[0].legend(fontsize=6)
    for ax in axes:
        ax.axhline(1, color="k", lw=0.6)
        ax.set_xlabel("share of the eigenvalues, rising")
    figures.save(fig, record, "scale")

# %% [markdown]
# **Figure 4.** Divided by its scale, a spectrum that seemed far off is the dense one.
# Mean ratio over five draws at ten quantiles, left as it is, right over each method's
# scale; quick profile. *Alt text: left, lines at different heights below one, NTK-SAP
# highest, random lowest, GraSP rising from the bottom to far above. Right, all but
# GraSP and, more gently, SNIP and iterative SNIP lie near one.*
#
# ## Experiment 4: frozen batch norm
#
# *Question.* Does the choice of Experiment 1 matter for the comparison? The same
# networks and images with the statistics of the 30 images held constant.

# %% tags=["nbval-check-output"]
print(tables.distances(shown["draws"], "frozen"))
print()
print(tables.orders(shown["draws"], "frozen"))

# %% [markdown]
# Distances hardly move: NTK-SAP has 0.112 in place of 0.114, magnitude 0.322 in place
# of 0.319, and the order of means is the same but for SNIP and magnitude. Both kernels
# are those of one architecture, and what a mask does to the scale it does to both. For
# a comparison the convention matters little; for a statement on training the frozen
# kernel is wrong by a factor ([41_saliency](41_saliency.ipynb), Experiment 8).
#
# ## Experiment 5: precision and parameters
#
# *Question.* Kernels and scores are computed in float32, eigenvalues in float64, and
# only weights of convolutions and the readout count. What if the kernel is in float64,
# or takes biases and batch norm's parameters too? One draw, 20 images.

# %% tags=["nbval-check-output"]
print("relative change of eigenvalues: rms and largest; change of rms distance,")
print("of alignment, and of the condition number (relative)")
print(tables.checks(shown["checks"]))

# %% [markdown]
# Float64 moves single eigenvalues by up to 3.2e-03, three times what we allowed (K29
# and K30 fail): a ReLU gate that flips in rounding changes a row of $J$. The distances
# that we compare move by less than 1e-05 (K31, K32), so float32 changes no digit of the
# rms. With all parameters the dense eigenvalues grow by 2.0e-02 (K33), and NTK-SAP's
# rms moves by 4.4e-04 (K34).
#
# ## Experiment 6: other densities
#
# *Question.* Does the picture hold at 64, 10.7 and 4.4 % of the weights? Three draws,
# 12 images, and 20 noise inputs a draw for NTK-SAP, to save time.

# %%
record = shown["densities"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.6))
    rows = record.rows[record.rows["method"] != "dense"]
    for ax, column in zip(axes, ("rms", "scale_free"), strict=True):
        figures.accuracy_curves(ax, rows, column)
        ax.set_yscale("log")
        ax.get_legend().remove()
    axes[0].legend(fontsize=6)
    axes[1].set_ylabel("scale-free rms")
    figures.save(fig, record)

# %% [markdown]
# **Figure 5.** Few weights part the methods: at 4.4 % only NTK-SAP and magnitude keep
# the shape of the dense spectrum. Mean and sd of n draws of 12 images, quick profile.
# *Alt text: two panels of lines against weights remaining, logarithmic axes. Left all
# but GraSP fall to the right; at the left NTK-SAP is lowest and random highest. Right
# NTK-SAP and magnitude stay low, SNIP, SynFlow and random rise to the left, GraSP is
# flat at the top.*

# %% tags=["nbval-check-output"]
for column in ("rms", "scale_free", "condition_ratio"):
    print(column)
    form = ".2g" if column == "condition_ratio" else ".3f"
    print(tables.by_density(shown["densities"], column, form))

# %% [markdown]
# The distance grows as weights get fewer, for NTK-SAP, magnitude and random masks (K35
# to K37), and NTK-SAP stays first. At 4.4 % it is more than a scale: NTK-SAP's
# scale-free rms is 0.048, with a deviation as large, and magnitude's 0.070, while
# SynFlow has 0.207 and SNIP 0.222, and the condition number of random masks is 5.5e+04
# times the dense one in the mean of three draws that differ by powers of ten. At 26.2
# %, where Figure 2 looks, random masks do not show this. We did not shuffle at these
# densities.
#
# ## Paper and measured
#
# The settings are in the claims file.

# %% tags=["nbval-check-output"]
print(claims.table("42_spectra", shown))

# %% [markdown]
# 28 of the 37 claims hold. Against the paper, SNIP's second place does not (K13 to
# K15). Against our own expectations: the printed dense curve is missed by a little (K1,
# K2), SNIP's spectrum is bent more (K22), NTK-SAP's condition number is not below the
# dense one (K27), and float32 moves single eigenvalues more (K29, K30) than we thought.
#
# What remains of Figure 2: NTK-SAP is closest, in every draw. But at 26.2 % it is so
# through how many weights it leaves in each layer, and the distance that it wins by is
# a factor that a learning rate, or dividing weights before batch norm, takes away.
#
# ## What differs from the paper and why
#
# * **The figure's convention is inferred.** Neither the text that we have read nor
#   YiteWang/NTK-SAP, which holds no code for spectra, says which images, which batch
#   norm, which parameters and how many draws. Experiment 1 chooses what fits. The
#   independent BeiYazi0/NTK-SAP takes Gaussian inputs one at a time, batch norm in
#   training mode on a batch of one, and finds another curve.
# * **Images.** Ours are training images without augmentation, one copy of the data with
#   98 of 60,000 decoded from JPEG; SNIP and GraSP of the authors see augmented ones.
# * **One draw** of 100 images. The second one of Experiment 1 is not run: a kernel of
#   1,000 logits takes 1,000 backward passes through 100 images, 3.5 min on a core.
# * **Rounds.** Iterative SNIP has 20, SynFlow 100; the paper's are unknown to us.
# * **30 images** in the five draws instead of 100: a train-mode kernel costs $n k$
#   backward passes through $n$ images.
# * **GraSP's sign** is that of the released code: keep the largest
#   $\theta \odot H g$. The paper prints the opposite sign.
#
# ## Exercises
#
# 1. Show that $J w = 0$ for the weights $w$ of a unit before batch norm in mode
#    "train", if the constant under the root is 0, and find the second such direction.
# 2. Multiply NTK-SAP's surviving weights before batch norm by two. Which way does the
#    trace move, by how much, and what does training notice?
# 3. Which mask of 26.2 % has the scale 1 and a scale-free rms of 0? What does it say
#    about the rms as a goal?
#
# ## References
#
# * Yite Wang, Dawei Li, Ruoyu Sun (2023), *NTK-SAP*, ICLR,
#   [arXiv 2304.02840](https://arxiv.org/abs/2304.02840). Code: YiteWang/NTK-SAP.
# * Arthur Jacot, Franck Gabriel, Clement Hongler (2018), *Neural tangent kernel*,
#   NeurIPS, [arXiv 1806.07572](https://arxiv.org/abs/1806.07572).
