"""Records of notebook 33 as text, and as what its figures draw."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

from scipy import stats

from paicore.experiments.data_on_paths_arms import ARMS
from paicore.experiments.data_on_paths_facts import HIDDEN, OTHERS
from paicore.experiments.tables import in_columns

if TYPE_CHECKING:
    import numpy
    import pandas

    from paicore.records import Record

LEVEL = 0.95
# What is compared: the first less the second, in the same seed.
PAIRS = (
    ("synflow_dist", "synflow"),
    ("l2_dist_d", "synflow_l2_d"),
    ("l2_dist_normalised", "synflow_l2_d"),
    ("l2_dist_d", "l2_dist_a"),
    ("gated_l2", "l2_dist_normalised"),
    ("px", "synflow_l2_d"),
    ("px_exact", "gated_l2"),
    ("synflow_l2_c", "synflow"),
    ("synflow_l2_d", "synflow_l2_c"),
    ("phew", "synflow_l2_c"),
    ("phew", "synflow"),
    ("snip", "synflow"),
    ("random", "synflow"),
)


def label(name: str) -> str:
    """Return what an arm is called in figures and tables."""
    return ARMS[name].label


def last(record: "Record") -> "pandas.DataFrame":
    """Return the last row of every run."""
    rows = record.rows
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def methods(record: "Record") -> list[str]:
    """Return the methods that have rows, dense first."""
    there = {*record.rows["method"]}
    return [name for name in ("dense", *record.config.methods) if name in there]


def by_arm(
    record: "Record", column: str, *, scale: float = 100.0, form: str = ".1f"
) -> str:
    """Return mean and sd over the seeds of every arm at every density, as text.

    Args:
        record: Of a comparison; without rows its message is returned.
        column: A value column; of each run the last row counts.
        scale: Factor on the values.
        form: Format of a number.
    """
    if record.rows is None:
        return record.message
    lines = []
    for variant, part in last(record).groupby("variant"):
        places = sorted({*part["density"]}, reverse=True)
        n = part["seed"].nunique()
        head = f"{record.config.data}, n = {n} {variant}".strip()
        lines.append([head, *(f"{100 * d:g} %" for d in places)])
        for name in methods(record):
            own = part[part["method"] == name]
            texts = [_spread(scale * own[own["density"] == d][column], form)
                     for d in places]  # fmt: skip
            lines.append([label(name), *texts])
    return in_columns(lines, 16)


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    r"""Return the mean of paired differences and both ends of its interval.

    .. math:: \bar d \pm t_{n-1,\,0.975} \; s / \sqrt{n}

    Args:
        differences: One per seed; with a single one the ends are nan.

    Returns:
        Mean, lower and upper end of the 95 % interval.
    """
    n, mean = len(differences), sum(differences) / len(differences)
    if n < 2:
        return mean, float("nan"), float("nan")
    error = sqrt(sum((each - mean) ** 2 for each in differences) / (n - 1) / n)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return mean, mean - reach, mean + reach


def differences(
    record: "Record", column: str = "test_accuracy", *, scale: float = 100.0
) -> list[dict]:
    """Return every pair of `PAIRS` at every density: the mean and its interval.

    Args:
        record: Of a comparison, with rows.
        column: A value column; of each run the last row counts.
        scale: Factor on the values.

    Returns:
        Dicts with variant, density, pair, mean, low, high, n and above, the number of
        seeds in which the first is above the second.
    """
    rows, found = last(record), []
    wide = rows.pivot_table(
        index=["variant", "density", "seed"], columns="method", values=column
    )
    for (variant, density), part in wide.groupby(level=[0, 1]):
        for one, other in PAIRS:
            if one not in part or other not in part:
                continue
            gaps = (scale * (part[one] - part[other])).dropna().tolist()
            if gaps:
                mean, low, high = interval(gaps)
                found.append({"variant": variant, "density": density,
                              "pair": f"{label(one)} - {label(other)}", "mean": mean,
                              "low": low, "high": high, "n": len(gaps),
                              "above": sum(gap > 0 for gap in gaps)})  # fmt: skip
    return found


def paired(record: "Record", column: str = "test_accuracy", **options) -> str:
    """Return the paired differences as text; an asterisk: the interval leaves out 0.

    Args:
        record: Of a comparison; without rows its message is returned.
        column: As in `differences`.
        **options: Of `differences`.
    """
    if record.rows is None:
        return record.message
    found = differences(record, column, **options)
    lines = []
    for variant in sorted({each["variant"] for each in found}):
        own = [each for each in found if each["variant"] == variant]
        places = sorted({each["density"] for each in own}, reverse=True)
        head = f"{record.config.data}, n = {own[0]['n']} {variant}".strip()
        lines.append([head, *(f"{100 * d:g} %" for d in places)])
        for pair in dict.fromkeys(each["pair"] for each in own):
            cells = {e["density"]: e for e in own if e["pair"] == pair}
            lines.append([pair, *(_between(cells.get(d)) for d in places)])
    return in_columns(lines, 26)


def _between(each: Mapping | None) -> str:
    """Return a mean with its interval; a dash where there is none."""
    if each is None:
        return "-"
    text = f"{each['mean']:+.1f}"
    if each["n"] < 2:
        return text
    mark = "*" if each["low"] > 0 or each["high"] < 0 else " "
    return f"{text} ({each['low']:+.1f}, {each['high']:+.1f}){mark}"


def layer_widths(record: "Record", density: float) -> str:
    """Return the mean number of units in use per hidden layer, as text."""
    if record.rows is None:
        return record.message
    rows = last(record)
    rows = rows[rows["density"].isin([density, 1.0])]
    columns = [f"width_{k}" for k in range(1, HIDDEN + 1)]
    columns = [name for name in columns if rows[name].notna().any()]
    heads = [f"layer {name[-1]}" for name in columns]
    n = rows["seed"].nunique()
    head = f"{record.config.data}, n = {n}, at {100 * density:g} %"
    lines = [[head, *heads, "narrowest", "trace, %"]]
    for name in methods(record):
        own = rows[rows["method"] == name]
        texts = [f"{own[column].mean():.1f}" for column in columns]
        trace = f"{100 * own['trace_share'].mean():.3g}"
        lines.append([label(name), *texts, _spread(own["narrowest"], ".1f"), trace])
    return in_columns(lines, 12)


def overlaps(record: "Record", density: float) -> str:
    """Return the overlap of every arm with SynFlow, C and D, in percent, as text."""
    if record.rows is None:
        return record.message
    rows = last(record)
    rows = rows[rows["density"] == density]
    n = rows["seed"].nunique()
    head = f"{record.config.data}, n = {n}, at {100 * density:g} %"
    lines = [[head, *map(label, OTHERS)]]
    for name in methods(record):
        own = rows[rows["method"] == name]
        if len(own):
            texts = [_spread(100 * own[f"overlap_{other}"], ".1f") for other in OTHERS]
            lines.append([label(name), *texts])
    return in_columns(lines, 16)


def by_layer(record: "Record") -> str:
    """Return the weights that layers keep on average, and how many are empty."""
    if record.rows is None:
        return record.message
    rows, config = record.rows, record.config
    steps = sorted({*rows["step"]})
    heads = [f"layer {step}" for step in steps]
    lines = [[f"n = {rows['seed'].nunique()}", "", *heads, "empty layers"]]
    for name in config.methods:
        for variant in config.variants:
            own = rows[(rows["method"] == name) & (rows["variant"] == variant)]
            kept = own.groupby("step")["kept"].mean()
            empty = own[own["step"] == steps[-1]]["empty"]
            span = f"{empty.min():g} to {empty.max():g}"
            texts = [f"{kept[step]:.0f}" for step in steps]
            lines.append([label(name), variant, *texts, span])
    return in_columns(lines, 13)


def by_variant(record: "Record", columns: Mapping[str, tuple[str, float, str]]) -> str:
    """Return chosen columns, mean and sd, one line per method and variant.

    Args:
        record: Of a small check; without rows its message is returned.
        columns: Column to its heading, a factor and a format.
    """
    if record.rows is None:
        return record.message
    rows, config = record.rows, record.config
    heads = [heading for heading, _, _ in columns.values()]
    lines = [[f"n = {rows['seed'].nunique()}", "", *heads]]
    for name in config.methods:
        for variant in config.variants:
            own = rows[(rows["method"] == name) & (rows["variant"] == variant)]
            texts = [_spread(scale * own[column], form)
                     for column, (_, scale, form) in columns.items()]  # fmt: skip
            called = label(name) if name in ARMS else name
            lines.append([called, variant, *texts])
    return in_columns(lines, 17)


def picture(record: "Record", method: str, column: str = "weights") -> "numpy.ndarray":
    """Return a column of an occupancy record as a square image."""
    rows = record.rows[record.rows["method"] == method].sort_values("step")
    side = round(len(rows) ** 0.5)
    return rows[column].to_numpy().reshape(side, side)


def on_blank(record: "Record") -> str:
    """Return, per method, kept first-layer weights and how many lie on blank pixels."""
    if record.rows is None:
        return record.message
    lines = [[record.config.data, "first layer", "on blank pixels", "blank pixels"]]
    for name in record.config.methods:
        rows = record.rows[record.rows["method"] == name]
        is_blank = rows["grey"] == 0
        kept, there = int(rows["weights"].sum()), int(rows["weights"][is_blank].sum())
        lines.append([label(name), str(kept), str(there), f"{is_blank.sum()}"])
    return in_columns(lines, 16)


def _spread(values: "pandas.Series", form: str) -> str:
    """Return mean and sd, a dash where there is nothing."""
    values = values.dropna()
    if not len(values):
        return "-"
    text = f"{values.mean():{form}}"
    return text if len(values) == 1 else f"{text} ±{values.std():{form}}"
