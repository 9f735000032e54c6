"""Running notebooks: which ones, in which environment, by papermill or as scripts.

At import this file needs the standard library only, so that `.ci/tasks.py` can use it
before anything is installed.
"""

import multiprocessing
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent
ROOT = NOTEBOOKS.parent
BUILD = ROOT / "build"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
STRIPPED = (
    "metadata.papermill metadata.jupytext metadata.widgets "
    "metadata.language_info.version cell.metadata.papermill cell.metadata.execution"
)
NBSTRIPOUT = ["nbstripout", "--keep-output", "--keep-count", "--extra-keys", STRIPPED]
# These change what a notebook shows or which kernel runs it.
FOREIGN = re.compile(r"JUPYTER|IPYTHON|MPLBACKEND|PAICORE_(PARAMS|ROOT|JOBS)")


def sources():
    """Names of all notebooks, in reading order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("src/[0-9][0-9]_*.py"))


def select(text, names=None):
    """Names that a comma list asks for; an empty list asks for all.

    Args:
        text: Numbers, slugs or names, separated by commas or spaces.
        names: What there is, by default the sources.

    Returns:
        List of names in reading order.

    Raises:
        ValueError: no notebook has that number, slug or name.
    """
    names = sources() if names is None else names
    chosen = set()
    for word in re.split(r"[,\s]+", text.strip()):
        found = {n for n in names if word in (n, n[:2], n[3:])}
        if word and not found:
            there = ", ".join(names) or "none yet"
            raise ValueError(f"unknown notebook '{word}'; there are {there}")
        chosen |= found
    return sorted(chosen) if text.strip(", ") else list(names)


def environment(jobs=1, prefix=sys.prefix):
    """Environment of every child: one thread, this checkout, this prefix's kernel."""
    env = {k: v for k, v in os.environ.items() if not FOREIGN.match(k)}
    paths = [str(ROOT), env.get("PYTHONPATH", "")]
    return env | {
        "PAICORE_JOBS": str(jobs),
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        # A user's own kernel called "python3" must not win.
        "JUPYTER_PATH": str(Path(prefix) / "share" / "jupyter"),
        "JUPYTER_DATA_DIR": str(BUILD / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(BUILD / "jupyter"),
        "IPYTHONDIR": str(BUILD / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def convert(name):
    """Read a source as a notebook without outputs."""
    import jupytext

    nb = jupytext.read(NOTEBOOKS / "src" / f"{name}.py", fmt="py:percent")
    nb.metadata = type(nb.metadata)(kernelspec=KERNEL)
    return nb


def execute(name, folder, parameters=None, timeout=None, log=False):
    """Run one notebook by papermill into a folder under build/.

    Args:
        name: Name of the notebook.
        folder: Where the executed notebook goes.
        parameters: Values for its parameters cell; None leaves it as it is.
        timeout: Limit per cell in seconds.
        log: Print the cells' output while they run.

    Returns:
        Pair of seconds and failure; the failure is empty if the notebook ran.
    """
    import nbformat
    import papermill

    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    draft, out = folder / f"{name}.draft.ipynb", folder / f"{name}.ipynb"
    nbformat.write(convert(name), draft)
    # papermill only warns about a name it does not know and then ignores it.
    unknown = set(parameters or {}) - set(papermill.inspect_notebook(draft))
    if unknown:
        return 0.0, f"{name} has no parameter {', '.join(sorted(unknown))}"
    options = {"kernel_name": "python3", "cwd": NOTEBOOKS, "progress_bar": False}
    options |= {"log_output": log, "autosave_cell_every": 60, "start_timeout": 120}
    failure = ""
    try:
        papermill.execute_notebook(
            draft, out, parameters or {}, execution_timeout=timeout, **options
        )
    # Whatever stops one notebook is reported; the others still run.
    except Exception as error:
        failure = f"{type(error).__name__}: {str(error).strip()}"
    draft.unlink()
    return time.monotonic() - started, failure


def replay_one(name):
    """Run a source as a script, its output in build/replay/; seconds and failure."""
    log = BUILD / "replay" / f"{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        code = subprocess.call(
            [sys.executable, str(NOTEBOOKS / "src" / f"{name}.py")],
            cwd=NOTEBOOKS,
            env=os.environ | {"MPLBACKEND": "Agg"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    tail = log.read_text(encoding="utf-8").splitlines()[-15:]
    return time.monotonic() - started, "\n".join(tail) if code else ""


def run_all(names, jobs, run):
    """Run a function of a name for all names, `jobs` at a time; returns the failed."""
    failed = []
    if jobs > 1 and len(names) > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context) as pool:
            failed = report(names, pool.map(run, names))
    else:
        failed = report(names, map(run, names))
    return failed


def report(names, results):
    """Print seconds or failure per notebook; returns the names that failed."""
    failed = []
    for name, (seconds, failure) in zip(names, results, strict=True):
        print(f"{name}: {'FAILED' if failure else 'ok'}, {seconds:.0f} s", flush=True)
        if failure:
            print(failure, file=sys.stderr, flush=True)
            failed.append(name)
    return failed
