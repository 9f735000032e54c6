"""Members of populations, and what trains each of them alone."""

import copy

import torch
from train_cases import conv_bn, mlp, random_masks, seeded

from paicore import nets, train

DENSITIES = (0.2, 1.0, 0.6)


def resnet(seed, in_shape=(1, 8, 8), width=4, **options):
    return nets.build(
        "resnet",
        depth=8,
        in_shape=in_shape,
        generator=seeded(seed),
        width=width,
        **options,
    )


def members_of(make, count=3, **options):
    """Return members of unequal weights, masks (one has none) and data order."""
    members = []
    for k in range(count):
        net = make(k, **options)
        masks = random_masks(net, DENSITIES[k % 3], seed=k) if k % 3 != 1 else None
        members.append((net, masks, seeded(100 + k)))
    return members


def copied(members):
    """Return members that nobody has trained yet."""
    return [
        (copy.deepcopy(net), masks, torch.Generator().set_state(g.get_state()))
        for net, masks, g in members
    ]


def alone(members, ds, recipe):
    """Train each member by `fit`; return the rows with their member."""
    rows = []
    for k, (net, masks, g) in enumerate(members):
        found = train.fit(net, ds, recipe, masks=masks, generator=g)
        rows += [{"member": k, **row, "diverged": ""} for row in found]
    return rows


def differences(members, others):
    """Return the largest difference of any parameter or buffer."""
    worst = 0.0
    for (net, _, _), (other, _, _) in zip(members, others, strict=True):
        theirs = other.state_dict()
        for name, tensor in net.state_dict().items():
            gap = (tensor.double() - theirs[name].double()).abs().max().item()
            worst = max(worst, gap)
    return worst


MAKERS = {"mlp": mlp, "conv_bn": conv_bn, "resnet": resnet}
