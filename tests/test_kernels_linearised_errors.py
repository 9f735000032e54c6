"""What linearised dynamics refuse, and by which name."""

import pytest
import torch

from paicore.kernels import linearised
from paicore.kernels.linearised import dynamics

GRAM, OUT = torch.eye(4).double(), torch.zeros(4, 2).double()


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("gram", {"gram": torch.ones(3, 4)}),
        ("gram", {"gram": torch.full((4, 4), float("nan"))}),
        ("gram", {"gram": torch.ones(4, 4).triu()}),
        ("gram", {"gram": -torch.eye(4)}),
        ("outputs", {"outputs": torch.zeros(8)}),
        ("targets", {"targets": torch.zeros(4, 3)}),
        ("targets", {"loss": "cross_entropy"}),
        ("targets", {"loss": "cross_entropy", "targets": torch.tensor([0, 1, 2, 0])}),
        ("loss", {"loss": "hinge"}),
        ("cross_gram", {"cross_gram": torch.ones(2, 4)}),
        ("cross_gram", {"cross_gram": torch.ones(2, 3), "cross_outputs": OUT[:2]}),
        ("cross_outputs", {"cross_gram": GRAM, "cross_outputs": torch.zeros(4, 3)}),
        ("times", {"times": [1.0, 0.5]}),
        ("times", {"times": [-1.0]}),
        ("times", {"times": []}),
        ("outputs", {"outputs": torch.full((4, 2), float("nan"))}),
        ("cross_outputs", {"cross_gram": torch.ones(2, 4),
                           "cross_outputs": torch.full((2, 2), float("inf"))}),
        ("gram", {"gram": torch.ones(4, 4).triu(), "loss": "cross_entropy",
                  "targets": torch.zeros(4, dtype=torch.long)}),
        ("gram", {"gram": -torch.eye(4), "loss": "cross_entropy",
                  "targets": torch.zeros(4, dtype=torch.long)}),
        ("times", {"times": [float("inf")], "loss": "cross_entropy",
                   "targets": torch.zeros(4, dtype=torch.long)}),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(word, options):
    good = {"gram": GRAM, "outputs": OUT, "targets": OUT, "times": [1.0]}
    with pytest.raises(ValueError, match=f"^{word}"):
        linearised.gradient_flow(**{**good, **options})


@pytest.mark.parametrize(
    ("word", "steps", "lr"), [("lr", [1], 0.0), ("steps", [1.5], 1)]
)
def test_bad_steps_are_named(word, steps, lr):
    with pytest.raises(ValueError, match=f"^{word}"):
        linearised.gradient_descent(GRAM, OUT, OUT, steps, lr=lr)


@pytest.mark.parametrize("word", ["gram", "outputs", "targets"])
def test_what_is_no_tensor_is_named(word):
    good = {"gram": GRAM, "outputs": OUT, "targets": OUT, "times": [1.0]}
    with pytest.raises(TypeError, match=f"^{word}: expected a tensor, got list"):
        linearised.gradient_flow(**{**good, word: good[word].tolist()})
    for odd in (good[word].to_sparse(), good[word].to("meta")):
        with pytest.raises(TypeError, match=f"^{word}: expected a dense tensor with"):
            linearised.gradient_flow(**{**good, word: odd})


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("times", {"times": "12"}),
        ("times", {"times": ["1", "2"]}),
        ("times", {"times": None}),
        ("gram", {"gram": GRAM * 1j}),
        ("outputs", {"outputs": OUT * 1j}),
        ("targets", {"loss": "cross_entropy", "targets": torch.zeros(4)}),
    ],
)
def test_arguments_of_another_kind_are_named(word, options):
    good = {"gram": GRAM, "outputs": OUT, "targets": OUT, "times": [1.0]}
    with pytest.raises(TypeError, match=f"^{word}"):
        linearised.gradient_flow(**{**good, **options})


def test_a_rate_that_is_no_number_is_named():
    with pytest.raises(ValueError, match=r"^lr: expected a positive number, got 'a'"):
        linearised.gradient_descent(GRAM, OUT, OUT, [1], lr="a")


def test_descent_that_leaves_the_range_is_refused():
    with pytest.raises(ValueError, match=r"^lr, times: the predicted outputs leave"):
        linearised.gradient_descent(GRAM, OUT + 1, OUT, [100_000], lr=20.0)


def test_integration_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(dynamics, "MOST", 3000)
    labels = torch.arange(4) % 2
    with pytest.raises(ValueError, match=r"^gram, times: integration up to 1 takes"):
        linearised.gradient_flow(
            GRAM * 1e20, OUT + 1e-3, labels, [1.0], loss="cross_entropy"
        )
