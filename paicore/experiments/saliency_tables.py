"""Text of notebook 41, from the rows of its records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paicore.experiments.accuracy_power import paired
from paicore.experiments.tables import aligned, span

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

ROUNDING = 1e-12  # relative differences below are called rounding


def grid(
    record: "Record",
    column: str,
    *,
    lines: Sequence[str] = ("method",),
    across: str = "step",
    at: dict | None = None,
    scale: float = 1.0,
    form: str = ".3g",
    sd: bool = True,
) -> str:
    """Return mean and sd over the seeds, lines and columns of one's choice.

    Args:
        record: Without rows its message is returned.
        column: A value column.
        lines: Columns whose values name a line.
        across: Column whose values are the table's columns.
        at: Column to value, what else is fixed.
        scale: Factor on the values.
        form: Format of a number.
        sd: Whether the sd is shown.

    Returns:
        Text; the head line holds n, the number of seeds. A dash where nothing was
        measured.
    """
    if record.rows is None:
        return record.message
    rows = chosen(record.rows, at)
    places = list(dict.fromkeys(rows.sort_values("step")[across]))
    head = [f"n = {rows['seed'].nunique()}", *(_text(place) for place in places)]
    found = rows.groupby([*lines, across], sort=False)[column].agg(["mean", "std"])
    names = list(dict.fromkeys(rows[list(lines)].itertuples(index=False, name=None)))
    table = [head]
    for name in _in_order(record, names, lines):
        cells = [_cell(found, (*name, place), scale, form, sd) for place in places]
        table.append([" ".join(str(part) for part in name if part), *cells])
    return aligned(table)


def chosen(rows: "pandas.DataFrame", at: dict | None) -> "pandas.DataFrame":
    """Return the rows that have the given values."""
    for name, value in (at or {}).items():
        rows = rows[rows[name] == value]
    return rows


def _in_order(record: "Record", names: list[tuple], lines: Sequence[str]) -> list:
    """Return names in the order of the config, methods and variants alike."""
    order = {"method": record.config.methods, "variant": record.config.variants}

    def place(name: tuple) -> tuple:
        return tuple(
            list(order[line]).index(part) if part in order.get(line, ()) else 0
            for line, part in zip(lines, name, strict=True)
        )

    return sorted(names, key=place)


def _cell(found, key: tuple, scale: float, form: str, sd: bool) -> str:
    """Return mean and sd, a dash where there is none."""
    if key not in found.index:
        return "-"
    mean, spread = scale * found.loc[key]
    if mean != mean:
        return "-"
    has_sd = sd and spread == spread
    return f"{mean:{form}}" + (f" ±{spread:{'.2g' if 'g' in form else form}}" * has_sd)


def _text(place) -> str:
    """Return a heading."""
    return place if isinstance(place, str) else f"{place:.6g}"


def spans(
    record: "Record",
    columns: Sequence[str],
    lines: str = "method",
    at: dict | None = None,
) -> str:
    """Return least to greatest value of each column, a line per method.

    Args:
        record: Without rows its message is returned.
        columns: Value columns; what is below `ROUNDING` is called rounding.
        lines: Column whose values name a line.
        at: Column to value, what else is fixed.
    """
    if record.rows is None:
        return record.message
    rows = chosen(record.rows, at)
    table = [[f"n = {rows['seed'].nunique()}", *columns]]
    for (name,) in _in_order(record, [(n,) for n in dict.fromkeys(rows[lines])],
                             (lines,)):  # fmt: skip
        part = rows[rows[lines] == name]
        table.append([name, *(span(part[column], _difference) for column in columns)])
    return aligned(table)


def _difference(value: float) -> str:
    """Return a number; what is rounding is called so."""
    if value == 0:
        return "0"
    return "rounding" if abs(value) < ROUNDING else f"{value:.3g}"


def counts(record: "Record") -> str:
    """Return kept weights of each network, and where rounding gives another count."""
    if record.rows is None:
        return record.message
    names = record.config.methods
    table = [["density", *names, "differ from the nearest"]]
    for density in record.config.densities:
        part = record.rows[(record.rows["density"] / density - 1).abs() < 1e-6]
        kept = part.set_index("method")
        cells = [f"{int(kept.loc[name, 'kept'])}" for name in names]
        other = [n for n in names if kept.loc[n, "kept"] != kept.loc[n, "rounded"]]
        table.append([f"{density:.6g}", *cells, f"{len(other)} of {len(names)}"])
    return aligned(table)


def layers(record: "Record", method: str) -> str:
    """Return the density of every layer in percent, variants as columns; means."""
    if record.rows is None:
        return record.message
    rows = record.rows[record.rows["method"] == method]
    variants = record.config.variants
    share = 100 * rows["kept"] / rows["weights"]
    found = rows.assign(share=share).groupby(["step", "variant"])["share"].mean()
    table = [[f"n = {rows['seed'].nunique()}", "weights", *variants]]
    for step, part in rows.groupby("step"):
        cells = [f"{found[step, variant]:.2f}" for variant in variants]
        table.append([f"layer {step}", str(int(part["weights"].iloc[0])), *cells])
    return aligned(table)


def masks(record: "Record") -> str:
    """Return what whole masks of `layers` share, and how much is on a path."""
    if record.rows is None:
        return record.message
    heads = "with frozen", "other draws", "on a path", "empty layers"
    table = [[f"n = {record.rows['seed'].nunique()}", *heads]]
    for method in record.config.methods:
        for variant in record.config.variants:
            part = chosen(record.rows, {"method": method, "variant": variant})
            if not len(part):
                continue
            sums = part.groupby("seed")[["kept", "shared", "again", "effective"]].sum()
            shares = [
                (sums[name] / sums["kept"]).mean()
                for name in ("shared", "again", "effective")
            ]
            empty = (part["kept"] == 0).groupby(part["seed"]).sum().mean()
            cells = *(f"{each:.3f}" for each in shares), f"{empty:.1f}"
            table.append([f"{method} {variant}", *cells])
    return aligned(table)


def signed(record: "Record") -> str:
    """Return sums over moduli of the layers before the readout, least to greatest."""
    if record.rows is None:
        return record.message
    rows = record.rows.dropna(subset="signed")
    table = [[f"n = {rows['seed'].nunique()}", "sum over moduli"]]
    for method in record.config.methods:
        part = rows[rows["method"] == method]
        part = part[part["step"] < part["step"].max()]
        for variant, values in part.groupby("variant")["signed"]:
            table.append([f"{method} {variant}", span(values, _difference)])
    return aligned(table)


def differences(asked: Sequence[tuple[str, "Record", str, dict]]) -> str:
    """Return paired differences in points and what their number of seeds can see.

    Args:
        asked: For each line a name, a record, a column of differences and what else
            is fixed, as in `grid`.

    Returns:
        Text; "least" is the true difference that a two-sided test at 5 % sees with
        power 80 %, if the standard deviation is right. A dash where nothing was run.
    """
    table = [["", "mean", "sd", "95 % interval", "least", "n"]]
    for name, record, column, at in asked:
        if record.rows is None:
            table.append([name, *"-----"])
            continue
        points = list(100 * chosen(record.rows, at)[column])
        if len(points) < 2:  # smoke has other cells
            table.append([name, *"-----"])
            continue
        found = paired(points)
        interval = f"{found.low:.1f} to {found.high:.1f}"
        cells = f"{found.mean:.1f}", f"{found.sd:.1f}", interval, f"{found.least:.1f}"
        table.append([name, *cells, str(found.n)])
    return aligned(table)


_FIVE, _ONE = {"variant": "5"}, {"variant": "1"}
# What the notebook compares: a name, experiment, column, and what else is fixed.
PAIRS = (
    ("T=20 over T=1, R=5", "phase", "over_one", {**_FIVE, "step": 20}),
    ("T=20 over T=2, R=5", "gains", "behind", {"step": 1}),
    ("R=5 over R=1, T=20", "gains", "behind", {"step": 2}),
    ("shuffled, T=1, R=5", "phase", "by_place", {**_FIVE, "step": 1}),
    ("shuffled, T=1, R=1", "phase", "by_place", {**_ONE, "step": 1}),
    ("shuffled, T=20, R=5", "phase", "by_place", {**_FIVE, "step": 20}),
    ("shuffled, T=20, R=1", "phase", "by_place", {**_ONE, "step": 20}),
    ("1.8 %: T=20 over T=1, R=5", "phase_sparse", "over_one", {**_FIVE, "step": 20}),
    ("1.8 %: shuffled, T=20, R=5", "phase_sparse", "by_place", {**_FIVE, "step": 20}),
    ("1.8 %: shuffled, T=20, R=1", "phase_sparse", "by_place", {**_ONE, "step": 20}),
)


def power(shown: dict[str, "Record"]) -> str:
    """Return `differences` of the accuracies that the notebook compares."""
    return differences([(text, shown[name], *rest) for text, name, *rest in PAIRS])


def grids(record: "Record", columns: dict[str, str], **options) -> str:
    """Return a `grid` for each column under its text; options as in `grid`."""
    return "\n".join(
        f"{text}\n{grid(record, column, **options)}" for column, text in columns.items()
    )
