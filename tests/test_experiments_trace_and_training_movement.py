"""Batch norm's modes in notebook 32: what each shows, and that looking is harmless."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from paicore.experiments import trace_and_training as trace
from paicore.experiments import trace_and_training_masks as drawn
from paicore.experiments import trace_and_training_movement as movement
from paicore.kernels import paths


def test_the_tracker_in_eval_mode_is_the_authors_trace():
    config = trace.SMOKE["batch_norm"]
    cell = {"method": "random", "density": 0.1, "seed": 0,
            "variant": config.cases[0].name}  # fmt: skip
    case, net, masks = movement.begun(config, cell)
    before = deepcopy(net.state_dict())
    shape = drawn.load(case.data).in_shape
    ours = movement.tracker(net, shape, masks, "eval")
    assert ours == pytest.approx(
        paths.trace(net, shape, masks=masks, mode="authors"), rel=1e-12
    )
    assert movement.tracker(net, shape, masks, "train") != pytest.approx(ours, rel=0.1)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_both_modes_see_the_kernel_and_the_outputs_of_their_mode(mode):
    config = trace.SMOKE["batch_norm"]
    cell = {"method": "snip", "density": 0.1, "seed": 0,
            "variant": config.cases[0].name}  # fmt: skip
    case, net, masks = movement.begun(config, cell)
    *_, _ = movement.stepped(config, case, net, masks, 0)  # statistics are not 0 and 1
    x = movement.probe(config, case)
    seen = movement._both_modes(net, masks, x, kernel=2)
    net = net.double().train(mode == "train")
    assert torch.allclose(seen[f"outputs_{mode}"], net(x).detach())
    squares = 0.0
    for logit in net(x[:2]).flatten():
        logit_grads = torch.autograd.grad(logit, [*net.parameters()], retain_graph=True)
        for (name, _), grad in zip(net.named_parameters(), logit_grads, strict=True):
            squares += float((grad * masks.get(name, 1)).square().sum())
    assert seen[f"kernel_{mode}"] == pytest.approx(squares, rel=1e-8)


def test_looks_leave_the_training_as_it_is():
    config = trace.SMOKE["batch_norm"]
    cell = {"method": "dense", "density": 1.0, "seed": 0,
            "variant": config.cases[0].name}  # fmt: skip
    often = replace(config, looks=(0, 1, 2, 3))
    rarely = replace(config, looks=(3,))
    a, b = (movement.run_modes(each, cell)[-1] for each in (often, rarely))
    assert a["trace"] == b["trace"]
    assert a["loss"] == b["loss"]
