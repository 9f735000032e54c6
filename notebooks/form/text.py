"""Rules about the text: title, headings, rhythm, length, and numbers that exist."""

import re

from form.cells import code_cells, output_text, prose, with_sections

# Notebooks 00 to 03 belong to no paper and have the shorter one.
SHORT_ANATOMY = ("Question", "Setup", "By hand", "What to remember")
PAPER_ANATOMY = (
    "What we check",
    "Setup",
    "The idea on paper",
    "By hand",
    "Experiment",
    "Paper and measured",
    "What differs from the paper and why",
    "Exercises",
    "References",
)
WORDS = (1200, 3000)
NOT_A_RESULT = re.compile(
    r"https?://\S+|\]\([^)]*\)|arXiv[: ]*\d+\.\d+|\b10\.\d{4,}/\S+"
    r"|\b\d+(?:\.\d+){2,}\b",
    re.IGNORECASE,
)
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\d.]*\d)")
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u26ff\u2705\u274c\u2728]")


def words(nb):
    """1,200 to 3,000 words of prose, and no emoji among them."""
    text = prose(nb)
    n = len(re.findall(r"\S*\w\S*", text))
    found = [f"emoji in the prose: {mark}" for mark in EMOJI.findall(text)]
    if not WORDS[0] <= n <= WORDS[1]:
        found.append(f"{n} words of prose, not {WORDS[0]} to {WORDS[1]}")
    return found


def rhythm(nb):
    """At most two code cells in a row without text, outside of Setup."""
    found, row = [], 0
    for section, cell in with_sections(nb):
        row = row + 1 if cell.cell_type == "code" else 0
        if row == 3 and section != "Setup":
            found.append(f"three code cells without text in '{section}'")
    return found


def title(nb):
    """A level-1 title first, with a table that names smoke, quick and paper."""
    text = nb.cells[0].source if nb.cells else ""
    found = [] if text.startswith("# ") else ["the first cell is no level-1 title"]
    for profile in ("smoke", "quick", "paper"):
        if not re.search(rf"^\|\s*`?{profile}`?\s*\|", text, re.MULTILINE):
            found.append(f"the title's table has no row for {profile}")
    return found


def anatomy(nb, name):
    """The level-2 headings of the notebook's kind, in order; others may stand between.

    "The question" passes for "Question". "Experiment k" counts from 1.
    """
    order = SHORT_ANATOMY if name[:2] <= "03" else PAPER_ANATOMY
    headings = re.findall(r"^## +(.+?)\s*$", prose(nb), re.MULTILINE)
    found, rest = [], list(headings)
    for wanted in order:
        start = re.compile(rf"(The )?{wanted}\b", re.IGNORECASE)
        at = [k for k, text in enumerate(rest) if start.match(text)]
        rest = rest[at[0] + 1 :] if at else rest
        if not at:
            found.append(f"no heading '## {wanted}' in its place; there are {headings}")
    numbers = [int(k) for k in re.findall(r"^## Experiment (\d+)", prose(nb), re.M)]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"experiments are numbered {numbers}")
    return found


def numbers_in_prose(nb, claims=""):
    """Each decimal of three or more digits stands in an output or in the claims."""
    shown = claims + "\n".join(output_text(cell) for cell in code_cells(nb))
    found = []
    for number in DECIMAL.findall(NOT_A_RESULT.sub(" ", prose(nb))):
        digits = number.replace(".", "").lstrip("0")
        here = re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", shown)
        if len(digits) >= 3 and not here:
            found.append(f"{number} stands in the prose, but in no output and no claim")
    return found


RULES = (words, rhythm, title)
