"""When each layer is emptied: against a sweep over every possible count."""

import numpy as np
import pytest
import torch
from meanfield_cases import labelled, mlp

from paicore import SCORES, Masks, prune, seeds
from paicore.kernels import meanfield
from paicore.masks.critical import critical_sparsities, first_kept

FUNCTIONS = (first_kept, critical_sparsities, meanfield.critical_sparsity)


def scored(ties):
    """A network whose magnitudes are its scores, with or without ties."""
    net = mlp("tanh", (1.0, 0.1), 6, 4, 0, inputs=7)
    with torch.no_grad():
        for index, parameter in enumerate(net.parameters()):
            parameter.mul_(1 + index)
            if ties:
                parameter.copy_(torch.round(parameter))
    return net, SCORES["magnitude"].function(net, None)


@pytest.mark.parametrize("ties", [False, True])
def test_layers_are_empty_below_their_count_and_not_from_it_on(ties):
    net, scores = scored(ties)
    total = sum(values.numel() for values in scores.values())
    found = first_kept(scores)
    for kept in range(1, total + 1):
        masks = prune(net, "magnitude", density=kept / total)
        assert masks.kept == kept
        assert masks.collapsed == [name for name in found if kept < found[name]]
    for name, sparsity in critical_sparsities(scores).items():
        assert sparsity == 1 - (found[name] - 1) / total
    assert max(critical_sparsities(scores).values()) == 1


def test_the_smallest_is_the_critical_sparsity_of_the_network():
    net = mlp("tanh", (0.5, 0.3), 50, 20, 0)
    batch = labelled(50, 50, 0)
    scores = SCORES["snip"].function(net, Masks.dense(net), batch)
    found = critical_sparsities(scores)
    expected = meanfield.critical_sparsity(scores)
    first = min(found, key=found.get)
    assert first == expected.layer
    assert found[first] == pytest.approx(expected.sparsity, abs=1e-12)
    assert len(set(found.values())) == 20


def test_equal_scores_are_kept_in_the_order_of_the_layers():
    scores = {"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([1.0, 2.0, 2.0])}
    assert first_kept(scores) == {"a": 3, "b": 1}
    turned = {"b": scores["b"], "a": scores["a"]}
    assert first_kept(turned) == {"b": 1, "a": 4}
    g = seeds.generator(0, "order")
    shuffled = {n: v.flatten()[torch.randperm(v.numel(), generator=g)]
                for n, v in scores.items()}  # fmt: skip
    assert first_kept(shuffled) == first_kept(scores)


@pytest.mark.parametrize(
    ("scores", "match"),
    [
        ({}, "at least one layer"),
        ({"a": torch.ones(0)}, "none of them empty"),
        ({"a": torch.tensor([1.0, float("nan")])}, "those of 'a' hold NaN"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(scores, match):
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match=f"^scores: .*{match}"):
            function(scores)


@pytest.mark.parametrize(
    ("scores", "error", "match"),
    [
        ([1.0, 2.0], TypeError, "expected name -> scores of a layer, got list"),
        (None, TypeError, "got NoneType"),
        (3.0, TypeError, "got float"),
        ({"a": "x"}, TypeError, "expected numbers for 'a', got str"),
        ({"a": None}, TypeError, "expected numbers for 'a', got NoneType"),
        ({"a": [[1], [1, 2]]}, TypeError, "expected numbers for 'a', got list"),
        ({"a": torch.ones(2) * 1j}, ValueError, "expected real numbers for 'a'"),
        ({"a": torch.ones(2, device="meta")}, TypeError, "'a': .*meta device"),
        ({"a": torch.eye(2).to_sparse()}, TypeError, "'a': expected a dense tensor"),
    ],
)
def test_scores_of_an_odd_kind_are_refused_by_name(scores, error, match):
    for function in FUNCTIONS:
        with pytest.raises(error, match=f"^scores: .*{match}"):
            function(scores)


def test_numbers_arrays_and_lists_are_ranked_as_tensors_are():
    as_tensors = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([[2.0]])}
    for others in ({"a": [3.0, 1.0], "b": 2.0},
                   {"a": np.array([3.0, 1.0]), "b": np.array([[2]])}):  # fmt: skip
        for function in FUNCTIONS:
            assert function(others) == function(as_tensors)
