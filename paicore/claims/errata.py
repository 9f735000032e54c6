"""Errata: where public code or a print was found to differ, and in which scope.

The traps of notebook 01 have their place from its catalogue; what later notebooks found
stands here. "{01_traps K2:.0f}" in a size is our number of that claim, read from the
committed records; of an ordering it is the number of seeds that agree.
"""

import string
import textwrap
from dataclasses import dataclass

from paicore.claims.verdicts import evaluate
from paicore.experiments.traps_catalogue import TRAPS
from paicore.records import best, find

WIDTHS = (22, 28, 28, 27, 13)  # of the table's columns, in characters
RECALLED = "† recalled, not checked against the PDF"


@dataclass(frozen=True)
class Erratum:
    """One place that differs.

    Attributes:
        what: What differs, in a few words.
        place: Repository and file, or table and figure.
        scope: Which setting it touches, and which not.
        size: How large it is; claims in braces.
        shown: Claims as "31 K34, K35"; "above": a cell of notebook 01 and the test
            named below it; "read": seen in the code, not measured.
    """

    what: str
    place: str
    scope: str
    size: str
    shown: str


# name in the catalogue: scope, size, shown
_TRAPS = {
    "ties fall together": (
        "equal scores, as of dead units or of a constant score",
        "keeps {01_traps K13:.0f} of {01_traps K12:,.0f}", "01 K12, K13",
    ),
    "off by one": (
        "any density; NTT and open_lth at 1, too", "one or two weights", "above"
    ),
    "one word, two meanings": (
        "a number handed from one code to another",
        "kept and removed change places", "above",
    ),
    "last density only": (
        "the value returned; the files are complete", "all densities but one", "above"
    ),
    "quit on a mismatch": (
        "a sweep in which one score is tied", "the program ends", "above"
    ),
    "shuffle does nothing": (
        "the control that shuffles inside layers", "no entry moves", "above"
    ),
    "invert by v / v^2": (
        "scores with signs or zeros; positive ones are right",
        "GraSP: no weight in common", "above",
    ),
    "negative weights frozen": (
        "training, with any mask", "all kept negative weights", "above"
    ),
    "argparse type=bool": ("every switch set to False", "read as True", "above"),
    "float32 overflows": (
        "last layer of ResNet-32; all of ResNet-56 and 110",
        "ResNet-110: finite share {01_traps K15:.0f}", "01 K15",
    ),
    "batch norm of a batch of one": (
        "networks with batch norm", "IoU at most {01_traps K9:.0f} %", "01 K9"
    ),
    "biases are paths too": (
        "biases that are not zero", "totals of layers differ by a percent", "above"
    ),
    "sign reversed": (
        "this fork; the original was corrected in August 2020",
        "IoU at most {01_traps K1:.0f} %; squared gradient norm at least "
        "{32_trace_and_training K36:,.0f} times smaller", "01 K1; 32 K35, K36",
    ),
    "direction behind a flag": (
        "the default, without --prune_highest", "no weight in common", "above"
    ),
    "temperature unnamed": (
        "any network", "IoU at most {01_traps K2:.0f} %", "01 K2; 32 K39"
    ),
    "class-sorted halves": (
        "networks with batch norm; none without",
        "IoU at most {01_traps K3:.0f} %", "01 K3, K4",
    ),
    "two augmented batches": (
        "augmented scoring images", "IoU at most {01_traps K5:.0f} %", "01 K5"
    ),
    "moduli per batch": (
        "more than one scoring batch",
        "two batches: IoU at most {01_traps K6:.0f} % (ResNet), "
        "{01_traps K7:.0f} % (MLP)", "01 K6, K7",
    ),
    "weights drawn again": (
        "all layers; in GraSP's code the Linear ones",
        "IoU at most {01_traps K8:.0f} %", "01 K8",
    ),
    "weights changed by scoring": (
        "the caller's network, its statistics and momentum", "every weight", "above"
    ),
    "ReLU replaced for all": (
        "the process, once a scoring fails", "until it ends", "above"
    ),
    "four SynFlow-L2": (
        "any two of the formulas",
        "IoU at most {01_traps K10:.0f} %; B is SynFlow", "01 K10, K11",
    ),
    "path-kernel sum": (
        "networks with biases, batch norm or shortcuts that are parameters",
        "fc_100: two fifths too large", "above"
    ),
}  # fmt: skip

_PATHS, _NTT = "uditsaxena/Synaptic-Flow", "fmi-basel/neural-tangent-transfer"
_SAP, _SECOND = "YiteWang/NTK-SAP", "BeiYazi0/NTK-SAP"
_LATER = {
    "code": (
        ("pooling not squared", f"{_PATHS} path_kernel.py",
         "average pooling, 8 x 8 in ResNet-20",
         "trace {31_paths K34:.0f} times the exact one", "31 K34, K35, K36"),
        ("max pooling not summed", f"{_PATHS} path_kernel.py", "VGG-11",
         "trace at most {31_paths K38:.3f} of the exact one", "31 K38"),
        ("trace in training mode", f"{_PATHS} train.py",
         "traces per epoch, batch norm; the first trace is in eval mode",
         "narrow ResNet-20: off by {32_trace_and_training K34:.0e} at least",
         "32 K34"),
        ("biases kept in scores", f"{_PATHS} Pruners/pruners.py",
         "SynFlow-L2 C and D, PyTorch's initialisation, digits; not MNIST, not A",
         "{33_data_on_paths K15:.0f} layers empty, or more",
         "33 K15, K16, K20; 32 K24, K25"),
        ("runs, baselines, labels", f"{_PATHS}, notebook of the plots",
         "drops runs whose loss fell by less than 1; changes count from the end of "
         "epoch 1; \"pruning 10 %\" keeps 10 %", "not measured", "read"),
        ("four forms of PX", "iurada/px-ntk-pruning, its history",
         "the last form beside SynFlow-L2 D", "IoU {33_data_on_paths K13:.0f} %",
         "33 K11, K13"),
        ("ambient kernel matched", f"{_NTT} nt_transfer/ntt.py",
         "any density below 1; students train by the masked kernel",
         "MNIST, 3 %: ambient distance to {21_matching_a_teacher K3:.0f} %, masked "
         "one at {21_matching_a_teacher K10:.0f} % or more",
         "21 K3, K10; 02 K1, K2, K3"),
        ("unequal counts", f"{_NTT} nt_transfer/ntt.py",
         "students beside its own SNIP", "one weight a layer less", "21 K1"),
        ("one key for all seeds", f"{_NTT} nt_transfer/utils.py",
         "the random baseline of both logs", "not measured; repeated to "
         "{22_sparse_training K47:.2f} points", "22 K46, K47"),
        ("logit-SNIP once only", _NTT, "the option logit_snip: later masks are by "
         "magnitude", "not measured", "read"),
        ("titles one column off", f"{_NTT}, notebooks",
         "\"NTK distance\" is the total, \"target distance\" the kernel's",
         "labels only", "read"),
        ("a flag named epsilon", f"{_SAP} main.py",
         "0.01 there is a standard deviation, the paper's 1e-4 a variance; the README "
         "has another name for it", "equal to {41_saliency K19:.1%}", "41 K19"),
        ("batch norm frozen", f"{_SAP} Pruners/pruners.py",
         "the score's kernel; training has batch statistics",
         "a step missed by {41_saliency K81:.1f} times its size, or more",
         "41 K80, K81"),
        ("which weights are trained", f"{_SAP} multishot.py, singleshot.py",
         "the stored ones, or the last draw: alike in law, not by seed",
         "not measured", "read"),
        ("\"twice iterative SNIP\"", f"{_SECOND} README.md",
         "cost of the score, ResNet-20, five draws a round",
         "{43_accuracy K74:.1f} forward passes a draw, SNIP {43_accuracy K75:.1f} a "
         "round", "43 K74, K75"),
        ("draws a round", f"{_SECOND} README.md",
         "5 everywhere; the authors' README has 1 but for CIFAR-10", "not measured",
         "read"),
        ("another stem", _SECOND,
         "Tiny-ImageNet: the stem for CIFAR, not the 7 x 7 one",
         "ten points above the print, by its own account", "read"),
        ("two weight decays", f"{_SECOND} README.md, utils.py",
         "Tiny-ImageNet: 5e-4, or 1e-4 as in iurada/px-ntk-pruning", "not measured",
         "read"),
    ),
    "print": (
        ("sign of GraSP", "NTK-SAP, its score of GraSP (R)",
         "if the largest are kept; the code keeps those of the other sign",
         "IoU at most {01_traps K1:.0f} %", "01 K1"),
        ("weights per input", "NTK-SAP, Algorithm 1 (R)",
         "the code draws weights per batch", "CIFAR-10: a draw for 100 inputs",
         "read"),
        ("a difference as trace", "NTK-SAP, (10) at epsilon 1e-4 (R)",
         "VGG-16; ResNet-20 is not told from 1",
         "{41_saliency K91:.1f} times the trace, at 1e-8 {41_saliency K92:.2f}",
         "41 K38, K91, K92"),
        ("batch norm unsaid", "NTK-SAP, Figure 2, dense curve (P)",
         "training mode fits best, frozen as in the score does not",
         "eigenvalue 998: 16,400 printed, {42_spectra K6:,.0f} frozen", "42 K3, K6"),
        ("SNIP is second", "NTK-SAP, Figure 2 (P)",
         "26 % kept, five draws of 30 images; first and last place hold",
         "before iterative SNIP in {42_spectra K13:.0f} of 5 draws, before SynFlow in "
         "{42_spectra K14:.0f}", "42 K13, K14, K15"),
    ),
    "recalled": (
        ("factor lacks sigma_w", "Robust Pruning, Proposition 1†",
         "tanh, sigma_b = 0.2; right where sigma_w = 1",
         "variance {12_trainable_depth K16:.2f}, at most 0.2, where the edge has 0.512",
         "12 K15, K16, K17"),
        ("mask and signal apart", "Robust Pruning, Proposition 1†",
         "SBP's masks, ELU and ReLU, no batch norm; right for shuffled masks",
         "ReLU, 26 layers: variance 10^{12_trainable_depth K21:.1f} times too large",
         "12 K12, K19, K21; 13 K71"),
        ("one sample, not a batch", "Robust Pruning, Theorem 1†",
         "layers alike on the edge of chaos; SBP's gradient is a mean over a batch",
         "1,000 samples, tanh: exponent {11_edge_of_chaos K32:.1f} in depth, not 0",
         "11 K16, K32"),
        ("27 % and 22 %", "Robust Pruning, illustration of Theorem 1†",
         "depth and width 100, natural logarithm",
         "bound {11_edge_of_chaos K66:.2f}, simulation {11_edge_of_chaos K67:.2f}",
         "11 K66, K67"),
        ("gamma of the bound", "Robust Pruning, table of magnitude pruning†",
         "5 and 10, read as ratios of variances; 10 and 15 fit",
         "bounds {11_edge_of_chaos K84:.2f} and {11_edge_of_chaos K85:.2f}, not 0.81 "
         "and 0.72", "11 K84, K85"),
        ("product of equal indices", "Path Kernel, and PHEW quoting it†",
         "eigenvalues of the tangent kernel; bounds on sums hold",
         "exceeded by a factor of up to {31_paths K27:.2f}", "31 K25, K27"),
    ),
}  # fmt: skip

ERRATA = {
    "traps": tuple(
        Erratum(trap.name, trap.where, *_TRAPS[trap.name]) for trap in TRAPS
    ),
    **{kind: tuple(Erratum(*row) for row in rows) for kind, rows in _LATER.items()},
}


def table(kind: str) -> str:
    """Return the errata of one kind as text in five columns.

    Args:
        kind: "traps", "code", "print" or "recalled".

    Returns:
        A head, then each erratum, cells wrapped; "not run" where a record is missing.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in ERRATA:
        raise ValueError(f"kind: no {kind!r}; there are {', '.join(ERRATA)}")
    fields = [field for erratum in ERRATA[kind] for field in cited(erratum)]
    ours = {}
    for notebook in sorted({field.split()[0] for field in fields}):
        ours |= measured(notebook)
    rows = [("what differs", "place", "scope", "size", "shown")]
    rows += [(e.what, e.place, e.scope, size(e, ours), e.shown) for e in ERRATA[kind]]
    text = "\n\n".join(_wrapped(row) for row in rows)
    return text + f"\n\n{RECALLED}" * ("†" in text)


def cited(erratum: Erratum) -> list[str]:
    """Return the claims whose numbers are an erratum's size, as "01_traps K2"."""
    return [field for _, field, *_ in string.Formatter().parse(erratum.size) if field]


def measured(notebook: str) -> dict[str, float]:
    """Return "01_traps K2" and so on to our number, from the committed records."""
    records = {name: best(each) for name, each in find(notebook).items()}
    found = {}
    for verdict in evaluate(notebook, records):
        ours = verdict.number or verdict.direction
        if ours is not None:
            value = verdict.number.value if verdict.number else ours.agree
            found[f"{notebook} {verdict.claim.id}"] = value
    return found


def size(erratum: Erratum, ours: dict[str, float]) -> str:
    """Return an erratum's size with our numbers in the place of claims."""
    if not ours.keys() >= {*cited(erratum)}:
        return "not run"
    return erratum.size.format_map(ours)


def _wrapped(cells: tuple[str, ...]) -> str:
    """Return one row of the table, as many lines as its longest cell needs."""
    columns = [
        textwrap.wrap(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)
    ]
    lines = []
    for k in range(max(map(len, columns))):
        parts = [column[k] if k < len(column) else "" for column in columns]
        padded = zip(parts, WIDTHS, strict=True)
        lines.append("  ".join(f"{part:{width}}" for part, width in padded).rstrip())
    return "\n".join(lines)
