"""Text and arrays of notebook 13, from the rows of its records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paicore.experiments.accuracy_power import paired
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def growth(record: "Record") -> str:
    """Return the slopes of ``growth`` beside the theory's, a line per kind of net."""
    if record.rows is None:
        return record.message
    last = _last(record.rows)
    head = ["sigma_w^2", "branch", "slope against", "measured", "recursion", "range"]
    lines = [[*head[:-1], f"{head[-1]} (n = {last['seed'].nunique()})"]]
    for method in record.config.methods:
        for variant in record.config.variants:
            part = _where(last, method=method, variant=variant)
            widest = _where(record.rows, method=method, variant=variant)["range"].max()
            lines.append([
                method, variant, "log L" if variant == "stable" else "L",
                _spread(part["slope"], ".3f"), f"{part['slope_theory'].mean():.3f}",
                f"{widest:.2f}",
            ])  # fmt: skip
    return aligned(lines)


def edges(record: "Record") -> str:
    """Return ``edges``, a line per alpha."""
    if record.rows is None:
        return record.message
    lines = [["alpha", f"l^2 (1-c) / limit, l = {record.config.depth}", "slope at 1"]]
    for method in record.config.methods:
        row = _where(record.rows, method=method).iloc[0]
        lines.append([method, f"{row['ratio']:.4f}", f"{row['slope']:.6f}"])
    return aligned(lines)


def looks(
    record: "Record", columns: Sequence[str], *, density: float, forms: Sequence[str]
) -> str:
    """Return columns that sum up runs, a line per method and variant.

    Args:
        record: Of ``layers``, ``sweep`` or ``dense``; without rows its message.
        columns: Value columns.
        density: Fraction kept.
        forms: Format of each column.

    Returns:
        Text; the head line holds n, the number of seeds. A stage that keeps nothing
        has no coefficient of variation: "empty" counts such runs.
    """
    if record.rows is None:
        return record.message
    rows = _last(record.rows)
    rows = rows[_near(rows, density)]
    if rows.empty:
        return f"no run at s = {percent(density)}"
    n = rows["seed"].nunique()
    lines = [[f"s = {percent(density)} (n = {n})", "", *columns]]
    for method in record.config.methods:
        for variant in record.config.variants:
            part = _where(rows, method=method, variant=variant)
            values = (
                _spread(part[column], form, "empty")
                for column, form in zip(columns, forms, strict=True)
            )
            lines.append([method, variant, *values])
    return aligned(lines)


def shares(
    record: "Record", method: str, variant: str, density: float
) -> "pandas.DataFrame":
    """Return mean and sd over the seeds of the share kept, by layer."""
    part = _where(record.rows, method=method, variant=variant)
    part = part[_near(part, density)]
    return part.groupby("step")["share"].agg(["mean", "std"])


def dead(
    record: "Record", method: str, variant: str, sparsities: Sequence[float]
) -> np.ndarray:
    """Return the mean number of empty layers at any sparsity.

    Conventions: a layer is empty from its critical sparsity on, so that nothing is
    pruned for this.

    Args:
        record: Of ``layers``, with rows.
        method: Branch.
        variant: Activation.
        sparsities: Fractions removed (S,).

    Returns:
        Means (S,).
    """
    part = _where(record.rows, method=method, variant=variant)
    part = part[_near(part, part["density"].max())]
    found = [np.array(v) for _, v in part.groupby("seed")["critical"]]
    return np.array([np.mean([(v <= s).sum() for v in found]) for s in sparsities])


def trained(
    record: "Record", variant: str, column: str = "test_accuracy", *,
    scale: float = 100.0, form: str = ".1f",
) -> str:  # fmt: skip
    """Return mean and sd of a column, a line per method, a column per sparsity.

    Args:
        record: Of ``tables``; without rows its message is returned.
        variant: Network and activation.
        column: A value column.
        scale: Factor on the values.
        form: Format of a number.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = _where(record.rows, variant=variant)
    if rows.empty:
        return f"{variant}: no run"
    places = sorted({*rows["density"]}, reverse=True)
    n = rows.groupby(["method", "density"])["seed"].nunique()
    n = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
    lines = [[f"{variant} (n = {n})", *(f"s = {percent(d)}" for d in places)]]
    for method in record.config.methods:
        part = _where(rows, method=method)
        if len(part):
            values = (scale * part[_near(part, d)][column] for d in places)
            lines.append([method, *(_spread(v, form) for v in values)])
    return aligned(lines)


def gains(
    record: "Record", pairs: Sequence[tuple[str, str]], *, by: str = "method",
    column: str = "test_accuracy", scale: float = 100.0, form: str = ".1f",
    density: float | None = None, **at: str,
) -> str:  # fmt: skip
    """Return paired differences with 95 % intervals, a line per sparsity and pair.

    Args:
        record: With rows of several seeds; without rows its message is returned.
        pairs: (minuend, subtrahend), values of ``by``.
        by: "method" or "variant".
        column: A value column.
        scale: Factor on the values.
        form: Format of a number.
        density: Fraction kept; None: every one below 1.
        **at: Values of other columns.

    Returns:
        Text: mean, Student's interval, in how many seeds the first is ahead, and the
        true difference that as many pairs would see four times in five.
    """
    if record.rows is None:
        return record.message
    rows = _where(_last(record.rows), **at)
    places = sorted({*rows[rows["density"] < 1]["density"]}, reverse=True)
    if density is not None:
        places = [place for place in places if abs(place - density) < 1e-8]
    head = "s", "difference", "95 % interval", "ahead in", "seen from"
    lines = [["paired by seed", *head]]
    for pair in pairs:
        for place in places:
            a, b = (
                _where(rows[_near(rows, place)], **{by: name})
                .set_index("seed")[column]
                for name in pair
            )  # fmt: skip
            cells = _difference(scale * (a - b).dropna(), form)
            lines.append([" - ".join(pair), percent(place), *cells])
    return aligned(lines)


def square(record: "Record", *, rows_are: str, columns_are: str) -> str:
    """Return accuracies in percent, a line per variant, a column per method.

    Args:
        record: Of ``crossed`` or ``factors``; without rows its message is returned.
        rows_are: What a variant is.
        columns_are: What a method is.

    Returns:
        Text; the head line holds n, the number of seeds.
    """
    if record.rows is None:
        return record.message
    rows, n = record.rows, record.rows["seed"].nunique()
    heads = (f"{columns_are} {name}" for name in record.config.methods)
    lines = [[f"{rows_are} (n = {n})", *heads]]
    for variant, *_ in record.config.places:
        values = (
            100 * _where(rows, method=name, variant=variant)["test_accuracy"]
            for name in record.config.methods
        )
        lines.append([variant, *(_spread(v, ".1f") for v in values)])
    return aligned(lines)


def outputs(record: "Record", column: str = "log_output", form: str = ".2f") -> str:
    """Return ``vgg``, a line per variant, a column per network, at each sparsity."""
    if record.rows is None:
        return record.message
    rows, n = record.rows, record.rows["seed"].nunique()
    lines = [[f"{column} (n = {n})", *record.config.methods]]
    for density in record.config.densities:
        for variant in record.config.variants:
            part = _where(rows[_near(rows, density)], variant=variant)
            values = (_where(part, method=m)[column] for m in record.config.methods)
            name = f"s = {percent(density)}, {variant}"
            lines.append([name, *(_spread(v, form) for v in values)])
    return aligned(lines)


def percent(density: float) -> str:
    """Return the sparsity of a density."""
    return f"{100 * (1 - density):.4g} %"


def _difference(values: "pandas.Series", form: str) -> tuple[str, ...]:
    """Return the cells of paired differences; dashes where there are too few."""
    if values.empty:
        return ("-",) * 4
    ahead = f"{(values > 0).sum()}/{len(values)}"
    if len(values) < 2:
        return f"{values.iloc[0]:+{form}}", "-", ahead, "-"
    found = paired(list(values))
    span = f"{found.low:+{form}} to {found.high:+{form}}"
    return f"{found.mean:+{form}}", span, ahead, f"{found.least:{form}}"


def _last(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return the last row of every run."""
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def _where(rows: "pandas.DataFrame", **wanted: str) -> "pandas.DataFrame":
    """Return the rows with these values."""
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows


def _near(rows: "pandas.DataFrame", density: float):
    """Say which rows have a density, at the nine digits that a CSV keeps."""
    return (rows["density"] - density).abs() < 1e-8


def _spread(values: "pandas.Series", form: str, without: str = "lost") -> str:
    """Return mean and sd; how many runs have no number, where some have none."""
    there = values.dropna()
    if there.empty:
        return f"all {without}" if len(values) else ""
    sd = f" ±{there.std():{form}}" if len(there) > 1 else ""
    fewer = len(values) - len(there)
    lost = f" ({fewer} {without})" if fewer else ""
    return f"{there.mean():{form}}{sd}{lost}"
