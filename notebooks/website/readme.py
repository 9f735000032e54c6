"""Parts of the README: its introduction, its sections, its table of notebooks."""

import re

from running import ROOT

TABLE_ROW = re.compile(r"^\| \[`(\d\d_\w+)`\]\([^)]*\) \| (.*?) \|", re.MULTILINE)
FIGURE = re.compile(
    r"^(?P<image>!\[[^]]*\]\((?P<path>[^)]+)\))(?: |\n(?!\n))?"
    r"(?P<words>.*?)(?=\n\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(r"^## +(.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text():
    """The README as it stands."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def introduction(readme):
    """What stands between the title and the first section."""
    return readme.partition("\n")[2].partition("\n## ")[0].strip()


def sections(readme):
    """Heading to body of every level-2 section, in order."""
    # A comment in a block of code may look like a heading.
    hidden = FENCE.sub(lambda block: re.sub(r"[^\n]", ".", block[0]), readme)
    marks = [*HEADING.finditer(hidden)]
    bodies = HEADING.split(hidden)[2::2]
    return {
        mark[1].strip(): readme[mark.end() : mark.end() + len(body)].strip()
        for mark, body in zip(marks, bodies, strict=True)
    }


def figure(readme):
    """The first figure: its path, its Markdown and the words beside it."""
    found = FIGURE.search(readme)
    return found.group("path", "image", "words") if found else ("", "", "")


def questions(readme):
    """Notebook to the question that the README's table says it answers."""
    return dict(TABLE_ROW.findall(readme))
