"""What the papers' recipes rest on: each number as it was read, with its letter.

The numbers stand here a second time on purpose: `paicore.train.RECIPES` is what runs,
this is what was read, and a test compares them. Letters as in the claims: C public
code, D derived from it, M recalled; "ours" where nothing was found and we chose.
"""

from typing import NamedTuple

from paicore.train import RECIPES


class Read(NamedTuple):
    """A value and the letter that says where it comes from."""

    value: object
    letter: str


_STEPWISE = {
    "optimizer": Read("sgd", "C"),
    "lr": Read(0.1, "C"),
    "momentum": Read(0.9, "C"),
    "batch": Read(128, "C"),
    "epochs": Read(160, "C"),
    "schedule": Read("multistep", "C"),
    "gamma": Read(0.1, "C"),
    "augment": Read(True, "C"),
}
_GRASP = {
    **_STEPWISE,
    "nesterov": Read(False, "C"),
    "decay": Read("all", "C"),
    "milestones": Read((80, 120), "C"),  # 1/2 and 3/4 of the epochs
    "drop_last": Read(False, "ours"),
}
READ: dict[str, dict[str, Read]] = {
    "ntk_sap_resnet20": {
        **_STEPWISE,
        "nesterov": Read(False, "C"),
        "weight_decay": Read(1e-4, "C"),
        "decay": Read("all", "C"),
        "milestones": Read((80, 120), "C"),
        "drop_last": Read(False, "C"),
    },
    "ntk_sap_vgg16": {
        **_STEPWISE,
        "nesterov": Read(True, "C"),
        "weight_decay": Read(5e-4, "C"),
        "decay": Read("all", "C"),
        "milestones": Read((60, 120), "C"),
        "drop_last": Read(False, "C"),
    },
    "grasp_resnet": {**_GRASP, "weight_decay": Read(1e-4, "C")},
    "grasp_vgg19": {**_GRASP, "weight_decay": Read(5e-4, "C")},
    "ntt_supervised": {
        "optimizer": Read("adam", "C"),
        "lr": Read(1e-3, "C"),
        # The loss holds 1e-8 theta^2 (C), whose gradient is 2e-8 theta.
        "weight_decay": Read(2e-8, "D"),
        "decay": Read("weights", "C"),
        "batch": Read(64, "C"),
        "steps": Read(42_200, "D"),  # 50 epochs (C) of 844 batches
        "schedule": Read("constant", "C"),
        "augment": Read(False, "C"),
    },
    "robust_pruning_mlp": {
        "optimizer": Read("sgd", "M"),
        "lr": Read(1e-3, "M"),
        "momentum": Read(0.0, "ours"),
        "weight_decay": Read(0.0, "ours"),
        "batch": Read(100, "M"),
        "steps": Read(10_000, "M"),
        "schedule": Read("constant", "ours"),
        "augment": Read(False, "ours"),
    },
}
SOURCES = {
    "ntk_sap_resnet20": "YiteWang/NTK-SAP scripts/run.sh, Utils/load.py",
    "ntk_sap_vgg16": "second hand: BeiYazi0/NTK-SAP README.md, "
    "iurada/px-ntk-pruning train_classification.py",
    "grasp_resnet": "alecwangcq/GraSP configs, main_prune_non_imagenet.py",
    "grasp_vgg19": "alecwangcq/GraSP configs, main_prune_non_imagenet.py",
    "ntt_supervised": "fmi-basel/neural-tangent-transfer nt_transfer/exploit.py, "
    "notebooks",
    "robust_pruning_mlp": "Robust Pruning, Figure 3, recalled",
}
FIELDS = (
    "optimizer", "lr", "momentum", "nesterov", "weight_decay", "decay", "batch",
    "epochs", "steps", "schedule", "milestones", "gamma", "augment", "drop_last",
)  # fmt: skip


def differing(name: str) -> list[str]:
    """Return the fields in which what runs is not what was read.

    Args:
        name: A key of RECIPES.

    Returns:
        Names of fields, empty if all are equal.
    """
    recipe = RECIPES[name]
    return [f for f, read in READ[name].items() if getattr(recipe, f) != read.value]


def table(names: tuple[str, ...]) -> str:
    """Return recipes side by side: what runs, and the letter of what was read.

    Args:
        names: Keys of RECIPES.

    Returns:
        One line per field, a column per recipe. A field without a letter is not
        stated by the source and has the value of `Recipe`; "-" is one that the recipe
        does not use. The last line compares all fields that were read.
    """
    lines = [["", *names]]
    for field in FIELDS:
        cells = [_cell(name, field) for name in names]
        if any(cell != "-" for cell in cells):
            lines.append([field, *cells])
    equal = [f"differs: {bad}" if (bad := differing(n)) else "yes" for n in names]
    lines.append(["as read", *equal])
    return "\n".join(
        (f"{line[0]:14}" + "".join(f"{text:20}" for text in line[1:])).rstrip()
        for line in lines
    )


def _cell(name: str, field: str) -> str:
    """Return a value with its letter, or a dash for what is not used."""
    recipe, read = RECIPES[name], READ[name].get(field)
    value = getattr(recipe, field)
    idle = recipe.optimizer == "adam" and field in ("momentum", "nesterov")
    idle |= recipe.schedule != "multistep" and field in ("milestones", "gamma")
    if read is None and (idle or value is None):
        return "-"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {read.letter}" if read else text
