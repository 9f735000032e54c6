"""How the figures of notebook 33 tell its arms apart."""

from collections.abc import Mapping

# Drawn in the figure of widths; the others would hide each other.
WIDTHS_SHOWN = (
    *("random", "snip", "phew", "synflow", "synflow_l2_c", "synflow_l2_d"),
    *("l2_dist_d", "gated_l2", "px_exact"),
)
# The colour of each arm, by a method of `paicore.figures`, and how it is told apart.
LOOKS: dict[str, tuple[str, Mapping]] = {
    "dense": ("dense", {}),
    "random": ("random", {}),
    "snip": ("snip", {}),
    "phew": ("phew", {}),
    "synflow": ("synflow", {}),
    "synflow_dist": ("synflow_dist", {}),
    "synflow_l2_a": ("synflow_l2", {"linestyle": ":", "markerfacecolor": "white"}),
    "synflow_l2_c": ("synflow_l2", {}),
    "synflow_l2_d": ("synflow_l2", {"linestyle": "--", "markerfacecolor": "white"}),
    "l2_dist_a": ("synflow_dist", {"linestyle": ":", "marker": "<"}),
    "l2_dist_d": ("synflow_dist", {"linestyle": "--", "marker": ">"}),
    "l2_dist_normalised": ("synflow_dist", {"linestyle": "-.", "marker": "^"}),
    "gated_l2": ("ntk_sap", {}),
    "px": ("px", {}),
    "px_exact": ("px", {"linestyle": "--", "markerfacecolor": "white"}),
}
