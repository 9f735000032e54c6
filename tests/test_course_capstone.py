"""The capstone's command: paired, held out from the test set, and honest about n."""

import re
from dataclasses import replace

import course
import pandas as pd
import pytest
import torch

from paicore import data
from paicore.experiments import capstone
from paicore.forward import prunable

SMALL = capstone.Setting(
    densities=(0.1,), primary=0.1, seeds=2, width=16, depth=2, per_class=1,
    recipe=replace(capstone.RECIPE, epochs=None, steps=5, eval_every=5),
)  # fmt: skip


def magnitude(net, masks, batch, *, generator):
    weights = prunable(net).items()
    return {name: (w.detach() * masks[name]).abs() for name, w in weights}


def in_place(net, masks, batch, *, generator):
    with torch.no_grad():
        next(net.parameters()).mul_(2.0)
    return magnitude(net, masks, batch, generator=generator)


def leaves_gradients(net, masks, batch, *, generator):
    net(batch[0].float()).sum().backward()
    return magnitude(net, masks, batch, generator=generator)


def global_draws(net, masks, batch, *, generator):
    return {name: torch.rand_like(w) for name, w in prunable(net).items()}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (magnitude, []),
        (in_place, ["weights are changed", "different scores"]),
        (leaves_gradients, ["gradients are left"]),
        (global_draws, ["global random generator", "different scores"]),
    ],
)
def test_what_breaks_the_contract_is_named(digits, score, says):
    found = capstone.contract(SMALL, capstone.Own(score, {}), digits)
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


def test_development_never_sees_the_test_set(digits):
    ds = capstone.development(digits)
    assert (len(ds.train_x), len(ds.test_x)) == (1000, 400)
    assert torch.equal(torch.cat([ds.train_x, ds.test_x]), digits.train_x)


def test_methods_start_from_the_same_weights_and_meet_the_same_data(digits):
    a, b = (capstone.build(SMALL, digits, 3) for _ in range(2))
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    x, _ = capstone.batch_of(SMALL, digits, 3)
    assert torch.equal(x, capstone.batch_of(SMALL, digits, 3)[0])


def test_a_run_has_every_method_and_keeps_its_counts(digits):
    rows = capstone.run(SMALL, capstone.Own(magnitude, {}), digits)
    assert sorted(rows["method"].unique()) == sorted(
        [capstone.OWN, capstone.SHUFFLED, *capstone.RIVALS]
    )
    assert len(rows) == 10
    assert (rows["effective_density"] <= 0.1 + 1e-3).all()
    text = capstone.report(SMALL, rows, [], final=False)
    assert "2 paired seeds" in text and "held-out training samples" in text


def test_holm_by_hand():
    assert capstone.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert capstone.holm([0.5, 0.9, 0.6]) == [1.0, 1.0, 1.0]


def test_paired_differences_by_hand():
    own, rival = (0.90, 0.80, 0.85), (0.88, 0.77, 0.81)
    rows = [
        {"method": method, "density": 0.05, "seed": seed, "accuracy": values[seed]}
        for method in (capstone.OWN, *capstone.RIVALS)
        for values in [own if method == capstone.OWN else rival]
        for seed in range(3)
    ]
    first = capstone.differences(pd.DataFrame(rows), 0.05).iloc[0]
    # differences 2, 3, 4 points: mean 3, sd 1, standard error 1 / sqrt(3)
    assert first["points"] == pytest.approx(3.0)
    assert first["high"] - first["points"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert first["p"] == pytest.approx(0.035098, rel=1e-3)
    assert first["verdict"] == "undecided"


def test_equal_scores_are_undecided():
    rows = [
        {"method": method, "density": 0.05, "seed": seed, "accuracy": 0.5}
        for method in (capstone.OWN, *capstone.RIVALS)
        for seed in range(3)
    ]
    found = capstone.differences(pd.DataFrame(rows), 0.05)
    assert (found["verdict"] == "undecided").all()
    assert not found.isna().any().any()


def test_equal_differences_leave_no_doubt():
    rows = [
        {"method": method, "density": 0.05, "seed": seed, "accuracy": value + seed / 8}
        for method, value in (
            (capstone.OWN, 0.5),
            *((r, 0.25) for r in capstone.RIVALS),
        )
        for seed in range(2)
    ]
    found = capstone.differences(pd.DataFrame(rows), 0.05)
    assert (found["p"] == 0).all()
    assert (found["verdict"] == "better").all()


def test_the_example_of_the_text_is_a_score(tmp_path, digits):
    text = (course.EXERCISES / "capstone.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    path = tmp_path / "my_score.py"
    path.write_text("\n".join(line[3:] for line in code.splitlines()))
    own = capstone.load(path)
    assert capstone.contract(SMALL, own, digits) == []


def test_a_file_without_a_score_is_refused(tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text("")
    assert capstone.main([str(path)]) == 2
    assert "defines no function score" in capsys.readouterr().err
    assert capstone.main([str(tmp_path / "none.py")]) == 2
