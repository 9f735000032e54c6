"""`prune_many` against `prune` one by one, and what it shares."""

import cases
import pytest
import references
import torch

from paicore import SCORES, Score, prune, seeds
from paicore.scores import prune_many

DENSITIES = [0.5, 0.8, 0.2, 0.35]


def g(seed=0):
    return seeds.generator(seed, "many")


def counted(name):
    """A score of the registry, and the list that a scoring adds to."""
    entry, calls = SCORES[name], []

    def function(net, masks, batch, *, generator, **options):
        calls.append(masks.kept)
        return entry.function(net, masks, batch, generator=generator, **options)

    score = Score(function, "", entry.needs, entry.defaults, entry.revives)
    return score, calls


def short(name):
    """Options that make a score quick."""
    rounds = {"rounds": 3} if SCORES[name].defaults.get("rounds", 1) > 1 else {}
    return rounds | ({"repeats": 1} if name == "ntk_sap" else {})


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("case_name", ["lenet5", "resnet8_bn"])
def test_the_masks_are_bit_for_bit_those_of_prune_one_by_one(name, case_name):
    c, options = cases.case(case_name), short(name)
    batch = (c.x.abs(), c.y)
    generators = [g(0), g(1)]
    states = [each.get_state() for each in generators]
    before = references.snapshot(c.net)
    found = prune_many(
        c.net, name, densities=DENSITIES, batch=batch, generators=generators, **options
    )
    assert references.same(before, references.snapshot(c.net))
    for seed, (masks, each) in enumerate(zip(found, generators, strict=True)):
        assert list(masks) == DENSITIES
        assert torch.equal(each.get_state(), states[seed])
        for density in DENSITIES:
            alone = prune(
                c.net, name, density=density, batch=batch, generator=g(seed), **options
            )
            assert masks[density] == alone


NESTED = {0.8**k: [0.8**t for t in range(1, k + 1)] for k in (2, 5, 4)}


@pytest.mark.parametrize("name", ["synflow", "ntk_sap", "snip", "force", "random"])
def test_schedules_that_begin_alike_are_shared_and_bit_equal(name):
    c = cases.case("resnet8_bn")
    score, calls = counted(name)
    options = {"batch": (c.x, c.y), "count_rule": "synflow"}
    options |= {"repeats": 1} if name == "ntk_sap" else {}
    (found,) = prune_many(
        c.net, score, densities=list(NESTED), schedule=NESTED, generators=g(), **options
    )
    assert len(calls) == max(map(len, NESTED.values()))
    for chosen in (score, name):  # the second through the engine, where there is one
        (again,) = prune_many(
            c.net, chosen, densities=list(NESTED), schedule=NESTED, generators=g(),
            **options,
        )  # fmt: skip
        assert again == found
    for density, rounds in NESTED.items():
        alone = prune(
            c.net, name, density=density, rounds=len(rounds), schedule=rounds,
            generator=g(), **options,
        )  # fmt: skip
        assert found[density] == alone


@pytest.mark.parametrize(
    ("name", "settings", "scorings"),
    [
        ("snip", {}, 1),
        ("snip", {"rounds": 4}, 1 + 4 * 3),
        ("random", {"scope": "erk"}, 1),
        ("magnitude", {"scope": "layerwise"}, 1),
        ("grasp", {"invert": True, "keep_last_layer_dense": True}, 1),
        ("force", {"rounds": 3, "schedule": "linear"}, 1 + 4 * 2),
        ("ntk_sap", {"rounds": 2, "inputs": "real"}, 1 + 4),
    ],
)
def test_a_scoring_is_done_once_for_each_beginning(name, settings, scorings):
    c = cases.case("lenet5")
    score, calls = counted(name)
    options = {"batch": (c.x, c.y)} | settings
    (found,) = prune_many(c.net, score, densities=DENSITIES, generators=g(), **options)
    assert len(calls) == scorings
    for density, masks in found.items():
        assert masks == prune(c.net, name, density=density, generator=g(), **options)


def test_members_may_have_their_own_networks_batches_and_draws():
    members = [cases.case("mlp"), cases.case("mlp_bias")]
    batches = [(c.x, c.y) for c in members]
    found = prune_many(
        [c.net for c in members], "snip", densities=(0.3, 0.6), batches=batches
    )
    for c, masks in zip(members, found, strict=True):
        for density in (0.3, 0.6):
            assert masks[density] == prune(
                c.net, "snip", density=density, batch=(c.x, c.y)
            )
    same = prune_many(members[0].net, "snip", densities=[0.3], batches=batches)
    assert len(same) == 2 and same[0] == {0.3: found[0][0.3]}


def test_shared_scores_are_let_go_when_no_density_needs_them():
    from paicore.scores import many

    c = cases.case("mlp")
    shared = many._Shared(SCORES["snip"], [[0.5], [0.2]], None)
    options = {"batch": (c.x, c.y), "rounds": 1}
    prune(c.net, shared.score([0.5]), density=0.5, **options)
    assert list(shared.found) == [()]
    prune(c.net, shared.score([0.2]), density=0.2, **options)
    assert not shared.found


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"densities": 0.5}, TypeError, "densities"),
        ({"densities": []}, TypeError, "densities"),
        ({"densities": [0.5, 0.5]}, ValueError, "densities: expected each once"),
        ({"densities": [0.5, 1.5]}, ValueError, "densities"),
        ({"densities": ["0.5"]}, ValueError, "densities"),
        ({"score": "snipp"}, ValueError, "did you mean snip"),
        ({"schedule": {0.5: [0.5]}, "rounds": 1}, ValueError, "schedule"),
        ({"schedule": {0.2: [0.2]}}, ValueError, r"schedule: .*missing \[0\.5\]"),
        ({"schedule": {0.5: [0.7]}}, ValueError, "schedule"),
        ({"batches": []}, ValueError, "batches"),
        ({"batch": None, "batches": []}, TypeError, "batches"),
        ({"nets": "net"}, TypeError, "net"),
        ({"nets": []}, TypeError, "nets"),
        ({"generators": 3}, TypeError, "generators"),
        ({"temperature": 2.0}, TypeError, "temperature"),
    ],
)  # fmt: skip
def test_bad_input_names_the_argument(change, error, words):
    c = cases.case("mlp")
    arguments = {
        "nets": c.net, "score": "snip", "densities": [0.5], "batch": (c.x, c.y)
    } | change  # fmt: skip
    with pytest.raises(error, match=words):
        prune_many(**arguments)


def test_unequal_numbers_of_members_are_refused():
    c = cases.case("mlp")
    with pytest.raises(ValueError, match=r"nets: expected equal.*generators"):
        prune_many([c.net, c.net], "random", densities=[0.5], generators=[g()] * 3)


def test_the_bar_counts_masks_and_is_silent_where_told(capsys):
    c = cases.case("mlp")
    for progress, shown in ((True, True), (False, False), (None, False)):
        prune_many(c.net, "magnitude", densities=[0.5, 0.2], progress=progress)
        assert ("2/2" in capsys.readouterr().err) == shown
