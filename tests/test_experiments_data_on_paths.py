"""Experiments of notebook 33: arms, facts about masks, checks, smoke values, claims.

``python tests/test_experiments_data_on_paths.py`` writes
tests/expected/33_data_on_paths.csv anew; a number that moves there makes the committed
records stale.
"""

from dataclasses import replace

import experiment_cases as shared
import pytest
import torch

from paicore import claims, nets, records
from paicore.experiments import data_on_paths as work
from paicore.experiments import data_on_paths_arms as arms
from paicore.experiments import data_on_paths_checks as checks
from paicore.experiments import data_on_paths_facts as about
from paicore.masks import Masks
from paicore.records import identity
from paicore.scores import SCORES
from paicore.seeds import generator
from paicore.train import Recipe

NOTEBOOK = "33_data_on_paths"
DIGITS = work.SMOKE["digits"]
PLAIN = ("signs", "biases", "rounds", "identity", "classes")


def cell(method, density=0.1, seed=0, variant=""):
    return {"method": method, "density": density, "seed": seed, "variant": variant}


def untrained_values():
    """Facts about all masks of the smoke config, and all rows of the small checks."""
    config = replace(DIGITS, seeds=1)
    rows = {
        records.run_id(each): [{"step": 0, **about.facts(config, each)}]
        for each in arms.cells(config)
        if each["method"] != "dense"
    }
    names = [name for name in about.FACTS if name not in ("width_4", "width_5")]
    values = shared.flat("digits", rows, names)
    for name in PLAIN:
        rows = shared.smoke_rows(NOTEBOOK, name)
        values |= shared.flat(name, rows, work.EXPERIMENTS[name].values)
    return values


def test_smoke_values_are_those_on_file():
    found = untrained_values()
    for name in {key[0] for key in found}:
        own = {key: value for key, value in found.items() if key[0] == name}
        shared.assert_on_file(NOTEBOOK, name, own, rel=1e-8)


def test_raw_and_normalised_images_are_the_same():
    ds = arms.load("digits")
    raw, labels = arms.images(DIGITS, 0, is_raw=True)
    other, same = arms.images(DIGITS, 0, is_raw=False)
    assert torch.equal(labels, same)
    assert torch.allclose(other * ds.std[0] + ds.mean[0], raw, atol=1e-12)
    assert raw.min() == 0
    assert raw.max() <= 1


def test_methods_of_a_seed_share_their_network_and_seeds_do_not():
    first, second, other = (
        arms.network(DIGITS, cell(name, seed=seed))
        for name, seed in (("synflow", 0), ("px", 0), ("px", 1))
    )
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize("name", [name for name in arms.ARMS if name != "dense"])
def test_every_arm_prunes_a_network_with_poolings_to_the_count_asked_for(name):
    config = replace(work.SMOKE["cifar"], methods=(name,), enlarge=4)
    masks = arms.masks_of(config, cell(name, 0.3, variant="vgg11"))
    assert masks.kept == round(0.3 * masks.total)


def test_no_two_arms_of_the_comparison_have_the_same_masks():
    found = [arms.masks_of(DIGITS, cell(name)) for name in work.TRAINED]
    for k, one in enumerate(found):
        assert not any(one == other for other in found[:k]), work.TRAINED[k]


def test_raw_pixels_leave_nothing_on_blank_ones_and_normalised_pixels_do():
    for name in ("synflow_dist", "l2_dist_a", "l2_dist_d"):
        assert about.facts(DIGITS, cell(name))["blank_share"] == 0
    assert about.facts(DIGITS, cell("l2_dist_normalised"))["blank_share"] > 0


def test_blank_shares_count_weights_and_pixels():
    config = replace(DIGITS, data="digits")
    empty = about.blank(config, 0).flatten()
    first = torch.zeros(2, 64, dtype=torch.bool)
    first[0, empty.nonzero()[0]] = True
    first[:, (~empty).nonzero()[0]] = True
    masks = Masks({"w": first, "v": torch.ones(10, 2, dtype=torch.bool)})
    found = about.blanks(config, cell("synflow"), masks)
    pixels = int(empty.sum())
    assert found["blank_pixels"] == pixels
    assert found["blank_share"] == pytest.approx(1 / 3)
    assert found["blank_excess"] == pytest.approx(1 / 3 - pixels / 64)


def test_widths_count_units_on_paths_only():
    net = nets.build(
        "mlp", in_shape=(2,), classes=2, width=3, generator=generator(0, "widths")
    )
    masks = Masks({name: mask.clone() for name, mask in Masks.dense(net).items()})
    first, second, last = masks.values()
    first[0], second[:, 1], last[:, 2] = False, False, False
    assert about.widths(masks, net, (2,)) == [1, 2]
    assert about.widths(Masks.dense(net), net, (2,)) == [3, 3]


def test_overlap_and_spread_by_hand():
    one = Masks({"w": torch.tensor([True, True, False, False])})
    other = Masks({"w": torch.tensor([True, False, True, True])})
    assert about.overlap(one, other) == pytest.approx(1 / 4)
    assert about.overlap(one, one) == 1
    base = {"w": torch.tensor([1.0, 2.0, 0.0])}
    assert about.ratio_spread({"w": torch.tensor([3.0, 6.0, 9.0])}, base) == 0
    assert about.ratio_spread({"w": torch.tensor([1.0, 4.0, 9.0])}, base) == 0.5


def test_the_best_tenth_are_the_largest_scores():
    masks = Masks({"w": torch.ones(20, dtype=torch.bool)})
    found = checks.best_tenth({"w": torch.arange(20.0)}, masks)
    assert found["w"].nonzero().flatten().tolist() == [18, 19]


@pytest.mark.parametrize("is_cut_in_classifier", [False, True])
def test_px_with_ones_is_a_constant_times_d_while_the_classifier_is_whole(
    is_cut_in_classifier,
):
    net, batch = arms.network(DIGITS, cell("px")), arms.images(DIGITS, 0, is_raw=False)
    parts = {**arms.masks_of(DIGITS, cell("synflow_l2_d"))}
    *_, classifier = parts
    if not is_cut_in_classifier:
        parts[classifier] = torch.ones_like(parts[classifier])
    masks = Masks(parts)
    px = SCORES["px"].function(net, masks, batch, classifier="ones")
    d = SCORES["synflow_l2"].function(net, masks, batch, variant="D")
    assert (about.ratio_spread(px, d) > 1e-3) == is_cut_in_classifier
    # on the classifier there is one constant per class, whatever the mask
    for theirs, ours in zip(px[classifier], d[classifier], strict=True):
        assert about.ratio_spread({"": theirs}, {"": ours}) < 1e-12


@pytest.mark.parametrize("statistic", checks.STATISTICS)
def test_signed_scores_are_the_librarys_where_no_pixel_is_negative(statistic):
    net = arms.network(DIGITS, cell("synflow"))
    masks, batch = Masks.dense(net), arms.images(DIGITS, 0, is_raw=True)
    weights = checks.pixel_weights(DIGITS, 0, statistic, is_raw=True)
    ours = checks.signed_dist(net, masks, None, weights=weights)
    theirs = SCORES["synflow_dist"].function(net, masks, batch, statistic=statistic)
    for name, score in theirs.items():
        assert torch.allclose(ours[name], score, rtol=1e-10), name


def test_the_mean_of_normalised_pixels_makes_scores_negative_and_squares_do_not():
    rows = shared.smoke_rows(NOTEBOOK, "signs")
    assert rows["mean,0.1,normalised,0"][0]["negative_first"] > 0.1
    for statistic in checks.STATISTICS[1:]:
        assert rows[f"{statistic},0.1,normalised,0"][0]["negative_all"] == 0


def test_classes_without_a_path_of_kept_weights_are_not_reached(monkeypatch):
    each = cell("synflow")
    parts = {k: v.clone() for k, v in Masks.dense(arms.network(DIGITS, each)).items()}
    *_, last = parts.values()
    last[3], last[4, 1:] = False, False
    monkeypatch.setattr(checks, "masks_of", lambda *_: Masks(parts))
    [row] = checks.run_classes(DIGITS, each)
    assert row == {"step": 0, "reached": 9, "fewest": 0, "most": 24}


def test_occupancy_adds_up_to_the_first_layer():
    config = work.SMOKE["occupancy_digits"]
    each = arms.cells(config)[0]
    rows = about.run_occupancy(config, each)
    masks = arms.masks_of(config, each)
    assert len(rows) == 64
    kept = int(next(iter(masks.values())).sum())
    assert sum(row["weights"] for row in rows) == kept


def test_a_runs_rows_do_not_depend_on_what_is_trained_with_it():
    recipe = Recipe("adam", lr=3e-3, batch=64, steps=2, eval_every=1)
    config = replace(DIGITS, recipe=recipe)
    group = [cell("random"), cell("synflow")]
    together = work.run_compared(config, group)
    [alone] = work.run_compared(config, group[1:])
    assert [{**row, "width_4": 0, "width_5": 0} for row in together[1]] == [
        {**row, "width_4": 0, "width_5": 0} for row in alone
    ]
    assert [row["step"] for row in alone] == [1, 2]


def test_the_paper_profile_is_the_authors_grid():
    config = work.EXPERIMENTS["cifar"].profiles["paper"]
    assert (config.data, config.nets) == ("cifar10", ("resnet20", "vgg11"))
    assert (config.seeds, config.rounds, config.per_class) == (3, 100, 10)
    exponents = [round(-2 * torch.tensor(d).log10().item()) for d in config.densities]
    assert exponents == [2, 3, 4]
    recipe = config.recipe
    assert (recipe.optimizer, recipe.lr, recipe.batch) == ("adam", 1e-3, 64)
    assert recipe.epochs == 100
    assert recipe.augment
    assert 2 * recipe.eval_every == recipe.epochs * (50_000 // recipe.batch)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_comparisons_have_five_paired_seeds_and_three_densities(name):
    config = work.EXPERIMENTS[name].profiles["quick"]
    assert config.seeds >= 5
    assert len(config.densities) == 3
    assert config.nets == ("fc_100",)


def longest(experiment):
    profiles = experiment.profiles
    return profiles.get("paper") or profiles["quick"]


def asked(claim):
    """What a claim asks of runs: one dict of filters per method it names."""
    filters = {k: v for k, v in claim.reduce.items() if k in identity.CELL}
    order = claim.rule.get("order", [None])
    return [filters | ({"method": name} if name else {}) for name in order]


@pytest.mark.parametrize("claim", claims.load(NOTEBOOK), ids=lambda claim: claim.id)
def test_a_claim_has_its_runs_and_a_setting_that_they_meet(claim):
    experiment = work.EXPERIMENTS[claim.experiment]
    config = longest(experiment)
    assert claim.reduce["column"] in experiment.values
    for wanted in asked(claim):
        cells = [
            each
            for each in experiment.cells(config)
            if all(each[name] == value for name, value in wanted.items())
        ]
        per_seed = sum(each["seed"] == 0 for each in cells)
        is_extreme = claim.reduce.get("statistic") in ("min", "max")
        assert per_seed >= 1 if is_extreme else per_seed == 1
    fields = identity.config_fields(config)
    unmet = [n for n in claim.requires if fields[n] != claim.paper_setting[n]]
    assert claim.requires
    # what an abstract says in words was not said about MNIST
    assert not unmet or (claim.paper["letter"] == "R" and unmet == ["data"])


if __name__ == "__main__":
    shared.write_expected(NOTEBOOK, untrained_values())
