"""Bad input gives an error that names the argument, and touches nothing."""

import pytest
import torch
import transfer_references as references
from torch import nn

from paicore import nets, prune, seeds, transfer
from paicore.masks import Masks

NAN = references.inputs(20, 6).index_fill(0, torch.tensor([3]), torch.nan)
WRONG = Masks({"fc1.weight": torch.ones(2, 2, dtype=torch.bool)})


def run(net=None, x=None, **options):
    given = {
        "density": 0.4, "steps": 6, "batch": 6, "generator": seeds.generator(0),
        "progress": False,
    }  # fmt: skip
    net = references.mlp() if net is None else net
    x = references.inputs(20, 6) if x is None else x
    return transfer.neural_tangent_transfer(net, x, **given | options)


BAD = [
    ("density", {"density": 0}), ("density", {"density": 1.5}),
    ("density", {"density": float("nan")}), ("density", {"density": "3 %"}),
    ("density", {"density": 0.001}), ("density", {"density": True}),
    ("tangent", {"tangent": "true"}), ("block", {"block": "sym"}),
    ("estimator", {"estimator": "probes"}), ("normalise", {"normalise": None}),
    ("count_rule", {"count_rule": "parity"}), ("scope", {"scope": "local"}),
    ("scope", {"scope": {"fc9.weight": 0.5}}), ("scope", {"scope": {"fc1.weight": 2}}),
    ("first_masks", {"first_masks": "random"}), ("first_masks", {"first_masks": WRONG}),
    ("first_masks", {"first_masks": {"fc1.weight": 3}}),
    ("first_masks", {"first_masks": Masks.dense(references.mlp())}),
    ("update_masks", {"update_masks": "no"}), ("frequency", {"frequency": 0}),
    ("frequency", {"frequency": 2.5}), ("steps", {"steps": 0}),
    ("batch", {"batch": 1}), ("x", {"batch": 21}), ("lr", {"lr": 0}),
    ("lr", {"lr": -1.0}), ("lr", {"lr": float("inf")}),
    ("optimizer", {"optimizer": "rmsprop"}), ("kernel_weight", {"kernel_weight": -1}),
    ("target_weight", {"target_weight": "1"}), ("l2", {"l2": float("nan")}),
    ("kernel_weight", {"kernel_weight": 0, "target_weight": 0}),
    ("l2_over_density", {"l2_over_density": 1}), ("moments", {"moments": "reset"}),
    ("batch_norm", {"batch_norm": "training"}), ("dtype", {"dtype": torch.int32}),
    ("dtype", {"dtype": "float32"}), ("probes", {"probes": 0}),
    ("validation", {"validation": references.inputs(4, 5)}),
    ("validation", {"validation": references.inputs(1, 6)}),
    ("validation", {"validation": [1, 2]}), ("log_every", {"log_every": 0}),
    ("progress", {"progress": "bar"}), ("checkpoint", {"checkpoint": "run.pt"}),
    ("checkpoint", {"checkpoint": 3}), ("checkpoint", {"checkpoint": "none/run.npz"}),
    ("generator", {"generator": 0}),
    ("generator", {"generator": torch.default_generator}),
    ("x", {"x": torch.zeros(20, 6, dtype=torch.uint8)}), ("x", {"x": NAN}),
    ("x", {"x": torch.zeros(20)}), ("net", {"net": "lenet"}),
    ("net", {"net": nn.Sequential(nn.ReLU())}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), BAD, ids=[name for name, _ in BAD])
def test_bad_input_names_the_argument(name, options):
    with pytest.raises((ValueError, TypeError), match=f"^{name}"):
        run(**options)


def test_bad_input_leaves_the_network_and_the_generator_alone():
    net, g = references.mlp(), seeds.generator(0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = g.get_state()
    with pytest.raises(ValueError, match="first_masks"):
        run(net, generator=g, first_masks=Masks.dense(net))
    assert torch.equal(g.get_state(), state)
    assert all(torch.equal(before[n], v) for n, v in net.state_dict().items())


def test_batch_norm_wants_its_mode_named():
    net = nets.build("resnet20", classes=3, in_shape=(3, 8, 8), width=2,
                     generator=seeds.generator(0))  # fmt: skip
    with pytest.raises(ValueError, match="batch_norm"):
        run(net, references.inputs(8, 3, 8, 8))


def test_weights_that_are_not_finite_are_refused():
    net = references.mlp()
    net[1].weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"net: weight 'fc1.weight'"):
        run(net)


@pytest.mark.parametrize("options", [{}, {"estimator": "probe"}, {"optimizer": "sgd"}])
def test_a_run_that_diverges_stops_and_its_error_holds_the_log(options):
    with pytest.raises(transfer.Diverged, match=r"step \d+ of 300.*rate below 100000"):
        run(lr=1e5, steps=300, log_every=1, **options)
    try:
        run(lr=1e5, steps=300, log_every=1, **options)
    except transfer.Diverged as error:
        assert error.log[0]["step"] == 0
        assert len(error.log) == error.step
        assert error.step < 300


def test_a_run_that_starts_at_no_loss_at_all_has_not_diverged():
    net = references.mlp()
    result = run(net, density=1.0, l2=0.0, lr=1e-3)
    assert result.log[-1]["loss"] < 1.0


def test_given_masks_that_fit_are_taken_under_every_published_rule():
    net = references.mlp()
    for rule in ("exact", "ntt"):
        masks = prune(net, "magnitude", density=0.4, scope="layerwise", count_rule=rule)
        run(net, first_masks=masks)
