r"""Training in the linearised regime: outputs predicted from a Gram matrix alone.

With a constant kernel Theta a network's outputs obey, for a mean loss L over n samples,

.. math:: \dot f = -\Theta \, \nabla_f L \quad\text{(flow)}, \qquad
    f_{s+1} = f_s - \eta \, \Theta \, \nabla_f L(f_s) \quad\text{(descent)}

Everything is written through the accumulated gradient a (the integral of grad L, or
eta times its sum), which lives on the training points: f = f_0 - Theta a there and
f_* = f_*0 - Theta_* a anywhere else. Theta is never inverted, and directions in which
it is zero do not move.

Zero means rounding: eigenvalues below 1e-14, or the epsilon of the Gram's dtype if that
is larger, times its size and its largest eigenvalue. They are set to zero in Theta, and
what Theta_* holds along them is removed where it is no more than rounding. Pass a
float32 Gram as float32, so that its rounding is known for what it is.

Shapes: outputs (n, k); a Gram is (n, n, k, k) as `paicore.kernels.ntk` gives it with
outputs="full", or (n, n) for a kernel that is the same for every output and zero
between two. The (n, n) Gram of `ntk` with outputs="sum" is k times as large as such a
kernel, and no shape shows it: divide it by k, or predict k times too fast. With batch
norm both Grams must come from the same statistics: ``stats_from=x_train`` in both
calls with batch_norm="frozen" (or "eval"), since a cross Gram takes those of both its
arguments together without it.

Losses: "mse" is (1/n) sum_i |f_i - y_i|^2 / 2, so PyTorch's `mse_loss`, a mean over all
n k entries without the half, at rate lr is "mse" at rate 2 lr / k. "cross_entropy" is
the mean cross-entropy of the logits, as `cross_entropy` of PyTorch at the same rate.
"""

from paicore.kernels.linearised.predict import gradient_descent, gradient_flow
from paicore.kernels.linearised.problem import Prediction

__all__ = ["Prediction", "gradient_descent", "gradient_flow"]
