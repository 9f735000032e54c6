"""The empirical tangent kernel of a network, exact, masked, and never by its Jacobian.

    K[n, n', c, c'] = sum over parameters j of df_c(x_n)/dtheta_j df_c'(x'_n')/dtheta_j

f are the raw logits. Shapes: (n, n2, k, k) for outputs="full"; (n, n2, k) for "class",
only c = c'; (n, n2) for "sum", the sum of that over the classes. Nothing is divided by
n or k. All functions leave the network as it is.

Keywords that all functions share
    masks: name -> bool tensor. The kernel is taken at masked weights, m * theta,
        whatever stands in the pruned entries of the network.
    tangent: "masked" sums over surviving weights only: the kernel of the sparse network
        as it trains, d f(x, m * theta) / d theta. "ambient" sums over pruned weights
        too: the dense architecture's kernel at m * theta, which is what Neural Tangent
        Transfer's own code matches. They are equal for masks of ones.
    params: "trainable" takes all parameters (weights, biases, batch-norm gamma and
        beta), whether they are marked as requiring gradients or not; "prunable" the
        weights of Linear and Conv layers.
    batch_norm: see below; no default where there is batch norm.
    stats_from: for "frozen", the inputs that give the statistics; x, or x and x2
        together, without it.
    dtype: floating type to compute in; None for the network's own. TF32 is off.
    at: name -> tensor, parameters to evaluate at; results are differentiable in them.
    max_bytes: bound on the working memory beside the result. Under it samples are
        cut into blocks and what does not fit is computed again; the result is the
        same up to rounding.
    progress: whether to show a bar; None shows one for long calls at a terminal.

Batch norm
    "train" normalises by the batch and differentiates through its statistics, so all
        samples of x (and x2) interact and K depends on the whole batch. This is the
        kernel that trains: on a ResNet-20 it predicts a real step in training mode to
        about a percent. Use it for statements on training dynamics. Cost: one whole
        backward pass of the batch per sample and output.
    "frozen" normalises by the statistics of one batch (unbiased variance), held
        constant. Samples do not interact, so the kernel is cheap, and it is defined
        for networks that have seen no data. This is what NTK-SAP uses to score. It
        does not predict a step in training mode: on a ResNet-20 it is wrong by a
        factor, because the statistics move with the weights.
    "eval" normalises by the stored running statistics. Right for a trained network as
        it is used, and for fine-tuning with batch norm in eval mode. A network that was
        never run in training mode still has mean 0 and variance 1 stored: then this is
        the kernel without normalisation.

Two samples can also interact through other modules (a mean over the batch): such a
network is refused, because it has no kernel per pair of samples. Modules other than
Linear, Conv and batch norm are differentiated as they are; their own parameters, if
any, go through one backward pass per sample and output.
"""

from paicore.kernels.ntk.estimators import Estimate, distance_estimate, trace_estimate
from paicore.kernels.ntk.gram import distance, frobenius, gram, trace
from paicore.kernels.ntk.operator import matvec
from paicore.kernels.ntk.spectrum import Extremes, eigenvalues, lanczos

__all__ = [
    "Estimate",
    "Extremes",
    "distance",
    "distance_estimate",
    "eigenvalues",
    "frobenius",
    "gram",
    "lanczos",
    "matvec",
    "trace",
    "trace_estimate",
]
