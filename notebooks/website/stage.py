"""All pages of the site in one folder: what Sphinx reads.

The folder mirrors the repository, notebooks/ in notebooks/, so that links between
notebooks lead where they lead in the repository.
"""

import shutil

from running import NOTEBOOKS, ROOT

from website import course, ledger, modules, notebooks, readme, story
from website.links import rewritten


def pages():
    """Path to text of every page of the site, in no folder yet."""
    names = notebooks.committed()
    made = ledger.pages(names) | modules.pages(names) | {"course.md": course.page()}
    exercises = course.paths()
    own = {"index.md", "story.md", "guide.md"}
    own |= {"words.md"} if "Words" in readme.sections(readme.text()) else set()
    known = {*made, *exercises, *own, *(f"notebooks/{name}.ipynb" for name in names)}
    for name in names:
        path = NOTEBOOKS / f"{name}.ipynb"
        made[f"notebooks/{path.name}"] = notebooks.page(path, known, name=name)
    for page, path in exercises.items():
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            made[page] = rewritten(text, known, course.FOLDER)
        else:
            made[page] = notebooks.page(path, known, course.FOLDER)
    return made | story.pages(names, made, known)


def files():
    """Path to file of what pages show besides text: the README's figure."""
    path = readme.figure(readme.text())[0]
    return {path: ROOT / path} if path else {}


def write(folder):
    """Write all pages, leave equal ones alone, remove what is no page any more.

    Args:
        folder: Where the pages go; holds nothing else.

    Returns:
        Number of pages.
    """
    made, copied = pages(), files()
    there = [path for path in folder.rglob("*") if path.is_file()]
    for path in there:
        if path.relative_to(folder).as_posix() not in {*made, *copied}:
            path.unlink()
    for name, text in made.items():
        path = folder / name
        if not (path.exists() and path.read_text(encoding="utf-8") == text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name, source in copied.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return len(made)
