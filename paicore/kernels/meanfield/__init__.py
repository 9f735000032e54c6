r"""Mean-field theory of random networks: what depth does to signals and saliency.

Infinitely wide networks with weights N(0, sigma_w^2 / fan_in) and biases
N(0, sigma_b^2). Everything here is theory in float64 on numpy arrays; no network is
run. phi is the name of an activation ("relu", "leaky_relu", "tanh", "elu", "gelu",
"erf", "identity") or an `Activation`.
"""

from paicore.kernels.meanfield.activations import Activation, activation
from paicore.kernels.meanfield.critical_sparsity import (
    CriticalSparsity,
    critical_sparsity,
    mbp_sparsity,
    mbp_sparsity_bound,
    sbp_sparsity_bound,
)
from paicore.kernels.meanfield.fixed_points import (
    EdgeOfChaos,
    FixedPoint,
    chi,
    edge_of_chaos,
    fixed_point,
    lottery_density,
    variance_slope,
)
from paicore.kernels.meanfield.maps import (
    Signal,
    correlation_map,
    gap_map,
    signal,
    slope_map,
    variance_map,
)
from paicore.kernels.meanfield.moments import (
    covariance,
    curvature_moment,
    difference,
    second_moment,
    slope_covariance,
    slope_moment,
)
from paicore.kernels.meanfield.rates import (
    CorrelationRate,
    correlation_fixed_point,
    correlation_rate,
)
from paicore.kernels.meanfield.residual import (
    ResidualMoments,
    branch_factor,
    residual_gap_map,
    residual_moments,
    residual_rate,
)
from paicore.kernels.meanfield.score_moments import (
    ScoreMoments,
    gradient_moments,
    score_moments,
)
from paicore.kernels.meanfield.wide_ntk import infinite_ntk

__all__ = [
    "Activation",
    "CorrelationRate",
    "CriticalSparsity",
    "EdgeOfChaos",
    "FixedPoint",
    "ResidualMoments",
    "ScoreMoments",
    "Signal",
    "activation",
    "branch_factor",
    "chi",
    "correlation_fixed_point",
    "correlation_map",
    "correlation_rate",
    "covariance",
    "critical_sparsity",
    "curvature_moment",
    "difference",
    "edge_of_chaos",
    "fixed_point",
    "gap_map",
    "gradient_moments",
    "infinite_ntk",
    "lottery_density",
    "mbp_sparsity",
    "mbp_sparsity_bound",
    "residual_gap_map",
    "residual_moments",
    "residual_rate",
    "sbp_sparsity_bound",
    "score_moments",
    "second_moment",
    "signal",
    "slope_covariance",
    "slope_map",
    "slope_moment",
    "variance_map",
    "variance_slope",
]
