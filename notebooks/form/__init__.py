"""The form of a notebook: each rule is a function from a notebook to its complaints.

A rule takes an nbformat notebook and returns one plain sentence per violation, so an
empty list means "fine". Nothing here executes anything.
"""

from form import outputs, source, text
from form.cells import tags

RULES = source.RULES + outputs.RULES + text.RULES


def complaints(nb, name, claims=""):
    """All complaints about a committed notebook; `claims` is its claims file's text."""
    found = [sentence for rule in RULES for sentence in rule(nb)]
    return found + text.anatomy(nb, name) + text.numbers_in_prose(nb, claims)


def difference(source, built):
    """How a built notebook differs from its source, cell by cell."""
    if len(source.cells) != len(built.cells):
        return [f"{len(source.cells)} cells in the source, {len(built.cells)} built"]
    return [
        f"cell {k} differs from the source in its {what}"
        for k, (a, b) in enumerate(zip(source.cells, built.cells, strict=True))
        for what, x, y in (
            ("type", a.cell_type, b.cell_type),
            ("text", a.source, b.source),
            ("tags", tags(a), tags(b)),
        )
        if x != y
    ]
