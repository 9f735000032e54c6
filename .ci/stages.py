"""The stages of `make test`: cheapest first, seconds per stage, one time limit."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Notebooks that train nothing: nbval compares all of their outputs, not only the
# checked ones.
STRICT = ("02_kernels",)
LIMIT_SECONDS = 25 * 60
COUNT = re.compile(r"(\d+) (passed|failed|skipped|deselected|xfailed|xpassed|errors?)")


def environment(python, jobs=1):
    """What every child gets: one thread and the kernel of the right prefix."""
    import running

    prefix = sys.prefix if python == sys.executable else Path(python).parent.parent
    return running.environment(jobs, prefix)


def lint_commands():
    """Stage 1: style of the code, sync and form of the notebooks."""
    return [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        ["notebooks/build.py", "check"],
        ["notebooks/course.py", "check"],
    ]


def stages(jobs):
    """Name and commands of each stage, cheapest first."""
    smoke = "tests/notebooks/test_smoke.py"
    pytest = ["-m", "pytest", "-q", "-n", jobs]
    nbval = ["--nbval-current-env", "--nbval-cell-timeout=60", "--dist", "loadscope"]
    found = sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
    kinds = {
        "--nbval-lax": [f"notebooks/{n}" for n in found if n[:-6] not in STRICT],
        "--nbval": [f"notebooks/{n}" for n in found if n[:-6] in STRICT],
    }
    committed = [
        [*pytest, kind, *nbval, *files] for kind, files in kinds.items() if files
    ]
    return [
        ("lint", lint_commands()),
        ("unit tests", [[*pytest, "tests", f"--ignore={smoke}"]]),
        ("papermill, smoke", [[*pytest, smoke]]),
        ("nbval, committed notebooks", committed),
    ]


def stop(process):
    """Kill a process with its children, which would hold the pipe open."""
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def stream(command, env, seconds):
    """Run a command, show its output as it comes, and stop it after some seconds.

    Args:
        command: Program and arguments.
        env: Its environment.
        seconds: Time that is left.

    Returns:
        Exit status, and pytest's counts from the last line that has any.
    """
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    options |= {"encoding": "utf-8", "errors": "replace", "start_new_session": True}
    counts = {}
    with subprocess.Popen(command, cwd=ROOT, env=env, **options) as process:
        timer = threading.Timer(max(seconds, 0.1), stop, [process])
        timer.start()
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                if " in " in line and COUNT.search(line):
                    counts = {kind: int(n) for n, kind in COUNT.findall(line)}
            return process.wait(), counts
        finally:
            timer.cancel()
            if process.poll() is None:
                stop(process)


def test(python, jobs, started):
    """Run all stages; stops at the first that fails or when the time is over.

    The last line has the form of pytest's own and holds the sum over its runs.

    Returns:
        Exit status.
    """
    total, seconds = {}, []
    for number, (name, commands) in enumerate(stages(jobs), 1):
        print(f"\nstage {number}: {name}", flush=True)
        begun = time.monotonic()
        for command in commands:
            left = LIMIT_SECONDS - (time.monotonic() - started)
            env = environment(python)
            code, counts = stream([str(python), *command], env, left)
            if time.monotonic() - started > LIMIT_SECONDS:
                print(f"stopped: more than {LIMIT_SECONDS // 60} minutes in total")
                return 1
            if code:
                return code
            total = {k: total.get(k, 0) + counts.get(k, 0) for k in {**total, **counts}}
        seconds.append((name, time.monotonic() - begun))
    print("\nstage summary")
    for number, (name, spent) in enumerate(seconds, 1):
        print(f"  {number}  {name:<28} {spent:6.1f} s")
    text = ", ".join(f"{n} {kind}" for kind, n in total.items())
    print(f"==== {text} in {time.monotonic() - started:.2f}s ====")
    return 0
