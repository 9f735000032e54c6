"""Figures of the whole companion: one look, one colour and marker per method.

A figure is its rows: helpers take a record's rows and draw them, nothing is computed
that a claim could rest on. seaborn is imported on first use: that costs seconds.
"""

import re
from collections.abc import Iterable
from io import StringIO
from types import MappingProxyType
from typing import TYPE_CHECKING

from paicore.records import Record
from paicore.records.places import record_path
from paicore.records.store import BUILT
from paicore.svg import compact

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_ONE = 3.3  # inches, one column
WIDTH_TWO = 6.8  # inches, two columns
SCREEN_DPI = 100
FEW = 5  # so many seeds or fewer are also drawn one by one

# Lightness rises in equal steps from `dense` to `random`, so that all differ in grey;
# methods that meet in one figure lie far apart on that ladder and on the blue to
# orange axis that every kind of colour vision keeps.
_STYLES = {
    "dense": ("#111111", "s", "dense"),
    "phew": ("#1f1b02", "d", "PHEW"),
    "sbp_sr": ("#4a003e", (5, 0, 180), "SBP-SR"),
    "force": ("#3b2c03", "8", "FORCE"),
    "px": ("#6a0265", "P", "PX"),
    "ntk_sap": ("#83025b", "*", "NTK-SAP"),
    "sbp": ("#6125be", "h", "SBP"),
    "magnitude": ("#b3082f", "D", "magnitude"),
    "synflow": ("#1364bc", "o", "SynFlow"),
    "synflow_dist": ("#1b7996", "H", "SynFlow-Dist"),
    "snip": ("#c26107", "v", "SNIP"),
    "grasp": ("#059a72", "^", "GraSP"),
    "ntt": ("#0aab2e", "X", "NTT"),
    "erk": ("#8da3b4", "<", "ERK"),
    "synflow_l2": ("#afa0ff", "p", "SynFlow-L2"),
    "iterative_snip": ("#fea564", ">", "iterative SNIP"),
    "random": ("#c6c6c6", (4, 0, 0), "random"),
}
METHODS = tuple(_STYLES)
# Variants of a method have its colour; line and hollow marker tell them apart.
_VARIANTS = {
    "ntt_masked": ("ntt", "X", "-", "NTT, masked"),
    "ntt_ambient": ("ntt", "P", "--", "NTT, ambient"),
    "ntt_masked_frozen": ("ntt", "s", "-.", "NTT, masked, mask fixed"),
    "ntt_masked_no_kernel": ("ntt", "v", ":", "NTT, masked, no kernel term"),
    "ntt_ambient_frozen": ("ntt", "D", "-.", "NTT, ambient, mask fixed"),
    "ntt_ambient_no_kernel": ("ntt", "^", ":", "NTT, ambient, no kernel term"),
    "ntt_ambient_no_target": ("ntt", "<", ":", "NTT, ambient, no output term"),
    "mask_only_masked": ("ntt", "h", "--", "NTT, masked: mask only"),
    "mask_only_ambient": ("ntt", "H", "--", "NTT, ambient: mask only"),
    "weights_only_masked": ("ntt", "p", "--", "NTT, masked: weights only"),
    "weights_only_ambient": ("ntt", "8", "--", "NTT, ambient: weights only"),
    "scaled_random": ("random", "^", "--", "scaled random"),
    "rand": ("random", "v", ":", "authors' random"),
    "logit_snip": ("snip", "^", "--", "logit-SNIP"),
    "global_snip": ("snip", "o", ":", "SNIP, global"),
    "grasp_t1": ("grasp", "<", "--", "GraSP, T = 1"),
    "gated_l2": ("px", "h", "--", "gated L2"),
    "synflow_l2_a": ("synflow_l2", "h", "--", "SynFlow-L2 A"),
    "synflow_l2_d": ("synflow_l2", "s", "-.", "SynFlow-L2 D"),
    "synflow_l2_e": ("synflow_l2", "*", ":", "SynFlow-L2 E"),
    "synflow_l2_dist": ("synflow_dist", "s", "--", "SynFlow-L2-Dist"),
}

_RC = MappingProxyType(
    {
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.title_fontsize": 8,
        "legend.frameon": False,
        "lines.linewidth": 1.2,
        "lines.markersize": 4,
        "figure.dpi": SCREEN_DPI,
        "figure.figsize": (WIDTH_ONE, 2.4),
        "figure.constrained_layout.use": True,
    }
)
# the same rows must give the same bytes
_SVG = MappingProxyType({"svg.hashsalt": "paicore", "svg.fonttype": "path"})


def theme() -> None:
    """Set the look of all figures that follow in this process."""
    import seaborn

    seaborn.set_theme(context="paper", style="ticks", rc={**_RC, **_SVG})


def style(method: str) -> dict:
    """Return colour, marker and label of a method, the same in every figure.

    Args:
        method: Name as in rows, one of `METHODS` or a variant of one of them.

    Returns:
        dict with color, marker and label, ready for ``ax.plot(..., **style(name))``;
        of a variant also with linestyle and a hollow marker.

    Raises:
        ValueError: The method has no style.
    """
    if method in _VARIANTS:
        base, marker, line, label = _VARIANTS[method]
        look = {"color": _STYLES[base][0], "marker": marker, "label": label}
        return look | {"linestyle": line, "markerfacecolor": "white"}
    if method not in _STYLES:
        known = ", ".join([*METHODS, *_VARIANTS])
        raise ValueError(f"method: no style for {method!r}; there are {known}")
    color, marker, label = _STYLES[method]
    return {"color": color, "marker": marker, "label": label}


def density_axis(ax: "Axes") -> None:
    """Make the x axis a density: logarithmic, powers of ten, fewest weights left."""
    from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(base=10))
    ax.xaxis.set_major_formatter(LogFormatterMathtext())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("weights remaining")


def accuracy_curves(
    ax: "Axes",
    rows: "pandas.DataFrame",
    column: str = "test_accuracy",
    *,
    methods: Iterable[str] | None = None,
) -> None:
    """Draw a column against density: mean and one standard deviation per method.

    Conventions: each run counts by its last step. Single seeds are faint points when
    there are five or fewer. The legend names n. Sets the density axis.

    Args:
        ax: Where to draw.
        rows: Rows of a record, of one variant per method.
        column: A value column.
        methods: Names in the order of the legend; None: all in the order of `METHODS`.

    Raises:
        ValueError: A column or method is not in the rows, or several variants are.
    """
    if column not in rows.columns:
        raise ValueError(f"column: no {column!r} in {list(rows.columns)}")
    last = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
    if last.duplicated(["method", "density", "seed"]).any():
        raise ValueError("rows: several variants of one method; select one before")
    there = set(last["method"])
    chosen = [n for n in METHODS if n in there] if methods is None else list(methods)
    if unknown := sorted({*chosen, *(there if methods is None else ())} - there):
        raise ValueError(f"methods: no rows of {unknown}")
    if methods is None and (unstyled := sorted(there - set(METHODS))):
        style(unstyled[0])
    for name in chosen:
        _curve(ax, last[last["method"] == name], column, style(name))
    density_axis(ax)
    ax.set_ylabel(column.replace("_", " "))
    ax.legend()


def _curve(ax: "Axes", rows: "pandas.DataFrame", column: str, look: dict) -> None:
    """Draw one method."""
    import seaborn

    counts = rows.groupby("density")["seed"].nunique()
    least, most = counts.min(), counts.max()
    n = f"{least}" if least == most else f"{least} to {most}"
    label = f"{look['label']} (n={n})"
    data = {"x": rows["density"].to_numpy(), "y": rows[column].to_numpy()}
    seaborn.lineplot(ax=ax, errorbar=("sd", 1), **data, **{**look, "label": label})
    if 1 < most <= FEW:
        points = {"s": 6, "alpha": 0.35, "linewidths": 0, "zorder": 1.5}
        ax.scatter(data["x"], data["y"], color=look["color"], **points)


def band(
    ax: "Axes",
    found: "pandas.DataFrame",
    method: str,
    *,
    single: "pandas.Series | None" = None,
    **look,
) -> None:
    """Draw one method's mean as a line and one standard deviation as a band.

    Args:
        ax: Where to draw.
        found: Columns mean, sd and n; the index is the x axis.
        method: Name of the method, which decides colour, marker and label; the label
            also names n.
        single: Values of single seeds by x, as faint points.
        **look: What else the line looks like.
    """
    own = style(method)
    own["label"] += f" (n={found['n'].max()})"
    ax.plot(found["mean"], **own | look)
    ends = found["mean"] - found["sd"], found["mean"] + found["sd"]
    ax.fill_between(found.index, *ends, color=own["color"], alpha=0.2, lw=0)
    if single is not None:
        ax.plot(single, ".", color=own["color"], ms=3, alpha=0.35)


def paper_points(
    ax: "Axes", method: str, points: Iterable[tuple[float, float]], letter: str
) -> None:
    """Draw the paper's own values: hollow markers, dashed when digitised.

    Args:
        ax: Where to draw.
        method: Name of the method, which decides colour and marker.
        points: Pairs (density, value).
        letter: Provenance as in the claims; "P" is digitised, "M" is refused.

    Raises:
        ValueError: The letter is unknown, or "M": a recalled value is not drawn.
    """
    if letter == "M":
        raise ValueError('letter: "M" is recalled, not read; it is not drawn')
    if letter not in ("R", "C", "L", "D", "P"):
        raise ValueError(f"letter: expected one of R, C, L, D, P, got {letter!r}")
    look = style(method)
    x, y = zip(*sorted(points), strict=True)
    ax.plot(
        x,
        y,
        color=look["color"],
        marker=look["marker"],
        markerfacecolor="none",
        linestyle="--" if letter == "P" else "none",
        linewidth=0.8,
        label=f"{look['label']}, paper" + (" (digitised)" if letter == "P" else ""),
    )


def save(fig: "Figure", record: Record, view: str | None = None) -> None:
    """Show a figure inline and write it as SVG under ``build/figures``; close it.

    Conventions: the file is ``<notebook>/<profile>/<experiment>[_<view>].svg`` and
    names the SHA-256 of its rows, so that it is never promoted with others. No date,
    fonts as paths: the same rows give the same bytes with the same matplotlib. Nothing
    is written into ``figures/``. Outside a notebook nothing is shown.

    Args:
        fig: The figure.
        record: The record that it was drawn from.
        view: Name of a further view of the same rows: small letters, digits, "_".

    Raises:
        ValueError: The record has no rows, or `view` is no such name.
    """
    import matplotlib.pyplot as plt

    if record.rows is None:
        raise ValueError(f"record: nothing to draw, {record.message}")
    if view is not None and not re.fullmatch(r"[a-z0-9_]+", view):
        raise ValueError(f"view: expected small letters, digits and _, got {view!r}")
    experiment = record.experiment
    name = experiment.name + (f"_{view}" if view else "")
    path = record_path(BUILT, experiment.notebook, record.profile, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = f"rows sha256 {record.provenance['csv_sha256']}"
    metadata = {"Date": None, "Source": source}
    text = StringIO()
    with plt.rc_context(dict(_SVG)):
        fig.savefig(text, format="svg", metadata=metadata)
    path.with_suffix(".svg").write_text(compact(text.getvalue()), "utf-8", newline="\n")
    if "inline" in plt.get_backend().lower():
        fig.set_dpi(SCREEN_DPI)
        plt.show()
    plt.close(fig)
