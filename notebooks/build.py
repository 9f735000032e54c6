"""Build, check and run the notebooks: python notebooks/build.py [COMMAND] [NAMES].

build (default)  src/NN.py -> executed, stripped NN.ipynb; refreshes committed SVGs
                 and the README's scorecard
check            sources and notebooks agree, keep the form, carry no clutter
reproduce        compute every notebook with --profile into build/, print the scorecard
replay           run the sources as plain scripts, from committed records

NAMES are numbers, slugs or names (00, tour, 00_tour); none means all.
"""

import argparse
import base64
import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import form
import readme
from running import (
    BUILD,
    NBSTRIPOUT,
    NOTEBOOKS,
    ROOT,
    convert,
    environment,
    execute,
    replay_one,
    report,
    run_all,
    select,
    sources,
)

PROFILES = ("smoke", "quick", "paper")
CELL_SECONDS = 120


def small_png(text):
    """Return a figure, base64 in and out, with 256 colours: a third of the bytes."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    out = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def tidy(nb):
    """Remove what differs between two equal runs, and make figures small.

    Empty tags go, split streams are joined, figures get a palette of colours.
    """
    for cell in nb.cells:
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        merged = []
        for output in cell.get("outputs", []):
            last = merged[-1] if merged else {}
            if "image/png" in (data := output.get("data", {})):
                data["image/png"] = small_png(data["image/png"])
            if output.get("name") and output.get("name") == last.get("name"):
                last.text += output.text
            else:
                merged.append(output)
        if cell.cell_type == "code":
            cell.outputs = merged
    return nb


def build_one(name):
    """Build one committed notebook and refresh its committed SVGs."""
    import nbformat

    folder = BUILD / "built"
    seconds, failure = execute(name, folder, timeout=CELL_SECONDS)
    if failure:
        return seconds, failure
    out = folder / f"{name}.ipynb"
    nbformat.write(tidy(nbformat.read(out, as_version=4)), out)
    subprocess.run([sys.executable, "-m", *NBSTRIPOUT, str(out)], check=True)
    os.replace(out, NOTEBOOKS / out.name)
    refresh_figures(name)
    return seconds, ""


def refresh_figures(name):
    """Copy redrawn SVGs beside committed rows, if drawn from these very rows."""
    for profile in ("quick", "paper"):
        target = ROOT / "figures" / name / profile
        rows = [path.read_bytes() for path in target.glob("*.csv")]
        committed = {hashlib.sha256(data).hexdigest() for data in rows}
        for svg in sorted((BUILD / "figures" / name / profile).glob("*.svg")):
            from paicore.records.promotion import drawn_from

            if drawn_from(svg) in committed:
                shutil.copyfile(svg, target / svg.name)


def check(names):
    """Print every complaint about the notebooks; returns the exit status."""
    import nbformat

    found = []
    built = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    found += [f"{name}.ipynb has no source" for name in sorted(built - set(sources()))]
    for name in names:
        if name not in built:
            found.append(f"{name} is not built: python notebooks/build.py {name[:2]}")
            continue
        nb = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        claims = NOTEBOOKS / "claims" / f"{name}.toml"
        text = claims.read_text(encoding="utf-8") if claims.exists() else ""
        sentences = form.difference(convert(name), nb) + form.complaints(nb, name, text)
        found += [f"{name}: {sentence}" for sentence in sentences]
    files = [str(NOTEBOOKS / f"{name}.ipynb") for name in names if name in built]
    verify = [sys.executable, "-m", *NBSTRIPOUT, "--verify", *files]
    if files and subprocess.run(verify).returncode:
        found.append("nbstripout finds clutter: rebuild with python notebooks/build.py")
    print("\n".join(found) or f"notebooks in good form: {len(names)}")
    return int(bool(found))


def method_problem(names, profile, methods):
    """Which experiment lacks one of the methods, by the check of the run itself."""
    if not methods.strip(", "):
        return ""
    from paicore import records
    from paicore.records.store import asked_config

    recompute = profile != "smoke"
    asked = {"profile": profile, "recompute": recompute, "only": methods}
    settings = records.settings(**asked, device="cpu")
    for name in names:
        for experiment in records.find(name).values():
            if profile in experiment.profiles:
                try:
                    asked_config(experiment, settings)
                except ValueError as error:
                    return f"METHODS: {name}, {error}"
    return ""


def reproduce(names, profile, methods, jobs):
    """Compute notebooks into build/ and print the scorecard; returns the status."""
    if problem := method_problem(names, profile, methods):
        print(problem, file=sys.stderr)
        return 2
    smoke = profile == "smoke"
    parameters = {"profile": profile, "recompute": not smoke, "only": methods}
    run = partial(
        execute,
        folder=BUILD / "notebooks",
        parameters=parameters,
        timeout=CELL_SECONDS if smoke else None,
        log=not smoke,
    )
    # Long runs use the cores themselves, one notebook after the other.
    failed = run_all(names, jobs if smoke else 1, run)
    from paicore import claims

    text = claims.scorecard("build/figures")
    (BUILD / "scorecard.md").write_text(text, encoding="utf-8")
    print(f"{text}\nfigures and records: build/figures, scorecard: build/scorecard.md")
    return int(bool(failed))


def replay(names, jobs):
    """Replay notebooks as scripts, one process per job; returns the exit status."""
    with ThreadPoolExecutor(jobs) as pool:
        return int(bool(report(names, pool.map(replay_one, names))))


def quiet_kernels():
    """Keep ipykernel's advice about its transport out of our output."""
    config = BUILD / "ipython" / "profile_default" / "ipython_kernel_config.py"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("c.IPKernelApp.log_level = 50\n", encoding="utf-8")


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="command, then notebooks")
    parser.add_argument("--profile", default="smoke", choices=PROFILES)
    parser.add_argument("--only", default="", help="notebooks, as a comma list")
    parser.add_argument("--methods", default="", help="methods, as a comma list")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args(argv)
    commands = ("build", "check", "reproduce", "replay")
    command = args.names.pop(0) if args.names[:1] and args.names[0] in commands else ""
    try:
        names = select(",".join([*args.names, args.only]))
    except ValueError as error:
        parser.error(str(error))
    # Long runs get all the jobs, short ones share them.
    workers = args.jobs if command == "reproduce" and args.profile != "smoke" else 1
    env = environment(workers)
    os.environ.clear()
    os.environ.update(env)
    sys.path.insert(0, str(ROOT))
    quiet_kernels()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if command == "check":
        return check(names)
    if command == "reproduce":
        level = logging.WARNING if args.profile == "smoke" else logging.INFO
        logging.getLogger("papermill").setLevel(level)
        return reproduce(names, args.profile, args.methods, args.jobs)
    if command == "replay":
        return replay(names, args.jobs)
    failed = run_all(names, args.jobs, build_one)
    readme.refresh()
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
