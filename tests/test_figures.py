"""Figures: the same bytes for the same rows, one look per method."""

import itertools
import json
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
from matplotlib.colors import to_rgb

from paicore import figures, records
from paicore.experiments import Config, Experiment
from paicore.svg import compact

# Colour vision without red or green receptors, on linear RGB (Machado et al. 2009).
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
USUAL = ("random", "magnitude", "snip", "grasp", "synflow", "ntk_sap", "dense")


def no_cells(config):
    return []


def no_rows(config, cell):
    return []


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    draw = np.random.default_rng(3)
    rows = [
        {
            "run": f"{method},{density:g},,{seed}",
            "method": method,
            "density": density,
            "seed": seed,
            "step": step,
            "variant": "",
            "test_accuracy": step * draw.uniform(0.004, 0.009),
        }
        for method in ("random", "synflow")
        for density in (0.5, 0.1, 0.01)
        for seed in range(3)
        for step in (50, 100)
    ]
    config = Config()
    experiment = Experiment(
        "00_tour",
        "accuracy",
        no_cells,
        no_rows,
        ("test_accuracy",),
        {"quick": config},
        {},
    )
    facts = {"csv_sha256": "ab" * 32}
    frame = pandas.DataFrame(rows)
    return records.Record(experiment, "quick", frame, config, facts, 18, 18, "")


def drawn(record):
    figures.theme()
    fig, ax = plt.subplots(figsize=(figures.WIDTH_ONE, 2.4))
    figures.accuracy_curves(ax, record.rows)
    figures.paper_points(ax, "snip", [(0.1, 0.8), (0.5, 0.9)], "P")
    return fig


def lightness(color):
    """CIELAB L*, what a grey print keeps."""
    y = linear(color) @ [0.2126, 0.7152, 0.0722]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def linear(color):
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB of linear RGB."""
    matrix = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    xyz = np.array(matrix) @ rgb / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_every_method_has_its_own_colour_marker_and_label():
    looks = [figures.style(name) for name in figures.METHODS]
    for key in ("color", "marker", "label"):
        assert len({look[key] for look in looks}) == len(looks) == 17


def test_every_pair_of_methods_differs_in_grey():
    levels = sorted(lightness(figures.style(n)["color"]) for n in figures.METHODS)
    assert min(b - a for a, b in itertools.pairwise(levels)) > 3.5
    assert levels[-1] < 85, "too pale on white"


@pytest.mark.parametrize("matrix", [DEUTERANOPIA, PROTANOPIA, np.eye(3)])
def test_the_usual_methods_differ_for_every_colour_vision(matrix):
    seen = {}
    for name in USUAL:
        rgb = np.clip(np.array(matrix) @ linear(figures.style(name)["color"]), 0, 1)
        seen[name] = lab(rgb)
    for a, b in itertools.combinations(USUAL, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 20, (a, b)


def test_a_method_without_a_style_is_an_error_that_lists_those_with():
    with pytest.raises(ValueError, match=r"no style for 'sinflow'.*synflow"):
        figures.style("sinflow")


def test_the_same_rows_give_the_same_bytes_under_the_build_folder(record, tmp_path):
    path = tmp_path / "build/figures/00_tour/quick/accuracy.svg"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures.save(drawn(record), record) is None
        first = path.read_bytes()
        path.unlink()
        figures.save(drawn(record), record)
    assert path.read_bytes() == first
    assert b"<dc:date>" not in first
    assert b"<text" not in first, "fonts must be paths"
    assert not (tmp_path / "figures").exists()
    assert plt.get_fignums() == []


def test_the_bytes_do_not_depend_on_the_readers_own_settings(record, tmp_path):
    path = tmp_path / "build/figures/00_tour/quick/accuracy.svg"
    saved = []
    for salt in ("mine", "yours"):
        fig = drawn(record)
        with plt.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
            figures.save(fig, record)
        saved.append(path.read_bytes())
    assert saved[0] == saved[1]


def test_other_rows_give_other_bytes(record, tmp_path):
    path = tmp_path / "build/figures/00_tour/quick/accuracy_late.svg"
    figures.save(drawn(record), record, view="late")
    first = path.read_bytes()
    record.rows.loc[:, "test_accuracy"] *= 0.5
    figures.save(drawn(record), record, view="late")
    assert path.read_bytes() != first


def test_a_figure_names_the_rows_it_was_drawn_from(record, tmp_path):
    from paicore.records.promotion import drawn_from

    figures.save(drawn(record), record)
    svg = tmp_path / "build/figures/00_tour/quick/accuracy.svg"
    assert drawn_from(svg) == "ab" * 32


def test_what_is_not_run_is_not_drawn(record):
    empty = records.Record(
        record.experiment, "quick", None, record.config, {}, 0, 9, "accuracy: not run"
    )
    with pytest.raises(ValueError, match="accuracy: not run"):
        figures.save(plt.figure(), empty)
    with pytest.raises(ValueError, match="view"):
        figures.save(plt.figure(), record, view="../up")
    plt.close("all")


def test_the_curve_is_the_mean_of_the_last_steps_with_one_standard_deviation(record):
    _, ax = plt.subplots()
    figures.accuracy_curves(ax, record.rows, methods=["synflow"])
    last = record.rows.query("method == 'synflow' and step == 100")
    groups = last.groupby("density")["test_accuracy"]
    x, y = ax.lines[0].get_data()
    assert np.allclose(x, [0.01, 0.1, 0.5])
    assert np.allclose(y, groups.mean())
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(band.max(), (groups.mean() + groups.std()).max())
    assert np.isclose(band.min(), (groups.mean() - groups.std()).min())
    points = [c for c in ax.collections[1:] if len(c.get_offsets()) == 9]
    assert len(points) == 1, "nine single seeds"
    assert ax.get_legend().get_texts()[0].get_text() == "SynFlow (n=3)"
    plt.close("all")


def test_a_band_is_mean_and_deviation_of_rows_that_were_summed_before():
    found = pandas.DataFrame(
        {"mean": [1.0, 2.0], "sd": [0.5, 0.25], "n": [3, 2]}, index=[10, 20]
    )
    single = pandas.Series([0.9, 1.1, 2.0], index=[10, 10, 20])
    _, ax = plt.subplots()
    figures.band(ax, found, "synflow", single=single, markersize=2)
    line, points = ax.lines
    assert line.get_xydata().tolist() == [[10, 1], [20, 2]]
    assert line.get_label() == "SynFlow (n=3)"
    assert line.get_markersize() == 2
    assert points.get_xydata().tolist() == [[10, 0.9], [10, 1.1], [20, 2]]
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.5, 2.25)
    plt.close("all")


def test_many_seeds_are_not_drawn_one_by_one(record):
    rows = [record.rows.assign(seed=record.rows["seed"] + 3 * i) for i in range(2)]
    whole = pandas.concat(rows)
    whole["run"] = (
        whole["method"] + whole["density"].astype(str) + whole["seed"].astype(str)
    )
    _, ax = plt.subplots()
    figures.accuracy_curves(ax, whole)
    assert not [c for c in ax.collections if len(c.get_offsets()) > 1]
    assert "(n=6)" in ax.get_legend().get_texts()[0].get_text()
    plt.close("all")


def test_rows_that_would_mix_variants_are_refused(record):
    both = pandas.concat([record.rows, record.rows.assign(variant="B", run="other")])
    with pytest.raises(ValueError, match="several variants"):
        figures.accuracy_curves(plt.figure().subplots(), both)
    with pytest.raises(ValueError, match="no 'loss'"):
        figures.accuracy_curves(plt.figure().subplots(), record.rows, "loss")
    with pytest.raises(ValueError, match=r"no rows of \['snip'\]"):
        figures.accuracy_curves(plt.figure().subplots(), record.rows, methods=["snip"])
    plt.close("all")


def test_the_density_axis_is_logarithmic_with_powers():
    fig, ax = plt.subplots()
    ax.plot([0.001, 1], [0, 1])
    figures.density_axis(ax)
    fig.canvas.draw()
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "weights remaining"
    assert r"$\mathdefault{10^{-2}}$" in [t.get_text() for t in ax.get_xticklabels()]
    plt.close(fig)


def test_paper_values_are_hollow_digitised_dashed_and_recalled_refused():
    _, ax = plt.subplots()
    figures.paper_points(ax, "snip", [(0.5, 0.9), (0.1, 0.8)], "P")
    figures.paper_points(ax, "snip", [(0.5, 0.9)], "R")
    digitised, read = ax.lines
    assert digitised.get_markerfacecolor() == "none"
    assert digitised.get_linestyle() == "--"
    assert list(digitised.get_xdata()) == [0.1, 0.5]
    assert read.get_linestyle() == "None"
    with pytest.raises(ValueError, match="recalled"):
        figures.paper_points(ax, "snip", [(0.5, 0.9)], "M")
    with pytest.raises(ValueError, match="letter"):
        figures.paper_points(ax, "snip", [(0.5, 0.9)], "Z")
    plt.close("all")


def test_importing_figures_does_not_import_seaborn():
    code = (
        "import sys, json, paicore.figures;"
        "print(json.dumps([m for m in ('seaborn', 'torchvision', 'IPython')"
        " if m in sys.modules]))"
    )
    root = Path(figures.__file__).resolve().parents[1]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True
    )
    assert json.loads(out.stdout) == []


def test_a_variant_has_its_methods_colour_and_a_look_of_its_own():
    looks = {}
    for name, (base, *_) in figures._VARIANTS.items():
        look = figures.style(name)
        assert look["color"] == figures.style(base)["color"]
        assert look["markerfacecolor"] == "white"
        looks[name] = (look["color"], str(look["marker"]), look["linestyle"])
    assert len(set(looks.values())) == len(looks)
    assert not set(figures._VARIANTS) & set(figures.METHODS)


def test_a_compact_figure_is_shorter_and_draws_within_a_hundredth():
    svg = '<g>\n   <path d="M 1.23456 -7.5 L 10 2.999" transform="scale(0.015625)"/>\n'
    short = compact(svg + '  <use x="3.14159" y="2"/>\n</g>')
    assert short == (
        '<g>\n<path d="M 1.23 -7.5 L 10 2.99" transform="scale(0.015625)"/>\n'
        '<use x="3.14" y="2"/>\n</g>'
    )
    assert compact(short) == short


def test_markers_of_one_style_get_it_from_a_group():
    use = '<use x="{}" y="2" style="fill: #262626"/>\n'
    other = '<use x="5" y="2" style="fill: none"/>\n'
    short = compact(use.format(3) + use.format(4) + other)
    assert short == (
        '<g style="fill: #262626">\n<use x="3" y="2"/>\n<use x="4" y="2"/>\n</g>\n'
        + other
    )
    assert compact(short) == short
