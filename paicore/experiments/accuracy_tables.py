"""Text of notebook 43, from the rows of its records."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paicore.experiments import accuracy_printed as printed
from paicore.experiments.accuracy_power import Paired, paired
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record


def percent(density: float) -> str:
    """Return the sparsity of a density, as the paper's axis has it."""
    return f"{100 * (1 - density):.1f} %"


def rows_of(records: Sequence["Record"]) -> "pandas.DataFrame | None":
    """Return the rows of several records of one kind, None if there are none."""
    import pandas

    found = [record.rows for record in records if record.rows is not None]
    return pandas.concat(found, ignore_index=True) if found else None


def messages(records: Sequence["Record"]) -> str:
    """Return why there are no rows."""
    return "\n".join(record.message for record in records)


def accuracies(
    *records: "Record", column: str = "accuracy", variant: str = "", lines: str = ""
) -> str:
    """Return mean and sd in percent, a line per method, a column per sparsity.

    Args:
        *records: Records of `Arms`; those that are not run are left out.
        column: A value column.
        variant: The variant that is shown, where methods are the lines.
        lines: "variant": a line per variant of the only method instead.
    """
    rows = rows_of(records)
    if rows is None:
        return messages(records)
    dense = rows[rows["method"] == "dense"]
    rows = rows[rows["method"] != "dense"]
    by = lines or "method"
    if not lines:
        rows = rows[rows["variant"] == variant]
    config = records[0].config
    order = getattr(config, "variants" if lines else "methods")
    places = sorted({*rows["density"]}, reverse=True)
    table = [[_seeds(rows), *(percent(place) for place in places)]]
    if len(dense) and not lines:
        table.append([f"dense {_spread(100 * dense[column])}", *("" for _ in places)])
    for name in (each for each in order if each in {*rows[by]}):
        part = rows[rows[by] == name]
        cells = [_spread(100 * part.loc[part["density"] == d, column]) for d in places]
        table.append([name or "the paper's", *cells])
    return aligned(table)


def _seeds(rows: "pandas.DataFrame") -> str:
    """Return how many seeds there are."""
    counts = rows.groupby(["method", "density", "variant"])["seed"].nunique()
    least, most = counts.min(), counts.max()
    return f"n = {least}" if least == most else f"n = {least} to {most}"


def _spread(values: "pandas.Series", form: str = ".1f") -> str:
    """Return mean and sd, a dash where there is nothing."""
    values = values.dropna()
    if not len(values):
        return "-"
    sd = f" ±{values.std():{form}}" if len(values) > 1 else ""
    return f"{values.mean():{form}}{sd}"


def differences(rows: "pandas.DataFrame", column: str, **at) -> Paired | None:
    """Return the paired differences of one way of pruning, in points."""
    for name, value in at.items():
        rows = rows[rows[name] == value]
    values = list(100 * rows[column].dropna())
    return paired(values) if len(values) > 1 else None


def powers(*records: "Record", column: str = "over", variant: str | None = None) -> str:
    """Return every comparison: n, difference, interval, what would have been seen.

    Args:
        *records: Records of `Arms`.
        column: "over" after the last step, "over_best" of the best evaluation.
        variant: Only this one; None for all.
    """
    rows = rows_of(records)
    if rows is None:
        return messages(records)
    head = "sparsity", "n", "difference", "95 % interval", "would be seen from"
    table = [["points over NTK-SAP", *head]]
    for density in sorted({*rows["density"]}, reverse=True):
        for method in records[0].config.methods:
            for each in _variants(records[0], rows):
                if variant not in (None, each):
                    continue
                at = {"density": density, "method": method, "variant": each}
                found = differences(rows, column, **at)
                if found is None or found.sd == 0 == found.mean:
                    continue
                name = f"{method} {each}".strip()
                table.append([name, percent(density), *_compared(found)])
    return aligned(table)


def _variants(record: "Record", rows: "pandas.DataFrame") -> list[str]:
    """Return the variants of some rows, those of the config first and in its order."""
    there = list(dict.fromkeys(rows["variant"]))
    return sorted(there, key=[*record.config.variants, *there].index)


def _compared(found: Paired) -> tuple[str, ...]:
    """Return the cells of one comparison."""
    span = f"{found.low:+.1f} to {found.high:+.1f}"
    return (
        f"{found.n}",
        f"{found.mean:+.1f} ±{found.sd:.1f}",
        span,
        f"{found.least:.1f}",
    )


def crossing(*records: "Record", one: str = "grasp", other: str = "snip") -> str:
    """Return one method less another by sparsity, and where the sign turns for good."""
    rows = rows_of(records)
    if rows is None:
        return messages(records)
    rows = rows[(rows["variant"] == "") & rows["method"].isin((one, other))]
    wide = 100 * rows.pivot_table(
        "accuracy", ["density", "seed"], "method", dropna=False
    )
    gap = (wide[one] - wide[other]).dropna()
    places = sorted({*gap.index.get_level_values("density")}, reverse=True)
    head = "n", "difference", "95 % interval", "would be seen from"
    table, means = [[f"{one} less {other}", *head]], []
    for place in places:
        values = list(gap[place])
        means.append(sum(values) / len(values))
        cells = "1", f"{values[0]:+.1f}", "-", "-"
        if len(values) > 1:
            cells = _compared(paired(values))
        table.append([percent(place), *cells])
    after = [k for k in range(len(means)) if min(means[k:]) > 0]
    turn = percent(places[after[0]]) if after else "nowhere"
    text = f"{one} is ahead in the mean from this sparsity on: {turn}"
    return f"{aligned(table)}\n{text}"


def pairs(*records: "Record", leave: tuple[str, ...] = ("dense", "random")) -> str:
    """Return the pairs of methods whose interval misses zero, and how many there are.

    Args:
        *records: Records of `Arms`; runs with a variant are left out.
        leave: Methods that are in no pair.
    """
    rows = rows_of(records)
    if rows is None:
        return messages(records)
    rows = rows[(rows["variant"] == "") & ~rows["method"].isin(leave)]
    table, count = [["less", "sparsity", "difference", "95 % interval"]], 0
    for density in sorted({*rows["density"]}, reverse=True):
        part = rows[rows["density"] == density]
        wide = 100 * part.pivot_table("accuracy", "seed", "method")
        names = [name for name in records[0].config.methods if name in wide]
        for one, other in itertools.combinations(names, 2):
            values = list((wide[one] - wide[other]).dropna())
            if len(values) < 2:
                continue
            found, count = paired(values), count + 1
            if found.low <= 0 <= found.high:
                continue
            _, mean, span, _ = _compared(found)
            table.append([f"{one} less {other}", percent(density), mean, span])
    table[0][0] = f"{len(table) - 1} of {count} pairs miss zero"
    return aligned(table)


def spreads(record: "Record", leave: tuple[str, ...] = ("jvp",)) -> str:
    """Return how far apart the means of the variants are, in points, by sparsity.

    Args:
        record: Of one method with variants.
        leave: Variants that are not counted.
    """
    if record.rows is None:
        return record.message
    rows = record.rows[~record.rows["variant"].isin(leave)]
    means = 100 * rows.groupby(["density", "variant"])["accuracy"].mean()
    table = [["sparsity", "variants", "largest less smallest mean"]]
    for density in sorted({*rows["density"]}, reverse=True):
        part = means[density]
        gap = part.max() - part.min()
        table.append([percent(density), f"{len(part)}", f"{gap:.1f}"])
    return aligned(table)


def shares(*records: "Record") -> str:
    """Return empty layers and the share of kept weights on a path, means."""
    rows = rows_of(records)
    if rows is None:
        return messages(records)
    rows = rows[rows["method"] != "dense"]
    table = [["", "sparsity", "empty layers", "on a path, %"]]
    groups = dict(list(rows.groupby(["density", "method", "variant"], sort=False)))
    for key in itertools.product(
        sorted({*rows["density"]}, reverse=True),
        records[0].config.methods,
        _variants(records[0], rows),
    ):
        if key not in groups:
            continue
        part, (density, *names) = groups[key], key
        cells = f"{part['empty'].mean():.1f}", f"{100 * part['effective'].mean():.1f}"
        table.append([" ".join(names).strip(), percent(density), *cells])
    return aligned(table)


def costs(record: "Record") -> str:
    """Return passes and seconds of a scoring and of a whole pruning."""
    if record.rows is None:
        return record.message
    heads = "passes a scoring", "draws", "rounds", "passes in all"
    table = [["", *heads]]
    found = record.rows.groupby("method").mean(numeric_only=True)
    for name in record.config.methods:
        if name in found.index:
            row = found.loc[name]
            mark = "†" * int(printed.RECALLED_ROUNDS.get(name) == row["rounds"])
            whole = f"{row['draws']:.0f}", f"{row['rounds']:.0f}{mark}"
            passes = f"{row['passes']:.1f}{mark}"
            table.append([name, f"{row['units']:.2f}", *whole, passes])
    note = "\n† recalled, not checked against the PDF"
    text = aligned(table)
    return text + note * ("†" in text)


def seconds(record: "Record") -> str:
    """Return the seconds of a scoring and, from them, of a whole pruning."""
    if record.rows is None:
        return record.message
    table = [["seconds, one CPU core", "a scoring", "a pruning"]]
    found = record.rows.groupby("method").mean(numeric_only=True)
    for name in (each for each in record.config.methods if each in found.index):
        row = found.loc[name]
        whole = row["seconds"] * row["draws"] * row["rounds"]
        table.append([name, f"{row['seconds']:.2g}", f"{whole:.2g}"])
    return aligned(table)
