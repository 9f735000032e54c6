"""How a record was made: software, machine, code and data, without names or paths."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from paicore.experiments import Config, Experiment
from paicore.records.cluster import DaskFactory
from paicore.records.identity import config_fields, config_hash
from paicore.records.places import root

KEYS = (
    "experiment",
    "notebook",
    "profile",
    "config",
    "config_hash",
    "code",
    "software",
    "machine",
    "started",
    "wall_seconds",
    "data",
    "runs",
    "csv_sha256",
)


def provenance(experiment: Experiment, profile: str, config: Config) -> dict:
    """Return what is known of a run beforehand: `KEYS` without time, runs and CSV."""
    return {
        "experiment": experiment.name,
        "notebook": experiment.notebook,
        "profile": profile,
        "config": config_fields(config),
        "config_hash": config_hash(config),
        "code": _code(experiment),
        "software": _software(),
        "machine": dict(_machine(getattr(config, "device", "cpu"))),
        "data": _data(config),
    }


def spread(executor: Callable | None, device: str) -> dict:
    """Return over what a sweep was spread, for a cluster with its workers' machines."""
    if executor is None:
        return {"executor": "one by one"}
    if not isinstance(executor, DaskFactory):
        return {"executor": getattr(executor, "description", "of the caller")}
    try:
        found = executor.on_each_worker(_worker, device)
    except OSError:  # the runs are done; that their cluster has gone is no error
        found = []
    workers = {json.dumps(each, sort_keys=True): each for each in found}
    counts = Counter(json.dumps(each, sort_keys=True) for each in found)
    told = [{"count": counts[key], **workers[key]} for key in sorted(workers)]
    return {"executor": executor.description, "workers": told}


def _worker(device: str) -> dict:
    """Describe the machine of a worker and the code that it has."""
    return {**_machine(device), "paicore": _package_hash(), "software": _software()}


def sha256(content: bytes) -> str:
    """Return the SHA-256 as hex digits."""
    return hashlib.sha256(content).hexdigest()


def _code(experiment: Experiment) -> dict:
    """Return version, commit, and short hashes of the package and the experiment."""
    own = getattr(sys.modules.get(experiment.run.__module__), "__file__", None)
    modules = {"paicore": _package_hash()}
    if own:
        modules[Path(own).name] = sha256(Path(own).read_bytes())[:12]
    return {"version": _version("paicore"), "commit": _commit(), "modules": modules}


def _package_hash() -> str:
    """Return a short hash of the package's source files and their names."""
    package = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        total.update(f"{name} {sha256(path.read_bytes())}\n".encode())
    return total.hexdigest()[:12]


def _version(package: str) -> str | None:
    """Return the version of an installed package, None without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _said(*command: str) -> str | None:
    """Return what a command prints, None when it is missing or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _commit() -> str | None:
    """Return the commit, with "+changes" when the package differs from it."""
    here = str(root())
    commit = _said("git", "-C", here, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changes = _said("git", "-C", here, "status", "--porcelain", "--", "paicore")
    return commit + ("+changes" if changes else "")


@functools.cache
def _software() -> dict:
    """Return the versions that decide numbers and figures."""
    import torch

    names = ("numpy", "scipy", "scikit-learn", "pandas", "matplotlib", "torchvision")
    versions = {name: _version(name) for name in names}
    cuda = {"torch": torch.__version__, "cuda": torch.version.cuda}
    return {"python": platform.python_version(), **cuda, **versions}


@functools.cache
def _machine(device: str) -> dict:
    """Return processor, threads and, for runs on it, the GPU with driver and TF32."""
    import torch

    facts = {
        "cpu": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "jobs": os.environ.get("PAICORE_JOBS", "1"),
        "gpu": None,
        "driver": None,
    }
    if device == "cuda" and torch.cuda.is_available():
        query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        facts["gpu"] = torch.cuda.get_device_name()
        facts["driver"] = (_said(*query) or "").partition("\n")[0] or None
        facts["float32_matmul"] = torch.get_float32_matmul_precision()
    return facts


def _processor() -> str:
    """Return the model of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _data(config: Config) -> list[dict]:
    """Return name, fingerprint and source of the data sets named by the config."""
    return [_data_set(name) for name in dict.fromkeys(_named(config_fields(config)))]


def _named(fields: object) -> Iterator[str]:
    """Yield what stands under "data" anywhere in a config, names or lists of them."""
    if isinstance(fields, list):
        for each in fields:
            yield from _named(each)
    elif isinstance(fields, dict):
        names = fields.get("data") or []
        yield from [names] if isinstance(names, str) else names
        for name, value in fields.items():
            if name != "data":
                yield from _named(value)


def _data_set(name: str) -> dict:
    """Describe one data set; what cannot be loaded is described by its name only."""
    try:
        from paicore import data

        found = data.load(name)
    except (ImportError, OSError, ValueError, RuntimeError, LookupError):
        return {"name": name}
    return {"name": name, "fingerprint": found.fingerprint, "source": found.source}
