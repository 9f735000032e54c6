"""Records: load a committed one, or run the experiment and write it under ``build/``.

A record is two files, ``<folder>/<notebook>/<profile>/<experiment>.csv`` (rows) and
``.json`` (how they were made). The CSV decides; figures are drawn from it.
"""

import dataclasses
import datetime
import functools
import json
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from paicore.experiments import Config, Experiment
from paicore.records.facts import read_facts
from paicore.records.identity import by_id, config_hash, core_is_complete, core_of
from paicore.records.parameters import Settings, named
from paicore.records.places import journal_path, record_path, shown, write_atomic
from paicore.records.provenance import provenance, sha256, spread
from paicore.records.rows import Checked, read_csv, to_csv
from paicore.records.shards import finished
from paicore.records.sweeps import sweep
from paicore.records.workers import asked_processes

if TYPE_CHECKING:
    import pandas

COMMITTED, BUILT = "figures", "build/figures"


@dataclasses.dataclass(frozen=True)
class Record:
    """The rows of an experiment in one profile, or the sentence why there are none.

    Attributes:
        experiment: What was run.
        profile: "smoke", "quick" or "paper".
        rows: run, method, density, seed, step, variant and the declared values
            (float64), one row per measurement; None when not run.
        config: The config of these rows.
        provenance: The JSON beside the CSV; empty when not run.
        done: Number of runs in the rows.
        asked: Number of runs asked for, at least the profile's own.
        message: One line to print.
    """

    experiment: Experiment
    profile: str
    rows: "pandas.DataFrame | None"
    config: Config
    provenance: dict
    done: int
    asked: int
    message: str

    @property
    def cost(self) -> str:
        """What running it takes, in words."""
        return self.experiment.cost.get(self.profile, "cost not stated")


def load_or_run(
    experiment: Experiment,
    settings: Settings,
    *,
    executor: Callable[[], Executor] | None = None,
    progress: Callable[[str], None] | bool | None = None,
) -> Record:
    """Return the record that the settings ask for.

    Conventions: nothing runs unless asked for, and nothing falls back silently: a
    profile that the experiment does not have gives a record without rows. "best" takes
    the committed paper record, else the quick one. Smoke computes afresh. Other runs
    resume from their own journal and ignore committed records. Replaying writes
    nothing; running writes ``build/`` only.

    Args:
        experiment: One of a notebook's ``EXPERIMENTS``.
        settings: From `settings`.
        executor: Factory of an executor; None: ``PAICORE_JOBS`` processes (quick and
            paper on the CPU), else one run after the other here.
        progress: See `sweep`.

    Returns:
        The record; without rows its message says why, what to do and what it costs.
    """
    if not settings.is_run:
        best_of = ("paper", "quick") if settings.profile == "best" else None
        return best(experiment, COMMITTED, best_of or (settings.profile,))
    if settings.profile not in experiment.profiles:
        return stored(experiment, settings.profile, COMMITTED)
    config = asked_config(experiment, settings)
    return _run(experiment, settings.profile, config, executor, progress)


def best(
    experiment: Experiment,
    folder: str | Path = COMMITTED,
    profiles: tuple[str, ...] = ("paper", "quick"),
) -> Record:
    """Return the first complete record of `profiles` in `folder`, else "not run"."""
    found = [stored(experiment, name, folder) for name in profiles]
    for record in found:
        if record.rows is not None:
            return record
    known = [record for record in found if record.profile in experiment.profiles]
    # of several missing records name one that exists but does not count, else the
    # cheapest, which is the last
    told = [record for record in known if record.provenance]
    return (told or known or found)[-1]


def stored(experiment: Experiment, profile: str, folder: str | Path) -> Record:
    """Return the record of one profile in `folder`, without rows when it is no good."""
    if profile not in experiment.profiles:
        config = next(iter(experiment.profiles.values()))
        known = " and ".join(experiment.profiles)
        text = f"{experiment.name}: not run, it has no {profile} profile but {known}."
        return Record(experiment, profile, None, config, {}, 0, 0, text)
    config = experiment.profiles[profile]
    path = record_path(folder, experiment.notebook, profile, experiment.name)
    csv, made = path.with_suffix(".csv"), path.with_suffix(".json")
    if not (csv.exists() and made.exists()):
        return _missing(experiment, profile, "not run")
    try:
        facts = read_facts(made)
    except ValueError as error:
        return _missing(experiment, profile, str(error))
    if facts["config_hash"] != config_hash(config):
        why = f"stale, the {profile} record was made with another config"
        return _missing(experiment, profile, why, facts)
    if facts["csv_sha256"] != sha256(csv.read_bytes()):
        why = f"the {profile} record's CSV is not the one that its JSON names"
        return _missing(experiment, profile, why, facts)
    rows = read_csv(csv)
    runs = set(rows["run"])
    if not core_is_complete(experiment, config, runs):
        why = f"the {profile} record is not complete, {len(runs)} runs"
        return _missing(experiment, profile, why, facts)
    made_with = {n: facts["config"][n] for n in ("seeds", "only", "device")}
    config = dataclasses.replace(config, **made_with)
    return _complete(experiment, profile, rows, config, facts)


def command(experiment: Experiment, profile: str) -> str:
    """Return the command that runs an experiment, with its cost."""
    call = f"python -m paicore.records run {experiment.notebook} {experiment.name}"
    cost = experiment.cost.get(profile, "cost not stated")
    return f"`{call} --profile {profile}` runs it ({cost})"


def _missing(
    experiment: Experiment, profile: str, why: str, facts: dict | None = None
) -> Record:
    """Return a record without rows and the sentence with command and cost."""
    config = experiment.profiles[profile]
    text = f"{experiment.name}: {why}; {command(experiment, profile)}."
    asked = len(by_id(experiment.cells(config)))
    return Record(experiment, profile, None, config, facts or {}, 0, asked, text)


def _complete(
    experiment: Experiment,
    profile: str,
    rows: "pandas.DataFrame",
    config: Config,
    facts: dict,
) -> Record:
    """Return a record with rows and its one line."""
    done, asked = facts["runs"]["done"], facts["runs"]["asked"]
    day = facts["started"][:10]
    text = f"{experiment.name}: {profile} record of {day}, {done} of {asked} runs"
    if facts.get("stale"):
        text += f" (stale: {facts['stale']})"
    return Record(experiment, profile, rows, config, facts, done, asked, text)


def asked_config(experiment: Experiment, settings: Settings) -> Config:
    """Return the profile's config with the asked seeds, methods and device.

    Args:
        experiment: It has the profile that the settings name.
        settings: What was asked for.

    Returns:
        The config to run.

    Raises:
        ValueError: A method is not the experiment's.
    """
    config = experiment.profiles[settings.profile]
    methods = methods_of(experiment, settings.profile)
    asked = named(settings.only)
    if unknown := sorted(asked - methods):
        known = ", ".join(sorted(methods))
        raise ValueError(f"only: {experiment.name} has no {unknown}; it has {known}")
    return dataclasses.replace(
        config,
        seeds=settings.seeds or config.seeds,
        only=",".join(sorted(asked)),
        device=settings.device,
    )


def methods_of(experiment: Experiment, profile: str) -> set[str]:
    """Return the methods that an experiment has in one of its profiles."""
    config = dataclasses.replace(experiment.profiles[profile], seeds=1, only="")
    return {cell["method"] for cell in experiment.cells(config)}


def _run(
    experiment: Experiment, profile: str, config: Config, executor, progress
) -> Record:
    """Sweep what is missing, then write the record from the whole journal."""
    names = (experiment.notebook, profile, experiment.name)
    journal = journal_path(*names, config_hash(config))
    fresh = profile == "smoke"
    began = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    kept = {} if fresh else finished(journal)
    _check_columns(experiment, journal, kept)
    group = experiment.group and functools.partial(experiment.group, config)
    if executor is None:  # smoke is short, and several processes are for the CPU
        several = asked_processes()
        executor = several if not fresh and config.device == "cpu" else None
    sweep(
        Checked.of(experiment, config),
        experiment.cells(config),
        group=group,
        executor=executor,
        journal=journal,
        progress=progress,
        fresh=fresh,
    )
    facts = provenance(experiment, profile, config)
    facts["machine"].update(spread(executor, config.device))
    before = _leg_before(experiment, profile, facts["config_hash"]) if kept else {}
    spent = time.monotonic() - began + before.get("wall_seconds", 0.0)
    facts["started"] = before.get("started", started)
    facts["wall_seconds"] = round(spent, 1)  # of all legs that ended
    return _write(experiment, profile, config, facts, journal, len(kept))


def _leg_before(experiment: Experiment, profile: str, key: str) -> dict:
    """Return the facts of the leg that a run goes on from, empty without one."""
    made = record_path(BUILT, experiment.notebook, profile, experiment.name)
    made = made.with_suffix(".json")
    try:
        facts = read_facts(made) if made.exists() else {}
    except ValueError:  # a broken one is replaced in a moment
        return {}
    return facts if facts.get("config_hash") == key else {}


def _check_columns(experiment: Experiment, journal: Path, kept: dict) -> None:
    """Refuse a journal that was written when the experiment declared other values."""
    expected = {"step", *experiment.values}
    for run, entry in kept.items():
        if any(set(row) != expected for row in entry["rows"]):
            text = f"{shown(journal)}: run {run} has other columns than {expected}"
            raise ValueError(f"{text}; delete this file to run again")


def _write(
    experiment: Experiment,
    profile: str,
    config: Config,
    facts: dict,
    journal: Path,
    resumed: int,
) -> Record:
    """Write CSV and JSON of everything the journal holds, and read them back."""
    own = experiment.profiles[profile].seeds
    whole = dataclasses.replace(config, only="", seeds=max(config.seeds, own))
    core = core_of(experiment.cells(whole))
    entries = finished(journal)
    entries = {r: e for r, e in entries.items() if r.rpartition(",")[0] in core}
    rows = [
        {"run": run, **entry["cell"], **row}
        for run, entry in entries.items()
        for row in entry["rows"]
    ]
    text = to_csv(rows, experiment.values)
    facts["runs"] = {
        "done": len(entries),
        "asked": len(set(by_id(experiment.cells(whole))) | set(entries)),
        "resumed": resumed,
        "core_complete": core_is_complete(experiment, config, entries),
        "group": getattr(experiment.group, "__name__", None),
    }
    facts["csv_sha256"] = sha256(text.encode())
    path = record_path(BUILT, experiment.notebook, profile, experiment.name)
    write_atomic(path.with_suffix(".csv"), text)
    write_atomic(path.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    frame = read_csv(path.with_suffix(".csv"))
    return _complete(experiment, profile, frame, config, facts)
