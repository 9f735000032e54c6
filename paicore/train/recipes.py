"""Recipes of the papers, each with where its numbers were read.

Letters: C read in public code, M recalled and not checked against the paper.
"""

from dataclasses import replace

from paicore.train.recipe import Recipe

# C YiteWang/NTK-SAP scripts/run.sh, Utils/load.py: CIFAR-10, ResNet-20. Its loader
# keeps the last, smaller batch: 391 steps an epoch.
_NTK_SAP_RESNET20 = Recipe(
    "sgd",
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    batch=128,
    epochs=160,
    schedule="multistep",
    milestones=(80, 120),
    augment=True,
    drop_last=False,
)

RECIPES = {
    "ntk_sap_resnet20": _NTK_SAP_RESNET20,
    # C, second hand: BeiYazi0/NTK-SAP README.md and iurada/px-ntk-pruning
    # train_classification.py, for CIFAR-100 and VGG-16 with batch norm. The original
    # SynFlow runs of that network have weight decay 1e-4.
    "ntk_sap_vgg16": replace(
        _NTK_SAP_RESNET20, nesterov=True, weight_decay=5e-4, milestones=(60, 120)
    ),
    # C alecwangcq/GraSP configs: ResNet-32 on CIFAR-10 and CIFAR-100, drops at 1/2 and
    # 3/4. Robust Pruning: the same, but 250 epochs on CIFAR-100 (M).
    "grasp_resnet": _NTK_SAP_RESNET20,
    "grasp_vgg19": replace(_NTK_SAP_RESNET20, weight_decay=5e-4),
    # C fmi-basel/neural-tangent-transfer nt_transfer/exploit.py and notebooks.
    "ntt_supervised": Recipe(
        "adam",
        lr=1e-3,
        # The loss holds 1e-8 times the sum of squares of the kept weights.
        weight_decay=2e-8,
        decay="weights",
        batch=64,
        # 50 epochs of the 54,000 samples left after 10 % are held out, rounded up to
        # whole batches; the caller holds them out: ds.subset(train=54_000).
        steps=42_200,
    ),
    # M, Robust Pruning, Figure 3: deep tanh networks on MNIST; momentum 0 is ours.
    "robust_pruning_mlp": Recipe("sgd", lr=1e-3, momentum=0.0, batch=100, steps=10_000),
}
