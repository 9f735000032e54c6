"""The course: solutions run, student copies stop at their stubs, mistakes are named."""

import ast
import functools
import re
import tomllib

import course
import pytest
from course_cases import load, run

EXERCISES = course.exercises()
SHORT = [name.split("_")[0] for name in EXERCISES]


@functools.lru_cache
def solved(name, seed=course.SEED):
    """Namespace, and cells with their errors, of the solution of an exercise."""
    return run(course.solution(course.source(name, seed)))


def wrong(kind):
    """Every (exercise, name) of wrong answers of a kind, "WRONG" or "NUMBERS"."""
    return [
        (short, name)
        for short in SHORT
        for name in getattr(load(f"wrong_{short}"), kind)
    ]


def graded(nb):
    """grade_ids of the code cells that give points."""
    abouts = [cell.metadata.get("nbgrader", {}) for cell in nb.cells]
    pairs = zip(nb.cells, abouts, strict=True)
    code = [about for cell, about in pairs if cell.cell_type == "code"]
    return [about["grade_id"] for about in code if about.get("grade")]


def checks_of(module):
    """Names of a check module's checks: what takes a function and a seed."""
    tree = ast.parse((course.EXERCISES / f"checks_{module}.py").read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    wanted = ["function", "seed"]
    return {n.name for n in found if [a.arg for a in n.args.args] == wanted}


def test_there_are_six_exercises():
    assert [f"ex{k}" for k in range(1, len(SHORT) + 1)] == SHORT


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_runs_clean_and_passes_hidden_tests(name):
    _, cells = solved(name)
    assert [repr(error) for _, error, _ in cells if error] == []
    assert "your number: correct" in "".join(text for _, _, text in cells)


@pytest.mark.parametrize("name", EXERCISES)
def test_another_year_has_other_numbers_and_its_solution_runs(name):
    space, (other, cells) = solved(name)[0], solved(name, 2027)
    assert [repr(error) for _, error, _ in cells if error] == []
    assert space["SEED"] == course.SEED and other["SEED"] == 2027
    assert space["answer"] != other["answer"]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_student_copy_stops_at_exactly_its_stubs(name):
    nb = course.student(course.source(name))
    text = "\n".join(cell.source for cell in nb.cells)
    assert "SOLUTION" not in text and "HIDDEN" not in text
    _, cells = run(nb)
    failed = {
        cell.metadata["nbgrader"]["grade_id"]: type(error)
        for cell, error, _ in cells
        if error
    }
    assert failed == dict.fromkeys(graded(nb), NotImplementedError)


@pytest.mark.parametrize("name", EXERCISES)
def test_stubs_are_short_and_points_add_up(name):
    nb = course.source(name)
    for cell in nb.cells:
        pattern = r"### BEGIN SOLUTION\n(.*?)### END SOLUTION"
        for body in re.findall(pattern, cell.source, re.DOTALL):
            assert cell.cell_type == "markdown" or len(body.splitlines()) <= 16
    points = sum(c.metadata.get("nbgrader", {}).get("points", 0) for c in nb.cells)
    assert f"| {points} |" in nb.cells[0].source


def test_checks_import_nothing_of_paicore():
    files = sorted(course.EXERCISES.glob("checks*.py"))
    assert len(files) > len(SHORT)
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [n.name for s in ast.walk(tree) if isinstance(s, ast.Import)
                 for n in s.names]  # fmt: skip
        names += [s.module for s in ast.walk(tree) if isinstance(s, ast.ImportFrom)]
        own = {each.stem for each in files}
        assert {n.split(".")[0] for n in names} <= {"torch", "math", "itertools"} | own


@pytest.mark.parametrize(("short", "name"), wrong("WRONG"))
def test_a_wrong_answer_is_rejected_with_its_name(short, name):
    case, check = load(f"wrong_{short}").WRONG[name], load(f"checks_{short}")
    with pytest.raises(load("checks").Mistake, match=re.escape(case.says)):
        getattr(check, case.check)(case.answer)
    with pytest.raises(load("checks").Mistake):
        getattr(check, case.check)(case.answer, seed=2027)


@pytest.mark.parametrize("name", load("right_answers").RIGHT)
def test_a_right_answer_of_another_style_passes(name, capsys):
    short, check, answer = load("right_answers").RIGHT[name]
    for seed in (0, 2027):
        getattr(load(f"checks_{short}"), check)(answer, seed=seed)
    assert capsys.readouterr().out == 2 * f"{check}: correct\n"


@pytest.mark.parametrize(("short", "name"), wrong("NUMBERS"))
def test_a_wrong_number_is_rejected_with_its_name(short, name):
    says, changed = load(f"wrong_{short}").NUMBERS[name]
    space, cells = solved(next(n for n in EXERCISES if n.startswith(short)))
    source = next(c.source for c, _, _ in cells if "check.number(" in c.source)
    calls = source[source.index("check.number(") :]
    answer = changed(space["answer"], space)
    with pytest.raises(load("checks").Mistake, match=re.escape(says)):
        exec(calls, space | {"answer": answer})


@pytest.mark.parametrize("short", SHORT)
def test_every_check_rejects_at_least_three_named_mistakes(short):
    module = load(f"wrong_{short}")
    named = [case.check for case in module.WRONG.values()]
    few = {name: named.count(name) for name in checks_of(short)}
    assert {name for name, n in few.items() if n < 3} == set()
    assert len(module.NUMBERS) >= 3


def test_the_committed_copies_are_built_from_the_sources():
    assert course.check() == []


@pytest.mark.parametrize("text", ["1.5", "-1", "next"])
def test_a_course_seed_is_a_whole_number(text):
    with pytest.raises(ValueError, match="COURSE_SEED"):
        course.course_seed(text)


@pytest.mark.parametrize(
    ("short", "notebook", "claim", "about"),
    [
        ("ex1", "00_tour", "K3", "random 1 %"),
        ("ex2", "01_traps", "K2", "temperature"),
        ("ex3", "11_edge_of_chaos", "K2", "1.3041"),
        ("ex3", "11_edge_of_chaos", "K12", "slope -log chi"),
        ("ex3", "11_edge_of_chaos", "K15", "slope -log chi"),
        ("ex4", "02_kernels", "K1", "to 1 %"),
        ("ex4", "02_kernels", "K2", "whole size"),
        ("ex5", "00_tour", "K1", "empties no layer"),
        ("ex6", "41_saliency", "K1", "2 D"),
        ("ex6", "41_saliency", "K15", "lower the trace"),
    ],
)
def test_claims_that_a_text_names_are_still_about_that(short, notebook, claim, about):
    path = course.NOTEBOOKS / "claims" / f"{notebook}.toml"
    claims = tomllib.loads(path.read_text(encoding="utf-8"))["claim"]
    assert about in next(c["says"] for c in claims if c["id"] == claim)
    name = next(n for n in EXERCISES if n.startswith(short))
    text = (course.EXERCISES / "src" / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(rf"\b{claim}\b", text)
