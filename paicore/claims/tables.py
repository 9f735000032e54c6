"""The claims table of a notebook and the README's scorecard, from the same verdicts."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from paicore.claims.rules import Number, slack
from paicore.claims.schema import Claim
from paicore.claims.verdicts import NOT_RUN, VERDICTS, Verdict, evaluate
from paicore.records import Record, best, find
from paicore.records.places import under_root

DAGGER = "†"
PLACE = 30  # characters that a place may take in the table
ROUNDING = 1e-12  # a difference below this share of what is stated, or of 1, is none
DIGITS = 17  # significant digits that tell any two floats apart
LETTERS = {
    "R": "read in the paper",
    "C": "read in public code",
    "L": "the authors' log",
    "D": "ours (derived, measured or set here)",
    "P": "digitised from a figure",
}
_HEAD = ("id", "quantity", "where", "stated", "ours (n)", "setting", "verdict")
_STATED, _OURS = _HEAD.index("stated"), _HEAD.index("ours (n)")
_RECALLED = f"{DAGGER}   recalled, not checked against the PDF"
_SD = "one sd over the n seeds in brackets"
_ALLOWED = "the spread in the paper or the difference allowed"


def table(
    notebook: str,
    records: Mapping[str, Record],
    folder: str = "notebooks/claims",
) -> str:
    """Return the claims of a notebook as fixed-width text, for a checked cell.

    Args:
        notebook: For example "00_tour".
        records: Name of each experiment to its record.
        folder: Where the claims files are, from the repository root.

    Returns:
        One line per claim, then what ±, the letters and the dagger mean, as far as
        they occur. "stated" is what the claim says: the paper's value, or a threshold
        of ours.
    """
    verdicts = evaluate(notebook, records, folder)
    cells = [_cells(verdict) for verdict in verdicts]
    lines = [_HEAD, *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    text = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    text += _legend(cells, [verdict.claim for verdict in verdicts])
    return "\n".join(text)


def _legend(cells: list[tuple[str, ...]], claims: list[Claim]) -> list[str]:
    """Return one line each on ±, the letters and the dagger, for those that occur."""
    lines, signs = [], []
    if any("±" in line[_OURS] for line in cells):
        signs.append(f"ours: {_SD}")
    if any("±" in line[_STATED] for line in cells):
        signs.append(f"stated: {_ALLOWED}")
    if signs:
        lines.append(f"±   {'; '.join(signs)}")
    present = {claim.paper["letter"] for claim in claims}
    if meant := [f"{x} {LETTERS[x]}" for x in LETTERS if x in present]:
        lines.append(f"sources: {'; '.join(meant)}")
    if any(DAGGER in cell for line in cells for cell in line):
        lines.append(_RECALLED)
    return lines


def scorecard(
    folder: str | Path = "figures", claims: str | Path = "notebooks/claims"
) -> str:
    """Return the verdicts of all notebooks as Markdown, for the README.

    Args:
        folder: Where the records are: "figures" (committed), or "build/figures", where
            a smoke record counts when there is no other.
        claims: Folder of the claims files; each notebook with one is listed.

    Returns:
        A table of counts per notebook and a list of all claims.
    """
    is_committed = Path(folder).parts[:1] == ("figures",)
    profiles = ("paper", "quick") if is_committed else ("paper", "quick", "smoke")
    found = {}
    for path in sorted(under_root(claims).glob("*.toml")):
        records = {n: best(e, folder, profiles) for n, e in find(path.stem).items()}
        found[path.stem] = evaluate(path.stem, records, claims)
    return "\n".join([*_counts(found), "", *_list(found)]) + "\n"


def _counts(found: Mapping[str, list[Verdict]]) -> list[str]:
    """Return the table of counts, with a total."""
    lines = [
        f"| notebook | {' | '.join(VERDICTS)} |",
        f"|---|{'---|' * len(VERDICTS)}",
    ]
    every = [verdict for verdicts in found.values() for verdict in verdicts]
    for name, verdicts in [*found.items(), ("all", every)]:
        numbers = [sum(v.verdict == kind for v in verdicts) for kind in VERDICTS]
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} |")
    return lines


def _list(found: Mapping[str, list[Verdict]]) -> list[str]:
    """Return one item per claim, and the dagger's meaning when one is there."""
    lines = []
    for notebook, verdicts in found.items():
        for each in verdicts:
            claim, setting = each.claim, f", {each.setting}" * (each.setting != "-")
            facts = f"paper {_paper(each)}, ours {_ours(each)}{setting}"
            lines.append(
                f"* {notebook} {claim.id}: {claim.says}: **{each.verdict}** ({facts})"
            )
    if any(DAGGER in line for line in lines):
        lines += ["", _RECALLED.replace("   ", " ")]
    return lines


def _cells(verdict: Verdict) -> tuple[str, ...]:
    """Return the seven cells of one line."""
    claim = verdict.claim
    ours = "not run" if verdict.verdict == NOT_RUN else _ours(verdict)
    said = f"not run ({verdict.cost})" if verdict.cost else verdict.verdict
    said += f" (stale: {verdict.stale})" if verdict.stale else ""
    return (
        claim.id,
        claim.quantity or claim.says,
        _place(claim.where),
        _paper(verdict),
        ours,
        verdict.setting,
        said,
    )


def _place(where: str) -> str:
    """Return a place in full, or up to the last comma that the column has room for."""
    if len(where) <= PLACE:
        return where
    fitting = where[: PLACE + 2].rpartition(", ")[0]
    return fitting or where.partition(",")[0]


def _paper(verdict: Verdict) -> str:
    """Return the paper's side: its value, spread or allowed difference, and letter."""
    paper, rule = verdict.claim.paper, verdict.claim.rule
    letter = paper["letter"]
    sense = rule.get("sense", "") + " " if "sense" in rule else ""
    value = sense + _value(paper["value"]) if "value" in paper else "yes"
    allowed = paper.get("spread") or rule.get("tolerance")
    spread = f" ±{_value(allowed)}" if allowed else ""
    if letter == "M":
        return f"{value}{spread}{DAGGER}"
    source = letter + (" (log, not paper)" if letter == "L" else "")
    return f"{value}{spread} {source}" if "value" in paper else f"yes ({source})"


def _ours(verdict: Verdict) -> str:
    """Return our side: the number with n, or in how many seeds it agrees.

    A mean comes with its sd over the seeds; the least, the greatest and the spread are
    named instead, because that sd is not their error.
    """
    if verdict.verdict == NOT_RUN:
        return f"not run, {verdict.cost}"
    parts = []
    if verdict.number is not None:
        parts.append(_number(verdict))
    if verdict.direction is not None:
        way = verdict.direction
        parts.append(f"{'yes' if way.holds else 'no'} ({way.agree}/{way.n})")
    return ", ".join(parts) or "no such runs"


def _number(verdict: Verdict) -> str:
    """Return our number, clear of what it is compared with, its sd and n."""
    ours, claim = verdict.number, verdict.claim
    statistic = claim.reduce.get("statistic", "mean")
    named = statistic == "spread" or (statistic in ("min", "max") and ours.n > 1)
    shown = beside(ours.value, _like(claim, ours.value), edges(claim, ours))
    if named:
        return f"{statistic} {shown} ({ours.n})"
    sd = f" ±{_deviation(claim, ours.sd, shown)}" if ours.n > 1 else ""
    return f"{shown}{sd} ({ours.n})"


def _deviation(claim: Claim, sd: float, shown: str) -> str:
    """Return the sd with no fewer decimals than the number before it has."""
    text, decimals = _like(claim, sd), len(shown.partition(".")[2])
    is_short = "e" not in text + shown and len(text.partition(".")[2]) < decimals
    return f"{sd:.{decimals}f}" if is_short and float(text) else text


def edges(claim: Claim, ours: Number) -> tuple[float, ...]:
    """Return the values at which the verdict on our number turns.

    They are sums of decimals as the file states them: 0.3 - 0.1 is 0.2.
    """
    stated = Decimal(str(claim.paper["value"]))
    if claim.rule["kind"] == "bound":
        return (float(stated),)
    allowed = Decimal(str(slack(claim, ours.sd)))
    return float(stated - allowed), float(stated + allowed)


def beside(value: float, shown: str, edges: Sequence[float]) -> str:
    """Return a number as text on the same side of each edge as the number itself.

    Args:
        value: The number.
        shown: The number as it should be shown, digits permitting.
        edges: What the reader compares it with.

    Returns:
        `shown`, or the number with the fewest more digits that do not round it onto
        or over an edge, or off an edge where it is.
    """
    kind, digits = ("g", 2) if "e" in shown else ("f", len(shown.partition(".")[2]))
    for more in range(digits, digits + DIGITS):
        if all(_side(float(shown), edge) == _side(value, edge) for edge in edges):
            break
        shown = f"{value:.{more + 1}{kind}}"
        if float(shown) == 0:
            shown = f"{value:.2g}"
    return shown


def _side(value: float, edge: float) -> int:
    """Return 1 above the edge, -1 below, 0 at it but for rounding, and for nan."""
    if abs(value - edge) <= ROUNDING * abs(edge):
        return 0
    return (value > edge) - (value < edge)


def _value(value: float) -> str:
    """Return a value of the paper as its file states it."""
    return str(value)


def _like(claim: Claim, value: float) -> str:
    """Return our value with the decimals of what it is compared with, or three digits.

    Two digits where these decimals would show a number as zero that is not.
    """
    given = claim.paper["value"]
    texts = [str(given), str(claim.rule.get("tolerance", ""))]
    decimals = max(len(text.partition(".")[2]) for text in texts)
    if "e" in "".join(texts) or abs(value) >= 1e5 or decimals > 4:
        return f"{value:.3g}"
    shown = f"{value:.{decimals}f}"
    is_hidden = float(shown) == 0 and abs(value) > ROUNDING * max(abs(given), 1)
    return f"{value:.2g}" if is_hidden else shown
