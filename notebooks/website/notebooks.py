"""The notebooks as they are committed, each with links to its claims and functions."""

import json

from running import NOTEBOOKS

from website.links import rewritten


def committed():
    """Names of the committed notebooks, in reading order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def read(path):
    """A notebook as its JSON says it."""
    return json.loads(path.read_text(encoding="utf-8"))


def title(nb):
    """The first heading of a notebook, without its mark."""
    return "".join(nb["cells"][0]["source"]).partition("\n")[0].lstrip("# ").strip()


def first_paragraph(nb):
    """What follows the title, up to the next empty line, in one line."""
    text = "".join(nb["cells"][0]["source"]).partition("\n")[2].strip()
    return " ".join(text.partition("\n\n")[0].split())


def beside(name, pages):
    """One line of links from a notebook to what belongs to it, as a cell."""
    places = {
        "its claims and their verdicts": f"claims/{name}.md",
        "its functions": f"api/experiments_{name}.md",
    }
    links = [f"[{words}](../{p})" for words, p in places.items() if p in pages]
    text = "On this site: " + ", ".join(links) + "." if links else ""
    return {"cell_type": "markdown", "id": "site", "metadata": {}, "source": text}


def page(path, pages, folder="notebooks", name=""):
    """A notebook as a page of the site.

    Args:
        path: The committed notebook.
        pages: Paths of all pages of the site.
        folder: The page's folder.
        name: Name of a notebook with claims and functions; empty for an exercise.

    Returns:
        JSON text: links rewritten, and one more cell below the title.
    """
    nb = read(path)
    # Without it the language of cells that never ran is unknown.
    nb["metadata"]["language_info"] = {"name": "python", "pygments_lexer": "python"}
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = rewritten("".join(cell["source"]), pages, folder)
    extra = beside(name, pages)
    if extra["source"]:
        nb["cells"].insert(1, extra)
    return json.dumps(nb, ensure_ascii=False, indent=1) + "\n"
