"""Every task of the Makefile, without make: python3 .ci/tasks.py TASK [NAME=value ...].

Standard library only. It checks the names first, sets up .venv if it has to, and then
runs the task with the environment's Python.
"""

import csv
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import time

import setup
from stages import environment, lint_commands, test

sys.path.insert(0, str(setup.ROOT / "notebooks"))

HELP = """make TASK [NAME=value ...], or without make: python3 .ci/tasks.py TASK ...

  setup       create .venv (once; every task below does it when needed)
  test        lint, unit tests, notebooks by papermill and nbval
  reproduce   compute every notebook into build/ and print the scorecard
  figures     replay every notebook from the committed records
  lab         open JupyterLab with this project's kernel
  notebooks   rebuild the committed notebooks and figures from notebooks/src
  promote     copy finished records from build/figures to figures/
  bench       run the benchmarks
  lint        ruff, and the form of the notebooks
  course      write the course's student copies and solutions from their sources
  grade       mark a folder of submissions: make grade SUBMITTED=folder
  site        build the site into build/site/html, to be opened from disk
  clean       remove build/ and caches, not .venv
  distclean   remove .venv too

  PROFILE=smoke   smoke (seconds, digits), quick (real data, 2 cores), paper (GPU)
  ONLY=           notebooks for reproduce, figures, notebooks: 00 or 00_tour,01_traps
  METHODS=        methods for reproduce, as a comma list: snip,synflow
  JOBS=2          processes at a time
  EXTRAS=         more packages for setup: cluster, docs, course
  PYTHON=python3  the Python that creates .venv (make only)
  VENV=.venv      VENV=none uses the Python that runs the task, as it is
  SUBMITTED=      folder of submissions for grade; COURSE_SEED=2027 make course
  FORCE=          FORCE=1 lets clean remove runs that are not promoted"""
DEFAULTS = {
    "PROFILE": "smoke",
    "ONLY": "",
    "METHODS": "",
    "JOBS": "2",
    "EXTRAS": "",
    "VENV": ".venv",
    "FORCE": "",
    "SUBMITTED": "",
}
PROFILES = ("smoke", "quick", "paper")
NEEDED = {"grade": ["course"], "site": ["docs"]}  # extras of a task


def words(text):
    """The parts of a list separated by commas or spaces."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def read_arguments(arguments):
    """Split the command line into a task and its variables.

    Args:
        arguments: Task and NAME=value words.

    Returns:
        Pair of the task's name and a dict of all variables.

    Raises:
        ValueError: a name or value is unknown; says what there is.
    """
    from running import select

    task = arguments[0] if arguments else "help"
    if task not in TASKS:
        raise ValueError(f"unknown task '{task}'; there are {', '.join(TASKS)}")
    for word in arguments[1:]:
        if "=" not in word:
            raise ValueError(f"'{word}' is no NAME=value word")
    given = dict(word.split("=", 1) for word in arguments[1:])
    for name in set(given) - set(DEFAULTS):
        raise ValueError(f"unknown variable '{name}'; there are {', '.join(DEFAULTS)}")
    values = DEFAULTS | {name: text for name, text in given.items() if text}
    if values["PROFILE"] not in PROFILES:
        raise ValueError(
            f"unknown PROFILE '{values['PROFILE']}'; there are {', '.join(PROFILES)}"
        )
    if not re.fullmatch(r"[1-9]\d*", values["JOBS"]):
        raise ValueError(f"JOBS is a whole number from 1, not '{values['JOBS']}'")
    if values["VENV"] not in (".venv", "none"):
        raise ValueError(f"VENV is .venv or none, not '{values['VENV']}'")
    if values["FORCE"] not in ("", "1"):
        raise ValueError(f"FORCE is 1 or nothing, not '{values['FORCE']}'")
    for name in words(values["EXTRAS"]):
        if name not in setup.EXTRAS:
            there = ", ".join(setup.EXTRAS)
            raise ValueError(f"unknown EXTRAS '{name}'; there are {there}")
    select(values["ONLY"])
    return task, values


def call(python, *arguments):
    """Run a Python command at the root; returns its exit status."""
    command = [str(python), *map(str, arguments)]
    return subprocess.call(command, cwd=setup.ROOT, env=environment(python))


def notebooks(python, command, values):
    """Run a command of notebooks/build.py with the variables that it takes."""
    return call(
        python,
        "notebooks/build.py",
        command,
        f"--only={values['ONLY']}",
        f"--profile={values['PROFILE']}",
        f"--methods={values['METHODS']}",
        f"--jobs={values['JOBS']}",
    )


def lint(python):
    """Run stage 1 alone, all of it; returns the exit status."""
    return max([call(python, *command) for command in lint_commands()])


def lab(python):
    """Open JupyterLab at the root, so that links into figures/ work."""
    return call(
        python,
        *("-m", "jupyterlab", "--ServerApp.root_dir=."),
        "--LabApp.default_url=/lab/tree/notebooks",
        # root in a container has nobody to protect
        *(["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []),
    )


def promote(python):
    """Copy finished records and figures from build/ to figures/."""
    return call(python, "-m", "paicore.records", "promote")


def bench(python):
    """Run every benchmark that is a script; the rivals are only imported."""
    found = sorted((setup.ROOT / "benchmarks").glob("*.py"))
    scripts = [p for p in found if '"__main__"' in p.read_text(encoding="utf-8")]
    if not scripts:
        print("there are no benchmarks yet")
    return max([call(python, path) for path in scripts], default=0)


def grade(python, values):
    """Mark a folder of submissions; returns the exit status."""
    folder = [values["SUBMITTED"]] if values["SUBMITTED"] else []
    return call(python, "notebooks/course.py", "grade", *folder)


def not_promoted(root):
    """Rows of quick and paper runs that only build/ has: hours of work, maybe."""
    build = root / "build"
    rows = [p for p in build.glob("figures/*/*/*.csv") if p.parent.name != "smoke"]
    lost = []
    for path in rows:
        twin = root / path.relative_to(build)
        if not (twin.exists() and filecmp.cmp(path, twin, shallow=False)):
            lost.append(path)
    for path in build.glob("journal/*/*/*.jsonl"):
        folder = root / "figures" / path.parent.relative_to(build / "journal")
        name, _, key = path.stem.rpartition("-")
        runs = journal_runs(path)
        if path.parent.name != "smoke" and runs - committed_runs(folder / name, key):
            lost.append(path)
    return sorted(lost)


def journal_runs(path):
    """Run ids in a journal; a torn line is no finished run."""
    runs = set()
    for line in path.read_bytes().splitlines():
        try:
            runs.add(json.loads(line)["run"])
        except (ValueError, KeyError, TypeError):
            continue
    return runs


def committed_runs(record, key):
    """Run ids of a committed record, none when its config's hash is another."""
    try:
        facts = json.loads(record.with_suffix(".json").read_text(encoding="utf-8"))
        if not facts["config_hash"].startswith(key):
            return set()
        with record.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            return {row["run"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def clean(values, everything=False):
    """Remove build/ and caches, .venv too if asked; returns the exit status."""
    lost = not_promoted(setup.ROOT)
    if lost and not values["FORCE"]:
        print("build/ holds quick or paper runs that are not promoted, for example")
        print(f"  {lost[0].relative_to(setup.ROOT)}")
        print("make promote keeps finished ones; make clean FORCE=1 removes them all.")
        return 1
    folders = [setup.ROOT / name for name in ("build", ".pytest_cache", ".ruff_cache")]
    folders.append(setup.ROOT / ".hypothesis")
    for name in (".ci", "paicore", "tests", "benchmarks", "notebooks"):
        folders += (setup.ROOT / name).rglob("__pycache__")
        folders += (setup.ROOT / name).rglob(".ipynb_checkpoints")
    if everything:
        folders += [setup.ROOT / ".venv", *setup.ROOT.glob("*.egg-info")]
    gone = sorted({path.name for path in folders if path.exists()})
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"removed {', '.join(gone) or 'nothing'}")
    return 0


TASKS = {
    "help": None,
    "setup": lambda python, values, started: 0,
    "test": lambda python, values, started: test(python, values["JOBS"], started),
    "reproduce": lambda python, values, started: notebooks(python, "reproduce", values),
    "figures": lambda python, values, started: notebooks(python, "replay", values),
    "lab": lambda python, values, started: lab(python),
    "notebooks": lambda python, values, started: notebooks(python, "build", values),
    "promote": lambda python, values, started: promote(python),
    "bench": lambda python, values, started: bench(python),
    "lint": lambda python, values, started: lint(python),
    "course": lambda python, values, started: call(
        python, "notebooks/course.py", "build"
    ),
    "grade": lambda python, values, started: grade(python, values),
    "site": lambda python, values, started: call(python, "notebooks/website"),
    "clean": lambda python, values, started: clean(values),
    "distclean": lambda python, values, started: clean(values, everything=True),
}


def main(arguments, started):
    """Command line; returns the exit status."""
    if setup.python_problem():
        print(setup.python_problem(), file=sys.stderr)
        return 1
    try:
        task, values = read_arguments(arguments)
        if task == "help":
            print(HELP)
            return 0
        python = sys.executable
        if values["VENV"] != "none" and "clean" not in task:
            python = setup.ensure([*words(values["EXTRAS"]), *NEEDED.get(task, ())])
        return TASKS[task](python, values, started)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except setup.SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; finished runs are kept, the same command goes on",
              file=sys.stderr)  # fmt: skip
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], time.monotonic()))
