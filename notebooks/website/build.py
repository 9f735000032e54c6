"""Build the site: python notebooks/website [FOLDER], by default build/site."""

import argparse
import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

from running import BUILD

from website import offline, stage

HERE = Path(__file__).resolve().parent
NEEDED = ("sphinx", "myst_nb", "furo", "sphinx-mathjax-offline")


def missing():
    """What to do when a package of the extra `docs` is missing, or nothing."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    return (
        f"The site needs {', '.join(absent)}: the extra docs. "
        "Install it with make setup EXTRAS=docs, or call make site, which does so."
    )


def build(folder):
    """Write the pages and let Sphinx turn them into HTML; returns the exit status.

    Args:
        folder: Gets source/ (the pages), doctrees/ (Sphinx's cache) and html/.
    """
    from sphinx.cmd.build import build_main

    started = time.monotonic()
    source, out = folder / "source", folder / "html"
    source.mkdir(parents=True, exist_ok=True)
    count = stage.write(source)
    # No page of an earlier build, which may show what is no more.
    shutil.rmtree(out, ignore_errors=True)
    # All of it, each time: a docstring that moves to another page is no duplicate.
    options = ["-W", "--keep-going", "-q", "-E", "-a", "-b", "html", "-c", str(HERE)]
    options += ["-d", str(folder / "doctrees"), str(source), str(out)]
    if status := build_main(options):
        return status
    if found := offline.complaints(out):
        print("\n".join(found), file=sys.stderr)
        return 1
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    seconds = time.monotonic() - started
    print(f"{count} pages, {size:.0f} MB, {seconds:.0f} s: {out / 'index.html'}")
    return 0


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="gets source/, doctrees/, html/")
    args = parser.parse_args(argv)
    if problem := missing():
        print(problem, file=sys.stderr)
        return 1
    os.environ["PYTHONHASHSEED"] = "0"
    return build(Path(args.folder).resolve() if args.folder else BUILD / "site")
