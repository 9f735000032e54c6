"""Load-or-run records: what an experiment measured and how it was made.

One way through: `settings` says what the reader asked for, `load_or_run` draws a
committed record or runs the experiment by `sweep`, which appends every finished run
to a journal under ``build/`` and skips it on restart. `promote` copies finished
records to ``figures/``, `merge` joins the journals of shards.

Paths start at the repository root, never at the working directory. This package
imports neither torch nor pandas nor Dask until it needs them.
"""

from paicore.records.cluster import dask
from paicore.records.identity import config_hash, core_of, find, run_id
from paicore.records.parameters import Settings, settings
from paicore.records.places import root
from paicore.records.promotion import promote
from paicore.records.shards import merge
from paicore.records.store import Record, best, load_or_run, stored
from paicore.records.sweeps import SweepStopped, sweep
from paicore.records.workers import processes

__all__ = [
    "Record",
    "Settings",
    "SweepStopped",
    "best",
    "config_hash",
    "core_of",
    "dask",
    "find",
    "load_or_run",
    "merge",
    "processes",
    "promote",
    "root",
    "run_id",
    "settings",
    "stored",
    "sweep",
]
