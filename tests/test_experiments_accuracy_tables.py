"""Tables of notebook 43: made rows to text, power by hand, and the printed numbers."""

import math
from types import SimpleNamespace

import pandas
import pytest
import torch

from paicore import claims, records
from paicore.experiments import accuracy
from paicore.experiments import accuracy_paper as paper
from paicore.experiments import accuracy_printed as printed
from paicore.experiments import accuracy_tables as tables
from paicore.experiments.accuracy_power import needed, paired, shift

NOT_RUN = SimpleNamespace(rows=None, message="toy: not run")
TABLES = {
    "accuracies": tables.accuracies,
    "powers": tables.powers,
    "crossing": tables.crossing,
    "pairs": tables.pairs,
    "shares": tables.shares,
    "spreads": tables.spreads,
    "costs": tables.costs,
    "seconds": tables.seconds,
}


def record(rows, **config):
    return SimpleNamespace(
        rows=pandas.DataFrame(rows), config=SimpleNamespace(**config), message="toy"
    )


def run(method, seed, density=0.5, variant="", **values):
    return {"run": f"{method},{density},{variant},{seed}", "method": method,
            "seed": seed, "step": 0, "variant": variant, "density": density,
            **values}  # fmt: skip


MADE = record(
    [
        *(run("dense", s, 1.0, accuracy=0.9, over=math.nan) for s in range(3)),
        *(run("grasp", s, d, accuracy=0.5 + 0.01 * s - d / 5, over=-0.1 - 0.01 * s)
          for s in range(3) for d in (0.5, 0.1)),
        *(run("snip", s, d, accuracy=0.45, over=0.0) for s in range(3)
          for d in (0.5, 0.1)),
    ],
    methods=("dense", "snip", "grasp"), variants=("",),
)  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_what_is_not_run_says_so(name):
    assert TABLES[name](NOT_RUN) == "toy: not run"


def test_accuracies_are_means_in_percent_by_sparsity():
    head, dense, snip, grasp = tables.accuracies(MADE, NOT_RUN).splitlines()
    assert head.split() == ["n", "=", "3", "50.0", "%", "90.0", "%"]
    assert dense.split() == ["dense", "90.0", "±0.0"]
    assert snip.split() == ["snip", "45.0", "±0.0", "45.0", "±0.0"]
    assert grasp.split() == ["grasp", "41.0", "±1.0", "49.0", "±1.0"]


def test_lines_may_be_variants():
    made = record(
        [run("a", s, 0.5, v, accuracy=0.1 * s) for s in (0, 1) for v in ("T=2", "")],
        methods=("a",), variants=("", "T=2"),
    )  # fmt: skip
    _, own, two = tables.accuracies(made, lines="variant").splitlines()
    assert own.startswith("the paper's") and two.split()[0] == "T=2"


def test_comparisons_name_what_they_could_have_seen():
    _, half, _ = tables.powers(MADE).splitlines()
    assert half.split()[:5] == ["grasp", "50.0", "%", "3", "-11.0"]
    wide = 4.302653 / math.sqrt(3)
    assert f"{-11 - wide:+.1f} to {-11 + wide:+.1f}" in half
    assert half.split()[-1] == f"{shift(3) / math.sqrt(3):.1f}"
    assert "snip" not in tables.powers(MADE)  # the rival itself


def test_a_crossing_counts_only_if_it_stays():
    *_, last = tables.crossing(MADE).splitlines()
    assert last.endswith("on: 90.0 %")
    *_, last = tables.crossing(MADE, one="snip", other="grasp").splitlines()
    assert last.endswith("nowhere")


def test_costs_are_in_the_order_of_the_config():
    rows = [run("a", 0, units=2.0, draws=5, rounds=3, passes=30.0, seconds=0.5),
            run("b", 0, units=1.0, draws=1, rounds=1, passes=1.0, seconds=0.1),
    ]  # fmt: skip
    made = record(rows, methods=("b", "a"))
    _, b, a = tables.costs(made).splitlines()
    assert b.split()[0] == "b" and a.split() == ["a", "2.00", "5", "3", "30.0"]
    assert tables.seconds(made).splitlines()[2].split() == ["a", "0.5", "7.5"]


def test_recalled_rounds_have_a_dagger():
    rows = [run(name, 0, units=2.0, draws=1, rounds=n, passes=2.0 * n, seconds=0.5)
            for name, n in (("ntk_sap", 20), ("synflow", 100))]  # fmt: skip
    _, own, other, note = tables.costs(
        record(rows, methods=("ntk_sap", "synflow"))
    ).splitlines()
    assert "†" not in own and note.startswith("† recalled")
    assert other.split() == ["synflow", "2.00", "1", "100†", "200.0†"]


def test_pairs_are_those_whose_interval_misses_zero():
    head, half, last = tables.pairs(MADE).splitlines()
    assert head.startswith("2 of 2 pairs")
    assert half.split()[:5] == ["snip", "less", "grasp", "50.0", "%"]
    assert half.endswith("+1.5 to +6.5") and last.endswith("-6.5 to -1.5")
    assert tables.pairs(MADE, leave=("dense", "snip")).startswith("0 of 0")
    rows = [run(name, s, accuracy=value * s) for s in range(3)
            for name, value in (("a", 0.1), ("b", 0.2))]  # fmt: skip
    noisy = tables.pairs(record(rows, methods=("a", "b", "c")))
    assert noisy.splitlines()[0].startswith("0 of 1") and "less b" not in noisy


def test_spreads_are_of_means():
    rows = [run("a", s, 0.25, v, accuracy=mean + 0.2 * s)
            for v, mean in (("", 0.5), ("b", 0.53), ("jvp", 0.9)) for s in (0, 1)
    ]  # fmt: skip
    made = record(rows, methods=("a",), variants=("", "b", "jvp"))
    assert tables.spreads(made).splitlines()[1].split() == ["75.0", "%", "2", "3.0"]
    whole = tables.spreads(made, leave=())
    assert whole.splitlines()[1].split() == ["75.0", "%", "3", "40.0"]


def test_shares_are_means_over_seeds():
    rows = [run("a", s, 0.25, v, empty=s, effective=0.5 + 0.1 * s)
            for v in ("T=10", "T=2") for s in (0, 1)]  # fmt: skip
    made = record(rows, methods=("a",), variants=("T=2", "T=10"))
    _, line, last = tables.shares(made).splitlines()
    assert line.split() == ["a", "T=2", "75.0", "%", "0.5", "55.0"]
    assert last.startswith("a T=10")


def test_an_interval_is_students():
    found = paired([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    half = 4.30265272975 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    with pytest.raises(ValueError, match="differences"):
        paired([1.0])


@pytest.mark.parametrize(("n", "limit"), [(3, 4.30265273), (5, 2.77644511)])
def test_the_least_difference_is_seen_in_four_of_five_repetitions(n, limit):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(100_000, n, generator=g, dtype=torch.float64)
    x += shift(n) / math.sqrt(n)
    t = x.mean(1) / (x.std(1) / math.sqrt(n))
    assert float((t.abs() > limit).double().mean()) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(("sd", "gap"), [(0.5, 0.71), (0.3, 0.44), (0.3, 0.9)])
def test_seeds_needed_are_the_fewest_that_see_the_difference(sd, gap):
    n = needed(sd, gap)
    assert n > 2 and seen(n, sd, gap) > 0.795 > seen(n - 1, sd, gap)
    assert needed(sd, 100 * sd) == 2  # one a side has no deviation


def seen(n, sd, gap):
    """How often Student's t of two samples of n is significant."""
    from scipy.stats import ttest_ind

    g = torch.Generator().manual_seed(n)
    x, y = sd * torch.randn(2, 40_000, n, generator=g, dtype=torch.float64)
    return float((ttest_ind(x + gap, y, axis=1).pvalue < 0.05).mean())


def test_digitised_curves_have_the_numbers_of_the_tables():
    for net, lines in printed.FIGURE1.items():
        assert all(len(cells) == 9 for cells in lines.values())
        tabled = printed.BY_EPSILON[net]["1e-04"]
        at = [printed.EXPONENTS.index(k) for k in printed.TABLED]
        assert [lines["ntk_sap"][k].value for k in at] == [c.value for c in tabled]
        assert list(printed.BY_EPSILON[net]) == list(printed.EPSILON_TABLE)


def test_bands_hold_the_printed_means():
    cells = printed.BY_EPSILON["resnet20"]["1e-04"]
    for cell, (mean, half) in zip(cells, printed.BANDS.values(), strict=True):
        assert abs(cell.value - mean) < half
    wide = {c.paper["value"]: c.rule["tolerance"] for c in claims.load("43_accuracy")
            if c.where.startswith("Tables 12-14, first row of Table 12")}  # fmt: skip
    assert wide == dict(printed.BANDS.values())


def test_hidden_numbers_are_marked():
    found = printed.parsed("a ~1.5 - 90.30+-0.17")["a"]
    assert found[0].about and found[0].text == "~1.5"
    assert found[1] == printed.Printed(None)
    assert (found[2].sd, found[2].text) == (0.17, "90.30 ±0.17")


def test_printed_tables_have_a_line_per_method():
    for net in printed.FIGURE1:
        assert len(paper.figure1(net).splitlines()) == 8
        assert "78.0" not in paper.by_epsilon(net)
    assert "accepted" in paper.by_epsilon("resnet20")
    assert len(paper.by_rounds().splitlines()) == 6
    assert "60.79" in paper.table1()
    for name in printed.SETTINGS:
        *lines, last = paper.settings(name).splitlines()
        letters = {line[22:28].strip() for line in lines}
        assert letters <= {"R", "C", "C2", "M", "ours"}
        assert all(line.endswith("†") == (" M " in line) for line in lines)
        assert last.startswith("†")


def test_tables_take_committed_records():
    settings = records.settings()
    shown = {
        name: records.load_or_run(experiment, settings)
        for name, experiment in accuracy.EXPERIMENTS.items()
    }
    assert tables.accuracies(shown["figure1"], shown["figure1_lower"])
    assert tables.powers(shown["rounds"]) and tables.crossing(shown["digits"])
    assert claims.table("43_accuracy", shown)
