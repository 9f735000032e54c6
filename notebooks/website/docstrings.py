"""Docstrings as reStructuredText: they are plain text with formulas.

An asterisk of `*args`, a bar of |x| or a trailing underscore would be markup to Sphinx;
an aligned list in a module's docstring would lose its lines. Directives and literal
blocks stay as they are.
"""

import ast
import re
import textwrap

SPAN = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][\w.]*")
MARKUP = re.compile(r"([*|]|(?<=\w)_(?!\w))")
COLUMNS = re.compile(r"\S {3,}\S")


def indent(line):
    """Number of spaces before a line's text."""
    return len(line) - len(line.lstrip())


def inline(text):
    """Prose with its markup characters made harmless; names in backticks may link."""
    parts = SPAN.split(text)
    for k, part in enumerate(parts):
        if k % 2 == 0:
            parts[k] = MARKUP.sub(r"\\\1", part)
        elif not part.startswith("``") and not NAME.fullmatch(part[1:-1]):
            parts[k] = f"`{part}`"
    return "".join(parts)


def paragraphs(lines):
    """Blocks between empty lines; a block with an indented tail is cut before it."""
    block = []
    for line in [*lines, ""]:
        is_tail = block and indent(block[-1]) == 0 < indent(line)
        # Directives and literal blocks are kept whole by whoever asks.
        if not line.strip() or (is_tail and not block[0].startswith("..")):
            if block:
                yield block
            block = []
        if line.strip():
            block.append(line)


def is_code(text):
    """Whether a block is Python."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def items(block):
    """A block with hanging indents as a list, one item per outer line."""
    least, found = min(map(indent, block)), []
    for line in block:
        if indent(line) == least:
            found.append(line.strip())
        else:
            found[-1] += f" {line.strip()}"
    return [f"* {inline(item)}" for item in found]


def laid_out(block):
    """One block of a module's docstring: prose, list, or lines to be kept."""
    text = textwrap.dedent("\n".join(block))
    lines = textwrap.indent(text.replace("``", ""), "    ").splitlines()
    language = "python" if is_code(text) else "text"
    literal = [f".. code-block:: {language}", "", *lines]
    if any(COLUMNS.search(line) for line in block):
        return literal
    depths = set(map(indent, block))
    if 0 in depths:
        return inline(text).splitlines()
    if is_code(text):
        return literal
    if len(depths) > 1:
        return items(block)
    is_prose = text.rstrip().endswith((".", ":")) or "`" in text
    return inline(text).splitlines() if is_prose else literal


def of_module(lines):
    """A module's docstring as reStructuredText."""
    made, is_kept = [], False
    for block in paragraphs(lines):
        is_kept = is_kept and indent(block[0]) > 0
        keeps = is_kept or block[0].startswith("..")
        made += [*(block if keeps else laid_out(block)), ""]
        is_kept = is_kept or block[-1].rstrip().endswith("::")
    return made


def of_object(lines):
    """The docstring of a class or function: Google's sections stay."""
    made, depth = [], None
    for line in lines:
        if depth is not None and line.strip() and indent(line) <= depth:
            depth = None
        is_prose = depth is None
        made.append(("prose" if is_prose else "kept", line))
        opens = line.lstrip().startswith(".. ") or line.rstrip().endswith("::")
        if is_prose and opens:
            depth = indent(line)
            made[-1] = ("kept", line)
    texts, k = [], 0
    while k < len(made):  # runs of prose, since backticks may span lines
        end = k
        while end < len(made) and made[end][0] == made[k][0]:
            end += 1
        text = "\n".join(line for _, line in made[k:end])
        texts += (inline(text) if made[k][0] == "prose" else text).split("\n")
        k = end
    return texts


def process(app, what, name, obj, options, lines):
    """Sphinx's hook before napoleon reads the sections."""
    lines[:] = of_module(lines) if what == "module" else of_object(lines)
