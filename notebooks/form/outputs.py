"""Rules about outputs and metadata: present, checked, stable, clean and small."""

import json
import re

from form.cells import code_cells, output_text, tags

CHECKED = "nbval-check-output"
BYTES = 400_000
PATH = re.compile(
    r"(?<![\w.:/])(?:/(?:home|Users|root|tmp|work|usr|opt|mnt|var|private|content)/"
    r"|[A-Z]:\\\w)"
)
VOLATILE = {
    "a memory address": re.compile(r"\b0x[0-9a-f]{6,}"),
    "a time of day": re.compile(r"\b\d{1,2}:\d{2}:\d{2}\b"),
    "an absolute path": PATH,
}


def counts(nb):
    """Execution counts run 1 to N: nbval compares nothing in a cell without one."""
    got = [cell.execution_count for cell in code_cells(nb)]
    wanted = list(range(1, len(got) + 1))
    return [] if got == wanted else [f"execution counts are {got}, not 1 to {len(got)}"]


def checked_cells(nb):
    """At least three checked cells, and none of them without text to compare."""
    cells = [cell for cell in code_cells(nb) if CHECKED in tags(cell)]
    empty = [cell for cell in cells if not output_text(cell).strip()]
    found = [f"a cell tagged {CHECKED} has no output: {c.source!r}" for c in empty]
    if len(cells) < 3:
        found.append(f"{len(cells)} cells are tagged {CHECKED}, at least 3 are needed")
    return found


def clean_outputs(nb):
    """No error output, no stderr, no HTML without a text form."""
    found = []
    for k, cell in enumerate(code_cells(nb), 1):
        for output in cell.outputs:
            data = output.get("data", {})
            if output.output_type == "error":
                found.append(f"code cell {k} ends in an error: {output.ename}")
            if output.get("name") == "stderr":
                found.append(f"code cell {k} writes to stderr: {output.text!r}")
            if "text/html" in data and "text/plain" not in data:
                found.append(f"code cell {k} has an output in HTML only")
            if "image/svg+xml" in data or "application/pdf" in data:
                found.append(f"code cell {k} shows SVG or PDF inline; show PNG")
    return found


def volatile_outputs(nb):
    """No address, path or time of day in outputs, no absolute path in sources."""
    found = []
    for k, cell in enumerate(code_cells(nb), 1):
        for what, pattern in VOLATILE.items():
            for text in pattern.findall(output_text(cell))[:1]:
                found.append(f"code cell {k} prints {what}: {text}")
    for k, cell in enumerate(nb.cells):
        for text in PATH.findall(cell.source)[:1]:
            found.append(f"cell {k} has an absolute path: {text}")
    return found


def no_traces(nb):
    """No papermill metadata, no injected parameters, no hidden cells, no widgets."""
    found = [f"metadata.{k} is left" for k in ("papermill", "widgets", "jupytext")]
    found = [text for text in found if text.split(".")[1].split()[0] in nb.metadata]
    for k, cell in enumerate(nb.cells):
        for key in ("papermill", "execution", "collapsed", "jupyter", "scrolled"):
            if key in cell.metadata:
                found.append(f"cell {k} has metadata.{key}")
        for tag in tags(cell):
            if tag == "injected-parameters" or tag.startswith(("hide", "remove")):
                found.append(f"cell {k} is tagged {tag}")
    return found


def size(nb):
    """The committed file stays under 400 KB."""
    n = len(json.dumps(nb, indent=1, ensure_ascii=False).encode())
    return [f"{n} bytes, the limit is {BYTES}"] if n > BYTES else []


RULES = (counts, checked_cells, clean_outputs, volatile_outputs, no_traces, size)
