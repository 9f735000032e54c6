"""What the tables and figures of notebook 23 show, computed from records' rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.tables import in_columns

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

# What a comparison is about: with it, without it. {} is the tangent space.
PARTS = (
    ("kernel term", "ntt_{}", "ntt_{}_no_kernel"),
    ("output term", "ntt_{}", "ntt_{}_no_target"),
    ("mask updates", "ntt_{}", "ntt_{}_frozen"),
    ("student's weights", "ntt_{}", "mask_only_{}"),
    ("student's mask", "ntt_{}", "weights_only_{}"),
    ("masked for ambient", "ntt_masked", "ntt_ambient"),
    ("mask alone", "mask_only_{}", "random"),
    ("weights alone", "weights_only_{}", "random"),
    ("all of it", "ntt_{}", "random"),
)

NAMES = {"adam": "Adam", "sgd": "plain gradient descent"}
SHARES = {"own_share": 100.0, "masked_share": 100.0}
MODES = (0, 1, 4, 9, 19, 49, 99, 199)
MEANS = (
    "top_masked",
    "rest_masked",
    "trace_ratio",
    "relative_masked",
    "relative_ambient",
)


def chosen(record: "Record") -> "pandas.DataFrame":
    """Return the rows at the largest density asked, and those of the dense network."""
    rows = record.rows
    return rows[rows["density"].isin((max(record.config.densities), 1.0))]


def seeds_of(points: "pandas.DataFrame") -> str:
    """Return how many seeds the parts of `paired` have, as "5" or "2 to 5"."""
    counts = points.groupby("part")["seed"].nunique()
    least, most = counts.min(), counts.max()
    return f"{least}" if least == most else f"{least} to {most}"


def by_step(
    record: "Record",
    column: str,
    steps: Iterable[int] = (),
    *,
    variant: str = "",
    scale: float = 100.0,
    form: str = ".1f",
) -> str:
    """Return mean and sd over the seeds, a line per method, a column per step.

    Args:
        record: Without rows its message is returned.
        column: A value column.
        steps: Those to show, as far as there are rows; none of them there: all.
        variant: Only rows of this variant.
        scale: Factor on the values; 100 turns fractions into percent.
        form: Format of a number.

    Returns:
        Text. A line ends in its number of seeds.
    """
    if record.rows is None:
        return record.message
    rows = chosen(record)
    rows = rows[rows["variant"] == variant]
    steps = _there(rows, steps)
    lines = [["at", *map(str, steps), "n"]]
    for method in record.config.methods:
        part = rows[rows["method"] == method]
        at = (scale * part[part["step"] == step][column] for step in steps)
        seeds = part["seed"].nunique()
        lines.append([method, *(_spread(found, form) for found in at), str(seeds)])
    return in_columns(lines, 13)


def by_column(
    record: "Record", columns: Mapping[str, float], *, form: str = ".3f"
) -> str:
    """Return mean and sd of each run's last row, a line per method.

    Args:
        record: Without rows its message is returned.
        columns: Value column to the factor on it.
        form: Format of a number.

    Returns:
        Text; methods that have no such value are left out. Variants count once, as
        what is shown here is found before the variants part.
    """
    if record.rows is None:
        return record.message
    rows = chosen(record)
    rows = rows[rows["variant"] == record.config.variants[0]]
    rows = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
    rows = rows.dropna(subset=list(columns), how="all")
    lines = [["", *columns, "n"]]
    for method in record.config.methods:
        part = rows[rows["method"] == method]
        if len(part):
            values = (_spread(scale * part[c], form) for c, scale in columns.items())
            lines.append([method, *values, str(len(part))])
    return in_columns(lines, 18)


def paired(record: "Record", variant: str, step: int) -> "pandas.DataFrame":
    """Return what each part adds to the accuracy, in points, seed by seed.

    Conventions: the parts are `PARTS` in the tangent space that the record's ablations
    have; those whose methods the record lacks are left out. Each difference is within
    one seed: weights, images and order of the batches are the same.

    Args:
        record: A record of accuracies, with rows.
        variant: Variant of the rows.
        step: Step of the rows.

    Returns:
        Columns "part", "seed", "points".
    """
    import pandas as pd

    rows = chosen(record)
    rows = rows[(rows["variant"] == variant) & (rows["step"] == step)]
    at = rows.set_index(["method", "seed"])["test_accuracy"]
    there, found = {*rows["method"]}, []
    for part, *names in PARTS:
        pair = [name.format(tangent(record)) for name in names]
        if there.issuperset(pair):
            gap = 100 * (at[pair[0]] - at[pair[1]]).dropna()
            found += [(part, seed, points) for seed, points in gap.items()]
    return pd.DataFrame(found, columns=["part", "seed", "points"])


def tangent(record: "Record") -> str:
    """Return the tangent space whose parts a record takes away."""
    methods = " ".join(record.config.methods)
    return "ambient" if "mask_only_ambient" in methods else "masked"


def parts(record: "Record", variant: str, steps: Sequence[int]) -> str:
    """Return `paired` as text: mean, sd, and how many seeds agree that it helps.

    Args:
        record: Without rows its message is returned.
        variant: Variant of the rows.
        steps: Those to show, as far as there are rows; none of them there: all.

    Returns:
        Text, in points of test accuracy, one line per part.
    """
    if record.rows is None:
        return record.message
    steps = _there(record.rows, steps)
    tables = {step: paired(record, variant, step) for step in steps}
    lines = [["what is added", *(f"at {step}" for step in steps)]]
    for part in dict.fromkeys(name for t in tables.values() for name in t["part"]):
        line = [part]
        for table in tables.values():
            points = table[table["part"] == part]["points"]
            wins = f"{int((points > 0).sum())}/{len(points)}"
            line.append(f"{_spread(points, '+.1f')} ({wins})")
        lines.append(line)
    return in_columns(lines, 20)


def trained(record: "Record") -> str:
    """Return accuracies at every look, and how close the transfers came."""
    if record.rows is None:
        return record.message
    return "\n".join(
        (
            "test accuracy in percent, mean and sd over n seeds",
            by_step(record, "test_accuracy"),
            _closeness(record),
        )
    )


def taken_apart(record: "Record", steps: Sequence[int]) -> str:
    """Return what each part adds and all accuracies, optimiser by optimiser."""
    if record.rows is None:
        return record.message
    texts = []
    for variant, name in NAMES.items():
        texts += [
            f"{name}: what a part adds, in points; (seeds in which it helps)",
            parts(record, variant, steps),
            f"{name}: test accuracy in percent, mean and sd over n seeds",
            by_step(record, "test_accuracy", steps, variant=variant),
        ]
    return "\n".join([*texts, _closeness(record)])


def _closeness(record: "Record") -> str:
    """Return the students' kernel distances after the transfer."""
    head = "kernel distances after the transfer, in percent of the start"
    return f"{head}\n{by_column(record, SHARES, form='.1f')}"


def along_modes(record: "Record") -> str:
    """Return quotients by mode, what the modes carry, and means over them."""
    if record.rows is None:
        return record.message
    name = f"{record.experiment.name}: "
    carried = by_step(record, "carried", MODES).splitlines()
    return "\n".join(
        (
            f"{name}masked quotient by mode, mean and sd over n seeds",
            by_step(record, "quotient_masked", MODES, scale=1, form=".2f"),
            "percent of the teacher's squared norm in modes up to this one",
            *(line for line in carried[1:2]),
            "means over modes 0-9 (top) and 19-199 (rest), trace ratio, distances",
            by_column(record, dict.fromkeys(MEANS, 1.0)),
        )
    )


def early_and_late(record: "Record") -> tuple[int, int]:
    """Return the steps that figures show: a third along the looks, and the last."""
    looks = record.config.looks
    return looks[len(looks) // 3], looks[-1]


def _there(rows: "pandas.DataFrame", steps: Iterable[int]) -> list[int]:
    """Return the steps that rows have; all of the rows' where that leaves none."""
    known = sorted({*rows["step"]})
    return [step for step in steps if step in known] or known


def _spread(values: "pandas.Series", form: str) -> str:
    """Return mean and sd, a dash where there is nothing."""
    values = values.dropna()
    if not len(values):
        return "-"
    mean = f"{values.mean():{form}}"
    if len(values) == 1:
        return mean
    return f"{mean} ±{values.std():{form.removeprefix('+')}}"
