"""What is measured of a kernel: its spectrum beside the dense and the printed one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from paicore import Masks
from paicore.experiments.spectra_masks import Setting, dense_cell, kernel_of
from paicore.experiments.spectra_measures import (
    NAN,
    alignment,
    condition,
    distances,
    resolved,
    spectrum,
)
from paicore.experiments.spectra_paper import off

SPECTRUM_VALUES = (
    "eigenvalue", "ratio", "rms", "scale_free", "scale", "alignment", "condition",
    "condition_ratio", "trace", "unresolved", "kept", "emptied",
)  # fmt: skip
CONVENTION_VALUES = (
    "eigenvalue", "off_rms", "off_middle", "off_ends", "behind", "condition", "trace",
)  # fmt: skip
CHECK_VALUES = ("apart", "worst", "moved", "alignment_moved", "condition_moved")


def places(config: Setting, size: int) -> list[int]:
    """Return the indices of the eigenvalues that are recorded."""
    return sorted({min(round(share * size), size - 1) for share in config.shares})


def profile(config: Setting, columns: Mapping[str, Tensor], facts: dict) -> list[dict]:
    """Return the recorded eigenvalues as rows; the facts stand in the last one."""
    found = places(config, len(columns["eigenvalue"]))
    blank = dict.fromkeys(facts, NAN)
    return [
        {"step": index, **{n: float(v[index]) for n, v in columns.items()},
         **(facts if index == found[-1] else blank)}
        for index in found
    ]  # fmt: skip


def measured(config: Setting, kernel: Tensor) -> tuple[Tensor, int]:
    """Return the eigenvalues of a kernel, rising, and how many are rounding."""
    return resolved(spectrum(kernel), getattr(torch, config.dtype))


def run_spectra(config: Setting, cell: dict) -> list[dict]:
    """Measure a method's spectrum against that of the dense network of its draw.

    Returns:
        One row per recorded eigenvalue; in the last one the distances of the whole
        spectra, condition numbers, the trace, and the counts "unresolved" eigenvalues,
        weights "kept" and layers "emptied".
    """
    kernel, masks = kernel_of(config, cell)
    values, unresolved = measured(config, kernel)
    whole, _ = kernel_of(config, dense_cell(cell))
    dense, _ = measured(config, whole)
    facts = {
        **distances(values, dense),
        "alignment": alignment(kernel, whole),
        "condition": condition(values),
        "condition_ratio": condition(values) / condition(dense),
        "trace": float(kernel.trace()),
        "unresolved": unresolved,
        "kept": Masks(masks).kept,
        "emptied": len(masks.collapsed),
    }
    return profile(config, {"eigenvalue": values, "ratio": values / dense}, facts)


def run_conventions(config: Setting, cell: dict) -> list[dict]:
    """Measure the dense spectrum in one convention against the digitised curve.

    Returns:
        One row per recorded eigenvalue; in the last one the differences from the
        printed curve, "behind", how much farther from it than the train-mode kernel
        of the same draw, condition number and trace.
    """
    kernel, _ = kernel_of(config, cell)
    values, _ = measured(config, kernel)
    found = off(values.tolist())
    train, _ = kernel_of(config, cell, variant="train")
    own, _ = measured(config, train)
    facts = {
        **found,
        "behind": found["off_rms"] - off(own.tolist())["off_rms"],
        "condition": condition(values),
        "trace": float(kernel.trace()),
    }
    return profile(config, {"eigenvalue": values}, facts)


def run_checks(config: Setting, cell: dict) -> list[dict]:
    """Compare a spectrum with one in another precision, or of more parameters.

    Returns:
        One row: "apart", the rms of the relative differences of the eigenvalues, and
        "worst", the largest; how far the distance from the dense network ("moved") and
        the alignment move; and the condition number, relative.
    """
    other = {"variant": "trainable"}
    if cell["variant"] == "float64":
        other = {"variant": "train", "dtype": "float64"}
    base, more = {"variant": "train"}, dense_cell(cell)
    sides = []
    for how in (base, other):
        kernel, _ = kernel_of(config, cell, **how)
        whole, _ = kernel_of(config, more, **how)
        values, dense = measured(config, kernel)[0], measured(config, whole)[0]
        sides.append((kernel, whole, values, dense))
    (k1, d1, v1, w1), (k2, d2, v2, w2) = sides
    ratio = (v2 / v1 - 1).abs()
    rms = [distances(v, w)["rms"] for v, w in ((v1, w1), (v2, w2))]
    return [{
        "step": 0,
        "apart": float(ratio.square().mean().sqrt()),
        "worst": float(ratio.max()),
        "moved": abs(rms[1] - rms[0]),
        "alignment_moved": abs(alignment(k2, d2) - alignment(k1, d1)),
        "condition_moved": abs(condition(v2) / condition(v1) - 1),
    }]  # fmt: skip
