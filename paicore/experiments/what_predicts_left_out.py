r"""Prediction of a method that the fit has not seen.

For each method a regression is fitted to all others and predicts its outcomes; the
rival is the mean of the others' outcomes. With errors e and e_0 over all masks,

.. math:: \text{skill} = 1 - \sum e^2 \big/ \sum e_0^2 .

A regression needs only sums of products, so each seed and method is held as its moment
matrix, the sum of z z^T over its masks with z = (1, x, y). Moments add up: those of a
bootstrap draw are the sum of its seeds', those of a fit the total less the method's.

Ridge regression is on standardised features with a penalty relative to their number,

.. math:: b = (C + \kappa)^{-1} c, \qquad C = \operatorname{corr}(x, x),

c the covariance of x and y over the deviation of x; kappa 0 is least squares.
"""

from collections.abc import Sequence

import numpy as np

FLAT = 1e-9  # features that vary by less do not count


def moments(
    features: np.ndarray, outcome: np.ndarray, methods: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Return the moment matrix of each method.

    Args:
        features: x, shape (masks, p).
        outcome: y, shape (masks,).
        methods: Name of the method of each mask.
        names: All methods, in order; one without a mask has a matrix of zeros.

    Returns:
        Shape (methods, p + 2, p + 2).
    """
    z = np.column_stack([np.ones(len(outcome)), features, outcome])
    found = np.zeros((len(names), z.shape[1], z.shape[1]))
    for k, name in enumerate(names):
        own = z[methods == name]
        found[k] = own.T @ own
    return found


def fitted(moment: np.ndarray, penalty: float) -> np.ndarray:
    """Return v with v z = y - prediction, the last entry 1.

    Args:
        moment: Shape (..., p + 2, p + 2).
        penalty: kappa of the module.

    Returns:
        Shape (..., p + 2): minus intercept, minus slopes, 1.
    """
    count = np.maximum(moment[..., 0, 0], 1e-300)[..., None]
    mean = moment[..., 0, 1:] / count
    cov = (
        moment[..., 1:, 1:] / count[..., None] - mean[..., :, None] * mean[..., None, :]
    )
    sd = np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1)[..., :-1], 0))
    varies = sd > FLAT
    scale = np.where(varies, 1 / np.where(varies, sd, 1), 0)  # (..., p)
    inside = cov[..., :-1, :-1] * scale[..., :, None] * scale[..., None, :]
    inside = inside + (penalty + ~varies)[..., None] * np.eye(sd.shape[-1])
    across = (cov[..., :-1, -1] * scale)[..., None]
    slopes = np.linalg.solve(inside, across)[..., 0] * scale
    level = mean[..., -1] - (slopes * mean[..., :-1]).sum(-1)
    one = np.ones((*level.shape, 1))
    return np.concatenate([-level[..., None], -slopes, one], -1)


def errors(moment: np.ndarray, penalty: float) -> np.ndarray:
    """Return the squared errors of every method left out, and of the others' mean.

    Args:
        moment: Moments of the methods, shape (..., methods, p + 2, p + 2).
        penalty: kappa of the module.

    Returns:
        Shape (2, ..., methods), summed over each method's masks.
    """
    others = moment.sum(-3, keepdims=True) - moment
    fit = fitted(others, penalty)
    rival = np.zeros_like(fit)
    rival[..., -1] = 1
    rival[..., 0] = -others[..., 0, -1] / np.maximum(others[..., 0, 0], 1e-300)
    found = [np.einsum("...i,...ij,...j->...", v, moment, v) for v in (fit, rival)]
    return np.maximum(found, 0)


def skill(moment: np.ndarray, penalty: float) -> np.ndarray:
    """Return the skill over all methods, shape (...); nan where nothing varies."""
    error, rival = errors(moment, penalty).sum(-1)
    return np.where(rival > 0, 1 - error / np.where(rival > 0, rival, 1), np.nan)


def predictions(
    features: np.ndarray, outcome: np.ndarray, methods: np.ndarray, penalty: float
) -> np.ndarray:
    """Return the prediction for every mask by a fit that has not seen its method."""
    names = list(dict.fromkeys(methods.tolist()))
    found = moments(features, outcome, methods, names)
    fit = fitted(found.sum(0) - found, penalty)[[names.index(m) for m in methods]]
    return -(fit[:, 0] + (fit[:, 1:-1] * features).sum(1))


def explained(features: np.ndarray, outcome: np.ndarray, penalty: float) -> np.ndarray:
    """Return the values of a fit to all masks, which has seen what it says."""
    everything = np.zeros(len(outcome))
    fit = fitted(moments(features, outcome, everything, [0])[0], penalty)
    return -(fit[0] + features @ fit[1:-1])
