"""One check of generators for everything that draws."""

import pytest
import torch

from paicore import seeds
from paicore.kernels import ntk
from paicore.rescale import bernoulli

NET = torch.nn.Linear(2, 2)
X = torch.ones(3, 2)


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: seeds.check(g),
        lambda g: ntk.trace_estimate(NET, X, probes=6, generator=g),
        lambda g: bernoulli(NET, 0.5, g),
    ],
    ids=["check", "estimate", "lottery"],
)
def test_only_a_generator_of_its_own_is_taken(draw):
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"^generator: expected one of its own"):
        draw(torch.default_generator)
    with pytest.raises(TypeError, match=r"^generator: expected a torch\.Generator"):
        draw(3)
    assert torch.equal(state, torch.get_rng_state())
    draw(seeds.generator(0))
