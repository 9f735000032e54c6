"""Experiments of notebook 42: whose spectrum stays near the dense one, and what of it.

`conventions` ask which kernel Figure 2 shows. `figure` is Figure 2: one draw, 100
images, 1,000 eigenvalues, with the methods whose places can be read; `figure_rest` has
the others. `draws` have five draws of 30 images, with controls.
`densities` are other sparsities, on fewer images. `checks` change the precision and the
parameters of the kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from paicore.experiments import Experiment
from paicore.experiments.spectra_masks import SHUFFLED, Setting, cells
from paicore.experiments.spectra_paper import DENSE, SIZE
from paicore.experiments.spectra_runs import (
    CHECK_VALUES,
    CONVENTION_VALUES,
    SPECTRUM_VALUES,
    run_checks,
    run_conventions,
    run_spectra,
)

NOTEBOOK = "42_spectra"
_SECONDS = "seconds on 1 CPU core"
_MINUTES = "{} min on 1 CPU core"
PRINTED = (
    "dense", "ntk_sap", "snip", "iterative_snip", "synflow", "magnitude", "grasp"
)  # fmt: skip
READABLE = ("dense", "ntk_sap", "snip", "grasp")  # first, second and last in print
CONTROLS = (f"ntk_sap{SHUFFLED}", "random")
# Every digitised index, all of both ends, and between them each fiftieth.
INDICES = sorted(
    {*DENSE, 0, 1, 2, 10, 20, 30, *range(50, 951, 50), 920, 935, 965, 975, 985, 990,
     993, 996, 999}
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What an experiment needs beyond its name.

    Attributes:
        run: Its function.
        values: Its columns.
        quick: Its quick config.
        smaller: What smoke changes in it beside `SMALL`.
        cost: What quick takes.
    """

    run: Callable
    values: tuple[str, ...]
    quick: Setting
    smaller: dict
    cost: str


SMALL = {
    "seeds": 1, "data": "digits", "net": "resnet20", "width": 4, "samples": 4,
    "scored": 12, "noise": 6, "repeats": 1, "dtype": "float64", "keep": False,
    "rounds": (("ntk_sap", 2), ("iterative_snip", 2), ("synflow", 3)),
}  # fmt: skip
FULL = Setting(samples=100, shares=tuple(index / SIZE for index in INDICES))
PARTS = {
    "conventions": Part(
        run_conventions, CONVENTION_VALUES,
        replace(FULL, seeds=2, variants=("train", "frozen", "noise frozen", "eval")),
        {}, _MINUTES.format(8),
    ),
    "draws": Part(
        run_spectra, SPECTRUM_VALUES,
        Setting(seeds=5, methods=(*PRINTED, *CONTROLS), variants=("train", "frozen")),
        {"methods": ("dense", "ntk_sap", "grasp", f"ntk_sap{SHUFFLED}", "random")},
        _MINUTES.format(25),
    ),
    "figure": Part(
        run_spectra, SPECTRUM_VALUES, replace(FULL, methods=READABLE),
        {"methods": ("dense", "ntk_sap")}, _MINUTES.format(15),
    ),
    "figure_rest": Part(
        run_spectra, SPECTRUM_VALUES,
        replace(FULL, methods=("dense", *(n for n in PRINTED if n not in READABLE))),
        {"methods": ("dense", "synflow", "magnitude")}, _MINUTES.format(15),
    ),
    "checks": Part(
        run_checks, CHECK_VALUES,
        Setting(methods=("dense", "ntk_sap", "grasp"), samples=20,
                variants=("float64", "trainable")),
        {"methods": ("dense", "grasp"), "dtype": "float32"}, _MINUTES.format(2),
    ),
    "densities": Part(
        run_spectra, SPECTRUM_VALUES,
        Setting(
            seeds=3, samples=12, noise=20, densities=(0.64, 0.107374182, 0.043980465),
            methods=("dense", "ntk_sap", "snip", "synflow", "magnitude", "grasp",
                     "random"),
        ),
        {"methods": ("dense", "snip"), "densities": (0.64,)},
        _MINUTES.format(6),
    ),
}  # fmt: skip
EXPERIMENTS = {
    name: Experiment(
        notebook=NOTEBOOK,
        name=name,
        cells=cells,
        run=part.run,
        values=part.values,
        profiles={
            "smoke": replace(part.quick, **(SMALL | part.smaller)),
            "quick": part.quick,
        },
        cost={"smoke": _SECONDS, "quick": part.cost, "paper": "quick is all of it"},
    )
    for name, part in PARTS.items()
}
