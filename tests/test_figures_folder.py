"""The committed records and figures: whole, of known experiments, and small."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from paicore import records
from paicore.experiments import Config, Experiment
from paicore.records.promotion import drawn_from
from paicore.records.provenance import KEYS
from paicore.records.rows import COLUMNS

CSV_LIMIT = 200_000
TOTAL_LIMIT = 10_000_000
FIGURES = Path(records.__file__).resolve().parents[2] / "figures"


def problems(figures, find=records.find):
    """Everything that is wrong with a folder of records, one sentence each."""
    found = []
    files = sorted(path for path in figures.rglob("*") if path.is_file())
    for path in files:
        place = path.relative_to(figures).as_posix()
        if path.suffix == ".csv":
            found += [f"{place}: {text}" for text in of_rows(path)]
        elif path.suffix == ".json":
            found += [f"{place}: {text}" for text in of_facts(path, figures, find)]
        elif path.suffix == ".svg":
            found += [f"{place}: {text}" for text in of_figure(path)]
        elif path.name != ".gitkeep":
            found.append(f"{place}: neither rows, facts nor figure")
    total = sum(path.stat().st_size for path in files)
    if total > TOTAL_LIMIT:
        found.append(f"records hold {total} bytes, limit {TOTAL_LIMIT}")
    return found


def of_rows(path):
    if path.stat().st_size > CSV_LIMIT:
        yield f"{path.stat().st_size} bytes, limit {CSV_LIMIT}"
    if not path.with_suffix(".json").exists():
        yield "no JSON says how the rows were made"


def of_facts(path, figures, find):
    facts = json.loads(path.read_text(encoding="utf-8"))
    if missing := sorted(set(KEYS) - set(facts)):
        yield f"missing {missing}"
        return
    place = path.relative_to(figures).with_suffix("").as_posix()
    if place != f"{facts['notebook']}/{facts['profile']}/{facts['experiment']}":
        yield "lies where another record belongs"
    try:
        experiment = find(facts["notebook"])[facts["experiment"]]
        config = experiment.profiles[facts["profile"]]
    except (ValueError, KeyError) as error:
        yield f"unknown notebook, experiment or profile: {error}"
        return
    if facts["profile"] == "smoke":
        yield "smoke is never committed"
    if facts["config_hash"] != records.config_hash(config):
        yield "the hash is no profile's"
        return
    csv = path.with_suffix(".csv")
    if not csv.exists():
        yield "no rows"
    else:
        yield from of_match(facts, csv, experiment, config)


def of_match(facts, csv, experiment, config):
    content = csv.read_bytes()
    if hashlib.sha256(content).hexdigest() != facts["csv_sha256"]:
        yield "the rows do not match their SHA-256"
        return
    header = content.decode().partition("\n")[0].split(",")
    if header != [*COLUMNS, *experiment.values]:
        yield f"the rows have the columns {header}"
        return
    rows = records.stored(experiment, facts["profile"], csv.parents[2]).rows
    if rows is None:
        yield "the core is not complete"
    elif len(set(rows["run"])) != facts["runs"]["done"]:
        yield f"the rows hold {len(set(rows['run']))} runs, the JSON another number"


def of_figure(path):
    """A figure belongs to the longest record name that it begins with."""
    stems = [csv.stem for csv in path.parent.glob("*.csv")]
    try:
        ElementTree.parse(path)
    except ElementTree.ParseError as error:
        yield f"not well-formed: {error}"
    own = [s for s in stems if path.stem == s or path.stem.startswith(f"{s}_")]
    if not own:
        yield "a figure without rows"
        return
    rows = (path.parent / f"{max(own, key=len)}.csv").read_bytes()
    if drawn_from(path) != hashlib.sha256(rows).hexdigest():
        yield "drawn from other rows"


def test_the_committed_figures_and_records_are_whole():
    assert problems(FIGURES) == []


# the walk itself, on a good tree and on trees spoilt in one way each


def cells(config):
    return [
        {"method": "snip", "density": d, "seed": s, "variant": ""}
        for d in (0.1, 0.5)
        for s in range(config.seeds)
    ]


def run(config, cell):
    return [{"step": 0, "loss": cell["density"]}]


PROFILES = {"smoke": Config(), "quick": Config(seeds=2)}
TINY = Experiment("00_tour", "tiny", cells, run, ("loss",), PROFILES, {})
MADE = "00_tour/quick/tiny.json"
ROWS = "00_tour/quick/tiny.csv"


def find(notebook):
    if notebook != "00_tour":
        raise ValueError(f"no experiments for {notebook}")
    return {"tiny": TINY}


@pytest.fixture
def good(tmp_path, monkeypatch):
    monkeypatch.setenv("PAICORE_ROOT", str(tmp_path))
    settings = records.settings(profile="quick", recompute=True, device="cpu")
    facts = records.load_or_run(TINY, settings, progress=False).provenance
    folder = tmp_path / "build/figures/00_tour/quick"
    figure = f"<svg>rows sha256 {facts['csv_sha256']}</svg>"
    (folder / "tiny.svg").write_text(figure)
    (folder / "tiny_late.svg").write_text(figure)
    # the throw-away experiment is in no module of paicore.experiments
    monkeypatch.setattr("paicore.records.promotion.find", find)
    records.promote()
    return tmp_path / "figures"


def edit(figures, **changes):
    facts = json.loads((figures / MADE).read_text()) | changes
    (figures / MADE).write_text(json.dumps(facts))


def sealed(figures, content):
    """Put other rows in place, with the hash that fits them."""
    (figures / ROWS).write_bytes(content)
    edit(figures, csv_sha256=hashlib.sha256(content).hexdigest())


def rows_of(figures):
    return (figures / ROWS).read_bytes()


def without_key(figures):
    facts = json.loads((figures / MADE).read_text())
    del facts["machine"]
    (figures / MADE).write_text(json.dumps(facts))


def moved(figures):
    (figures / "00_tour/quick").rename(figures / "00_tour/paper")


def other_notebook(figures):
    edit(figures, notebook="99_nowhere")
    (figures / "00_tour").rename(figures / "99_nowhere")


def without_core(figures):
    lines = (figures / ROWS).read_bytes().splitlines(keepends=True)
    sealed(figures, b"".join(line for line in lines if b"0.5" not in line))


def other_columns(figures):
    content = (figures / ROWS).read_bytes().replace(b"loss", b"cost", 1)
    sealed(figures, content)


def large(figures):
    rows = (figures / ROWS).read_bytes()
    last = rows.splitlines(keepends=True)[-1]
    sealed(figures, rows + last * (1 + CSV_LIMIT // len(last)))


def huge(figures):
    for number in range(60):
        (figures / f"00_tour/quick/x{number}.csv").write_bytes(b"x" * (CSV_LIMIT - 1))


def smoke(figures):
    build = figures.parent / "build/figures/00_tour/smoke"
    settings = records.settings(profile="smoke", device="cpu")
    records.load_or_run(TINY, settings, progress=False)
    build.rename(figures / "00_tour/smoke")


SPOILT = {
    "missing \\['machine'\\]": without_key,
    "lies where another": moved,
    "unknown notebook": other_notebook,
    "hash is no profile's": lambda f: edit(f, config_hash="0" * 64),
    "do not match their SHA": lambda f: (f / ROWS).write_text("run,method\n"),
    "tiny.csv: no JSON": lambda f: (f / MADE).unlink(),
    "json: no rows": lambda f: (f / ROWS).unlink(),
    "tiny.svg: not well-formed": lambda f: (
        (f / ROWS).with_suffix(".svg").write_text("<svg>")
    ),
    "svg: a figure without rows": lambda f: (f / ROWS).unlink(),
    "late.svg: drawn from other": lambda f: sealed(
        f, rows_of(f).replace(b"0.5\n", b"0.6\n")
    ),
    "core is not complete": without_core,
    "have the columns": other_columns,
    "bytes, limit 200000": large,
    "bytes, limit 10000000": huge,
    "another number": lambda f: edit(
        f, runs={"done": 3, "asked": 4, "resumed": 0, "core_complete": True}
    ),
    "smoke is never committed": smoke,
    "neither rows": lambda f: (f / "00_tour/weights.pkl").touch(),
}


def test_a_good_folder_has_no_problems(good):
    assert len([path for path in good.rglob("*") if path.is_file()]) == 4
    assert problems(good, find) == []


@pytest.mark.parametrize("says", SPOILT)
def test_a_folder_spoilt_in_one_way_is_found_out(good, says):
    SPOILT[says](good)
    assert re.search(says, "\n".join(problems(good, find)))


def test_a_profile_that_moved_on_is_found_out(good):
    @dataclasses.dataclass(frozen=True)
    class Wide(Config):
        width: int = 9

    other = dataclasses.replace(TINY, profiles={"quick": Wide(seeds=2)})
    found = problems(good, lambda notebook: {"tiny": other})
    assert found == [f"{MADE}: the hash is no profile's"]
