"""What identifies a run, a config and an experiment."""

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping

from paicore.experiments import Config, Experiment

CELL = ("method", "density", "seed", "variant")
NOT_HASHED = ("seeds", "only", "device")


def run_id(cell: Mapping) -> str:
    """Return the name of a run, for example ``"synflow,0.03,,0"``.

    Conventions: method, density as ``%.9g``, variant, seed, joined by commas.

    Args:
        cell: Mapping with exactly the keys method, density, seed and variant.

    Returns:
        The id, unique within an experiment and stable between machines.

    Raises:
        ValueError: A key is missing or unknown, or a text holds a comma, a quote or
            a line end.
        TypeError: A value has the wrong type.
    """
    if set(cell) != set(CELL):
        raise ValueError(f"cell: expected the keys {CELL}, got {tuple(cell)}")
    method, variant, seed = cell["method"], cell["variant"], cell["seed"]
    for text in (method, variant):
        if not isinstance(text, str):
            raise TypeError(f"cell: method and variant are texts, got {text!r}")
        if any(mark in text for mark in ',"\r\n'):
            raise ValueError(f"cell: no comma, quote or line end in a name: {text!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"cell: seed is an int, got {seed!r}")
    if isinstance(cell["density"], bool) or not isinstance(
        cell["density"], (int, float)
    ):
        raise TypeError(f"cell: density is a float, got {cell['density']!r}")
    return f"{method},{cell['density']:.9g},{variant},{seed}"


def by_id(cells: Iterable[Mapping]) -> dict[str, dict]:
    """Return run id to cell in the given order; a run named twice is an error."""
    named: dict[str, dict] = {}
    for cell in cells:
        name = run_id(cell)
        if name in named:
            raise ValueError(f"configs: the run {name} is asked for twice")
        named[name] = dict(cell)
    return named


def config_fields(config: Config) -> dict:
    """Return the config as JSON would hold it: tuples become lists.

    Args:
        config: A frozen dataclass of numbers, texts, tuples and dataclasses.

    Returns:
        Field name to value.

    Raises:
        TypeError: A field holds something that JSON cannot.
    """
    fields = dataclasses.asdict(config)
    for name, value in fields.items():
        try:
            json.dumps(value)
        except TypeError as error:
            kind = type(value).__name__
            raise TypeError(f"config: {name} is a {kind}, no JSON value") from error
    return json.loads(json.dumps(fields))


def config_hash(config: Config) -> str:
    """Return the SHA-256 of the sorted JSON of all fields that decide a run's rows.

    Seeds, `only` and device are left out: each row has its run id, and a shard or
    another device makes the same record.
    """
    fields = config_fields(config)
    kept = {name: value for name, value in fields.items() if name not in NOT_HASHED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def core_of(cells: Iterable[Mapping]) -> set[str]:
    """Return the runs without their seed: one seed of each makes a core complete."""
    return {run_id({**cell, "seed": 0}).rpartition(",")[0] for cell in cells}


def core_is_complete(experiment: Experiment, config: Config, runs: Iterable) -> bool:
    """Say whether `runs` (ids) hold at least one seed of every cell of `config`."""
    whole = dataclasses.replace(config, seeds=1, only="")
    return core_of(experiment.cells(whole)) <= {r.rpartition(",")[0] for r in runs}


def find(notebook: str) -> Mapping[str, Experiment]:
    """Return the experiments of a notebook: "00_tour" is in experiments/tour.py.

    Args:
        notebook: Two digits, an underscore and the slug.

    Returns:
        Name of each experiment to the experiment.

    Raises:
        ValueError: There is no such notebook.
    """
    number, _, slug = notebook.partition("_")
    module = f"paicore.experiments.{slug}"
    if not (len(number) == 2 and number.isdigit() and slug.isidentifier()):
        raise ValueError(f'notebook: expected a name like "00_tour", got {notebook!r}')
    if importlib.util.find_spec(module) is None:
        raise ValueError(f"notebook: no experiments for {notebook!r}")
    experiments = importlib.import_module(module).EXPERIMENTS
    return {n: e for n, e in experiments.items() if e.notebook == notebook}
