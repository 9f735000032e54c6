# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Neural Tangent Transfer: do the students train better?
#
# T. Liu, F. Zenke, *Finding trainable sparse networks through Neural Tangent Transfer*,
# ICML 2020, [arXiv 2006.08228](https://arxiv.org/abs/2006.08228). Without labels, a
# sparse student is fitted to an untrained dense teacher: to its outputs and to its
# neural tangent kernel. Then it is trained with labels, and it is said to learn faster
# and to end higher than other sparse networks. Notebook 21 looks at the fit; this one
# at the training that follows.
#
# | profile | data and networks | machine | time | memory |
# |---|---|---|---|---|
# | replay (default) | committed records | 1 CPU core | 15 s | 1 GB |
# | `smoke` | digits, narrow networks | 1 CPU core | 30 s | 1 GB |
# | `quick` | MNIST, Fashion-MNIST; MLP at full length | 1 CPU core | 2.5 h | 3 GB |
# | `paper` | all densities and networks, 5 seeds | 1 GPU | 290 h (estimate) | 16 GB |

# %% [markdown]
# ## What we check
#
# We have not read the printed paper beyond its abstract. What can be compared with it
# is its claim in words (letter R), the outputs stored in the released notebooks (L: a
# log, not the paper), and statements that we wrote down before the runs (D).
#
# | claims | statement | source |
# |---|---|---|
# | K1-K3 | MLP, MNIST, 3 %: 70-80, 92-94, 96-97 % at iterations 101, 1001, 42101 | L |
# | K4-K15 | logged runs lie inside the interval that five runs of ours predict | L |
# | K16 | students end above the released random baseline | L |
# | K17-K21 | short form, MLP: a set lead over random and SNIP, none over dense | D |
# | K22-K24 | short form, LeNet-5: the distance falls, students lead random | D |
# | K25, K26 | one threshold for all layers: none is emptied, and NTT beats random | D |
# | K27-K29 | transfer on other images does not fall behind random | D |
# | K30-K33 | digits, magnitude, SNIP: calibrating is harmless, dividing useless | D |
# | K34-K37 | faster and higher than random, on MNIST and Fashion-MNIST | R |
# | K38, K39 | with only the first convolution pruned, NTT beats random and SNIP | R |
# | K40-K45 | layerwise random, magnitude, SNIP, calibrated: not before students | D |
# | K46-K48 | on the released draws, `rand` repeats the first logged run | L |

# %% [markdown]
# ## Setup

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import t as student_t

from paicore import claims, figures, nets, prune, records, rescale, transfer
from paicore.experiments import sparse_training
from paicore.experiments import sparse_training_released as released
from paicore.experiments import sparse_training_tables as tables
from paicore.experiments.matching_a_teacher_logs import prediction
from paicore.forward import prunable
from paicore.seeds import generator

# %% tags=["parameters"]
profile: str = "best"  # best (replay paper, else quick), smoke, quick or paper
recompute: bool = False  # False: draw committed records; True: run, see the cost table
seeds: int = 0  # repetitions; 0 means the profile's own number
device: str = "auto"  # auto, cpu or cuda
only: str = ""  # comma list of method names, to shard long runs

# %% tags=["settings"]
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
    for name, experiment in sparse_training.EXPERIMENTS.items()
}
for record in shown.values():
    print(record.message)

# %% [markdown]
# ## The idea on paper
#
# Let $f(x, \theta)$ be the dense network with 10 logits, $\theta_T$ its random weights,
# $m$ a mask and $d$ the density, the fraction of weights kept. Neural Tangent Transfer
# (NTT) looks for weights $\theta$ and a mask that minimise
#
# $$ \lambda_K \, \overline{(K_s - K_T)^2} \; + \;
#    \overline{\bigl(f(x, m \odot \theta) - f(x, \theta_T)\bigr)^2} \; + \;
#    \frac{\lambda_2}{d} \, \| m \odot \theta \|^2 , $$
#
# where $K = J J^\top$ is the neural tangent kernel of a batch (notebook 02), bars are
# means over entries, and $m$ keeps the largest $|\theta|$ of each layer, chosen anew
# every 100 steps. No label enters.
#
# The **masked** one counts the weights that can move; the
# **ambient** one, which the released code uses, counts pruned weights too. Notebook 21
# separates them. Here `ntt_ambient` is the released method and `ntt_masked` ours.
#
# | method | mask | weights |
# |---|---|---|
# | `ntt_ambient`, `ntt_masked` | the student's | the student's |
# | `random` | uniform in each layer | the teacher's |
# | `rand` | the released code's random baseline, see below | the teacher's |
# | `scaled_random` | uniform | the teacher's, divided by $\sqrt d$ |
# | `magnitude` | largest weights of each layer | the teacher's |
# | `snip` | largest modulus of weight times gradient, 100 labelled images | teacher's |
# | `logit_snip` | the same for the sum of squared logits, no labels | the teacher's |
# | `global_...` | the same with one threshold for the whole network | the teacher's |
# | `mask_only_ambient` | the student's | the teacher's |
#
# **Layerwise** means that every layer keeps the same fraction; all but those called
# `global_` do so until Experiment 6. All keep equally many weights, start from the same
# teacher and see the same batches. Every difference below is one within a seed.

# %% [markdown]
# ## By hand: a mask lowers the gain
#
# A mask takes away variance. With the share $v$ of a layer's squared weights left, its
# outputs shrink by about $\sqrt v$. For a random mask $v$ is the density $d$ up to
# chance, and dividing by $\sqrt d$ mends it. A magnitude mask keeps the large weights,
# so $v$ is larger than $d$ and dividing by $\sqrt d$ overshoots. The repair that fits
# every mask is one factor per layer that brings its output variance back to the dense
# one, measured on a batch, over samples and units together.

# %% tags=["nbval-check-output"]
draw = generator(0, "sparse_training", "hand")
net = nets.build(
    "mlp", classes=10, in_shape=(50,), width=(40,), generator=draw, dtype=torch.float64
)
x = torch.randn(400, 50, generator=draw, dtype=torch.float64)
print("5 % kept     layer   share of squares   1/sqrt(share)   1/sqrt(d)   calibrated")
for score in ("random", "magnitude"):
    kept = prune(net, score, density=0.05, scope="layerwise", generator=draw)
    entered, wanted, factors = x, x, {}
    for name, w in ((n, w.detach()) for n, w in prunable(net).items()):
        out, wanted = entered @ (kept[name] * w).T, wanted @ w.T
        share = float((kept[name] * w).square().sum() / w.square().sum())
        factors[name] = float((wanted.var() / out.var()).sqrt())
        print(f"{score:12} {name:10} {share:13.3f} {share**-0.5:15.2f}", end="")
        print(f" {0.05**-0.5:11.2f} {factors[name]:12.2f}")
        entered, wanted = torch.relu(factors[name] * out), torch.relu(wanted)
    ours = rescale.calibration_factors(net, kept, x)
    same = all(np.isclose(ours[name], factors[name]) for name in ours)
    print("as paicore computes it:", same)
    assert same

# %% [markdown]
# NTT regrows what a mask takes away. So part of its lead may be plain gain; Experiment
# 5 asks how much.
#
# ## By hand: what the released code keeps
#
# The released rule sorts the moduli, takes the entry at index $\lfloor (1 - d)\,n
# \rfloor$ as threshold and keeps what is *strictly* larger: one weight fewer than
# asked. Its random baseline `rand` takes the magnitude mask and shuffles it along the
# first axis only. For a dense layer that axis holds the inputs, so each unit keeps as
# many inputs as it had. For a convolution it is the vertical position in the kernel.

# %% tags=["nbval-check-output"]
for model, density in (("lenet_300_100", 0.03), ("lenet5", 0.03), ("lenet5", 0.01)):
    net = nets.build(model, in_shape=(1, 28, 28), generator=draw)
    chosen = {"density": density, "scope": "layerwise", "count_rule": "ntt"}
    ours = prune(net, "magnitude", **chosen)
    shuffled = transfer.shuffled_along_axis0(ours)
    counts, same, moved = [], True, 0
    for name, w in prunable(net).items():
        size = w.detach().abs()
        threshold = size.flatten().sort().values[int((1 - density) * size.numel())]
        counts.append(int((size > threshold).sum()))
        axis = 1 if w.dim() == 2 else 2
        same &= bool(torch.equal(size > threshold, ours[name]))
        same &= bool(torch.equal(ours[name].sum(axis), shuffled[name].sum(axis)))
        moved += int((ours[name] & ~shuffled[name]).sum())
    print(f"{model} at {density:.0%}: {counts}, in all {sum(counts)}, moved {moved}")
    print("    same as paicore, and sums along the axis unchanged:", same)
    assert same

# %% [markdown]
# At 3 % the rule keeps 7983 weights of the MLP and 12911 of LeNet-5; at 1 % it keeps 4
# of the first convolution's 500.
#
# ## By hand: when do two logged runs contradict five of ours?
#
# Two runs say little about noise. We take five runs of ours with mean $\bar x$ and
# standard deviation $s$. If all runs are drawn from one normal distribution, one more
# run lies with probability 95 % in
#
# $$ \bar x \pm t_{4} \, s \, \sqrt{1 + 1/5} . $$

# %% tags=["nbval-check-output"]
runs = np.array([74.0, 75.5, 73.0, 76.0, 74.5])
half = student_t.ppf(0.975, 4) * runs.std(ddof=1) * np.sqrt(1 + 1 / 5)
print(f"t {student_t.ppf(0.975, 4):.3f}, sd {runs.std(ddof=1):.3f}", end=", ")
print(f"interval {runs.mean() - half:.2f} to {runs.mean() + half:.2f}")
ours = prediction(runs.tolist(), 0.95)
same = bool(
    np.allclose([ours["low"], ours["high"]], runs.mean() + half * np.array([-1, 1]))
)
print("as paicore computes it:", same)
assert same

# %% [markdown]
# More than three standard deviations to either side: it can convict an outlier, not a
# small difference.

# %% [markdown]
# ## Experiment 1: the released demo at full length
#
# *Question.* With the released settings, do our runs end where the logs do?
# LeNet-300-100 on MNIST at 3 %, 18,720 steps of transfer, then 42,200 steps of Adam on
# 54,000 images.
#
# *We expect* agreement within a percent.

# %% tags=["nbval-check-output"]
print("MLP, MNIST, 3 %; two logged runs; ours mean ±sd (n), percent")
print(released.beside_log(shown["supervised"], "mlp"))

# %%
record = shown["supervised"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.8))
    for ax, column in zip(axes, ("test_accuracy", "train_accuracy"), strict=True):
        for name, found in tables.bands(record, column).items():
            figures.band(ax, found, name, markersize=3)
        ax.set(xscale="log", xlabel="iteration", ylabel=column.replace("_", " "))
    for runs, name in ((slice(0, 2), "ntt"), (slice(2, 4), "rand")):
        look = {"mec": figures.style(name)["color"], "mfc": "none", "zorder": 3}
        for step, values in released.LOGS["mlp"].items():
            label = (
                f"log, {figures.style(name)['label']} (n=2)" if step == 101 else None
            )
            if isinstance(step, int):
                logged = np.divide(values[runs], 100)
                axes[0].plot([step] * 2, logged, "o", ms=7, label=label, **look)
    axes[0].set_ylim(bottom=0)
    best = record.rows["train_accuracy"].max()
    axes[1].set_ylim(best - 0.2, best + 0.01)
    labels = axes[0].get_legend_handles_labels()
    fig.legend(*labels, loc="outside lower center", ncols=4)
    figures.save(fig, record)

# %% [markdown]
# **Figure 1.** At full length students follow the released log, lead every layerwise
# mask, and stay below the dense network. LeNet-300-100, MNIST, 3 %, quick profile; mean
# and one standard deviation over n seeds; hollow circles: the released log's two runs.
# *Alt text: test and training accuracy against iteration, one curve per method.
# Students end at 96 %, dense above them, random masks 2 to 5 points lower; SNIP and
# logit-SNIP level off at 59 and 49 %.*

# %% tags=["nbval-check-output"]
picked = {"at": {"step": [101, 1001, 10001, 42101]}, "form": ".2f"}
heading = "all methods, test accuracy by iteration, percent"
print(tables.report(shown["supervised"], (heading, tables.table, picked)))
ends = [
    (
        f"interval from five runs, {end} end, percent",
        tables.table,
        {"column": end, "form": ".2f"},
    )
    for end in ("low", "high")
]
print(tables.report(shown["supervised_interval"], *ends))

# %% [markdown]
# K1 to K16 hold. From iteration 101 to 10001 the log's students lie within one standard
# deviation of ours. At the end ours have 96.22 ± 0.17 % and the log's 96.46 % twice;
# the prediction interval, 95.69 to 96.74, contains that. The lead over `rand` is 34
# points at iteration 101 and 5 at the end, in all five seeds (K16).
#
# The interval of students at the end is a point wide, that of `rand` goes from 79 to
# 104 %, because one of our seeds ends far below the others: K10 to K15 could hardly
# fail. Sharper is to repeat `rand` on the released run's own teacher, mask,
# split and batches (`released_draws.py`, notebook 21):

# %% tags=["nbval-check-output"]
heading = "rand on the released draws: test accuracy, percent; gap to the log, points"
exact = ("released run 1", tables.table, {"form": ".2f"})
points = {"column": "gap", "scale": 1, "form": ".2f"}
gap = ("gap to the log, points", tables.table, points)
print(heading)
print(tables.report(shown["released_rand"], exact, gap))

# %% [markdown]
# It has the log's 9.64 % at first, to the last image, and is 0.05 points off after
# 1,001 steps on another machine (K46 to K48).
#
# Beyond the log: the *masked* student is ahead of the ambient one at iteration 101,
# 86.02 to 77.23 %, and level with it later. Layerwise SNIP levels off at 58.82 %,
# logit-SNIP at 48.56 %, even after 42,200 steps. Dense ends 1.6 points above students.
#
# ## Experiment 2: against all baselines, in a short form
#
# *Question.* How far ahead are students, of whom, and when? 8,000 images of MNIST,
# 1,500 steps of transfer at a higher rate, 1,250 steps of training, five seeds.
# `ntt_masked` gets 400 steps, since each costs several times more; the comparison of
# the two kernels is therefore not fair here.
#
# *We expect* a large lead over layerwise masks early, a small one late, and none over
# global SNIP, which may choose how many weights each layer gets.

# %%
record = shown["short"]
if record.rows is not None:
    fig, ax = plt.subplots(figsize=(figures.WIDTH_TWO, 2.8))
    for name, found in tables.bands(record).items():
        rows = record.rows[record.rows["method"] == name]
        single = rows.set_index("step")["test_accuracy"]
        figures.band(ax, found, name, single=single)
    ax.set(xscale="log", xlabel="iteration", ylabel="test accuracy")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 2.** Ambient students lead every layerwise mask, and lose to SNIP with one
# threshold for the whole network. LeNet-300-100, 8,000 images of MNIST, 3 %, quick
# profile; mean and one standard deviation over n seeds, single seeds as faint points.
# *Alt text: test accuracy against iteration on a logarithmic axis, nine curves. From
# the top: dense, global SNIP, ambient student, masked student and three masks together,
# layerwise SNIP, logit-SNIP.*

# %% tags=["nbval-check-output"]
some = {"at": {"step": [1, 30, 40, 125, 500, 1250]}}
by_step = ("test accuracy by iteration, percent", tables.table, some)
heading = "points by which students are ahead in the same seed (seeds ahead of all)"
ahead = (heading, tables.paired, {"method": "ntt_ambient"})
print(tables.report(shown["short"], by_step, ahead))

# %% [markdown]
# K17 to K21 hold. Students are 22.1 points ahead of random after 125 steps and 5.4
# after 1,250, in all five seeds.
#
# **Layerwise SNIP is a weak rival.** It ends at 66.9 %, below random masks (85.8 %),
# and without labels at 59.1 %. A lead over it (K20) says more about SNIP under this
# rule than about the transfer.
#
# **Global SNIP is a strong one.** The same score from the same 100 images is 11.1
# points *ahead* of the students at 125 steps and 0.8 at the end, in all five seeds. It
# costs one gradient instead of 1,500 steps.
#
# ## Experiment 3: LeNet-5
#
# *Question.* The same for a network with two convolutions: 300 steps of transfer with
# batches of 16, 375 steps of training. *We expect* a lead over random, but with so few
# steps perhaps none over SNIP.
#
# The log printed beside it (its `rand` is another baseline than `random`) had 18,720
# steps of transfer, as has the paper profile.

# %% tags=["nbval-check-output"]
print("LeNet-5, MNIST, 3 %; the log's full length against our short form, percent")
lenet5 = ("ntt_ambient", "random")
print(released.beside_log(shown["lenet5"], "cnn", methods=lenet5))

# %%
record = shown["lenet5"]
if record.rows is not None:
    fig, ax = plt.subplots(figsize=(figures.WIDTH_TWO, 2.8))
    for name, found in tables.bands(record).items():
        rows = record.rows[record.rows["method"] == name]
        single = rows.set_index("step")["test_accuracy"]
        figures.band(ax, found, name, single=single)
    ax.set(xscale="log", xlabel="iteration", ylabel="test accuracy")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 3.** In a short form of LeNet-5 students lead random masks early, and less at
# the end. 8,000 images of MNIST, 3 %, quick profile; bands and points as in Figure 2.
# *Alt text: test accuracy against iteration on a logarithmic axis, seven curves. Dense
# is far above; sparse ones rise together from 10 to 80 %, random late.*

# %% tags=["nbval-check-output"]
last = {"step": "last"}
distances = [
    (
        f"{kind} distance after the transfer, percent of its start",
        tables.table,
        {"column": f"{kind}_share", "at": last, "along": "density"},
    )
    for kind in ("own", "masked")
]
print(tables.report(shown["lenet5"], ahead, *distances))

# %% [markdown]
# K22 to K24 hold: students lead random by 18.1 points after 125 steps and by 2.1 after
# 375, where one seed in five is behind. Random masks divided by $\sqrt d$ come as far
# early, so much of that lead is gain (Experiment 5). With five seeds, there, magnitude
# ends 0.8 points behind; SNIP ends 5.5 behind, most of it in one seed.
#
# ## Experiment 4: over densities, on two data sets
#
# *Question.* Where between 1 and 20 % does the transfer pay? 1,000 steps of transfer
# (250 for `ntt_masked`), two seeds, otherwise as in Experiment 2. *We expect* the lead
# to shrink as the density grows, and to vanish at 20 %.

# %%
for record in (shown["densities_mnist"], shown["densities_fashion"]):
    if record.rows is None:
        print(record.message)
        continue
    size = (figures.WIDTH_TWO, 2.8)
    fig, axes = plt.subplots(1, 2, figsize=size, sharey=True)
    for ax, step in zip(axes, ("early", "last"), strict=True):
        for name, found in tables.bands(
            record, along="density", at={"step": step}
        ).items():
            if name != "dense":
                figures.band(ax, found, name)
                continue
            look = figures.style(name) | {"marker": "", "ls": ":", "lw": 1}
            look["label"] += f" (n={found['n'].max()})"
            ax.axhline(found["mean"].iloc[0], **look)
        figures.density_axis(ax)
        ax.set_title({"early": "early", "last": "at the end"}[step])
    axes[0].set_ylabel("test accuracy")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figures 4 and 5.** The fewer the weights, the larger the students' lead at the end.
# LeNet-300-100, 8,000 images of MNIST (above) and of Fashion-MNIST (below), quick
# profile; left after 125 steps, right after 1,250; bands as in Figure 2. *Alt text:
# test accuracy against the fraction of weights remaining, two panels per data set. All
# rise with density. Ambient students are on top at 1 and 3 %, but for SNIP on MNIST at
# 1 % early; at 20 % all lie together.*

# %% tags=["nbval-check-output"]
both_ends = [
    (
        f"test accuracy {when}, percent",
        tables.table,
        {"along": "density", "at": {"step": step}},
    )
    for step, when in (("early", "early"), ("last", "at the end"))
]
lead = {"column": "over_random", "along": "density", "at": {"step": "last"}}
lead = ("points ahead of random in the same seed, at the end", tables.table, lead)
for name in ("densities_mnist", "densities_fashion"):
    print(name)
    print(tables.report(shown[name], *both_ends, lead))

# %% [markdown]
# K34 to K37 hold, with two seeds (`ntt_masked` one). On MNIST students end 33 ±21
# points ahead of random at 1 %, 4.1 at 3 % and about one from 10 % on; on Fashion-MNIST
# 18.7, 1.2 and half a point. Early, at 3 %, it is 18 to 19 on both. The lead does not
# quite vanish at 20 %; there, on Fashion-MNIST, all sparse networks end level with the
# dense one or above.
#
# LeNet-5 on both, short form as in Experiment 3, one seed:

# %% tags=["nbval-check-output"]
for name in ("densities_lenet5_mnist", "densities_lenet5"):
    print(name)
    print(tables.report(shown[name], *both_ends))

# %% [markdown]
# At 1 % students end far ahead of both (62.9 and 58.2 %), from 3 % on SNIP is level
# with them, and random from 10 % on. One seed, no claim.
#
# ## Experiment 5: the lead, and the gain
#
# *Question.* How much of the lead is the gain that every mask loses? Digits, 5 %, 160
# steps, five seeds. Each mask is trained three times: as it is, divided by $\sqrt d$,
# and calibrated as above, on a batch of 100. `mask_only_masked` is a student's mask on
# the teacher's weights. The students are in `digits_students`, the same
# setting and seeds.
#
# *We expect* calibration to help all, and dividing to hurt magnitude, SNIP and the
# student's mask.

# %%
record = shown["gain_calibrated"]
if record.rows is not None:
    fig, ax = plt.subplots(figsize=(0.75 * figures.WIDTH_TWO, 2.6))
    order = list(record.config.variants)
    for name, found in tables.bands(record, along="variant", at=last).items():
        found, look = found.loc[order], figures.style(name)
        look["label"] += f" (n={found['n'].max()})"
        errors = {"yerr": found["sd"], "capsize": 2}
        ax.errorbar(range(len(order)), found["mean"], **errors, **look)
    students = shown["digits_students"]
    if students.rows is not None:
        rival = tables.bands(students, along="density", at=last)
        for name, line in (("ntt_masked", "-"), ("ntt_ambient", "--")):
            look = {"color": figures.style(name)["color"], "ls": line, "lw": 1}
            label = f"{figures.style(name)['label']}, as it is"
            ax.axhline(rival[name]["mean"].iloc[0], label=label, **look)
    ax.set_xticks(range(len(order)), ["as it is", "divided", "calibrated"])
    ax.set_ylabel("test accuracy")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 6.** Restoring the variance changes little, dividing by $\sqrt d$ ruins every
# mask but random's, and a student's mask needs no student's weights. MLP 64-300-100-10
# on the digits, 5 %, quick profile; mean and one standard deviation over n seeds;
# horizontal lines: students. *Alt text: four masks in three forms, joined by lines. All
# but random drop by 20 to 40 points when divided; only the student's mask lies above
# both horizontal lines.*

# %% tags=["nbval-check-output"]
forms = {"along": "variant", "at": last}
at_end = ("test accuracy at the end, percent", tables.table, forms)
heading = "change against the mask as it is, same seed, points"
change = (heading, tables.table, {**forms, "column": "over_as_is"})
print(tables.report(shown["gain_calibrated"], at_end, change))
heading = "students and others in the same setting, percent"
options = {"along": "density", "at": last}
print(tables.report(shown["digits_students"], (heading, tables.table, options)))

# %% [markdown]
# K30 to K33 hold, though calibrating changes hardly more than the noise: +2.2 points
# for magnitude, +1.3 for SNIP, -1.6 for random. The surprise is another: the student's
# *mask* on the teacher's own weights reaches 69.3 %, calibrated 71.8 %, and the masked
# student itself 65.9 %.
#
# The same control for all baselines in the setting of Experiment 2, and for three in
# that of Experiment 3:

# %% tags=["nbval-check-output"]
early = {"along": "variant", "at": {"step": 125}}
rows = [
    (f"{what} {when}, {unit}", tables.table, {**where, "column": column})
    for column, what, unit in (
        ("test_accuracy", "test accuracy", "percent"),
        ("over_ntt_ambient", "against the student of the same seed", "points"),
    )
    for when, where in (("early", early), ("at the end", forms))
]
for name in ("gain_calibrated_mnist", "gain_calibrated_lenet5"):
    print(name)
    print(tables.report(shown[name], *rows))

# %% [markdown]
# K40 to K45 hold: layerwise, with its gain restored, only the student's own mask comes
# near the student, 11.3 points behind early and 0.5 at the end. Calibrating *lowers*
# all masks here. But global SNIP, logit-SNIP and magnitude are 6 to 11 points *ahead*
# of the student early, 5 to 8 calibrated, and global magnitude, which sees no data,
# ends 0.2 points behind. (Other initialisations may differ.)
#
# On LeNet-5 gain matters: early, calibrating lifts random by 13.5 points and magnitude
# by 7.8, which is then 3.4 ±7.6 points ahead of students (three seeds of five). At the
# end it changes nothing.
#
# ## Experiment 6: one threshold for the whole network
#
# *Question.* Does the transfer also work when layers compete for weights? As in
# Experiment 2, but the first mask is that of logit-SNIP over all layers, as in the
# released code, and later ones are the largest weights of the whole network. *We
# expect* no emptied layer, and NTT ahead of random.

# %% tags=["nbval-check-output"]
options = {"column": "collapsed", "at": last, "along": "density", "scale": 1}
empty = ("layers without a weight", tables.table, {**options, "form": ".0f"})
print(tables.report(shown["global_scope"], by_step, ahead, empty))

# %% [markdown]
# K25 and K26 hold: no layer is emptied, and students end 4.3 points above random. But
# one threshold helps magnitude and SNIP far more. SNIP is ahead of the students in all
# three seeds, by 3.3 points after 125 steps and 0.3 at the end; magnitude ends 0.6
# points behind them.
#
# ## Experiment 7: other images
#
# *Question.* The transfer needs no labels. Does it need the right images? The student
# is matched on MNIST (`own`), on Fashion-MNIST, on both mixed, on MNIST upside down
# (`turned`), or on normal noise, 1,000 steps each, and then trained on MNIST. *We
# expect* all to stay ahead of random.

# %% tags=["nbval-check-output"]
leads = [
    (
        f"points ahead of random in the same seed, {when}",
        tables.table,
        {"column": "over_random", "along": "variant", "at": {"step": step}},
    )
    for step, when in (("early", "early"), ("last", "at the end"))
]
heading = "own distance after the transfer, on MNIST images, percent of its start"
distance = (heading, tables.table, {**forms, "column": "own_share"})
print(tables.report(shown["across_data"], *leads, at_end, distance))

# %% [markdown]
# K27 to K29 hold in the mean: after 125 steps students lead random by 10.5 to 11.6
# points, by 13.2 on own images; with Fashion-MNIST one seed of three is behind. Noise
# has 3.3 ±12.8. At the end all lead in every seed, noise 1.3 points less than own.
#
# ## Experiment 8: what survives where
#
# The authors' blog says that NTT beats earlier methods layerwise *because* it prunes
# the filters of the lower convolutions well. Layerwise, only where the weights sit can
# differ.
#
# *We expect* a random mask to spread its 15 weights over more filters of the first
# convolution than SNIP does.

# %%
record = shown["layers"]
if record.rows is not None:
    fig, axes = plt.subplots(1, 2, figsize=(figures.WIDTH_TWO, 2.6))
    shares = record.rows.assign(
        filters=record.rows["filters_alive"] / record.rows["filters"],
        used=record.rows["effective"] / record.rows["kept"],
    )
    for ax, column in zip(axes, ("filters", "used"), strict=True):
        for k, name in enumerate(record.config.methods):
            rows, look = shares[shares["method"] == name], figures.style(name)
            look["label"] += f" (n={rows['seed'].nunique()})"
            means = rows.groupby("step")[column].mean()
            ax.plot(
                means.index + 0.08 * (k - 2.5), means, **look | {"linestyle": "none"}
            )
        ax.set(xlabel="layer", xticks=sorted({*shares["step"]}), ylim=(-0.05, 1.05))
    axes[0].set_ylabel("filters with a weight left")
    axes[1].set_ylabel("kept weights on a path")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(fig, record)

# %% [markdown]
# **Figure 7.** SNIP puts its weights on few filters; students spread them, and in layer
# 2 more of theirs lie on a path. LeNet-5, MNIST, 3 %, quick profile; fractions, mean
# over n seeds; layers 1 and 2 are convolutions, 3 and 4 dense; rows of a dense layer
# count as its filters. *Alt text: two panels of markers for each of four layers. Left,
# both SNIPs are lowest. Right, in layer 2 students are highest, in layer 3 masked
# students and SNIP.*

# %% tags=["nbval-check-output"]
parts = [
    (heading, tables.table, {"column": column, "along": "layer", "scale": 1})
    for column, heading in (
        ("kept", "weights kept"),
        ("effective", "of them on a path from input to output"),
        ("filters_alive", "filters or units with a weight left"),
        ("largest_filter", "weights of the fullest filter or unit"),
    )
]
print(tables.report(shown["layers"], *parts))

# %% [markdown]
# Random reaches 10.5 of the 20 filters of the first convolution with 15 weights, SNIP
# 5.5; students reach most, 12.5. Of the second convolution's 750 weights students have
# 596.5 on a path, random 402.0 and SNIP 410.5. That students win because of it does not
# follow: random spreads its weights nearly as wide.
#
# ### The first convolution alone
#
# The sharpest form: prune only the first convolution, to 5 of its 500 weights. *We
# expect* students to win: their other 430,000 weights are fitted, too.

# %% tags=["nbval-check-output"]
by_step = ("test accuracy by iteration, percent", tables.table, {})
print(tables.report(shown["first_layer"], by_step, ahead))

# %% [markdown]
# K38 and K39 do not hold. Students end 0.4 points above random, ahead in two seeds of
# three, and 1.7 points *below* SNIP in all three. Not for their five weights: these
# alone, with the teacher's others (`mask_only_ambient`), end 1.4 points above the
# student. It is the fitted rest that costs.
#
# ## Experiment 9: Conv-4 on CIFAR-10
#
# The transfer of Conv-4 takes hours of CPU per run: it is in the paper profile, with
# kernels by probes, and in smoke on enlarged digits. SVHN has a loader, but no data
# here: not run.

# %% tags=["nbval-check-output"]
print(shown["conv4"].message)
net = nets.build("conv4_valid", in_shape=(3, 32, 32), generator=draw)
kept = prune(net, "magnitude", density=0.03, scope="layerwise", count_rule="ntt")
sizes = [w.numel() for w in prunable(net).values()]
print(f"Conv-4, weights {sizes}, in all {sum(sizes)}")
print(f"kept at 3 %: {[int(m.sum()) for m in kept.values()]}, in all {kept.kept}")
if shown["conv4"].rows is not None:
    print(tables.table(shown["conv4"], along="density", at=last))

# %% [markdown]
# It is not run.
#
# ## Paper and measured
#
# The column "stated" holds the log's value (L), the authors' words (R) or our own
# statement (D); the settings are in the claims file.

# %% tags=["nbval-check-output"]
print(claims.table("22_sparse_training", shown))

# %% [markdown]
# K38 and K39 alone fail.
#
# ## What differs from the paper and why
#
# * The printed paper's tables, figures, density grid and settings for other data than
#   MNIST are unknown to us. Only 3 % is confirmed; a list such as 1, 3, 5, 7, 10, 20 %
#   is recalled†. († recalled, not checked against the PDF.)
# * `short`, `lenet5` and the density sweeps have fewer images and steps than the
#   released demos, and a transfer rate of 2e-3 instead of 5e-4.
#
# * `rand` (fmi-basel/neural-tangent-transfer, `nt_transfer/utils.py`) shuffles with one
#   fixed key; our random masks are drawn per seed.
# * SNIP keeps one weight per layer more than NTT there (`>=` against `>`). Experiment 1
#   uses the released rule, the others an exact count.
# * Draws of JAX and NumPy are the released ones in `released_rand` and, in notebook 21,
#   in `released_run`; elsewhere they are ours.
# * SNIP and logit-SNIP score 100 images drawn per seed from all training images; the
#   released code takes the first 100 of the training part.
#
# ## Exercises
#
# 1. Predict the calibrated factor of a magnitude mask at 1 % from the normal
#    distribution: which share of the squares do the largest 1 % hold? Check it with the
#    first cell of "By hand".
# 2. Five weights fall at random on the 20 filters of the first convolution. How many
#    filters do they reach on average? Compare with `random` in the first convolution of
#    Experiment 8, where 15 fall.
#
# ## References
#
# * T. Liu, F. Zenke (2020), *Finding trainable sparse networks through Neural Tangent
#   Transfer*, ICML, PMLR 119, 6336-6347. Code: fmi-basel/neural-tangent-transfer.
# * N. Lee, T. Ajanthan, P. Torr (2019), *SNIP: single-shot network pruning based on
#   connection sensitivity*, ICLR, arXiv 1810.02340.
#
