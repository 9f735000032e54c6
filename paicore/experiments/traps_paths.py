r"""Path sums for notebook 01_traps: four scores called SynFlow-L2, and a trace.

With the sums over all paths p of a network without biases

.. math:: R_1 = \sum_p |\pi_p|, \quad R_2 = \sum_p \pi_p^2, \quad
    F_j = \sum_{p \ni j} |\pi_p|, \quad D_j = \sum_{p \ni j} \pi_p^2

where pi_p is the product of the weights and constants along p.
"""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from paicore.forward import linearised, private_copy, prunable
from paicore.scores.loss import gradients

# From (F, D, |theta|) to the score, each for one weight tensor.
L2: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "A": lambda flow, squared, size: flow * size,
    "B": lambda flow, squared, size: flow**2,
    "C": lambda flow, squared, size: torch.where(size > 0, squared / size, 0),
    "D": lambda flow, squared, size: squared,
}


def path_shares(
    net: nn.Module, masks: Mapping[str, Tensor], in_shape: tuple[int, ...], power: int
) -> dict[str, Tensor]:
    """Return for each weight the sum over its paths of abs(path product) ** power.

    Conventions: float64, batch norm in mode "eval", biases left out. Constants on a
    path (average pools, `Scale`, batch norm) are raised to the power as weights are.
    Exact for networks without max pooling.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor.
        in_shape: Shape of one input.
        power: 1 for F, 2 for D.

    Returns:
        dict name -> tensor shaped like the weight, >= 0.

    Cost: one forward and one backward pass for a single input.
    """
    twin = private_copy(net, masks=masks, batch_norm="eval")
    net = linearised(twin, tuple(in_shape))
    _raise(twin, power)
    weights = prunable(twin)
    ones = torch.ones(1, *in_shape, dtype=torch.float64)
    found = gradients(net(ones).sum(), weights)
    return {name: weights[name].detach() * found[name] for name in weights}


def _raise(twin: nn.Module, power: int) -> None:
    """Raise what stands on a path to a power, in place."""
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.pow_(power)
    for module in twin.modules():
        if hasattr(module, "factors"):
            module.factors = module.factors**power
        if isinstance(getattr(module, "factor", None), float):
            module.factor = module.factor**power
        if isinstance(module, nn.AvgPool2d):
            size = module.kernel_size
            area = size**2 if isinstance(size, int) else size[0] * size[1]
            module.divisor_override = area**power


def synflow_l2(
    net: nn.Module, masks, batch, *, generator=None, variant: str
) -> dict[str, Tensor]:
    r"""Score each weight by one of the four formulas called SynFlow-L2.

    .. math:: A = F |\theta|, \quad B = F^2, \quad C = D / |\theta|, \quad D = D

    Conventions: F and D as in this module; a pruned weight scores 0.

    Args:
        net: Module mapping (n, *in_shape) to (n, k); not changed.
        masks: name -> bool tensor.
        batch: Pair (x, y); only the shape of x is used.
        generator: Not used.
        variant: "A", "B", "C" or "D".

    Returns:
        dict name -> tensor shaped like the weight, >= 0; larger: keep.

    Raises:
        ValueError: the variant is unknown.

    Cost: two forward and two backward passes for a single input.

    Source: A, and B in its first week: uditsaxena/Synaptic-Flow Pruners/pruners.py; C:
    iurada/px-ntk-pruning lib/pruners.py, ShreyasMalakarjunPatil/PHEW; D: derived.
    """
    if variant not in L2:
        raise ValueError(f"variant: expected one of {sorted(L2)}, got {variant!r}")
    in_shape = tuple(batch[0].shape[1:])
    flow = path_shares(net, masks, in_shape, 1)
    squared = path_shares(net, masks, in_shape, 2)
    sizes = {
        name: weight.detach().double().abs() * masks[name]
        for name, weight in prunable(net).items()
    }
    return {name: L2[variant](flow[name], squared[name], sizes[name]) for name in flow}


def path_kernel_terms(net: nn.Module, in_shape: tuple[int, ...]) -> dict[str, float]:
    r"""Return the sum of d R_2 / d theta^2 by kind of parameter.

    .. math:: \operatorname{tr} \Pi = \sum_j \partial R_2 / \partial \theta_j^2

    Conventions: a bias is a source of paths of its own. They run through the weights
    of later layers, so biases that are not zero also raise "weights". Batch norm in
    mode "eval"; its stored statistics and the pools are not squared, as in the code
    named below.

    Args:
        net: Module mapping (n, *in_shape) to (n, k) with ReLU; not changed.
        in_shape: Shape of one input.

    Returns:
        dict with "weights", "biases" and "batch norm"; their sum is what is printed
        there.

    Source: uditsaxena/Synaptic-Flow path_kernel.py, which adds all of them up.
    """
    twin = copy.deepcopy(net).double().eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.pow_(2)
    parameters = dict(twin.named_parameters())
    ones = torch.ones(1, *in_shape, dtype=torch.float64)
    found = gradients(twin(ones).sum(), parameters)
    norms = {
        id(parameter)
        for module in twin.modules()
        if isinstance(module, _BatchNorm)
        for parameter in module.parameters()
    }
    total = {"weights": 0.0, "biases": 0.0, "batch norm": 0.0}
    for name, parameter in parameters.items():
        own = "weights" if parameter.dim() > 1 else "biases"
        kind = "batch norm" if id(parameter) in norms else own
        total[kind] += float(found[name].sum())
    return total
