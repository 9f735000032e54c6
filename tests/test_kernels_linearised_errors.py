"""What linearised dynamics refuse, and by which name."""

import pytest
import torch

from paicore.kernels import linearised

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
