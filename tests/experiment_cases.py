"""What the tests of the notebooks share: smoke values on file, and claims."""

import csv
import functools
from pathlib import Path

import pytest

from paicore import claims, records
from paicore.records import identity
from paicore.records.rows import checked

EXPECTED = Path(__file__).resolve().parent / "expected"


@functools.lru_cache
def smoke_rows(notebook, name):
    """Run id to the checked rows of every smoke run of an experiment."""
    experiment = identity.find(notebook)[name]
    config = experiment.profiles["smoke"]
    found = {}
    for cells in groups(experiment, config):
        if experiment.group is None:
            rows = [experiment.run(config, cells[0])]
        else:
            rows = experiment.run(config, cells)
        for cell, own in zip(cells, rows, strict=True):
            run = records.run_id(cell)
            found[run] = checked(run, own, experiment.values)
    return found


def groups(experiment, config):
    """Runs that are one call, in the order in which the first of each is declared."""
    found = {}
    for number, cell in enumerate(experiment.cells(config)):
        alone = experiment.group is None
        key = number if alone else experiment.group(config, cell)
        found.setdefault(key, []).append(cell)
    return list(found.values())


def flat(name, rows, columns):
    """(experiment, run, step, column) to value."""
    return {
        (name, run, str(row["step"]), column): float(row[column])
        for run, found in rows.items()
        for row in found
        for column in columns
    }


def expected_values(notebook, name):
    with (EXPECTED / f"{notebook}.csv").open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    return {tuple(key): float(value) for *key, value in lines if key[0] == name}


def assert_on_file(notebook, name, found, rel=1e-9):
    wanted = expected_values(notebook, name)
    assert set(found) == set(wanted)
    for key, value in found.items():
        assert value == pytest.approx(wanted[key], rel=rel, abs=1e-12), key


def write_expected(notebook, values):
    """Write the values of today; for a change that is meant to move them."""
    path = EXPECTED / f"{notebook}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("experiment", "run", "step", "column", "value"))
        for key, value in values.items():
            out.writerow((*key, f"{value:.12g}"))


def orphans(notebook, steps):
    """Claims that no quick run answers: (id, what they ask for).

    `steps` maps (experiment, config) to the steps of a run's rows.
    """
    found = []
    for claim in claims.load(notebook):
        experiment = identity.find(notebook)[claim.experiment]
        config = experiment.profiles["quick"]
        more = claim.rule.get("order", [""])
        by = claim.rule.get("by", "method")
        for name in more:
            wanted = {k: claim.reduce[k] for k in identity.CELL if k in claim.reduce}
            wanted |= {by: name} if name else {}
            cells = [
                cell
                for cell in experiment.cells(config)
                if all(cell[key] == value for key, value in wanted.items())
            ]
            step = claim.reduce.get("step", "last")
            known = step in ("last", *steps(claim.experiment, config))
            if (
                not cells
                or not known
                or claim.reduce["column"] not in (experiment.values)
            ):
                found.append((claim.id, wanted, step, claim.reduce["column"]))
    return found


def mixed(notebook):
    """Claims whose rows in quick differ in more than the seed."""
    found = []
    for claim in claims.load(notebook):
        experiment = identity.find(notebook)[claim.experiment]
        wanted = {k: claim.reduce[k] for k in identity.CELL if k in claim.reduce}
        if "order" in claim.rule:
            wanted[claim.rule.get("by", "method")] = claim.rule["order"][0]
        cells = experiment.cells(experiment.profiles["quick"])
        left = {
            (cell["method"], cell["density"], cell["variant"])
            for cell in cells
            if all(cell[key] == value for key, value in wanted.items())
        }
        if len(left) != 1:
            found.append((claim.id, left))
    return found


def unmet(notebook):
    """Claims whose requirements the quick config does not meet, or nobody stated."""
    found = []
    for claim in claims.load(notebook):
        experiment = identity.find(notebook)[claim.experiment]
        fields = identity.config_fields(experiment.profiles["quick"])
        differing = [n for n in claim.requires if fields[n] != claim.paper_setting[n]]
        if differing or not claim.requires:
            found.append((claim.id, differing))
    return found
