"""A submission as it was handed out, but for the student's answers.

nbgrader restores a check that was edited; one that was deleted, moved or has lost its
metadata it does not always find. So every notebook is put together again: what is
locked comes from the release, answers and additional cells from the student.
"""

import copy


def grade_id(cell):
    """A cell's name in the exercise, or None."""
    about = cell.metadata.get("nbgrader")
    name = about.get("grade_id") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def pieces(nb):
    """Named cells of a submission, and the additional ones that follow each.

    Returns:
        Pair of dicts: name to its first cell; name to the list of cells after it, with
        "" for those before any named one.
    """
    named, extra, last = {}, {"": []}, ""
    for cell in nb.cells:
        name = grade_id(cell)
        if name and name not in named:
            named[name], extra[name], last = cell, [], name
        else:
            extra[last].append(cell)
    return named, extra


def restored(nb, release):
    """Put a submission together again.

    Args:
        nb: The student's notebook.
        release: The student's copy as it was handed out.

    Returns:
        Pair of the notebook and a list of sentences on what had to be restored.
    """
    named, extra = pieces(nb)
    known = {(cell.cell_type, cell.source) for cell in release.cells}
    out, found = copy.deepcopy(release), []
    cells = [additional(cell) for cell in extra[""] if not is_known(cell, known)]
    for cell in out.cells:
        name = grade_id(cell)
        theirs = named.get(name)
        about = cell.metadata.get("nbgrader", {})
        if name and theirs is None:
            found.append(f"{name} was missing")
        elif about.get("solution") and theirs.cell_type == cell.cell_type:
            cell.source = theirs.source
        elif name and theirs.source != cell.source:
            found.append(f"{name} was rewritten")
        cells.append(cell)
        new = [c for c in extra.get(name, []) if not is_known(c, known)]
        cells += [additional(c) for c in new]
    out.cells = cells
    for k, cell in enumerate(out.cells):
        cell["id"] = str(k)
    return out, found


def is_known(cell, known):
    """Whether an unnamed cell is one of the exercise's own texts."""
    return (cell.cell_type, cell.source) in known


def additional(cell):
    """A cell of the student's own, without any metadata or output."""
    cell = copy.deepcopy(cell)
    cell.metadata = {}
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell
