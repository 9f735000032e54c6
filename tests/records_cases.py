"""A tiny experiment in a repository of its own, for tests of records."""

import dataclasses
import json
import math

from paicore import records
from paicore.experiments import Config, Experiment

RAN = []


@dataclasses.dataclass(frozen=True)
class Tiny(Config):
    """A config with one field that decides the rows."""

    width: int = 4
    sizes: tuple = (1, 2)


def cells(config):
    methods = ["snip", "synflow"]
    if config.only:
        methods = [name for name in methods if name in config.only.split(",")]
    return [
        {"method": m, "density": d, "seed": s, "variant": ""}
        for m in methods
        for d in (0.1, 1 / 3)
        for s in range(config.seeds)
    ]


def run(config, cell):
    RAN.append(records.run_id(cell))
    value = config.width * cell["density"] + cell["seed"]
    return [{"step": s, "loss": value / (s + 1), "odd": math.nan} for s in (1, 0)]


PROFILES = {"smoke": Tiny(), "quick": Tiny(seeds=2, width=8), "paper": Tiny(width=64)}
COST = {"smoke": "1 s", "quick": "8 min on 2 CPU cores", "paper": "4 GPU-h"}
TINY = Experiment("00_tour", "tiny", cells, run, ("loss", "odd"), PROFILES, COST)


def run_together(config, group):
    """The rows of a group of runs, noted as one call."""
    seen = len(RAN)
    found = [run(config, cell) for cell in group]
    RAN[seen:] = [tuple(RAN[seen:])]
    return found


def by_density(config, cell):
    return f"width {config.width}, density {cell['density']}"


GROUPED = dataclasses.replace(TINY, run=run_together, group=by_density)


def go(profile="quick", experiment=TINY, **more):
    settings = records.settings(
        profile=profile, recompute=True, **{"device": "cpu", **more}
    )
    return records.load_or_run(experiment, settings, progress=False)


def replay(profile="best", experiment=TINY):
    return records.load_or_run(experiment, records.settings(profile=profile))


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def edit(path, **changes):
    facts = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(facts))


def find(notebook):
    """Return the experiments of the only notebook there is."""
    if notebook != "00_tour":
        raise ValueError(f"notebook: no experiments for {notebook!r}")
    return {"tiny": TINY}


def empty_repository(tmp_path, monkeypatch):
    """Make a folder the root, whose only experiment is the tiny one."""
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    for name in ("PAICORE_PARAMS", "PAICORE_JOBS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("paicore.records.promotion.find", find)
    RAN.clear()
    return tmp_path


def journal_of(root):
    return next((root / "build/journal").rglob("*.jsonl"))
