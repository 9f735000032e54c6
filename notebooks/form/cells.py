"""Reading a notebook: its code cells, tags, outputs, prose and sections."""

import ast
import re


def code_cells(nb):
    """The code cells in order."""
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def tags(cell):
    """A cell's tags."""
    return cell.metadata.get("tags", [])


def output_text(cell):
    """Everything readable in a cell's outputs."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(output.get("text", ""))
        data = output.get("data", {})
        parts += [str(data.get(kind, "")) for kind in ("text/plain", "text/html")]
    return "\n".join(parts)


def prose(nb):
    """All Markdown text."""
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def with_sections(nb):
    """Pairs of level-2 heading and cell, "" before the first heading."""
    section, pairs = "", []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^## +(.+?)\s*$", cell.source, re.MULTILINE)
            section = found[-1] if found else section
        pairs.append((section, cell))
    return pairs


def parsed(cell):
    """A cell's syntax tree, or None where it is not plain Python."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return None
