"""Experiments as data: a frozen config per profile, and functions from it to rows.

One file per notebook holds ``EXPERIMENTS``, a dict of `Experiment`. Nothing here
plots, saves or reads records; `paicore.records` runs and stores what is declared.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """What every experiment's config has; these three leave the config hash alone.

    Attributes:
        seeds: Number of repetitions; run ids hold seeds 0 .. seeds - 1.
        only: Comma list of methods to run, empty for all.
        device: "cpu" or "cuda".
    """

    seeds: int = 1
    only: str = ""
    device: str = "cpu"


def grid(config) -> list[dict]:
    """Declare every method, variant and density of a config, for every seed.

    Args:
        config: A `Config` with `methods`, `variants` and `densities`.

    Returns:
        Runs, as `Experiment.cells` returns them; only the methods of `config.only`, if
        it names any.
    """
    only = config.only.split(",") if config.only else config.methods
    return [
        {"method": method, "density": density, "seed": seed, "variant": variant}
        for method in config.methods
        if method in only
        for variant in config.variants
        for density in config.densities
        for seed in range(config.seeds)
    ]


@dataclass(frozen=True)
class Experiment:
    """One experiment: what is run, in which profiles, and what its rows hold.

    Attributes:
        notebook: Name of the notebook, for example "00_tour".
        name: Name of the experiment and of its files.
        cells: Config to the list of runs. A run is a dict with "method" (str),
            "density" (float), "seed" (int) and "variant" (str), nothing else;
            every combination once.
        run: (config, cell) to rows, one dict per measurement with "step" (int) and the
            declared values. A module-level function, so that processes can import it.
        values: Names of the value columns, in order.
        profiles: Profile name ("smoke", "quick", "paper") to its frozen config.
        cost: Profile name to a plain statement, for example "8 min on 2 CPU cores".
        group: None, or (config, cell) to a key. Runs of equal key are one call, for
            example a population trained as one, and one call goes to one worker.
            `run` is then (config, list of cells) to the list of their rows, in order.
            A run's rows must not depend on which others are with it: a resumed group
            has only those that are left.
    """

    notebook: str
    name: str
    cells: Callable[[Config], list[dict]]
    run: Callable[[Config, dict], list[dict]] | Callable[[Config, list], list[list]]
    values: tuple[str, ...]
    profiles: Mapping[str, Config]
    cost: Mapping[str, str]
    group: Callable[[Config, dict], Hashable] | None = None
