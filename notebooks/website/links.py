"""Links of the repository, turned into links that work inside the site."""

import posixpath
import re

LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")
# Code and mathematics may hold brackets that are no links.
HELD = re.compile(
    r"(^```.*?^```|`[^`\n]+`|\$\$.+?\$\$|\$[^$]+?\$)", re.MULTILINE | re.DOTALL
)
CLAIMS = re.compile(r"notebooks/claims/(\d\d_\w+)\.toml(?:#(K\d+))?")
OUTSIDE = re.compile(r"https?:|mailto:")


def claim_id(notebook, claim):
    """The name of a claim's anchor, unique on the whole site."""
    return f"{notebook}-{claim}".lower()


def to_page(target, pages, folder=""):
    """Where a link of a file of the repository leads on the site.

    Args:
        target: As written, relative to the file's folder.
        pages: Paths of all pages of the site, relative to its root.
        folder: The file's folder, relative to the root; the page has the same.

    Returns:
        The target on the site; empty when the site has no such page. Links between
        the sections of one file lead nowhere, since sections may change pages.
    """
    if OUTSIDE.match(target):
        return target
    path = posixpath.normpath(posixpath.join(folder, target.partition("#")[0]))
    fragment = target.partition("#")[2]
    if found := CLAIMS.fullmatch(f"{path}#{fragment}" if fragment else path):
        path = f"claims/{found[1]}.md"
        if found[2] and path in pages:
            return f"#{claim_id(found[1], found[2])}"
    if target.startswith("#") or path not in pages:
        return ""
    return posixpath.relpath(path, folder or ".")


def rewritten(text, pages, folder=""):
    """Markdown of a file of the repository with its links made to work on the site.

    A link to a file that the site does not show keeps its words.
    """
    held = []

    def hide(match):
        held.append(match[0])
        return f"\0{len(held) - 1}\0"

    def replaced(match):
        found = to_page(match[2], pages, folder)
        return f"[{match[1]}]({found})" if found else match[1]

    hidden = LINK.sub(replaced, HELD.sub(hide, text))
    return re.sub(r"\0(\d+)\0", lambda mark: held[int(mark[1])], hidden)


def escaped(text):
    """Plain text as Markdown that shows it unchanged."""
    return re.sub(r"([\\`*_{}\[\]<>#|$~^])", r"\\\1", text)
