# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training: one masked network, and many at once
#
# The papers' figures are hundreds of trainings of small networks. This notebook says
# how `paicore` trains: which recipes, what exactly happens in a step with masks, in
# which order random numbers are drawn, and how a whole *population* of networks trains
# in one program. Then it asks whether that, or arithmetic in 16 bits, changes the
# result. It belongs to no paper. Masks, density and scores are explained in
# `00_tour.ipynb`, kernels, which are not needed here, in `02_kernels.ipynb`.
#
# | profile | data and networks | machine | time | memory |
# |---|---|---|---|---|
# | replay (default) | committed records, digits | 1 CPU core | 15 s | 1 GB |
# | `smoke` | digits, narrow networks | 1 CPU core | 30 s | 1 GB |
# | `quick` | MNIST; LeNet-300-100, ResNet-8 | 1 CPU core | 8 to 35 min | 2 GB |
# | `paper` | none: this notebook belongs to no paper | - | - | - |

# %% [markdown]
# ## Question
#
# *May a hundred networks be trained together, in a hurry, and the result be called the
# result of training each of them?*
#
# A GPU idles on one small network: starting its many small operations takes longer than
# computing them. If thirty networks are stacked, each operation does the work of
# thirty. On a GPU one may also compute in bfloat16, a number format of 16 bits. Both
# change the order or the precision of sums, so the trained weights differ. The question
# is by how much, and whether a figure of a paper could tell.
#
# "It cannot tell" needs care. A test that finds no difference may simply be blind. An
# **equivalence test** turns the burden around: it starts from "the two differ by more
# than a margin" and must refute that. Our margin is 0.15 points of test accuracy, over
# ten pairs. We wrote it down before the run.

# %% [markdown]
# ## Setup

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from paicore import claims, data, figures, nets, prune, records, train
from paicore.experiments import training, training_costs, training_papers
from paicore.experiments.training_engines import largest_gap
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
shown = {
    name: records.load_or_run(experiment, settings)
    for name, experiment in training.EXPERIMENTS.items()
}
for record in shown.values():
    print(record.message)

# %% [markdown]
# What is computed live below runs in double precision (float64) on the digits that come
# with scikit-learn, 1,400 training images of 8 x 8 pixels.
#
# ## By hand: one masked step
#
# A masked network trains like any other, with one more line: after each update the
# pruned weights are set to zero. Below are three steps of stochastic gradient descent
# (SGD) with **momentum** 0.9, a running sum of gradients that the step follows, and
# **weight decay** 0.01, a pull of every weight towards zero. Ten percent of the weights
# are kept.


# %% tags=["nbval-check-output"]
def member(seed, density=0.1):
    """Return a small network, random masks, and the generator of its data order."""
    g = generator(seed, "training", "network")
    net = nets.build("mlp", in_shape=(1, 8, 8), width=(32, 16), depth=3,
                     dtype=torch.float64, generator=g)  # fmt: skip
    masks = prune(net, "random", density=density, generator=g)
    return net, masks, generator(seed, "training", "order")


digits = data.load("digits")
x, y = data.normalise(digits, digits.train_x, torch.float64), digits.train_y
net, masks, g = member(0)
order = torch.randperm(len(y), generator=g)
moving = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
masks.apply_(net)
for index in order.split(64)[:3]:
    loss = cross_entropy(net(x[index]), y[index])
    slopes = torch.autograd.grad(loss, list(net.parameters()))
    with torch.no_grad():
        for (name, p), slope in zip(net.named_parameters(), slopes, strict=True):
            moving[name] = 0.9 * moving[name] + slope + 0.01 * p
            p -= 0.1 * moving[name]
            p *= masks.get(name, 1)
print(f"losses end at {loss:.6g}, weights kept {masks.kept} of {masks.total}")

# %% [markdown]
# In `paicore` this is `train.fit` with a `Recipe`, a frozen value: how to train.

# %% tags=["nbval-check-output"]
recipe = train.Recipe(
    "sgd", lr=0.1, momentum=0.9, weight_decay=0.01, batch=64, steps=3,
    precision="float64",
)  # fmt: skip
fitted, same_masks, g = member(0)
train.fit(fitted, digits, recipe, masks=same_masks, generator=g)
same = largest_gap([net], [fitted]) < 1e-12
print("three steps by hand equal train.fit:", same)
assert same

# %% [markdown]
# ## By hand: what momentum and weight decay do to pruned weights
#
# Why after *every* step? A gradient of zero does not hold a weight still: momentum goes
# on, and so do Adam's running means. We compare four ways to apply a mask, from two
# starts: a fresh optimiser, and one that trained the dense network for five steps
# before the masks came, as happens when one prunes during training.

# %% tags=["nbval-check-output"]
ways = ("zeroed each step", "mask in forward", "gradient masked", "zeroed once")
print(f"{'10 steps, start':18}{'way':18}{'pruned, not 0':>14}{'kept differ':>12}")
for start, steps in (("fresh", 0), ("with momentum", 5)):
    ends = {}
    for way in ways:
        net, masks, _ = member(1)
        sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
        for step in range(steps + 10):
            if step == steps and way != "mask in forward":
                masks.apply_(net)
            on = {n: p * masks.get(n, 1) for n, p in net.named_parameters()}
            used = on if step >= steps and way == "mask in forward" else {}
            sgd.zero_grad()
            part = slice(64 * step, 64 * step + 64)
            cross_entropy(functional_call(net, used, (x[part],)), y[part]).backward()
            if step >= steps and way == "gradient masked":
                for name, mask in masks.items():
                    net.get_parameter(name).grad *= mask
            sgd.step()
            if step >= steps and way == "zeroed each step":
                masks.apply_(net)
        ends[way] = dict(net.named_parameters())
        alive = sum(int(ends[way][n][~m].count_nonzero()) for n, m in masks.items())
        apart = max(float((ends[way][n] - ends[ways[0]][n])[m].abs().max().detach())
                    for n, m in masks.items())  # fmt: skip
        print(f"{start:18}{way:18}{alive:14}{'no' if apart < 1e-12 else 'yes':>12}")

# %% [markdown]
# * *Zeroed each step* is ours.
# * *Mask in forward* computes with $m \odot \theta$. The kept weights are the same,
#   since SGD and Adam update each weight from its own gradient. (Clipping the norm of
#   the whole gradient would break that: there, pruned weights count.) But the pruned
#   weights stay in memory, unused; weight decay shrinks them, and a method that changes
#   its mask finds them there. Neural Tangent Transfer's public code trains like this
#   and lets weights return, by design.
# * *Gradient masked* is right from a fresh start only. Later, the momentum that was
#   gathered before pruning moves the pruned weights away from zero.
# * *Zeroed once* prunes nothing: gradients bring the pruned weights back. Those that
#   stay at zero belong to units that are never on and pass no gradient.
#
# A network given to `fit` keeps its mask also if Ctrl-C or an error ends the training.
# Decay acts on the weights that are left, as on a dense network. Whether biases and
# batch norm decay as well is an option, `decay="all"` or `"weights"`: papers differ.
#
# ## By hand: the order of random draws is a contract
#
# Two trainings can be compared pair by pair only if they see the same samples in the
# same order. So the order of draws is fixed and written down: at the start of each
# epoch one permutation of the samples; then, if images are augmented, for each batch
# vertical offsets, horizontal offsets and flips. All come from the one CPU generator
# that the caller gives.

# %% tags=["nbval-check-output"]
augmented = train.Recipe("sgd", lr=0.1, batch=500, epochs=1, augment=True)
g = generator(2, "training", "draws")
order = torch.randperm(1400, generator=g)[:1000]  # two batches, the rest is dropped
crops = [
    [torch.randint(k, (500,), generator=g) for k in (9, 9, 2)]  # down, right, flip
    for _ in range(2)
]
again = generator(2, "training", "draws")
stream = train.batches(digits, augmented, again, torch.float64)
for index, crop in zip(order.split(500), crops, strict=True):
    images, labels = next(stream)
    made = train.crop_and_flip(digits.train_x[index], *crop)
    same = torch.equal(data.normalise(digits, made, torch.float64), images)
    print("first samples", index[:5].tolist(), "batch equal:", same)
    assert same and torch.equal(digits.train_y[index], labels)
print("generator left equal:", torch.equal(g.get_state(), again.get_state()))

# %% [markdown]
# Evaluation draws nothing. Dropout draws from PyTorch's global generator, which `fit`
# seeds from a *copy* of the given one and puts back. So the number of evaluations
# changes no result, and a longer training begins like a shorter one. The draws are made
# on the CPU also for a GPU, so that both see the same samples.
#
# ## The papers' recipes
#
# `train.RECIPES` holds the recipes that the papers' notebooks use. Each number has a
# letter: C for read in public code, D for derived from that, M for recalled and not
# compared with the paper, "ours" where nothing was found and we chose. A value without
# a letter is `Recipe`'s default, which the source does not mention; the comparison in
# the last line covers what has a letter. The NTK-SAP recipe for VGG-16 is C at second
# hand, from later code, not the authors'.

# %% tags=["nbval-check-output"]
for names in (("ntk_sap_resnet20", "ntk_sap_vgg16", "grasp_resnet"),
              ("grasp_vgg19", "ntt_supervised", "robust_pruning_mlp")):  # fmt: skip
    print(training_papers.table(names), end="\n\n")
for name, source in training_papers.SOURCES.items():
    print(f"{name:20} {source}")

# %% [markdown]
# How to read them:
#
# * `ntt_supervised`: the authors' loss holds $10^{-8}$ times the sum of squares, whose
#   gradient is $2 \cdot 10^{-8} \theta$; our `weight_decay` is the factor in the
#   gradient. The code's steps are 50 epochs of 54,000 samples in batches of 64, the
#   last one smaller; ours drops that one, so these steps are just over 50 epochs.
# * `grasp_resnet` also stands for Robust Pruning's ResNets, whose set-up we recall as
#   GraSP's (M), with 250 epochs on CIFAR-100 (M).
# * The Path Kernel paper has no entry: its code and README do not record the settings
#   of the published runs, and its defaults change between scripts.
#
# A recipe that agrees with public code need not be the paper's. Where code reports the
# best test accuracy over all epochs, for example, `fit` gives both that and the last.
#
# ## By hand: a population of two
#
# Two networks of one architecture have equally shaped weights. Stack them: one tensor
# of shape $(2, \ldots)$ per parameter. `torch.func.vmap` turns a function of one
# network into a function of the stack, each member with its own weights, masks and
# batch. Momentum and the mask are elementwise, so they need no change at all.


# %% tags=["nbval-check-output"]
def loss_of(parameters, inputs, labels):
    """Return the loss of one network with these parameters."""
    return cross_entropy(functional_call(net, parameters, (inputs,)), labels)


pair = [member(3, density=0.1), member(4, density=0.5)]
orders = torch.stack([torch.randperm(1400, generator=g) for _, _, g in pair])
stack, _ = stack_module_state([net for net, _, _ in pair])
ones = {n: torch.ones_like(p[0], dtype=torch.bool) for n, p in stack.items()}
keep = {n: torch.stack([m.get(n, ones[n]) for _, m, _ in pair]) for n in stack}
stack = {n: p.detach() * keep[n] for n, p in stack.items()}
moving = {n: torch.zeros_like(p) for n, p in stack.items()}
for index in orders.split(64, dim=1)[:3]:  # (2, 64)
    slopes = vmap(grad(loss_of))(stack, x[index], y[index])
    for n in stack:
        moving[n] = 0.9 * moving[n] + slopes[n] + 0.01 * stack[n]
        stack[n] = (stack[n] - 0.1 * moving[n]) * keep[n]

members = [member(3, density=0.1), member(4, density=0.5)]
rows = train.population(members, digits, recipe, engine="stacked")
for k, ((trained, _, _), (alone, masks, g)) in enumerate(
    zip(members, [member(3, density=0.1), member(4, density=0.5)], strict=True)
):
    train.fit(alone, digits, recipe, masks=masks, generator=g)
    parameters = trained.named_parameters()
    gap = max(float((stack[n][k] - p).abs().max().detach()) for n, p in parameters)
    same = gap < 1e-12, largest_gap([trained], [alone]) < 1e-12
    print(f"member {k}: by hand equals the engine {same[0]}, the engine fit {same[1]}")
    assert all(same)

# %% [markdown]
# `train.population(members, data, recipe)` is this, with evaluation, batch norm,
# augmentation, and as many members at once as the memory holds. Members share
# architecture and recipe and may differ in everything else: weights, masks, density,
# order. It returns the rows of `fit` with the member's number in front. On a GPU the
# stacked engine is the default. On a CPU it gains nothing, so the default is to call
# `fit` member by member; to measure the engine, we ask for it here by name.
#
# One thing that members do share is fate, unless one takes care. A network that
# diverges fills its place in the stack with values that are not numbers. It is marked
# and taken out; the others go on as if alone. Below, the first of three members starts
# from weights that are $10^{60}$ times too large.

# %% tags=["nbval-check-output"]
ten = train.Recipe(**{**vars(recipe), "steps": 10})
members = [member(k) for k in range(5, 8)]
with torch.no_grad():
    for p in members[0][0].parameters():
        p *= 1e60
for row in train.population(members, digits, ten, engine="stacked"):
    reason, _, _ = row["diverged"].partition(" at")
    print(f"member {row['member']} ends at step {row['step']}", reason)
for k in (6, 7):
    alone, masks, g = member(k)
    train.fit(alone, digits, ten, masks=masks, generator=g)
    same = largest_gap([members[k - 5][0]], [alone]) < 1e-12
    print(f"member {k - 5} is as trained alone: {same}")
    assert same

# %% [markdown]
# ## By hand: a sweep that is stopped
#
# The other danger of long runs is that they end. `records.sweep` runs a list of
# configurations and appends each finished one to a journal on disk. Below, the third of
# four trainings fails. The sweep finishes the others, says so and stops; then comes the
# same call again.


# %% tags=["nbval-check-output"]
def run(cell):
    """Train one network; fail once, in the third run of the first call."""
    called.append(cell["seed"])
    if attempt == 1 and len(called) == 3:
        raise RuntimeError("power cut")
    one, masks, g = member(cell["seed"])
    rows = train.fit(one, digits, recipe, masks=masks, generator=g)
    return [{"step": row["step"], "loss": row["train_loss"]} for row in rows]


cells = [{"method": "random", "density": 0.1, "seed": seed, "variant": ""}
         for seed in range(4)]  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    for attempt in (1, 2):
        called = []
        try:
            journal = Path(folder) / "journal.jsonl"
            rows = records.sweep(run, cells, journal=journal, progress=False)
            print(f"call {attempt}: seeds {called} run, {len(rows)} rows in all")
        except records.SweepStopped as stopped:
            print(f"call {attempt}: seeds {called} run, then: {stopped}")
whole = records.sweep(run, cells, progress=False)
print("the rows are those of a sweep that was never stopped:", rows == whole)

# %% [markdown]
# The second call runs what is missing and nothing else. Tests of the package kill
# drivers and workers in earnest (`tests/test_sweep_kills.py`). Populations are formed
# before a sweep is handed to processes or to a cluster; a population that is cut short
# starts again with the members that are left, which changes their results by rounding
# only.
#
# ## How far apart are the weights?
#
# By hand and engine agreed to $10^{-12}$ after three steps in float64. Sums in another
# order differ in the last digit, and training amplifies differences. The record trains
# three members, unequal in weights, masks and order, in both ways, and takes the
# largest difference of any parameter or buffer. One network is LeNet-300-100; the other
# a ResNet of depth 8 with batch norm, Nesterov momentum, crops and flips; a smaller
# last batch comes at step 63. The line bf16 asks another question: `fit` in
# **bfloat16** against `fit` in float32.
#
# bfloat16 keeps float32's range but only 8 bits of precision:

# %% tags=["nbval-check-output"]
for number in (1.001, 1.004, 1.012, 0.999):
    print(f"{number} in bfloat16 is {torch.tensor(number).bfloat16().item():.6g}")
one = member(0)[0].float()
with torch.autocast("cpu", dtype=torch.bfloat16):
    logits = one(x[:4].float())
print("weights", one.fc1.weight.dtype, "logits", logits.dtype)

# %% [markdown]
# A step that changes a weight by a thousandth would be lost. That is why
# `precision="bf16"` keeps the weights and the optimiser in float32 and rounds only what
# the layers multiply (PyTorch's *autocast*).

# %%
record = shown["engines"]
if record.rows is not None:
    config, every = record.config, record.rows
    size = (figures.WIDTH_TWO, 2.6)
    fig, axes = plt.subplots(1, len(config.methods), figsize=size, sharey=True)
    looks = {
        "float64": ("C0o-", "stacked - fit, float64"),
        "float32": ("C1s-", "stacked - fit, float32"),
        "fit rounds": ("C3v:", "fit, float32 - float64"),
        "stacked rounds": ("C4D:", "stacked float32 - fit float64"),
        "bf16": ("C2^-.", "fit, bf16 - float32"),
    }
    for ax, name in zip(axes, config.methods, strict=True):
        for variant, (line, says) in looks.items():
            rows = every[(every["method"] == name) & (every["variant"] == variant)]
            gaps = rows["gap"].clip(lower=1e-17)  # a logarithm has no place for 0
            label = f"{says} (n={rows['seed'].nunique()})"
            ax.loglog(gaps.groupby(rows["step"]).median(), line, label=label)
            ax.loglog(rows["step"], gaps, line[:3], ms=3, ls="none", alpha=0.35)
        ax.set(title=name, xlabel="steps")
    axes[0].set_ylabel("largest difference")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% tags=["nbval-check-output"]
print("largest difference, worst seed, by number of steps")
print(training.gaps(shown["engines"]))

# %% [markdown]
# **Figure 1.** In float64 the two engines agree to rounding. In float32 LeNet-300-100
# still agrees, the ResNet does not, and it is `fit` that rounds more coarsely there.
# Quick profile; median over n seeds, single seeds as faint points; exact zeros are
# drawn at the lower edge. Differences are in units of the weights or buffers. Where two
# lines coincide, the one later in the legend is on top.
# *Alt text: two panels of the largest difference against steps. Left, stacked minus
# fit rises from zero to about 4e-16 in float64 and 4e-7 in float32, the two rounding
# lines to about 1e-5, bf16 from below 1e-3 to above 0.1. Right, float64 stays below
# 1e-12, the float32 lines rise from 1e-7 and 1e-6 to about 1, and bf16 to 2 or more.*
#
# After 20 steps in float64 the largest difference is 2.2e-16 for LeNet-300-100 and
# 2.8e-14 for the ResNet. That is the test of the engine: a wrong mask, order or batch
# statistic would show as a difference of the size of the weights.
#
# The ResNet in float32 surprised us: 1.5 after 20 steps. Two lines were added to find
# out why. Both compare with `fit` in float64. After one step `fit` in float32 is off
# by 2.0e-06 and the stacked engine by 1.2e-07, so it is `fit` that rounds more
# coarsely here; we suspect its convolutions and have not measured it. Training then
# amplifies the difference, perhaps through ReLUs that switch and move batch
# statistics. By step 100 the worst seed of each float32 line is off by about 2 or
# more, whatever the engine; the worst of bfloat16 is of that size too, though its
# median is the highest. Such a network has no reproducible float32 weights. What can
# be compared are results over many networks.
#
# ## Can a figure tell?
#
# Weights that differ may still be equally good. The record trains LeNet-300-100 on
# MNIST with 3 % of its weights, chosen by SNIP, for 2,000 steps of SGD with momentum;
# the rate falls to zero along a cosine, which leaves little noise at the end. There are
# ten pairs. Each has its own weights, masks and data order, shared by both halves. The
# first half is always `fit` in float32. The second is one of four **arms**:
#
# * *stacked*: all ten networks in one population;
# * *bf16*: each alone, in bfloat16;
# * *order*: each alone, the data in another order, as a yardstick of chance;
# * *half*: each alone, half the steps. This one must fail, or the test is blind.
#
# Let $d$ be the differences in points (second minus first), $\bar d$ their mean and $s$
# their standard deviation. Two one-sided t-tests at 5 % refute "$d$ is below $-0.15$ on
# average" and "it is above $0.15$" exactly if the 90 % interval
# $\bar d \pm t \, s / \sqrt{10}$ lies between the two.
#
# We expected *stacked* and *bf16* to pass and *half* to fail far off. A surprise would
# be *bf16* with a mean away from zero: rounding has no preferred direction.

# %%
record = shown["equivalence"]
if record.rows is not None:
    fig, ax = plt.subplots(figsize=(figures.WIDTH_TWO, 2.6))
    ax.axvspan(-training.MARGIN, training.MARGIN, color="0.9", zorder=0, lw=0)
    looks = dict(zip(record.config.methods, ("C0o", "C2^", "C7s", "C3D"), strict=True))
    arms = [name for name in looks if name in set(record.rows["method"])]
    for place, name in enumerate(arms):
        look, rows = looks[name], record.rows[record.rows["method"] == name]
        ax.plot(rows["difference"], place + 0 * rows["step"], look, ms=4, alpha=0.4)
        low, mean, high = (rows[c].iloc[0] for c in ("low", "mean", "high"))
        ax.plot([low, high], [place + 0.25] * 2, look[:2], lw=2)
        ax.plot(mean, place + 0.25, look, ms=5)
    names = [f"{name} (n={record.config.pairs})" for name in arms]
    ax.set_yticks([k + 0.12 for k in range(len(names))], names)
    ax.set(xlabel="difference in test accuracy, points", ylim=(len(names) - 0.4, -0.4))
    figures.save(fig, record)

# %% tags=["nbval-check-output"]
print("second half minus first half, points of test accuracy")
print(training.verdicts(shown["equivalence"]))

# %% [markdown]
# **Figure 2.** A population and bfloat16 pass the test, half the steps fail it far off,
# and another order of the data moves a single result more than either. LeNet-300-100 on
# MNIST, 3 % kept, quick profile. Points: the n pairs; bars: mean and 90 % interval;
# grey: the margin.
# *Alt text: four rows of points against the difference in accuracy. The intervals of
# stacked and bf16 lie around zero inside the grey band, that of order reaches out of it
# on the left, that of half lies far to the left.*
#
# *Stacked* has a mean difference of -0.001 points and an interval from -0.028 to
# +0.026; five of the ten pairs end with exactly the same accuracy. *bf16* has +0.011,
# from -0.046 to +0.068. Both lie inside the margin. *Half* loses 1.251 points and is
# refused: the test is not blind. Near the margin the widths of the intervals say more.
#
# *Order* is the instructive arm. It is random by construction, so its true mean is
# zero, and its interval holds zero. Yet it is not accepted: it reaches to -0.179.
# With a standard deviation of 0.163 the interval of ten pairs is narrower than the
# margin, but the mean happened to fall at -0.085. At this noise the test accepts two
# equal ways often, not always. The answer is "cannot say", which is neither "equal"
# nor "different". The same deviation is 0.047 for stacking and 0.098 for bfloat16:
# less than what chance does to every number in a table of accuracies. (The t interval
# assumes normal differences; five exact zeros are not.)
#
# The figure does not show single networks to be equal. It shows means over ten
# pairs; papers report means as well.
#
# ## How long each figure takes
#
# Committed records say how long they took, on two CPU cores that other work shared.
# Wall time of a busy machine is an upper bound for a free one, and may be several times
# as long. A run of `equivalence` is ten trainings, or twenty for the first.

# %% tags=["nbval-ignore-output"]
print(training_costs.records_table())

# %% [markdown]
# For the papers' figures, multiply: trainings, steps, time per step. The time per step
# comes from the committed benchmark, if it holds the case: the first line is one CPU
# thread, the others one GPU. `make bench` measures yours.

# %% tags=["nbval-ignore-output"]
print(training_costs.figures_table())

# %% [markdown]
# ## What is not run
#
# Nothing in this notebook's records ran on a GPU. That concerns the engine where it
# matters most: compiled kernels, channels-last convolutions, TF32 off or on, and how
# many members fit. It concerns bfloat16 too: a CPU rounds like a GPU but sums in
# another order. The same call runs there, and the table above would replace ours:
#
# ```
# papermill notebooks/03_training.ipynb out.ipynb -p profile quick -p recompute True \
#     -p device cuda
# ```
#
# The equivalence is shown for one network, one data set, one density and one recipe. A
# deep network without normalisation, close to divergence, may be more sensitive.

# %% [markdown]
# ## Claimed before the run, and what came out
#
# None of these is a paper's claim: the column "stated" holds our own values (letter D,
# derived). They were written down before the quick runs; the verdicts follow from
# rules.

# %% tags=["nbval-check-output"]
print(claims.table("03_training", shown))

# %% [markdown]
# All nine hold. In K1 to K5, n counts tests, of ten pairs each; a whole test is one
# number. K8 is stated for LeNet-300-100. Had we claimed it for the ResNet as well, it
# would have failed, as Figure 1 shows; in float32
# `train.population` equals `fit` only as far as rounding allows, and `fit` in float32
# is as far from `fit` in float64.
#
# ## What to remember
#
# * Zero the pruned weights after every step. Momentum moves weights whose gradient is
#   zero.
# * The order of random draws belongs to the result. Fix it, and trainings can be
#   compared in pairs, which needs far fewer of them.
# * A population is the same arithmetic on stacked tensors. In float64 it equals single
#   training to rounding; that is the test of the engine, not accuracy.
# * "No difference found" is not "equal". State a margin first, and show that the test
#   can say no.
# * A recipe from public code is a recipe from public code. Its letter says so.
