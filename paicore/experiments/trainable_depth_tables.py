"""Text and arrays of notebook 12, from the rows of its records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def by_density(
    record: "Record",
    method: str,
    column: str,
    *,
    form: str = ".3f",
    variants: Sequence[str] = (),
) -> str:
    """Return mean and sd of a column, a line per variant, a column per sparsity.

    Args:
        record: Of ``signals``; without rows its message is returned.
        method: Activation.
        column: A value column.
        form: Format of a number.
        variants: Those to show; none for all.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = record.rows[record.rows["method"] == method]
    lines = [[f"{method}, {column} (n = {rows['seed'].nunique()})"]]
    lines[0] += [f"s = {_percent(d)}" for d in record.config.densities]
    for variant in variants or record.config.variants:
        part = rows[rows["variant"] == variant].groupby("density")[column]
        if len(part):
            values = [_spread(part, d, form) for d in record.config.densities]
            lines.append([variant, *values])
    return aligned(lines)


def arms(record: "Record", column: str = "test_accuracy", *, scale: float = 100.0):
    """Return mean and sd of trained networks, a line per depth, a column per arm.

    Args:
        record: Of trained networks; without rows its message is returned.
        column: A value column.
        scale: Factor on the values.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = record.rows.assign(**{column: scale * record.rows[column]})
    counts = rows.groupby(["method", "variant", "density"])["seed"].nunique()
    least, most = counts.min(), counts.max()
    n = f"{least}" if least == most else f"{least} to {most}"
    lines = [[f"depth, sparsity (n = {n})", *record.config.methods]]
    for variant, density in places(record):
        here = rows[(rows["variant"] == variant) & _near(rows, density)]
        part = here.groupby("method")[column]
        values = (_spread(part, name, ".1f") for name in record.config.methods)
        lines.append([f"{variant}, {_percent(density)}", *values])
    return aligned(lines)


def places(record: "Record") -> list[tuple[str, float]]:
    """Return the pairs of variant and density that have rows, in the config's order."""
    found = [
        (f"{depth} {pace}".strip(), density)
        for depth, density in record.config.places
        for pace in record.config.variants
    ]
    rows = record.rows
    return [
        (variant, density) for variant, density in found
        if ((rows["variant"] == variant) & _near(rows, density)).any()
    ]  # fmt: skip


def grid(
    record: "Record", method: str, column: str = "test_accuracy"
) -> tuple[list[int], list[float], np.ndarray]:
    """Return the means over the seeds of one arm as a map.

    Args:
        record: Of ``maps``, with rows.
        method: Arm.
        column: A value column.

    Returns:
        Depths (D,), sparsities (S,) and means (D, S); nan where there is no run.
    """
    depths = sorted({depth for depth, _ in record.config.places})
    densities = sorted({density for _, density in record.config.places}, reverse=True)
    rows = record.rows[record.rows["method"] == method]
    found = np.full((len(depths), len(densities)), np.nan)
    for i, depth in enumerate(depths):
        for j, density in enumerate(densities):
            part = rows[(rows["variant"] == f"{depth}") & _near(rows, density)]
            if len(part):
                found[i, j] = part[column].mean()
    return depths, [round(1 - d, 9) for d in densities], found


def line(
    record: "Record", method: str, variant: str, column: str
) -> "pandas.DataFrame":
    """Return mean and sd over the seeds of a column of ``profiles``, by layer."""
    rows = record.rows
    part = rows[(rows["method"] == method) & (rows["variant"] == variant)]
    return part.groupby("step")[column].agg(["mean", "std"])


def _near(rows: "pandas.DataFrame", density: float):
    """Say which rows have a density, at the nine digits that a CSV keeps."""
    return (rows["density"] - density).abs() < 1e-8


def _percent(density: float) -> str:
    """Return the sparsity of a density."""
    return f"{100 * (1 - density):.3g} %"


def _spread(groups, key, form: str) -> str:
    """Return mean and sd of one group; nothing where there is none."""
    if key not in groups.groups:
        return ""
    values = groups.get_group(key)
    there = values.dropna()
    if there.empty:
        return "none"
    sd = f" ±{there.std():{form}}" if len(there) > 1 else ""
    lost = f" ({len(values) - len(there)} lost)" if len(there) < len(values) else ""
    return f"{there.mean():{form}}{sd}{lost}"
