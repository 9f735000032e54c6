"""What a page would fetch from another host when somebody looks at it: nothing.

A plain link that a reader may click is no fetch; everything that a browser loads by
itself is.
"""

import re
from html.parser import HTMLParser

HOST = re.compile(r"\s*(?:[a-z]+:)?//|\s*(?:https?|ftp|wss?):", re.IGNORECASE)
# Attributes that a browser loads without being asked, whatever the tag.
LOADED = {"src", "srcset", "poster", "data", "background", "action", "formaction"}
LINKS = {"link", "use", "image", "base"}  # tags whose href is loaded
IN_STYLE = re.compile(
    r"""url\(\s*["']?(?P<url>[^"')]+)|@import\s+["'](?P<sheet>[^"']+)""", re.IGNORECASE
)
IN_SCRIPT = re.compile(
    r"""(?:import|importScripts|fetch|require|src\s*[:=]|href\s*[:=]|from)"""
    r"""\s*\(?\s*["'`](?P<url>[^"'`]+)"""
)
COLOURS = re.compile(r'<span class="[^"]*">|</span>')
REFRESH = re.compile(r"url=([^'\"]+)", re.IGNORECASE)
HARMLESS = re.compile(r"\s*data:", re.IGNORECASE)


class Fetches(HTMLParser):
    """Collects what a page loads: attributes, inline styles, inline scripts."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag if tag in ("style", "script") else ""
        for name, value in attrs:
            name = name.removeprefix("xlink:")
            if name in LOADED or (name == "href" and tag in LINKS):
                # srcset holds several, separated by commas
                urls = value.split(",") if name == "srcset" else [value or ""]
                self.found += [(f"<{tag} {name}>", url) for url in urls]
            elif name == "style":
                self.found += [(f"<{tag} style>", url) for url in in_style(value)]
            elif tag == "meta" and name == "content":
                self.found += [("<meta>", url) for url in REFRESH.findall(value or "")]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, text):
        if self.inside == "style":
            self.found += [("<style>", url) for url in in_style(text)]
        if self.inside == "script":
            self.found += [("<script>", url) for url in in_script(text)]


def in_style(text):
    """What a style sheet loads."""
    return [m["url"] or m["sheet"] for m in IN_STYLE.finditer(text or "")]


def in_script(text):
    """What a script visibly loads: a string right after a word that loads."""
    return [match["url"] for match in IN_SCRIPT.finditer(text)]


def in_page(text):
    """What a page loads, as pairs of where and what."""
    parser = Fetches()
    # Most tags colour code, and a class loads nothing.
    parser.feed(COLOURS.sub("", text))
    parser.close()
    return parser.found


def complaints(folder):
    """One sentence per fetch from another host, over all pages and style sheets."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".css", ".svg"):
            continue
        text = path.read_text(encoding="utf-8")
        is_sheet = path.suffix == ".css"
        loads = [("css", u) for u in in_style(text)] if is_sheet else in_page(text)
        found += [
            f"{path.relative_to(folder)}: {where} loads {url}"
            for where, url in loads
            if HOST.match(url) and not HARMLESS.match(url)
        ]
    return found
