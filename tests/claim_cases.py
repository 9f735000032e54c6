"""Claims and records that tests of claims share."""

import dataclasses

import pandas

from paicore import claims, records
from paicore.experiments import Config, Experiment


@dataclasses.dataclass(frozen=True)
class Setting(Config):
    """What the paper's setting is compared with."""

    data: str = "mnist"
    sizes: tuple = (300, 100)


METHODS = ("snip", "synflow", "random")


def cells(config):
    return [
        {"method": m, "density": d, "seed": s, "variant": ""}
        for m in METHODS
        for d in (0.5, 0.1, 0.05)
        for s in range(config.seeds)
    ]


def run(config, cell):
    return [{"step": 0, "acc": value(cell, 0)}, {"step": 9, "acc": value(cell, 9)}]


def value(cell, step):
    """Accuracy as a fraction: synflow above snip above random, last step best."""
    base = {"synflow": 0.95, "snip": 0.92, "random": 0.80}[cell["method"]]
    return base + 0.01 * cell["density"] + 0.001 * cell["seed"] - 0.1 * (step == 0)


def record(seeds=3, profile="paper", change=None, **setting):
    """A record of made rows; `change` maps (cell, step, value) to another value."""
    config = Setting(seeds=seeds, **setting)
    experiment = Experiment(
        "00_tour", "accuracy", cells, run, ("acc",), {profile: config}, {}
    )
    rows = []
    for cell in cells(config):
        for step in (0, 9):
            made = value(cell, step)
            made = change(cell, step, made) if change else made
            name = records.run_id(cell)
            rows.append({"run": name, **cell, "step": step, "acc": made})
    frame = pandas.DataFrame(rows)
    facts = {"config_hash": ""}
    return records.Record(experiment, profile, frame, config, facts, 1, 1, "")


def not_run():
    experiment = Experiment(
        "00_tour", "accuracy", cells, run, ("acc",), {}, {"paper": "4 GPU-h"}
    )
    return records.Record(experiment, "paper", None, Setting(), {}, 0, 9, "")


WITHIN = """
[[claim]]
id = "K1"
says = "SNIP keeps 92.15 % with a tenth of the weights"
quantity = "SNIP, 10 % kept"
where = "Fig. 6, test accuracy in percent"
experiment = "accuracy"
reduce = { column = "acc", method = "snip", density = 0.1, scale = 100 }
paper = { value = 92.3, spread = 0.2, n = 5, letter = "R" }
rule = { kind = "within", cap = 0.1 }
requires = ["data", "sizes"]
paper_setting = { data = "mnist", sizes = [300, 100] }
"""
ORDER = """
[[claim]]
id = "K2"
says = "SynFlow beats SNIP, and SNIP random"
quantity = "syn > snip > rand"
where = "Fig. 6"
experiment = "accuracy"
reduce = { column = "acc" }
paper = { letter = "R" }
requires = ["data"]
paper_setting = { data = "mnist" }
[claim.rule]
kind = "ordering"
order = ["synflow", "snip", "random"]
at = { density = 0.05 }
"""
TREND = """
[[claim]]
id = "K3"
says = "More weights are better"
where = "Sec. 4, text"
experiment = "accuracy"
reduce = { column = "acc", method = "snip" }
paper = { letter = "D" }
rule = { kind = "trend", along = "density", sign = "+" }
"""


def writer(folder, monkeypatch):
    """Return what writes a claims file; its result evaluates it against one record."""
    monkeypatch.setenv("PAICORE_ROOT", str(folder))
    place = folder / "notebooks/claims"
    place.mkdir(parents=True)

    def write(text):
        (place / "00_tour.toml").write_text(text, encoding="utf-8")
        return lambda one: claims.evaluate("00_tour", {"accuracy": one})

    return write


def verdict(write, text, one):
    return write(text)(one)[0].verdict


def other(text, **replacements):
    for old, new in replacements.items():
        assert SWAPS[old] in text, old
        text = text.replace(SWAPS[old], new)
    return text


SNIP = 'column = "acc", method = "snip", density = 0.1, scale = 100'
SWAPS = {
    "paper": 'paper = { value = 92.3, spread = 0.2, n = 5, letter = "R" }',
    "rule": 'rule = { kind = "within", cap = 0.1 }',
    "reduce": f"reduce = {{ {SNIP} }}",
    "order": 'order = ["synflow", "snip", "random"]\nat = { density = 0.05 }',
    "letter": 'letter = "R"',
    "requires": 'requires = ["data", "sizes"]',
    "sign": 'sign = "+"',
}


def number(
    reduce='column = "acc"', paper="value = 1.0", rule='kind = "within", cap = 0'
):
    """A claim with a number, from the text of three of its tables."""
    return other(
        WITHIN,
        reduce=f"reduce = {{ {reduce} }}",
        paper=f'paper = {{ letter = "R", {paper} }}',
        rule=f"rule = {{ {rule} }}",
    )
