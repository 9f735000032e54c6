"""Neural Tangent Transfer: sparse networks that start with a dense one's kernel.

    options = {"normalise": "relative", "kernel_weight": 1, "steps": 2_000}
    result = transfer.neural_tangent_transfer(
        net, x, density=0.03, generator=torch.Generator().manual_seed(0), **options
    )
    result.apply_(net)  # then train it with masks=result.masks

`PRESETS["official_mlp"]` and `PRESETS["official_cnn"]` are the released settings; parts
are changed as in ``{**PRESETS["official_mlp"], "steps": 2_000}``. They are made for
networks that are drawn as the released ones, ``nets.build("lenet_300_100",
init="glorot_truncated", bias_init="normal", ...)``: elsewhere the kernel may be so
small that the L2 term decides, and weights fade without a match.

Two kernels go by the name of the sparse network's tangent kernel. "masked" sums over
the weights that it has: only this one describes how it trains. "ambient" sums over all
weights of the dense architecture, taken at m * theta: the released code matches it.
The log of every run holds the distances in both.
"""

from paicore.transfer.baselines import logit_snip, shuffled_along_axis0
from paicore.transfer.method import neural_tangent_transfer
from paicore.transfer.presets import PRESETS
from paicore.transfer.result import Diverged, Transfer

__all__ = [
    "PRESETS",
    "Diverged",
    "Transfer",
    "logit_snip",
    "neural_tangent_transfer",
    "shuffled_along_axis0",
]
