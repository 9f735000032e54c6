"""Scorecard and claims: what `paicore.claims` computes from the committed records."""

import re
from dataclasses import dataclass

from website.links import claim_id, escaped

LINE = re.compile(r"^\* (\d\d_\w+) (K\d+): (.*): \*\*([a-z ]+)\*\* \((.*)\)$")
PROFILES = ("paper", "quick")  # of a committed record, the better first
MEANING = {
    "reproduced": "the number or ordering holds in the setting that the claim names",
    "direction only": "the ordering holds, the number does not; or the ordering holds "
    "in a smaller setting",
    "not reproduced": "the setting is met and neither holds",
    "not comparable": "the setting is another one and no ordering holds there, or the "
    "claim is only recalled",
    "not run": "no record has the rows; the page says what running would take",
}
LETTERS = {
    "R": "read in the paper, or in a reproduction of its page",
    "C": "read in public code",
    "L": "in the authors' released log, not in the paper",
    "D": "derived or stated here, and checked numerically here",
    "P": "digitised from a figure of the paper, with a reading error",
    "M": "recalled and not checked against the paper: decides nothing (†)",
}


@dataclass(frozen=True)
class Entry:
    """One claim with its verdict, as texts.

    Attributes:
        notebook: For example "00_tour".
        id: "K1", "K2", ...
        says: The claim's sentence.
        verdict: As computed.
        paper: The value that the claim names, with its letter.
        ours: What the records hold.
        where: The claim's place.
        experiment: The experiment whose rows decide.
    """

    notebook: str
    id: str
    says: str
    verdict: str
    paper: str
    ours: str
    where: str
    experiment: str


def read(scorecard, stated):
    """All claims of a scorecard.

    Args:
        scorecard: Text of `claims.scorecard()`.
        stated: Function from a notebook to its claims, `claims.load`.

    Returns:
        Notebook to its entries, in order.

    Raises:
        ValueError: a line of the scorecard's list is not as expected.
    """
    found, places = {}, {}
    for line in scorecard.splitlines():
        if not line.startswith("* "):
            continue
        parts = LINE.match(line)
        if not parts:
            raise ValueError(f"scorecard: no claim in the line {line!r}")
        notebook, name, says, verdict, facts = parts.groups()
        if notebook not in places:
            places[notebook] = {claim.id: claim for claim in stated(notebook)}
        claim = places[notebook][name]
        paper, _, ours = facts.removeprefix("paper ").partition(", ours ")
        texts = says, verdict, paper, ours.removeprefix("not run, ")
        found.setdefault(notebook, []).append(
            Entry(notebook, name, *texts, claim.where, claim.experiment)
        )
    return found


def counts(scorecard):
    """Header and rows of the scorecard's table, as lists of cells."""
    table = scorecard.partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return rows[0], rows[2:]


def badge(verdict):
    """A verdict in the colour that it has on every page."""
    return f"[{verdict}]{{.verdict .{verdict.replace(' ', '-')}}}"


def scorecard_page(scorecard, notebooks):
    """Counts per notebook, and what verdicts and letters mean."""
    head, rows = counts(scorecard)
    names = [row[0] for row in rows if row[0] != "all"]
    lines = ["# Scorecard", ""]
    lines += ["Each notebook states its claims before its experiments run. A verdict "]
    lines += ["is computed from the committed records by the claim's rule, never "]
    lines += ["typed. A name leads to its claims, one by one; all that did not hold "]
    lines += ["stand on [one page](claims/failed.md).", ""]
    lines += ["```{list-table}", ":header-rows: 1", ":class: scorecard", ""]
    for k, row in enumerate([head, *rows]):
        linked = f"[{row[0]}](claims/{row[0]}.md)" if row[0] in names else row[0]
        lines += [f"* - {linked}", *(f"  - {cell}" for cell in row[1:])]
        lines += [""] * (k == 0)
    lines += ["```", "", "## What the verdicts mean", ""]
    lines += [f"* {badge(name)}: {text}." for name, text in MEANING.items()]
    lines += ["", "## Where a value is from", ""]
    lines += [f"* {letter}: {text}." for letter, text in LETTERS.items()]
    later = sorted(set(names) - set(notebooks))
    if later:
        lines += ["", f"Claims come first: no notebook yet of {', '.join(later)}."]
    lines += ["", "```{toctree}", ":hidden:", "", "claims/failed"]
    lines += [f"{name.replace('_', ' ', 1)} <claims/{name}>" for name in names]
    return "\n".join([*lines, "```", ""])


def table(entries, with_notebook=False):
    """Claims as a table; a narrow screen shows each as a card."""
    lines = ["```{list-table}", ":header-rows: 1", ":class: claims", ""]
    lines += ["* - claim", "  - stated", "  - found", "  - verdict"]
    for entry in entries:
        anchor = claim_id(entry.notebook, entry.id)
        name = f"[{entry.id}]{{#{anchor}}}"
        if with_notebook:
            name = f"[{entry.notebook} {entry.id}](#{anchor})"
        lines += [
            f"* - **{name}** {escaped(entry.says)}",
            "",
            f"    [{escaped(entry.where)}]{{.place}}",
            f"  - {escaped(entry.paper)}",
            f"  - {escaped(entry.ours)}",
            f"  - {badge(entry.verdict)}",
        ]
    return [*lines, "```", ""]


def notebook_page(name, entries, messages, has_notebook):
    """The ledger of one notebook.

    Args:
        name: For example "00_tour".
        entries: Its claims.
        messages: Experiment to the sentence that says which record is shown.
        has_notebook: Whether the notebook is there to link to.
    """
    kinds = [(kind, sum(e.verdict == kind for e in entries)) for kind in MEANING]
    numbers = ", ".join(f"{n} {kind}" for kind, n in kinds if n)
    lines = [f"# Claims of {name.replace('_', ' ')}", ""]
    lines += [f"{len(entries)} claims: {numbers}.", ""]
    if has_notebook:
        lines += [f"The notebook: [{name}](../notebooks/{name}.ipynb).", ""]
    lines += table(entries)
    lines += ["## Records", "", "The rows that decide, by experiment:", ""]
    for experiment, message in messages.items():
        said = message.removeprefix(f"{experiment}: ")
        decides = [e.id for e in entries if e.experiment == experiment]
        of = f" Decides {', '.join(decides)}." if decides else ""
        lines += [f"* `{experiment}`: {escaped(said).rstrip('.')}.{of}"]
    return "\n".join([*lines, ""])


def failed_page(found):
    """All claims that did not hold as stated, of all notebooks."""
    lines = ["# What did not hold", ""]
    lines += ["Claims that a record decided against, in whole or in part. A threshold "]
    lines += ["that fails stays as it was stated.", ""]
    for verdict in ("not reproduced", "direction only"):
        entries = [e for each in found.values() for e in each if e.verdict == verdict]
        if entries:
            lines += [f"## {verdict.capitalize()}: {len(entries)}", ""]
            lines += table(entries, with_notebook=True)
    return "\n".join(lines)


def pages(notebooks):
    """All pages of the ledger: path to text."""
    from paicore import claims, records

    scorecard = claims.scorecard()
    found = read(scorecard, claims.load)
    made = {"scorecard.md": scorecard_page(scorecard, notebooks)}
    made["claims/failed.md"] = failed_page(found)
    for name, entries in found.items():
        messages = {
            experiment: records.best(each, "figures", PROFILES).message
            for experiment, each in records.find(name).items()
        }
        page = notebook_page(name, entries, messages, name in notebooks)
        made[f"claims/{name}.md"] = page
    return made
