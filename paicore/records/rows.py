"""Rows of a record: their check, their order, and the CSV that holds them."""

import contextlib
import csv
import io
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paicore.experiments import Config, Experiment
from paicore.records.identity import run_id

if TYPE_CHECKING:
    import pandas

COLUMNS = ("run", "method", "density", "seed", "step", "variant")


@dataclass(frozen=True)
class Checked:
    """An experiment's run with its rows checked where they are made, in the worker."""

    experiment_run: object
    config: Config
    values: tuple[str, ...]
    grouped: bool = False

    @classmethod
    def of(cls, experiment: Experiment, config: Config) -> "Checked":
        """Take only what a worker needs and can unpickle."""
        grouped = experiment.group is not None
        return cls(experiment.run, config, tuple(experiment.values), grouped)

    def __call__(self, given: dict | list[dict]) -> list:
        """Run one cell, or a group of cells; return their rows as plain numbers."""
        found = list(self.experiment_run(self.config, given))
        if not self.grouped:
            return self._checked(given, found)
        if len(found) != len(given):
            text = f"run: expected rows of {len(given)} runs, got {len(found)}"
            raise ValueError(text)
        return [self._checked(*each) for each in zip(given, found, strict=True)]

    def _checked(self, cell: dict, rows: Iterable) -> list[dict]:
        """Check the rows of one cell."""
        return checked(run_id(cell), list(rows), self.values)


def checked(run: str, rows: Sequence[Mapping], values: Sequence[str]) -> list[dict]:
    """Return the rows of one run as plain Python numbers, or say what is wrong.

    Args:
        run: Run id, for the message.
        rows: One mapping per measurement: ``step`` and exactly the declared values.
            nan and inf are values; True and False count as 1 and 0.
        values: The declared names.

    Returns:
        The same rows with int, float and str only, sorted by step.

    Raises:
        ValueError: No rows, a column missing or undeclared, or a step twice.
    """
    if not rows:
        raise ValueError(f"run {run}: no rows")
    expected = {"step", *values}
    for row in rows:
        if set(row) != expected:
            missing, extra = sorted(expected - set(row)), sorted(set(row) - expected)
            text = f"run {run}: missing columns {missing}, undeclared {extra}"
            raise ValueError(text)
    plain = [{name: _plain(run, name, row[name]) for name in row} for row in rows]
    steps = [row["step"] for row in plain]
    if len(set(steps)) < len(steps):
        raise ValueError(f"run {run}: a step occurs twice in {steps}")
    return sorted(plain, key=lambda row: row["step"])


def _plain(run: str, name: str, value):
    """Return a NumPy or Python number as int or float; texts stay."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if name == "step":
        raise TypeError(f"run {run}: step is an int, got {value!r}")
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, str):
        return value
    raise TypeError(f"run {run}: {name} is no number: {value!r}")


def to_csv(rows: Iterable[Mapping], values: Sequence[str]) -> str:
    """Return the rows as CSV: sorted, LF, floats as ``%.9g``."""
    columns = (*COLUMNS, *values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in sorted(rows, key=_order):
        writer.writerow(_text(row[name]) for name in columns)
    return text.getvalue()


def _order(row: Mapping) -> tuple:
    """Return the sorting key: method, density, variant, seed, step."""
    names = ("method", "density", "variant", "seed", "step")
    return tuple(row[name] for name in names)


def _text(value) -> str:
    """Return a value as it stands in a CSV."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def read_csv(path: Path) -> "pandas.DataFrame":
    """Return a record's rows: names as text, seed and step int, numbers float64."""
    import pandas

    with path.open(encoding="utf-8", newline="") as file:
        names, *lines = csv.reader(file)
    columns = zip(*lines, strict=True) if lines else [()] * len(names)
    return pandas.DataFrame(
        {name: _column(name, texts) for name, texts in zip(names, columns, strict=True)}
    )


def run_ids(path: Path) -> set[str]:
    """Return the runs that a record's CSV holds; ids contain commas."""
    with path.open(encoding="utf-8", newline="") as file:
        return {line[0] for line in list(csv.reader(file))[1:] if line}


def _column(name: str, texts: Sequence[str]) -> "pandas.Series":
    """Return a column in its type; a value column of texts stays text."""
    import pandas

    if name in ("seed", "step"):
        return pandas.Series([int(text) for text in texts], dtype="int64")
    if name not in ("run", "method", "variant"):
        with contextlib.suppress(ValueError):
            return pandas.Series([float(text) for text in texts], dtype="float64")
    return pandas.Series(texts, dtype=object)
