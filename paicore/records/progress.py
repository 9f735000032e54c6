"""Progress of a sweep: a bar at a terminal, one line per finished run elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Report = Callable[..., None]


@contextlib.contextmanager
def reporter(total: int, kept: int, progress) -> Iterator[Report]:
    """Yield ``report(run)`` for a finished run and ``report(text=...)`` for a note.

    Args:
        total: Number of runs asked for.
        kept: How many of them were done before.
        progress: None for the default, False for silence, or a function of one line.

    Yields:
        The function to call.
    """
    if 0 < kept < total and progress is not False:
        say = progress if callable(progress) else _print
        say(f"going on: {kept} of {total} runs were kept before")
    if progress is False or (kept == total and progress is None):
        yield lambda run=None, text=None: None
    elif progress is None and sys.stderr.isatty():
        with _bar(total, kept) as report:
            yield report
    else:
        yield _lines(total, kept, progress or _print)


def _print(line: str) -> None:
    """Print at once: log files of long runs are read while they grow."""
    print(line, flush=True)


@contextlib.contextmanager
def _bar(total: int, kept: int) -> Iterator[Report]:
    """Yield a report that moves a tqdm bar, which shows the time left."""
    from tqdm import tqdm

    with tqdm(total=total, initial=kept, unit="run") as bar:

        def report(run: str | None = None, text: str | None = None) -> None:
            if text:
                bar.write(text, file=sys.stderr)
            if run:
                bar.set_postfix_str(run, refresh=False)
                bar.update()

        yield report


def _lines(total: int, kept: int, write: Callable[[str], None]) -> Report:
    """Return a report that writes "17 of 63 synflow,0.03,,0 done, about 4 min left"."""
    began, count = time.monotonic(), kept

    def report(run: str | None = None, text: str | None = None) -> None:
        nonlocal count
        if text:
            write(text)
        if run:
            count += 1
            each = (time.monotonic() - began) / (count - kept)
            left = f", about {duration(each * (total - count))} left"
            write(f"{count} of {total} {run} done{left if count < total else ''}")

    return report


def duration(seconds: float) -> str:
    """Return a time in the unit a reader would use: "40 s", "4 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
