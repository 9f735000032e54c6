"""NTK-SAP in the prune loop: counts of the authors, nested masks, errors by name."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import cases
import pytest
import references
import torch
from torch import nn

from paicore import Masks, Score, masks, nets, prune, seeds
from paicore.scores import ntk_sap


def g(name="draw"):
    return seeds.generator(0, "ntk_sap", name)


KEPT = {  # 0.8^2, 0.8^4, ..., 0.8^18
    ("resnet20", 10): (173374, 110960, 71014, 45449, 29088, 18616, 11915, 7626, 4881),
    ("vgg16_bn", 100): (9447465, 6046378, 3869682, 2476597, 1585022, 1014414, 649225,
                        415504, 265923),
    ("torchvision_resnet18", 1000): (7474504, 4783683, 3061557, 1959397, 1254014,
                                     802569, 513644, 328733, 210389),
}  # fmt: skip


@pytest.mark.parametrize(("name", "classes"), KEPT)
def test_the_synflow_rule_gives_the_authors_kept_counts(name, classes):
    net = nets.build(name, classes=classes, in_shape=(3, 32, 32), generator=g())
    total = sum(weight.numel() for weight in masks.prunable(net).values())
    rule = masks.COUNT_RULES["synflow"]
    exponents = range(2, 20, 2)
    for exponent, kept in zip(exponents, KEPT[name, classes], strict=True):
        assert rule(total, 0.8**exponent) == kept
    exact = masks.COUNT_RULES["exact"]
    differ = [k for k in exponents if exact(total, 0.8**k) != rule(total, 0.8**k)]
    if name == "resnet20":  # so the rule has to be named
        assert differ == [2, 4, 10, 14, 16, 18]


def test_every_round_keeps_the_authors_count_and_masks_are_nested():
    c, seen = cases.case("lenet5"), []

    def watched(net, kept, batch, *, generator, **options):
        seen.append(Masks(kept))
        return ntk_sap(net, kept, batch, generator=generator, **options)

    def run(score):
        return prune(
            c.net, score, density=0.8**14, batch=(c.x, None), rounds=6,
            schedule="exponential", count_rule="synflow", generator=g(), repeats=1,
        )  # fmt: skip

    final = run(Score(watched))
    seen.append(final)
    assert final == run("ntk_sap")
    total = final.total
    for step, (earlier, later) in enumerate(pairwise(seen), 1):
        assert later.kept == total - int((1 - 0.8 ** (14 * step / 6)) * total)
        assert all((later[n] <= earlier[n]).all() for n in later)


def benchmark(name):
    """A file of benchmarks/, which is no package."""
    path = Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_of_the_benchmark_finds_the_same_masks():
    rival = benchmark("rivals_ntk_sap")
    net = nets.build("resnet20", in_shape=(1, 8, 8), width=4, generator=g(),
                     dtype=torch.float64)  # fmt: skip
    size = {"density": 0.2, "rounds": 3, "repeats": 2, "epsilon": 1e-4}
    ours = prune(
        net, "ntk_sap", batch=(torch.zeros(6, 1, 8, 8), None), generator=g("masks"),
        count_rule="synflow", progress=False, **size,
    )  # fmt: skip
    other = rival.ntk_sap(net, (1, 8, 8), samples=6, generator=g("masks"), **size)
    for mine, theirs in zip(ours.values(), other, strict=True):
        assert torch.equal(mine, theirs)


def test_the_benchmark_fails_below_a_floor_and_only_there(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "benchmarks")
    bench = benchmark("ntk_sap")

    def rows(way, *ratios, device="cpu"):
        return [[device, "float64", way, 1.0, ratio, 1.0] for ratio in ratios]

    assert bench.below(rows("exact", 0.9, 1.1, 1.2)) == []
    assert bench.below(rows("merged", 0.5)) == []  # no floor
    assert bench.below(rows("exact", 0.8, 0.9, 1.2)) == [
        "cpu float64 exact: 0.90x, below 1x"
    ]
    assert len(bench.below(rows("stacked", 3.9, device="cuda"))) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"estimator": "exact"}, ValueError), ({"epsilon": 0.0}, ValueError),
        ({"epsilon": float("nan")}, ValueError), ({"epsilon": "1e-4"}, TypeError),
        ({"repeats": 0}, ValueError), ({"repeats": 1.5}, TypeError),
        ({"batch_size": 0}, ValueError), ({"stacked": True}, TypeError),
        ({"weights": "fixed"}, ValueError), ({"inputs": "data"}, ValueError),
        ({"init": "kaiming"}, ValueError), ({"batch_norm": None}, ValueError),
        ({"statistics": "merged", "batch_norm": "train"}, ValueError),
        ({"generator": 3}, TypeError), ({"dtype": torch.int64}, TypeError),
    ],
)  # fmt: skip
def test_bad_options_are_named_and_the_network_is_left(change, error):
    c = cases.case("resnet8_bn")
    before = references.snapshot(c.net)
    options = {"generator": g()} | change
    with pytest.raises(error, match=f"{next(iter(change))}:"):
        ntk_sap(c.net, Masks.dense(c.net), (c.x, None), **options)
    assert references.same(before, references.snapshot(c.net))


def test_values_beyond_the_range_and_one_sample_under_a_norm_are_refused():
    c = cases.case("mlp")
    dense = Masks.dense(c.net)
    with pytest.raises(ValueError, match=r"NaN or infinity in torch\.float16"):
        ntk_sap(c.net, dense, (c.x, None), generator=g(), epsilon=1e10,
                dtype=torch.float16)  # fmt: skip
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="more than one value per channel"):
        prune(norm, "ntk_sap", density=0.5, batch=(torch.ones(1, 3), None),
              generator=g())  # fmt: skip
