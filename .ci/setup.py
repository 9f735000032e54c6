"""Create .venv once, from constraints.txt: python3 .ci/setup.py [--extras NAME ...].

Only the standard library, and no syntax newer than Python 3.8, so that an old Python
answers with a sentence instead of a SyntaxError. The stamp .venv/.ready is written
last: without it, or with a stamp of other pins, the next call installs again.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "setup.log"
NEEDED_GB = 8
EXTRAS = ("test", "cluster", "docs", "course")
BY_HAND = """Without it, in an environment of your own:
  python -m pip install -c constraints.txt -e ".[test]"
  python .ci/tasks.py test VENV=none
or with conda: conda env create -f environment.yml"""


class SetupError(Exception):
    """A failure that one plain sentence explains."""


def python_problem(version=sys.version_info):
    """What is wrong with this Python's version, or an empty string."""
    if tuple(version[:2]) >= (3, 11):
        return ""
    return (
        f"Python 3.11 or newer is needed, this one is {version[0]}.{version[1]}. "
        "Name another: make test PYTHON=python3.12"
    )


def venv_problem():
    """What to do where Python comes without venv (Debian, Ubuntu), or nothing."""
    if all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        return ""
    return (
        "This Python has no venv module. On Debian or Ubuntu: "
        "sudo apt install python3-venv, then the same command again.\n" + BY_HAND
    )


def disk_problem(folder):
    """By how much the disk is too small for torch and its friends, or nothing."""
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free >= NEEDED_GB:
        return ""
    return (
        f"The set-up needs {NEEDED_GB} GB of free disk, {free:.1f} GB are free. "
        "Free some, or clone to another disk."
    )


def interpreter(venv):
    """Path of the Python inside an environment."""
    windows = os.name == "nt"
    return venv / ("Scripts/python.exe" if windows else "bin/python")


def has_torch(venv):
    """Whether torch is already unpacked, so that no room is needed for it."""
    found = [*venv.glob("lib/python*/site-packages/torch")]
    return bool(found) or (venv / "Lib/site-packages/torch").is_dir()


def fingerprint(root):
    """Hash of the pins, the bounds and the place (an editable install holds it)."""
    digest = hashlib.sha256(str(root).encode())
    for name in ("constraints.txt", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def read_stamp(venv):
    """The stamp's content, or an empty one."""
    try:
        stamp = json.loads((venv / ".ready").read_text())
    except (OSError, ValueError):
        stamp = {}
    return stamp if isinstance(stamp, dict) else {}


def log_tail(log, lines=6):
    """The last lines of a log, those with pip's reasons if there are any."""
    text = [line[:200] for line in log.read_text(errors="replace").splitlines() if line]
    reasons = [s for s in text if s.startswith(("ERROR", "WARNING: Retrying"))]
    return "\n".join("  " + line for line in (reasons or text)[-lines:])


def run(command, sentence):
    """Run a command with its output in a log.

    Args:
        command: Program and arguments.
        sentence: What a failure means.

    Raises:
        SetupError: the command failed; holds the sentence and the log's last lines.
    """
    env = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as out:
        code = subprocess.call(
            [str(part) for part in command],
            cwd=str(ROOT),
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if code != 0:
        raise SetupError(f"{sentence} The last lines were:\n{log_tail(LOG)}")


def works(python):
    """Whether an environment's Python starts, has pip and is new enough."""
    test = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return python.exists() and subprocess.call([str(python), "-c", test], **quiet) == 0


def install(venv, extras):
    """Install torch and torchvision as a pair, then the project, then import them."""
    pip = [interpreter(venv), "-m", "pip", "install", "--quiet", "--no-input"]
    pip += ["-c", "constraints.txt"]
    failed = "pip could not install the packages; is the network reachable?"
    say("2/4: torch and torchvision (about 5 GB of wheels, 3 to 5 minutes at first)")
    run([*pip, "torch", "torchvision"], failed)
    say("3/4: the other packages and paicore itself")
    run([*pip, "-e", f".[{','.join(extras)}]"], failed)
    say("4/4: import torch and torchvision")
    # nms is what fails first when the two do not belong together.
    test = "import torch, torchvision; torchvision.ops.nms"
    run([interpreter(venv), "-c", test], "torch and torchvision do not fit together.")


def say(text):
    """Print one line of progress at once."""
    print("setup " + text, flush=True)


def build(venv, extras):
    """Create the environment unless it works, and install into it.

    Args:
        venv: Folder of the environment.
        extras: Names of optional dependencies.

    Raises:
        SetupError: this machine lacks something; the message says what.
    """
    create = not works(interpreter(venv))
    problems = [
        python_problem(),
        create and venv_problem(),
        not has_torch(venv) and disk_problem(ROOT),
    ]
    for problem in filter(None, problems):
        raise SetupError(problem)
    say("1/4: .venv")
    if create:
        command = [sys.executable, "-m", "venv", "--clear", venv]
        run(command, f"Creating .venv failed.\n{BY_HAND}\n")
    install(venv, extras)


def ensure(extras=(), venv=None):
    """Make the environment ready if it is not.

    Args:
        extras: Names of optional dependencies besides "test".
        venv: Folder of the environment, by default .venv at the root.

    Returns:
        Path of the environment's Python.

    Raises:
        SetupError: an extra is unknown.
    """
    venv = venv or ROOT / ".venv"
    for name in set(extras) - set(EXTRAS):
        raise SetupError(f"unknown extra '{name}'; there are {', '.join(EXTRAS)}")
    have = read_stamp(venv).get("extras", [])
    wanted = [name for name in EXTRAS if name in {"test", *extras, *have}]
    stamp = {"hash": fingerprint(ROOT), "extras": wanted}
    if read_stamp(venv) != stamp:
        started = time.monotonic()
        # Removed first: an interrupted repair must not look finished.
        if (venv / ".ready").exists():
            (venv / ".ready").unlink()
        build(venv, wanted)
        (venv / ".ready").write_text(json.dumps(stamp))
        say(f"ready after {time.monotonic() - started:.0f} s")
    return interpreter(venv)


def main():
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Create or repair .venv.")
    parser.add_argument("--extras", nargs="*", default=[], metavar="NAME")
    try:
        ensure(parser.parse_args().extras)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next call repairs it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
