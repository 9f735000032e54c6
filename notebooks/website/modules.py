"""The API: which modules are public, and a page for each, from its docstrings.

A package that says `__all__` is public at its own name and its files are its parts; a
package without is a folder of public modules. Whatever a notebook imports is public,
too, so that a reader of a cell finds every function that it calls.
"""

import ast
import importlib
import inspect
import types
from collections.abc import Mapping

from running import NOTEBOOKS, ROOT, sources

EXPERIMENTS = "paicore.experiments"
SHOWN = 12  # so many names of a constant, at most
OPENING = """# API

Generated from the docstrings; `source` leads to the code. `paicore` itself has `prune`,
`prune_many`, `Masks`, `SCORES` and `Score`, which are described where they are defined.
The way of the data: data, net, score, masks, train or kernel, rows, record, figure and
claim.
"""


def exported(path):
    """Names in a package's `__all__`, None where it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and "__all__" in map(ast.unparse, node.targets):
            return ast.literal_eval(node.value)
    return None


def structural(package="paicore"):
    """Names of modules that are public by where they are."""
    folder = ROOT.joinpath(*package.split("."))
    found = []
    for path in sorted(folder.iterdir()):
        name = f"{package}.{path.stem}"
        if path.stem.startswith("_"):
            continue
        if path.suffix == ".py":
            found.append(name)
        elif (path / "__init__.py").exists():
            found.append(name)
            is_whole = exported(path / "__init__.py") is not None
            found += [] if is_whole else structural(name)
    return found


def is_module(package, name):
    """Whether a name that is imported from a package is a module in it."""
    folder = ROOT.joinpath(*package.split("."))
    path = folder / "__init__.py"
    # A function may have the name of its file, and the package then means the function.
    if path.exists() and package != "paicore" and name in (exported(path) or ()):
        return False
    inner = folder / f"{name}.py", folder / name / "__init__.py"
    return any(each.exists() for each in inner)


def imported(text):
    """Modules of paicore that a source imports, by the longest name."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                inner = is_module(node.module, each.name)
                found.add(f"{node.module}.{each.name}" if inner else node.module)
    return {name for name in found if name.partition(".")[0] == "paicore"}


def of_notebooks():
    """Modules that the notebooks' sources import."""
    paths = [NOTEBOOKS / "src" / f"{name}.py" for name in sources()]
    return set().union(*(imported(p.read_text(encoding="utf-8")) for p in paths))


def public():
    """Names of all public modules, the package itself left out."""
    return sorted(({*structural()} | of_notebooks()) - {"paicore"})


def by_notebook(modules):
    """Notebook to the modules of its experiments; "" to those of several.

    A module belongs to the notebook whose slug it starts with, the longest if several.
    """
    found = {name: [] for name in sources()}
    for module in modules:
        last = module.rpartition(".")[2]
        owners = [n for n in found if f"{last}_".startswith(f"{n[3:]}_")]
        found.setdefault(max(owners, key=len, default=""), []).append(module)
    return {name: group for name, group in found.items() if group}


def first_line(name):
    """First line of a module's docstring, as Markdown."""
    path = ROOT.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "`")


def values(constant):
    """What a constant holds, in words; nothing that differs between two runs."""
    if isinstance(constant, Mapping | tuple | list | set | frozenset):
        is_ordered = not isinstance(constant, set | frozenset)
        names = [str(key) for key in constant]
        names = names if is_ordered else sorted(names)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return "Holds " + ", ".join(f"``{n}``" for n in names[:SHOWN]) + more + "."
    if isinstance(constant, str | int | float):
        return f"Is ``{constant!r}``."
    return f"An instance of ``{type(constant).__name__}``."


def constants(module):
    """Names in `__all__` that autodoc would leave out: neither class nor function."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            yield name, value


def automodule(name):
    """Directive for one module, with its constants."""
    lines = ["```{eval-rst}", f".. automodule:: {name}", "   :members:", ""]
    module = importlib.import_module(name)
    for constant, value in constants(module):
        if isinstance(value, types.ModuleType):
            continue
        if (name, constant) == ("paicore.scores", "SCORES"):
            text = "Every score by name, see the table above."
        else:
            text = values(value)
        lines += [f".. py:data:: {name}.{constant}", "", f"   {text}", ""]
    return [*lines, "```", ""]


def scores_table():
    """The registry of scores, one row each."""
    from paicore import SCORES

    lines = ["| name | from | needs | defaults |", "|---|---|---|---|"]
    for name, score in SCORES.items():
        needs = ", ".join(sorted(score.needs)) or "nothing"
        options = [f"`{key}={value!r}`" for key, value in score.defaults.items()]
        row = f"`{name}`", score.paper, needs, ", ".join(options) or "-"
        lines.append(f"| {' | '.join(row)} |")
    return [*lines, ""]


def module_page(name):
    """Page of one module."""
    lines = [f"# {name}", ""]
    lines += scores_table() if name == "paicore.scores" else []
    return "\n".join(lines + automodule(name))


def experiments_page(title, modules, notebook=""):
    """Page of one notebook's experiments."""
    lines = [f"# {title}", ""]
    if notebook:
        lines += [f"Functions behind [{notebook}](../notebooks/{notebook}.ipynb).", ""]
    for name in modules:
        lines += [f"## {name.rpartition('.')[2]}", "", *automodule(name)]
    return "\n".join(lines)


def index_page(modules, experiments):
    """The entry: one line per module."""
    lines = [OPENING, "| module | what it is |", "|---|---|"]
    lines += [f"| [{n}]({n}.md) | {first_line(n)} |" for n in modules]
    lines += ["", "The experiments of each notebook, from a config to rows:", ""]
    lines += [f"* [{title}]({page}.md)" for page, title in experiments]
    lines += ["", "```{toctree}", ":hidden:", "", *modules]
    lines += [f"{title} <{page}>" for page, title in experiments]
    return "\n".join([*lines, "```", ""])


def pages(notebooks):
    """All pages of the API: path to text."""
    names = public()
    inner = [n for n in names if n.startswith(f"{EXPERIMENTS}.")]
    outer = [n for n in names if n not in inner]
    made, listed = {f"api/{n}.md": module_page(n) for n in outer}, []
    for owner, group in sorted(by_notebook(inner).items(), key=lambda g: g[0] or "~"):
        page = f"experiments_{owner or 'shared'}"
        title = f"Experiments of {owner.replace('_', ' ')}"
        title = title if owner else "Experiments, shared parts"
        linked = owner if owner in notebooks else ""
        made[f"api/{page}.md"] = experiments_page(title, group, linked)
        listed.append((page, title))
    made["api/index.md"] = index_page(outer, listed)
    return made
