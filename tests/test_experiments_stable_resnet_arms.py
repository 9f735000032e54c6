"""The trained arms of notebook 13: what is scored, what is trained, and the tables."""

import copy
import dataclasses

import pytest
import torch
from torch.nn import functional

from paicore import Masks, data, prune, records
from paicore.data.catalogue import MissingData
from paicore.experiments import stable_resnet as study
from paicore.experiments import stable_resnet_arms as arms
from paicore.experiments.stable_resnet_theory import draws
from paicore.forward import prunable
from paicore.nets import Scale
from paicore.train import RECIPES

TABLES = study.EXPERIMENTS["tables"].profiles["smoke"]
RELU = "resnet relu"


def factors(net):
    return {module.factor for module in net.modules() if isinstance(module, Scale)}


def masked(method, variant=RELU, config=TABLES, density=0.1):
    """Network and masks of one arm, as they go into training."""
    job = arms.job_of(config, method, variant)
    net, masks = arms.masked(config, job, [density], 0)
    return net, masks[density]


def test_arms_name_score_and_branch():
    def job(method, variant="resnet32 tanh"):
        return tuple(arms.job_of(study.TABLES, method, variant))

    assert job("snip") == ("resnet32", "tanh", "snip", "plain", "plain")
    assert job("sbp_sr") == ("resnet32", "tanh", "snip", "stable", "stable")
    assert job("grasp_stable")[2:] == ("grasp", "stable", "stable")
    assert job("dense_stable")[2:] == ("dense", "stable", "stable")
    assert job("rescaled", "vgg16 relu")[:3] == ("vgg16", "relu", "snip")
    crossed = arms.job_of(study.CROSSED, "stable", "plain")
    assert (crossed.scored, crossed.trained) == ("stable", "plain")
    swept = arms.job_of(study.SWEPT, "snip", "0.1")
    assert (swept.scored, swept.trained) == ("0.1", "0.1")
    with pytest.raises(ValueError, match="plan: expected one of"):
        arms.job_of(dataclasses.replace(TABLES, plan="other"), "snip", RELU)


@pytest.mark.parametrize("method", ["snip", "sbp_sr", "grasp", "grasp_stable"])
def test_the_trained_net_is_the_scored_one(method):
    net, masks = masked(method)
    ds = data.load("digits")
    batch = data.sample(ds, TABLES.batch, draws(0, "digits", "batch"))
    score = "grasp" if "grasp" in method else "snip"
    assert prune(net, score, density=0.1, batch=batch) == masks
    stable = method in ("sbp_sr", "grasp_stable")
    assert factors(net) == ({3**-0.5} if stable else set())


def test_random_masks_and_magnitudes_do_not_see_the_factor():
    for method in ("random", "magnitude"):
        assert masked(method)[1] == masked(f"{method}_stable")[1]
    assert masked("snip")[1] != masked("sbp_sr")[1]


def test_crossed_arms_take_the_mask_of_one_net_to_the_other():
    config = study.EXPERIMENTS["crossed"].profiles["smoke"]
    found = {
        (a, b): masked(a, b, config, 0.01)
        for a in ("plain", "stable") for b in ("plain", "stable")
    }  # fmt: skip
    for a in ("plain", "stable"):
        assert found[a, "plain"][1] == found[a, "stable"][1]
        assert factors(found["plain", a][0]) == factors(found["stable", a][0])
    assert factors(found["plain", "stable"][0]) == {3**-0.5}
    assert not factors(found["stable", "plain"][0])


def test_second_order_is_the_mean_square_of_single_gradients():
    job = arms.job_of(TABLES, "snip", RELU)
    net = arms.drawn(TABLES, job, "stable", 0).double().eval()
    x, y = data.sample(data.load("digits"), 3, draws(0, "test"))
    found = arms.second_order(net, Masks.dense(net), (x, y))
    weights, wanted = prunable(net), {name: 0.0 for name in found}
    for k in range(3):
        loss = functional.cross_entropy(net(x[k : k + 1]), y[k : k + 1])
        grads = torch.autograd.grad(loss, list(weights.values()))
        for (name, weight), grad in zip(weights.items(), grads, strict=True):
            wanted[name] = wanted[name] + (weight.detach() * grad) ** 2 / 6
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-300)


def test_obd_prunes_a_trained_network_and_goes_on_from_it():
    net, masks = masked("obd")
    fresh = arms.drawn(TABLES, arms.job_of(TABLES, "obd", RELU), "plain", 0)
    first = next(iter(masks))
    assert not torch.equal(prunable(net)[first], prunable(fresh)[first])
    ds = data.load("digits")
    batch = data.sample(ds, TABLES.batch, draws(0, "digits", "batch"))
    assert prune(net, arms.OBD, density=0.1, batch=batch) == masks
    same, others = masked("magnitude_trained")
    assert torch.equal(prunable(same)[first], prunable(net)[first])
    assert prune(same, "magnitude", density=0.1) == others != masked("magnitude")[1]


def test_a_run_does_not_depend_on_its_group():
    config = dataclasses.replace(
        TABLES, places=((RELU, ("synflow", "obd"), (0.2, 0.1)),)
    )
    for method in ("synflow", "obd"):
        cells = [c for c in arms.cells(config) if c["method"] == method]
        whole = arms.run_trained(config, cells)
        (alone,) = arms.run_trained(config, cells[1:])
        assert alone == whole[1]


def test_rescaled_networks_are_not_only_masked():
    config = dataclasses.replace(
        TABLES, methods=("rescaled",), places=((RELU, ("rescaled",), (0.3,)),)
    )
    (cell,) = arms.cells(config)
    ((row,),) = arms.run_trained(config, [cell])
    ((plain,),) = arms.run_trained(config, [{**cell, "method": "snip"}])
    assert row["kept"] == plain["kept"]
    assert row["train_loss"] != plain["train_loss"]


def test_dense_networks_are_run_once_and_whole():
    cells = [c for c in arms.cells(study.TABLES) if c["method"] == "dense"]
    assert {c["density"] for c in cells} == {1.0}
    assert len(cells) == 2 * study.TABLES.seeds
    net, masks = masked("dense", density=1.0)
    assert masks == Masks.dense(net)


def test_a_run_that_diverges_has_no_accuracy():
    config = dataclasses.replace(
        TABLES, recipe=dataclasses.replace(TABLES.recipe, lr=1e30, steps=3)
    )
    ((row,),) = arms.run_trained(config, [arms.cells(config)[0]])
    assert row["diverged"] == 1
    assert row["test_accuracy"] != row["test_accuracy"]


def test_paper_profiles_are_the_recalled_set_up():
    papers = {n: e.profiles.get("paper") for n, e in study.EXPERIMENTS.items()}
    assert papers["table_1"].recipe == RECIPES["grasp_resnet"]
    assert papers["table_2"].recipe.epochs == 250
    assert papers["table_3"].recipe.epochs == 300
    assert papers["table_8"].recipe.milestones == (30, 60, 80)
    for name in ("table_1", "table_2", "table_3", "table_9"):
        config = papers[name]
        assert (config.seeds, config.width) == (3, 32)
        half, later = config.recipe.milestones
        assert half == config.recipe.epochs // 2
        assert later == config.recipe.epochs * 3 // 4
    places = {p[0]: p[2] for p in papers["table_9"].places}
    assert set(places) == {
        f"{net} {phi}" for net in ("resnet32", "resnet50") for phi in ("relu", "tanh")
    }
    assert set(places.values()) == {(0.1, 0.02, 0.005, 0.001)}
    assert {p[0] for p in papers["table_5"].places} == {"vgg16 relu", "vgg16x3 relu"}


def test_every_network_of_the_tables_can_be_drawn():
    small = dataclasses.replace(study.TABLE_1, data="digits", width=2)
    for variant, methods, _ in study.TABLE_1.places:
        for method in methods:
            job = arms.job_of(small, method, variant)
            assert arms.drawn(small, job, job.trained, 0) is not None


def test_data_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PAICORE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"imagenet: 1\.3 million images"):
        arms.images("imagenet", "cpu")
    with pytest.raises(MissingData, match=r"put tiny_imagenet\.npz into the folder"):
        arms.images("tiny_imagenet", "cpu")


def test_smoke_leaves_the_networks_of_the_next_run_alone():
    config = dataclasses.replace(TABLES, places=((RELU, ("snip",), (0.2,)),))
    cells = arms.cells(config)
    first = copy.deepcopy(arms.run_trained(config, cells))
    assert arms.run_trained(config, cells) == first
    assert records.run_id(cells[0])
