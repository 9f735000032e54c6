"""Networks of the trainable-depth experiments before and while they are trained."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from paicore.experiments import trainable_depth as study
from paicore.experiments import trainable_depth_nets as made
from paicore.experiments import trainable_depth_training as training
from paicore.forward import prunable
from paicore.train import RECIPES


def test_the_paper_profile_is_the_recalled_recipe_on_the_recalled_grid():
    config = study.EXPERIMENTS["maps"].profiles["paper"]
    wanted = RECIPES["robust_pruning_mlp"]
    for cell in training.cells(config)[:1]:
        found = training.recipe_of(config, cell)
        assert dataclasses.replace(found, eval_every=None) == wanted
    assert {depth for depth, _ in config.places} == {2, 20, 40, 60, 80, 100}
    densities = sorted({density for _, density in config.places})
    assert densities == pytest.approx([k / 10 for k in range(1, 10)])
    quick = study.EXPERIMENTS["maps"].profiles["quick"]
    assert quick.lr * quick.steps == pytest.approx(wanted.lr * wanted.steps)


def test_a_trained_run_does_not_depend_on_its_group():
    config = study.EXPERIMENTS["maps"].profiles["smoke"]
    cells = [c for c in training.cells(config) if c["variant"] == "6"]
    whole = training.run_trained(config, cells)
    (alone,) = training.run_trained(config, cells[1:2])
    assert alone[0] == pytest.approx(whole[1][0], rel=1e-4)


def test_arms_on_the_edge_share_weights_and_masks():
    config = study.EXPERIMENTS["maps_elu"].profiles["smoke"]
    cells = [c for c in training.cells(config) if c["variant"] == "4"]
    nets, masks = zip(*(training.initial(config, c) for c in cells), strict=True)
    ordered, edge, rescaled, activity = (list(prunable(n).values())[1] for n in nets)
    assert masks[1] == masks[2] == masks[3]
    for other in (rescaled, activity):
        ratio = (other / edge)[masks[1]["fc2.weight"]]
        assert ratio.min() > 0
    both = masks[0]["fc2.weight"] & masks[1]["fc2.weight"]
    shares = (ordered / edge)[both]
    assert torch.allclose(shares, torch.full_like(shares, 1 / made.edge("elu")[0]))


def cell_of(config, method):
    return next(c for c in training.cells(config) if c["method"] == method)


def drawn_variances(config, cell):
    """Fan-in times the mean square of every weight as drawn."""
    dense, batch = training.drawn(config, cell)
    weights = {k: w.detach() for k, w in prunable(dense).items()}
    return {k: w[0].numel() * w.square().mean() for k, w in weights.items()}, batch


@pytest.mark.parametrize(
    ("name", "method"),
    [("maps", "rescaled"), ("maps_elu", "rescaled"), ("convolutions", "rescaled"),
     ("convolutions_flat", "rescaled"), ("convolutions_flat", "shuffled_rescaled")],
)  # fmt: skip
def test_the_trick_gives_every_row_the_variance_it_was_drawn_with(name, method):
    config = study.EXPERIMENTS[name].profiles["smoke"]
    cell = cell_of(config, method)
    variances, _ = drawn_variances(config, cell)
    new, masks = training.initial(config, cell)
    names = list(masks)[:-1] if config.net == "cnn" else list(masks)
    for k in names:
        alive = masks[k].flatten(1).any(1)
        sums = prunable(new)[k].detach().square().flatten(1).sum(1)[alive]
        assert torch.allclose(sums, variances[k].expand_as(sums)), k


def test_the_weighted_factor_does_so_for_the_signal_that_arrives():
    config = study.EXPERIMENTS["maps_elu"].profiles["smoke"]
    cell = cell_of(config, "activity")
    variances, (x, _) = drawn_variances(config, cell)
    new, masks = training.initial(config, cell)
    h = x.flatten(1)
    for k, weight in enumerate(prunable(new).values()):
        name = list(masks)[k]
        power = h.square().mean(0)
        sums = weight.detach().square() @ power / power.mean()
        sums = sums[masks[name].any(1)]
        assert torch.allclose(sums, variances[name].expand_as(sums)), name
        bias = dict(new.named_parameters())[name.replace("weight", "bias")]
        h = functional.elu(h @ weight.detach().T + bias.detach())


def test_the_control_has_the_densities_of_sbp_and_other_places():
    config = study.EXPERIMENTS["convolutions_flat"].profiles["smoke"]
    _, own = training.initial(config, cell_of(config, "edge"))
    plain, control = training.initial(config, cell_of(config, "shuffled"))
    _, again = training.initial(config, cell_of(config, "shuffled_rescaled"))
    assert control.layer_densities() == own.layer_densities()
    assert control == again
    assert control != own
    dense, _ = training.drawn(config, cell_of(config, "edge"))
    for name, weight in prunable(dense).items():
        assert torch.equal(prunable(plain)[name], weight * control[name]), name


def test_the_control_is_trained_where_it_is_asked_for():
    found = training.cells(training.FLAT)
    places = {
        (int(c["variant"]), c["density"])
        for c in found if c["method"] in training.SHUFFLED
    }  # fmt: skip
    assert places == set(training.FLAT.controls)
    assert len(found) == 5 * (3 * 3 + 2 * 2)


def test_a_flattened_readout_sees_every_position():
    for name, inputs in (("convolutions", 4), ("convolutions_flat", 4 * 64)):
        config = study.EXPERIMENTS[name].profiles["smoke"]
        _, masks = training.initial(config, cell_of(config, "edge"))
        *_, last = masks.values()
        assert last.shape == (10, inputs)
        assert last.all()


def test_a_new_split_has_the_same_samples_in_other_parts():
    given, mixed = (training.images("digits", "cpu", s) for s in ("given", "shuffled"))
    assert mixed.train_x.shape == given.train_x.shape
    assert not torch.equal(mixed.train_x, given.train_x)

    def samples(ds):
        parts = ((ds.train_x, ds.train_y), (ds.test_x, ds.test_y))
        rows = [torch.cat([x.flatten(1).long(), y[:, None]], 1) for x, y in parts]
        return sorted(map(tuple, torch.cat(rows).tolist()))

    assert samples(mixed) == samples(given)


def test_a_convolution_keeps_its_readout_whole_and_unscaled():
    config = study.EXPERIMENTS["convolutions"].profiles["smoke"]
    cell = training.cells(config)[2]
    assert cell["method"] == "rescaled"
    dense, _ = training.drawn(config, cell)
    new, masks = training.initial(config, cell)
    name = list(masks)[-1]
    assert masks[name].all()
    assert torch.equal(prunable(new)[name], prunable(dense)[name])
    second = "conv2.weight"
    only_masked = prunable(dense)[second] * masks[second]
    assert not torch.equal(prunable(new)[second], only_masked)
    kept = sum(int(m.sum()) for k, m in masks.items() if k != name)
    total = sum(m.numel() for k, m in masks.items() if k != name)
    assert kept == math.floor(total * cell["density"] + 0.5)


def test_a_pace_is_read_from_the_variant():
    cells = training.cells(training.PACES)
    recipes = {c["variant"]: training.recipe_of(training.PACES, c) for c in cells}
    fast, slow = recipes["20 0.01x1000"], recipes["20 0.001x10000"]
    assert (fast.lr, fast.steps, slow.lr, slow.steps) == (0.01, 1000, 0.001, 10_000)
    assert {training.depth_of(c) for c in cells} == {20}


def test_fields_of_one_experiment_do_not_void_the_records_of_others():
    names = {field.name for field in dataclasses.fields(training.CNN)}
    assert not names & {"readout", "controls", "split"}


def test_a_run_that_diverges_has_a_row_without_accuracy():
    config = study.EXPERIMENTS["digits"].profiles["smoke"]
    config = dataclasses.replace(config, phi="elu", lr=1e9, steps=30)
    rows = training.run_trained(config, training.cells(config)[:1])
    assert rows[0][0]["diverged"] == 1
    assert math.isnan(rows[0][0]["test_accuracy"])
