"""The empirical tangent kernel of a network, exact, masked, and never by its Jacobian.

    K[n, n', c, c'] = sum over parameters j of df_c(x_n)/dtheta_j df_c'(x'_n')/dtheta_j

f are the raw logits. Shapes: (n, n2, k, k) for outputs="full"; (n, n2, k) for "class",
only c = c'; (n, n2) for "sum", the sum of that over the classes. Nothing is divided by
n or k. All functions leave the network as it is.

Keywords that all functions share, with their defaults
    masks=None: name -> bool tensor. The kernel is taken at masked weights, m * theta,
        whatever stands in the pruned entries of the network; None: dense.
    tangent="masked": "masked" sums over surviving weights only: the kernel of the
        sparse network as it trains, d f(x, m * theta) / d theta. "ambient" sums over
        pruned weights too: the dense architecture's kernel at m * theta, which is what
        Neural Tangent Transfer's own code matches. They are equal for masks of ones.
    params="trainable": "trainable" takes all parameters (weights, biases, batch-norm
        gamma and beta), whether they are marked as requiring gradients or not;
        "prunable" the weights of Linear and Conv layers.
    batch_norm=None: see below; None only without batch norm.
    stats_from=None: for "frozen", the inputs that give the statistics; x, or x and x2
        together, without it. K(x_train, x_train) and K(x_test, x_train) belong to the
        same function only with ``stats_from=x_train`` in both calls.
    dtype=torch.float64: floating type to compute in; None for the network's own. TF32
        and autocast are off.
    at=None: name -> tensor, parameters to evaluate at; results are differentiable in
        them.
    max_bytes=1 << 30 (1 GiB): bound on the working memory beside the result. Under it
        samples are cut into blocks and what does not fit is computed again; the result
        is the same up to rounding.
    progress=None: whether to show a bar; None shows one for long calls at a terminal.

    `gram`, `trace`, `frobenius`, `distance`, `eigenvalues` and `lanczos` also take
    outputs="full". Dropout is off in all. Kernels are in logit^2 per squared unit of
    the parameters: nothing else has a unit.

Batch norm
    "train" normalises by the batch and differentiates through its statistics, so all
        samples of x (and x2) interact and K depends on the whole batch. This is the
        kernel that trains: on a ResNet-20 it predicts a real step in training mode to
        about a percent. Use it for statements on training dynamics. Cost: one whole
        backward pass of the batch per sample and output.
    "frozen" normalises by the statistics of one batch (unbiased variance), held
        constant. Samples do not interact, so the kernel is cheap, and it is defined
        for networks that have seen no data. This is what NTK-SAP uses to score. It
        does not predict a step in training mode: on a ResNet-20 it is wrong by a factor
        of 8 to 16, because the statistics move with the weights. Statistics of few
        values are no statistics: on maps of 1 x 1 and two samples a channel has two
        values, which may be almost equal, and traces explode; one sample is refused.
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
