"""What sweeps in processes of their own run, and how a test waits for them."""

import time
from pathlib import Path

from paicore import records

PACKAGE = Path(records.__file__).resolve().parents[1]

# The shipped package without torch, so that a process starts in a tenth of a second:
# Python imports sitecustomize from PYTHONPATH in every process, workers included.
LIGHT = f"""
import sys, types
light = types.ModuleType("paicore")
light.__path__ = [{str(PACKAGE)!r}]
sys.modules["paicore"] = light
"""

WORK = """
import os, signal, time
from pathlib import Path
from paicore.records import run_id

CELLS = [
    {"method": m, "density": d, "seed": s, "variant": ""}
    for m in ("snip", "synflow") for d in (0.1, 0.03, 0.01) for s in range(50)
]

def rows(cell):
    start = cell["seed"] / 7 + cell["density"]
    return [{"step": step, "loss": start / (step + 1)} for step in range(3)]

def slow(cell):
    with open(Path(os.environ["TRACES"], "begun"), "a") as file:
        file.write(run_id(cell) + "\\n")
    time.sleep(float(os.environ.get("NAP", "0.008")))
    return rows(cell)

def deadly(cell):
    mark = Path(os.environ["TRACES"], "died")
    if cell["seed"] == 3 and (not mark.exists() or os.environ["DIE"] == "always"):
        time.sleep(0.3)  # the runs before it finish
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(cell)

def lethal(cell):
    os._exit(1)

class One_Way(Exception):
    # It pickles, and does not unpickle: that needs two arguments.
    def __init__(self, text, number):
        super().__init__(f"{text} {number}")

def nest():
    inner = []
    for _ in range(100_000):
        inner = [inner]
    return inner

BAD = {
    "nested": lambda: [{"step": nest()}],
    "unreadable": lambda: [{"step": {1}}],
    "surrogate": lambda: [{"step": "\\ud800"}],
    "taken": lambda: [{"step": 0, "run": "x", "seed": 5}],
    "by_number": lambda: [{0: 1}],
    "no_rows": lambda: {"step": 0},
    "no_mapping": lambda: ["step"],
}

def bad(cell):
    if cell["seed"] != 2:
        return rows(cell)
    if os.environ["BAD"] == "one_way":
        raise One_Way("lost", 1)
    if os.environ["BAD"] == "leaving":
        raise SystemExit(3)
    return BAD[os.environ["BAD"]]()

def stopping(cell):
    if cell["seed"] == 5:
        raise KeyboardInterrupt("by hand")
    return rows(cell)

def failing(cell):
    if cell["seed"] in (2, 4):
        raise ArithmeticError("no number here")
    return rows(cell)
"""


def light_folder(folder):
    """Make a folder that new processes import `work` and the light package from."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LIGHT)
    (folder / "work.py").write_text(WORK)
    return folder


def wait_for(happened, seconds=20):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def never_killed(count=300):
    """The lines that the child prints, from a plain loop that shares no code."""
    import work

    lines = []
    for cell in work.CELLS[:count]:
        run = f"{cell['method']},{cell['density']:.9g},,{cell['seed']}"
        for row in work.rows(cell):
            whole = {"run": run, **cell, **row}
            lines.append(" ".join(f"{name}={whole[name]}" for name in sorted(whole)))
    return lines
