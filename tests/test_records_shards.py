"""Shards join without loss; only better records replace committed ones."""

import dataclasses
import json
import os

import pytest
from records_cases import (
    RAN,
    TINY,
    Tiny,
    empty_repository,
    go,
    journal_of,
    replay,
    tree,
)

from paicore import records
from paicore.records.journal import encode
from paicore.records.shards import finished


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_repository(tmp_path, monkeypatch)


def test_shards_merge_into_one_record(root):
    whole = go().rows
    full = journal_of(root)
    lines = full.read_bytes().splitlines(keepends=True)
    (root / "a.jsonl").write_bytes(b"".join(lines[:5]))
    (root / "b.jsonl").write_bytes(b"".join(lines[3:]) + b'{"check": "torn')
    full.unlink()
    assert records.merge(["a.jsonl", "b.jsonl"], full) == 8
    RAN.clear()
    assert go().rows.equals(whole)
    assert RAN == []


def test_shards_that_disagree_are_refused(root):
    entry = {"run": "a,1,,0", "cell": {}, "rows": [{"step": 0, "loss": 1.0}]}
    (root / "a.jsonl").write_bytes(encode(entry))
    other = {**entry, "rows": [{"step": 0, "loss": 2.0}]}
    (root / "b.jsonl").write_bytes(encode(other))
    with pytest.raises(ValueError, match="run a,1,,0 has other rows"):
        records.merge(["a.jsonl", "b.jsonl"], "c.jsonl")
    with pytest.raises(ValueError, match=r"no d\.jsonl"):
        records.merge(["a.jsonl", "d.jsonl"], "c.jsonl")
    assert not (root / "c.jsonl").exists()


def test_promote_copies_complete_records_and_refuses_others_by_name(root):
    go("smoke")
    go("paper", only="snip")
    go("quick")
    with pytest.raises(ValueError, match=r"00_tour/paper/tiny \(2 of 4 runs\)"):
        records.promote()
    names = {p.relative_to(root / "figures").as_posix() for p in tree(root / "figures")}
    assert names == {"00_tour/quick/tiny.csv", "00_tour/quick/tiny.json"}


def test_promote_takes_only_figures_drawn_from_the_same_rows(root):
    facts = go().provenance
    folder = root / "build/figures/00_tour/quick"
    (folder / "tiny.svg").write_text(f"<svg>rows sha256 {facts['csv_sha256']}</svg>")
    (folder / "tiny_old.svg").write_text(f"<svg>rows sha256 {'0' * 64}</svg>")
    copied = records.promote()
    assert "00_tour/quick/tiny.svg" in copied
    assert not (root / "figures/00_tour/quick/tiny_old.svg").exists()


def shard(root, name, runs):
    """Write a journal of some runs, as `a` or `b`."""
    entries = [{"run": f"a,1,,{r}", "cell": {}, "rows": [{"step": 0}]} for r in runs]
    (root / name).write_bytes(b"".join(map(encode, entries)))
    return name


def test_merge_keeps_what_the_journal_already_holds(root):
    whole, part = (
        shard(root, "all.jsonl", range(24)),
        shard(root, "a.jsonl", range(18, 28)),
    )
    assert records.merge([part], whole) == 28
    assert set(finished(root / whole)) == {f"a,1,,{r}" for r in range(28)}
    assert records.merge([whole], whole) == 28


def test_merge_reads_the_journal_that_it_replaces_under_its_lock(root, monkeypatch):
    from paicore.records import lock, shards

    part, late = shard(root, "a.jsonl", [0]), root / "all.jsonl"

    def meanwhile(path):
        shard(root, "all.jsonl", [7])  # another merge ends just before the lock is ours
        return lock.locked(path)

    monkeypatch.setattr(shards, "locked", meanwhile)
    assert records.merge([part], late) == 2


def test_merge_prints_damage_and_refuses_shards_without_a_run(root, capsys):
    shard(root, "a.jsonl", range(3))
    lines = (root / "a.jsonl").read_bytes().splitlines(keepends=True)
    (root / "a.jsonl").write_bytes(lines[0] + b"x" + lines[1] + lines[2])
    assert records.merge(["a.jsonl"], "all.jsonl") == 2
    assert "a.jsonl, line 2: damaged" in capsys.readouterr().out
    (root / "b.jsonl").write_bytes(b"nothing good\n")
    with pytest.raises(ValueError, match=r"journals: no finished run in b\.jsonl"):
        records.merge(["a.jsonl", "b.jsonl"], "new.jsonl")
    with pytest.raises(ValueError, match="journals: expected at least one, got none"):
        records.merge([], "new.jsonl")
    assert not (root / "new.jsonl").exists()


def test_a_merged_journal_is_on_disk_before_it_replaces_the_old_one(root, monkeypatch):
    part, order = shard(root, "a.jsonl", [0]), []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: order.append("fsync") or sync(f))
    monkeypatch.setattr(
        os, "replace", lambda a, b: order.append("replace") or replace(a, b)
    )
    records.merge([part], "all.jsonl")
    assert order == ["fsync", "replace"]


def promoted(root):
    return tree(root / "figures")


def rebuilt(root, **more):
    """Compute the quick record again from nothing."""
    journal_of(root).unlink()
    return go(**more)


def test_promote_does_not_replace_a_record_by_one_with_fewer_of_its_runs(root):
    go()
    records.promote()
    before = promoted(root)
    rebuilt(root, seeds=1)
    says = r"00_tour/quick/tiny \(4 committed runs are not in it, as snip,0\.1,,1\)"
    with pytest.raises(ValueError, match=says):
        records.promote()
    assert promoted(root) == before
    rebuilt(root, seeds=3)
    records.promote()
    assert replay().done == 12


def test_promote_refuses_a_build_of_another_config(root, monkeypatch):
    go()
    records.promote()
    before = promoted(root)
    old = dataclasses.replace(TINY, profiles={"quick": Tiny(seeds=3, width=5)})
    go(experiment=old)
    with pytest.raises(ValueError, match=r"00_tour/quick/tiny \(made with another con"):
        records.promote()
    assert promoted(root) == before
    # the other way round the experiment moved on and the fewer runs are the right ones
    monkeypatch.setattr(
        "paicore.records.promotion.find", lambda notebook: {"tiny": old}
    )
    assert records.promote() == ["00_tour/quick/tiny.csv", "00_tour/quick/tiny.json"]


def test_promote_refuses_what_is_broken_by_name_and_copies_the_rest(root):
    go()
    broken = root / "build/figures/00_tour/paper"
    for name, spoil in SPOILT.items():
        go("paper")
        spoil(broken / "tiny")
        with pytest.raises(ValueError, match=r"00_tour/paper/tiny \(.*" + name):
            records.promote()
        assert {path.parent.name for path in promoted(root)} == {"quick"}


SPOILT = {
    "its CSV is missing": lambda p: p.with_suffix(".csv").unlink(),
    "its CSV is not the one": lambda p: p.with_suffix(".csv").write_bytes(b"run\na\n"),
    "JSON cannot be read": lambda p: p.with_suffix(".json").write_bytes(b"{"),
    "no csv_sha256 in it": lambda p: p.with_suffix(".json").write_text(
        json.dumps(
            {"config": {"seeds": 1, "only": "", "device": ""}, "config_hash": ""}
        )
    ),
}


def test_a_promotion_killed_halfway_shows_as_a_mismatch(root, monkeypatch):
    go()
    records.promote()
    go(seeds=3)
    replace = os.replace

    def one(a, b):
        replace(a, b)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", one)
    with pytest.raises(KeyboardInterrupt):
        records.promote()
    assert replay().rows is None
    assert "CSV is not the one" in replay().message
    monkeypatch.setattr(os, "replace", replace)
    records.promote()
    assert replay().done == 12
