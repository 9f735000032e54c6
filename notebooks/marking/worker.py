"""nbgrader in processes with limits: one per submission."""

import json
import multiprocessing
import os
import re
import sys
import time
from dataclasses import dataclass

import psutil
from running import environment

from marking.folder import clear

# Names of the environment's variables that a stranger's code may see.
SEEN = ("PATH", "LANG", "LC_ALL", "TEMP", "TMP", "TMPDIR", "SYSTEMROOT", "HOME")


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cell_seconds: Time of one cell; the next cells still run.
        seconds: Time of the whole submission.
        gigabytes: Private memory of each of its processes (Linux only).
    """

    cell_seconds: int
    seconds: float
    gigabytes: float

    def __str__(self):
        memory = f"{self.gigabytes:g} GB" if is_linux() else "memory without limit"
        return f"{self.cell_seconds} s a cell; {self.seconds:g} s, {memory} in all"


@dataclass(frozen=True)
class Outcome:
    """What became of one submission.

    Attributes:
        status: "marked", "stopped", "kernel ended" or "failed".
        text: A reason in words, empty if marked.
    """

    status: str
    text: str = ""


def is_linux():
    """Other systems accept a limit on memory and ignore it, or have none."""
    return sys.platform.startswith("linux")


def limit_memory(gigabytes):
    """Refuse more private memory to this process and its children.

    The address space is no measure: torch reserves far more of it than it uses.
    """
    if is_linux():
        import resource

        size = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def interface(work, limits=None):
    """nbgrader's Python interface to the working folder."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    def seconds_of(cell):
        about = cell.metadata.get("nbgrader", {})
        # What we wrote ourselves is imports, which a busy machine may be slow at.
        is_ours = about.get("locked") and not about.get("grade")
        return int(limits.seconds) if is_ours else limits.cell_seconds

    config = Config()
    config.CourseDirectory.root = str(work)
    config.CourseDirectory.db_url = f"sqlite:///{work / 'gradebook.db'}"
    if limits:
        config.Execute.timeout_func = seconds_of
    # An interrupted cell on a busy machine: its output may come late, or not at all.
    config.Execute.iopub_timeout = 20
    config.Execute.raise_on_iopub_timeout = False
    return NbGraderAPI(config=config)


def quiet(log):
    """Send this process's output to a file and shrink its environment."""
    kept = {k: v for k, v in os.environ.items() if k in SEEN}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(environment())
    # nbgrader calls alembic by name, and the environment may not be activated
    here = os.path.dirname(sys.executable)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    log.parent.mkdir(parents=True, exist_ok=True)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)


def log_of(work, key, exercise):
    """Where the output of a process goes."""
    return work / "logs" / f"{exercise}-{key}.txt"


def run_generate(work, names):
    """In a process of its own: nbgrader's release and gradebook."""
    quiet(log_of(work, "release", "all"))
    api = interface(work)
    answers = [api.generate_assignment(name, force=True, create=True) for name in names]
    write_answer(log_of(work, "release", "all"), answers)


def run_mark(work, key, exercise, limits):
    """In a process of its own: run and mark one submission."""
    quiet(log_of(work, key, exercise))
    limit_memory(limits.gigabytes)
    answer = interface(work, limits).autograde(exercise, key, force=True)
    write_answer(log_of(work, key, exercise), [answer])


def write_answer(log, answers):
    """Leave what nbgrader says beside the log."""
    facts = {
        "success": all(answer["success"] for answer in answers),
        "text": "\n".join(f"{a.get('error', '')}\n{a.get('log', '')}" for a in answers),
    }
    log.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")


def in_process(target, arguments, log, seconds):
    """Run a function in a fresh process, and end all it started after some seconds.

    Returns:
        What nbgrader answered; None if the time was over; {} if the process ended
        without an answer.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in methods else "spawn"
    )
    if "forkserver" in methods:  # import nbgrader once, not once per submission
        context.set_forkserver_preload(["nbgrader.apps"])
    process = context.Process(target=target, args=arguments)
    process.start()
    started = {}
    deadline = time.monotonic() + seconds
    while process.is_alive() and time.monotonic() < deadline:
        process.join(1.0)
        remember(process.pid, started)
    late = process.is_alive()
    remember(process.pid, started)
    for child in started.values():
        end(child)
    process.join()
    return None if late else answered(log)


def answered(log):
    """What a process left beside its log; {} if that is no answer."""
    try:
        answer = json.loads(log.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def remember(pid, started):
    """Note every process below one, kernels included, while it can be seen."""
    try:
        parent = psutil.Process(pid)
        for child in [parent, *parent.children(recursive=True)]:
            started[child.pid] = child
    except psutil.Error:
        pass  # it has just ended


def end(process):
    """Kill a process if it still is the one that was noted."""
    try:
        if process.is_running():
            process.kill()
    except psutil.Error:
        pass  # it has just ended


def generate(work, names):
    """Let nbgrader make release and gradebook of exercises.

    Raises:
        RuntimeError: nbgrader refuses a source.
    """
    log = log_of(work, "release", "all")
    answer = in_process(run_generate, (work, names), log, 600)
    if not answer or not answer["success"]:
        raise RuntimeError(f"nbgrader could not make the release, see {log}")


def mark(work, submission, limits):
    """Run and mark one submission; returns an Outcome."""
    key, exercise = submission.key, submission.exercise
    log = log_of(work, key, exercise)
    for path in (log, log.with_suffix(".json")):  # others may have put them there
        clear(path)
    arguments = (work, key, exercise, limits)
    answer = in_process(run_mark, arguments, log, limits.seconds)
    if answer is None:
        return Outcome("stopped", f"stopped after {limits.seconds:g} s in all")
    if answer.get("success"):
        return Outcome("marked")
    text = str(answer.get("text", ""))
    if "DeadKernelError" in text or "Kernel died" in text:
        return Outcome(
            "kernel ended", "the code ended its own kernel or ran out of memory"
        )
    errors = re.findall(r"^\s*([\w.]+(?:Error|Exception): .*)$", text, re.MULTILINE)
    return Outcome("failed", f"nbgrader: {errors[-1] if errors else 'no answer'}"[:300])
