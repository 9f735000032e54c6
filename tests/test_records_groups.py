"""An experiment whose runs go together in groups makes the record of single runs."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from records_cases import (
    GROUPED,
    RAN,
    TINY,
    empty_repository,
    go,
    journal_of,
    run,
    run_together,
)

from paicore import records


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_repository(tmp_path, monkeypatch)


def csv(root):
    return (root / "build/figures/00_tour/quick/tiny.csv").read_bytes()


def test_grouped_runs_make_the_record_of_single_runs_in_one_call_per_group(root):
    go()
    single = csv(root)
    journal_of(root).unlink()
    RAN.clear()
    record = go(experiment=GROUPED)
    assert csv(root) == single
    assert [len(call) for call in RAN] == [4, 4]
    assert record.provenance["runs"]["group"] == "by_density"


def test_an_executor_gets_groups_and_not_single_runs(root):
    sizes = []

    class Noting(ThreadPoolExecutor):
        def submit(self, function, cells):
            sizes.append(len(cells))
            return super().submit(function, cells)

    settings = records.settings(profile="quick", recompute=True, device="cpu")
    options = {"executor": lambda: Noting(2), "progress": False}
    rows = records.load_or_run(GROUPED, settings, **options).rows
    assert sizes == [4, 4]
    journal_of(root).unlink()
    assert rows.equals(go(experiment=TINY).rows)


def test_an_interrupted_group_goes_on_with_what_remains_of_it(root):
    whole = go(experiment=GROUPED).rows
    journal = journal_of(root)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3] + lines[4:5]))
    RAN.clear()
    record = go(experiment=GROUPED)
    assert sorted(len(call) for call in RAN) == [1, 3]
    assert record.rows.equals(whole)
    assert record.provenance["runs"]["resumed"] == 4


def test_shards_by_method_and_by_seed_join_to_the_whole_record(root):
    whole = go(experiment=GROUPED).rows
    full = journal_of(root)
    full.unlink()
    parts = {"a.jsonl": {"only": "snip"}, "b.jsonl": {"seeds": 1}}
    for name, shard in parts.items():
        go(experiment=GROUPED, **shard)
        full.rename(root / name)
    assert records.merge(["a.jsonl", "b.jsonl"], full) == 6
    RAN.clear()
    assert go(experiment=GROUPED).rows.equals(whole)
    assert RAN == [("synflow,0.1,,1",), ("synflow,0.333333333,,1",)]


def test_a_group_with_rows_of_too_few_runs_is_refused():
    short = dataclasses.replace(GROUPED, run=lambda c, g: run_together(c, g)[1:])
    with pytest.raises(records.SweepStopped, match="expected rows of 4 runs, got 3"):
        go(experiment=short)


def test_a_wrong_row_is_refused_by_the_name_of_its_run():
    def wrong(config, group):
        rows = [run(config, cell) for cell in group]
        rows[2][0]["extra"] = 1
        return rows

    says = (
        r"snip,0\.1,,0 \(with 3 more of its group\) failed: ValueError: "
        r"run synflow,0\.1,,0: missing columns \[\], undeclared \['extra'\]; "
        "0 of 8 kept, run again"
    )
    with pytest.raises(records.SweepStopped, match=says):
        go(experiment=dataclasses.replace(GROUPED, run=wrong))
