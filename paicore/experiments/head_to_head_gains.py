"""Tables of notebook 51 on where gains come from and what methods cost."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.head_to_head_pairs import interval
from paicore.experiments.head_to_head_parts import IN_ORDER, SCALE_FIRST
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record
    from paicore.train import Recipe


def at(record: "Record", density: float) -> "pandas.DataFrame":
    """Return the rows of one density, which a CSV keeps to nine digits."""
    return record.rows[(record.rows["density"] - density).abs() < 1e-9]


def gains(record: "Record", density: float) -> "pandas.DataFrame":
    """Return the mean gain of each part in points, a line per method.

    Args:
        record: A record of parts, with rows.
        density: Which of its densities.
    """
    rows = at(record, density)
    rows = rows.assign(points=100 * rows["gain"] / rows["tested"])
    found = rows.pivot_table(
        index="method", columns="variant", values="points", aggfunc="mean"
    )
    order = [name for name in record.config.methods if name in found.index]
    return found.loc[order]


def taken_apart(
    record: "Record", density: float, parts: Iterable[str] = (*IN_ORDER, "whole")
) -> str:
    """Return the parts of every method's gain over a uniform random mask.

    Args:
        record: Without rows its message is returned.
        density: Which of its densities.
        parts: Names of parts, in the order of the columns.

    Returns:
        Text: mean and half of the 95 % interval over the seeds, in points.
    """
    if record.rows is None:
        return record.message
    rows = at(record, density)
    lines = [[f"{100 * density:g} %, n = {rows['seed'].nunique()}, ± 95 %", *parts]]
    for name in record.config.methods:
        own = rows[rows["method"] == name]
        line = [name]
        for part in parts:
            here = own[own["variant"] == part]
            line.append(_half((100 * here["gain"] / here["tested"]).tolist()))
        lines.append(line)
    return aligned(lines)


def _half(values: Sequence[float]) -> str:
    """Return the mean and half of its interval; of one value no interval."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:+.1f}"
    mean, low, _, _ = interval(values)
    return f"{mean:+.1f} ±{mean - low:.1f}"


def exactness(*shown: "Record") -> str:
    """Say in how many runs the parts sum to the whole, in right answers.

    Args:
        *shown: Records of parts; those without rows say so.

    Returns:
        One line per record; each run has a sum for every way from first to last.
    """
    lines = []
    for record in shown:
        if record.rows is None:
            lines.append(record.message)
            continue
        index = ["method", "density", "seed"]
        table = record.rows.pivot(index=index, columns="variant", values="gain")
        scored = {*IN_ORDER} <= {*table}
        rest = [name for name in table if name != "whole"]
        ways = (IN_ORDER, SCALE_FIRST) if scored else (rest,)
        exact = sum(
            int((table[[*way]].sum(axis=1) == table["whole"]).sum()) for way in ways
        )
        asked = len(table) * len(ways)
        lines.append(f"the parts sum to the whole, exactly, in {exact} of {asked} sums")
    return "\n".join(lines)


def costs(record: "Record", recipe: "Recipe") -> str:
    """Return forward passes before training, a line per method, a column per network.

    Conventions: a training step on as many images is one forward and one backward pass
    in all weights, which is what SNIP counts.

    Args:
        record: Without rows its message is returned.
        recipe: Of the training that follows.
    """
    if record.rows is None:
        return record.message
    table = record.rows.pivot(index="method", columns="variant", values="total")
    places = [name for name in record.config.variants if name in table]
    lines = [["", "rounds or steps", *places]]
    for name in (m for m in record.config.methods if m in table.index):
        own = record.rows[record.rows["method"] == name]["times"]
        times = "/".join(f"{value:g}" for value in dict.fromkeys(own))
        cells = ("-" if value != value else f"{value:.4g}" for value in
                 (table.loc[name, place] for place in places))  # fmt: skip
        lines.append([name, times, *cells])
    if "snip" in table.index:
        seen = recipe.steps * recipe.batch / record.config.images  # so many times
        training = seen * table.loc["snip", places[0]]
        rest = ["-" for _ in places[1:]]
        lines.append(["training", f"{recipe.steps}", f"{training:.4g}", *rest])
    return aligned(lines)
