"""From a marked submission to its row: points, and a reason in words."""

import re

import nbformat

from marking.folder import listed

COLUMNS = ("student", "exercise", "points", "of", "by_hand", "status", "reason")
CALL = re.compile(r"^check\.\w+\(", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def graded(path):
    """Graded cells of a notebook: grade_id to cell."""
    cells = nbformat.read(path, as_version=4).cells
    abouts = [cell.metadata.get("nbgrader", {}) for cell in cells]
    pairs = zip(cells, abouts, strict=True)
    return {about["grade_id"]: cell for cell, about in pairs if about.get("grade")}


def points_of(work, each):
    """grade_id to nbgrader's points for a submission, from its gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{work / 'gradebook.db'}") as book:
        found = book.find_submission_notebook(each.exercise, each.exercise, each.key)
        return {g.name: (g.auto_score, g.needs_manual_grade) for g in found.grades}


def said(cell):
    """What a check's cell ended with, in one line; empty if without an error."""
    errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
    names = [error.ename for error in errors]
    if "CellTimeoutError" in names:
        return "still running when its time was over"
    if not errors:
        return ""
    text = COLOUR.sub("", errors[0].evalue).strip().split("\n")[0][:300]
    if errors[0].ename == "NotImplementedError":
        return "not done"
    return text if errors[0].ename == "Mistake" else f"{errors[0].ename}: {text}"


def is_silent(cell):
    """Whether a check passed without saying so once per call, which none does."""
    text = "".join(o.get("text", "") for o in cell.get("outputs", []))
    return text.count(": correct\n") < len(CALL.findall(cell.source))


def reasons(cells, points):
    """Sentences on the automatic checks of a marked submission, and the points.

    Args:
        cells: grade_id to the cell after it ran.
        points: grade_id to pair of automatic points and whether a hand is needed.

    Returns:
        Pair of the points that count and a list of sentences.
    """
    total, found = 0.0, []
    for name, cell in cells.items():
        if cell.cell_type != "code":
            continue
        part = name.removesuffix("_check")
        if said(cell):
            found.append(f"{part}: {said(cell)}")
        elif is_silent(cell):
            found.append(f"{part}: passed without its line of output, look at it")
        else:
            total += points[name][0] or 0.0
    return total, found


def marks(work, each, source):
    """What nbgrader left of a marked submission.

    Args:
        work: Folder that nbgrader works in.
        each: The Submission.
        source: grade_id to the exercise's graded cell.

    Returns:
        Points of the checks, points to give by hand, list of sentences.

    Raises:
        ValueError: a check's cell is not there.
    """
    path = work / "autograded" / each.key / each.exercise / f"{each.exercise}.ipynb"
    cells, points = graded(path), points_of(work, each)
    if lost := set(source) - set(cells):
        raise ValueError(f"without {', '.join(sorted(lost))}")
    total, found = reasons(cells, points)
    needed = [name for name, (_, by_hand) in points.items() if by_hand]
    by_hand = sum(source[name].metadata["nbgrader"]["points"] for name in needed)
    return total, by_hand, found or ["all checks passed"]


def row(work, each, source, outcome, restored):
    """The CSV's row of one submission.

    Args:
        work: Folder that nbgrader works in.
        each: The Submission.
        source: grade_id to the exercise's graded cell, as it was before anything ran.
        outcome: What became of it, None for what is no notebook.
        restored: Sentences on what had to be restored.

    Returns:
        dict with the COLUMNS; `by_hand` are the points of open answers to read.
    """
    code = [cell for cell in source.values() if cell.cell_type == "code"]
    worth = sum(cell.metadata["nbgrader"]["points"] for cell in code)
    points, by_hand, found = 0.0, 0.0, []
    if outcome is None:
        status = "not a notebook" if each.path else "not handed in"
        found = ["the file cannot be read as a notebook" if each.path else "no file"]
    elif outcome.status == "marked":
        try:
            (points, by_hand, found), status = marks(work, each, source), "marked"
        # A stranger's code may have changed its own result in any way.
        except Exception as error:
            status = "failed"
            found = [f"no result to read: {type(error).__name__}: {error}"[:300]]
    else:
        status, found = outcome.status, [outcome.text]
    if restored:
        found.append(f"restored: {', '.join(restored)}")
    if each.others and points < worth:
        found.append(f"not marked: {listed(each.others)}")
    return {
        "student": plain(each.student),
        "exercise": each.exercise,
        "points": f"{points:g}",
        "of": f"{worth:g}",
        "by_hand": f"{by_hand:g}",
        "status": status,
        "reason": plain("; ".join(found)),
    }


def plain(text):
    """Text in one line that a CSV can hold and no spreadsheet takes for a formula."""
    # Names of files need not be text, and whoever raises an error chooses its message.
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else " " for c in text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
