"""Front page, reading order, words and guide: the README's parts, in pages."""

import re

from running import NOTEBOOKS

from website import notebooks, readme
from website.links import rewritten

# First digit of a notebook: title of the group, and what it is about.
GROUPS = {
    "0": (
        "Ground",
        "They belong to no paper: what pruning at initialisation is, where public code "
        "departs from the papers and what that costs, which kernel a pruned network "
        "trains by, and how masked networks are trained here. Read 00 first, the "
        "others when a later notebook sends you back.",
    ),
    "1": (
        "Signal: Robust Pruning at Initialization",
        "Hayou and others, ICLR 2021, {2002.08797}. How variance and correlation "
        "travel through a random network decides which layers a score leaves alive; a "
        "factor on units or branches is to repair what pruning breaks.",
    ),
    "2": (
        "Function: Neural Tangent Transfer",
        "Liu and Zenke, ICML 2020, {2006.08228}. Instead of ranking weights, fit a "
        "sparse network to a dense one: its outputs and its tangent kernel, without "
        "labels. What is matched, what it is worth in training, and which part of it "
        "does the work.",
    ),
    "3": (
        "Paths: A Unified Paths Perspective",
        "Gebhart and others, 2021, {2101.10552}. Many scores are sums over the paths "
        "of a network, and the trace of one kernel adds them up. Does that trace say "
        "how a pruned network trains?",
    ),
    "4": (
        "Spectrum: NTK-SAP",
        "Wang, Li and Sun, ICLR 2023, {2304.02840}. Score a weight by what its removal "
        "does to the tangent kernel, averaged over random weights and inputs. What is "
        "scored, what it does to spectra, and what to accuracy.",
    ),
    "5": (
        "Equal ground",
        "Every method on the same networks, data, counts and recipe, with seeds in "
        "pairs.",
    ),
}
STORY = """# The story in order

Numbers order the notebooks; gaps are meant. Each can be read on its own and says what
it takes from others.
"""
ARXIV = re.compile(r"\{(\d{4}\.\d{5})\}")
OTHERS = ("More notebooks", "")
# Sections of the README with a page of their own; the others make up the guide.
ELSEWHERE = ("Scorecard", "Notebooks", "Words")
START = """## Where to start

* **New to the subject**: [00_tour](notebooks/00_tour.ipynb), which needs PyTorch and no
  more, then the [story in order](story.md). [Words](words.md) has the vocabulary.
* **You know the field**: the [scorecard](scorecard.md), [what did not
  hold](claims/failed.md), and the errata of code and prints at the end of
  [01_traps](notebooks/01_traps.ipynb).
* **You want to prune a network**: the [guide](guide.md) and the [API](api/index.md).
* **You teach**: the [course](course.md).
* **You doubt a number**: every notebook leads to its claims, every claim to the record
  that decides it, and every experiment to its [functions](api/index.md) with their
  source.
"""


def groups(names):
    """First digit to the names of its notebooks."""
    found = {}
    for name in names:
        found.setdefault(name[0], []).append(name)
    return found


def is_finding(heading):
    """Whether a section of the README belongs on the front page."""
    return "finding" in heading.lower()


def contents(names, has_words):
    """The tables of contents that make the side bar, one per group."""
    pages = ["story", "scorecard", *["words"] * has_words, "guide"]
    blocks = [("Start", pages)]
    for digit, group in groups(names).items():
        title = GROUPS.get(digit, OTHERS)[0].partition(":")[0]
        entries = [f"{n.replace('_', ' ')} <notebooks/{n}>" for n in group]
        blocks.append((title, entries))
    blocks.append(("Use", ["course", "API <api/index>"]))
    lines = []
    for caption, entries in blocks:
        lines += ["```{toctree}", ":hidden:", ":titlesonly:", f":caption: {caption}"]
        lines += ["", *entries, "```", ""]
    return lines


def index_page(text, names, pages):
    """The front page: introduction, figure, findings, where to start."""
    parts = readme.sections(text)
    lines = ["# paicore", "", readme.introduction(text), ""]
    for part in readme.figure(text)[1:]:
        lines += [part, ""]
    for heading, body in parts.items():
        lines += [f"## {heading}", "", body, ""] if is_finding(heading) else []
    shown = rewritten("\n".join([*lines, START]), pages)
    return "\n".join([shown, *contents(names, "Words" in parts)])


def story_page(text, names, counts):
    """All notebooks in order, with their question and their verdicts.

    Args:
        text: The README, whose table has the questions.
        names: Committed notebooks.
        counts: Notebook to a short text of its verdicts.
    """
    asked = readme.questions(text)
    lines = [STORY]
    for digit, group in groups(names).items():
        title, about = GROUPS.get(digit, OTHERS)
        cited = ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", about)
        lines += [f"## {title}", "", cited, ""]
        for name in group:
            nb = notebooks.read(NOTEBOOKS / f"{name}.ipynb")
            question = asked.get(name) or own_words(nb)
            link = f"**{name[:2]}** [{notebooks.title(nb)}](notebooks/{name}.ipynb)"
            lines += [f"* {link}. {question}"]
            if name in counts:
                lines[-1] += f" *Claims: [{counts[name]}](claims/{name}.md).*"
        lines.append("")
    return "\n".join(lines)


def own_words(nb):
    """A notebook's first paragraph, its links to others as seen from the root."""
    text = notebooks.first_paragraph(nb)
    return re.sub(r"\]\((\d\d_\w+\.ipynb)", r"](notebooks/\1", text)


def words_page(body):
    """The vocabulary."""
    return f"# Words\n\n{body}\n"


def guide_page(text):
    """Every section of the README that no other page shows."""
    lines = ["# Guide", "", "Commands are meant for the repository's root.", ""]
    for heading, body in readme.sections(text).items():
        if heading not in ELSEWHERE and not is_finding(heading):
            lines += [f"## {heading}", "", body, ""]
    return "\n".join(lines)


def counts(scorecard_page):
    """Notebook to "11 reproduced, 2 not reproduced", from the ledger's pages."""
    found = {}
    for path, text in scorecard_page.items():
        numbers = re.search(r"^\d+ claims: (.*)\.$", text, re.MULTILINE)
        if numbers:
            found[path.removeprefix("claims/").removesuffix(".md")] = numbers[1]
    return found


def pages(names, ledger, known):
    """Front page, story, words and guide: path to text.

    Args:
        names: Committed notebooks.
        ledger: Pages of the ledger.
        known: Paths of all pages of the site.
    """
    text = readme.text()
    made = {"index.md": index_page(text, names, known)}
    made["story.md"] = story_page(text, names, counts(ledger))
    made["guide.md"] = rewritten(guide_page(text), known)
    if words := readme.sections(text).get("Words"):
        made["words.md"] = rewritten(words_page(words), known)
    return made
