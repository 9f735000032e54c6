"""Rules about code cells: what they may contain, and how long they may be."""

import ast
import io
import re
import tokenize

from form.cells import code_cells, parsed, tags, with_sections

PARAMETERS = {
    "profile": str,
    "recompute": bool,
    "seeds": int,
    "device": str,
    "only": str,
}
CELL_LINES, CODE_CELLS, CODE_LINES, DEFINITIONS = 30, 40, 300, 3


def plain_python(nb):
    """No magics, no shell lines, no empty code cells."""
    bad = [k for k, cell in enumerate(code_cells(nb), 1) if not parsed(cell)]
    empty = [k for k, cell in enumerate(code_cells(nb), 1) if not cell.source.strip()]
    return [f"code cell {k} is not plain Python" for k in bad] + [
        f"code cell {k} is empty" for k in empty
    ]


def semicolons(nb):
    """No semicolon anywhere: a trailing one hides output, but not from nbval."""
    found = []
    for k, cell in enumerate(code_cells(nb), 1):
        if not parsed(cell):
            continue
        tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
        if any(token.type == tokenize.OP and token.string == ";" for token in tokens):
            found.append(f"code cell {k} has a semicolon")
    return found


def is_literal_parameter(node):
    """Whether a statement is `name: type = literal` for one of the five."""
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
        return False
    kind = PARAMETERS.get(node.target.id)
    return (
        kind is not None
        and isinstance(node.annotation, ast.Name)
        and node.annotation.id == kind.__name__
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is kind
    )


def parameters(nb):
    """One cell tagged parameters: the five names, typed literals, each commented."""
    cells = [cell for cell in code_cells(nb) if "parameters" in tags(cell)]
    if len(cells) != 1:
        return [f"{len(cells)} cells are tagged parameters, exactly 1 is needed"]
    tree = parsed(cells[0])
    body = tree.body if tree else []
    found = [
        f"not a typed literal parameter: {ast.unparse(node)}"
        for node in body
        if not is_literal_parameter(node)
    ]
    names = [n.target.id for n in body if is_literal_parameter(n)]
    if names != list(PARAMETERS):
        found.append(f"parameters are {names}, not {list(PARAMETERS)}")
    lines = cells[0].source.splitlines()
    bare = [text for text in lines if text and not re.search(r"\s# \S", text)]
    return found + [f"parameter without a comment: {text}" for text in bare]


def is_exempt(cell):
    """Whether a cell may be long: imports, parameters and settings."""
    tree = parsed(cell)
    imports = tree and all(
        isinstance(n, (ast.Import, ast.ImportFrom)) for n in tree.body
    )
    return bool(imports) or bool({"parameters", "settings"} & set(tags(cell)))


def lengths(nb):
    """Lines per cell, code cells and code lines stay inside their limits."""
    cells = code_cells(nb)
    lines = [len(cell.source.splitlines()) for cell in cells]
    found = [
        f"code cell {k} has {n} lines, the limit is {CELL_LINES}"
        for k, (n, cell) in enumerate(zip(lines, cells, strict=True), 1)
        if n > CELL_LINES and not is_exempt(cell)
    ]
    if len(cells) > CODE_CELLS:
        found.append(f"{len(cells)} code cells, the limit is {CODE_CELLS}")
    if sum(lines) > CODE_LINES:
        found.append(f"{sum(lines)} lines of code, the limit is {CODE_LINES}")
    return found


def definitions(nb):
    """`def` and `class` only in "By hand" sections, at most three."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    places = [
        (section, node.name)
        for section, cell in with_sections(nb)
        if cell.cell_type == "code"
        for node in ast.walk(parsed(cell) or ast.Module([], []))
        if isinstance(node, kinds)
    ]
    found = [
        f"{name} is defined in '{section}', not in 'By hand'"
        for section, name in places
        if not section.startswith("By hand")
    ]
    if len(places) > DEFINITIONS:
        found.append(f"{len(places)} definitions, the limit is {DEFINITIONS}")
    return found


def network(nb):
    """No module that talks to the network is imported."""
    banned = {"requests", "urllib", "http", "socket", "subprocess", "torchvision"}
    found = []
    for k, cell in enumerate(code_cells(nb), 1):
        for node in ast.walk(parsed(cell) or ast.Module([], [])):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            bad = banned & {name.split(".")[0] for name in names}
            found += [f"code cell {k} imports {name}" for name in sorted(bad)]
    return found


RULES = (plain_python, semicolons, parameters, lengths, definitions, network)
