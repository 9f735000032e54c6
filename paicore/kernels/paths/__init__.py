"""The Path Kernel: sums over the paths of a network, its spectrum, its paths.

A path runs from an input, or from the constant 1 behind a bias, to one output.
Everything but `enumerate` costs a few passes for one input.

Batch norm is in mode "eval" in all of `paths`, with its stored statistics: a network
that was never run in training mode has mean 0 and variance 1. Dropout is off. A network
is a sum over paths only if its activations are positively homogeneous: ReLU and
LeakyReLU are taken, curved ones (tanh, GELU, ELU, sigmoid, ...) are refused by name,
and so are products of signals and weights used twice along one path. What cannot be
read is refused as well: compiled modules and functions, checkpoints, and layers with a
backward pass of their own. All sums are float64 numbers in units of the parameters:
products of them along a path, of their squares for the trace and the squared L2 norm.
"""

from paicore.kernels.paths.enumeration import Paths
from paicore.kernels.paths.enumeration import enumerate_paths as enumerate
from paicore.kernels.paths.gated import activation_norm, gated_sums, gated_trace
from paicore.kernels.paths.rank import rank
from paicore.kernels.paths.slopes import edge_slopes
from paicore.kernels.paths.spectrum import (
    Eigenvalues,
    Estimate,
    eigenvalues,
    frobenius,
    gram,
    matvec,
)
from paicore.kernels.paths.sums import (
    EdgeSums,
    count,
    edge_sums,
    greedy_loss,
    norm,
    trace,
)

__all__ = [
    "EdgeSums",
    "Eigenvalues",
    "Estimate",
    "Paths",
    "activation_norm",
    "count",
    "edge_slopes",
    "edge_sums",
    "eigenvalues",
    "enumerate",
    "frobenius",
    "gated_sums",
    "gated_trace",
    "gram",
    "greedy_loss",
    "matvec",
    "norm",
    "rank",
    "trace",
]
