"""The claims table of a notebook and the README's scorecard, from the same verdicts."""

from collections.abc import Mapping
from pathlib import Path

from paicore.claims.schema import Claim
from paicore.claims.verdicts import NOT_RUN, VERDICTS, Verdict, evaluate
from paicore.records import Record, best, find
from paicore.records.places import under_root

DAGGER = "†"
PLACE = 30  # characters that a place may take in the table
ROUNDING = 1e-12  # a difference below this share of the paper's value, or of 1, is none
_HEAD = ("id", "quantity", "where", "paper", "ours (n)", "setting", "verdict")
_RECALLED = f"{DAGGER}   recalled, not checked against the PDF"


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
        One line per claim; a last line explains the dagger when there is one.
    """
    verdicts = evaluate(notebook, records, folder)
    lines = [_HEAD, *(_cells(verdict) for verdict in verdicts)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    text = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    if any(DAGGER in line for line in text):
        text.append(_RECALLED)
    return "\n".join(text)


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

    A mean comes with its sd over the seeds; the least or greatest value is named
    instead, because that sd is not its error.
    """
    if verdict.verdict == NOT_RUN:
        return f"not run, {verdict.cost}"
    parts = []
    if verdict.number is not None:
        ours, given = verdict.number, verdict.claim
        statistic = verdict.claim.reduce.get("statistic", "mean")
        extreme = statistic in ("min", "max") and ours.n > 1
        spread = f" ±{_like(given, ours.sd)}" if ours.n > 1 and not extreme else ""
        name = f"{statistic} " if extreme else ""
        parts.append(f"{name}{_like(given, ours.value)}{spread} ({ours.n})")
    if verdict.direction is not None:
        way = verdict.direction
        parts.append(f"{'yes' if way.holds else 'no'} ({way.agree}/{way.n})")
    return ", ".join(parts) or "no such runs"


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
