"""build.py on a throw-away notebook in a folder of its own; no paicore needed."""

import base64
import dataclasses
import hashlib
import importlib
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from running import NOTEBOOKS, environment, select

SOURCE = """# %% [markdown]
# # Tiny

# %% tags=["parameters"]
profile: str = "best"  # which record
width: int = 2  # a number

# %% tags=["nbval-check-output"]
print("profile", profile)
print("width", width)

# %%
import os
import sys
import matplotlib.pyplot as plt
from IPython.display import HTML, display

plt.plot([1, width])
plt.show()
display(HTML(f"<b>{os.getpid()}</b>")) if len(sys.argv) > 9 else None
"""
NAMES = ["00_tour", "01_traps", "10_path_kernel"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A repository with a space in its path, one source and the tools."""
    root = tmp_path_factory.mktemp("a b")
    (root / "notebooks" / "src").mkdir(parents=True)
    (root / "notebooks" / "src" / "00_tiny.py").write_text(SOURCE)
    for name in ("build.py", "running.py", "conftest.py"):
        shutil.copy(NOTEBOOKS / name, root / "notebooks")
    # The real one writes paicore's scorecard into a README.
    (root / "notebooks" / "readme.py").write_text("def refresh():\n    pass\n")
    shutil.copytree(NOTEBOOKS / "form", root / "notebooks" / "form")
    return root


def python(root, *arguments, env=None):
    """Run Python at a root; the finished process with its output."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def built(root):
    """The folder with the notebook built once, and its bytes."""
    done = python(root, "notebooks/build.py", "00")
    assert done.returncode == 0, done.stdout + done.stderr
    return (root / "notebooks" / "00_tiny.ipynb").read_bytes()


def nbval(root, nb):
    """Run nbval, lax, on a notebook given as JSON; the finished process."""
    path = root / "notebooks" / "90_checked.ipynb"
    path.write_text(json.dumps(nb))
    options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider"]
    done = python(root, "-m", "pytest", "-q", *options, str(path))
    path.unlink()
    return done


def test_building_twice_gives_the_same_bytes_and_shows_a_png(root, built):
    assert python(root, "notebooks/build.py", "tiny").returncode == 0
    assert (root / "notebooks" / "00_tiny.ipynb").read_bytes() == built
    assert b"image/png" in built
    assert b"papermill" not in built
    assert b'"execution_count": 3' in built


def test_figures_have_a_palette_and_look_the_same():
    build = importlib.import_module("build")
    ramp = np.add.outer(np.arange(60), np.arange(90))  # 149 greys
    image = Image.fromarray(np.stack([ramp, ramp, ramp], 2).astype(np.uint8))
    held = io.BytesIO()
    image.convert("RGBA").save(held, "PNG")
    small = build.small_png(base64.b64encode(held.getvalue()).decode())
    again = Image.open(io.BytesIO(base64.b64decode(small)))
    assert again.mode == "P"
    gap = np.asarray(again.convert("RGB"), int) - np.asarray(image, int)
    assert np.abs(gap).max() <= 4


def test_check_reports_a_source_that_changed_after_building(root, built):
    path = root / "notebooks" / "src" / "00_tiny.py"
    path.write_text(SOURCE.replace("width: int = 2", "width: int = 3"))
    done = python(root, "notebooks/build.py", "check")
    path.write_text(SOURCE)
    assert done.returncode == 1
    assert "00_tiny: cell 1 differs from the source in its text" in done.stdout
    again = python(root, "notebooks/build.py", "check")
    assert "differs" not in again.stdout


def test_an_unknown_papermill_parameter_fails(root):
    code = "import running; from pathlib import Path; "
    code += "print(running.execute('00_tiny', Path('out'), {'depth': 3}))"
    done = python(root / "notebooks", "-c", code)
    assert "00_tiny has no parameter depth" in done.stdout


def test_replay_runs_the_source_as_a_script_and_reports_a_failure(root):
    good = python(root, "notebooks/build.py", "replay", "--jobs=2")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "00_tiny: ok" in good.stdout
    bad = root / "notebooks" / "src" / "01_bad.py"
    bad.write_text("raise ValueError('by design')\n")
    done = python(root, "notebooks/build.py", "replay", "01")
    bad.unlink()
    assert done.returncode == 1
    assert "01_bad: FAILED" in done.stdout
    assert "by design" in done.stderr


def test_the_kernel_is_this_environments_whatever_the_user_has(tmp_path, monkeypatch):
    foreign = tmp_path / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "mine", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    code = "from jupyter_client.kernelspec import get_kernel_spec as spec; "
    code += "print(spec('python3').resource_dir)"
    assert str(foreign) in python(tmp_path, "-c", code).stdout
    ours = python(tmp_path, "-c", code, env=environment()).stdout
    assert ours.startswith(sys.prefix)


def test_nbval_passes_the_notebook_and_fails_a_changed_number(root, built):
    nb = json.loads(built)
    assert nbval(root, nb).returncode == 0
    changed = json.loads(built.replace(b"width 2", b"width 7"))
    assert changed != nb
    assert nbval(root, changed).returncode == 1


def test_nbval_does_not_compare_stderr_and_html(root, built):
    nb = json.loads(built)
    cell = next(c for c in nb["cells"] if "nbval-check-output" in str(c["metadata"]))
    html = {"data": {"text/html": "<b>1</b>"}, "metadata": {}}
    cell["outputs"] += [
        {"output_type": "stream", "name": "stderr", "text": "process 1"},
        {"output_type": "display_data", **html},
    ]
    assert nbval(root, nb).returncode == 0


def test_only_svgs_drawn_from_the_committed_rows_are_refreshed(tmp_path, monkeypatch):
    build = importlib.import_module("build")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "build")
    committed = tmp_path / "figures" / "00_tiny" / "quick"
    redrawn = tmp_path / "build" / "figures" / "00_tiny" / "quick"
    for folder in (committed, redrawn):
        folder.mkdir(parents=True)
    (committed / "a.csv").write_bytes(b"rows")
    ours = hashlib.sha256(b"rows").hexdigest()
    for name, rows in {"a": ours, "a_view": ours, "b": "0" * 64}.items():
        (redrawn / f"{name}.svg").write_text(f"<svg>rows sha256 {rows}</svg>")
    build.refresh_figures("00_tiny")
    assert {p.name for p in committed.glob("*.svg")} == {"a.svg", "a_view.svg"}


def test_children_get_one_thread_and_no_foreign_parameters(monkeypatch):
    monkeypatch.setenv("PAICORE_PARAMS", "{}")
    monkeypatch.setenv("MPLBACKEND", "svg")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "elsewhere")
    env = environment(jobs=3)
    assert env["PAICORE_JOBS"] == "3"
    assert env["OMP_NUM_THREADS"] == "1"
    assert not {"PAICORE_PARAMS", "MPLBACKEND", "JUPYTER_CONFIG_PATH"} & set(env)


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_method_that_no_run_could_use_is_refused_before_anything_runs(
    profile, monkeypatch, capsys
):
    from paicore.experiments import tour

    build = importlib.import_module("build")
    monkeypatch.setattr(build, "run_all", lambda *_: pytest.fail("a notebook ran"))
    experiment = next(iter(tour.EXPERIMENTS.values()))
    config = experiment.profiles["smoke"]
    whole = dataclasses.replace(experiment, profiles={"smoke": config, "paper": config})
    monkeypatch.setattr(tour, "EXPERIMENTS", {"a": whole})
    assert build.reproduce(["00_tour"], profile, "snip,nope", 1) == 2
    says = capsys.readouterr().err
    assert says.startswith("METHODS: 00_tour, only: ") and "no ['nope']; it has" in says
    assert build.method_problem(["00_tour"], profile, "snip") == ""
    assert build.method_problem(["00_tour"], "quick", "nope") == ""  # nothing runs


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("", NAMES),
        (" , ", NAMES),
        ("01", ["01_traps"]),
        ("traps, 00_tour", ["00_tour", "01_traps"]),
        ("10 10", ["10_path_kernel"]),
    ],
)
def test_notebooks_are_selected_by_number_slug_or_name(asked, got):
    assert select(asked, NAMES) == got


@pytest.mark.parametrize("asked", ["99", "tou", "00,nope"])
def test_an_unknown_notebook_is_refused_with_what_there_is(asked):
    with pytest.raises(ValueError, match="there are 00_tour, 01_traps"):
        select(asked, NAMES)
